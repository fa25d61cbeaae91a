//! What a monitoring system is told of a daemon that runs.

use std::io::Write as _;
use std::process::{Command, Stdio};

use reqwest::Client;
use rolecall_sink_api::tls::Tls;
use rolecall_testkit::until;

use crate::support::{Application, Event, PATIENCE, Person, Site};

/// The page of metrics, over the admin socket.
async fn page(site: &Site) -> String {
    let tls = (*Tls::default().client_config().unwrap()).clone();
    let http = Client::builder().unix_socket(site.path("admin.sock")).tls_backend_preconfigured(tls);
    let http = http.timeout(PATIENCE).build().unwrap();
    let answer = http.get("http://rolecall/metrics").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    answer.text().await.unwrap()
}

/// The value of a sample.
#[track_caller]
fn value(page: &str, sample: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{sample} is not on the page:\n{page}")).parse().unwrap()
}

/// Waits until a sample has this value, and returns the page.
async fn tells(site: &Site, sample: &str, expected: f64) -> String {
    until(PATIENCE, &format!("{sample} is {expected}"), async || {
        let page = page(site).await;
        if value(&page, sample) == expected { Ok(page) } else { Err(page) }
    })
    .await
}

/// Has Prometheus' own tool read a page.
fn is_right_for_prometheus(page: &str) {
    let mut tool = Command::new("promtool");
    tool.args(["check", "metrics"]);
    let tool = tool.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut tool = tool.unwrap_or_else(|error| panic!("cannot run promtool: {error}; tests/run installs it"));
    tool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = tool.wait_with_output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success() && said.is_empty(), "promtool check metrics: {said}");
}

#[tokio::test]
async fn what_was_received_what_waits_and_what_failed_is_told() {
    let mut app = Application::start().await;
    let site = Site::new().sink("app", &app.section());
    site.rules("default: member");
    let daemon = site.start().await;
    let ada = Person::new("ada");
    daemon.send([&ada.created()]).await;
    let again = daemon
        .sender()
        .send(&Event { id: String::new(), message_id: "msg_x".into(), body: "{}".into() })
        .await;
    assert_eq!(again.unwrap().status, 200);
    let answers = |outcome: &str| {
        format!("rolecall_acknowledgements_total{{source=\"scalekit\",outcome=\"{outcome}\"}}")
    };
    let applied = "rolecall_sink_changes_total{sink=\"app\",outcome=\"applied\",action=\"created\"}";
    let waited =
        |leaver| format!("rolecall_delivery_duration_seconds_count{{sink=\"app\",leaver=\"{leaver}\"}}");
    // It is the last thing to be counted of a delivery, once that is noted in the store.
    let page = tells(&site, &waited(false), 1.0).await;
    is_right_for_prometheus(&page);
    assert_eq!(value(&page, applied), 1.0);
    assert_eq!(value(&page, &answers("committed")), 1.0);
    assert_eq!(value(&page, &answers("unreadable")), 1.0);
    assert_eq!(value(&page, "rolecall_unreadable_events"), 1.0);
    assert_eq!(value(&page, "rolecall_acknowledgement_duration_seconds_count{source=\"scalekit\"}"), 2.0);
    assert_eq!(value(&page, "rolecall_role_changes_total{change=\"granted\",cause=\"event\"}"), 1.0);
    assert_eq!(value(&page, "rolecall_sink_breaker_open{sink=\"app\"}"), 0.0);
    assert_eq!(value(&page, &waited(true)), 0.0);

    // Somebody leaves while the application is down.
    app.0.stop().await;
    daemon.send([&ada.clone().inactive().updated()]).await;
    let page = tells(&site, "rolecall_sink_breaker_open{sink=\"app\"}", 1.0).await;
    assert_eq!(value(&page, "rolecall_queue_leavers{sink=\"app\"}"), 1.0);
    assert!(value(&page, "rolecall_queue_oldest_leaver_age_seconds{sink=\"app\"}") > 0.0, "{page}");
    assert_eq!(value(&page, "rolecall_users{state=\"inactive\"}"), 1.0);
    app.0.restart().await;
    let page = tells(&site, &waited(true), 1.0).await;
    assert_eq!(value(&page, "rolecall_queue_oldest_leaver_age_seconds{sink=\"app\"}"), 0.0);

    // The rules file is broken, and mended.
    site.rules("rules: 1");
    daemon.ask_to_reload();
    let page = tells(&site, "rolecall_rules_rejected", 1.0).await;
    assert_eq!(value(&page, "rolecall_rules_version"), 1.0);
    site.rules("default: guest");
    daemon.ask_to_reload();
    let page = tells(&site, "rolecall_rules_rejected", 0.0).await;
    assert_eq!(value(&page, "rolecall_rules_version"), 2.0);

    // A sender with another secret.
    let message =
        daemon.sender().signed("msg_y", jiff::Timestamp::now(), b"{}").body("{ }").send().await.unwrap();
    assert_eq!(message.status().as_u16(), 400);
    is_right_for_prometheus(&tells(&site, &answers("refused"), 1.0).await);
    daemon.stop().await;
}
