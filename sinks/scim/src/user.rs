//! One user, from the change to the outcome.

use rolecall_sink_api::{Action, Change, Document, Outcome, User, UserId};
use rolecall_sink_http::Halt;

use crate::attribute::Attributes;
use crate::config::{OnDeactivate, OnDelete};
use crate::edit::edits;
use crate::mapping::nobody;
use crate::members::Membership;
use crate::resource::Resource;
use crate::service::ResourceType;
use crate::work::{ROUNDS, Round, Work, Written, applied, rejected};

/// What is always written, whatever the application's schemas say.
pub(crate) const ALWAYS: [&str; 3] = ["userName", "externalId", "active"];

impl Work<'_> {
    /// Brings a user up to date.
    pub(crate) async fn user(&self, change: &Change, id: &UserId) -> Result<Outcome, Halt> {
        let leavers = self.sink.leavers;
        match &change.desired {
            Some(Document::User(user)) if user.active => self.with_access(change, user).await,
            Some(Document::User(user)) => match leavers.on_deactivate {
                OnDeactivate::Deactivate => self.without_access(change, user, Action::Deactivated).await,
                OnDeactivate::Delete => self.removed(change, user, Action::Deactivated).await,
            },
            _ => {
                let last = change.attempted_user().or(change.applied_user());
                let mut user = last.cloned().unwrap_or_else(|| nobody(id));
                user.active = false;
                user.groups.clear();
                user.roles.clear();
                match leavers.on_delete {
                    OnDelete::Deactivate => self.without_access(change, &user, Action::Deleted).await,
                    OnDelete::Delete => self.removed(change, &user, Action::Deleted).await,
                }
            }
        }
    }

    async fn with_access(&self, change: &Change, user: &User) -> Result<Outcome, Halt> {
        let of = &self.service.users;
        let desired = self.attributes(of, user)?;
        let before = self.before(of, change);
        let mut rounds = 0;
        loop {
            rounds += 1;
            match self.give_access(change, user, &desired, &before).await? {
                Round::Again(_) if rounds < ROUNDS => {}
                Round::Settled(outcome) | Round::Again(outcome) => return Ok(outcome),
            }
        }
    }

    async fn give_access(
        &self,
        change: &Change,
        user: &User,
        desired: &Attributes,
        before: &[Attributes],
    ) -> Result<Round, Halt> {
        let of = &self.service.users;
        let found = match self.located(change, user).await? {
            Some(found) => Some(found),
            None => self.other_account(of, user, desired).await?,
        };
        let Some(found) = found else {
            let made = match self.make(of, desired).await? {
                Ok(made) => made,
                Err(again) => return Ok(again),
            };
            self.members(&made, &Membership::of_new(user)).await?;
            return Ok(Round::Settled(applied(made, Action::Created)));
        };
        let edits = edits(&found.attributes, desired, before);
        if let Some(again) = self.put_right(of, &found, &edits).await? {
            return Ok(again);
        }
        let moved = self.members(&found.id, &Membership::of(change, user)).await?;
        let action = match (edits.is_empty(), moved) {
            (true, false) => Action::Unchanged,
            (false, _) if !found.active() => Action::Reactivated,
            _ => Action::Updated,
        };
        Ok(Round::Settled(applied(found.id, action)))
    }

    /// Takes access and roles away; a user who is not there has none.
    async fn without_access(&self, change: &Change, user: &User, action: Action) -> Result<Outcome, Halt> {
        let before = self.roles_before(&self.service.users, change);
        let mut rounds = 0;
        loop {
            rounds += 1;
            match self.take_access(change, user, action, &before).await? {
                Round::Again(_) if rounds < ROUNDS => {}
                Round::Settled(outcome) | Round::Again(outcome) => return Ok(outcome),
            }
        }
    }

    async fn take_access(
        &self,
        change: &Change,
        user: &User,
        action: Action,
        before: &[Attributes],
    ) -> Result<Round, Halt> {
        let Some(found) = self.located(change, user).await? else {
            let remote = change.remote.clone();
            return Ok(Round::Settled(Outcome::Applied { remote, action: Action::Unchanged, again: None }));
        };
        let edits = edits(&found.attributes, &self.sink.mapping.leaver(), before);
        if let Some(again) = self.put_right(&self.service.users, &found, &edits).await? {
            return Ok(again);
        }
        let left = self.members(&found.id, &Membership::of_leaver(change, user)).await?;
        let action = if edits.is_empty() && !left { Action::Unchanged } else { action };
        Ok(Round::Settled(applied(found.id, action)))
    }

    /// Removes a user.
    async fn removed(&self, change: &Change, user: &User, action: Action) -> Result<Outcome, Halt> {
        let Some(found) = self.located(change, user).await? else {
            return Ok(Outcome::Applied {
                remote: change.remote.clone(),
                action: Action::Unchanged,
                again: None,
            });
        };
        match self.delete(&self.service.users, &found.id).await? {
            Written::Done(_) => Ok(applied(found.id, action)),
            Written::Missing(_) => Ok(applied(found.id, Action::Unchanged)),
            Written::Stale(said) | Written::Taken(said) => Err(rejected(said)),
        }
    }

    /// The user as the application has them. Of somebody who goes, not enough may be known to have an `externalId`.
    async fn located(&self, change: &Change, user: &User) -> Result<Option<Resource>, Halt> {
        let external_id = self.sink.mapping.external_id(user).map_err(|why| self.reject(&why))?;
        self.locate(&self.service.users, change.remote.as_ref(), external_id.as_deref()).await
    }

    /// What should be there.
    fn attributes(&self, of: &ResourceType, user: &User) -> Result<Attributes, Halt> {
        let mut attributes = self.sink.mapping.user(user).map_err(|why| self.reject(&why))?;
        of.schemas.fit(&mut attributes, &ALWAYS);
        Ok(attributes)
    }

    /// What was ours, as far as is known. What cannot be rendered any more was not written either.
    fn before(&self, of: &ResourceType, change: &Change) -> Vec<Attributes> {
        let ours = [change.applied_user(), change.attempted_user()];
        ours.into_iter().flatten().filter_map(|user| self.attributes(of, user).ok()).collect()
    }

    fn roles_before(&self, of: &ResourceType, change: &Change) -> Vec<Attributes> {
        let ours = [change.applied_user(), change.attempted_user()];
        let roles = ours.into_iter().flatten().map(|user| self.sink.mapping.roles(user));
        roles
            .map(|mut roles| {
                of.schemas.fit(&mut roles, &[]);
                roles
            })
            .collect()
    }
}
