//! `rolecall status`

use std::fmt::Write as _;

use clap::Args;
use jiff::Timestamp;
use rolecall_sink_api::SinkName;

use super::daemon::Daemon;
use super::output::{answer, width};
use super::rules::by;
use super::table::{Cell, Table};
use super::text::{
    BAD, GOOD, HEADING, bytes, count, exact, length, moment, per_second, plain, relative, styled,
};
use super::whom::Whom;
use super::{Exit, Failure};
use crate::admin::api::{DaemonStatus, SinkStatus};
use crate::deliver::Breaker;
use crate::metrics::Recent;
use crate::rulebook::Rejected;
use crate::store::BackupStatus;
use crate::tls::{RejectedFiles, TlsStatus, Validity};

/// Show what the daemon is doing
///
/// Whether webhooks come in and can be read, what waits where and since when, which sink is down and why, dead
/// letters, what is held until somebody decides.
///
/// The exit code is 1 when a sink is down, is paused, has dead letters or has changes held, when messages are kept that
/// cannot be read, when new rules were turned down, when the disk is nearly full, or when backups are not made that should be, so that a
/// script can ask too.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall status")]
pub(super) struct Status {
    #[command(flatten)]
    daemon: Daemon,
}

impl Status {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let status = self.daemon.client(whom)?.status().await?;
        answer(self.daemon.json, &status, |status| render(status, width()))?;
        Ok(exit(&status))
    }
}

fn exit(status: &DaemonStatus) -> Exit {
    let well = |sink: &SinkStatus| State::of(sink) == State::Up && sink.dead_letters == 0 && sink.held == 0;
    if status.store.unreadable_events == 0
        && !status.store.low_on_space
        && status.rules.rejected.is_none()
        && status.store.backup.as_ref().is_none_or(|backup| backup.problem(status.now).is_none())
        && status.sinks.values().all(well)
    {
        Exit::Done
    } else {
        Exit::Problems
    }
}

/// Whether a sink can be worked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    Down,
    /// Somebody said that nothing is delivered.
    Paused,
    /// Nobody delivers.
    Stopped,
}

impl State {
    fn of(sink: &SinkStatus) -> Self {
        let delivery = sink.delivery.as_ref();
        match delivery.map(|delivery| &delivery.breaker) {
            Some(_) if delivery.is_some_and(|delivery| delivery.paused.is_some()) => State::Paused,
            Some(Breaker::Closed) => State::Up,
            Some(Breaker::Open { .. }) => State::Down,
            None => State::Stopped,
        }
    }

    fn cell(self) -> Cell {
        match self {
            State::Up => Cell::styled(GOOD, "up"),
            State::Down => Cell::styled(BAD, "down"),
            State::Paused => Cell::styled(BAD, "PAUSED"),
            State::Stopped => Cell::styled(BAD, "stopped"),
        }
    }
}

pub(super) fn render(status: &DaemonStatus, width: Option<usize>) -> String {
    let mut out = String::new();
    let (now, started) = (status.now, status.started_at);
    let version = plain(&status.version);
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "rolecall {version}, running for {}, since {}\n",
        length(now.duration_since(started)),
        exact(started)
    );
    receiving(&mut out, status);
    directory(&mut out, status);
    rules(&mut out, status);
    if let Some(tls) = &status.admin.tls {
        let _ = writeln!(out, "{}", styled(HEADING, "Admin API"));
        certificate(&mut out, status.now, tls);
        out.push('\n');
    }
    let _ = writeln!(out, "{}", styled(HEADING, "Sinks"));
    if status.sinks.is_empty() {
        out.push_str("  none is configured: nothing is kept in step\n");
        return out;
    }
    out.push_str(&sinks(status, 2, width));
    out.push_str(&troubles(status));
    out
}

fn receiving(out: &mut String, status: &DaemonStatus) {
    let _ = writeln!(out, "{}", styled(HEADING, "Receiving"));
    let last = match status.last_event {
        Some(at) => moment(status.now, at),
        None => styled(BAD, "none yet"),
    };
    line(out, "last webhook", &last);
    let answers: Vec<String> = status
        .received
        .iter()
        .filter(|(_, times)| **times > 0)
        .map(|(answer, times)| format!("{times} {}", plain(answer).replace('_', " ")))
        .collect();
    let answers = if answers.is_empty() { "nothing".to_owned() } else { answers.join(", ") };
    line(out, "answered", &format!("{answers}, since the start"));
    let Recent { last_minute, last_5_minutes } = status.recent;
    let pace = per_second(last_minute);
    line(
        out,
        "lately",
        &format!("{last_minute} in the last minute ({pace} a second), {last_5_minutes} in the last 5"),
    );
    if let Some(tls) = &status.listen.tls {
        certificate(out, status.now, tls);
    }
    if status.store.unreadable_events > 0 {
        let kept = count(status.store.unreadable_events, "message is", "messages are");
        let kept = styled(BAD, &format!("{kept} kept and not in the directory"));
        line(out, "unreadable", &format!("{kept}; why: rolecall events list --unreadable"));
    }
    out.push('\n');
}

/// What is shown to whoever connects, and what is wrong with it.
fn certificate(out: &mut String, now: Timestamp, TlsStatus { certificate, rejected, .. }: &TlsStatus) {
    let names = plain(&certificate.names.join(", "));
    let until = moment(now, certificate.not_after);
    let said = match certificate.validity(now) {
        Validity::Valid => format!("{names}, valid until {until}"),
        Validity::EndsSoon => format!("{names}, {} {until}", styled(BAD, "ends soon:")),
        Validity::Expired => format!("{names}, {} {until}", styled(BAD, "expired")),
        Validity::NotYetValid => {
            format!("{names}, {} {}", styled(BAD, "valid only from"), moment(now, certificate.not_before))
        }
    };
    line(out, "certificate", &said);
    if let Some(RejectedFiles { at, error }) = rejected {
        let others = styled(BAD, "its files cannot be used");
        line(out, "", &format!("{others} since {}: {}", moment(now, *at), plain(error)));
    }
}

/// The last backup, and why there is no newer one.
fn backup(out: &mut String, now: Timestamp, status: &BackupStatus) {
    line(out, "last backup", &last_backup(now, status));
    if let Some((since, why)) = status.problem(now) {
        let failing = styled(BAD, "not made");
        line(out, "", &format!("{failing} since {}: {}", moment(now, since), plain(&why)));
    }
}

/// The newest of the backups that are made by themselves.
pub(super) fn last_backup(now: Timestamp, status: &BackupStatus) -> String {
    let directory = plain(&status.directory);
    match &status.last {
        Some(last) => {
            format!("{}, {}, {directory}/{}", moment(now, last.at), bytes(last.bytes), plain(&last.file))
        }
        None => format!("{} in {directory}", styled(BAD, "none yet")),
    }
}

fn directory(out: &mut String, status: &DaemonStatus) {
    let (now, store) = (status.now, &status.store);
    let _ = writeln!(out, "{}", styled(HEADING, "Directory"));
    let mut users = format!("{} active, {} inactive", store.active_users, store.inactive_users);
    if store.stale_users > 0 {
        let _ = write!(users, ", {} to be evaluated again", store.stale_users);
    }
    line(out, "users", &users);
    line(out, "groups", &store.groups.to_string());
    for connection in &status.connections {
        let provider = connection.provider.as_deref().unwrap_or("identity provider");
        let organization = connection.organization.as_ref().map_or(String::new(), |id| format!(" of {id}"));
        let state = if connection.enabled { styled(GOOD, "enabled") } else { styled(BAD, "disabled") };
        let what = plain(&format!("{} {provider}{organization}", connection.id));
        line(out, "connection", &format!("{what}: {state} since {}", moment(status.now, connection.since)));
    }
    let free = store.free_bytes.map_or(String::new(), |free| format!(", {} free", bytes(free)));
    let free = if store.low_on_space { styled(BAD, &format!("{free}: make room")) } else { free };
    line(out, "on disk", &format!("{}{free}", bytes(store.bytes)));
    if let Some(status) = &store.backup {
        backup(out, now, status);
    }
    out.push('\n');
}

fn rules(out: &mut String, status: &DaemonStatus) {
    let _ = writeln!(out, "{}", styled(HEADING, "Rules"));
    line(out, "file", &plain(&status.rules.file));
    if let Some(version) = &status.rules.in_force {
        let since = moment(status.now, version.at);
        line(
            out,
            "in force",
            &format!("version {} since {since}, by {}", version.number, by(version.origin)),
        );
    }
    if let Some(Rejected { at, error }) = &status.rules.rejected {
        let (at, first) = (moment(status.now, *at), error.lines().next().unwrap_or_default());
        line(out, "turned down", &format!("{} {at}: {}", styled(BAD, "others"), plain(first)));
    }
    out.push('\n');
}

fn line(out: &mut String, name: &str, value: &str) {
    let _ = writeln!(out, "  {name:<14}{value}");
}

/// The sinks as a table, so far from the left.
pub(super) fn sinks(status: &DaemonStatus, indent: usize, width: Option<usize>) -> String {
    let mut table = Table::new([
        "SINK",
        "STATE",
        ">WAITING",
        ">LEAVERS",
        "OLDEST",
        ">HELD",
        ">DEAD",
        ">CONFIRMED",
        ">1 MIN",
        ">5 MIN",
        "LAST CONFIRMED",
    ]);
    let ago = |at: Option<Timestamp>| at.map_or("-".into(), |at| relative(status.now, at));
    for (name, sink) in &status.sinks {
        let recent = sink.delivery.as_ref().map(|delivery| delivery.recent).unwrap_or_default();
        let number = |n: u64| if n > 0 { Cell::styled(BAD, n.to_string()) } else { Cell::from(n) };
        table.row([
            name.as_str().into(),
            State::of(sink).cell(),
            sink.waiting.into(),
            sink.leavers.into(),
            ago(sink.oldest).into(),
            number(sink.held),
            number(sink.dead_letters),
            sink.confirmed.into(),
            recent.last_minute.into(),
            recent.last_5_minutes.into(),
            ago(sink.delivery.as_ref().and_then(|delivery| delivery.last_applied)).into(),
        ]);
    }
    table.render(indent, width)
}

/// What is wrong with the sinks, and what to do about it.
pub(super) fn troubles(status: &DaemonStatus) -> String {
    let mut out = String::new();
    for (name, sink) in &status.sinks {
        troubles_of(&mut out, status.now, name, sink);
    }
    out
}

fn troubles_of(out: &mut String, now: Timestamp, name: &SinkName, sink: &SinkStatus) {
    if let Some(Breaker::Open { since, reason, next_probe }) =
        sink.delivery.as_ref().map(|delivery| &delivery.breaker)
    {
        let down = styled(BAD, &format!("{name} is down"));
        let (since, next) = (moment(now, *since), relative(now, *next_probe));
        let _ = writeln!(out, "\n{down} since {since}; asked again {next}:\n  {}", plain(reason));
    }
    if let Some(pause) = sink.delivery.as_ref().and_then(|delivery| delivery.paused.as_ref()) {
        let paused = styled(BAD, &format!("{name} is PAUSED"));
        let by = pause.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        let reason = pause.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let _ = writeln!(
            out,
            "\n{paused} since {}{}: nothing is delivered to it, and {} there; to go on: rolecall sinks resume {name}",
            moment(now, pause.since),
            plain(&format!("{by}{reason}")),
            count(sink.leavers, "leaver keeps their access", "leavers keep their access"),
        );
    }
    if sink.held > 0 {
        let held = styled(BAD, &format!("{name} has {}", count(sink.held, "change held", "changes held")));
        let since = sink.held_since.map_or(String::new(), |at| format!(" since {}", moment(now, at)));
        let _ = writeln!(out, "\n{held}{since}; to decide: rolecall holds list --sink {name}");
    }
    if State::of(sink) == State::Stopped {
        let _ = writeln!(out, "\n{}: nothing is delivered to it", styled(BAD, &format!("{name} is stopped")));
    }
    if sink.dead_letters > 0 {
        let dead =
            styled(BAD, &format!("{name} has {}", count(sink.dead_letters, "dead letter", "dead letters")));
        let _ = writeln!(out, "\n{dead}; why: rolecall queue list --sink {name} --dead");
    }
}

#[cfg(test)]
mod tests;
