//! Users and groups: listed, looked for, and page by page.

use std::collections::BTreeSet;

use super::*;

async fn with_many() -> Daemon {
    let daemon = Daemon::with_ada_and_grace().await;
    let facts = (0..60).map(|n| Fact::UserProfile {
        user: UserId::new(format!("diruser_{n:02}")),
        organization: None,
        origin: crate::directory::Origin::default(),
        profile: Box::new(Profile { user_name: Some(format!("user{n:02}")), ..Profile::default() }),
    });
    daemon.event("evt_9", "2026-11-24T09:00:00Z", "users_created", facts.collect()).await;
    daemon
}

/// Where the link to the next page leads.
fn next(page: &str) -> Option<String> {
    let link = page.split("<a href=\"").find(|rest| rest.contains("rel=\"next\""))?;
    Some(link.split('"').next().unwrap().replace("&#x2f;", "/").replace("&amp;", "&"))
}

/// The ids of those on a page.
fn listed(page: &str) -> BTreeSet<&str> {
    page.split("href=\"/console/user?id=").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[tokio::test]
async fn everybody_is_listed_page_by_page() {
    let daemon = with_many().await;
    let mut browser = Browser::on_the_socket(&daemon);
    let first = browser.get("/console/users").await.body;
    let second = browser.get(&next(&first).expect("there are more")).await.body;
    assert!(second.contains("First page") && next(&second).is_none(), "{second}");
    let [first, second] = [listed(&first), listed(&second)];
    assert_eq!((first.len(), second.len()), (50, 12));
    assert!(first.is_disjoint(&second) && first.contains("diruser_ada"), "{first:?} {second:?}");
}

#[tokio::test]
async fn users_are_found_by_a_part_of_a_name_a_role_and_a_status() {
    let daemon = with_many().await;
    let mut browser = Browser::on_the_socket(&daemon);
    let found = browser.get("/console/users?name=ser5").await.body;
    assert!(found.contains("user55") && !found.contains("user44"), "{found}");
    let engineers = browser.get("/console/users?role=engineer").await.body;
    assert!(engineers.contains(">ada</a>") && !engineers.contains(">grace</a>"), "{engineers}");
    let gone = browser.get("/console/users?status=absent").await.body;
    assert!(gone.contains("Nobody.") && !gone.contains("<table"), "{gone}");
    assert!(browser.get("/console/users?name=nobody").await.body.contains("Nobody goes by “nobody”"));
    assert_eq!(browser.get("/console/users?status=odd").await.status, StatusCode::BAD_REQUEST);
    // Whoever alone goes by the whole name is shown at once.
    let ada = browser.get("/console/users?name=ada").await;
    assert_eq!(ada.location(), "/console/user?id=diruser_ada");
    let both = browser.get("/console/users?name=team@example.com").await.body;
    assert!(both.contains("2 users go by “team@example.com”"), "{both}");
}

#[tokio::test]
async fn a_group_says_who_is_in_it_and_which_roles_it_gives() {
    let daemon = Daemon::with_ada_and_grace().await;
    let mut browser = Browser::on_the_socket(&daemon);
    let listed = browser.get("/console/groups?name=ENGIN").await.body;
    assert!(listed.contains("/console/group?id=dirgroup_eng") && listed.contains("exists"), "{listed}");
    assert!(browser.get("/console/groups?name=sales").await.body.contains("No group has “sales”"));
    assert!(browser.get("/console/groups?status=absent").await.body.contains("There is none"));

    let group = browser.get("/console/group?id=dirgroup_eng").await.body;
    let gives = &group[group.find("id=\"gives\"").unwrap()..group.find("id=\"about\"").unwrap()];
    assert!(
        gives.contains("engineer") && gives.contains("line 2") && !gives.contains("member</a>"),
        "{gives}"
    );
    let members = &group[group.find("id=\"members\"").unwrap()..group.find("id=\"in-sinks\"").unwrap()];
    assert!(members.contains(">ada</a>") && !members.contains(">grace</a>"), "{members}");
    assert!(group.contains("evt_1") && group.contains("ldap"), "{group}");
    assert_eq!(browser.get("/console/group?id=none").await.status, StatusCode::NOT_FOUND);
}
