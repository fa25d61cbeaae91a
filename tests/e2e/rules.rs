//! Rules that change, between two starts and while the daemon runs: who is affected is written, and nobody else.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Group, Person, Site, Standing, Stores, people};

const BEFORE: &str = "
default: member
rules:
  - name: engineers develop
    when: {group: Engineering}
    grant: [developer]
  - name: sales sells
    when: {group: Sales}
    grant: [seller]
";

/// The same rules in other words, and engineers may deploy too.
const AFTER: &str = "
rules:
  - {name: sales sells, when: {group: [Sales]}, grant: seller}
  - {name: engineers develop and deploy, when: {group: {glob: Engineering}}, grant: [deployer, developer]}
default: [member]
";

#[tokio::test]
async fn a_new_rule_is_written_for_those_it_concerns_and_for_nobody_else() {
    let stores = Stores::named("rules").await;
    let site = stores.site().await;
    site.rules(BEFORE);
    let (engineering, sales) = (Group::new("Engineering"), Group::new("Sales"));
    let daemon = site.start().await;
    let ada = Person::new("ada").groups([&engineering]);
    let [ben, cleo] = ["ben", "cleo"].map(|name| Person::new(name).groups([&sales]));
    let gone = Person::new("dan").groups([&engineering]).inactive();
    daemon.send([&ada.created(), &ben.created(), &cleo.created(), &gone.created()]).await;
    site.settled().await;
    daemon.stop().await;
    stores.app.0.forget_requests();
    let (ldap, rows) = (stores.ldap.changes().await, written(&stores).await);

    // The same rules: nothing is written at all.
    let daemon = site.start().await;
    site.settled().await;
    daemon.stop().await;
    assert_eq!(stores.app.changes(), Vec::<String>::new());
    assert_eq!((stores.ldap.changes().await, written(&stores).await), (ldap.clone(), rows.clone()));

    // Other rules: what differs for Ada.
    site.rules(AFTER);
    let _daemon = site.start().await;
    site.settled().await;

    let seller = Standing::with(&["Sales"], &["member", "seller"]);
    let engineer = Standing::with(&["Engineering"], &["deployer", "developer", "member"]);
    let active = people([("ada", engineer.clone()), ("ben", seller.clone()), ("cleo", seller)]);
    let mut all = active.clone();
    all.insert("dan".to_owned(), Standing::with(&["Engineering"], &[]).locked());
    assert_eq!(stores.people().await, [all.clone(), all, active]);
    assert_eq!(stores.app.changes(), ["PUT /users/user-1 ada"]);
    let names = |changes: BTreeSet<(String, String)>| -> BTreeSet<String> {
        let names = changes.into_iter().map(|(dn, _)| dn.split(',').next().unwrap().to_owned());
        names.filter(|name| name != "uid=ada").collect()
    };
    let new = stores.ldap.changes().await.difference(&ldap).cloned().collect();
    assert_eq!(names(new), BTreeSet::from(["cn=deployer".to_owned()]), "her roles are groups in LDAP");
    let new: BTreeSet<_> = written(&stores).await.difference(&rows).cloned().collect();
    assert_eq!(new.into_iter().map(|(row, _)| row).collect::<Vec<_>>(), ["ada deployer"]);
}

/// The rows of users and their roles, each with the transaction that wrote it.
async fn written(stores: &Stores) -> BTreeSet<(String, String)> {
    let rows = stores
        .tables
        .query(
            "SELECT user_name, xmin::text FROM rolecall.users WHERE user_name <> 'ada'
             UNION SELECT u.user_name || ' ' || r.role, r.xmin::text FROM rolecall.user_roles r
             JOIN rolecall.users u ON u.id = r.user_id",
        )
        .await;
    rows.into_iter().map(|mut row| (row.remove(0).unwrap(), row.remove(0).unwrap())).collect()
}

/// A site with one table that everybody is in, and one for those alone who are in Engineering.
fn two_tables() -> Site {
    let site = Site::new();
    let path = |name: &str| site.path(name).display().to_string();
    let (everybody, engineers) = (path("everybody.db"), path("engineers.db"));
    site.sink("everybody", &format!("type: sqlite\npath: {everybody}")).sink(
        "engineers",
        &format!("type: sqlite\npath: {engineers}\nonly: {{users: {{group: Engineering}}, groups: {{group: Engineering}}}}"),
    )
}

async fn roles(site: &Site, user: &str) -> Vec<String> {
    let explained = site.run(&["explain", user, "--json"]).await.json();
    let roles = explained["users"][0]["evaluated_roles"].as_array().unwrap();
    roles.iter().map(|role| role.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_hangup_puts_the_rules_file_into_force_and_a_wrong_one_changes_nothing_and_is_told() {
    let site = two_tables();
    site.rules(BEFORE);
    let daemon = site.start().await;
    let ada = Person::new("ada").groups([&Group::new("Engineering")]);
    daemon.send([&ada.created()]).await;
    assert_eq!(roles(&site, "ada").await, ["developer", "member"]);

    site.rules(AFTER);
    daemon.ask_to_reload();
    daemon.logs("rules are in force").await;
    site.settled().await;
    assert_eq!(roles(&site, "ada").await, ["deployer", "developer", "member"]);

    site.rules("rules: [{name: a, when: {gruop: x}, grant: y}]");
    daemon.ask_to_reload();
    daemon.logs("the rules stay as they are").await;
    assert!(daemon.log().contains("did you mean `group`?"), "{}", daemon.log());
    let status = site.run(&["status"]).await;
    assert_eq!(status.code, Some(1));
    assert!(
        status.stdout.contains("version 2 since") && status.stdout.contains("turned down"),
        "{}",
        status.stdout
    );
    daemon.send([&Person::new("eve").groups([&Group::new("Engineering")]).created()]).await;
    assert_eq!(roles(&site, "eve").await, ["deployer", "developer", "member"]);
    daemon.stop().await;
}

#[tokio::test]
async fn rules_are_tried_out_planned_applied_and_taken_back_without_a_restart() {
    let site = two_tables();
    site.rules(BEFORE);
    let with_tests = format!(
        "{AFTER}tests:\n  - {{name: engineers deploy, groups: [Engineering], expect: [member, developer, deployer]}}\n"
    );
    let new = site.file("new-rules.yaml", &with_tests).display().to_string();
    let tested = site.run(&["rules", "test", &new]).await;
    assert_eq!(tested.code, Some(0), "{tested:?}");
    assert!(tested.stdout.contains("passed  engineers deploy"), "{tested:?}");
    let told = site.run(&["rules", "explain", "--rules", &new, "--groups", "Engineering", "Sales"]).await;
    let rule = format!("deployer\n    rule engineers develop and deploy ({new}:4) by group Engineering");
    assert!(told.stdout.contains(&rule), "{}", told.stdout);

    let daemon = site.start().await;
    let ada = Person::new("ada").groups([&Group::new("Engineering")]);
    daemon.send([&ada.created(), &Person::new("ben").created()]).await;
    let planned = site.run(&["rules", "plan", &new, "--json"]).await;
    assert_eq!(planned.code, Some(4), "{planned:?}");
    let planned = planned.json();
    assert_eq!((&planned["users"], &planned["changed"]), (&json!(2), &json!(1)));
    let alike =
        json!([{"gains": ["deployer"], "losses": [], "users": [{"id": "diruser_ada", "name": "ada"}]}]);
    assert_eq!(planned["groups"], alike);
    assert_eq!(roles(&site, "ada").await, ["developer", "member"], "a plan changes nothing");

    assert_eq!(site.run(&["rules", "apply", &new]).await.code, Some(0));
    site.settled().await;
    assert_eq!(roles(&site, "ada").await, ["deployer", "developer", "member"]);
    assert_eq!(site.run(&["rules", "plan", &new]).await.code, Some(0));

    // A restart takes back nothing; a person may.
    daemon.stop().await;
    let daemon = site.start().await;
    assert_eq!(roles(&site, "ada").await, ["deployer", "developer", "member"]);
    assert_eq!(site.run(&["rules", "rollback"]).await.code, Some(0));
    site.settled().await;
    assert_eq!(roles(&site, "ada").await, ["developer", "member"]);
    let history = site.run(&["rules", "history", "--json"]).await.json();
    let origins: Vec<&Value> =
        history["versions"].as_array().unwrap().iter().map(|version| &version["origin"]).collect();
    assert_eq!(origins, [&json!({"rollback": {"to": 1}}), &json!("apply"), &json!("start")]);
    assert_eq!(site.run(&["rules", "show", "1"]).await.stdout, BEFORE);

    let wrong = site.file("wrong.yaml", "rules: 1\n").display().to_string();
    let refused = site.run(&["rules", "apply", &wrong]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("wrong.yaml:1:8: this must be a list"), "{}", refused.stderr);
    daemon.stop().await;
}

#[tokio::test]
async fn a_sink_holds_those_in_its_scope_and_lets_go_of_whoever_leaves_it() {
    let site = two_tables();
    site.rules("default: member");
    let daemon = site.start().await;
    let (engineering, sales) = (Group::new("Engineering"), Group::new("Sales"));
    let ada = Person::new("ada").groups([&engineering, &sales]);
    daemon.send([&ada.created(), &Person::new("ben").groups([&sales]).created()]).await;
    site.settled().await;
    let stands = async |user: &str, sink: &str| {
        let explained = site.run(&["explain", user, "--json"]).await.json();
        let sink = &explained["users"][0]["sinks"][sink];
        assert!(sink["queued"].is_null(), "{explained}");
        (sink["applied"]["present"].as_bool(), sink["out_of_scope"].as_bool().unwrap_or(false))
    };
    assert_eq!(stands("ada", "engineers").await, (Some(true), false));
    assert_eq!(stands("ben", "engineers").await, (None, true));
    assert_eq!(stands("ben", "everybody").await, (Some(true), false));
    let groups = rusqlite::Connection::open(site.path("engineers.db")).unwrap();
    let names = |sql: &str| -> Vec<String> {
        let mut select = groups.prepare(sql).unwrap();
        select.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    assert_eq!(names("SELECT name FROM groups ORDER BY name"), ["Engineering"]);

    daemon.send([&ada.groups([&sales]).updated()]).await;
    site.settled().await;
    assert_eq!(stands("ada", "engineers").await, (Some(false), true));
    assert_eq!(stands("ada", "everybody").await, (Some(true), false));
    daemon.stop().await;
}
