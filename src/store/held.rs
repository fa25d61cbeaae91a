//! Who is in a hold, and what each of them would lose.

use std::fmt;

use rolecall_sink_api::{GroupId, RoleName, User};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{QueueItem, Withdrawal};

/// A change in a hold: about whom, as the sink knows them, and what it would take from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldItem {
    /// The change, as it stands in the sink's queue.
    #[serde(flatten)]
    pub item: QueueItem,
    /// The user's full name, or else what they log in as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Their email address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What they would lose as things are now; none when something newer gave it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loses: Option<Loss>,
}

/// What a user would lose in a sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Loss {
    /// How much of it.
    pub what: Losing,
    /// The roles.
    pub roles: Vec<RoleName>,
    /// The groups, by name.
    pub groups: Vec<String>,
}

/// How much a user would lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Losing {
    /// All of it: the sink must not have them any more.
    Account,
    /// They stay known, and cannot sign in.
    Access,
    /// Roles alone.
    Roles,
}

impl Losing {
    /// How much someone loses who had, or may have had, each of `before` and shall have `desired`.
    pub fn of<'a>(mut before: impl Iterator<Item = &'a User>, desired: Option<&User>) -> Option<Self> {
        match desired {
            None => before.next().map(|_| Losing::Account),
            Some(user) if !user.active => before.any(|before| before.active).then_some(Losing::Access),
            Some(user) => before.any(|before| !before.roles.is_subset(&user.roles)).then_some(Losing::Roles),
        }
    }

    /// As what it counts for a safeguard.
    pub fn withdrawal(self) -> Withdrawal {
        match self {
            Losing::Account | Losing::Access => Withdrawal::Removal,
            Losing::Roles => Withdrawal::Revocation,
        }
    }
}

impl Loss {
    /// What someone loses who has `before` and shall have `desired`.
    pub fn of(before: &User, desired: Option<&User>) -> Option<Self> {
        let what = Losing::of(std::iter::once(before), desired)?;
        let keeps_role = |role: &RoleName| desired.is_some_and(|user| user.roles.contains(role));
        let keeps_group = |id: &GroupId| desired.is_some_and(|user| user.groups.contains_key(id));
        Some(Self {
            what,
            roles: before.roles.iter().filter(|role| !keeps_role(role)).cloned().collect(),
            groups: before
                .groups
                .iter()
                .filter(|(id, _)| !keeps_group(id))
                .map(|(_, name)| name.clone())
                .collect(),
        })
    }
}

/// `account; roles engineer, member; groups Engineering`
impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        match self.what {
            Losing::Account => f.write_str("account")?,
            Losing::Access => f.write_str("access")?,
            Losing::Roles => {}
        }
        if self.what != Losing::Roles {
            between = "; ";
        }
        let roles = self.roles.iter().map(RoleName::as_str).collect::<Vec<_>>();
        let groups = self.groups.iter().map(String::as_str).collect::<Vec<_>>();
        for (one, many, names) in [("role", "roles", roles), ("group", "groups", groups)] {
            if !names.is_empty() {
                let kind = if names.len() == 1 { one } else { many };
                write!(f, "{between}{kind} {}", names.join(", "))?;
                between = "; ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(json: serde_json::Value) -> User {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn who_leaves_loses_all_that_they_have() {
        let ada = user(serde_json::json!({
            "id": "ada", "active": true, "groups": {"g1": "Engineering"}, "roles": ["engineer", "member"]}));
        let loss = Loss::of(&ada, None).unwrap();
        assert_eq!((loss.what, loss.what.withdrawal()), (Losing::Account, Withdrawal::Removal));
        assert_eq!(loss.to_string(), "account; roles engineer, member; group Engineering");

        let inactive = User { active: false, roles: [].into(), ..ada.clone() };
        assert_eq!(Loss::of(&ada, Some(&inactive)).unwrap().to_string(), "access; roles engineer, member");
        assert_eq!(Loss::of(&inactive, Some(&inactive)), None);
    }

    #[test]
    fn who_stays_loses_what_they_had_and_shall_not_have() {
        let before = user(serde_json::json!({
            "id": "ada", "active": true, "groups": {"g1": "Engineering", "g2": "Staff"},
            "roles": ["engineer", "member"]}));
        let after = user(serde_json::json!({
            "id": "ada", "active": true, "groups": {"g2": "Staff"}, "roles": ["member", "operator"]}));
        let loss = Loss::of(&before, Some(&after)).unwrap();
        assert_eq!(
            (loss.what.withdrawal(), loss.to_string()),
            (Withdrawal::Revocation, "role engineer; group Engineering".into())
        );
        assert_eq!(Loss::of(&after, Some(&after)), None);
    }
}
