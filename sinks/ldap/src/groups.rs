//! Groups: their entries. Who is in them comes with the users.

use futures_util::FutureExt as _;
use rolecall_sink_api::{Action, Change, SinkDown};

use crate::batch::Settled;
use crate::entry::{AttributeName, Entry};
use crate::mapping::GroupMapping;
use crate::numbers::{Given, Need};
use crate::outcome::{Failure, Operation};
use crate::request::Request;
use crate::template::Rendered;
use crate::tie::{Sought, locate};
use crate::upsert::{Ending, Upsert, upsert};
use crate::work::Work;

/// Brings groups up to date: those that should exist are made or changed, the others go.
pub(crate) async fn apply(
    work: &Work<'_>,
    changes: &[&Change],
) -> Result<Vec<Result<Settled, Failure>>, SinkDown> {
    let Some(mapping) = &work.mapping.groups else {
        return Ok(changes.iter().map(|_| Ok(Settled::untouched())).collect());
    };
    let sought: Vec<Sought> = changes
        .iter()
        .map(|change| Sought {
            mark: work.mapping.marks.entity(&change.entity),
            remote: change.remote.clone(),
            last: applied(work, mapping, change).map(|rendered| rendered.dn),
        })
        .collect();
    let fetch = work.mapping.group_fetch(mapping);
    let found = locate(work, &mapping.entry.base, &fetch, &sought).await?;
    let found: Vec<Result<Option<Entry>, Failure>> =
        found.into_iter().zip(&sought).map(|(found, sought)| found.entry(&sought.mark)).collect();
    let needing: Vec<usize> =
        (0..changes.len()).filter(|&at| changes[at].desired.is_some() && found[at].is_ok()).collect();
    let needs: Vec<Need<'_>> = needing
        .iter()
        .map(|&at| Need {
            mark: &sought[at].mark,
            entry: found[at].as_ref().ok().and_then(Option::as_ref),
            remote: changes[at].remote.as_ref(),
        })
        .collect();
    let given = mapping.entry.numbers.give(work, &mapping.entry.base, &needs).await?;
    let mut numbers: Vec<Result<Given, Failure>> = changes.iter().map(|_| Ok(Given::new())).collect();
    needing.into_iter().zip(given).for_each(|(at, given)| numbers[at] = given);

    let each = changes.iter().zip(&sought).zip(found.into_iter().zip(numbers));
    let tasks = each.map(|((change, sought), (found, numbers))| {
        let fetch = &fetch;
        async move {
            let result = match (found, numbers) {
                (Ok(entry), Ok(numbers)) => {
                    one(work, mapping, change, &sought.mark, fetch, &numbers, entry).await
                }
                (Err(failure), _) | (_, Err(failure)) => Err(failure),
            };
            Failure::contain(result)
        }
        .boxed()
    });
    work.all(tasks.collect()).await
}

async fn one(
    work: &Work<'_>,
    mapping: &GroupMapping,
    change: &Change,
    mark: &str,
    fetch: &[AttributeName],
    numbers: &Given,
    found: Option<Entry>,
) -> Result<Settled, Failure> {
    let Some(group) = change.desired_group() else {
        return match found {
            Some(entry) => {
                work.send(&Request::Delete { dn: entry.dn.clone() }, Operation::Delete).await?;
                let remote = work.mapping.remote_of(&mapping.entry, &entry);
                Ok(Settled::as_of(Action::Deleted, Some(remote)))
            }
            None => Ok(Settled::untouched()),
        };
    };
    let rendered = work.mapping.group(mapping, group).map_err(Failure::Reject)?;
    let before = applied(work, mapping, change);
    let wish = Upsert {
        template: &mapping.entry,
        fetch,
        mark,
        rendered: &rendered,
        before: before.as_ref(),
        numbers,
        found_otherwise: false,
        notes: &[],
        first: mapping.first_members(Vec::new()),
        active: None,
    };
    match upsert(work, &wish, found).await? {
        Ending::Done(upserted) => Ok(Settled::as_of(upserted.action, Some(upserted.remote))),
        Ending::Taken(failure) => Err(failure),
        Ending::Ignored => Ok(Settled::untouched()),
    }
}

fn applied(work: &Work<'_>, mapping: &GroupMapping, change: &Change) -> Option<Rendered> {
    work.mapping.group(mapping, change.applied_group()?).ok()
}

/// The name of a group as its entry shows it: what `cn` says beside the RDN, or the RDN itself.
pub(crate) fn name_of(entry: &Entry) -> String {
    let rdn = entry.dn.rdn_parts().first().map(|(_, value)| value.as_str()).unwrap_or_default();
    let mut names = entry.attributes.texts(&"cn".into());
    names.find(|name| *name != rdn).unwrap_or(rdn).to_owned()
}
