//! The merge: from events to what is true.
//!
//! Commutative, associative and idempotent: a set of events leads to one directory, in whatever order, how
//! often and in whatever portions they come.

use std::collections::BTreeMap;

use rolecall_sink_api::{GroupId, OrganizationId, UserId};
use serde::{Deserialize, Serialize};

use super::{DirectoryId, Event, Fact, GroupState, Stamp, UserState};

/// Users, groups and connections to identity providers, as the events state them. It may hold a part only: what
/// a batch of events needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Directory {
    /// Users, those only heard of and deleted ones included.
    pub users: BTreeMap<UserId, UserState>,
    /// Groups, those only heard of and deleted ones included.
    pub groups: BTreeMap<GroupId, GroupState>,
    /// Connections to identity providers.
    pub connections: BTreeMap<DirectoryId, Connection>,
}

/// A connection to an identity provider, as last announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// What announced it.
    pub stamp: Stamp,
    /// Whose it is.
    pub organization: Option<OrganizationId>,
    /// Okta, Entra ID, …
    pub provider: Option<String>,
    /// Whether it is enabled.
    pub enabled: bool,
}

impl Directory {
    /// Takes in what an event states. What is known of everybody it [speaks of](Event::users) must be here.
    pub fn merge(&mut self, event: Event) {
        let stamp = event.stamp;
        for fact in event.facts {
            self.merge_fact(&stamp, fact);
        }
    }

    fn merge_fact(&mut self, stamp: &Stamp, fact: Fact) {
        match fact {
            Fact::UserProfile { user, organization, origin, profile } => {
                self.user(user).state_profile(stamp, organization, origin, profile);
            }
            Fact::UserActive { user, active } => self.user(user).state_active(stamp, active),
            Fact::UserProviderRoles { user, roles } => self.user(user).state_provider_roles(stamp, roles),
            Fact::UserGroups { user, groups } => self.user(user).state_groups(stamp, &groups),
            Fact::UserGone { user } => self.user(user).state_gone(stamp),
            Fact::Member { group, user, member } => self.user(user).state_member(stamp, &group, member),
            Fact::GroupProfile { group, profile } => self.group(group).state_profile(stamp, profile),
            Fact::GroupNamed { group, name, organization } => {
                self.group(group).state_named(stamp, name, organization);
            }
            Fact::GroupGone { group } => self.group(group).state_gone(stamp),
            Fact::Directory { directory, organization, provider, enabled } => {
                let newer = self.connections.get(&directory).is_none_or(|held| held.stamp < *stamp);
                if newer {
                    let connection = Connection { stamp: stamp.clone(), organization, provider, enabled };
                    self.connections.insert(directory, connection);
                }
            }
        }
    }

    fn user(&mut self, id: UserId) -> &mut UserState {
        self.users.entry(id).or_default()
    }

    fn group(&mut self, id: GroupId) -> &mut GroupState {
        self.groups.entry(id).or_default()
    }
}
