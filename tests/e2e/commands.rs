//! What a person asks: why somebody has a role, whether everything can be reached, what happens when an event is sent.

use std::process::Stdio;

use rolecall::source::SAMPLES;
use rolecall_testkit::until;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::support::{Application, Daemon, Group, PATIENCE, Person, Site, Stores, end, rolecall};

#[tokio::test]
async fn explain_names_the_rule_the_group_and_the_event_behind_a_role_and_how_every_store_stands() {
    let mut stores = Stores::named("explained").await;
    let site = stores.site().await;
    site.rules(
        "default: member
rules:
  - name: engineers develop
    when: {group: Engineering}
    grant: [developer]
",
    );
    let daemon = site.start().await;
    let ada = Person::new("ada");
    let (joined, moved) =
        (ada.created(), ada.clone().with("title", "Engineer").groups([&Group::new("Engineering")]).updated());
    daemon.send([&joined]).await;
    site.settled().await;
    stores.app.0.stop().await;
    daemon.send([&moved]).await;
    until(PATIENCE, "the application is known to be down", async || {
        let told = site.run(&["explain", "ada"]).await.stdout;
        let lines: Vec<&str> = told.lines().map(str::trim).collect();
        let all = ["ldap      up to date", "postgres  up to date", "the sink is down since"]
            .iter()
            .all(|line| lines.iter().any(|shown| shown.starts_with(line)));
        if all { Ok(()) } else { Err(told) }
    })
    .await;

    // By user name, by address and by id; the answer is the same.
    for name in ["ada", "ada@example.com", "diruser_ada"] {
        let explained = site.run(&["explain", name]).await;
        assert_eq!(explained.code, Some(0), "{explained:?}");
        let told = explained.stdout;
        let rules = site.path("rules.yaml").display().to_string();
        let rule = format!(
            "developer\n    rule engineers develop ({rules}:3)\n      by group Engineering (dirgroup_engineering)"
        );
        assert!(told.contains(&rule), "{told}");
        let event = format!("event {} (organization.directory.user_updated)", moved.id);
        assert!(told.contains(&event), "{told}");
        assert!(told.contains(&format!("member\n    rule default ({rules}:1)")), "{told}");
        let waiting = told.lines().find(|line| line.trim().starts_with("app ")).unwrap();
        assert!(waiting.contains("waiting since"), "{told}");
        assert!(told.contains("as user-1"), "{told}");
    }
    let nobody = site.run(&["explain", "eve"]).await;
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    assert!(nobody.stdout.starts_with("nobody goes by \"eve\""), "{nobody:?}");
}

#[tokio::test]
async fn check_says_whether_every_store_can_be_worked_with() {
    let mut stores = Stores::named("checked").await;
    let site = stores.site().await;
    let fine = site.run(&["check", "--connect"]).await;
    assert_eq!(fine.code, Some(0), "{fine:?}");
    for sink in ["ldap (ldap): fine", "postgres (postgres): fine", "app (rest): fine"] {
        assert!(fine.stdout.contains(sink), "{}", fine.stdout);
    }

    stores.app.0.stop().await;
    site.file("ldap-password", "wrong");
    let broken = site.run(&["check", "--connect"]).await;
    assert_eq!(broken.code, Some(1), "{broken:?}");
    for sink in ["ldap (ldap): wrong", "postgres (postgres): fine", "app (rest): wrong"] {
        assert!(broken.stdout.contains(sink), "{}", broken.stdout);
    }
    assert!(broken.stdout.contains("invalidCredentials"), "{}", broken.stdout);
    // Without --connect nobody is asked, so all is well.
    assert_eq!(site.run(&["check"]).await.code, Some(0));
}

#[tokio::test]
async fn every_sample_that_is_sent_is_understood_and_stands_where_it_should() {
    let app = Application::start().await;
    let site = Site::new().sink("app", &app.section());
    let daemon = site.start().await;
    let url = format!("http://{}/webhooks/scalekit", daemon.address());
    for sample in SAMPLES {
        let sent = site.run(&["send", "--sample", sample.name, "--url", &url, "--json"]).await;
        assert_eq!(sent.code, Some(0), "{}: {sent:?}", sample.name);
        let wanted = if sample.name == "organization_created" { "ignored" } else { "committed" };
        let answer = sent.json()["body"].as_str().unwrap().to_owned();
        assert!(answer.contains(wanted), "{}: {answer}", sample.name);
    }
    let set = ["--set", "data.preferred_username=ada", "--set", "data.title=Analyst"];
    let user = ["send", "--sample", "user_created", "--url", &url];
    assert_eq!(site.run(&[&user[..], &set].concat()).await.code, Some(0));
    site.settled().await;
    assert_eq!(app.people()["ada"].title.as_deref(), Some("Analyst"));

    // As it is, a sample is the same event each time.
    let as_is = [&user[..], &["--as-is"]].concat();
    assert!(site.run(&as_is).await.stdout.contains("committed"));
    assert!(site.run(&as_is).await.stdout.contains("duplicate"));
    let other = site.file("other-secret", "whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldCBhbHRvZ2V0aGVy");
    let other = ["--secret-file", other.to_str().unwrap()];
    assert_eq!(site.run(&[&user[..], &other].concat()).await.code, Some(1));
    daemon.stop().await;
    assert_eq!(site.run(&user).await.code, Some(3));
    assert_eq!(site.run(&["status"]).await.code, Some(3), "nobody can be asked how they are");
}

#[tokio::test]
async fn what_the_play_command_prints_is_a_configuration_that_works() {
    // The kit's own command, built like this test.
    let target = std::path::Path::new(env!("CARGO_BIN_EXE_rolecall")).ancestors().nth(2).unwrap();
    let mut play = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "rolecall-testkit", "--target-dir"])
        .arg(target)
        .args(["--", "play"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(play.stdout.take().unwrap()).lines();
    let config = lines.next_line().await.unwrap().expect("play prints a configuration");
    let config = config.strip_prefix("# ").expect("its path comes first");

    let checked = end(rolecall().args(["check", "--connect", "--config", config])).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let mut serve = rolecall();
    serve.args(["serve", "--config", config]);
    serve.env("ROLECALL__LISTEN__ADDRESS", "127.0.0.1:0").env("ROLECALL__LOG__FORMAT", "json");
    let daemon = Daemon::start(serve).await;
    let url = format!("http://{}/webhooks/scalekit", daemon.address());
    let send = ["send", "--sample", "user_created", "--url", &url, "--config", config];
    assert_eq!(end(rolecall().args(send)).await.code, Some(0));
    until(PATIENCE, "every store has confirmed user and groups", async || {
        let status = end(rolecall().args(["status", "--json", "--config", config])).await.json();
        let confirmed =
            ["directory", "warehouse", "app"].map(|sink| status["sinks"][sink]["confirmed"].clone());
        if confirmed == [3, 3, 3] { Ok(()) } else { Err(status) }
    })
    .await;
    daemon.stop().await;

    let play_pid = Pid::from_raw(play.id().unwrap().cast_signed()).unwrap();
    kill_process(play_pid, Signal::INT).unwrap();
    assert!(play.wait().await.unwrap().success());
}

#[tokio::test]
async fn status_tells_what_a_site_has() {
    let stores = Stores::named("status").await;
    let site = stores.site().await;
    let daemon = site.start().await;
    daemon.send([&Person::new("ada").groups([&Group::new("Sales")]).created()]).await;
    site.settled().await;
    let status = site.run(&["status"]).await;
    assert_eq!(status.code, Some(0), "{status:?}");
    for said in ["1 committed", "1 active", "ldap", "postgres", "app"] {
        assert!(status.stdout.contains(said), "{said}: {}", status.stdout);
    }
}
