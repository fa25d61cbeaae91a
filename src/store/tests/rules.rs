//! Rules that change while the store is worked on, and sinks that are not given everybody.

use rolecall_sink_api::OrganizationId;
use tokio::sync::Notify;

use super::*;
use crate::rules::{Scope, Scopes};
use crate::yaml;

/// A store with a committer whose rules can be replaced.
struct Ruled {
    running: Running,
    in_force: RulesInForce,
    queued: Arc<Notify>,
}

impl Ruled {
    async fn start(store: Arc<dyn Store>, rules: NewRules, clock: fn() -> Timestamp) -> Self {
        store.configure(&[sink("a"), sink("b")], clock()).await.unwrap();
        let queued = Arc::new(Notify::new());
        let (intake, inbox) = Intake::new(64);
        let notify = Arc::clone(&queued);
        let committer =
            Committer::new(Arc::clone(&store), Arc::clone(&rules.rules), clock, move || notify.notify_one())
                .scoped(Arc::clone(&rules.scopes));
        store.use_rules(rules).await.unwrap();
        let in_force = committer.rules_in_force();
        let committer = tokio::spawn(committer.run(inbox));
        Self { running: Running { store, intake, committer }, in_force, queued }
    }

    async fn settled(&self) {
        settled(&*self.running.store).await;
    }

    async fn roles(&self, user: &str) -> Vec<String> {
        let view = self.running.store.users(user).await.unwrap().remove(0);
        view.roles.iter().map(|role| role.as_str().to_owned()).collect()
    }
}

/// Waits until nobody is to be evaluated again.
async fn settled(store: &dyn Store) {
    loop {
        let stale = store.stale(Timestamp::MIN, 1).await.unwrap();
        if stale.entities.is_empty() && stale.swept.is_none() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn open(directory: &tempfile::TempDir) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(&directory.path().join("store.db")).unwrap())
}

fn in_group(user: &str, name: &str) -> Vec<Fact> {
    let group = GroupId::new(format!("g-{name}"));
    let named = Fact::GroupNamed { group: group.clone(), name: Some(name.into()), organization: None };
    vec![profile(user, user), named, Fact::Member { group, user: UserId::new(user), member: true }]
}

#[tokio::test]
async fn other_rules_reach_everybody_and_write_those_alone_whose_roles_change() {
    let directory = tempfile::tempdir().unwrap();
    let before = "rules:\n- {name: r, when: {group: Eng}, grant: dev}\n";
    let ruled = Ruled::start(open(&directory), new_rules(before), clock).await;
    let store = &ruled.running.store;
    // More than one batch of them.
    let crowd: Vec<Fact> = (0..600).map(|n| profile(&format!("u{n}"), "x")).collect();
    ruled.running.send(event(1, "e0", crowd)).await;
    ruled.running.send(event(1, "e1", in_group("ann", "Eng"))).await;
    ruled.running.send(event(1, "e2", in_group("bob", "Ops"))).await;
    store.drop_items(&QueueFilter::default(), clock()).await.unwrap();

    let adopted =
        ruled.in_force.replace(new_rules("rules:\n- {name: r, when: {group: Ops}, grant: ops}\n")).await;
    assert_eq!(adopted.unwrap(), Adopted { version: 2, is_new: true, evaluates: true });
    ruled.settled().await;

    assert_eq!((ruled.roles("ann").await, ruled.roles("bob").await), (vec![], vec!["ops".to_owned()]));
    let due: Vec<String> = store
        .due(&sink("a"), clock(), 1000)
        .await
        .unwrap()
        .into_iter()
        .map(|due| due.change.entity.id().to_owned())
        .collect();
    assert_eq!(due, ["ann", "bob"]);
    assert_eq!(store.overview().await.unwrap().stale, 0);
}

#[tokio::test]
async fn the_same_rules_again_are_no_version_and_evaluate_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let text = "default: member\n";
    let ruled = Ruled::start(open(&directory), new_rules(text), clock).await;
    ruled.running.send(event(1, "e1", vec![profile("ann", "ann")])).await;
    let again = ruled.in_force.replace(new_rules(text)).await.unwrap();
    assert_eq!(again, Adopted { version: 1, is_new: false, evaluates: false });
    let other_words = ruled.in_force.replace(new_rules("default: member # everybody\n")).await.unwrap();
    assert_eq!(other_words, Adopted { version: 2, is_new: true, evaluates: false });
    let versions = ruled.running.store.rules_versions(10).await.unwrap();
    assert_eq!(versions.iter().map(|version| version.number).collect::<Vec<_>>(), [2, 1]);
    let first = ruled.running.store.rules_version(Some(1)).await.unwrap().unwrap();
    assert_eq!((first.text.as_str(), first.at, first.origin), (text, clock(), RulesOrigin::Start));
    assert_eq!(ruled.running.store.rules_version(Some(3)).await.unwrap(), None);
}

#[tokio::test]
async fn an_evaluation_of_everybody_goes_on_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let crowd: Vec<Fact> = (0..600).map(|n| profile(&format!("u{n}"), "x")).collect();
    let running = Running::on(open(&directory)).await;
    running.send(event(1, "e0", crowd)).await;
    drop(running.stop().await);
    // Nobody works on this one.
    let store = open(&directory);
    store.use_rules(new_rules("default: other\n")).await.unwrap();
    assert_eq!(store.overview().await.unwrap().stale, 600);
    drop(store);

    let ruled = Ruled::start(open(&directory), new_rules("default: other\n"), clock).await;
    ruled.settled().await;
    for user in ["u0", "u599"] {
        assert_eq!(ruled.roles(user).await, ["other"], "{user}");
    }
}

#[tokio::test]
async fn a_rule_comes_into_force_by_the_clock_without_an_event() {
    let directory = tempfile::tempdir().unwrap();
    let from = Timestamp::now() + jiff::SignedDuration::from_millis(300);
    let text = format!("rules:\n- {{name: r, when: {{group: Ops}}, grant: admin, from: '{from}'}}\n");
    let ruled = Ruled::start(open(&directory), new_rules(&text), Timestamp::now).await;
    ruled.running.send(event(1, "e1", in_group("ann", "Ops"))).await;
    let granted = async {
        while ruled.roles("ann").await != ["admin"] {
            ruled.queued.notified().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), granted).await.expect("the role is granted");
    assert!(Timestamp::now() >= from);
    let activity = &ruled.running.store.users("ann").await.unwrap()[0].activity[0];
    assert_eq!((activity.event.as_deref(), activity.detail.as_deref()), (None, Some("roles +admin")));
}

#[tokio::test]
async fn whose_time_comes_is_asked_for_once_though_they_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let text = "rules:\n- {name: r, when: {group: Ops}, grant: admin, until: 2026-02-01}\n";
    let ruled = Ruled::start(open(&directory), new_rules(text), clock).await;
    ruled.running.send(event(1, "e1", in_group("ann", "Ops"))).await;
    assert_eq!(ruled.roles("ann").await, ["admin"]);
    let until: Timestamp = "2026-02-01T00:00:00Z".parse().unwrap();
    assert_eq!(ruled.running.store.next_evaluation().await.unwrap(), Some(until));
    drop(ruled.running.stop().await);
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute("UPDATE entity SET state = '{' WHERE id = 'ann'", [])
        .unwrap();

    let later = || "2026-02-02T00:00:00Z".parse().unwrap();
    let ruled = Ruled::start(open(&directory), new_rules(text), later).await;
    while ruled.running.store.next_evaluation().await.unwrap().is_some() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn while_evaluating_fails_messages_are_taken_and_it_is_not_tried_with_each() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&directory.path().join("store.db")).unwrap());
    let statements = store.statements().await;
    let running = Running::on(Arc::clone(&store) as Arc<dyn Store>).await;
    let damage = "INSERT OR REPLACE INTO setting (name, value) VALUES ('sweep', 'no')";
    rusqlite::Connection::open(directory.path().join("store.db")).unwrap().execute(damage, []).unwrap();
    running.send(event(1, "e0", in_group("ann", "Eng"))).await;
    statements.lock().unwrap().clear();
    for n in 1..=50 {
        running.send(event(n, &format!("e{n}"), vec![profile("bob", &format!("bob{n}"))])).await;
    }
    let tried = statements.lock().unwrap().iter().filter(|sql| sql.contains("FROM stale CROSS JOIN")).count();
    assert!(tried < 25, "it was tried {tried} times for 50 messages");
}

/// Sink `a` is given this.
fn scoped(text: &str, only: &str) -> NewRules {
    let scope = Scope::read(&yaml::parse(only).unwrap()).unwrap();
    NewRules { scopes: Arc::new(Scopes::new([(sink("a"), scope)])), ..new_rules(text) }
}

/// Confirms what is due for a sink, and says what it was handed: who, and whether they are to be there.
async fn delivered(store: &dyn Store, to: &str) -> Vec<(String, bool)> {
    let mut handed = Vec::new();
    for due in store.due(&sink(to), later(60), 100).await.unwrap() {
        let concerns = due.concerns_the_sink();
        let (entity, generation) = (due.change.entity.clone(), due.change.generation);
        let resolution = if concerns {
            handed.push((entity.id().to_owned(), due.change.desired.is_some()));
            Resolution::Applied {
                document: due.change.desired,
                remote: None,
                action: Action::Updated,
                again: None,
            }
        } else {
            Resolution::OutOfScope
        };
        store
            .settle(&sink(to), vec![Settlement { entity, generation, attempts: 1, resolution }], clock())
            .await
            .unwrap();
    }
    assert!(store.due(&sink(to), later(60), 100).await.unwrap().is_empty());
    handed.sort();
    handed
}

fn there(ids: &[&str]) -> Vec<(String, bool)> {
    ids.iter().map(|id| ((*id).to_owned(), true)).collect()
}

#[tokio::test]
async fn a_sink_hears_of_those_in_its_scope_alone_and_of_whoever_leaves_it() {
    let directory = tempfile::tempdir().unwrap();
    let only = "{users: {group: Eng}, groups: {not: {group: {glob: 'secret-*'}}}}";
    let ruled = Ruled::start(open(&directory), scoped("default: member\n", only), clock).await;
    let store = &*ruled.running.store;
    ruled.running.send(event(1, "e1", in_group("ann", "Eng"))).await;
    ruled.running.send(event(1, "e2", in_group("ann", "secret-x"))).await;
    ruled.running.send(event(1, "e3", in_group("bob", "Ops"))).await;
    ruled.settled().await;
    let due = store.due(&sink("a"), clock(), 100).await.unwrap();
    let ann = due.iter().find_map(|due| due.change.desired_user()).unwrap();
    assert_eq!(
        ann.groups.values().collect::<Vec<_>>(),
        ["Eng"],
        "a group that is not given is not told either"
    );
    assert_eq!(delivered(store, "a").await, there(&["ann", "g-Eng", "g-Ops"]));
    assert_eq!(delivered(store, "b").await, there(&["ann", "bob", "g-Eng", "g-Ops", "g-secret-x"]));

    // Out of the scope: removed there, as urgently as who leaves, and nothing changed elsewhere but the group.
    let out = Fact::Member { group: GroupId::new("g-Eng"), user: UserId::new("ann"), member: false };
    ruled.running.send(event(2, "e4", vec![out])).await;
    let urgency = async |of: &str| store.due(&sink(of), clock(), 1).await.unwrap()[0].priority;
    assert_eq!((urgency("a").await, urgency("b").await), (Priority::Leaver, Priority::Revocation));
    assert_eq!(delivered(store, "a").await, [("ann".to_owned(), false)]);
    assert_eq!(delivered(store, "b").await, there(&["ann"]));
    // Gone from there, they are not spoken of again until they are back.
    ruled.running.send(event(3, "e5", vec![profile("ann", "anna")])).await;
    assert_eq!(delivered(store, "a").await, []);
    ruled.running.send(event(4, "e6", in_group("ann", "Eng"))).await;
    assert_eq!(delivered(store, "a").await, there(&["ann"]));
}

#[tokio::test]
async fn another_scope_reaches_those_whom_it_concerns() {
    let directory = tempfile::tempdir().unwrap();
    let everybody = Ruled::start(open(&directory), new_rules("default: member\n"), clock).await;
    everybody.running.send(event(1, "e1", in_group("ann", "Eng"))).await;
    everybody.running.send(event(1, "e2", in_group("bob", "Ops"))).await;
    everybody.settled().await;
    delivered(&*everybody.running.store, "a").await;
    delivered(&*everybody.running.store, "b").await;
    drop(everybody.running.stop().await);

    let only = "{users: {group: Eng}, groups: {group: Eng}}";
    let scoped = Ruled::start(open(&directory), scoped("default: member\n", only), clock).await;
    scoped.settled().await;
    let gone = vec![("bob".to_owned(), false), ("g-Ops".to_owned(), false)];
    assert_eq!(delivered(&*scoped.running.store, "a").await, gone);
    drop(scoped.running.stop().await);

    let everybody = Ruled::start(open(&directory), new_rules("default: member\n"), clock).await;
    everybody.settled().await;
    assert_eq!(delivered(&*everybody.running.store, "a").await, there(&["bob", "g-Ops"]));
}

#[tokio::test]
async fn rules_know_where_a_user_comes_from() {
    let directory = tempfile::tempdir().unwrap();
    let text = "rules:\n- {name: s, when: {source: test}, grant: by-source}\n- {name: o, when: {organization: org_1}, grant: by-organization}\n- {name: d, when: {directory: dir_1}, grant: by-directory}\n";
    let ruled = Ruled::start(open(&directory), new_rules(text), clock).await;
    let fact = Fact::UserProfile {
        user: UserId::new("ann"),
        organization: Some(OrganizationId::new("org_1")),
        origin: crate::directory::Origin {
            directory: Some(crate::directory::DirectoryId("dir_1".into())),
            source: None,
        },
        profile: Box::default(),
    };
    ruled.running.send(event(1, "e1", vec![fact])).await;
    assert_eq!(ruled.roles("ann").await, ["by-directory", "by-organization", "by-source"]);
}
