//! The console, in a real browser: signing in, what needs a look, dead letters, holds, a pause, somebody's way to each
//! store, new rules.

use rolecall_testkit::Fault;
use serde_json::json;

use crate::support::{Application, Browser, Daemon, Group, Person, Site, Standing, Tables, people, postgres};

const TOKEN: &str = "a-token-of-the-night-shift";
const RULES: &str = "\
default: member
rules:
  - name: engineers deploy
    when: { group: Engineering }
    grant: deployer
";

/// A site that keeps an application in step, and whose console is on the network.
fn site(app: &Application) -> Site {
    with_console(Site::new().sink("app", &app.section()))
}

fn with_console(site: Site) -> Site {
    let token = site.file("token", TOKEN);
    let tokens = format!("[{{name: night-shift, access: full, secret: {{file: {}}}}}]", token.display());
    let site = site.admin(&format!("listen: {{address: '127.0.0.1:0', tokens: {tokens}}}"));
    site.rules(RULES);
    site
}

/// A site that keeps these tables in step, whose safeguard lets one user go unasked.
async fn guarded(schema: &str) -> (Site, Tables) {
    let tables = Tables::new(postgres().await, schema);
    let site = Site::new();
    let section = tables.section(&site).await + "safeguard: {removals: 1, removals_percent: 0}\n";
    (with_console(site.sink("db", &section)), tables)
}

/// Ada, Ben and Cy are in the tables, and go all at once: one of them is removed, and two are held.
async fn held(site: &Site, tables: &Tables) -> (Daemon, Vec<String>) {
    let daemon = site.start().await;
    let staff = ["ada", "ben", "cy"].map(Person::new);
    daemon.send(&staff.each_ref().map(Person::created)).await;
    site.settled().await;
    assert_eq!(tables.people().await.len(), 3);
    daemon.send(&staff.each_ref().map(Person::deleted)).await;
    site.settled().await;
    let left: Vec<String> = tables.people().await.into_keys().collect();
    assert_eq!(left.len(), 2, "one goes unasked");
    (daemon, left)
}

/// Somebody who has signed in to the console.
async fn signed_in(daemon: &Daemon) -> Browser {
    let browser = Browser::at(&daemon.admin_address().await).await;
    browser.sign_in(TOKEN).await;
    browser
}

#[tokio::test]
async fn what_was_refused_is_retried_by_whoever_signs_in_and_nobody_else() {
    let app = Application::start().await;
    let site = site(&app);
    let daemon = site.start().await;
    let [ada, ben] = ["ada", "ben"].map(Person::new);
    app.0.fail(Fault::status(422).body(json!({"error": "no such plan"})));
    daemon.send([&ada.created(), &ben.created()]).await;
    site.settled().await;

    let browser = Browser::at(&daemon.admin_address().await).await;
    browser.open("/console").await;
    browser.find("#token").await.send_keys("a-token-that-nobody-has").await.unwrap();
    browser.click("Sign in").await;
    assert!(browser.text().await.contains("none of those that are let in"));
    browser.sign_in(TOKEN).await;

    assert!(browser.text().await.contains("app has 2 dead letters."), "{}", browser.text().await);
    browser.click("See why").await;
    let text = browser.text().await;
    assert!(text.contains("no such plan") && text.contains(&ada.id) && text.contains(&ben.id), "{text}");
    app.0.recover();
    browser.click("Retry diruser_ada").await;
    assert!(browser.text().await.contains("1 item is due now."), "{}", browser.text().await);
    site.settled().await;
    assert_eq!(app.people(), people([("ada", Standing::with(&[], &["member"]))]));

    browser.click("Drop diruser_ben").await;
    browser.click("Keep them").await;
    assert_eq!(browser.count("tbody tr").await, 1);
    browser.click("Drop diruser_ben").await;
    browser.click("Drop 1 item").await;
    assert!(browser.text().await.contains("No dead letters here."), "{}", browser.text().await);
    browser.until("/console", "All is well").await;

    browser.click("Sign out").await;
    browser.open("/console/queue").await;
    assert!(browser.location().await.starts_with("/console/login"));
    assert!(daemon.log().contains("token night-shift"), "who retried stands in the log");
    browser.leave().await;
}

#[tokio::test]
async fn a_wave_that_is_meant_is_approved_and_the_leavers_are_gone() {
    let (site, tables) = guarded("console_approved").await;
    let (daemon, left) = held(&site, &tables).await;
    let browser = signed_in(&daemon).await;
    let overview = browser.text().await;
    assert!(overview.contains("1 hold waits for you: 2 users keep what they have in db"), "{overview}");
    browser.click("Decide").await;
    let text = browser.text().await;
    assert!(text.contains("2 users would be removed from db"), "{text}");
    for who in &left {
        assert!(text.contains(&format!("{who}@example.com")), "{who} in {text}");
    }
    assert_eq!(text.matches("their account, role member").count(), 2, "{text}");

    browser.click("Approve…").await;
    assert!(browser.text().await.contains("Remove 2 users from db?"), "{}", browser.text().await);
    browser.click("Leave it held").await;
    assert_eq!(tables.people().await.len(), 2, "looking at the question decides nothing");
    browser.click("Approve…").await;
    browser.click("Approve: remove 2 users").await;
    let text = browser.text().await;
    assert!(text.contains("Approved: 2 changes are handed to the sink now."), "{text}");
    assert!(text.contains("by token night-shift"), "{text}");
    site.settled().await;
    assert_eq!(tables.people().await, people([]));
    browser.until("/console", "All is well").await;
    browser.leave().await;
}

#[tokio::test]
async fn a_wave_that_is_a_mistake_is_rejected_and_everybody_stays() {
    let (site, tables) = guarded("console_rejected").await;
    let (daemon, left) = held(&site, &tables).await;
    let browser = signed_in(&daemon).await;
    browser.open("/console/holds").await;
    browser.click("Hold 1").await;
    browser.click("Reject…").await;
    assert!(browser.text().await.contains("Keep 2 users in db as they are?"), "{}", browser.text().await);
    browser.click("Reject: keep 2 users").await;
    assert!(browser.text().await.contains("Rejected: 2 changes are dropped"), "{}", browser.text().await);
    site.settled().await;
    assert_eq!(tables.people().await.into_keys().collect::<Vec<_>>(), left);
    browser.until("/console", "All is well").await;
    browser.leave().await;
}

#[tokio::test]
async fn a_sink_is_paused_asked_and_resumed() {
    let app = Application::start().await;
    let site = site(&app);
    let daemon = site.start().await;
    let browser = signed_in(&daemon).await;
    browser.open("/console/sink?name=app").await;
    browser.click("Pause…").await;
    browser.find("#reason").await.send_keys("new server").await.unwrap();
    browser.click("Pause app").await;
    assert!(browser.text().await.contains("It is paused"), "{}", browser.text().await);

    let ada = Person::new("ada");
    daemon.send([&ada.created()]).await;
    browser.until("/console", "app is paused by token night-shift, and 1 change waits for it.").await;
    assert!(browser.text().await.contains("new server"), "{}", browser.text().await);
    browser.open("/console/sink?name=app").await;
    browser.click("Probe now").await;
    assert!(browser.text().await.contains("can be worked with"), "{}", browser.text().await);
    browser.click("Go back").await;
    assert_eq!(app.people(), people([]));

    browser.click("Resume").await;
    assert!(browser.text().await.contains("It is resumed"), "{}", browser.text().await);
    site.settled().await;
    assert_eq!(app.people(), people([("ada", Standing::with(&[], &["member"]))]));
    browser.until("/console", "All is well").await;
    assert!(browser.text().await.contains("1 in the last minute"), "{}", browser.text().await);
    browser.leave().await;
}

#[tokio::test]
async fn somebody_is_followed_to_the_store_by_keyboard_alone() {
    let app = Application::start().await;
    let site = site(&app);
    let daemon = site.start().await;
    let engineering = Group::new("Engineering");
    let ada = Person::new("ada").groups([&engineering]);
    daemon.send([&engineering.created(), &ada.created()]).await;
    site.settled().await;

    let browser = Browser::at(&daemon.admin_address().await).await;
    browser.open("/console").await;
    // The field has the focus from the beginning.
    browser.enter(TOKEN).await;
    assert_eq!(browser.location().await, "/console");
    browser.tab_to(".skip").await;
    browser.tab_to("#name").await;
    browser.enter("ada@example.com").await;
    assert_eq!(browser.location().await, "/console/user?id=diruser_ada");

    let text = browser.text().await;
    for told in [
        "Ada Example",
        "active",
        "deployer",
        "rule engineers deploy line 3",
        "through group Engineering",
        "up to date",
    ] {
        assert!(text.contains(told), "{told} in {text}");
    }
    let timeline = browser.find(".timeline").await.text().await.unwrap();
    let steps = ["webhook received", "directory created", "app created"];
    let places = steps.map(|step| timeline.find(step));
    assert!(places.is_sorted() && places[0].is_some(), "{timeline}");

    browser.tab_to("a[href='/console/rules#L3']").await;
    browser.enter("").await;
    assert_eq!(browser.location().await, "/console/rules#L3");
    assert_eq!(browser.find("li:target").await.text().await.unwrap().trim(), "- name: engineers deploy");
    browser.leave().await;
}

#[tokio::test]
async fn new_rules_are_planned_seen_and_then_put_into_force() {
    let app = Application::start().await;
    let site = site(&app);
    let daemon = site.start().await;
    let engineering = Group::new("Engineering");
    let [ada, ben] = ["ada", "ben"].map(Person::new);
    let ada = ada.groups([&engineering]);
    daemon.send([&engineering.created(), &ada.created(), &ben.created()]).await;
    site.settled().await;

    let browser = signed_in(&daemon).await;
    browser.open("/console/rules/plan").await;
    let wrong = site.file("wrong.yaml", &RULES.replace("grant", "grnat"));
    browser.find("#file").await.send_keys(wrong.to_str().unwrap()).await.unwrap();
    browser.click("Plan").await;
    let fault = browser.find(".problems pre").await.text().await.unwrap();
    assert!(
        fault.contains("wrong.yaml:5:5") && fault.contains("^^^^^") && fault.contains("did you mean `grant`"),
        "{fault}"
    );
    assert_eq!(
        browser.find("#text").await.prop("value").await.unwrap().unwrap(),
        RULES.replace("grant", "grnat")
    );

    let right = site.file("right.yaml", &RULES.replace("deployer", "operator"));
    browser.find("#file").await.send_keys(right.to_str().unwrap()).await.unwrap();
    browser.click("Plan").await;
    let text = browser.text().await;
    for told in [
        "1 user would have other roles",
        "2 users were looked at",
        "right.yaml",
        "+ operator",
        "− deployer",
        "ada",
    ] {
        assert!(text.contains(told), "{told} in {text}");
    }
    assert_eq!(app.people()["ada"].roles, ["deployer".to_owned(), "member".to_owned()].into());
    browser.click("Put into force").await;
    assert!(browser.text().await.contains("Version 2 of the rules is in force."), "{}", browser.text().await);
    site.settled().await;
    assert_eq!(app.people()["ada"].roles, ["member".to_owned(), "operator".to_owned()].into());
    browser.leave().await;
}

#[tokio::test]
async fn every_page_fits_a_phone_and_follows_the_colour_scheme() {
    let app = Application::start().await;
    let site = site(&app);
    let daemon = site.start().await;
    let long = Person::new("ada").with("name", "x".repeat(500)).with("title", "y".repeat(5000));
    app.0.fail(Fault::status(422).body(json!({"error": "z".repeat(500)})));
    let created = long.created();
    daemon.send([&created]).await;
    site.settled().await;

    let browser = signed_in(&daemon).await;
    let event = format!("/console/event?id={}", created.id);
    for page in [
        "/console",
        "/console/sink?name=app",
        "/console/queue?state=dead",
        "/console/queue/drop?state=dead",
        "/console/holds",
        "/console/sink/pause?name=app",
        "/console/users",
        "/console/groups",
        "/console/user?id=diruser_ada",
        "/console/events",
        &event,
        "/console/rules",
        "/console/rules/plan",
    ] {
        browser.look(360, false).await;
        browser.open(page).await;
        assert!(browser.overflow().await <= 0, "{page} is wider than a phone");
        let light = browser.brightness().await;
        browser.look(1280, true).await;
        assert!(browser.overflow().await <= 0, "{page} is wider than a window");
        assert!(browser.brightness().await + 100 < light, "{page} stays light in the dark");
    }
    browser.leave().await;
}
