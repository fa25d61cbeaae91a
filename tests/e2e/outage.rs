//! A store that is down: it delays no other, loses nothing, and what waits for it longest is not what comes first.

use std::sync::Arc;

use rolecall_testkit::{Slapd, until};
use tokio::sync::RwLock;

use crate::support::{
    Application, Group, Ldap, PATIENCE, Person, Site, Standing, Stores, Tables, people, postgres,
};

const RULES: &str = "default: member";

/// What `rolecall status` says of a sink, once it says that the sink is down.
async fn known_to_be_down(site: &Site, sink: &str) -> serde_json::Value {
    until(PATIENCE, "status says that the sink is down", async || {
        let status = site.status().await["sinks"][sink].clone();
        if status["delivery"]["breaker"]["state"] == "open" { Ok(status) } else { Err(status) }
    })
    .await
}

#[tokio::test]
async fn a_store_that_is_down_delays_no_other_and_is_brought_up_to_date_by_one_write() {
    let slapd = Arc::new(RwLock::new(Slapd::start().await));
    let stores = Stores {
        ldap: Ldap::grow(Arc::clone(&slapd), "outage").await,
        tables: Tables::new(postgres().await, "outage"),
        app: Application::start().await,
    };
    let site = stores.site().await;
    site.rules(RULES);
    let daemon = site.start().await;
    let ada = Person::new("ada");
    daemon.send([&ada.created()]).await;
    site.settled().await;

    slapd.write().await.stop().await;
    for title in ["Intern", "Analyst", "Manager", "Director"] {
        daemon.send([&ada.clone().with("title", title).updated()]).await;
        let told = people([("ada", Standing::with(&[], &["member"]).titled(title))]);
        until(PATIENCE, "the other stores know the title", async || {
            let known = [stores.tables.people().await, stores.app.people()];
            if known == [told.clone(), told.clone()] { Ok(()) } else { Err(known) }
        })
        .await;
    }
    let down = known_to_be_down(&site, "ldap").await;
    assert_eq!(down["waiting"], 1, "four changes of one person wait as one: {down}");
    let reason = down["delivery"]["breaker"]["reason"].as_str().unwrap();
    assert!(reason.contains("refused"), "{reason}");
    assert_eq!(site.run(&["status"]).await.code, Some(1), "a script can tell that a sink is down");
    let queue = site.run(&["queue", "list", "--sink", "ldap", "--json"]).await.json();
    assert_eq!(queue["items"][0]["attempts"], 0, "a sink that is down uses up no attempts: {queue}");

    slapd.write().await.restart().await;
    site.settled().await;

    let now = people([("ada", Standing::with(&[], &["member"]).titled("Director"))]);
    assert_eq!(stores.ldap.people().await, now);
    let status = site.status().await;
    assert_eq!(status["sinks"]["ldap"]["delivery"]["breaker"]["state"], "closed", "{status}");
    // One for the joiner, and one for all that was missed.
    assert_eq!(status["sinks"]["ldap"]["delivery"]["applied"], 2, "{status}");
    assert_eq!(site.run(&["status"]).await.code, Some(0));
}

#[tokio::test]
async fn a_store_that_hangs_delays_no_other_either() {
    let slapd = Arc::new(RwLock::new(Slapd::start().await));
    let ldap = Ldap::grow(Arc::clone(&slapd), "hang").await;
    let app = Application::start().await;
    let site = Site::new();
    let section = ldap.section(&site).await + "operation_timeout: 1s\nconnect_timeout: 1s\n";
    let site = site.sink("ldap", &section).sink("app", &app.section());
    let daemon = site.start().await;

    slapd.read().await.pause();
    daemon.send([&Person::new("ada").created(), &Person::new("ben").created()]).await;
    app.0.wait_for("both are in the application", |_| app.people().len() == 2).await;
    let down = known_to_be_down(&site, "ldap").await;
    assert_eq!(down["waiting"], 2, "{down}");

    slapd.read().await.resume();
    site.settled().await;
    assert_eq!(ldap.people().await.len(), 2);
}

#[tokio::test]
async fn who_leaves_during_an_outage_overtakes_everybody_who_joined_before() {
    const JOINERS: usize = 300;
    let mut app = Application::start().await;
    let site = Site::new().sink("app", &(app.section() + "concurrency: 1\ndelivery: {batch: 20}\n"));
    let daemon = site.start().await;
    let leaver = Person::new("leaver");
    daemon.send([&leaver.created()]).await;
    site.settled().await;
    app.0.stop().await;
    app.0.forget_requests();

    let joiners: Vec<_> = (0..JOINERS).map(|n| Person::new(&format!("joiner{n}")).created()).collect();
    daemon.send(&joiners).await;
    daemon.send([&Group::new("Sales").created()]).await;
    daemon.send([&leaver.inactive().updated()]).await;
    let down = known_to_be_down(&site, "app").await;
    assert_eq!((&down["waiting"], &down["leavers"]), (&(JOINERS + 2).into(), &1.into()), "{down}");

    app.0.restart().await;
    site.settled().await;

    let changes = app.changes();
    assert_eq!(changes[..2], ["PUT /users/user-1 leaver", "POST /groups Sales"]);
    assert_eq!(changes.len(), JOINERS + 2, "each once");
    assert!(!app.people()["leaver"].active);
}

#[tokio::test]
async fn what_changes_again_and_again_during_an_outage_is_one_request_when_the_application_is_back() {
    let mut app = Application::start().await;
    let site = Site::new().sink("app", &app.section());
    let daemon = site.start().await;
    let ada = Person::new("ada");
    daemon.send([&ada.created()]).await;
    site.settled().await;
    app.0.stop().await;
    app.0.forget_requests();

    let titles: Vec<_> =
        (0..100).map(|n| ada.clone().with("title", format!("title {n}")).updated()).collect();
    daemon.send(&titles).await;
    known_to_be_down(&site, "app").await;
    app.0.restart().await;
    site.settled().await;

    assert_eq!(app.changes(), ["PUT /users/user-1 ada"]);
    assert_eq!(app.people()["ada"].title.as_deref(), Some("title 99"));
}

#[tokio::test]
async fn a_store_that_breaks_in_the_middle_of_a_batch_gets_the_rest_when_it_is_back() {
    let mut app = Application::start().await;
    let site = Site::new().sink("app", &app.section());
    let daemon = site.start().await;
    let group = Group::new("Engineering");
    let everybody: Vec<_> =
        (0..100).map(|n| Person::new(&format!("user{n}")).groups([&group]).created()).collect();
    daemon.send(&everybody).await;
    app.0.wait_for("a few have arrived", |requests| requests.len() > 10).await;
    app.0.stop().await;
    // However many have arrived by now, there is one who has not.
    daemon.send([&Person::new("latecomer").groups([&group]).created()]).await;
    known_to_be_down(&site, "app").await;
    app.0.restart().await;
    site.settled().await;

    let people = app.people();
    assert_eq!(people.len(), everybody.len() + 1);
    assert!(people.values().all(|standing| standing.groups.contains("Engineering")), "{people:?}");
    assert_eq!(site.status().await["sinks"]["app"]["dead_letters"], 0);
}
