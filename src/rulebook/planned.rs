//! A plan as people read it: changes counted by role, and those who change alike together.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_sink_api::{RoleName, UserId};
use serde::Serialize;

use super::{PlanPage, RoleChange};

/// What rules would change for everybody: the pages of a plan, added up.
#[derive(Debug, Default)]
pub struct Planned {
    /// How many users were looked at.
    pub users: u64,
    /// How many of them would have other roles.
    pub changed: u64,
    /// How many would gain and lose each role.
    pub roles: BTreeMap<RoleName, Counts>,
    alike: BTreeMap<(BTreeSet<RoleName>, BTreeSet<RoleName>), Alike>,
    named: usize,
}

/// How many users would gain and lose a role.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Would have it, and do not.
    pub gain: u64,
    /// Have it, and would not.
    pub lose: u64,
}

/// Users who would change alike.
#[derive(Debug, Default, Serialize)]
pub struct Alike {
    /// The roles that each would gain.
    pub gains: BTreeSet<RoleName>,
    /// The roles that each would lose.
    pub losses: BTreeSet<RoleName>,
    /// How many they are.
    #[serde(skip)]
    pub total: u64,
    /// The first of them.
    pub users: Vec<Somebody>,
}

/// A user, and what they go by.
#[derive(Debug, Serialize)]
pub struct Somebody {
    /// The id.
    pub id: UserId,
    /// The user name or email address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Planned {
    /// Nothing yet. Of those who change alike, so many are named and all are counted.
    pub fn naming(named: usize) -> Self {
        Self { named, ..Self::default() }
    }

    /// Adds a page of the plan.
    pub fn add(&mut self, page: PlanPage) {
        self.users += page.users;
        self.changed += page.changes.len() as u64;
        for RoleChange { id, name, gains, losses } in page.changes {
            for role in &gains {
                self.roles.entry(role.clone()).or_default().gain += 1;
            }
            for role in &losses {
                self.roles.entry(role.clone()).or_default().lose += 1;
            }
            let alike = self.alike.entry((gains, losses)).or_default();
            alike.total += 1;
            if alike.users.len() < self.named {
                alike.users.push(Somebody { id, name });
            }
        }
    }

    /// Those who change alike, most of them first.
    pub fn kinds(self) -> Vec<Alike> {
        let kinds = self.alike.into_iter();
        let mut kinds: Vec<Alike> =
            kinds.map(|((gains, losses), alike)| Alike { gains, losses, ..alike }).collect();
        // The sort is stable: those of equal number stay in the order of their roles.
        kinds.sort_by_key(|alike| std::cmp::Reverse(alike.total));
        kinds
    }
}
