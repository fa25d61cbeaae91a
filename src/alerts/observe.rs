//! What holds now, of all that is looked at. Pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rolecall_sink_api::SinkName;

use super::ledger::{Condition, Conditions, Subject};
use crate::config::AlertKind;
use crate::deliver::{Breaker, DeliveryStatus};
use crate::rulebook::Rejected;
use crate::store::{BackupStatus, Space, StoreView};
use crate::tls::{Listener, TlsStatus, Validity};

/// How the daemon is at one time: what `rolecall status` shows.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) now: Timestamp,
    /// Or why the store could not be asked.
    pub(super) store: Result<StoreView, String>,
    pub(super) space: Option<Space>,
    pub(super) deliveries: BTreeMap<SinkName, DeliveryStatus>,
    pub(super) rejected: Option<Rejected>,
    pub(super) tls: Vec<(Listener, TlsStatus)>,
    /// How backups go that are made by themselves.
    pub(super) backup: Option<BackupStatus>,
    /// How many messages were answered 503 since the start.
    pub(super) turned_away: u64,
}

/// What must be remembered from one look to the next.
#[derive(Debug, Default)]
pub(super) struct Observer {
    turned_away: u64,
}

impl Observer {
    pub(super) fn conditions(&mut self, picture: &Picture) -> Conditions {
        let mut conditions = Conditions { without_store: picture.store.is_err(), ..Conditions::default() };
        let now = picture.now;
        let mut hold = |kind, sink: Option<&SinkName>, since, text| {
            conditions
                .hold
                .insert(Subject { kind, sink: sink.cloned(), listener: None }, Condition { since, text });
        };
        match &picture.store {
            Ok(store) => of_the_store(store, now, &mut hold),
            Err(error) => hold(AlertKind::StoreFailed, None, now, error.clone()),
        }
        for (sink, delivery) in &picture.deliveries {
            if let Breaker::Open { since, .. } = delivery.breaker {
                hold(AlertKind::SinkDown, Some(sink), since, format!("the sink {sink} is down"));
            }
        }
        if let Some(rejected) = &picture.rejected {
            let text = "rules were turned down; those of before stay in force".to_owned();
            hold(AlertKind::RulesRejected, None, rejected.at, text);
        }
        if let Some(space) = picture.space.filter(|space| space.is_low()) {
            let text = format!("the store's disk has {} MiB left", space.free / (1024 * 1024));
            hold(AlertKind::DiskNearlyFull, None, now, text);
        }
        if let Some((since, why)) = picture.backup.as_ref().and_then(|backup| backup.problem(now)) {
            hold(AlertKind::BackupFailed, None, since, format!("backups of the store are not made: {why}"));
        }
        let before = std::mem::replace(&mut self.turned_away, picture.turned_away);
        if picture.turned_away > before {
            let text =
                "messages are answered 503, because they cannot be stored now; the sender sends them again";
            hold(AlertKind::MessagesTurnedAway, None, now, text.into());
        }
        for (listener, tls) in &picture.tls {
            of_a_certificate(*listener, tls, now, |kind, since, text| {
                let subject = Subject { kind, sink: None, listener: Some(*listener) };
                conditions.hold.insert(subject, Condition { since, text });
            });
        }
        conditions
    }
}

fn of_the_store(
    store: &StoreView,
    now: Timestamp,
    hold: &mut impl FnMut(AlertKind, Option<&SinkName>, Timestamp, String),
) {
    for (sink, queue) in &store.sinks {
        if queue.dead > 0 {
            let letters = if queue.dead == 1 { "dead letter" } else { "dead letters" };
            let text = format!("the sink {sink} has {} {letters}", queue.dead);
            hold(AlertKind::DeadLetters, Some(sink), now, text);
        }
        if queue.held > 0 {
            let changes = if queue.held == 1 { "change is" } else { "changes are" };
            let text = format!("{} {changes} held in the sink {sink} until a person decides", queue.held);
            hold(AlertKind::RemovalsHeld, Some(sink), queue.held_since.unwrap_or(now), text);
        }
        if let Some(oldest) = queue.oldest_leaver {
            let text = format!(
                "{} who lost access still wait for the sink {sink} to take it away, one of them for {}",
                queue.leavers,
                minutes(oldest.duration_until(now))
            );
            hold(AlertKind::LeaversWaiting, Some(sink), oldest, text);
        }
    }
    if store.unreadable > 0 {
        let text = format!("messages that could not be read are kept: {}", store.unreadable);
        hold(AlertKind::UnreadableEvents, None, now, text);
    }
}

fn of_a_certificate(
    listener: Listener,
    tls: &TlsStatus,
    now: Timestamp,
    mut hold: impl FnMut(AlertKind, Timestamp, String),
) {
    let certificate = &tls.certificate;
    let shown = format!("{certificate} at {listener}");
    match certificate.validity(now) {
        Validity::Valid => {}
        Validity::EndsSoon => {
            let since = now.min(certificate.not_after);
            hold(AlertKind::CertificateEnds, since, format!("{shown} ends soon"));
        }
        Validity::Expired => {
            hold(AlertKind::CertificateEnds, certificate.not_after, format!("{shown} has expired"));
        }
        Validity::NotYetValid => hold(AlertKind::CertificateEnds, now, format!("{shown} is not valid yet")),
    }
    if let Some(rejected) = &tls.rejected {
        let text = format!("the files of a certificate cannot be used; {shown} stays");
        hold(AlertKind::CertificateRejected, rejected.at, text);
    }
}

fn minutes(time: SignedDuration) -> String {
    match time.as_mins() {
        minutes @ ..120 => format!("{minutes} minutes"),
        minutes => format!("{} hours", minutes / 60),
    }
}
