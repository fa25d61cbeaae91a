//! Which alerts there are, and what of that is news. Pure.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rolecall_sink_api::SinkName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{AlertKind, AlertsConfig};
use crate::tls::Listener;

/// What an alert is about: a kind, and the sink or the listener if it is about one. There is one alert for each at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    /// What it is.
    pub kind: AlertKind,
    /// The sink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<SinkName>,
    /// The listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<Listener>,
}

/// Something that holds now, and may be an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// Since when.
    pub(super) since: Timestamp,
    /// What there is to say of it, without anybody's data.
    pub(super) text: String,
}

/// What holds now.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    pub(super) hold: BTreeMap<Subject, Condition>,
    /// The store could not be asked: what only it knows is as it was.
    pub(super) without_store: bool,
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// What it is about.
    #[serde(flatten)]
    pub subject: Subject,
    /// Since when what it is about holds.
    pub since: Timestamp,
    /// What there is to say of it.
    pub text: String,
    /// When somebody was last told of it.
    told: Timestamp,
    /// Since when its cause is gone, for less than it takes to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone: Option<Timestamp>,
}

/// What is to be told of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Notice {
    #[serde(flatten)]
    pub(super) subject: Subject,
    pub(super) news: News,
    /// Since when it held.
    pub(super) since: Timestamp,
    /// When this was found.
    pub(super) at: Timestamp,
    pub(super) text: String,
}

/// What is new about an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum News {
    Began,
    GoesOn,
    Ended,
}

/// When conditions become alerts, and when they are told.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    sink_down_for: SignedDuration,
    leavers_waiting_for: SignedDuration,
    end_after: SignedDuration,
    remind_every: SignedDuration,
}

impl Policy {
    pub(super) fn new(config: &AlertsConfig) -> Self {
        let signed = |time: Duration| SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        Self {
            sink_down_for: signed(config.sink_down_for.get()),
            leavers_waiting_for: signed(config.leavers_waiting_for.get()),
            end_after: signed(config.end_after.get()),
            remind_every: signed(config.remind_every.get()),
        }
    }

    /// How long a condition of this kind must hold before it is an alert.
    fn patience(&self, kind: AlertKind) -> SignedDuration {
        match kind {
            AlertKind::SinkDown => self.sink_down_for,
            AlertKind::LeaversWaiting => self.leavers_waiting_for,
            _ => SignedDuration::ZERO,
        }
    }
}

impl AlertKind {
    /// Whether only the store knows.
    fn is_of_the_store(self) -> bool {
        matches!(
            self,
            AlertKind::DeadLetters
                | AlertKind::LeaversWaiting
                | AlertKind::RemovalsHeld
                | AlertKind::UnreadableEvents
        )
    }
}

/// The alerts there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Ledger(Vec<Alert>);

impl Ledger {
    /// Takes in what holds now, and says what of that is news. A condition that has held for long enough begins an
    /// alert; one that is gone for a while ends it, and until then nothing is said of it.
    pub(super) fn step(
        &mut self,
        mut conditions: Conditions,
        policy: &Policy,
        now: Timestamp,
    ) -> Vec<Notice> {
        let mut notices = Vec::new();
        self.0.retain_mut(|alert| {
            // The clock was set back: no time has passed.
            alert.told = alert.told.min(now);
            match conditions.hold.remove(&alert.subject) {
                Some(Condition { since, text }) => {
                    (alert.since, alert.text) = (alert.since.min(since), text);
                    alert.gone = None;
                    if alert.told.duration_until(now) >= policy.remind_every {
                        alert.told = now;
                        notices.push(alert.notice(News::GoesOn, now));
                    }
                    true
                }
                None if conditions.without_store && alert.subject.kind.is_of_the_store() => true,
                None => {
                    let gone = alert.gone.map_or(now, |gone| gone.min(now));
                    alert.gone = Some(gone);
                    let ends = gone.duration_until(now) >= policy.end_after;
                    if ends {
                        notices.push(alert.notice(News::Ended, now));
                    }
                    !ends
                }
            }
        });
        for (subject, Condition { since, text }) in conditions.hold {
            if since.duration_until(now) >= policy.patience(subject.kind) {
                let alert = Alert { subject, since, text, told: now, gone: None };
                notices.push(alert.notice(News::Began, now));
                self.0.push(alert);
            }
        }
        notices
    }

    /// Another number when there is something to remember that there was not before. What the alerts' texts say is not.
    pub(super) fn mark(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for Alert { subject, since, told, gone, .. } in &self.0 {
            (subject, since, told, gone).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The alerts there are now.
    pub(super) fn alerts(&self) -> &[Alert] {
        &self.0
    }
}

impl Alert {
    fn notice(&self, news: News, at: Timestamp) -> Notice {
        Notice { subject: self.subject.clone(), news, since: self.since, at, text: self.text.clone() }
    }

    /// The command that tells more.
    pub fn command(&self) -> String {
        self.subject.command()
    }
}

impl Subject {
    /// The command that tells more.
    pub(super) fn command(&self) -> String {
        let sink = self.sink.as_ref().map(|sink| format!(" --sink {sink}")).unwrap_or_default();
        match self.kind {
            AlertKind::DeadLetters => format!("rolecall queue list --dead{sink}"),
            AlertKind::LeaversWaiting => format!("rolecall queue list{sink}"),
            AlertKind::RemovalsHeld => format!("rolecall holds list{sink}"),
            AlertKind::SinkDown => "rolecall status".into(),
            AlertKind::UnreadableEvents => "rolecall events list --unreadable".into(),
            AlertKind::RulesRejected => "rolecall rules test".into(),
            AlertKind::CertificateEnds | AlertKind::CertificateRejected => "rolecall check".into(),
            AlertKind::DiskNearlyFull
            | AlertKind::MessagesTurnedAway
            | AlertKind::StoreFailed
            | AlertKind::BackupFailed => "rolecall status".into(),
        }
    }
}
