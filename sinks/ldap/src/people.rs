//! People: their entries, and which groups they are in.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use rolecall_sink_api::{Action, Change, SinkDown};
use serde_json::json;

use crate::account::{Account, Wish, applied, bring_up, delete, wish};
use crate::batch::Settled;
use crate::dn::Dn;
use crate::entry::AttributeName;
use crate::mark::GroupKey;
use crate::matching::Matched;
use crate::member::Identity;
use crate::members::MemberChanges;
use crate::memberships::{Asked, Named, memberships};
use crate::numbers::{Given, Need};
use crate::outcome::Failure;
use crate::template::Rendered;
use crate::tie::{Sought, locate};
use crate::work::Work;

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
    let mut accounts: Vec<(usize, Account<'_>)> = Vec::new();
    for ((((change, wish), before), sought), found) in
        changes.iter().zip(wishes).zip(before).zip(&sought).zip(found)
    {
        match wish.and_then(|wish| Ok((wish, found.entry(&sought.mark)?))) {
            Ok((wish, found)) => {
                let now = found.as_ref().map(Identity::of);
                let formers = before.iter().map(Identity::of_rendered).collect();
                let mut account = Account {
                    change,
                    mark: sought.mark.clone(),
                    wish,
                    before,
                    found,
                    numbers: Given::new(),
                    notes: Vec::new(),
                    again: None,
                    now,
                    formers,
                };
                account.wait_for_the_end(work);
                accounts.push((results.len(), account));
                results.push(Ok(Settled::untouched()));
            }
            Err(failure) => results.push(Err(failure)),
        }
    }

    find_made_by_others(work, &mut accounts, &fetch, &mut results).await?;
    give_numbers(work, &mut accounts, &mut results).await?;
    let tasks = accounts.iter_mut().filter(|(at, _)| results[*at].is_ok()).map(|(at, account)| {
        let fetch = &fetch;
        async move { Ok((*at, Failure::contain(bring_up(work, account, fetch).await)?)) }.boxed()
    });
    for (at, result) in work.all(tasks.collect()).await? {
        results[at] = result;
    }
    let failures = settle_memberships(work, &accounts, &mut results).await?;
    let tasks = accounts.iter().map(|(at, account)| {
        let stays = failures.contains_key(at) || !matches!(account.wish, Wish::Go);
        async move {
            match &account.found {
                Some(entry) if !stays => Failure::contain(delete(work, entry).await.map(Some)),
                _ => Ok(Ok(None)),
            }
        }
        .boxed()
    });
    for (at, result) in work.all(tasks.collect()).await?.into_iter().enumerate() {
        match result {
            Ok(None) => {}
            Ok(Some(settled)) => results[accounts[at].0] = Ok(settled),
            Err(failure) => results[accounts[at].0] = Err(failure),
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

/// Looks for entries that others made for users who have none, where the configuration says how.
async fn find_made_by_others(
    work: &Work<'_>,
    accounts: &mut [(usize, Account<'_>)],
    fetch: &[AttributeName],
    results: &mut [Result<Settled, Failure>],
) -> Result<(), SinkDown> {
    let Some(matching) = &work.mapping.matching else { return Ok(()) };
    let sought = accounts.iter().enumerate().filter_map(|(at, (_, account))| {
        let is_new = account.found.is_none() && matches!(account.wish, Wish::Be(_));
        Some((at, account.mark.clone(), account.change.desired_user().filter(|_| is_new)?))
    });
    let tasks = sought.map(|(at, mark, user)| {
        async move {
            let found = matching.find(work, json!({ "user": user }), &mark, fetch).await;
            Ok((at, Failure::contain(found)?))
        }
        .boxed()
    });
    let mut taken: BTreeMap<Dn, Vec<usize>> = BTreeMap::new();
    for (at, matched) in work.all(tasks.collect()).await? {
        let (result, account) = &mut accounts[at];
        match matched {
            Ok(Matched::Nobody) => {}
            Ok(Matched::Ignored) => account.wish = Wish::Leave,
            Ok(Matched::Adopted(entry)) => {
                taken.entry(entry.dn.clone()).or_default().push(at);
                account.now = Some(Identity::of(&entry));
                account.found = Some(*entry);
            }
            Err(failure) => results[*result] = Err(failure),
        }
    }
    for (dn, all) in taken.into_iter().filter(|(_, all)| all.len() > 1) {
        let marks: Vec<&str> = all.iter().map(|&at| accounts[at].1.mark.as_str()).collect();
        let reason = format!("{dn} fits people.match of several users: {}", marks.join(", "));
        for &at in &all {
            results[accounts[at].0] = Err(Failure::Reject(reason.clone()));
        }
        for at in all {
            (accounts[at].1.now, accounts[at].1.found) = (None, None);
        }
    }
    Ok(())
}

/// Gives numbers to those who are to have an entry.
async fn give_numbers(
    work: &Work<'_>,
    accounts: &mut [(usize, Account<'_>)],
    results: &mut [Result<Settled, Failure>],
) -> Result<(), SinkDown> {
    let people = &work.mapping.people;
    let mut needing: Vec<&mut (usize, Account<'_>)> = accounts
        .iter_mut()
        .filter(|(at, account)| results[*at].is_ok() && matches!(account.wish, Wish::Be(_)))
        .collect();
    let needs: Vec<Need<'_>> = needing
        .iter()
        .map(|(_, account)| Need {
            mark: &account.mark,
            entry: account.found.as_ref(),
            remote: account.change.remote.as_ref(),
        })
        .collect();
    let given = people.numbers.give(work, &people.base, &needs).await?;
    for ((at, account), given) in needing.iter_mut().map(|it| &mut **it).zip(given) {
        match given {
            Ok(numbers) => account.numbers = numbers,
            // Whoever leaves is locked all the same.
            Err(_)
                if account.found.is_some()
                    && account.change.desired_user().is_some_and(|user| !user.active) => {}
            Err(failure) => results[*at] = Err(failure),
        }
    }
    Ok(())
}

/// Makes the memberships of all users what they should be. A failure is returned by the position of its result.
async fn settle_memberships(
    work: &Work<'_>,
    accounts: &[(usize, Account<'_>)],
    results: &mut [Result<Settled, Failure>],
) -> Result<BTreeMap<usize, Failure>, SinkDown> {
    let asked: Vec<Asked<'_>> = accounts.iter().map(|(at, account)| account.asked(&results[*at])).collect();
    let now = memberships(work, &asked).await?;
    let mut changes = MemberChanges::default();
    for ((at, account), now) in accounts.iter().zip(now) {
        let may_come = results[*at].is_ok();
        let changed = account.regroup(work, *at, &now, may_come, &mut changes);
        if let Ok(settled) = &mut results[*at]
            && changed
            && settled.action == Action::Unchanged
        {
            settled.action = Action::Updated;
        }
    }
    changes.carry_out(work).await
}

impl Account<'_> {
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
                if stays {
                    continue;
                }
                changes.remove(key.clone(), dn, member, at);
                changed = true;
                // When a record gets to a server that renames members by itself, it has.
                let renamed = member_of(key).filter(|now| work.directory.is_file() && now != member);
                if let Some(renamed) = renamed.filter(|_| !wanted.contains_key(key)) {
                    changes.remove(key.clone(), dn, &renamed, at);
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
