//! `rolecall rules plan`

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use rolecall_sink_api::{RoleName, UserId};
use serde::Serialize;

use super::read_rules;
use crate::admin::api::PlanRequest;
use crate::cli::daemon::Daemon;
use crate::cli::output::{answer, width};
use crate::cli::table::Table;
use crate::cli::text::{FAINT, count, plain, styled};
use crate::cli::{Exit, Failure};
use crate::rulebook::RoleChange;

/// How many users are named of those who change alike.
const NAMED: usize = 5;

/// Show who would gain and lose which role under other rules
///
/// The rules are tried on everybody the running daemon knows; nothing is changed. The exit code is 4 when somebody's roles
/// would change, so that a pipeline can ask for review, 0 when nobody's would, and 1 when the rules are wrong.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall rules plan new-rules.yaml")]
pub(in crate::cli) struct Plan {
    /// The rules file [default: the one that the configuration names]
    file: Option<PathBuf>,
    #[command(flatten)]
    daemon: Daemon,
}

/// All that would change.
#[derive(Debug, Default, Serialize)]
struct Planned {
    file: String,
    /// How many users there are.
    users: u64,
    /// How many of them would have other roles.
    changed: u64,
    roles: BTreeMap<RoleName, Counts>,
    /// Those who change alike, most of them first.
    groups: Vec<Alike>,
}

#[derive(Debug, Default, Serialize)]
struct Counts {
    gain: u64,
    lose: u64,
}

#[derive(Debug, Serialize)]
struct Alike {
    gains: BTreeSet<RoleName>,
    losses: BTreeSet<RoleName>,
    users: Vec<Somebody>,
}

#[derive(Debug, Serialize)]
struct Somebody {
    id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl Plan {
    pub(super) async fn run(self, config: &Path) -> Result<Exit, Failure> {
        let (name, text) = read_rules(self.file, config)?;
        let client = self.daemon.client(config)?;
        let mut request = PlanRequest { name: name.clone(), text, after: None };
        let (mut users, mut changes) = (0, Vec::new());
        loop {
            let page = client.plan_rules(&request).await?;
            users += page.users;
            changes.extend(page.changes);
            request.after = page.next;
            if request.after.is_none() {
                break;
            }
        }
        let planned = Planned::of(name, users, changes);
        answer(self.daemon.json, &planned, |planned| render(planned, width()))?;
        Ok(if planned.changed == 0 { Exit::Done } else { Exit::Changes })
    }
}

impl Planned {
    fn of(file: String, users: u64, changes: Vec<RoleChange>) -> Self {
        let mut planned = Planned { file, users, changed: changes.len() as u64, ..Planned::default() };
        let mut alike: BTreeMap<(BTreeSet<RoleName>, BTreeSet<RoleName>), Vec<Somebody>> = BTreeMap::new();
        for RoleChange { id, name, gains, losses } in changes {
            for role in &gains {
                planned.roles.entry(role.clone()).or_default().gain += 1;
            }
            for role in &losses {
                planned.roles.entry(role.clone()).or_default().lose += 1;
            }
            alike.entry((gains, losses)).or_default().push(Somebody { id, name });
        }
        planned.groups =
            alike.into_iter().map(|((gains, losses), users)| Alike { gains, losses, users }).collect();
        // The sort is stable: those of equal number stay in the order of their roles.
        planned.groups.sort_by_key(|alike| std::cmp::Reverse(alike.users.len()));
        planned
    }
}

fn render(planned: &Planned, width: Option<usize>) -> String {
    let (file, all) = (plain(&planned.file), count(planned.users, "user", "users"));
    if planned.changed == 0 {
        return format!("nobody's roles would change under {file}: {all} looked at\n");
    }
    let mut out = format!("{} of {all} would have other roles under {file}\n\n", planned.changed);
    let mut roles = Table::new(["ROLE", ">GAIN", ">LOSE"]);
    for (role, Counts { gain, lose }) in &planned.roles {
        roles.row([role.as_str().into(), (*gain).into(), (*lose).into()]);
    }
    out.push_str(&roles.render(2, width));
    out.push('\n');
    let mut groups = Table::new([">USERS", "ROLES", "WHO"]);
    for Alike { gains, losses, users } in &planned.groups {
        let signs =
            gains.iter().map(|role| format!("+{role}")).chain(losses.iter().map(|role| format!("-{role}")));
        let named = users.iter().take(NAMED).map(|user| user.name.as_deref().unwrap_or(user.id.as_str()));
        let mut who = named.collect::<Vec<_>>().join(", ");
        if users.len() > NAMED {
            // Writing to a string does not fail.
            let _ = write!(who, " and {} more", users.len() - NAMED);
        }
        groups.row([(users.len() as u64).into(), signs.collect::<Vec<_>>().join(" ").into(), who.into()]);
    }
    out.push_str(&groups.render(2, width));
    if planned.groups.iter().any(|alike| alike.users.len() > NAMED) {
        let _ = writeln!(out, "\n{}", styled(FAINT, "--json names everybody"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: &str, name: Option<&str>, gains: &[&str], losses: &[&str]) -> RoleChange {
        let roles = |names: &[&str]| names.iter().map(|name| RoleName::new(*name)).collect();
        RoleChange {
            id: UserId::new(id),
            name: name.map(str::to_owned),
            gains: roles(gains),
            losses: roles(losses),
        }
    }

    #[test]
    fn those_who_change_alike_are_counted_together() {
        let mut changes: Vec<RoleChange> =
            (0..7).map(|n| change(&format!("u{n}"), Some(&format!("n{n}")), &["deployer"], &[])).collect();
        changes.push(change("u8", None, &["admin"], &["deployer", "member"]));
        let planned = Planned::of("new.yaml".into(), 1204, changes);
        let expected = "\
8 of 1204 users would have other roles under new.yaml

  ROLE      GAIN  LOSE
  admin        1     0
  deployer     7     1
  member       0     1

  USERS  ROLES                     WHO
      7  +deployer                 n0, n1, n2, n3, n4 and 2 more
      1  +admin -deployer -member  u8

--json names everybody
";
        assert_eq!(anstream::adapter::strip_str(&render(&planned, None)).to_string(), expected);
        let nothing = Planned::of("new.yaml".into(), 3, Vec::new());
        assert_eq!(render(&nothing, None), "nobody's roles would change under new.yaml: 3 users looked at\n");
    }
}
