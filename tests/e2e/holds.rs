//! Waves of removals: held for a person, who lets them go or drops them; and a sink that a person pauses.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Daemon, Ended, PATIENCE, Person, Site, Tables, postgres};

fn staff(number: usize) -> Vec<Person> {
    (0..number).map(|n| Person::new(&format!("user{n:03}"))).collect()
}

/// A site with tables that everybody of this staff is in.
async fn joined(schema: &str, safeguard: &str, people: &[Person]) -> (Site, Tables, Daemon) {
    let tables = Tables::new(postgres().await, schema);
    let site = Site::new();
    let section = tables.section(&site).await;
    let site = site.sink("db", &(section + safeguard));
    let daemon = site.start().await;
    daemon.send(&people.iter().map(Person::created).collect::<Vec<_>>()).await;
    site.settled().await;
    assert_eq!(tables.people().await.len(), people.len());
    (site, tables, daemon)
}

async fn names(tables: &Tables) -> BTreeSet<String> {
    tables.people().await.into_keys().collect()
}

async fn holds(site: &Site) -> Vec<Value> {
    let listed = site.run(&["holds", "list", "--json"]).await.json();
    listed["items"].as_array().unwrap().clone()
}

/// The ids of those who are held.
async fn held(site: &Site) -> BTreeSet<String> {
    let listed = site.run(&["queue", "list", "--held", "--limit", "1000", "--json"]).await.json();
    let items = listed["items"].as_array().unwrap();
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn done(ended: &Ended) -> &str {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    &ended.stdout
}

#[tokio::test]
async fn a_wave_is_held_beyond_the_limit_over_a_crash_until_somebody_approves_it() {
    let people = staff(300);
    let safeguard = "safeguard: {removals: 50, removals_percent: 10}\n";
    let (site, tables, daemon) = joined("wave", safeguard, &people).await;

    daemon.send(&people[..120].iter().map(Person::deleted).collect::<Vec<_>>()).await;
    daemon.kill().await;
    let daemon = site.start().await;
    daemon.send(&people[120..200].iter().map(Person::deleted).collect::<Vec<_>>()).await;
    daemon.send([&Person::new("zoe").created()]).await;
    site.settled().await;

    // Fifty went, crash or not; whoever joins does not wait.
    let left = names(&tables).await;
    assert_eq!(left.len(), 251);
    assert!(left.contains("zoe"));
    let [hold] = holds(&site).await.try_into().unwrap();
    assert_eq!((hold["sink"].as_str(), hold["withdrawal"].as_str()), (Some("db"), Some("removal")));
    assert_eq!((&hold["changes"], &hold["allowed"]), (&150.into(), &50.into()));
    let status = site.run(&["status"]).await;
    assert_eq!(status.code, Some(1), "{status:?}");
    assert!(status.stdout.contains("db has 150 changes held"), "{status:?}");

    // Who comes back is released by themselves.
    let back = people.iter().find(|person| left.contains(&person.id["diruser_".len()..])).unwrap();
    assert!(held(&site).await.contains(&back.id));
    daemon.send([&back.updated()]).await;
    site.settled().await;
    assert!(!held(&site).await.contains(&back.id));

    let shown = site.run(&["holds", "show", "1"]).await;
    assert!(done(&shown).contains("Hold 1 of db: 149 users removed"), "{shown:?}");
    assert!(shown.stdout.contains("rolecall holds approve 1"), "{shown:?}");
    let explained = site.run(&["explain", held(&site).await.first().unwrap()]).await;
    assert!(done(&explained).contains("rolecall holds show 1 says why"), "{explained:?}");

    let approved = site.run(&["holds", "approve", "1"]).await;
    assert_eq!(done(&approved), "149 changes are due now for db\n");
    site.settled().await;
    assert_eq!(names(&tables).await.len(), 102, "a hundred who stayed, who came back, and Zoe");
    assert_eq!(holds(&site).await, [] as [Value; 0]);
    assert_eq!(site.run(&["status"]).await.code, Some(0));
    let again = site.run(&["holds", "reject", "1"]).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.stderr.contains("hold 1 was approved"), "{again:?}");
}

#[tokio::test]
async fn what_is_rejected_stays_in_the_store_until_it_changes() {
    let people = staff(5);
    let safeguard = "safeguard: {removals: 2, removals_percent: 0}\n";
    let (site, tables, daemon) = joined("rejected", safeguard, &people).await;
    daemon.send(&people.iter().map(Person::deleted).collect::<Vec<_>>()).await;
    site.settled().await;
    let left = names(&tables).await;
    assert_eq!(left.len(), 3);
    daemon.logs("`rolecall holds show 1`").await;

    assert_eq!(done(&site.run(&["holds", "reject", "1"]).await), "3 changes are dropped for db\n");
    site.settled().await;
    assert_eq!(names(&tables).await, left);
    assert_eq!(holds(&site).await, [] as [Value; 0]);
    assert!(done(&site.run(&["holds", "list", "--all"]).await).contains("rejected"));
}

#[tokio::test]
async fn a_paused_sink_gets_nothing_over_a_restart_until_it_is_resumed() {
    let people = staff(1);
    let (site, tables, daemon) = joined("paused", "", &people).await;
    let paused = site.run(&["sinks", "pause", "db", "--reason", "new server"]).await;
    assert!(done(&paused).starts_with("db is paused"), "{paused:?}");
    daemon.send([&people[0].clone().inactive().updated()]).await;
    daemon.stop().await;
    let _daemon = site.start().await;

    let probed = site.run(&["sinks", "probe", "db"]).await;
    assert!(done(&probed).starts_with("db is up"), "{probed:?}");
    let listed = site.run(&["sinks", "list"]).await;
    assert!(done(&listed).contains("db is PAUSED since"), "{listed:?}");
    assert!(listed.stdout.contains("(new server)") && listed.stdout.contains("1 leaver"), "{listed:?}");
    assert_eq!(site.run(&["status"]).await.code, Some(1));
    assert!(tables.people().await["user000"].active);

    assert_eq!(done(&site.run(&["sinks", "resume", "db"]).await), "db is delivered to again\n");
    rolecall_testkit::until(PATIENCE, "the leaver is locked out", async || {
        let people = tables.people().await;
        if people["user000"].active { Err(people) } else { Ok(()) }
    })
    .await;
    assert_eq!(site.run(&["status"]).await.code, Some(0));
}
