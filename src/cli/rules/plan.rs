//! `rolecall rules plan`

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;
use rolecall_sink_api::RoleName;
use serde::Serialize;

use super::read_rules;
use crate::admin::api::PlanRequest;
use crate::cli::daemon::Daemon;
use crate::cli::output::{answer, width};
use crate::cli::progress::Bar;
use crate::cli::table::Table;
use crate::cli::text::{FAINT, count, plain, styled};
use crate::cli::whom::Whom;
use crate::cli::{Exit, Failure};
use crate::rulebook::{Alike, Counts, Planned};

/// How many users are named of those who change alike.
const NAMED: usize = 5;

/// Show who would gain and lose which role under other rules
///
/// The rules are tried on everybody the running daemon knows; nothing is changed. The exit code is 4 when somebody's roles
/// would change, so that a pipeline can ask for review, 0 when nobody's would, and 1 when the rules are wrong.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall rules plan new-rules.yaml")]
pub(in crate::cli) struct Plan {
    /// The rules file [default: the one that the configuration names, unless a daemon on another host is asked]
    file: Option<PathBuf>,
    #[command(flatten)]
    daemon: Daemon,
}

/// All that would change.
#[derive(Debug, Serialize)]
struct Answered {
    file: String,
    /// How many users there are.
    users: u64,
    /// How many of them would have other roles.
    changed: u64,
    roles: BTreeMap<RoleName, Counts>,
    /// Those who change alike, most of them first.
    groups: Vec<Alike>,
}

impl Plan {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        if self.file.is_none()
            && let Some(url) = whom.url()?
        {
            return Err(Failure::Usage(anyhow!(
                "name the rules file: that of this host's configuration is not that of {url}"
            )));
        }
        let (name, text) = read_rules(self.file, &whom.config)?;
        let client = self.daemon.client(whom)?;
        let mut request = PlanRequest { name: name.clone(), text, after: None };
        let mut planned = Planned::naming(usize::MAX);
        let store = client.status().await?.store;
        let bar = Bar::counted(store.active_users + store.inactive_users);
        loop {
            let page = client.plan_rules(&request).await?;
            bar.advance(page.users);
            request.after = page.next;
            planned.add(page);
            if request.after.is_none() {
                break;
            }
        }
        drop(bar);
        let answered = Answered::new(name, planned);
        answer(self.daemon.json, &answered, |answered| render(answered, width()))?;
        Ok(if answered.changed == 0 { Exit::Done } else { Exit::Changes })
    }
}

impl Answered {
    fn new(file: String, mut planned: Planned) -> Self {
        let roles = std::mem::take(&mut planned.roles);
        Self { file, users: planned.users, changed: planned.changed, roles, groups: planned.kinds() }
    }
}

fn render(planned: &Answered, width: Option<usize>) -> String {
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
    for Alike { gains, losses, users, total } in &planned.groups {
        let signs =
            gains.iter().map(|role| format!("+{role}")).chain(losses.iter().map(|role| format!("-{role}")));
        let named = users.iter().take(NAMED).map(|user| user.name.as_deref().unwrap_or(user.id.as_str()));
        let mut who = named.collect::<Vec<_>>().join(", ");
        if *total > NAMED as u64 {
            // Writing to a string does not fail.
            let _ = write!(who, " and {} more", total - NAMED as u64);
        }
        groups.row([(*total).into(), signs.collect::<Vec<_>>().join(" ").into(), who.into()]);
    }
    out.push_str(&groups.render(2, width));
    if planned.groups.iter().any(|alike| alike.total > NAMED as u64) {
        let _ = writeln!(out, "\n{}", styled(FAINT, "--json names everybody"));
    }
    out
}

#[cfg(test)]
mod tests {
    use rolecall_sink_api::UserId;

    use super::*;
    use crate::rulebook::{PlanPage, RoleChange};

    fn answered(users: u64, changes: Vec<RoleChange>) -> Answered {
        let mut planned = Planned::naming(usize::MAX);
        planned.add(PlanPage { users, changes, next: None });
        Answered::new("new.yaml".into(), planned)
    }

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
        let planned = answered(1204, changes);
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
        let nothing = answered(3, Vec::new());
        assert_eq!(render(&nothing, None), "nobody's roles would change under new.yaml: 3 users looked at\n");
    }
}
