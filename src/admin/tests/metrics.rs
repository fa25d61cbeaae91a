//! `GET /metrics`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use rolecall_sink_api::{Action, Change, Outcome, Sink, SinkDown};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::{Daemon, Down, dead, user};
use crate::config::published::is_up_to_date;

/// A target that takes everything.
struct Willing;

#[async_trait]
impl Sink for Willing {
    async fn apply(&self, changes: &[Change]) -> Result<Vec<Outcome>, SinkDown> {
        Ok(changes.iter().map(|_| Outcome::applied(Action::Created)).collect())
    }

    async fn probe(&self) -> Result<(), SinkDown> {
        Ok(())
    }

    fn observe(&self) -> Option<rolecall_sink_api::ObservedStream<'_>> {
        None
    }
}

/// The page, as a monitoring system gets it.
async fn page(daemon: &Daemon) -> String {
    let mut stream = UnixStream::connect(daemon.directory.path().join("admin.sock")).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 OK"), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    body.to_owned()
}

/// The value of a sample.
#[track_caller]
fn value(page: &str, sample: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{sample} is not on the page:\n{page}")).parse().unwrap()
}

#[tokio::test]
async fn what_waits_is_told_by_sink_and_who_lost_access_for_themselves() {
    let daemon = Daemon::with_ada_and_grace().await;
    daemon.settle("crm", "diruser_ada", dead("422 no")).await;

    let page = page(&daemon).await;

    for (sample, expected) in [
        ("rolecall_queue_entities{sink=\"crm\",state=\"waiting\"}", 2.0),
        ("rolecall_queue_entities{sink=\"crm\",state=\"dead\"}", 1.0),
        ("rolecall_queue_entities{sink=\"ldap\",state=\"waiting\"}", 3.0),
        ("rolecall_queue_leavers{sink=\"ldap\"}", 0.0),
        // The clock of this daemon stands still.
        ("rolecall_queue_oldest_age_seconds{sink=\"ldap\"}", 0.0),
        ("rolecall_queue_oldest_leaver_age_seconds{sink=\"ldap\"}", 0.0),
        ("rolecall_users{state=\"active\"}", 2.0),
        ("rolecall_groups", 1.0),
        ("rolecall_store_readable", 1.0),
        ("rolecall_rules_version", 1.0),
        ("rolecall_rules_rejected", 0.0),
        ("rolecall_commit_messages_count", 4.0),
        // Both are members by default, and Ada became an engineer.
        ("rolecall_role_changes_total{change=\"granted\",cause=\"event\"}", 3.0),
        ("rolecall_acknowledgements_total{source=\"scalekit\",outcome=\"committed\"}", 0.0),
    ] {
        assert_eq!(value(&page, sample), expected, "{sample}\n{page}");
    }
    assert!(value(&page, "rolecall_store_free_bytes") > 0.0);
}

#[tokio::test]
async fn rules_that_are_turned_down_are_told_until_others_are_taken() {
    let daemon = Daemon::start().await;
    let turned_down = "rolecall_rules_reloads_total{outcome=\"turned_down\"}";
    let file = daemon.directory.path().join("rules.yaml");
    let right = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, "rules: 1").unwrap();
    for attempts in 1..=2_u32 {
        assert!(daemon.client.reload_rules().await.is_err());
        let page = page(&daemon).await;
        assert_eq!(value(&page, "rolecall_rules_rejected"), 1.0);
        assert_eq!(value(&page, turned_down), f64::from(attempts));
    }

    std::fs::write(&file, right).unwrap();
    daemon.client.reload_rules().await.unwrap();

    let page = page(&daemon).await;
    assert_eq!(value(&page, "rolecall_rules_rejected"), 0.0);
    assert_eq!(value(&page, "rolecall_rules_reloads_total{outcome=\"taken\"}"), 1.0);
    assert_eq!(value(&page, turned_down), 2.0);
}

#[tokio::test]
async fn roles_that_other_rules_change_are_told_from_those_that_events_do() {
    let daemon = Daemon::with_ada_and_grace().await;
    std::fs::write(daemon.directory.path().join("rules.yaml"), "default: guest").unwrap();
    daemon.client.reload_rules().await.unwrap();
    let changes = |page: &str, change: &str, cause: &str| {
        value(page, &format!("rolecall_role_changes_total{{change=\"{change}\",cause=\"{cause}\"}}"))
    };
    let page = loop {
        let page = page(&daemon).await;
        if value(&page, "rolecall_stale_users") == 0.0 && changes(&page, "granted", "evaluation") > 0.0 {
            break page;
        }
        tokio::task::yield_now().await;
    };
    // Two guests; they were members, and one an engineer.
    assert_eq!(
        (changes(&page, "granted", "evaluation"), changes(&page, "revoked", "evaluation")),
        (2.0, 3.0)
    );
    assert_eq!((changes(&page, "granted", "event"), changes(&page, "revoked", "event")), (3.0, 0.0));
}

/// The page of a daemon of which everything can be told: a sink that takes everything, and one that is down.
async fn full_page() -> String {
    let daemon = Daemon::with_sinks(Arc::new(Willing), Arc::new(Down)).await;
    daemon.event("evt_1", "2026-11-24T08:01:00Z", "user_created", vec![user("ada", "org_1")]).await;
    let stop = CancellationToken::new();
    let backups = tokio::spawn(daemon.state.backups.clone().unwrap().run(stop.clone()));
    let page = loop {
        let page = page(&daemon).await;
        let there = |sample: &str| page.contains(sample);
        if there("rolecall_sink_last_applied_timestamp_seconds{sink=\"crm\"}")
            && there("rolecall_sink_breaker_open{sink=\"ldap\"} 1")
            && there("rolecall_store_backup_duration_seconds ")
            && there("rolecall_store_backup_size_bytes ")
        {
            break page;
        }
        tokio::task::yield_now().await;
    };
    stop.cancel();
    backups.await.unwrap();
    page
}

#[tokio::test]
async fn how_changes_end_is_counted_by_sink_and_what_had_to_be_done() {
    let page = full_page().await;
    let changes = |sink: &str, how: &str, action: &str| {
        let sample =
            format!("rolecall_sink_changes_total{{sink=\"{sink}\",outcome=\"{how}\",action=\"{action}\"}}");
        value(&page, &sample)
    };
    assert_eq!(changes("crm", "applied", "created"), 1.0);
    assert_eq!(changes("crm", "retried", "none"), 0.0);
    assert_eq!(changes("ldap", "applied", "created"), 0.0);
    assert_eq!(value(&page, "rolecall_sink_breaker_open{sink=\"crm\"}"), 0.0);
    assert_eq!(value(&page, "rolecall_sink_apply_duration_seconds_count{sink=\"crm\"}"), 1.0);
}

const INTRODUCTION: &str = "\
# The metrics of rolecall

What `GET /metrics` on the admin listener answers, in Prometheus' text format. This page is generated from what the daemon
shows. `grafana-dashboard.json` and `alerts.yaml` beside this file are made of these metrics.

Histograms have `_bucket`, `_sum` and `_count` behind their names. Counts begin anew when the daemon starts. The values of
labels come from the configuration (`source`, `sink`) or are few words; no metric has an id, a name of somebody or anything
that a stranger sends in a label. The names and labels keep their meaning within a minor version; more may come.

| metric | type | labels | what it tells |
| --- | --- | --- | --- |
";

#[tokio::test]
async fn the_published_table_of_metrics_has_all_that_are_shown() {
    let page = full_page().await;
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
        let inside = rest.strip_prefix('{').and_then(|rest| rest.rsplit_once('}'));
        let keys = inside.map(|(inside, _)| inside).unwrap_or_default().split(',');
        let keys =
            keys.filter_map(|pair| pair.split_once('=')).map(|(key, _)| key).filter(|key| *key != "le");
        labels.entry(name).or_default().extend(keys);
    }
    let mut rows = BTreeMap::new();
    let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
    for line in page.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            kinds.insert(name, kind);
        }
    }
    for line in page.lines() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) else {
            continue;
        };
        let kind = kinds[name];
        let sample = if kind == "histogram" { format!("{name}_count") } else { name.to_owned() };
        let labels: Vec<String> = labels[sample.as_str()].iter().map(|label| format!("`{label}`")).collect();
        let help = help.trim_end_matches('.');
        rows.insert(name, format!("| `{name}` | {kind} | {} | {help} |", labels.join(", ")));
    }
    let table = rows.into_values().fold(String::from(INTRODUCTION), |mut text, row| {
        writeln!(text, "{row}").unwrap();
        text
    });
    is_up_to_date("METRICS.md", &table);
}
