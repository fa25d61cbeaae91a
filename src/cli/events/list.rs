//! `rolecall events list`

use std::path::Path;

use clap::Args;

use super::status;
use crate::admin::AdminClient;
use crate::admin::api::{EventsPage, EventsQuery, LARGEST_PAGE};
use crate::cli::daemon::Daemon;
use crate::cli::output::{print, print_json, width};
use crate::cli::table::Table;
use crate::cli::text::relative;
use crate::cli::{Exit, Failure};
use crate::store::EventStatus;

/// List the messages that came, newest first
///
/// They are kept for `store.retention.journal`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall events list --unreadable")]
pub(in crate::cli) struct List {
    /// Only those that could not be read
    #[arg(long)]
    unreadable: bool,
    /// Only those that came through this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Most messages to list
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Show reasons in full, however wide the terminal is
    #[arg(long)]
    wide: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl List {
    pub(super) async fn run(self, config: &Path) -> Result<Exit, Failure> {
        let query = EventsQuery {
            status: self.unreadable.then_some(EventStatus::Unreadable),
            source: self.source,
            ..EventsQuery::default()
        };
        let listed = up_to(&self.daemon.client(config)?, query, self.limit, LARGEST_PAGE).await?;
        if self.daemon.json {
            print_json(&listed)?;
        } else {
            let width = if self.wide { None } else { width() };
            print(&render(&listed, width))?;
        }
        Ok(Exit::Done)
    }
}

/// As many pages as it takes, as one.
async fn up_to(
    client: &AdminClient,
    mut query: EventsQuery,
    limit: u32,
    page: u32,
) -> Result<EventsPage, Failure> {
    let mut left = limit;
    let mut events = Vec::new();
    loop {
        query.limit = Some(left.min(page));
        let page = client.events(&query).await?;
        left = left.saturating_sub(u32::try_from(page.events.len()).unwrap_or(u32::MAX));
        events.extend(page.events);
        if left == 0 || page.next.is_none() {
            return Ok(EventsPage { now: page.now, events, next: page.next });
        }
        query.after = page.next;
    }
}

fn render(page: &EventsPage, width: Option<usize>) -> String {
    if page.events.is_empty() {
        return "nothing\n".into();
    }
    let mut table = Table::new(["ID", "SOURCE", "KIND", "RECEIVED", "STATUS", "REASON"]);
    for event in &page.events {
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
    if page.events.iter().any(|event| event.status == EventStatus::Unreadable) {
        out.push_str(
            "\nrolecall events show ID shows what an unreadable one holds; rolecall events replay reads it again\n",
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::tests::Daemon;

    /// The answer as programs know it.
    const GOLDEN: &str = r#"{"now": "2026-11-24T10:00:00Z", "events": [
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
        read.events.remove(0);
        assert_eq!(shown(&read, None).lines().count(), 2);
        read.events.clear();
        assert_eq!(shown(&read, None), "nothing\n");
    }

    #[tokio::test]
    async fn a_listing_takes_as_many_pages_as_it_needs_and_no_more_events_than_asked_for() {
        let daemon = Daemon::with_ada_and_grace().await;
        for (limit, events, more) in [(3, 3, true), (4, 4, false), (100, 4, false)] {
            let listed = up_to(&daemon.client, EventsQuery::default(), limit, 2).await.unwrap();
            let ids: Vec<&str> = listed.events.iter().map(|event| event.id.as_str()).collect();
            assert_eq!(ids, ["evt_4", "evt_3", "evt_2", "evt_1"][..events]);
            assert_eq!(listed.next.is_some(), more, "{limit}");
        }
    }
}
