//! Rules that change between two starts: who is affected is written, and nobody else.

use std::collections::BTreeSet;

use crate::support::{Group, Person, Standing, Stores, people};

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
