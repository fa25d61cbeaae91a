//! Which entry is whose: by the server's own id of it, by the sink's mark in it, never by its name alone.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use rolecall_sink_api::{RemoteId, SinkDown};

use crate::dn::Dn;
use crate::entry::{AttributeName, Entry};
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

    fn is(&self, entry: &Entry, work: &Work<'_>) -> bool {
        let same_id = self.id().is_some_and(|id| entry.attributes.texts(&work.mapping.id).any(|e| e == id));
        same_id || work.mapping.marks.owner(entry, &self.mark) == Owner::This
    }
}

/// Finds the entries below `base`: first where they were, which costs least and needs no index, then those that
/// are elsewhere by id and mark, many in one search.
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

    let missing: Vec<usize> = (0..sought.len()).filter(|&at| matches!(found[at], Found::Nothing)).collect();
    let marker = &work.mapping.marks.attribute;
    for some in missing.chunks(MAX_VALUES) {
        let mut any = Vec::with_capacity(some.len() * 2);
        for &at in some {
            any.push((marker.clone(), sought[at].mark.as_str().into()));
            if let Some(id) = sought[at].id().filter(|_| work.directory.has_ids()) {
                any.push((work.mapping.id.clone(), id.into()));
            }
        }
        let query =
            Query { base: base.clone(), conditions: vec![Condition::Any(any)], attributes: fetch.to_vec() };
        let entries = work.directory.search(&query).await?;
        for &at in some {
            found[at] = pick(work, &sought[at], &entries);
        }
    }
    Ok(found)
}

/// The one among `entries` that is meant. The id counts for more than the mark, which anybody may copy.
fn pick(work: &Work<'_>, sought: &Sought, entries: &[Entry]) -> Found {
    let by_id = entries.iter().find(|e| {
        sought.id().is_some_and(|id| e.attributes.texts(&work.mapping.id).any(|found| found == id))
    });
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
