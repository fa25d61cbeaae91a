//! What the events say of one user.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_sink_api::{GroupId, OrganizationId, Profile};
use serde::{Deserialize, Serialize};

use super::stamped::{Stamped, newest};
use super::{GroupState, Origin, Stamp};

/// All that is stated of a user, each fact with the stamp of the event that states it.
///
/// Canonical: two states that were merged from the same events are equal, whatever the order. What a newer
/// fact has made void is not kept. Written down with each stamp once: see `stored`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserState {
    /// The newest profile.
    pub(super) profile: Option<Stamped<UserProfile>>,
    /// Whether they may have access.
    pub(super) active: Option<Stamped<bool>>,
    /// The provider's own roles.
    pub(super) provider_roles: Option<Stamped<BTreeSet<String>>>,
    /// The newest statement of *all* the user's groups: every edge that is older is void.
    pub(super) groups_as_of: Option<Stamp>,
    /// The newest statement about each single membership, none older than `groups_as_of` or `gone`.
    pub(super) edges: BTreeMap<GroupId, Stamped<bool>>,
    /// The newest deletion: every fact that is not newer is void for good.
    pub(super) gone: Option<Stamp>,
}

/// A profile as one event states it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct UserProfile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    organization: Option<OrganizationId>,
    #[serde(default, skip_serializing_if = "Origin::is_unknown")]
    origin: Origin,
    attributes: Box<Profile>,
}

impl UserState {
    /// Whether the user exists: they were announced, and not deleted since.
    pub fn exists(&self) -> bool {
        self.profile.is_some()
    }

    /// Whether the user exists and may have access.
    pub fn is_active(&self) -> bool {
        self.exists() && self.active.as_ref().is_none_or(|active| active.value)
    }

    /// The attributes; `None` when the user does not exist.
    pub fn profile(&self) -> Option<&Profile> {
        self.profile.as_ref().map(|profile| &*profile.value.attributes)
    }

    /// The organization, where stated.
    pub fn organization(&self) -> Option<&OrganizationId> {
        self.profile.as_ref().and_then(|profile| profile.value.organization.as_ref())
    }

    /// Where the user comes from; nothing is known of somebody who does not exist.
    pub fn origin(&self) -> Option<&Origin> {
        self.profile.as_ref().map(|profile| &profile.value.origin)
    }

    /// The provider's own roles; none when none are stated.
    pub fn provider_roles(&self) -> &BTreeSet<String> {
        static NONE: BTreeSet<String> = BTreeSet::new();
        self.provider_roles.as_ref().map_or(&NONE, |roles| &roles.value)
    }

    /// The groups the user is said to be in, with what says so. Whether a group exists is not looked at.
    pub fn memberships(&self) -> impl Iterator<Item = (&GroupId, &Stamp)> {
        self.edges.iter().filter(|(_, edge)| edge.value).map(|(group, edge)| (group, &edge.stamp))
    }

    /// Every group of which something is stated, in or out.
    pub fn edges(&self) -> impl Iterator<Item = &GroupId> {
        self.edges.keys()
    }

    /// The same groups, with whether the user is said to be in each.
    pub fn said_of_groups(&self) -> impl Iterator<Item = (&GroupId, bool)> {
        self.edges.iter().map(|(group, edge)| (group, edge.value))
    }

    /// The event that stated the profile, whether the user may have access, and the deletion.
    pub fn stamps(&self) -> UserStamps<'_> {
        UserStamps {
            profile: self.profile.as_ref().map(|fact| &fact.stamp),
            active: self.active.as_ref().map(|fact| &fact.stamp),
            provider_roles: self.provider_roles.as_ref().map(|fact| &fact.stamp),
            gone: self.gone.as_ref(),
        }
    }

    /// Leaves out what a group's deletion made void, so that the group can be forgotten one day. Changes
    /// nothing that can be seen while the group's state is at hand.
    pub fn drop_void_edges<'a>(&mut self, group: impl Fn(&GroupId) -> Option<&'a GroupState>) {
        self.edges.retain(|id, edge| group(id).is_none_or(|group| group.counts(&edge.stamp)));
    }

    pub(super) fn state_profile(
        &mut self,
        stamp: &Stamp,
        organization: Option<OrganizationId>,
        origin: Origin,
        attributes: Box<Profile>,
    ) {
        if self.counts(stamp) {
            newest(&mut self.profile, stamp, UserProfile { organization, origin, attributes });
        }
    }

    pub(super) fn state_active(&mut self, stamp: &Stamp, active: bool) {
        if self.counts(stamp) {
            newest(&mut self.active, stamp, active);
        }
    }

    pub(super) fn state_provider_roles(&mut self, stamp: &Stamp, roles: BTreeSet<String>) {
        if self.counts(stamp) {
            newest(&mut self.provider_roles, stamp, roles);
        }
    }

    pub(super) fn state_groups(&mut self, stamp: &Stamp, groups: &BTreeSet<GroupId>) {
        if !self.counts(stamp) || self.groups_as_of.as_ref() > Some(stamp) {
            return;
        }
        self.groups_as_of = Some(stamp.clone());
        self.edges.retain(|_, edge| edge.stamp >= *stamp);
        for group in groups {
            self.state_edge(stamp, group, true);
        }
    }

    pub(super) fn state_member(&mut self, stamp: &Stamp, group: &GroupId, member: bool) {
        if self.counts(stamp) && self.groups_as_of.as_ref() <= Some(stamp) {
            self.state_edge(stamp, group, member);
        }
    }

    pub(super) fn state_gone(&mut self, stamp: &Stamp) {
        if !self.counts(stamp) {
            return;
        }
        self.gone = Some(stamp.clone());
        self.profile.take_if(|fact| fact.stamp <= *stamp);
        self.active.take_if(|fact| fact.stamp <= *stamp);
        self.provider_roles.take_if(|fact| fact.stamp <= *stamp);
        self.groups_as_of.take_if(|as_of| *as_of <= *stamp);
        self.edges.retain(|_, edge| edge.stamp > *stamp);
    }

    /// Whether a fact of that time can still matter.
    fn counts(&self, stamp: &Stamp) -> bool {
        self.gone.as_ref().is_none_or(|gone| stamp > gone)
    }

    /// Notes a membership. One event that says both in and out says out.
    fn state_edge(&mut self, stamp: &Stamp, group: &GroupId, member: bool) {
        match self.edges.get_mut(group) {
            Some(edge) if edge.stamp > *stamp => {}
            Some(edge) if edge.stamp == *stamp => edge.value &= member,
            Some(edge) => *edge = Stamped { stamp: stamp.clone(), value: member },
            None => {
                self.edges.insert(group.clone(), Stamped { stamp: stamp.clone(), value: member });
            }
        }
    }
}

/// Which event stated what of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserStamps<'a> {
    /// The profile.
    pub profile: Option<&'a Stamp>,
    /// Whether they may have access.
    pub active: Option<&'a Stamp>,
    /// The provider's own roles.
    pub provider_roles: Option<&'a Stamp>,
    /// The last deletion.
    pub gone: Option<&'a Stamp>,
}
