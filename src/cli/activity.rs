//! `rolecall activity`

use clap::Args;

use super::listing::Listing;
use super::span::Span;
use super::table::Table;
use super::text::exact;
use super::whom::Whom;
use super::{Exit, Failure};
use crate::admin::AdminClient;
use crate::admin::api::{ActivityPage, ActivityQuery};

/// List what was done to whom: where, when and because of which event, newest first
///
/// It is kept for `store.retention.activity`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  rolecall activity --sink ldap --since 2h\n  rolecall activity --what dead_letter"
)]
pub(super) struct Activity {
    /// Only in this sink
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// Only to this user or group
    #[arg(long, value_name = "ID")]
    entity: Option<String>,
    /// Only because of this event, which the journal must still hold
    #[arg(long, value_name = "ID")]
    event: Option<String>,
    /// Only this: created, updated, deactivated, dead_letter, …
    #[arg(long, value_name = "WORD")]
    what: Option<String>,
    #[command(flatten)]
    span: Span,
    #[command(flatten)]
    listing: Listing,
}

impl Activity {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let query = ActivityQuery {
            sink: self.sink,
            entity: self.entity,
            event: self.event,
            what: self.what,
            since: self.span.since,
            until: self.span.until,
            ..ActivityQuery::default()
        };
        let ask = async |client: &AdminClient, limit, after| {
            client.activity(&ActivityQuery { limit: Some(limit), after, ..query.clone() }).await
        };
        self.listing.run(whom, ask, render).await
    }
}

fn render(page: &ActivityPage, width: Option<usize>) -> String {
    if page.items.is_empty() {
        return "nothing\n".into();
    }
    let mut table = Table::new(["AT", "KIND", "ID", "WHERE", "WHAT", "EVENT", "DETAIL"]);
    for line in &page.items {
        table.row([
            exact(line.at).into(),
            line.entity.kind().as_str().into(),
            line.entity.id().into(),
            line.sink.as_deref().unwrap_or("directory").into(),
            line.what.replace('_', " ").into(),
            line.event.as_deref().unwrap_or("-").into(),
            line.detail.as_deref().unwrap_or_default().into(),
        ]);
    }
    let mut out = table.render(0, width);
    if page.next.is_some() {
        out.push_str("… and more: see it with --limit, or narrow it down with --sink, --entity or --since\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer as programs know it.
    const GOLDEN: &str = r#"{"now": "2026-11-24T10:00:00Z", "items": [
        {"kind": "user", "id": "diruser_1", "at": "2026-11-24T09:49:00Z", "sink": "ldap",
         "what": "dead_letter", "event": "evt_2", "detail": "no such\nparent"},
        {"kind": "user", "id": "diruser_1", "at": "2026-11-24T09:48:00Z", "what": "created"}],
        "next": "7"}"#;

    #[test]
    fn activity_is_a_table() {
        let page: ActivityPage = serde_json::from_str(GOLDEN).unwrap();
        let golden: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
        assert_eq!(serde_json::to_value(&page).unwrap(), golden);
        let expected = "\
AT                    KIND  ID         WHERE      WHAT         EVENT  DETAIL
2026-11-24T09:49:00Z  user  diruser_1  ldap       dead letter  evt_2  no such parent
2026-11-24T09:48:00Z  user  diruser_1  directory  created      -
… and more: see it with --limit, or narrow it down with --sink, --entity or --since
";
        assert_eq!(anstream::adapter::strip_str(&render(&page, None)).to_string(), expected);
        assert_eq!(render(&ActivityPage { items: Vec::new(), ..page }, None), "nothing\n");
    }
}
