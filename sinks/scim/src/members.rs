//! Who is in which group: a user comes or goes, and all other members stay as they are. Those who do so at once are made
//! one request by the writer.

use std::collections::BTreeSet;

use rolecall_sink_api::{Change, GroupId, Outcome, RemoteId, User};
use rolecall_sink_http::Halt;
use serde_json::json;

use crate::attribute::{Attributes, Path};
use crate::edit::{Edit, Selector};
use crate::resource::Resource;
use crate::service::ResourceType;
use crate::work::{ROUNDS, Work, Written, rejected};

/// What is to be done about a user's groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Membership {
    leaves: BTreeSet<GroupId>,
    joins: BTreeSet<GroupId>,
}

impl Membership {
    /// Of a user who was made just now, and is in no group.
    pub(crate) fn of_new(user: &User) -> Self {
        Self { leaves: BTreeSet::new(), joins: user.groups.keys().cloned().collect() }
    }

    /// Of a user who is there: what was given is known from what was confirmed, and from the attempts since.
    pub(crate) fn of(change: &Change, user: &User) -> Self {
        // A change that is asked for although all was confirmed is there to put right what was changed behind our
        // back.
        let doubtful = change.attempted.is_some() || change.applied == change.desired;
        let confirmed = change.applied_user().filter(|applied| applied.active && !doubtful);
        let joins =
            user.groups.keys().filter(|id| confirmed.is_none_or(|user| !user.groups.contains_key(*id)));
        Self { joins: joins.cloned().collect(), ..Self::of_leaver(change, user) }
    }

    /// Of a user without access: they join nothing.
    pub(crate) fn of_leaver(change: &Change, user: &User) -> Self {
        let given = change.applied_user().into_iter().chain(change.attempted_user());
        let given = given.flat_map(|user| user.groups.keys());
        let leaves = given.filter(|id| !user.groups.contains_key(*id)).cloned().collect();
        Self { leaves, joins: BTreeSet::new() }
    }
}

/// What became of one membership.
enum Changed {
    /// It was changed.
    Done,
    /// It was so already.
    AsItWas,
    /// There is no such group.
    NoGroup,
}

impl Work<'_> {
    /// Takes a user out of groups and puts them into others; whether anything was done.
    pub(crate) async fn members(&self, user: &str, membership: &Membership) -> Result<bool, Halt> {
        let Some(of) = self.service.groups.as_ref().filter(|_| self.sink.mapping.has_groups()) else {
            return Ok(false);
        };
        let path = Path::new(None, "members");
        let mut done = false;
        for id in &membership.leaves {
            let leave = Edit::RemoveItem { path: path.clone(), item: Selector::value(user) };
            done |= matches!(self.member(of, id, user, leave).await?, Changed::Done);
        }
        let mut missing = None;
        for id in &membership.joins {
            let join = Edit::Add { path: path.clone(), items: vec![json!({ "value": user })] };
            match self.member(of, id, user, join).await? {
                Changed::Done => done = true,
                Changed::AsItWas => {}
                Changed::NoGroup => missing = Some(id),
            }
        }
        match missing {
            Some(id) => {
                let reason = self.about(&format!("the application does not have group {id} yet"));
                // The rest went through: what was made is known from now on.
                Err(Halt::Settled(Outcome::retry(reason).with_remote(Some(RemoteId::new(user)))))
            }
            None => Ok(done),
        }
    }

    async fn member(&self, of: &ResourceType, id: &GroupId, user: &str, edit: Edit) -> Result<Changed, Halt> {
        let joins = matches!(edit, Edit::Add { .. });
        for _ in 0..ROUNDS {
            let Some(group) = self.group_of_member(of, id).await? else { return Ok(Changed::NoGroup) };
            if !self.service.patch && is_member(&group, user) == joins {
                return Ok(Changed::AsItWas);
            }
            match self.modify(of, &group, std::slice::from_ref(&edit)).await? {
                Written::Done(_) => return Ok(Changed::Done),
                // The id that was remembered is not that of the group any more, or the group is gone.
                Written::Missing(_) => self.sink.group_ids.put(id, None),
                Written::Stale(_) if !self.service.patch => {}
                // Who should leave is not in it, or who should join is: some applications say so.
                Written::Stale(_) if !joins => return Ok(Changed::AsItWas),
                Written::Taken(_) if joins => return Ok(Changed::AsItWas),
                Written::Stale(said) | Written::Taken(said) => return Err(rejected(said)),
            }
        }
        Ok(Changed::NoGroup)
    }

    /// The group, as far as its members are to be changed: with PATCH, the id is enough.
    async fn group_of_member(&self, of: &ResourceType, id: &GroupId) -> Result<Option<Resource>, Halt> {
        let remote = match self.sink.group_ids.get(id) {
            Some(remote) => remote,
            None => {
                let Some(found) = self.find(of, "externalId", id.as_str()).await? else { return Ok(None) };
                let remote = RemoteId::new(found.id);
                self.sink.group_ids.put(id, Some(&remote));
                remote
            }
        };
        if self.service.patch {
            let id = remote.as_str().to_owned();
            return Ok(Some(Resource { id, version: None, attributes: Attributes::new() }));
        }
        let group = self.get(of, remote.as_str()).await?;
        if group.is_none() {
            self.sink.group_ids.put(id, None);
        }
        Ok(group)
    }
}

fn is_member(group: &Resource, user: &str) -> bool {
    let member = Selector::value(user);
    Path::new(None, "members").items(&group.attributes).iter().any(|item| member.matches(item))
}

#[cfg(test)]
mod tests;
