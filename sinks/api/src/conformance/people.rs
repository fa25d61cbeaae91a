//! The people and groups that the cases are about, for a sink's own tests too.

use crate::{Change, Document, Entity, Group, GroupId, OrganizationId, Profile, RoleName, User, UserId};

/// An active user with a full profile, no groups and no roles. `id` is also their sign-in name.
pub fn user(id: &str) -> User {
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
pub fn group(id: &str) -> Group {
    Group {
        id: GroupId::new(id),
        organization: Some(OrganizationId::new("org_1")),
        name: format!("{id} team"),
        external_id: Some(format!("ext-{id}")),
    }
}

/// The name of the user with this id.
pub fn user_entity(id: &str) -> Entity {
    Entity::User(UserId::new(id))
}

/// The name of the group with this id.
pub fn group_entity(id: &str) -> Entity {
    Entity::Group(GroupId::new(id))
}

/// Says in a sentence's order what a user should be: `user("ada").within(&[&staff]).with_roles(&["admin"])`.
pub trait UserExt {
    /// In these groups and in no others.
    #[must_use]
    fn within(self, groups: &[&Group]) -> Self;
    /// With these roles and no others.
    #[must_use]
    fn with_roles(self, roles: &[&str]) -> Self;
    /// With this display name.
    #[must_use]
    fn called(self, display_name: &str) -> Self;
    /// With this title.
    #[must_use]
    fn titled(self, title: &str) -> Self;
    /// As the daemon hands over a deactivated user: known, in their groups, without roles.
    #[must_use]
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

    fn titled(mut self, title: &str) -> Self {
        self.profile.title = Some(title.to_owned());
        self
    }

    fn deactivated(mut self) -> Self {
        self.active = false;
        self.roles.clear();
        self
    }
}

/// A change of which nothing was attempted before: `desired` should be true, or with `None` the entity should be gone.
pub fn change(entity: Entity, desired: Option<Document>, generation: u64) -> Change {
    Change {
        idempotency_key: format!("app/{entity}/{generation}"),
        entity,
        desired,
        applied: None,
        attempted: None,
        remote: None,
        generation,
        attempt: 1,
    }
}

/// A change to what this user should be.
pub fn put_user(user: User, generation: u64) -> Change {
    let document = Document::User(Box::new(user));
    change(document.entity(), Some(document), generation)
}

/// A change to what this group should be.
pub fn put_group(group: Group, generation: u64) -> Change {
    let document = Document::Group(group);
    change(document.entity(), Some(document), generation)
}

/// The end of a user.
pub fn remove_user(id: &str, generation: u64) -> Change {
    change(user_entity(id), None, generation)
}

/// The end of a group.
pub fn remove_group(id: &str, generation: u64) -> Change {
    change(group_entity(id), None, generation)
}
