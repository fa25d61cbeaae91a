//! One user's entry on its way through a batch: made, changed, locked, moved or left alone. Groups come later, for all
//! users together.

use std::time::Duration;

use rolecall_sink_api::{Action, Change};

use crate::batch::Settled;
use crate::config::{OnCollision, OnDelete};
use crate::departure::{self, End};
use crate::dn::Dn;
use crate::entry::{AttributeName, Entry, Value};
use crate::mapping::Person;
use crate::member::Identity;
use crate::numbers::Given;
use crate::outcome::{Failure, Operation};
use crate::request::Request;
use crate::template::Rendered;
use crate::upsert::{Ending, Upsert, Upserted, upsert};
use crate::work::Work;

/// How many people may share a name and be told apart by numbers.
const MOST_OF_A_NAME: u32 = 1000;

/// What should become of a user's entry.
pub(crate) enum Wish {
    /// It should be so.
    Be(Box<Person>),
    /// It stays as it is, without access.
    Stay,
    /// It goes.
    Go,
    /// It stays as it is, without its groups.
    Keep,
    /// It is none of the sink's business.
    Leave,
}

/// One user's account on its way through a batch.
pub(crate) struct Account<'a> {
    pub(crate) change: &'a Change,
    pub(crate) mark: String,
    pub(crate) wish: Wish,
    /// What the sink last wrote of the user.
    pub(crate) before: Option<Rendered>,
    /// The entry that was found.
    pub(crate) found: Option<Entry>,
    /// The numbers that it is given.
    pub(crate) numbers: Given,
    /// Further marks that it gets.
    pub(crate) notes: Vec<Value>,
    /// When there is more to do.
    pub(crate) again: Option<Duration>,
    /// By what groups should know the user now; `None` when there is no entry.
    pub(crate) now: Option<Identity>,
    /// By what they knew them before.
    pub(crate) formers: Vec<Identity>,
}

pub(crate) fn wish(work: &Work<'_>, change: &Change) -> Result<Wish, Failure> {
    let Some(user) = change.desired_user() else {
        return Ok(match work.mapping.leavers.on_delete {
            OnDelete::Delete => Wish::Go,
            OnDelete::Deactivate => Wish::Stay,
            OnDelete::Keep => Wish::Keep,
        });
    };
    match work.mapping.person(user, None) {
        Ok(Some(person)) => Ok(Wish::Be(Box::new(person))),
        Ok(None) => Ok(Wish::Go),
        // Whatever is wrong with their attributes, leavers lose their access.
        Err(_) if !user.active => Ok(Wish::Stay),
        Err(reason) => Err(Failure::Reject(format!("{}: {reason}", change.entity))),
    }
}

/// What the sink last wrote of the user.
pub(crate) fn applied(work: &Work<'_>, change: &Change) -> Option<Rendered> {
    let person = work.mapping.person(change.applied_user()?, None).ok().flatten()?;
    Some(person.rendered)
}

/// The entry itself, without its memberships and its end.
pub(crate) async fn bring_up(
    work: &Work<'_>,
    account: &mut Account<'_>,
    fetch: &[AttributeName],
) -> Result<Settled, Failure> {
    let mut found = account.found.clone();
    let mut locked = false;
    let leaves = match &account.wish {
        Wish::Be(person) => !person.active,
        Wish::Stay => true,
        Wish::Go | Wish::Keep | Wish::Leave => false,
    };
    let marks = &work.mapping.marks;
    let mut due = work.mapping.departure.random_password;
    if let Some(entry) = found.clone().filter(|entry| leaves && !marks.is_inactive(entry)) {
        // Their access goes first and alone, so that nothing else that is wrong can keep it.
        let leaver = account.staying(work, &entry)?;
        let mut notes = account.notes.clone();
        notes.extend(due.then(|| marks.password_due()));
        upsert_person(work, account, fetch, &leaver, &notes, found).await?;
        found = work.directory.read(&entry.dn, fetch).await?;
        locked = true;
    }
    due &= leaves;
    if let Some(entry) = found.as_ref().filter(|entry| due && marks.is_password_due(entry)) {
        departure::forget_password(work, &entry.dn).await?;
    }
    let mut person = match (&account.wish, &found) {
        (Wish::Be(person), _) => (**person).clone(),
        (Wish::Stay, Some(entry)) => {
            let mut person = account.staying(work, entry)?;
            person.rendered.dn = work.mapping.departure.place(&entry.dn);
            person
        }
        (Wish::Keep, Some(entry)) => {
            let remote = work.mapping.remote_of(&work.mapping.people, entry);
            return Ok(Settled::as_of(Action::Unchanged, Some(remote)));
        }
        (Wish::Stay | Wish::Keep, None) | (Wish::Go | Wish::Leave, _) => return Ok(Settled::untouched()),
    };
    if !person.active {
        work.mapping.departure.set_shell(&mut person.rendered, found.as_ref());
    }
    let Some((identity, upserted)) = upsert_named(work, account, fetch, person, found).await? else {
        return Ok(Settled::untouched());
    };
    match account.wish {
        Wish::Be(_) => account.formers.extend(account.now.replace(identity)),
        _ => account.follow(&upserted.dn),
    }
    let action = if locked { Action::Deactivated } else { upserted.action };
    Ok(Settled { again: account.again, ..Settled::as_of(action, Some(upserted.remote)) })
}

/// Makes the entry what `person` says, under the name that it has or, where the configuration wants that, with the
/// first free number behind it. `None` when there is an entry that is to be ignored.
async fn upsert_named(
    work: &Work<'_>,
    account: &Account<'_>,
    fetch: &[AttributeName],
    mut person: Person,
    found: Option<Entry>,
) -> Result<Option<(Identity, Upserted)>, Failure> {
    let numbered = |number: Option<u32>| match (number, &account.wish, account.change.desired_user()) {
        (Some(_), Wish::Be(_), Some(user)) => work.mapping.person(user, number).map_err(Failure::Reject),
        _ => Ok(None),
    };
    let may_number = work.mapping.on_collision == OnCollision::Number;
    // A number once given stays.
    let mut number =
        found.as_ref().filter(|_| may_number).and_then(|e| e.dn.number_behind(&person.rendered.dn));
    if let Some(kept) = numbered(number)? {
        person = kept;
    }
    loop {
        match upsert_person(work, account, fetch, &person, &account.notes, found.clone()).await? {
            Ending::Done(upserted) => {
                return Ok(Some((Identity::of_rendered(&person.rendered), upserted)));
            }
            Ending::Ignored => return Ok(None),
            Ending::Taken(failure) => {
                let next = number.map_or(2, |number| number + 1);
                match numbered(Some(next).filter(|next| may_number && *next <= MOST_OF_A_NAME))? {
                    Some(other) => (person, number) = (other, Some(next)),
                    None => return Err(failure),
                }
            }
        }
    }
}

async fn upsert_person(
    work: &Work<'_>,
    account: &Account<'_>,
    fetch: &[AttributeName],
    person: &Person,
    notes: &[Value],
    found: Option<Entry>,
) -> Result<Ending, Failure> {
    let wish = Upsert {
        template: &work.mapping.people,
        fetch,
        mark: &account.mark,
        rendered: &person.rendered,
        before: account.before.as_ref(),
        numbers: &account.numbers,
        found_otherwise: work.mapping.matching.is_some(),
        notes,
        first: None,
        active: Some(person.active),
    };
    upsert(work, &wish, found).await
}

impl Account<'_> {
    /// Lets the entry of a user who is gone stay until its time is over.
    pub(crate) fn wait_for_the_end(&mut self, work: &Work<'_>) {
        let Some(entry) = self.found.as_ref().filter(|_| self.change.desired.is_none()) else { return };
        if let (Wish::Go, End::After(left, mark)) =
            (&self.wish, work.mapping.departure.end(&work.mapping.marks, entry, work.now))
        {
            self.wish = Wish::Stay;
            self.notes = vec![mark];
            self.again = Some(left.unsigned_abs());
        }
    }

    /// An entry that stays where it is and loses its access.
    fn staying(&self, work: &Work<'_>, entry: &Entry) -> Result<Person, Failure> {
        let user = self.change.desired_user().or(self.change.applied_user());
        let attributes = work.mapping.leaving(user).map_err(Failure::Reject)?.unwrap_or_default();
        let mut rendered = Rendered { dn: entry.dn.clone(), attributes };
        work.mapping.departure.set_shell(&mut rendered, Some(entry));
        Ok(Person { rendered, active: false })
    }

    /// The entry is at `dn` now, and has the uid that it had.
    fn follow(&mut self, dn: &Dn) {
        if let Some(before) = self.now.clone().filter(|now| now.dn != *dn) {
            self.now = Some(before.at(dn));
            self.formers.push(before);
        }
    }
}

pub(crate) async fn delete(work: &Work<'_>, entry: &Entry) -> Result<Settled, Failure> {
    work.send(&Request::Delete { dn: entry.dn.clone() }, Operation::Delete).await?;
    let remote = work.mapping.remote_of(&work.mapping.people, entry);
    Ok(Settled::as_of(Action::Deleted, Some(remote)))
}
