//! The people and groups that the cases are about.

use crate::{Entity, Group, GroupId, OrganizationId, Profile, RoleName, User, UserId};

/// An active user with a full profile, no groups and no roles. `id` is also their sign-in name.
pub(super) fn user(id: &str) -> User {
    User {
        id: UserId::new(id),
        organization: Some(OrganizationId::new("org_1")),
        active: true,
        profile: Profile {
            external_id: Some(format!("ext-{id}")),
            user_name: Some(id.to_owned()),
            email: Some(format!("{id}@example.com")),
            display_name: Some(format!("{id} Example")),
            given_name: Some(id.to_owned()),
            family_name: Some("Example".to_owned()),
            ..Profile::default()
        },
        groups: std::collections::BTreeMap::default(),
        roles: std::collections::BTreeSet::default(),
    }
}

/// A group named after its id.
pub(super) fn group(id: &str) -> Group {
    Group {
        id: GroupId::new(id),
        organization: Some(OrganizationId::new("org_1")),
        name: format!("{id} team"),
        external_id: Some(format!("ext-{id}")),
    }
}

pub(super) fn user_entity(id: &str) -> Entity {
    Entity::User(UserId::new(id))
}

pub(super) fn group_entity(id: &str) -> Entity {
    Entity::Group(GroupId::new(id))
}

/// Says in a sentence's order what a user should be: `user("ada").within(&[&staff]).with_roles(&["admin"])`.
pub(super) trait UserExt {
    fn within(self, groups: &[&Group]) -> Self;
    fn with_roles(self, roles: &[&str]) -> Self;
    fn called(self, display_name: &str) -> Self;
    /// As the daemon hands over a deactivated user: known, in their groups, without roles.
    fn deactivated(self) -> Self;
}

impl UserExt for User {
    fn within(mut self, groups: &[&Group]) -> Self {
        self.groups = groups.iter().map(|group| (group.id.clone(), group.name.clone())).collect();
        self
    }

    fn with_roles(mut self, roles: &[&str]) -> Self {
        self.roles = roles.iter().map(|role| RoleName::new(*role)).collect();
        self
    }

    fn called(mut self, display_name: &str) -> Self {
        self.profile.display_name = Some(display_name.to_owned());
        self
    }

    fn deactivated(mut self) -> Self {
        self.active = false;
        self.roles.clear();
        self
    }
}
