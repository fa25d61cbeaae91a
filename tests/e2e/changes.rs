//! What an event changes stands, moments later, in OpenLDAP, in PostgreSQL and in the application.

use crate::support::{Event, Group, Person, Standing, Stores, everywhere, people};

const RULES: &str = "
default: member
rules:
  - name: engineers develop
    when: {group: Engineering}
    grant: [developer]
  - name: operators deploy
    when: {group: {glob: \"Op*\"}}
    grant: [developer, deployer]
";

#[tokio::test]
async fn a_joiner_stands_everywhere_with_groups_and_roles() {
    let stores = Stores::named("joiner").await;
    let site = stores.site().await;
    site.rules(RULES);
    let daemon = site.start().await;
    let (engineering, operations) = (Group::new("Engineering"), Group::new("Operations"));
    let ada = Person::new("ada").with("title", "Analyst").groups([&engineering, &operations]);

    daemon.send([&ada.created()]).await;
    site.settled().await;

    let standing = Standing::with(&["Engineering", "Operations"], &["deployer", "developer", "member"]);
    assert_eq!(stores.people().await, everywhere(people([("ada", standing.titled("Analyst"))])));

    // And each store in its own words.
    let entry = stores.ldap.entry("ada").await.unwrap();
    for (attribute, value) in [("cn", "Ada Example"), ("sn", "Example"), ("mail", "ada@example.com")] {
        assert_eq!(entry.value(attribute), Some(value), "{entry:?}");
    }
    // The overlay of the server's own says the same as the groups.
    assert_eq!(entry.values("memberOf").len(), 5, "{entry:?}");
    let row = "SELECT u.id, u.email, u.active, u.deleted_at, m.group_id FROM rolecall.users u
               JOIN rolecall.group_members m ON m.user_id = u.id ORDER BY m.group_id";
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        stores.tables.query(row).await,
        ["dirgroup_engineering", "dirgroup_operations"].map(|group| vec![
            text("diruser_ada"),
            text("ada@example.com"),
            text("t"),
            None,
            text(group)
        ])
    );
    let changes = stores.app.changes();
    assert_eq!(changes.last().map(String::as_str), Some("POST /users ada"), "groups come first: {changes:?}");
    assert_eq!(changes.len(), 3, "each once: {changes:?}");
}

#[tokio::test]
async fn membership_that_the_group_tells_counts_as_much_as_membership_that_the_user_tells() {
    let stores = Stores::named("shapes").await;
    let site = stores.site().await;
    site.rules(RULES);
    let daemon = site.start().await;
    let engineering = Group::new("Engineering");
    let (ada, sam) = (Person::new("ada"), Person::new("sam"));
    // The simple shape: no groups in the user, `name` in the group, membership told before anything else is known.
    let group = serde_json::json!({"id": engineering.id, "directory_id": "dir_1", "name": engineering.name});
    let simple = [
        Event::membership(&engineering, &[&ada, &sam], &[]),
        Event::simple("directory.user_created", ada.data()),
        Event::simple("directory.group_created", group),
    ];

    daemon.send(&simple).await;
    daemon.send([&sam.created()]).await;
    site.settled().await;
    let developer = Standing::with(&["Engineering"], &["developer", "member"]);
    let both = people([("ada", developer.clone()), ("sam", developer.clone())]);
    assert_eq!(stores.people().await, everywhere(both));

    // The group lets go of one; the other says of themselves that they are in no group.
    daemon.send([&Event::membership(&engineering, &[], &[&sam])]).await;
    daemon.send([&ada.with("groups", serde_json::Value::Null).updated()]).await;
    site.settled().await;
    let member = Standing::with(&[], &["member"]);
    assert_eq!(stores.people().await, everywhere(people([("ada", member.clone()), ("sam", member)])));
}

#[tokio::test]
async fn a_renamed_group_goes_by_its_new_name_and_by_the_rules_for_it() {
    let stores = Stores::named("rename").await;
    let site = stores.site().await;
    site.rules(RULES);
    let daemon = site.start().await;
    let engineering = Group::new("Engineering");
    let (ada, ben) = (Person::new("ada").groups([&engineering]), Person::new("ben").groups([]));
    daemon.send([&engineering.created(), &ada.created(), &ben.created()]).await;
    site.settled().await;

    daemon.send([&engineering.renamed("Operators").updated()]).await;
    site.settled().await;

    let ada = Standing::with(&["Operators"], &["deployer", "developer", "member"]);
    let ben = Standing::with(&[], &["member"]);
    assert_eq!(stores.people().await, everywhere(people([("ada", ada), ("ben", ben)])));
    let names = [stores.ldap.groups().await, stores.tables.groups().await, stores.app.groups()];
    assert_eq!(names, [const { "Operators" }; 3].map(|name| [name.to_owned()].into()));
}

#[tokio::test]
async fn a_change_of_groups_changes_roles_and_nothing_of_anybody_else() {
    let stores = Stores::named("mover").await;
    let site = stores.site().await;
    site.rules(RULES);
    let daemon = site.start().await;
    let (engineering, sales) = (Group::new("Engineering"), Group::new("Sales"));
    let (ada, ben) = (Person::new("ada"), Person::new("ben"));
    daemon.send([&engineering.created(), &sales.created()]).await;
    // The application numbers its users in the order in which they come.
    daemon.send([&ada.clone().groups([&engineering]).created()]).await;
    site.settled().await;
    daemon.send([&ben.groups([&engineering]).created()]).await;
    site.settled().await;
    stores.app.0.forget_requests();

    daemon.send([&ada.groups([&sales]).updated()]).await;
    site.settled().await;

    let ada = Standing::with(&["Sales"], &["member"]);
    let ben = Standing::with(&["Engineering"], &["developer", "member"]);
    assert_eq!(stores.people().await, everywhere(people([("ada", ada), ("ben", ben)])));
    assert_eq!(stores.app.changes(), ["PUT /users/user-1 ada"]);
}

#[tokio::test]
async fn who_leaves_is_locked_out_and_who_is_deleted_is_gone() {
    let stores = Stores::named("leaver").await;
    let site = stores.site().await;
    site.rules(RULES);
    let daemon = site.start().await;
    let engineering = Group::new("Engineering");
    let ada = Person::new("ada").groups([&engineering]);
    let ben = Person::new("ben").groups([&engineering]);
    daemon.send([&ada.created(), &ben.created()]).await;
    site.settled().await;

    let stays = Standing::with(&["Engineering"], &["developer", "member"]);
    daemon.send([&ada.clone().inactive().updated()]).await;
    site.settled().await;
    let locked = people([("ada", stays.clone().locked()), ("ben", stays.clone())]);
    assert_eq!(stores.people().await, everywhere(locked));

    daemon.send([&ada.deleted()]).await;
    site.settled().await;
    assert_eq!(stores.people().await, everywhere(people([("ben", stays.clone())])));
    let kept = "SELECT active, deleted_at IS NOT NULL FROM rolecall.users WHERE user_name = 'ada'";
    assert_eq!(stores.tables.query(kept).await, [[Some("f".to_owned()), Some("t".to_owned())]]);
    let granted = "SELECT role FROM rolecall.user_roles WHERE user_id = 'diruser_ada'";
    assert!(stores.tables.query(granted).await.is_empty());

    // Who comes back is somebody with what is said of them now.
    daemon.send([&Person::new("ada").created()]).await;
    site.settled().await;
    let back = people([("ada", Standing::with(&[], &["member"])), ("ben", stays)]);
    assert_eq!(stores.people().await, everywhere(back));
}

#[tokio::test]
async fn a_deleted_group_takes_its_roles_from_its_members() {
    let stores = Stores::named("disbanded").await;
    let site = stores.site().await;
    site.rules(RULES);
    let daemon = site.start().await;
    let (engineering, sales) = (Group::new("Engineering"), Group::new("Sales"));
    daemon.send([&Person::new("ada").groups([&engineering, &sales]).created()]).await;
    site.settled().await;

    daemon.send([&engineering.deleted()]).await;
    site.settled().await;

    let ada = Standing::with(&["Sales"], &["member"]);
    assert_eq!(stores.people().await, everywhere(people([("ada", ada)])));
    let names = [stores.ldap.groups().await, stores.tables.groups().await, stores.app.groups()];
    assert_eq!(names, ["Sales"; 3].map(|name| [name.to_owned()].into()));
}
