//! What the target should hold, compared with what it holds.

use std::collections::BTreeSet;

use super::daemon::{Daemon, Entry};
use super::report::{Step, ensure};
use super::target::{Attribute, Capabilities, Groups, Held, HeldUser, Inactive};
use crate::{Entity, GroupId, Observed, ObservedGroup, ObservedUser, User};

impl Daemon<'_> {
    /// The target holds what was confirmed, all of it and nothing else. Entities whose outcome is not known
    /// may be there or not.
    pub(super) async fn expect_held(&self) -> Step {
        let held = self.target.held().await?;
        let mut wrong = Vec::new();
        for (entity, entry) in self.book.iter().filter(|(_, entry)| !entry.uncertain) {
            match entity {
                Entity::User(id) => {
                    let wanted = entry.applied.as_ref().and_then(|document| document.as_user());
                    let found = held.users.get(id);
                    // An inactive user who never had access need not be made.
                    if found.is_none() && wanted.is_some() && !self.must_be_there(entity, entry) {
                        continue;
                    }
                    if let Err(why) = self.compare_user(wanted, found) {
                        wrong.push(format!("{entity}: {why}"));
                    }
                }
                Entity::Group(id) if self.capabilities().groups == Groups::Entities => {
                    let wanted = entry.applied.as_ref().and_then(|document| document.as_group());
                    let wanted = wanted.map(|group| group.name.as_str());
                    let found = held.groups.get(id).map(|group| group.name.as_str());
                    if wanted != found {
                        wrong.push(format!("{entity}: its name should be {wanted:?} and is {found:?}"));
                    }
                }
                Entity::Group(_) => {}
            }
        }
        wrong.extend(self.strangers(&held));
        ensure(wrong.is_empty(), || wrong.join("\n"))
    }

    /// What `observe` reports is what was confirmed.
    pub(super) fn expect_observed(&self, observed: &[Observed]) -> Step {
        let mut seen = BTreeSet::new();
        let mut wrong = Vec::new();
        for item in observed {
            let Some((entity, entry)) = self.entry_of(item) else {
                wrong.push(format!("it reports what is not managed: {item:?}"));
                continue;
            };
            if !seen.insert(entity.clone()) {
                wrong.push(format!("{entity} is reported twice"));
            }
            match item {
                Observed::User(user) => {
                    let wanted = entry.applied.as_ref().and_then(|document| document.as_user());
                    if let Err(why) = self.compare_user(wanted, Some(&self.as_held(user, wanted))) {
                        wrong.push(format!("{entity}: {why}"));
                    }
                }
                Observed::Group(group) => {
                    let wanted = entry.applied.as_ref().and_then(|document| document.as_group());
                    if wanted.map(|wanted| &wanted.name) != Some(&group.name) {
                        wrong.push(format!("{entity}: reported as {:?}", group.name));
                    }
                }
            }
        }
        for (entity, entry) in &self.book {
            if self.must_be_there(entity, entry) && !seen.contains(entity) {
                wrong.push(format!("{entity} is not reported"));
            }
        }
        ensure(wrong.is_empty(), || wrong.join("\n"))
    }

    fn must_be_there(&self, entity: &Entity, entry: &Entry) -> bool {
        let capabilities = self.capabilities();
        match (entity, &entry.applied) {
            (_, None) => false,
            (Entity::Group(_), Some(_)) => capabilities.groups == Groups::Entities,
            (Entity::User(_), Some(document)) => {
                document.as_user().is_some_and(|user| user.active)
                    || (entry.had_access && capabilities.inactive == Inactive::Kept)
            }
        }
    }

    fn compare_user(&self, wanted: Option<&User>, found: Option<&HeldUser>) -> Result<(), String> {
        let capabilities = self.capabilities();
        let (wanted, found) = match (wanted, found) {
            (None, None) => return Ok(()),
            (None, Some(_)) => return Err("should be gone and is there".into()),
            (Some(_), None) => return Err("should be there and is not".into()),
            (Some(wanted), Some(found)) => (wanted, found),
        };
        if wanted.active != found.active {
            return Err(format!("active should be {} and is {}", wanted.active, found.active));
        }
        if capabilities.roles {
            // A user without access holds no roles, whatever the document says.
            let roles = if wanted.active { wanted.roles.clone() } else { BTreeSet::new() };
            if roles != found.roles {
                return Err(format!("the roles should be {roles:?} and are {:?}", found.roles));
            }
        }
        self.compare_groups(&capabilities, wanted, found)?;
        // What a user without access is called need not be kept up; it must be right when they come back.
        for attribute in capabilities.attributes.iter().filter(|_| wanted.active) {
            let (wanted, found) = (attribute.of(wanted), found.attributes.get(attribute));
            if wanted != found {
                return Err(format!("{attribute} should be {wanted:?} and is {found:?}"));
            }
        }
        Ok(())
    }

    fn compare_groups(
        &self,
        capabilities: &Capabilities,
        wanted: &User,
        found: &HeldUser,
    ) -> Result<(), String> {
        if capabilities.groups == Groups::None {
            return Ok(());
        }
        let allowed: BTreeSet<&GroupId> = wanted.groups.keys().collect();
        if let Some(extra) = found.groups.iter().find(|id| !allowed.contains(id)) {
            return Err(format!("is in group {extra} and should not be"));
        }
        // A membership can show only where its group is there, and a user without access may be in none.
        let shows = |id: &GroupId| {
            capabilities.groups == Groups::OnUsers || self.is_there(&Entity::Group(id.clone()))
        };
        match allowed.iter().find(|id| wanted.active && shows(id) && !found.groups.contains(**id)) {
            Some(missing) => Err(format!("should be in group {missing} and is not")),
            None => Ok(()),
        }
    }

    fn is_there(&self, entity: &Entity) -> bool {
        self.book.get(entity).is_some_and(|entry| !entry.uncertain && entry.applied.is_some())
    }

    /// What the target holds and the book has never heard of.
    fn strangers(&self, held: &Held) -> Vec<String> {
        let users = held.users.keys().map(|id| Entity::User(id.clone()));
        let groups = held.groups.keys().map(|id| Entity::Group(id.clone()));
        users
            .chain(groups)
            .filter(|entity| !self.book.contains_key(entity))
            .map(|entity| format!("{entity}: nobody asked for it"))
            .collect()
    }

    fn entry_of(&self, item: &Observed) -> Option<(&Entity, &Entry)> {
        let (id, remote) = match item {
            Observed::User(ObservedUser { id, remote, .. }) => (id.clone().map(Entity::User), remote),
            Observed::Group(ObservedGroup { id, remote, .. }) => (id.clone().map(Entity::Group), remote),
        };
        let is_user = matches!(item, Observed::User(_));
        let entity = match id {
            Some(entity) => entity,
            None => self.by_remote(remote, is_user)?,
        };
        let found = self.book.get_key_value(&entity)?;
        // The id that `apply` returned is the one that `observe` reports.
        found.1.remote.as_ref().is_none_or(|known| known == remote).then_some(found)
    }

    fn by_remote(&self, remote: &crate::RemoteId, is_user: bool) -> Option<Entity> {
        let mut found = self.book.iter().filter(|(entity, entry)| {
            matches!(entity, Entity::User(_)) == is_user && entry.remote.as_ref() == Some(remote)
        });
        found.next().map(|(entity, _)| entity.clone())
    }

    /// An observed user in the form in which held ones are compared; attributes are not observed.
    fn as_held(&self, user: &ObservedUser, wanted: Option<&User>) -> HeldUser {
        let groups = user.groups.iter().map(|remote| match self.by_remote(remote, false) {
            Some(Entity::Group(id)) => id,
            _ => GroupId::new(remote.as_str()),
        });
        let attributes = wanted.into_iter().flat_map(|user| {
            self.capabilities()
                .attributes
                .into_iter()
                .filter_map(|attribute| Some((attribute, attribute.of(user)?.clone())))
        });
        HeldUser {
            active: user.active,
            groups: groups.collect(),
            roles: user.roles.clone(),
            attributes: attributes.collect(),
        }
    }
}

impl Attribute {
    /// The attribute's value in `user`.
    pub(super) fn of(self, user: &User) -> Option<&String> {
        match self {
            Attribute::UserName => user.profile.user_name.as_ref(),
            Attribute::Email => user.profile.email.as_ref(),
            Attribute::DisplayName => user.profile.display_name.as_ref(),
        }
    }

    /// Sets the attribute in `user`.
    pub(super) fn set(self, user: &mut User, value: &str) {
        let place = match self {
            Attribute::UserName => &mut user.profile.user_name,
            Attribute::Email => &mut user.profile.email,
            Attribute::DisplayName => &mut user.profile.display_name,
        };
        *place = Some(value.to_owned());
    }
}
