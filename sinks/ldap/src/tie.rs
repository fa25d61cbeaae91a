//! Which entry is whose: by the server's own id of it, by the sink's mark in it, never by its name alone.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use rolecall_sink_api::{RemoteId, SinkDown};

use crate::dn::Dn;
use crate::entry::{AttributeName, Entry, Value};
use crate::mark::Owner;
use crate::outcome::Failure;
use crate::query::{Condition, MAX_VALUES, Query};
use crate::work::Work;

/// One entry to look for.
#[derive(Clone, Debug)]
pub(crate) struct Sought {
    /// The mark it carries.
    pub(crate) mark: String,
    /// The server's id, where the sink reported one before.
    pub(crate) remote: Option<RemoteId>,
    /// Where it stood when it was last written.
    pub(crate) last: Option<Dn>,
}

/// What was found.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// The entry, which is the sink's own.
    Ours(Box<Entry>),
    /// None.
    Nothing,
    /// More than one entry carries the mark.
    Ambiguous(Vec<Dn>),
}

impl Found {
    /// The entry, if there is one.
    ///
    /// # Errors
    /// When there are several.
    pub(crate) fn entry(self, mark: &str) -> Result<Option<Entry>, Failure> {
        match self {
            Found::Ours(entry) => Ok(Some(*entry)),
            Found::Nothing => Ok(None),
            Found::Ambiguous(dns) => Err(Failure::Reject(format!(
                "several entries carry the mark {mark}: {}; remove the mark from all but one",
                dns.iter().map(Dn::as_str).collect::<Vec<_>>().join("; ")
            ))),
        }
    }
}

impl Sought {
    fn id(&self) -> Option<&str> {
        self.remote.as_ref().map(RemoteId::as_str).filter(|id| !id.starts_with("dn:"))
    }

    fn has_id(&self, entry: &Entry, work: &Work<'_>) -> bool {
        self.id().is_some_and(|id| work.mapping.id.of(entry).is_some_and(|found| found == id))
    }

    fn is(&self, entry: &Entry, work: &Work<'_>) -> bool {
        self.has_id(entry, work) || work.mapping.marks.owner(entry, &self.mark) == Owner::This
    }
}

/// Finds the entries: first where they were, which costs least and needs no index, then by their marks below `base`,
/// then by their ids in the whole database, many in one search.
pub(crate) async fn locate(
    work: &Work<'_>,
    base: &Dn,
    fetch: &[AttributeName],
    sought: &[Sought],
) -> Result<Vec<Found>, SinkDown> {
    let reads = sought.iter().map(|sought| {
        async move {
            let Some(dn) = &sought.last else { return Ok(None) };
            let entry = work.directory.read(dn, fetch).await?;
            Ok(entry.filter(|entry| sought.is(entry, work)))
        }
        .boxed()
    });
    let mut found: Vec<Found> = work
        .all(reads.collect())
        .await?
        .into_iter()
        .map(|entry| entry.map_or(Found::Nothing, |entry| Found::Ours(Box::new(entry))))
        .collect();

    let missing = still_missing(&found);
    let marker = &work.mapping.marks.attribute;
    let by_mark = |at: usize| Some((marker.clone(), sought[at].mark.as_str().into()));
    look_for(work, base, fetch, sought, &missing, by_mark, &mut found).await?;
    // Somebody moved these away, or removed them: the id finds them wherever they are.
    if let Some(root) = work.directory.root_of(base) {
        let mut missing = still_missing(&found);
        missing.retain(|&at| sought[at].id().is_some());
        let id = &work.mapping.id;
        let by_id = |at: usize| Some((id.name.clone(), id.value(sought[at].id()?)));
        look_for(work, &root, fetch, sought, &missing, by_id, &mut found).await?;
    }
    Ok(found)
}

fn still_missing(found: &[Found]) -> Vec<usize> {
    (0..found.len()).filter(|&at| matches!(found[at], Found::Nothing)).collect()
}

/// Looks for those at the positions `missing` by the value that `value` gives for each, many in one search.
async fn look_for(
    work: &Work<'_>,
    base: &Dn,
    fetch: &[AttributeName],
    sought: &[Sought],
    missing: &[usize],
    value: impl Fn(usize) -> Option<(AttributeName, Value)>,
    found: &mut [Found],
) -> Result<(), SinkDown> {
    let chunks: Vec<&[usize]> = missing.chunks(MAX_VALUES).collect();
    let searches = chunks.iter().map(|some| {
        let any = some.iter().filter_map(|&at| value(at)).collect();
        let query =
            Query { base: base.clone(), conditions: vec![Condition::Any(any)], attributes: fetch.to_vec() };
        async move { work.directory.search(&query).await }.boxed()
    });
    for (some, entries) in chunks.iter().zip(work.all(searches.collect()).await?) {
        for &at in *some {
            found[at] = pick(work, &sought[at], &entries);
        }
    }
    Ok(())
}

/// The one among `entries` that is meant. The id counts for more than the mark, which anybody may copy.
fn pick(work: &Work<'_>, sought: &Sought, entries: &[Entry]) -> Found {
    let by_id = entries.iter().find(|entry| sought.has_id(entry, work));
    if let Some(entry) = by_id {
        return Found::Ours(Box::new(entry.clone()));
    }
    let marked: BTreeMap<&Dn, &Entry> = entries
        .iter()
        .filter(|e| work.mapping.marks.owner(e, &sought.mark) == Owner::This)
        .map(|e| (&e.dn, e))
        .collect();
    match marked.len() {
        0 => Found::Nothing,
        1 => marked.into_values().next().map_or(Found::Nothing, |e| Found::Ours(Box::new(e.clone()))),
        _ => Found::Ambiguous(marked.into_keys().cloned().collect()),
    }
}
