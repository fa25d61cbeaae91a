//! `rolecall users list`

use clap::{Args, ValueEnum};
use rolecall_sink_api::RoleName;

use crate::admin::AdminClient;
use crate::admin::api::{UsersPage, UsersQuery};
use crate::cli::explain::{look, word};
use crate::cli::listing::Listing;
use crate::cli::table::{Cell, Table};
use crate::cli::whom::Whom;
use crate::cli::{Exit, Failure};
use crate::store::{Status, UserItem};

/// List users, in the order in which they were first heard of
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  rolecall users list --search @example.com\n  rolecall users list --role admin --json"
)]
pub(in crate::cli) struct List {
    /// Only those whose id, user name or email address has this in it
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only those of this status [default: those who exist]
    #[arg(long)]
    status: Option<InStatus>,
    /// Only those who have this role
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    #[command(flatten)]
    listing: Listing,
}

/// Whether somebody exists and may have access.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum InStatus {
    /// They may have access.
    Active,
    /// They exist and must not have access.
    Inactive,
    /// They were deleted, or were only heard of.
    Absent,
}

impl From<InStatus> for Status {
    fn from(status: InStatus) -> Self {
        match status {
            InStatus::Active => Status::Active,
            InStatus::Inactive => Status::Inactive,
            InStatus::Absent => Status::Absent,
        }
    }
}

impl List {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let query = UsersQuery {
            search: self.search,
            status: self.status.map(Status::from),
            role: self.role.map(RoleName::new),
            ..UsersQuery::default()
        };
        let ask = async |client: &AdminClient, limit, after| {
            client.list_users(&UsersQuery { limit: Some(limit), after, ..query.clone() }).await
        };
        self.listing.run(whom, ask, render).await
    }
}

fn render(page: &UsersPage, width: Option<usize>) -> String {
    if page.items.is_empty() {
        return "nobody\n".into();
    }
    let mut out = rows(&page.items, 0, width);
    if page.next.is_some() {
        out.push_str(
            "… and more: see them with --limit, or narrow it down with --search, --status or --role\n",
        );
    }
    out
}

/// A table of users.
pub(in crate::cli) fn rows(users: &[UserItem], indent: usize, width: Option<usize>) -> String {
    let mut table = Table::new(["ID", "USER NAME", "EMAIL", "STATUS", "ORGANIZATION", "ROLES"]);
    for user in users {
        let or_none = |text: Option<&str>| Cell::from(text.unwrap_or("-"));
        let roles: Vec<&str> = user.roles.iter().map(|role| role.as_str()).collect();
        table.row([
            user.id.as_str().into(),
            or_none(user.user_name.as_deref()),
            or_none(user.email.as_deref()),
            Cell::styled(look(user.status), word(user.status)),
            or_none(user.organization.as_ref().map(|id| id.as_str())),
            roles.join(", ").into(),
        ]);
    }
    table.render(indent, width)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer as programs know it.
    const GOLDEN: &str = r#"{"now": "2026-11-24T10:00:00Z", "items": [
        {"id": "diruser_1", "user_name": "ada", "email": "ada@example.com", "organization": "org_1",
         "status": "active", "roles": ["engineer", "member"]},
        {"id": "diruser_2", "status": "inactive", "roles": []}], "next": "[2,0]"}"#;

    #[test]
    fn users_are_a_table() {
        let page: UsersPage = serde_json::from_str(GOLDEN).unwrap();
        let golden: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
        assert_eq!(serde_json::to_value(&page).unwrap(), golden);
        let expected = "\
ID         USER NAME  EMAIL            STATUS    ORGANIZATION  ROLES
diruser_1  ada        ada@example.com  active    org_1         engineer, member
diruser_2  -          -                inactive  -
… and more: see them with --limit, or narrow it down with --search, --status or --role
";
        assert_eq!(anstream::adapter::strip_str(&render(&page, None)).to_string(), expected);
        assert_eq!(render(&UsersPage { items: Vec::new(), ..page }, None), "nobody\n");
    }
}
