//! People: their entries, and which groups they are in.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use rolecall_sink_api::{Action, Change, SinkDown, User};

use crate::batch::Settled;
use crate::config::OnDelete;
use crate::entry::{AttributeName, Entry};
use crate::mapping::Person;
use crate::mark::GroupKey;
use crate::member::Identity;
use crate::members::MemberChanges;
use crate::memberships::{Asked, Named, memberships};
use crate::outcome::{Failure, Operation};
use crate::request::Request;
use crate::template::Rendered;
use crate::tie::{Sought, locate};
use crate::upsert::{Upsert, Upserted, upsert};
use crate::work::Work;

/// What should become of a user's entry.
enum Wish {
    /// It should be so.
    Be(Box<Person>),
    /// It stays as it is, without access.
    Stay,
    /// It goes.
    Go,
}

/// One user on their way through the batch.
struct Step<'a> {
    change: &'a Change,
    mark: String,
    wish: Wish,
    /// What the sink last wrote of the user.
    before: Option<Rendered>,
    /// The entry that was found.
    found: Option<Entry>,
    /// By what groups should know the user now; `None` when there is no entry.
    now: Option<Identity>,
    /// By what they knew them before.
    formers: Vec<Identity>,
}

/// Brings users up to date: entries first, then all memberships together, then the end of those that go.
pub(crate) async fn apply(
    work: &Work<'_>,
    changes: &[&Change],
) -> Result<Vec<Result<Settled, Failure>>, SinkDown> {
    let wishes: Vec<Result<Wish, Failure>> = changes.iter().map(|change| wish(work, change)).collect();
    let before: Vec<Option<Rendered>> = changes.iter().map(|change| applied(work, change)).collect();
    let sought: Vec<Sought> = changes
        .iter()
        .zip(&before)
        .map(|(change, before)| Sought {
            mark: work.mapping.marks.entity(&change.entity),
            remote: change.remote.clone(),
            last: before.as_ref().map(|rendered| rendered.dn.clone()),
        })
        .collect();
    let fetch = work.mapping.person_fetch();
    let found = locate(work, &work.mapping.people.base, &fetch, &sought).await?;

    let mut results: Vec<Result<Settled, Failure>> = Vec::with_capacity(changes.len());
    let mut steps: Vec<(usize, Step<'_>)> = Vec::new();
    for ((((change, wish), before), sought), found) in
        changes.iter().zip(wishes).zip(before).zip(&sought).zip(found)
    {
        match wish.and_then(|wish| Ok((wish, found.entry(&sought.mark)?))) {
            Ok((wish, found)) => {
                let now = found.as_ref().map(Identity::of);
                let formers = before.iter().map(Identity::of_rendered).collect();
                let step = Step { change, mark: sought.mark.clone(), wish, before, found, now, formers };
                steps.push((results.len(), step));
                results.push(Ok(Settled::untouched()));
            }
            Err(failure) => results.push(Err(failure)),
        }
    }

    let tasks = steps.iter_mut().map(|(_, step)| {
        let fetch = &fetch;
        async move { Failure::contain(bring_up(work, step, fetch).await) }.boxed()
    });
    for (at, result) in work.all(tasks.collect()).await?.into_iter().enumerate() {
        results[steps[at].0] = result;
    }
    let failures = settle_memberships(work, &steps, &mut results).await?;
    let tasks = steps.iter().map(|(at, step)| {
        let stays = failures.contains_key(at) || !matches!(step.wish, Wish::Go);
        async move {
            match &step.found {
                Some(entry) if !stays => Failure::contain(delete(work, entry).await.map(Some)),
                _ => Ok(Ok(None)),
            }
        }
        .boxed()
    });
    for (at, result) in work.all(tasks.collect()).await?.into_iter().enumerate() {
        match result {
            Ok(None) => {}
            Ok(Some(settled)) => results[steps[at].0] = Ok(settled),
            Err(failure) => results[steps[at].0] = Err(failure),
        }
    }
    for (at, failure) in failures {
        results[at] = match std::mem::replace(&mut results[at], Ok(Settled::untouched())) {
            Err(other) => Err(other.worse(failure)),
            Ok(_) => Err(failure),
        };
    }
    Ok(results)
}

fn wish(work: &Work<'_>, change: &Change) -> Result<Wish, Failure> {
    let Some(user) = change.desired_user() else {
        return Ok(match work.mapping.leavers.on_delete {
            OnDelete::Delete => Wish::Go,
            OnDelete::Deactivate => Wish::Stay,
        });
    };
    match work.mapping.person(user) {
        Ok(Some(person)) => Ok(Wish::Be(Box::new(person))),
        Ok(None) => Ok(Wish::Go),
        // Whatever is wrong with their attributes, leavers lose their access.
        Err(_) if !user.active => Ok(Wish::Stay),
        Err(reason) => Err(Failure::Reject(format!("{}: {reason}", change.entity))),
    }
}

/// What the sink last wrote of the user.
fn applied(work: &Work<'_>, change: &Change) -> Option<Rendered> {
    let person = work.mapping.person(change.applied_user()?).ok().flatten()?;
    Some(person.rendered)
}

/// The entry itself, without its memberships and its end.
async fn bring_up(work: &Work<'_>, step: &mut Step<'_>, fetch: &[AttributeName]) -> Result<Settled, Failure> {
    let mut found = step.found.clone();
    let mut locked = false;
    let person = match (&step.wish, &found) {
        (Wish::Be(person), Some(entry)) if !person.active && !work.mapping.marks.is_inactive(entry) => {
            // Their access goes first and alone, so that nothing else that is wrong can keep it.
            let leaver = staying(work, step.change.desired_user(), entry)?;
            upsert_person(work, step, fetch, &leaver, found.clone()).await?;
            found = work.directory.read(&leaver.rendered.dn, fetch).await?;
            locked = true;
            (**person).clone()
        }
        (Wish::Be(person), _) => (**person).clone(),
        (Wish::Stay, Some(entry)) => staying(work, step.change.applied_user(), entry)?,
        (Wish::Stay, None) | (Wish::Go, _) => return Ok(Settled::untouched()),
    };
    let upserted = upsert_person(work, step, fetch, &person, found).await?;
    if let Wish::Be(_) = step.wish {
        step.formers.extend(step.now.replace(Identity::of_rendered(&person.rendered)));
    }
    let action = if locked { Action::Deactivated } else { upserted.action };
    Ok(Settled { action, remote: Some(upserted.remote) })
}

async fn upsert_person(
    work: &Work<'_>,
    step: &Step<'_>,
    fetch: &[AttributeName],
    person: &Person,
    found: Option<Entry>,
) -> Result<Upserted, Failure> {
    let wish = Upsert {
        template: &work.mapping.people,
        fetch,
        mark: &step.mark,
        rendered: &person.rendered,
        before: step.before.as_ref(),
        first: None,
        active: Some(person.active),
    };
    upsert(work, &wish, found).await
}

/// An entry that stays where it is and loses its access.
fn staying(work: &Work<'_>, user: Option<&User>, entry: &Entry) -> Result<Person, Failure> {
    let attributes = work.mapping.leaving(user).map_err(Failure::Reject)?.unwrap_or_default();
    Ok(Person { rendered: Rendered { dn: entry.dn.clone(), attributes }, active: false })
}

/// Makes the memberships of all users what they should be. A failure is returned by the position of its result.
async fn settle_memberships(
    work: &Work<'_>,
    steps: &[(usize, Step<'_>)],
    results: &mut [Result<Settled, Failure>],
) -> Result<BTreeMap<usize, Failure>, SinkDown> {
    let asked: Vec<Asked<'_>> = steps.iter().map(|(at, step)| step.asked(&results[*at])).collect();
    let now = memberships(work, &asked).await?;
    let mut changes = MemberChanges::default();
    for ((at, step), now) in steps.iter().zip(now) {
        let may_come = results[*at].is_ok();
        let changed = step.regroup(work, *at, &now, may_come, &mut changes);
        if let Ok(settled) = &mut results[*at]
            && changed
            && settled.action == Action::Unchanged
        {
            settled.action = Action::Updated;
        }
    }
    changes.carry_out(work).await
}

impl Step<'_> {
    fn asked(&self, result: &Result<Settled, Failure>) -> Asked<'_> {
        let is_new = matches!(result, Ok(settled) if settled.action == Action::Created);
        Asked { now: self.now.as_ref(), before: &self.formers, is_new }
    }

    /// Notes who comes into which group and leaves which, and returns whether anything is to change. `named` is what
    /// groups say now.
    fn regroup(
        &self,
        work: &Work<'_>,
        at: usize,
        named: &[Named],
        may_come: bool,
        changes: &mut MemberChanges,
    ) -> bool {
        let wanted = match (&self.wish, self.change.desired_user()) {
            (Wish::Be(_), Some(user)) => work.mapping.memberships(user),
            _ => BTreeMap::new(),
        };
        let member_of = |key: &GroupKey| {
            let kind = work.mapping.group_mapping(key)?.member_value;
            self.now.as_ref()?.member(kind)
        };
        let mut changed = false;
        for (member, groups) in named {
            for (key, dn) in groups {
                let stays = wanted.contains_key(key) && member_of(key).as_ref() == Some(member);
                if !stays {
                    changes.remove(key.clone(), dn, member, at);
                    changed = true;
                }
            }
        }
        for (key, name) in wanted.into_iter().filter(|_| may_come) {
            let Some(member) = member_of(&key) else { continue };
            if !named.iter().any(|(named, groups)| *named == member && groups.contains_key(&key)) {
                changes.add(key, &name, &member, at);
                changed = true;
            }
        }
        changed
    }
}

async fn delete(work: &Work<'_>, entry: &Entry) -> Result<Settled, Failure> {
    work.send(&Request::Delete { dn: entry.dn.clone() }, Operation::Delete).await?;
    Ok(Settled { action: Action::Deleted, remote: Some(work.mapping.remote_of(entry)) })
}
