//! One group, from the change to the outcome.

use rolecall_sink_api::{Action, Change, Document, Group, GroupId, Outcome};
use rolecall_sink_http::Halt;

use crate::attribute::Attributes;
use crate::edit::edits;
use crate::service::ResourceType;
use crate::work::{ROUNDS, Round, Work, Written, applied, rejected};

/// What is always written, whatever the application's schemas say.
pub(crate) const ALWAYS: [&str; 2] = ["displayName", "externalId"];

impl Work<'_> {
    /// Brings a group up to date. Who is in it is told with each user.
    pub(crate) async fn group(&self, change: &Change, id: &GroupId) -> Result<Outcome, Halt> {
        let Some(of) = self.service.groups.as_ref().filter(|_| self.sink.mapping.has_groups()) else {
            return Ok(Outcome::applied(Action::Unchanged));
        };
        let outcome = match &change.desired {
            Some(Document::Group(group)) => self.kept(of, change, group).await?,
            _ => self.dropped(of, change, id).await?,
        };
        if let Outcome::Applied { remote, .. } = &outcome {
            self.sink.group_ids.put(id, remote.as_ref().filter(|_| change.desired.is_some()));
        }
        Ok(outcome)
    }

    async fn kept(&self, of: &ResourceType, change: &Change, group: &Group) -> Result<Outcome, Halt> {
        let desired = self.group_attributes(of, group)?;
        let before = [change.applied_group(), change.attempted_group()];
        let before: Vec<Attributes> =
            before.into_iter().flatten().filter_map(|group| self.group_attributes(of, group).ok()).collect();
        let mut rounds = 0;
        loop {
            rounds += 1;
            match self.keep(of, change, group, &desired, &before).await? {
                Round::Again(_) if rounds < ROUNDS => {}
                Round::Settled(outcome) | Round::Again(outcome) => return Ok(outcome),
            }
        }
    }

    async fn keep(
        &self,
        of: &ResourceType,
        change: &Change,
        group: &Group,
        desired: &Attributes,
        before: &[Attributes],
    ) -> Result<Round, Halt> {
        let found = match self.locate(of, change.remote.as_ref(), Some(group.id.as_str())).await? {
            Some(found) => Some(found),
            None => self.other_group(of, group, desired).await?,
        };
        let Some(found) = found else {
            return Ok(match self.make(of, desired).await? {
                Ok(made) => Round::Settled(applied(made, Action::Created)),
                Err(again) => again,
            });
        };
        let edits = edits(&found.attributes, desired, before);
        if let Some(again) = self.put_right(of, &found, &edits).await? {
            return Ok(again);
        }
        let action = if edits.is_empty() { Action::Unchanged } else { Action::Updated };
        Ok(Round::Settled(applied(found.id, action)))
    }

    async fn dropped(&self, of: &ResourceType, change: &Change, id: &GroupId) -> Result<Outcome, Halt> {
        let Some(found) = self.locate(of, change.remote.as_ref(), Some(id.as_str())).await? else {
            return Ok(Outcome::Applied {
                remote: change.remote.clone(),
                action: Action::Unchanged,
                again: None,
            });
        };
        match self.delete(of, &found.id).await? {
            Written::Done(_) => Ok(applied(found.id, Action::Deleted)),
            Written::Missing(_) => Ok(applied(found.id, Action::Unchanged)),
            Written::Stale(said) | Written::Taken(said) => Err(rejected(said)),
        }
    }

    fn group_attributes(&self, of: &ResourceType, group: &Group) -> Result<Attributes, Halt> {
        let mut attributes = self.sink.mapping.group(group).map_err(|why| self.reject(&why))?;
        of.schemas.fit(&mut attributes, &ALWAYS);
        Ok(attributes)
    }
}
