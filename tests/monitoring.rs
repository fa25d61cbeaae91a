//! The alert rules and the dashboard in `config/`: right in the eyes of Prometheus' own tool, and made of metrics that there
//! are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the report")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use serde::Deserialize;
use serde_json::{Value, json};

const REPOSITORY: &str = "https://github.com/rolecall/rolecall#";
/// The labels that Prometheus puts onto everything, and the one of every histogram's buckets.
const OF_PROMETHEUS: [&str; 3] = ["job", "instance", "le"];

#[derive(Deserialize)]
struct Alerts {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Alert>,
}

#[derive(Deserialize)]
struct Alert {
    alert: String,
    expr: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct AlertTests {
    tests: Vec<AlertTest>,
}

#[derive(Deserialize)]
struct AlertTest {
    alert_rule_test: Vec<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    alertname: String,
    exp_alerts: Vec<Value>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn config(name: &str) -> PathBuf {
    root().join("config").join(name)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn alerts() -> Vec<Alert> {
    let alerts: Alerts = serde_saphyr::from_str(&read(&config("alerts.yaml"))).unwrap();
    alerts.groups.into_iter().flat_map(|group| group.rules).collect()
}

/// Runs Prometheus' tool, which must have nothing to say against it.
#[track_caller]
fn promtool(arguments: &[&str], file: &Path) {
    let output = Command::new("promtool").args(arguments).arg(file).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run promtool: {error}; tests/run installs it"));
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(output.status.success(), "promtool {}: {}", arguments.join(" "), said.concat());
}

/// The metrics that there are, each with its labels. A histogram is there by the names of its samples.
fn metrics() -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::from([("up".to_owned(), BTreeSet::new())]);
    let table = read(&config("METRICS.md"));
    for row in table.lines().filter_map(|line| line.strip_prefix("| `")) {
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        let [name, kind, labels, ..] = columns.as_slice() else { panic!("{row}") };
        let labels = labels.split(',').map(|label| label.trim().trim_matches('`').to_owned());
        let labels: BTreeSet<String> = labels.filter(|label| !label.is_empty()).collect();
        let endings: &[&str] = if *kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        for ending in endings {
            found.insert(format!("{}{ending}", name.trim_matches('`')), labels.clone());
        }
    }
    assert!(found.len() > 30, "{found:?}");
    found
}

/// What a query names that there is not.
fn unknown(query: &str, metrics: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let named = Regex::new(r"\b(?:rolecall|process)_[a-z_]+").unwrap();
    let selector = Regex::new(r"\b((?:rolecall|process)_[a-z_]+|up)\{([^}]*)\}").unwrap();
    let label = Regex::new(r"(\w+)\s*(?:=~|!~|!=|=)").unwrap();
    let names = named.find_iter(query).map(|found| found.as_str().to_owned());
    let mut unknown: Vec<String> = names.filter(|name| !metrics.contains_key(name)).collect();
    for found in selector.captures_iter(query) {
        let labels = metrics.get(&found[1]).cloned().unwrap_or_default();
        let used = label.captures_iter(&found[2]).map(|label| label[1].to_owned()).collect::<Vec<_>>();
        let unknown_here = used
            .into_iter()
            .filter(|label| !labels.contains(label) && !OF_PROMETHEUS.contains(&label.as_str()));
        unknown.extend(unknown_here.map(|label| format!("{}{{{label}}}", &found[1])));
    }
    unknown
}

#[test]
fn the_alert_rules_are_right_and_fire_when_they_should_and_not_else() {
    promtool(&["check", "rules"], &config("alerts.yaml"));
    promtool(&["test", "rules"], &config("alerts_test.yaml"));
}

#[test]
fn every_alert_is_shown_firing_and_silent() {
    let tests: AlertTests = serde_saphyr::from_str(&read(&config("alerts_test.yaml"))).unwrap();
    let expected: Vec<Expected> = tests.tests.into_iter().flat_map(|test| test.alert_rule_test).collect();
    for Alert { alert, .. } in alerts() {
        let of_it = || expected.iter().filter(|expected| expected.alertname == alert);
        assert!(of_it().any(|expected| !expected.exp_alerts.is_empty()), "no test has {alert} fire");
        assert!(of_it().any(|expected| expected.exp_alerts.is_empty()), "no test has {alert} silent");
    }
}

#[test]
fn every_alert_says_what_is_wrong_how_bad_it_is_and_where_to_read_what_to_do() {
    let readme = read(&root().join("README.md"));
    let headings = readme.lines().filter(|line| line.starts_with('#'));
    let anchors: Vec<String> =
        headings.map(|line| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-")).collect();
    for Alert { alert, labels, annotations, .. } in alerts() {
        let severity = labels.get("severity").map(String::as_str);
        assert!(matches!(severity, Some("critical" | "warning")), "{alert}: {labels:?}");
        for key in ["summary", "description"] {
            assert!(annotations.get(key).is_some_and(|text| text.len() > 10), "{alert} has no {key}");
        }
        let anchor = annotations.get("runbook_url").and_then(|url| url.strip_prefix(REPOSITORY));
        assert!(
            anchor.is_some_and(|anchor| anchors.iter().any(|found| found == anchor)),
            "{alert}: {anchor:?}"
        );
        assert!(readme.contains(&format!("`{alert}`")), "README.md says nothing of {alert}");
    }
}

#[test]
fn alerts_ask_for_metrics_that_there_are() {
    let metrics = metrics();
    for Alert { alert, expr, .. } in alerts() {
        assert_eq!(unknown(&expr, &metrics), [] as [&str; 0], "{alert}");
    }
}

#[test]
fn a_metric_or_label_that_there_is_not_is_noticed() {
    let query = "rate(rolecall_acknowledgements_total{outcom=\"refused\"}[5m]) / rolecall_acks";
    assert_eq!(unknown(query, &metrics()), ["rolecall_acks", "rolecall_acknowledgements_total{outcom}"]);
}

#[test]
fn every_query_of_the_dashboard_is_right_and_asks_for_metrics_that_there_are() {
    let dashboard: Value = serde_json::from_str(&read(&config("grafana-dashboard.json"))).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let metrics = metrics();
    let mut rules = Vec::new();
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let title = panel["title"].as_str().unwrap();
        assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{title}");
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            let query = target["expr"].as_str().unwrap();
            assert_eq!(unknown(query, &metrics), [] as [&str; 0], "{title}");
            let query = query.replace("$__rate_interval", "5m");
            rules.push(json!({"record": "rolecall:panel", "labels": {"panel": rules.len().to_string()}, "expr": query}));
        }
    }
    for variable in
        dashboard["templating"]["list"].as_array().unwrap().iter().filter(|v| v["type"] == "query")
    {
        let query = variable["definition"].as_str().unwrap();
        assert_eq!(unknown(query, &metrics), [] as [&str; 0], "{}", variable["name"]);
    }
    assert!(rules.len() > 20, "{rules:?}");
    // Prometheus reads JSON as the YAML that it is.
    let file = tempfile::NamedTempFile::new().unwrap();
    let groups = json!({"groups": [{"name": "dashboard", "rules": rules}]});
    std::fs::write(file.path(), groups.to_string()).unwrap();
    promtool(&["check", "rules"], file.path());
}
