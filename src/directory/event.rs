//! Events: facts with a time.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use rolecall_sink_api::{GroupId, OrganizationId, Profile, UserId};
use serde::{Deserialize, Serialize};

/// An event's identity as its sender names it (Scalekit: `evt_…`): the same in every retry.
///
/// Ordered as numbers that grow: the shorter id first, then by bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Arc<str>);

impl EventId {
    /// Wraps the id as given.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ord for EventId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for EventId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// When a fact became true and which event says so: the total order by which the last writer wins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// The time the event states.
    pub at: Timestamp,
    /// The event; decides between equal times.
    pub event: EventId,
}

/// A directory's id at the source (Scalekit: `dir_…`): one connection to one identity provider.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DirectoryId(pub String);

/// One event: facts that became true at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When, and the event's own id.
    pub stamp: Stamp,
    /// What it says. Applied as a whole or not at all; order within it does not matter.
    pub facts: Vec<Fact>,
}

impl Event {
    /// The same event, with the source that it came through.
    pub fn through(mut self, source: &str) -> Self {
        for fact in &mut self.facts {
            if let Fact::UserProfile { origin, .. } = fact {
                origin.source = Some(source.to_owned());
            }
        }
        self
    }

    /// The users whom it says something about, repeats included.
    pub fn users(&self) -> impl Iterator<Item = &UserId> {
        self.facts.iter().filter_map(|fact| match fact {
            Fact::UserProfile { user, .. }
            | Fact::UserActive { user, .. }
            | Fact::UserProviderRoles { user, .. }
            | Fact::UserGroups { user, .. }
            | Fact::UserGone { user }
            | Fact::Member { user, .. } => Some(user),
            _ => None,
        })
    }

    /// The groups that it says something about, repeats included. A membership says something about its user.
    pub fn groups(&self) -> impl Iterator<Item = &GroupId> {
        self.facts.iter().filter_map(|fact| match fact {
            Fact::GroupProfile { group, .. } | Fact::GroupNamed { group, .. } | Fact::GroupGone { group } => {
                Some(group)
            }
            _ => None,
        })
    }

    /// The connections to identity providers that it says something about.
    pub fn connections(&self) -> impl Iterator<Item = &DirectoryId> {
        self.facts.iter().filter_map(|fact| match fact {
            Fact::Directory { directory, .. } => Some(directory),
            _ => None,
        })
    }
}

/// One thing that an event states.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// The user exists with exactly this profile: an attribute that is absent is not set.
    UserProfile {
        /// Who.
        user: UserId,
        /// The organization, where stated.
        organization: Option<OrganizationId>,
        /// Where the user comes from.
        origin: Origin,
        /// All attributes.
        profile: Box<Profile>,
    },
    /// The user may (not) have access. Never stated: they may.
    UserActive {
        /// Who.
        user: UserId,
        /// Whether they may.
        active: bool,
    },
    /// The roles that the provider itself gives the user; input to the rules.
    UserProviderRoles {
        /// Who.
        user: UserId,
        /// All of them.
        roles: BTreeSet<String>,
    },
    /// The user is in exactly these groups.
    UserGroups {
        /// Who.
        user: UserId,
        /// All of them.
        groups: BTreeSet<GroupId>,
    },
    /// The user is gone, from every group too. Every older fact about them is void for good.
    UserGone {
        /// Who.
        user: UserId,
    },
    /// The group exists with exactly this profile.
    GroupProfile {
        /// Which.
        group: GroupId,
        /// All attributes.
        profile: GroupProfile,
    },
    /// The group exists and has this name, said in passing by a user's group list.
    GroupNamed {
        /// Which.
        group: GroupId,
        /// Its name, where stated.
        name: Option<String>,
        /// Its organization: the user's, where stated.
        organization: Option<OrganizationId>,
    },
    /// The group is gone. Every older fact about it, memberships included, is void for good.
    GroupGone {
        /// Which.
        group: GroupId,
    },
    /// The user is (not) in the group. Two of these in one event that disagree: the user is out.
    Member {
        /// Which group.
        group: GroupId,
        /// Who.
        user: UserId,
        /// Whether they are in it.
        member: bool,
    },
    /// The connection to an identity provider was enabled or disabled. Changes no user: it is shown.
    Directory {
        /// Which connection.
        directory: DirectoryId,
        /// Whose.
        organization: Option<OrganizationId>,
        /// Okta, Entra ID, …
        provider: Option<String>,
        /// Whether it is enabled.
        enabled: bool,
    },
}

/// Where what is stated of a user comes from, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The connection to the identity provider that has the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<DirectoryId>,
    /// The source that the event came through. No source knows its own name: it is put there when it is merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Origin {
    /// Whether nothing is known.
    pub(super) fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// What a group event states of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupProfile {
    /// The name, for people; where it is missing the group goes by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The organization, where stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The identity provider's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}
