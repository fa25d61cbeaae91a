//! `rolecall queue list`

use clap::Args;
use jiff::Timestamp;

use super::Filter;
use crate::admin::AdminClient;
use crate::admin::api::{QueuePage, QueueQuery};
use crate::cli::listing::Listing;
use crate::cli::table::{Cell, Table};
use crate::cli::text::{BAD, relative};
use crate::cli::whom::Whom;
use crate::cli::{Exit, Failure};
use crate::store::{Priority, QueueItem, QueueState};

/// List what waits for the sinks, and the dead letters
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall queue list --sink ldap --dead")]
pub(in crate::cli) struct List {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    listing: Listing,
}

impl List {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let query = QueueQuery {
            state: self.filter.state(),
            sink: self.filter.sink,
            id: self.filter.id,
            ..QueueQuery::default()
        };
        let ask = async |client: &AdminClient, limit, after| {
            client.queue(&QueueQuery { limit: Some(limit), after, ..query.clone() }).await
        };
        self.listing.run(whom, ask, render).await
    }
}

fn render(page: &QueuePage, width: Option<usize>) -> String {
    if page.items.is_empty() {
        return "nothing\n".into();
    }
    let mut table =
        Table::new(["SINK", "KIND", "ID", "STATE", "PRIORITY", ">ATTEMPTS", "WAITS SINCE", "NEXT", "ERROR"]);
    for item in &page.items {
        table.row([
            item.sink.as_str().into(),
            item.entity.kind().as_str().into(),
            item.entity.id().into(),
            state(item),
            priority(item.priority).into(),
            u64::from(item.attempts).into(),
            relative(page.now, item.since).into(),
            next(page.now, item).into(),
            item.error.as_deref().unwrap_or_default().into(),
        ]);
    }
    let mut out = table.render(0, width);
    if page.next.is_some() {
        out.push_str("… and more: see them with --limit, or narrow it down with --sink, --id or --dead\n");
    }
    out
}

fn state(item: &QueueItem) -> Cell {
    match item.state {
        QueueState::Waiting => "waiting".into(),
        QueueState::Dead => Cell::styled(BAD, "dead"),
        QueueState::Held => Cell::styled(BAD, "held"),
    }
}

fn priority(priority: Priority) -> String {
    priority.as_str().replace('_', " ")
}

fn next(now: Timestamp, item: &QueueItem) -> String {
    match item.state {
        QueueState::Dead => "-".into(),
        QueueState::Held => item.hold.map_or_else(|| "-".into(), |hold| format!("by hold {hold}")),
        QueueState::Waiting if item.due <= now => "due".into(),
        QueueState::Waiting => relative(now, item.due),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(next: &str) -> QueuePage {
        serde_json::from_str(&format!(
            r#"{{"now": "2026-11-24T10:00:00Z", {next} "items": [
            {{"sink": "crm", "kind": "user", "id": "diruser_1", "event": "evt_1", "generation": 3,
             "state": "waiting", "priority": "leaver", "attempts": 2, "since": "2026-11-24T09:48:00Z",
             "due": "2026-11-24T10:00:30Z", "error": "PUT /users/1: 503 Service Unavailable, and more",
             "cursor": [1, 1]}},
            {{"sink": "ldap", "kind": "group", "id": "dirgroup_1", "generation": 1, "state": "dead",
             "priority": "group_removal", "attempts": 20, "since": "2026-11-20T10:00:00Z",
             "due": "2026-11-20T10:00:00Z", "error": "object class\nviolation", "cursor": [2, 7]}},
            {{"sink": "ldap", "kind": "user", "id": "diruser_2", "generation": 1, "state": "waiting",
             "priority": "user", "attempts": 0, "since": "2026-11-24T09:59:50Z",
             "due": "2026-11-24T09:59:50Z", "cursor": [2, 8]}}]}}"#
        ))
        .unwrap()
    }

    fn shown(page: &QueuePage, width: Option<usize>) -> String {
        anstream::adapter::strip_str(&render(page, width)).to_string()
    }

    #[test]
    fn an_item_keeps_its_shape() {
        let golden = serde_json::json!({
            "sink": "crm", "kind": "user", "id": "diruser_1", "event": "evt_1", "generation": 3,
            "state": "waiting", "priority": "leaver", "attempts": 2, "since": "2026-11-24T09:48:00Z",
            "due": "2026-11-24T10:00:30Z", "error": "PUT /users/1: 503 Service Unavailable, and more",
            "cursor": [1, 1]
        });
        assert_eq!(serde_json::to_value(&page("").items[0]).unwrap(), golden);
    }

    #[test]
    fn a_queue_is_a_table() {
        let expected = "\
SINK  KIND   ID          STATE    PRIORITY       ATTEMPTS  WAITS SINCE  NEXT     ERROR
crm   user   diruser_1   waiting  leaver                2  12 min ago   in 30 s  PUT /users/1: 503 Service Unavailable, and more
ldap  group  dirgroup_1  dead     group removal        20  4 d ago      -        object class violation
ldap  user   diruser_2   waiting  user                  0  10 s ago     due
";
        assert_eq!(shown(&page(""), None), expected);
    }

    #[test]
    fn errors_end_where_the_terminal_does_and_more_is_announced() {
        let shown = shown(&page(r#""next": "x","#), Some(110));
        assert!(shown.contains("PUT /users/1: 503 Service Un…\n"), "{shown}");
        assert!(shown.ends_with("or --dead\n"), "{shown}");
    }

    #[test]
    fn an_empty_queue_says_so() {
        let empty = QueuePage { items: Vec::new(), ..page("") };
        assert_eq!(render(&empty, None), "nothing\n");
    }
}
