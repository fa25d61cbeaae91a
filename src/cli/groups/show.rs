//! `rolecall groups show`

use std::fmt::Write as _;

use clap::Args;
use rolecall_sink_api::GroupId;
use serde::Serialize;

use crate::admin::api::{GroupDetail, LARGEST_PAGE, MembersPage, MembersQuery};
use crate::cli::daemon::Daemon;
use crate::cli::output::{answer, width};
use crate::cli::pages::up_to;
use crate::cli::standing::{heading, in_sinks, recent, since};
use crate::cli::text::{FAINT, HEADING, plain, styled};
use crate::cli::users::rows;
use crate::cli::whom::Whom;
use crate::cli::{Exit, Failure};
use crate::store::Status;

/// Show one group: its members, and what each sink holds of it
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall groups show dirgroup_7")]
pub(in crate::cli) struct Show {
    /// The group's id
    id: String,
    /// Most members to list
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    daemon: Daemon,
}

/// A group with its members.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    group: GroupDetail,
    members: MembersPage,
}

impl Show {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let client = self.daemon.client(whom)?;
        let id = GroupId::new(self.id);
        let group = client.group(&id).await?;
        let ask = async |limit, after| {
            client.members(&MembersQuery { id: id.clone(), limit: Some(limit), after }).await
        };
        let members = up_to(self.limit, LARGEST_PAGE, ask).await?;
        answer(self.daemon.json, &Shown { group, members }, |shown| render(shown, width()))?;
        Ok(Exit::Done)
    }
}

fn render(Shown { group, members }: &Shown, width: Option<usize>) -> String {
    let mut out = String::new();
    let name = plain(&format!("{} ({})", group.name, group.id));
    // Writing to a string does not fail.
    let _ = writeln!(out, "{}", styled(HEADING, &name));
    let status = match group.status {
        Status::Absent => "does not exist",
        Status::Active | Status::Inactive => "exists",
    };
    let since = group.because.as_ref().map(|because| format!(", {}", since(because, group.now)));
    let _ = writeln!(out, "  {status}{}", since.unwrap_or_default());
    let mut line = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            let _ = writeln!(out, "  {name}: {}", plain(value));
        }
    };
    line("organization", group.organization.as_ref().map(|id| id.as_str()));
    line("provider's id", group.external_id.as_deref());
    let gives = group.gives.iter().map(|given| given.role.as_str()).collect::<Vec<_>>().join(", ");
    line("gives", Some(gives.as_str()).filter(|gives| !gives.is_empty()));
    heading(&mut out, "Members");
    if members.items.is_empty() {
        out.push_str("  none\n");
    } else {
        out.push_str(&rows(&members.items, 2, width));
    }
    if members.next.is_some() {
        let _ = writeln!(out, "  {}", styled(FAINT, "… and more: see them with --limit"));
    }
    in_sinks(&mut out, "group", &group.sinks, group.generation, group.now);
    recent(&mut out, &group.activity, width);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_shown_with_its_members_and_its_place_in_each_sink() {
        let shown = Shown {
            group: serde_json::from_str(
                r#"{"now": "2026-11-24T10:00:00Z", "id": "dirgroup_1", "name": "Engineering",
                "organization": "org_1", "status": "active", "generation": 3,
                "gives": [{"role": "engineer", "reasons": [{"rule": "engineers", "line": 4}]}],
                "because": {"event": "evt_1", "at": "2026-11-24T08:00:00Z", "kind": "group_created",
                            "received_at": "2026-11-24T08:00:01Z"},
                "sinks": {"ldap": {"applied": {"generation": 3, "at": "2026-11-24T08:00:02Z",
                                               "action": "created", "remote": "cn=eng", "present": true}}},
                "activity": [{"at": "2026-11-24T08:00:02Z", "sink": "ldap", "what": "created", "event": "evt_1"}]}"#,
            )
            .unwrap(),
            members: serde_json::from_str(
                r#"{"now": "2026-11-24T10:00:00Z", "next": "[1,0]", "items": [
                {"id": "diruser_1", "user_name": "ada", "status": "active", "roles": ["engineer"]}]}"#,
            )
            .unwrap(),
        };
        let expected = "\
Engineering (dirgroup_1)
  exists, since 2026-11-24T08:00:00Z (2 h ago), event evt_1 (group_created)
  organization: org_1
  gives: engineer

Members
  ID         USER NAME  EMAIL  STATUS  ORGANIZATION  ROLES
  diruser_1  ada        -      active  -             engineer
  … and more: see them with --limit

Sinks
  ldap  up to date
        confirmed 2026-11-24T08:00:02Z (1 h 59 min ago): created, generation 3, as cn=eng

Recent
  WHEN                  WHERE  WHAT     EVENT  DETAIL
  2026-11-24T08:00:02Z  ldap   created  evt_1
";
        assert_eq!(anstream::adapter::strip_str(&render(&shown, None)).to_string(), expected);
    }
}
