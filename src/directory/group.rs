//! What the events say of one group.

use rolecall_sink_api::{GroupId, OrganizationId};

use super::stamped::{Stamped, newest};
use super::{GroupProfile, Stamp};

/// All that is stated of a group, each fact with the stamp of the event that states it. Who is in it stands
/// with each user. Canonical, as [`UserState`](super::UserState) is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupState {
    /// The newest profile, from an event about the group itself.
    pub(super) profile: Option<Stamped<GroupProfile>>,
    /// The newest mention in a user's list.
    pub(super) mention: Option<Stamped<()>>,
    /// The newest name in a user's list.
    pub(super) name: Option<Stamped<String>>,
    /// The newest organization in a user's list.
    pub(super) organization: Option<Stamped<OrganizationId>>,
    /// The newest deletion: every fact that is not newer is void for good, memberships included.
    pub(super) gone: Option<Stamp>,
}

impl GroupState {
    /// Whether the group exists: it was announced, or named as one of a user's groups, and not deleted since.
    pub fn exists(&self) -> bool {
        self.profile.is_some() || self.mention.is_some()
    }

    /// The group's name. It goes by its id where no name is stated.
    pub fn name<'a>(&'a self, id: &'a GroupId) -> &'a str {
        let own = self.profile.as_ref().and_then(|p| p.value.name.as_deref().map(|name| (&p.stamp, name)));
        let mentioned = self.name.as_ref().map(|n| (&n.stamp, n.value.as_str()));
        match (own, mentioned) {
            (Some((own_stamp, own)), Some((stamp, name))) => {
                if stamp > own_stamp {
                    name
                } else {
                    own
                }
            }
            (Some((_, name)), None) | (None, Some((_, name))) => name,
            (None, None) => id.as_str(),
        }
    }

    /// The organization, where stated. What the group's own event says comes first.
    pub fn organization(&self) -> Option<&OrganizationId> {
        let own = self.profile.as_ref().and_then(|profile| profile.value.organization.as_ref());
        own.or(self.organization.as_ref().map(|organization| &organization.value))
    }

    /// The identity provider's own id, where stated.
    pub fn external_id(&self) -> Option<&str> {
        self.profile.as_ref().and_then(|profile| profile.value.external_id.as_deref())
    }

    /// The newest event that said the group exists, or that it is gone.
    pub fn stamp(&self) -> Option<&Stamp> {
        let stated = [
            self.profile.as_ref().map(|fact| &fact.stamp),
            self.mention.as_ref().map(|fact| &fact.stamp),
            self.gone.as_ref(),
        ];
        stated.into_iter().flatten().max()
    }

    /// The newest deletion, which made every older membership void, whether the group came back or not.
    pub fn gone(&self) -> Option<&Stamp> {
        self.gone.as_ref()
    }

    /// Whether a fact of that time, a membership included, can still matter.
    pub fn counts(&self, stamp: &Stamp) -> bool {
        self.gone.as_ref().is_none_or(|gone| stamp > gone)
    }

    pub(super) fn state_profile(&mut self, stamp: &Stamp, profile: GroupProfile) {
        if self.counts(stamp) {
            newest(&mut self.profile, stamp, profile);
        }
    }

    pub(super) fn state_named(
        &mut self,
        stamp: &Stamp,
        name: Option<String>,
        organization: Option<OrganizationId>,
    ) {
        if !self.counts(stamp) {
            return;
        }
        newest(&mut self.mention, stamp, ());
        if let Some(name) = name {
            // One event that names a group twice, differently: the greater name, whatever the order.
            let same_event = self.name.as_ref().is_some_and(|held| held.stamp == *stamp && held.value < name);
            if same_event {
                self.name = None;
            }
            newest(&mut self.name, stamp, name);
        }
        if let Some(organization) = organization {
            newest(&mut self.organization, stamp, organization);
        }
    }

    pub(super) fn state_gone(&mut self, stamp: &Stamp) {
        if !self.counts(stamp) {
            return;
        }
        self.gone = Some(stamp.clone());
        self.profile.take_if(|fact| fact.stamp <= *stamp);
        self.mention.take_if(|fact| fact.stamp <= *stamp);
        self.name.take_if(|fact| fact.stamp <= *stamp);
        self.organization.take_if(|fact| fact.stamp <= *stamp);
    }
}
