//! Changes that a store refuses for good: they hold up nothing, wait for a person, and end with the next event.

use rolecall_testkit::Fault;

use crate::support::{Application, Ended, Ldap, Person, Site, Standing, people, slapd};

/// The listed dead letters, as a person sees them: one line each.
async fn dead_letters(site: &Site) -> Vec<String> {
    let listed = site.run(&["queue", "list", "--dead"]).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
    let lines = listed.stdout.lines().filter(|line| line.contains(" dead "));
    lines.map(str::to_owned).collect()
}

fn answered(ended: &Ended) -> (Option<i32>, &str) {
    (ended.code, ended.stdout.trim_end())
}

#[tokio::test]
async fn what_the_application_refuses_is_listed_with_its_reason_until_somebody_retries_or_drops_it() {
    let app = Application::start().await;
    let site = Site::new().sink("app", &app.section());
    let daemon = site.start().await;
    let [ada, ben, cleo] = ["ada", "ben", "cleo"].map(Person::new);

    let refusal = Fault::status(422).body(serde_json::json!({"error": "no such plan"}));
    app.0.fail(refusal);
    daemon.send([&ada.created(), &ben.created(), &cleo.created()]).await;
    site.settled().await;
    let dead = dead_letters(&site).await;
    assert_eq!(dead.len(), 3, "{dead:#?}");
    for (line, person) in dead.iter().zip([&ada, &ben, &cleo]) {
        assert!(line.starts_with("app ") && line.contains(&person.id), "{line}");
        assert!(line.contains("422") && line.contains("no such plan"), "{line}");
    }
    assert_eq!(site.run(&["status"]).await.code, Some(1), "a script can tell that there are dead letters");

    // Nothing is tried again by itself. A person does.
    app.0.recover();
    let retried = site.run(&["queue", "retry", "--sink", "app", "--id", &ada.id]).await;
    assert_eq!(answered(&retried), (Some(0), "1 item is due now"));
    site.settled().await;
    assert_eq!(app.people(), people([("ada", Standing::with(&[], &[]))]));

    // A newer event does.
    daemon.send([&ben.with("title", "Analyst").updated()]).await;
    site.settled().await;
    let ada_and_ben =
        people([("ada", Standing::with(&[], &[])), ("ben", Standing::with(&[], &[]).titled("Analyst"))]);
    assert_eq!(app.people(), ada_and_ben);

    // What is given up is gone, and stays so until something about it changes.
    let dropped = site.run(&["queue", "drop", "--dead", "--id", &cleo.id]).await;
    assert_eq!(answered(&dropped), (Some(0), "1 item is dropped"));
    assert_eq!(answered(&site.run(&["queue", "list"]).await), (Some(0), "nothing"));
    assert_eq!(site.run(&["status"]).await.code, Some(0));
    assert_eq!(app.people(), ada_and_ben);
    daemon.send([&cleo.with("title", "Manager").updated()]).await;
    site.settled().await;
    assert_eq!(app.people()["cleo"].title.as_deref(), Some("Manager"));
}

#[tokio::test]
async fn an_entry_that_somebody_else_made_in_ldap_is_refused_untouched_and_holds_up_nobody() {
    let ldap = Ldap::grow(slapd().await, "refused").await;
    let site = Site::new();
    let section = ldap.section(&site).await;
    let site = site.sink("ldap", &section);
    let daemon = site.start().await;
    let dn = ldap.dn("ada");
    ldap.add(&format!("dn: {dn}\nobjectClass: inetOrgPerson\nuid: ada\ncn: Another Ada\nsn: Another\n"))
        .await;
    let before = ldap.entry("ada").await;

    daemon.send([&Person::new("ada").created(), &Person::new("ben").created()]).await;
    site.settled().await;
    let dead = dead_letters(&site).await;
    assert_eq!(dead.len(), 1, "{dead:#?}");
    assert!(dead[0].contains("diruser_ada") && dead[0].contains(&dn), "{dead:?}");
    assert_eq!(ldap.entry("ada").await, before);
    assert!(ldap.people().await.contains_key("ben"));

    ldap.modify(&format!("dn: {dn}\nchangetype: delete\n")).await;
    let retried = site.run(&["queue", "retry", "--dead"]).await;
    assert_eq!(answered(&retried), (Some(0), "1 item is due now"));
    site.settled().await;
    assert_eq!(ldap.entry("ada").await.unwrap().value("cn"), Some("Ada Example"));
}

#[tokio::test]
async fn what_fails_again_and_again_becomes_a_dead_letter_after_the_last_attempt() {
    let app = Application::start().await;
    let delivery = "delivery: {max_attempts: 3, initial_backoff: 10ms}\n";
    let site = Site::new().sink("app", &(app.section() + delivery));
    let daemon = site.start().await;

    app.0.fail(Fault::status(500));
    daemon.send([&Person::new("ada").created()]).await;
    site.settled().await;

    let dead = dead_letters(&site).await;
    assert_eq!(dead.len(), 1, "{dead:#?}");
    assert!(dead[0].contains("gave up after 3 attempts") && dead[0].contains("500"), "{dead:?}");
    assert_eq!(app.0.requests().len(), 3, "{:?}", app.0.requests());
}

#[tokio::test]
async fn a_mistyped_sink_or_nothing_to_do_is_said() {
    let app = Application::start().await;
    let site = Site::new().sink("app", &app.section());
    let _daemon = site.start().await;
    let mistyped = site.run(&["queue", "retry", "--sink", "ap"]).await;
    assert_eq!(mistyped.code, Some(1), "{mistyped:?}");
    assert!(mistyped.stderr.contains("\"ap\"") && mistyped.stderr.contains("there are: app"), "{mistyped:?}");
    let nothing = site.run(&["queue", "drop", "--all"]).await;
    assert_eq!(nothing.code, Some(1), "{nothing:?}");
    assert!(nothing.stdout.starts_with("nothing matches"), "{nothing:?}");
}
