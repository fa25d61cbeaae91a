//! `rolecall groups list`

use clap::Args;

use crate::admin::AdminClient;
use crate::admin::api::{GroupsPage, GroupsQuery};
use crate::cli::listing::Listing;
use crate::cli::table::Table;
use crate::cli::whom::Whom;
use crate::cli::{Exit, Failure};
use crate::store::Status;

/// List groups, in the order in which they were first heard of
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall groups list --search eng")]
pub(in crate::cli) struct List {
    /// Only those whose id or name has this in it
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Those that were deleted, or were only heard of, in place of those that exist
    #[arg(long)]
    absent: bool,
    #[command(flatten)]
    listing: Listing,
}

impl List {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let status = self.absent.then_some(Status::Absent);
        let query = GroupsQuery { search: self.search, status, ..GroupsQuery::default() };
        let ask = async |client: &AdminClient, limit, after| {
            client.list_groups(&GroupsQuery { limit: Some(limit), after, ..query.clone() }).await
        };
        self.listing.run(whom, ask, render).await
    }
}

fn render(page: &GroupsPage, width: Option<usize>) -> String {
    if page.items.is_empty() {
        return "nothing\n".into();
    }
    let mut table = Table::new(["ID", "ORGANIZATION", "NAME"]);
    for group in &page.items {
        table.row([
            group.id.as_str().into(),
            group.organization.as_ref().map_or("-", |id| id.as_str()).into(),
            group.name.as_str().into(),
        ]);
    }
    let mut out = table.render(0, width);
    if page.next.is_some() {
        out.push_str("… and more: see them with --limit, or narrow it down with --search\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer as programs know it.
    const GOLDEN: &str = r#"{"now": "2026-11-24T10:00:00Z", "items": [
        {"id": "dirgroup_1", "name": "Engineering", "organization": "org_1", "status": "active"},
        {"id": "dirgroup_2", "name": "dirgroup_2", "status": "active"}]}"#;

    #[test]
    fn groups_are_a_table() {
        let page: GroupsPage = serde_json::from_str(GOLDEN).unwrap();
        let golden: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
        assert_eq!(serde_json::to_value(&page).unwrap(), golden);
        let expected = "\
ID          ORGANIZATION  NAME
dirgroup_1  org_1         Engineering
dirgroup_2  -             dirgroup_2
";
        assert_eq!(anstream::adapter::strip_str(&render(&page, None)).to_string(), expected);
    }
}
