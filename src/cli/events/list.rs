//! `rolecall events list`

use clap::{Args, ValueEnum};

use super::status;
use crate::admin::AdminClient;
use crate::admin::api::{EventsPage, EventsQuery};
use crate::cli::listing::Listing;
use crate::cli::span::Span;
use crate::cli::table::Table;
use crate::cli::text::relative;
use crate::cli::whom::Whom;
use crate::cli::{Exit, Failure};
use crate::store::EventStatus;

/// List the messages that came, newest first
///
/// They are kept for `store.retention.journal`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  rolecall events list --unreadable\n  rolecall events list --entity diruser_42 --since 2h"
)]
pub(in crate::cli) struct List {
    /// Only those that could not be read
    #[arg(long, conflicts_with = "status")]
    unreadable: bool,
    /// Only those of which this was made
    #[arg(long)]
    status: Option<Became>,
    /// Only what came through this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only of this kind, in the sender's word
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only what changed this user or group
    #[arg(long, value_name = "ID")]
    entity: Option<String>,
    #[command(flatten)]
    span: Span,
    #[command(flatten)]
    listing: Listing,
}

/// What was made of a message.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Became {
    /// Its facts are in the directory.
    Merged,
    /// It has nothing to do with a directory.
    Ignored,
    /// It could not be read.
    Unreadable,
}

impl List {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let status = match self.status {
            Some(Became::Merged) => Some(EventStatus::Merged),
            Some(Became::Ignored) => Some(EventStatus::Ignored),
            None if !self.unreadable => None,
            Some(Became::Unreadable) | None => Some(EventStatus::Unreadable),
        };
        let query = EventsQuery {
            status,
            source: self.source,
            kind: self.kind,
            entity: self.entity,
            since: self.span.since,
            until: self.span.until,
            ..EventsQuery::default()
        };
        let ask = async |client: &AdminClient, limit, after| {
            client.events(&EventsQuery { limit: Some(limit), after, ..query.clone() }).await
        };
        self.listing.run(whom, ask, render).await
    }
}

fn render(page: &EventsPage, width: Option<usize>) -> String {
    if page.items.is_empty() {
        return "nothing\n".into();
    }
    let mut table = Table::new(["ID", "SOURCE", "KIND", "RECEIVED", "STATUS", "REASON"]);
    for event in &page.items {
        table.row([
            event.id.as_str().into(),
            event.source.as_str().into(),
            event.kind.as_deref().unwrap_or("-").into(),
            relative(page.now, event.received_at).into(),
            status(event.status),
            event.reason.as_deref().unwrap_or_default().into(),
        ]);
    }
    let mut out = table.render(0, width);
    if page.next.is_some() {
        out.push_str("… and more: see them with --limit\n");
    }
    if page.items.iter().any(|event| event.status == EventStatus::Unreadable) {
        out.push_str(
            "\nrolecall events show ID shows what an unreadable one holds; rolecall events replay reads it again\n",
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer as programs know it.
    const GOLDEN: &str = r#"{"now": "2026-11-24T10:00:00Z", "items": [
        {"id": "evt_2", "source": "scalekit", "kind": "organization.directory.user_created",
         "received_at": "2026-11-24T09:48:00Z", "status": "unreadable",
         "reason": "data.id: missing\nor empty", "cursor": 2},
        {"id": "evt_1", "source": "scalekit", "received_at": "2026-11-24T08:00:00Z", "status": "merged",
         "cursor": 1}]}"#;

    fn page() -> EventsPage {
        serde_json::from_str(GOLDEN).unwrap()
    }

    fn shown(page: &EventsPage, width: Option<usize>) -> String {
        anstream::adapter::strip_str(&render(page, width)).to_string()
    }

    #[test]
    fn a_page_keeps_its_shape() {
        let golden: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
        assert_eq!(serde_json::to_value(page()).unwrap(), golden);
    }

    #[test]
    fn the_journal_is_a_table_that_says_what_to_do_about_the_unreadable() {
        let expected = "\
ID     SOURCE    KIND                                 RECEIVED    STATUS      REASON
evt_2  scalekit  organization.directory.user_created  12 min ago  unreadable  data.id: missing or empty
evt_1  scalekit  -                                    2 h ago     merged

rolecall events show ID shows what an unreadable one holds; rolecall events replay reads it again
";
        assert_eq!(shown(&page(), None), expected);
        let mut read = page();
        read.items.remove(0);
        assert_eq!(shown(&read, None).lines().count(), 2);
        read.items.clear();
        assert_eq!(shown(&read, None), "nothing\n");
    }
}
