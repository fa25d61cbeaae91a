//! What other rules would change, before they do.

use std::collections::BTreeSet;

use rolecall_sink_api::{RoleName, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Rulebook, RulebookError, parsed};
use crate::store::{Cursor, desired};

/// How many users are looked at for one page.
const PAGE: u32 = 5000;

/// What rules would change for some users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanPage {
    /// How many users were looked at.
    pub users: u64,
    /// Those of them who would have other roles.
    pub changes: Vec<RoleChange>,
    /// Go on behind this one; none on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}

/// The roles that a user would gain and lose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoleChange {
    /// Who.
    pub id: UserId,
    /// What they go by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Roles that they do not have and would have.
    pub gains: BTreeSet<RoleName>,
    /// Roles that they have and would not have.
    pub losses: BTreeSet<RoleName>,
}

impl Rulebook {
    /// What rules called `name` would change, were they put into force now: compared with the roles that everybody has.
    /// Nothing is changed by it.
    ///
    /// # Errors
    /// When the rules are wrong or the store cannot be read.
    pub async fn plan(
        &self,
        name: &str,
        text: &str,
        after: Option<Cursor>,
    ) -> Result<PlanPage, RulebookError> {
        let (rules, _) = parsed(name.to_owned(), text.to_owned()).await?;
        let people = self.store.people(after, PAGE).await?;
        let now = (self.clock)();
        let compare = move || {
            let is_last = people.len() < PAGE as usize;
            let next = people.last().map(|person| person.cursor).filter(|_| !is_last);
            let users = people.len() as u64;
            let changes = people.into_iter().filter_map(|person| {
                let roles = desired::decide(&person.state, &person.groups, &rules, now).roles;
                let change = RoleChange {
                    gains: roles.difference(&person.roles).cloned().collect(),
                    losses: person.roles.difference(&roles).cloned().collect(),
                    name: person.state.profile().and_then(|p| p.user_name.clone().or(p.email.clone())),
                    id: person.id,
                };
                (!change.gains.is_empty() || !change.losses.is_empty()).then_some(change)
            });
            PlanPage { users, changes: changes.collect(), next }
        };
        // Some thousand evaluations at once would keep others from the runtime's thread.
        tokio::task::spawn_blocking(compare)
            .await
            .map_err(|error| RulebookError::Wrong(format!("trying the rules failed: {error}")))
    }
}
