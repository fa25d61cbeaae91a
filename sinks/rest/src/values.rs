//! What templates see.

use rolecall_sink_api::{Group, GroupId, Profile, RemoteId, User, UserId};
use serde::Serialize;

use crate::plan::About;

/// The variables of one request.
#[derive(Debug, Serialize)]
pub(crate) struct Values<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a User>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<GroupValues<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remote: Option<&'a RemoteId>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum GroupValues<'a> {
    Whole(&'a Group),
    OfMember { id: &'a str, name: &'a str, remote: Option<&'a RemoteId> },
}

/// The variables for a request about `about`: `remote` is the application's id of the user or group,
/// `group_remote` that of the group a user joins or leaves.
pub(crate) fn context<'a>(
    about: &'a About,
    remote: Option<&'a RemoteId>,
    group_remote: Option<&'a RemoteId>,
) -> Values<'a> {
    let mut values = Values { user: None, group: None, role: None, remote };
    match about {
        About::User(user) => values.user = Some(user),
        About::Group(group) => values.group = Some(GroupValues::Whole(group)),
        About::Member(user, id, name) => {
            values.user = Some(user);
            values.group = Some(GroupValues::OfMember { id: id.as_str(), name, remote: group_remote });
        }
        About::Role(user, role) => {
            values.user = Some(user);
            values.role = Some(role.as_str());
        }
    }
    values
}

/// A user of whom only the id is known: one who goes and was never confirmed.
pub(crate) fn unknown_user(id: &UserId) -> User {
    User {
        id: id.clone(),
        organization: None,
        active: false,
        profile: Profile::default(),
        groups: std::collections::BTreeMap::new(),
        roles: std::collections::BTreeSet::new(),
    }
}

/// A group of which only the id is known.
pub(crate) fn unknown_group(id: &GroupId) -> Group {
    Group { id: id.clone(), organization: None, name: String::new(), external_id: None }
}
