//! Reading from a server: entries by name and by query, page by page, and part by part where they are large.

use std::collections::BTreeMap;

use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::controls::RawControl;
use ldap3::exop::{Exop, WhoAmI};
use ldap3::result::{ExopResult, SearchResult};
use ldap3::{Ldap, Scope, SearchEntry, SearchStream};
use rolecall_sink_api::SinkDown;

use super::Connection;
use crate::dn::Dn;
use crate::entry::{AttributeName, Entry, Value};
use crate::outcome::{self, Operation, Verdict};
use crate::query::Query;
use crate::ranges;
use crate::right::EFFECTIVE_RIGHTS;

/// Entries per page of a search.
const PAGE: i32 = 500;
/// Characters of a filter in a message.
const SHOWN: usize = 200;

impl Connection {
    /// The entry `dn`, or `None` when there is none.
    pub(crate) async fn read(
        &self,
        dn: &Dn,
        attributes: &[AttributeName],
    ) -> Result<Option<Entry>, SinkDown> {
        let names: Vec<&str> = attributes.iter().map(AttributeName::as_str).collect();
        let found = self.search_raw(dn.as_str(), Scope::Base, "(objectClass=*)", names).await?;
        Ok(found.into_iter().next())
    }

    /// All entries that `query` finds.
    pub(crate) async fn search(&self, query: &Query) -> Result<Vec<Entry>, SinkDown> {
        let mut waiting = vec![query.clone()];
        let mut found: BTreeMap<Dn, Entry> = BTreeMap::new();
        while let Some(query) = waiting.pop() {
            let mut stream = self.search_stream(&query).await?;
            loop {
                match stream.next(self).await {
                    Ok(Some(entry)) => _ = found.insert(entry.dn.clone(), entry),
                    Ok(None) => break,
                    // The server returns only so many at once: asking for fewer, they all come.
                    Err(down) if !stream.is_over_limit => return Err(down),
                    Err(down) => match query.halves() {
                        Some(halves) => {
                            waiting.extend(halves);
                            break;
                        }
                        None => return Err(down),
                    },
                }
            }
        }
        Ok(found.into_values().collect())
    }

    /// A search with the filter and attributes as given. A base that does not exist has no entries.
    pub(crate) async fn search_raw(
        &self,
        base: &str,
        scope: Scope,
        filter: &str,
        attributes: Vec<&str>,
    ) -> Result<Vec<Entry>, SinkDown> {
        let attributes = attributes.into_iter().map(str::to_owned).collect();
        let mut found = self.stream(self.ldap.clone(), base, scope, filter.to_owned(), attributes).await?;
        let mut entries = Vec::new();
        while let Some(entry) = found.next(self).await? {
            entries.push(entry);
        }
        Ok(entries)
    }

    /// All entries that `query` finds, one after the other.
    pub(crate) async fn search_stream(&self, query: &Query) -> Result<EntryStream, SinkDown> {
        let attributes = query.attributes.iter().map(|name| name.as_str().to_owned()).collect();
        self.stream(self.ldap.clone(), query.base.as_str(), Scope::Subtree, query.filter(), attributes).await
    }

    async fn stream(
        &self,
        mut ldap: Ldap,
        base: &str,
        scope: Scope,
        filter: String,
        attributes: Vec<String>,
    ) -> Result<EntryStream, SinkDown> {
        // A filter may name a hundred marks; some of them are enough to know it by.
        let shown: String = filter.chars().take(SHOWN).collect();
        let what =
            format!("search {base:?} for {shown}{}", if shown.len() < filter.len() { "…" } else { "" });
        ldap.with_timeout(self.operation_timeout);
        let mut adapters: Vec<Box<dyn Adapter<'static, String, Vec<String>>>> =
            vec![Box::new(EntriesOnly::new())];
        if scope != Scope::Base {
            adapters.push(Box::new(PagedResults::new(PAGE)));
        }
        let started = ldap.streaming_search_with(adapters, base, scope, &filter, attributes).await;
        let inner = started.map_err(|e| self.broken(&what, &e))?;
        Ok(EntryStream { inner, what, is_over_limit: false })
    }

    /// The entry with the values that the server returns in further parts.
    async fn complete(&self, mut entry: Entry) -> Result<Entry, SinkDown> {
        let mut parts = 0;
        while let Some(next) = ranges::join(&mut entry) {
            parts += 1;
            if parts > ranges::MAX_PARTS {
                return Err(SinkDown::new(format!(
                    "{}: read {}: {next}: too many values",
                    self.url, entry.dn
                )));
            }
            let mut ldap = self.ldap.clone();
            ldap.with_timeout(self.operation_timeout);
            let read =
                ldap.search(entry.dn.as_str(), Scope::Base, "(objectClass=*)", vec![next.as_str()]).await;
            let SearchResult(found, result) =
                read.map_err(|e| self.broken(&format!("read {}", entry.dn), &e))?;
            let reply = self.answer(result);
            if outcome::verdict(reply.code, Operation::Search, &reply.text) != Verdict::Done {
                let what = outcome::describe(&reply);
                return Err(SinkDown::new(format!("{}: read {}: {what}", self.url, entry.dn)));
            }
            for (name, values) in found.into_iter().flat_map(|found| SearchEntry::construct(found).attrs) {
                entry
                    .attributes
                    .append(AttributeName::new(name), values.into_iter().map(Value::from).collect());
            }
        }
        Ok(entry)
    }

    /// The entry `dn` with our own rights to it, by the control for that.
    pub(crate) async fn rights(&self, dn: &Dn, attributes: Vec<String>) -> Result<Option<Entry>, SinkDown> {
        let mut ldap = self.ldap.clone();
        ldap.with_timeout(self.operation_timeout);
        let asked = ldap.extended(WhoAmI).await.map_err(|e| self.broken("ask who we are", &e))?;
        let ExopResult(Exop { val: Some(us), .. }, _) = asked else { return Ok(None) };
        let control = RawControl { ctype: EFFECTIVE_RIGHTS.to_owned(), crit: true, val: Some(us) };
        let mut ldap = self.ldap.clone();
        ldap.with_controls(control);
        let filter = "(objectClass=*)".to_owned();
        self.stream(ldap, dn.as_str(), Scope::Base, filter, attributes).await?.next(self).await
    }
}

/// The entries of a search as they come, page by page.
pub(crate) struct EntryStream {
    inner: SearchStream<'static, String, Vec<String>>,
    what: String,
    /// Whether it ended because the server returns no more than it has.
    is_over_limit: bool,
}

impl EntryStream {
    /// The next entry; `None` at the end. `connection` is the one that the search was begun on.
    pub(crate) async fn next(&mut self, connection: &Connection) -> Result<Option<Entry>, SinkDown> {
        let next = self.inner.next().await.map_err(|e| connection.broken(&self.what, &e))?;
        let fail = |what: String| SinkDown::new(format!("{}: {}: {what}", connection.url, self.what));
        if let Some(found) = next {
            let entry = Entry::try_from(SearchEntry::construct(found)).map_err(|e| fail(e.to_string()))?;
            return connection.complete(entry).await.map(Some);
        }
        let reply = connection.answer(self.inner.finish().await);
        self.is_over_limit = reply.code == outcome::SIZE_LIMIT;
        match outcome::verdict(reply.code, Operation::Search, &reply.text) {
            Verdict::Done => Ok(None),
            _ => Err(fail(outcome::describe(&reply))),
        }
    }
}
