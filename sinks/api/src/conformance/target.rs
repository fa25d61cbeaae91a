//! What a tester tells the suite about the target.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{GroupId, RoleName, Sink, User, UserId};

/// What went wrong in the tester's own code; it ends the case.
pub type TargetError = Box<dyn std::error::Error + Send + Sync>;

/// A target to test a sink against: a real server, and the means to look into it without the sink.
///
/// Configure the sink so that the target keeps the source's ids of users and groups, in whatever field it has
/// for them; [`Target::held`] reports by those.
#[async_trait]
pub trait Target: Send + Sync {
    /// What the target and the sink's configuration make possible. The default is everything.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Empties the target of users and groups, unmanaged ones too. No sink is alive when it is called.
    async fn empty(&self) -> Result<(), TargetError>;

    /// A sink on the target as it stands, as after a start of the daemon. The sink before it is gone.
    async fn sink(&self) -> Result<Box<dyn Sink>, TargetError>;

    /// What the target holds now, read without the sink. Leave out what is unmanaged, and what is marked as
    /// deleted and has lost all access.
    ///
    /// # Errors
    /// Also when the target holds two users or two groups with one id: a copy is what a sink must never make.
    async fn held(&self) -> Result<Held, TargetError>;

    /// Puts users and groups into the target as somebody else would have: without the source's ids, and with
    /// one account that has the same sign-in name and email address as `twin`. The default does nothing, and
    /// leaves the case out.
    async fn seed_unmanaged(&self, twin: &User) -> Result<(), TargetError> {
        let _ = twin;
        Ok(())
    }

    /// Everything about what [`Target::seed_unmanaged`] made, as text that is equal when nothing changed;
    /// `None` where nothing was made.
    async fn unmanaged(&self) -> Result<Option<String>, TargetError> {
        Ok(None)
    }

    /// Changes a user into one that this target refuses for good, and the sink rejects. The default knows none, and
    /// leaves the case out.
    fn refused(&self, user: User) -> Option<User> {
        let _ = user;
        None
    }

    /// Takes the target down so that it cannot be reached, keeping what it holds; `false` where that cannot
    /// be done.
    async fn stop(&self) -> Result<bool, TargetError> {
        Ok(false)
    }

    /// Brings the target back after [`Target::stop`], and waits until it is ready.
    async fn start(&self) -> Result<(), TargetError> {
        Ok(())
    }
}

/// What a target can hold, and how the sink under test is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// How the target keeps groups. Default: as entities.
    pub groups: Groups,
    /// Whether it keeps roles. Default: yes.
    pub roles: bool,
    /// What becomes of a deactivated user. Default: kept.
    pub inactive: Inactive,
    /// The attributes that [`Target::held`] reads back. Default: all of them.
    pub attributes: BTreeSet<Attribute>,
    /// The number of changes in the large batch. Default: 200. Say 10,000, which is the most that `delivery.batch`
    /// allows, where that takes minutes and not hours.
    pub large_batch: usize,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            groups: Groups::Entities,
            roles: true,
            inactive: Inactive::Kept,
            attributes: BTreeSet::from([Attribute::UserName, Attribute::Email, Attribute::DisplayName]),
            large_batch: 200,
        }
    }
}

/// How a target keeps groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Groups {
    /// As entities with an id and a name, that users are members of.
    Entities,
    /// Only as a list on each user.
    OnUsers,
    /// Not at all.
    None,
}

/// What becomes of a deactivated user in the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Inactive {
    /// They stay, without access.
    Kept,
    /// They are removed, and made again when they come back.
    Removed,
}

/// An attribute that the suite sets to hostile values and reads back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Attribute {
    /// The name the user signs in with.
    UserName,
    /// The email address.
    Email,
    /// The full name.
    DisplayName,
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Attribute::UserName => "user_name",
            Attribute::Email => "email",
            Attribute::DisplayName => "display_name",
        })
    }
}

/// What a target holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The users, by the source's id.
    pub users: BTreeMap<UserId, HeldUser>,
    /// The groups, by the source's id; empty where groups are no entities.
    pub groups: BTreeMap<GroupId, HeldGroup>,
}

/// A user in the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldUser {
    /// Whether the user has access.
    pub active: bool,
    /// The groups the user is in, by the source's id.
    pub groups: BTreeSet<GroupId>,
    /// The roles the user has.
    pub roles: BTreeSet<RoleName>,
    /// The attributes named in [`Capabilities::attributes`], where they are set.
    pub attributes: BTreeMap<Attribute, String>,
}

/// A group in the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldGroup {
    /// The group's name.
    pub name: String,
}
