//! `rolecall holds list`

use clap::Args;

use super::{cause, state, what};
use crate::admin::AdminClient;
use crate::admin::api::{HoldsPage, HoldsQuery};
use crate::cli::listing::Listing;
use crate::cli::table::{Cell, Table};
use crate::cli::text::{BAD, relative};
use crate::cli::whom::Whom;
use crate::cli::{Exit, Failure};

/// List what waits for somebody to decide, newest first
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall holds list")]
pub(in crate::cli) struct List {
    /// Of this sink
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// Those too that were decided or emptied by themselves, for as long as activity is kept
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    listing: Listing,
}

impl List {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let query = HoldsQuery { sink: self.sink, all: self.all, ..HoldsQuery::default() };
        let ask = async |client: &AdminClient, limit, after| {
            client.holds(&HoldsQuery { limit: Some(limit), after, ..query.clone() }).await
        };
        self.listing.run(whom, ask, render).await
    }
}

fn render(page: &HoldsPage, width: Option<usize>) -> String {
    if page.items.is_empty() {
        return "nothing is held\n".into();
    }
    let mut table =
        Table::new([">HOLD", "SINK", "STATE", ">CHANGES", "WHAT", "ORGANIZATION", "SINCE", "BECAUSE OF"]);
    for hold in &page.items {
        let state = state(hold);
        table.row([
            hold.id.to_string().into(),
            hold.sink.as_str().into(),
            if hold.is_open() { Cell::styled(BAD, state) } else { state.into() },
            hold.changes.into(),
            what(hold).into(),
            hold.reached.organization.as_ref().map_or("any", |organization| organization.as_str()).into(),
            relative(page.now, hold.since).into(),
            cause(hold).into(),
        ]);
    }
    let mut out = table.render(0, width);
    if page.next.is_some() {
        out.push_str("… and more: see them with --limit, or narrow it down with --sink\n");
    }
    if page.items.iter().any(|hold| hold.is_open()) {
        out.push_str("\nwho is in one, and how to decide: rolecall holds show HOLD\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::GOLDEN;
    use super::*;

    #[test]
    fn holds_are_a_table() {
        let page: HoldsPage = serde_json::from_str(&format!(
            r#"{{"now": "2026-11-24T10:00:00Z", "items": [{GOLDEN},
            {{"id": 2, "sink": "crm", "withdrawal": "revocation", "since": "2026-11-20T10:00:00Z", "changes": 0,
              "organization": "org_1", "allowed": 100, "of_users": 300, "within_seconds": 3600, "rules_version": 6,
              "decided": {{"decision": "rejected", "at": "2026-11-20T11:00:00Z", "by": "socket, user 0"}},
              "closed_at": "2026-11-20T11:00:00Z"}}]}}"#
        ))
        .unwrap();
        let expected = "\
HOLD  SINK  STATE     CHANGES  WHAT                 ORGANIZATION  SINCE       BECAUSE OF
   3  ldap  held          150  users removed        any           12 min ago  event evt_9
   2  crm   rejected        0  users losing a role  org_1         4 d ago     rules version 6

who is in one, and how to decide: rolecall holds show HOLD
";
        assert_eq!(anstream::adapter::strip_str(&render(&page, None)).to_string(), expected);
        assert_eq!(render(&HoldsPage { items: Vec::new(), ..page }, None), "nothing is held\n");
    }
}
