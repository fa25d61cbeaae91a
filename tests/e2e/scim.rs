//! An application that speaks SCIM is kept in step from a URL and a token.

use crate::support::{Group, People, Person, Scim, Site, Standing, people};

const RULES: &str = "
default: member
rules:
  - name: engineers develop
    when: {group: Engineering}
    grant: [developer]
";

#[tokio::test]
async fn who_joins_moves_and_leaves_does_so_in_a_scim_application() {
    let mut scim = Scim::start().await;
    let site = Site::new().sink("wiki", &scim.section());
    site.rules(RULES);
    let checked = site.run(&["check", "--connect"]).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.stdout.contains("bulk request"), "{checked:?}");

    let mut daemon = site.start().await;
    let (engineering, sales) = (Group::new("Engineering"), Group::new("Sales"));
    let ada = Person::new("ada").with("title", "Analyst").groups([&engineering, &sales]);
    let ben = Person::new("ben").groups([&sales]);
    daemon.send([&ada.created(), &ben.created()]).await;
    site.settled().await;
    let analyst = Standing::with(&["Engineering", "Sales"], &["developer", "member"]).titled("Analyst");
    let seller = Standing::with(&["Sales"], &["member"]);
    assert_eq!(scim.people().await, people([("ada", analyst), ("ben", seller)]));

    // While it is away, one moves, a group is renamed, and the daemon is started anew.
    scim.0.stop().await;
    daemon.send([&ada.clone().with("title", "Manager").groups([&sales]).updated()]).await;
    let field = sales.renamed("Field");
    daemon.send([&field.updated()]).await;
    daemon.stop().await;
    daemon = site.start().await;
    scim.0.restart().await;
    site.settled().await;
    let manager = Standing::with(&["Field"], &["member"]).titled("Manager");
    let renamed = Standing::with(&["Field"], &["member"]);
    assert_eq!(scim.people().await, people([("ada", manager), ("ben", renamed.clone())]));

    daemon.send([&ben.groups([&field]).inactive().updated(), &ada.deleted()]).await;
    site.settled().await;
    assert_eq!(scim.people().await, people([("ben", renamed.locked())]));
    daemon.send([&Person::new("ben").deleted()]).await;
    site.settled().await;
    assert_eq!(scim.people().await, People::new());
    scim.0.judged().await;
}
