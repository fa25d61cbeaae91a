//! `rolecall explain`

use std::fmt::Write as _;

use clap::Args;
use jiff::Timestamp;
use rolecall_sink_api::RoleName;

use super::daemon::Daemon;
use super::output::{answer, width};
use super::reasons::{NOT_IN_FORCE, Told, outranked, separated};
use super::standing::{heading, in_sinks, recent, since};
use super::table::{Cell, Table};
use super::text::{BAD, FAINT, GOOD, HEADING, exact, moment, plain, styled};
use super::whom::Whom;
use super::{Exit, Failure};
use crate::admin::api::{Explanation, RoleObjection, RoleReason, Users};
use crate::store::Status;

/// Say why a user is who they are
///
/// Whether they have access and since which event; every role with the rule, the group and the event that put
/// them there; what each sink has confirmed or still waits for; what was done lately.
///
/// The exit code is 1 when nobody goes by the name, or more than one user does.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall explain ada@example.com")]
pub(super) struct Explain {
    /// The user's id, user name or email address
    user: String,
    #[command(flatten)]
    daemon: Daemon,
}

impl Explain {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let found = self.daemon.client(whom)?.users(&self.user).await?;
        answer(self.daemon.json, &found, |found| render(&self.user, found, width()))?;
        Ok(exit(&found))
    }
}

fn exit(found: &Users) -> Exit {
    if found.users.len() == 1 { Exit::Done } else { Exit::Problems }
}

pub(super) fn render(name: &str, found: &Users, width: Option<usize>) -> String {
    match found.users.as_slice() {
        [] => format!(
            "nobody goes by {}: no user has this id, user name or email address\n",
            plain(&format!("{name:?}"))
        ),
        [user] => explanation(user, found.now, &found.rules_file, width),
        several => candidates(name, several, width),
    }
}

fn candidates(name: &str, users: &[Explanation], width: Option<usize>) -> String {
    let mut table = Table::new(["ID", "STATUS", "ORGANIZATION", "USER NAME", "EMAIL"]);
    for user in users {
        let profile = user.profile.as_ref();
        let or_none = |text: Option<&str>| Cell::from(text.unwrap_or("-"));
        table.row([
            user.id.as_str().into(),
            Cell::styled(look(user.status), word(user.status)),
            or_none(user.organization.as_ref().map(|id| id.as_str())),
            or_none(profile.and_then(|profile| profile.user_name.as_deref())),
            or_none(profile.and_then(|profile| profile.email.as_deref())),
        ]);
    }
    format!(
        "{} users go by {}; explain one of them by its id\n\n{}",
        users.len(),
        plain(&format!("{name:?}")),
        table.render(0, width)
    )
}

pub(super) fn explanation(
    user: &Explanation,
    now: Timestamp,
    rules_file: &str,
    width: Option<usize>,
) -> String {
    let mut out = String::new();
    who(&mut out, user, now);
    roles(&mut out, user, now, rules_file);
    groups(&mut out, user, width);
    in_sinks(&mut out, "user", &user.sinks, user.generation, now);
    recent(&mut out, &user.activity, width);
    out
}

fn who(out: &mut String, user: &Explanation, now: Timestamp) {
    let profile = user.profile.clone().unwrap_or_default();
    let name = [&profile.display_name, &profile.user_name, &profile.email].into_iter().flatten().next();
    let name = name.map_or_else(|| user.id.to_string(), |name| plain(name));
    let _ = writeln!(out, "{}", styled(HEADING, &name));
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(out, "  {name:<14}{value}");
        }
    };
    let because = user.status_because.as_ref().map(|because| format!(" {}", since(because, now)));
    let status = styled(look(user.status), word(user.status));
    line("status", Some(format!("{status}{}", because.unwrap_or_default())));
    line("id", Some(plain(user.id.as_str())));
    line("user name", profile.user_name.as_deref().map(plain));
    line("email", profile.email.as_deref().map(plain));
    line("organization", user.organization.as_ref().map(|id| plain(id.as_str())));
    line("profile", user.profile_because.as_ref().map(|because| since(because, now)));
    if !user.provider_roles.is_empty() {
        line("provider roles", Some(plain(&format!(" {}", user.provider_roles.join(", ")))));
    }
}

fn roles(out: &mut String, user: &Explanation, now: Timestamp, rules_file: &str) {
    heading(out, "Roles");
    if user.roles.is_empty() {
        let why = match user.status {
            Status::Active => "none: no rule grants this user one",
            Status::Inactive => "none: an inactive user has none",
            Status::Absent => "none: a user who does not exist has none",
        };
        let _ = writeln!(out, "  {why}");
    }
    for role in &user.roles {
        let _ = writeln!(out, "  {}", styled(GOOD, &plain(role.role.as_str())));
        for reason in &role.reasons {
            let _ = writeln!(out, "    {}", because_of(reason, now, rules_file));
        }
    }
    for withheld in &user.withheld {
        let _ = writeln!(out, "  {}: {}", styled(BAD, "not held"), plain(withheld.role.as_str()));
        for reason in &withheld.reasons {
            let _ = writeln!(out, "    {}", because_of(reason, now, rules_file));
        }
        for objection in &withheld.objections {
            let _ = writeln!(out, "    {}", styled(BAD, &objected(objection, now, rules_file)));
        }
    }
    if let Some(next) = user.next_evaluation {
        let next = format!("this may change by itself at {}", moment(now, next));
        let _ = writeln!(out, "  {}", styled(FAINT, &next));
    }
    let granted = user.roles.iter().map(|role| &role.role);
    if !granted.eq(&user.evaluated_roles) {
        let told = user.evaluated_roles.iter().map(RoleName::as_str).collect::<Vec<_>>().join(", ");
        let told = if told.is_empty() { "none" } else { &told };
        let _ = writeln!(
            out,
            "  {}",
            styled(BAD, &plain(&format!("not evaluated again yet: the sinks are still told: {told}")))
        );
    }
}

fn because_of(reason: &RoleReason, now: Timestamp, rules_file: &str) -> String {
    let RoleReason { rule, line, implied_by, from, until, .. } = reason;
    let told = Told { rule, line: *line, implied_by: implied_by.as_ref(), from: *from, until: *until };
    let rule = told.text(rules_file);
    match &reason.group {
        None => rule,
        Some(group) => {
            let group_name = plain(&format!("{} ({})", group.name, group.id));
            format!("{rule}\n      by group {group_name}, in it {}", since(&group.because, now))
        }
    }
}

fn objected(objection: &RoleObjection, now: Timestamp, rules_file: &str) -> String {
    match objection {
        RoleObjection::Denied(reason) => format!("denied by {}", because_of(reason, now, rules_file)),
        RoleObjection::Outranked { by, line } => outranked(by, rules_file, *line),
        RoleObjection::Separated { from, rule, line } => separated(from, rule, rules_file, *line),
        RoleObjection::NotInForce => NOT_IN_FORCE.into(),
    }
}

fn groups(out: &mut String, user: &Explanation, width: Option<usize>) {
    heading(out, "Groups");
    if user.groups.is_empty() {
        out.push_str("  none\n");
        return;
    }
    let mut table = Table::new(["NAME", "ID", "SINCE", "EVENT", "KIND"]);
    for group in &user.groups {
        table.row([
            group.name.as_str().into(),
            group.id.as_str().into(),
            exact(group.because.at).into(),
            group.because.event.as_str().into(),
            group.because.kind.as_deref().unwrap_or("-").into(),
        ]);
    }
    out.push_str(&table.render(2, width));
}

pub(super) fn word(status: Status) -> &'static str {
    match status {
        Status::Active => "active",
        Status::Inactive => "inactive",
        Status::Absent => "does not exist",
    }
}

pub(super) fn look(status: Status) -> anstyle::Style {
    match status {
        Status::Active => GOOD,
        Status::Inactive | Status::Absent => BAD,
    }
}

#[cfg(test)]
mod tests;
