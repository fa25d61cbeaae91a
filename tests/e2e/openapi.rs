//! The admin API keeps its word: Schemathesis reads the OpenAPI document, asks what it allows and what it does not, and
//! compares every answer with what the document says of it.

use std::path::Path;
use std::time::Duration;

use rolecall_testkit::Fault;
use serde_json::json;
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::{Application, Daemon, Group, Person, Site};

const TOKEN: &str = "a-token-that-may-do-everything";

/// How long a thousand requests may take at most.
const LONGEST: Duration = Duration::from_secs(600);

/// Ada gets every reason for and against a role that there is.
const RULES: &str = "\
default: member
implies: {deployer: developer}
families: [owner > admin]
separate: [{name: who pays does not approve, roles: [billing, approver]}]
rules:
  - {name: engineers, when: {group: Engineering}, grant: [deployer, owner, admin, billing, approver]}
  - {name: contractors do not deploy, when: {attribute: {title: Contractor}}, deny: deployer}
  - {name: for a weekend, when: {group: Engineering}, grant: auditor, from: 2026-03-07, until: 2026-03-09}
";

/// A site with an application, a copy of it in tables, and somebody who is told of alerts and does not listen.
fn site(app: &Application) -> Site {
    let site = Site::new();
    let copy = format!("type: sqlite\npath: {}\n", site.path("copy.db").display());
    let token = site.file("token", TOKEN).display().to_string();
    let listen = format!(
        "listen: {{address: '127.0.0.1:0', tokens: [{{name: ops, access: full, secret: {{file: {token}}}}}]}}"
    );
    site.rules(RULES);
    site.sink("app", &(app.section() + "safeguard: {removals: 1, removals_percent: 0}\n"))
        .sink("copy", &copy)
        .section("alerts: {webhooks: {ops: {url: 'http://127.0.0.1:1/', format: slack}}}")
        .admin(&listen)
}

/// Has it something to tell at every path: people and groups, what the application refused, what is held, what waits
/// because the application is down, messages of every kind, and rules that have a history.
async fn keep_busy(site: &Site, daemon: &Daemon, app: &mut Application) {
    let engineering = Group::new("Engineering");
    let [ada, ben, cleo, dora] =
        ["ada", "ben", "cleo", "dora"].map(|name| Person::new(name).groups([&engineering]));
    daemon.send(&[engineering.created(), ada.created(), cleo.created(), dora.created()]).await;
    daemon.send([&ada.with("title", "Contractor").updated()]).await;
    daemon.sender().send_body("msg_nonsense", "nonsense").await.unwrap();
    let rules = site.file("new.yaml", &RULES.replace("member", "employee"));
    let applied = site.run(&["rules", "apply", rules.to_str().unwrap()]).await;
    assert_eq!(applied.code, Some(0), "{applied:?}");
    site.settled().await;

    app.0.fail(Fault::status(422).body(json!({"error": "no such plan"})));
    daemon.send([&ben.created()]).await;
    site.settled().await;
    app.0.recover();
    daemon.send(&[cleo.deleted(), dora.deleted()]).await;
    site.settled().await;
    app.0.stop().await;
    daemon.send([&Person::new("erin").created()]).await;
    daemon.logs("the sink is down; deliveries wait").await;

    let status = site.status().await;
    let app = &status["sinks"]["app"];
    assert_eq!((&app["dead_letters"], &app["held"]), (&1.into(), &1.into()), "{status}");
    assert_ne!(app["waiting"], 0, "{status}");
    assert_eq!(status["store"]["unreadable_events"], 1, "{status}");
}

/// Has Schemathesis ask what these arguments select of the document.
///
/// # Panics
/// When it finds a fault: with its report, in which each has a request that shows it.
async fn finds_no_fault(site: &Site, daemon: &Daemon, arguments: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join("target/schemathesis/bin/schemathesis");
    assert!(program.exists(), "{} is not there; tests/run api installs it", program.display());
    let mut command = Command::new(program);
    command
        .arg("--config-file")
        .arg(root.join("tests/e2e/schemathesis/schemathesis.toml"))
        .arg("run")
        .arg(format!("http://{}/v1/openapi.json", daemon.admin_address().await))
        .args(["--phases", "coverage,fuzzing"])
        .args(arguments)
        .env("ROLECALL_TOKEN", TOKEN)
        // What it leaves lying goes with the site.
        .current_dir(site.path("."))
        .kill_on_drop(true);
    let output = timeout(LONGEST, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("no end within {LONGEST:?}")).unwrap();
    let [said, complained] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{said}{complained}");
}

#[tokio::test]
async fn whatever_is_asked_is_answered_as_the_document_says() {
    let mut app = Application::start().await;
    let site = site(&app);
    let daemon = site.start().await;
    keep_busy(&site, &daemon, &mut app).await;
    // First all that looks, while there is something to see; then what changes things, the dropping of all of it last.
    finds_no_fault(&site, &daemon, &["--include-method", "GET"]).await;
    finds_no_fault(&site, &daemon, &["--include-path-regex", "approve$"]).await;
    finds_no_fault(&site, &daemon, &["--exclude-method", "GET"]).await;
}
