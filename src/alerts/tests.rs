//! What becomes an alert, what is told of it, and how it looks.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rolecall_sink_api::{SinkName, Timespan};
use serde_json::{Value, json};

use super::ledger::{Condition, Conditions, Ledger, News, Notice, Policy, Subject};
use super::message::Message;
use super::observe::{Observer, Picture};
use super::outbox::{Allowance, Outbox};
use crate::config::{AlertFormat, AlertKind, AlertsConfig};
use crate::deliver::{Breaker, DeliveryStatus};
use crate::metrics::Recent;
use crate::rulebook::Rejected;
use crate::store::{BackupStatus, FailedBackup, SinkState, Space, StoreView};
use crate::tls::{Certificate, Listener, RejectedFiles, TlsStatus};

/// A time, in seconds since the beginning.
fn at(seconds: i64) -> Timestamp {
    "2026-11-24T10:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

fn subject(kind: AlertKind, sink: Option<&str>) -> Subject {
    Subject { kind, sink: sink.map(SinkName::new), listener: None }
}

fn dead_letters() -> Subject {
    subject(AlertKind::DeadLetters, Some("ldap"))
}

/// These hold since then.
fn holding<const N: usize>(subjects: [(Subject, i64); N]) -> Conditions {
    let condition = |since| Condition { since: at(since), text: "it is so".into() };
    let hold = subjects.into_iter().map(|(subject, since)| (subject, condition(since))).collect();
    Conditions { hold, without_store: false }
}

fn policy() -> Policy {
    Policy::new(&AlertsConfig::default())
}

/// Each piece of news.
fn told(notices: Vec<Notice>) -> Vec<(AlertKind, News)> {
    notices.into_iter().map(|notice| (notice.subject.kind, notice.news)).collect()
}

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;

#[test]
fn an_alert_is_told_when_it_begins_once_a_day_and_when_it_is_over() {
    let (mut ledger, policy) = (Ledger::default(), policy());
    let mut step = |now, conditions| told(ledger.step(conditions, &policy, at(now)));
    let dead = || holding([(dead_letters(), 0)]);
    assert_eq!(step(0, dead()), [(AlertKind::DeadLetters, News::Began)]);
    assert_eq!(step(MINUTE, dead()), []);
    assert_eq!(step(DAY - 1, dead()), []);
    assert_eq!(step(DAY, dead()), [(AlertKind::DeadLetters, News::GoesOn)]);
    assert_eq!(step(DAY + 1, holding([])), []);
    assert_eq!(step(DAY + 5 * MINUTE, holding([])), []);
    assert_eq!(step(DAY + 5 * MINUTE + 1, holding([])), [(AlertKind::DeadLetters, News::Ended)]);
    assert_eq!(step(DAY + 6 * MINUTE, holding([])), []);
}

#[test]
fn a_sink_may_be_down_for_a_while_and_what_comes_and_goes_is_one_alert() {
    let (mut ledger, policy) = (Ledger::default(), policy());
    let mut step = |now, conditions| told(ledger.step(conditions, &policy, at(now)));
    let down = |since| holding([(subject(AlertKind::SinkDown, Some("crm")), since)]);
    assert_eq!(step(5 * MINUTE - 1, down(0)), []);
    assert_eq!(step(5 * MINUTE, down(0)), [(AlertKind::SinkDown, News::Began)]);
    for minute in 6..60 {
        // Up for a moment and down again, also for less than the five minutes.
        let conditions = if minute % 2 == 0 { holding([]) } else { down(minute * MINUTE) };
        assert_eq!(step(minute * MINUTE, conditions), []);
    }
}

#[test]
fn a_store_that_cannot_be_asked_ends_nothing_of_what_only_it_knows() {
    let (mut ledger, policy) = (Ledger::default(), policy());
    let rules = subject(AlertKind::RulesRejected, None);
    ledger.step(holding([(dead_letters(), 0), (rules, 0)]), &policy, at(0));
    let blind = || Conditions { without_store: true, ..Conditions::default() };
    ledger.step(blind(), &policy, at(1));
    let news = told(ledger.step(blind(), &policy, at(DAY - 1)));
    assert_eq!(news, [(AlertKind::RulesRejected, News::Ended)]);
    assert_eq!(ledger.alerts().len(), 1);
}

#[test]
fn a_clock_that_is_set_back_neither_repeats_nor_silences() {
    let (mut ledger, policy) = (Ledger::default(), policy());
    let dead = || holding([(dead_letters(), 0)]);
    ledger.step(dead(), &policy, at(100 * DAY));
    assert_eq!(told(ledger.step(dead(), &policy, at(0))), []);
    assert_eq!(told(ledger.step(dead(), &policy, at(DAY))), [(AlertKind::DeadLetters, News::GoesOn)]);
}

proptest! {
    /// Whatever holds when, and however often the daemon is started anew in between.
    #[test]
    fn whoever_is_told_hears_of_each_beginning_and_each_end_and_not_more_often_than_agreed(
        steps in prop::collection::vec((1_i64..4 * 60 * MINUTE, any::<[bool; 2]>(), any::<bool>()), 1..60),
    ) {
        let policy = policy();
        let subjects = [dead_letters(), subject(AlertKind::UnreadableEvents, None)];
        let (mut ledger, mut now) = (Ledger::default(), 0);
        let mut last: BTreeMap<Subject, (News, i64)> = BTreeMap::new();
        for (passes, hold, restart) in steps {
            now += passes;
            if restart {
                ledger = serde_json::from_str(&serde_json::to_string(&ledger).unwrap()).unwrap();
            }
            let hold = subjects.iter().zip(hold).filter(|(_, holds)| *holds);
            let hold = hold.map(|(subject, _)| (subject.clone(), Condition { since: at(now), text: String::new() }));
            let conditions = Conditions { hold: hold.collect(), without_store: false };
            let holds: Vec<Subject> = conditions.hold.keys().cloned().collect();
            for notice in ledger.step(conditions, &policy, at(now)) {
                let before = last.insert(notice.subject.clone(), (notice.news, now));
                match (before, notice.news) {
                    (None | Some((News::Ended, _)), News::Began) => {}
                    (Some((News::Began | News::GoesOn, told)), News::GoesOn) => prop_assert!(now - told >= DAY),
                    (Some((News::Began | News::GoesOn, told)), News::Ended) => {
                        prop_assert!(now - told >= 5 * MINUTE);
                        prop_assert!(!holds.contains(&notice.subject));
                    }
                    (before, news) => prop_assert!(false, "{before:?} and then {news:?}"),
                }
            }
            for subject in holds {
                let known = last.get(&subject).is_some_and(|(news, _)| *news != News::Ended);
                prop_assert!(known, "{subject:?} holds and nobody knows");
            }
        }
    }

    /// News that come in while others go out, arrive or do not arrive.
    #[test]
    fn what_a_webhook_believes_is_what_is_so_once_everything_has_arrived(
        steps in prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>()), 1..40),
    ) {
        let mut outbox = Outbox::default();
        let (mut is_so, mut believed) = (false, false);
        let mut deliver = |outbox: &mut Outbox| {
            for notice in outbox.send() {
                let began = notice.news != News::Ended;
                assert!(began || believed, "an end is told of what nobody heard of");
                believed = began;
            }
            outbox.arrived();
            believed
        };
        for (changes, sends, arrives) in steps {
            if sends && !arrives {
                outbox.send();
            }
            if changes {
                is_so = !is_so;
                outbox.add(notice(dead_letters(), if is_so { News::Began } else { News::Ended }));
            }
            match (sends, arrives) {
                (true, true) => { deliver(&mut outbox); }
                (true, false) => outbox.failed(),
                _ => outbox = Outbox::of(outbox.untold()),
            }
        }
        prop_assert_eq!(deliver(&mut outbox), is_so);
    }
}

fn notice(subject: Subject, news: News) -> Notice {
    Notice { subject, news, since: at(0), at: at(MINUTE), text: "a < b & c > d".into() }
}

#[test]
fn a_webhook_hears_five_times_at_once_and_then_once_a_minute() {
    let mut allowance = Allowance::full(at(0));
    let taken = (0..100).filter(|_| allowance.take(at(0)).is_ok()).count();
    assert_eq!(taken, 5);
    assert_eq!(allowance.take(at(30)), Err(SignedDuration::from_secs(30)));
    assert_eq!(allowance.take(at(60)), Ok(()));
    assert!(allowance.take(at(60)).is_err());
    assert_eq!(
        (0..100).filter(|_| allowance.take(at(DAY)).is_ok()).count(),
        5,
        "it fills and does not overflow"
    );
    assert!(
        allowance.take(at(0)).is_err_and(|wait| wait <= SignedDuration::from_mins(1)),
        "a clock set back"
    );
}

/// A daemon on which nothing is wrong.
fn well() -> Picture {
    let certificate = Certificate {
        names: vec!["hooks.example".into()],
        serial: "01".into(),
        not_before: at(-30 * DAY),
        not_after: at(60 * DAY),
    };
    let up = DeliveryStatus {
        paused: None,
        breaker: Breaker::Closed,
        in_flight: 0,
        applied: 1,
        recent: Recent::default(),
        retried: 0,
        dead: 0,
        last_applied: None,
    };
    let sinks = BTreeMap::from([(SinkName::new("ldap"), SinkState::default())]);
    Picture {
        now: at(0),
        store: Ok(StoreView { sinks, ..StoreView::default() }),
        space: Some(Space { free: u64::MAX, store: 0 }),
        deliveries: BTreeMap::from([(SinkName::new("ldap"), up)]),
        rejected: None,
        tls: vec![(Listener::Webhooks, TlsStatus { certificate, since: at(0), rejected: None })],
        backup: None,
        turned_away: 0,
    }
}

/// What holds when this is changed on a daemon that is well.
fn when(change: impl FnOnce(&mut Picture)) -> Vec<(AlertKind, String)> {
    let mut picture = well();
    change(&mut picture);
    let conditions = Observer::default().conditions(&picture);
    conditions.hold.into_iter().map(|(subject, condition)| (subject.kind, condition.text)).collect()
}

#[test]
fn each_thing_that_needs_a_person_is_seen() {
    let ldap = |picture: &mut Picture, change: fn(&mut SinkState)| {
        change(picture.store.as_mut().unwrap().sinks.get_mut("ldap").unwrap());
    };
    let one = |kind, text: &str| vec![(kind, text.to_owned())];
    assert_eq!(when(|_| {}), []);
    assert_eq!(
        when(|picture| ldap(picture, |queue| queue.dead = 2)),
        one(AlertKind::DeadLetters, "the sink ldap has 2 dead letters")
    );
    assert_eq!(
        when(|picture| ldap(picture, |queue| queue.held = 40)),
        one(AlertKind::RemovalsHeld, "40 changes are held in the sink ldap until a person decides")
    );
    let leavers = |queue: &mut SinkState| (queue.leavers, queue.oldest_leaver) = (3, Some(at(-20 * MINUTE)));
    assert_eq!(
        when(|picture| ldap(picture, leavers)),
        one(
            AlertKind::LeaversWaiting,
            "3 who lost access still wait for the sink ldap to take it away, one of them for 20 minutes"
        )
    );
    let down = Breaker::Open { since: at(-1), reason: "cn=Ada Lovelace".into(), next_probe: at(1) };
    assert_eq!(
        when(|picture| picture.deliveries.get_mut("ldap").unwrap().breaker = down),
        one(AlertKind::SinkDown, "the sink ldap is down"),
        "what a target says may be about somebody"
    );
    assert_eq!(
        when(|picture| picture.store.as_mut().unwrap().unreadable = 1),
        one(AlertKind::UnreadableEvents, "messages that could not be read are kept: 1")
    );
    assert_eq!(
        when(|picture| picture.rejected = Some(Rejected { at: at(0), error: "rules.yaml:1:1: no".into() })),
        one(AlertKind::RulesRejected, "rules were turned down; those of before stay in force")
    );
    assert_eq!(
        when(|picture| picture.space = Some(Space { free: 5 * 1024 * 1024, store: 0 })),
        one(AlertKind::DiskNearlyFull, "the store's disk has 5 MiB left")
    );
    assert_eq!(when(|picture| picture.turned_away = 1)[0].0, AlertKind::MessagesTurnedAway);
    assert_eq!(
        when(|picture| picture.store = Err("the store cannot be read".into())),
        one(AlertKind::StoreFailed, "the store cannot be read")
    );
    let failed = Some(FailedBackup { since: at(-MINUTE), error: "cannot write".into() });
    let backup = BackupStatus {
        directory: "/mnt".into(),
        every: Timespan::from_days(1),
        keep: 7,
        last: None,
        running: None,
        failed,
    };
    assert_eq!(
        when(|picture| picture.backup = Some(backup)),
        one(AlertKind::BackupFailed, "backups of the store are not made: cannot write")
    );
    for (ends, expected) in [(5, "ends soon"), (0, "has expired")] {
        let found = when(|picture| picture.tls[0].1.certificate.not_after = at(ends * DAY));
        assert_eq!(found[0].0, AlertKind::CertificateEnds);
        assert!(found[0].1.contains("hooks.example") && found[0].1.ends_with(expected), "{found:?}");
    }
    let rejected = RejectedFiles { at: at(0), error: "key.pem: no".into() };
    assert_eq!(
        when(|picture| picture.tls[0].1.rejected = Some(rejected))[0].0,
        AlertKind::CertificateRejected
    );
}

#[test]
fn the_certificates_of_both_listeners_are_looked_at_and_each_has_an_alert_of_its_own() {
    let ending = when(|picture| {
        let (_, tls) = picture.tls[0].clone();
        picture.tls.push((Listener::Admin, tls));
        picture.tls.iter_mut().for_each(|(_, tls)| tls.certificate.not_after = at(5 * DAY));
    });
    assert_eq!(ending.len(), 2, "{ending:?}");
    assert!(ending[0].1.ends_with("at the webhooks' address ends soon"), "{ending:?}");
    assert!(ending[1].1.ends_with("at the admin API's address ends soon"), "{ending:?}");
}

#[test]
fn messages_that_were_turned_away_long_ago_are_no_trouble_now() {
    let mut observer = Observer::default();
    let picture = Picture { turned_away: 7, ..well() };
    assert_eq!(observer.conditions(&picture).hold.len(), 1);
    assert_eq!(observer.conditions(&picture).hold.len(), 0);
}

fn body(message: &Message) -> Value {
    serde_json::from_str(&message.body).unwrap()
}

#[test]
fn a_program_reads_each_alert_with_its_kind_state_times_and_command() {
    let notices =
        [notice(dead_letters(), News::Began), notice(subject(AlertKind::RulesRejected, None), News::Ended)];
    let message = Message::of(&notices, "idm1", AlertFormat::Json);
    let expected = json!({
        "type": "rolecall.alerts",
        "timestamp": "2026-11-24T10:01:00Z",
        "data": {"host": "idm1", "alerts": [
            {"kind": "dead_letters", "sink": "ldap", "state": "began", "since": "2026-11-24T10:00:00Z",
             "at": "2026-11-24T10:01:00Z", "text": "a < b & c > d",
             "command": "rolecall queue list --dead --sink ldap"},
            {"kind": "rules_rejected", "state": "ended", "since": "2026-11-24T10:00:00Z",
             "at": "2026-11-24T10:01:00Z", "text": "a < b & c > d", "command": "rolecall rules test"},
        ]},
    });
    assert_eq!(body(&message), expected);
    assert_eq!(message.id, Message::of(&notices, "idm1", AlertFormat::Json).id, "one content, one id");
    assert_ne!(message.id, Message::of(&notices[..1], "idm1", AlertFormat::Json).id);
}

#[test]
fn a_person_reads_one_line_for_each_alert_in_slack() {
    let notices = [News::Began, News::GoesOn, News::Ended].map(|news| notice(dead_letters(), news));
    let text = "rolecall on idm1:\n\
        • a &lt; b &amp; c &gt; d, since 2026-11-24T10:00:00Z (`rolecall queue list --dead --sink ldap`)\n\
        • still: a &lt; b &amp; c &gt; d, since 2026-11-24T10:00:00Z (`rolecall queue list --dead --sink ldap`)\n\
        • over at 2026-11-24T10:01:00Z: a &lt; b &amp; c &gt; d (since 2026-11-24T10:00:00Z)";
    assert_eq!(body(&Message::of(&notices, "idm1", AlertFormat::Slack)), json!({"text": text}));
}

#[test]
fn every_command_that_an_alert_names_is_one() {
    use clap::Parser as _;
    let schema = serde_json::to_value(schemars::schema_for!(AlertKind)).unwrap();
    let names = schema["oneOf"].as_array().unwrap().iter().map(|kind| kind["const"].clone());
    let kinds: Vec<AlertKind> = names.map(|name| serde_json::from_value(name).unwrap()).collect();
    assert!(kinds.contains(&AlertKind::DeadLetters) && kinds.contains(&AlertKind::BackupFailed), "{kinds:?}");
    for kind in kinds {
        let command = subject(kind, Some("ldap")).command();
        assert!(crate::cli::Cli::try_parse_from(command.split(' ')).is_ok(), "{command}");
    }
}
