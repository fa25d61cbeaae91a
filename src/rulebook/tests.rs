//! Rules on their way into force.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;
use rolecall_sink_api::{RoleName, UserId};
use tokio::task::JoinHandle;

use super::*;
use crate::directory::Event;
use crate::directory::history;
use crate::source::Reading;
use crate::store::{Committer, Intake, Message, Receipt, SqliteStore};

fn clock() -> Timestamp {
    Timestamp::from_second(1_767_225_600).unwrap()
}

/// A store and a committer under rules that stand in a file.
struct Site {
    directory: tempfile::TempDir,
    store: Arc<dyn Store>,
    intake: Intake,
    rulebook: Rulebook,
    committer: JoinHandle<()>,
}

impl Site {
    async fn start(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("rules.yaml"), text).unwrap();
        Self::in_directory(directory).await
    }

    async fn in_directory(directory: tempfile::TempDir) -> Self {
        let file = directory.path().join("rules.yaml");
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&directory.path().join("store.db")).unwrap());
        store.configure(&[], clock()).await.unwrap();
        let (rules, text) = read_rules(&file).unwrap();
        let opening = Opening::choose(&*store, rules, text).await.unwrap();
        opening.adopt(&*store, Arc::default(), clock()).await.unwrap();
        let (intake, inbox) = Intake::new(64);
        let committer = Committer::new(Arc::clone(&store), Arc::clone(&opening.rules), clock, || {});
        let rulebook =
            Rulebook::new(Arc::clone(&store), committer.rules_in_force(), &opening, Some(file), clock);
        let committer = tokio::spawn(committer.run(inbox));
        Self { directory, store, intake, rulebook, committer }
    }

    async fn restarted(self) -> Self {
        drop(self.intake);
        self.committer.await.unwrap();
        drop((self.store, self.rulebook));
        Self::in_directory(self.directory).await
    }

    fn file(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }

    fn path(&self) -> std::path::PathBuf {
        Path::join(self.directory.path(), "rules.yaml")
    }

    async fn send(&self, event: Event) {
        let message = Message {
            source: "test".into(),
            message_id: format!("msg_{}", event.stamp.event),
            signed_at: clock(),
            received_at: clock(),
            body: Bytes::from_static(b"{}"),
            reading: Reading::Event { event, kind: "test".into() },
        };
        let receipt = self.intake.submit(message).await.unwrap();
        assert!(matches!(receipt, Receipt::Committed | Receipt::Duplicate));
    }

    /// Waits until everybody is evaluated.
    async fn settled(&self) {
        loop {
            let stale = self.store.stale(clock(), 1).await.unwrap();
            if stale.entities.is_empty() && stale.swept.is_none() {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn roles(&self) -> BTreeMap<UserId, BTreeSet<RoleName>> {
        let people = self.store.people(None, 1000).await.unwrap();
        people.into_iter().map(|person| (person.id, person.roles)).collect()
    }

    /// The text of the version in force, and how it came to be so.
    async fn newest(&self) -> (String, RulesOrigin) {
        let newest = self.rulebook.version(None).await.unwrap().unwrap();
        (newest.text, newest.origin)
    }
}

const FIRST: &str = "default: first\n";
const SECOND: &str = "default: second\n";
const WRONG: &str = "defualt: third\n";

#[tokio::test]
async fn a_reload_takes_the_file_and_a_wrong_one_changes_nothing_and_is_remembered() {
    let site = Site::start(FIRST).await;
    site.file(SECOND);
    assert_eq!(site.rulebook.reload().await.unwrap().version, 2);
    assert_eq!(site.newest().await, (SECOND.to_owned(), RulesOrigin::Reload));

    site.file(WRONG);
    let error = site.rulebook.reload().await.unwrap_err().to_string();
    assert!(error.contains("rules.yaml:1:1") && error.contains("did you mean `default`?"), "{error}");
    assert_eq!(site.rulebook.rejected().unwrap().error, error);
    assert_eq!(site.newest().await.0, SECOND);
    let in_force = site.rulebook.in_force().rules().fingerprint();
    assert_eq!(in_force, Rules::parse("x", SECOND).unwrap().fingerprint());

    std::fs::remove_file(site.path()).unwrap();
    assert!(site.rulebook.reload().await.unwrap_err().to_string().contains("cannot read the file"));
    site.file(FIRST);
    site.rulebook.reload().await.unwrap();
    assert_eq!(site.rulebook.rejected(), None);
}

#[tokio::test]
async fn rules_that_fail_their_own_tests_are_turned_down() {
    let site = Site::start(FIRST).await;
    let failing = format!("{SECOND}tests:\n- {{name: nobody, expect: first}}\n");
    let error = site.rulebook.apply("new.yaml", failing).await.unwrap_err().to_string();
    assert!(error.contains("new.yaml:3:26: test `nobody` fails"), "{error}");
    assert_eq!(site.newest().await.0, FIRST);
}

#[tokio::test]
async fn what_was_applied_or_gone_back_to_outlives_a_restart_until_the_file_changes() {
    let site = Site::start(FIRST).await;
    site.rulebook.apply("new.yaml", SECOND.into()).await.unwrap();
    let site = site.restarted().await;
    assert_eq!(site.newest().await, (SECOND.to_owned(), RulesOrigin::Apply));
    let second = Rules::parse("x", SECOND).unwrap().fingerprint();
    assert_eq!(site.rulebook.in_force().rules().fingerprint(), second);

    site.rulebook.roll_back(None).await.unwrap();
    let site = site.restarted().await;
    assert_eq!(site.newest().await, (FIRST.to_owned(), RulesOrigin::Rollback { to: 1 }));
    site.rulebook.roll_back(Some(2)).await.unwrap();
    assert_eq!(site.newest().await, (SECOND.to_owned(), RulesOrigin::Rollback { to: 2 }));
    assert!(site.rulebook.roll_back(Some(99)).await.unwrap_err().to_string().contains("no version 99"));

    site.file("default: third\n");
    let site = site.restarted().await;
    assert_eq!(site.newest().await, ("default: third\n".to_owned(), RulesOrigin::Start));
    let numbers: Vec<u64> = site.rulebook.history(10).await.unwrap().iter().map(|v| v.number).collect();
    assert_eq!(numbers, [5, 4, 3, 2, 1]);
}

#[tokio::test]
async fn a_first_version_has_none_to_go_back_to() {
    let site = Site::start(FIRST).await;
    assert!(site.rulebook.roll_back(None).await.unwrap_err().to_string().contains("no older version"));
}

/// Rules of all kinds about the groups and roles that histories have.
fn rules() -> impl Strategy<Value = String> {
    let rule = (0..3u8, 0..4u8, prop_oneof![Just("grant"), Just("deny")], 0..4u8);
    (prop::collection::vec(rule, 0..5), any::<bool>(), any::<bool>(), 0..3u8).prop_map(
        |(rules, family, apart, default)| {
            let mut text = format!("default: role{default}\n");
            if family {
                text += "families: ['role0 > role1']\n";
            }
            if apart {
                text += "separate: [{name: apart, roles: [role2, role3], keep: role3}]\n";
            }
            text += "rules:\n";
            for (at, (kind, n, effect, role)) in rules.into_iter().enumerate() {
                let when = match kind {
                    0 => format!("{{group: 'name {}'}}", n % 3),
                    1 => format!("{{group: {{id: dirgroup_{n}}}}}"),
                    _ => format!("{{organization: org_{}, not: {{group: 'name {}'}}}}", n % 2, n % 3),
                };
                text += &format!("- {{name: r{at}, when: {when}, {effect}: role{role}}}\n");
            }
            text
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn applying_changes_exactly_what_the_plan_said(
        history in history::history(), before in rules(), after in rules(), seed in any::<u64>()
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let site = Site::start(&before).await;
            for event in history.delivered(seed) {
                site.send(event).await;
            }
            site.settled().await;
            let mut expected = site.roles().await;
            let plan = site.rulebook.plan("new.yaml", &after, None).await.unwrap();
            assert_eq!((plan.users, plan.next), (expected.len() as u64, None));
            for RoleChange { id, gains, losses, .. } in plan.changes {
                let roles = expected.get_mut(&id).unwrap();
                assert!(gains.is_disjoint(roles) && losses.is_subset(roles));
                assert!(!gains.is_empty() || !losses.is_empty());
                roles.extend(gains);
                roles.retain(|role| !losses.contains(role));
            }
            site.rulebook.apply("new.yaml", after.clone()).await.unwrap();
            site.settled().await;
            assert_eq!(site.roles().await, expected, "from\n{before}to\n{after}");
            assert_eq!(site.rulebook.plan("new.yaml", &after, None).await.unwrap().changes, []);
        });
    }
}
