//! What a sink is handed over time, by a worker on the embedded store.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use rolecall_sink_api::{
    Action, Attempted, Change, ObservedStream, Outcome, Profile, RemoteId, Sink, SinkDown, SinkName, UserId,
};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::deliver::*;
use crate::directory::Fact;
use crate::directory::history::event;
use crate::rules::Rules;
use crate::source::Reading;
use crate::store::{Committer, Intake, Message, SqliteStore};
use crate::traces::Traces;

fn clock() -> Timestamp {
    Timestamp::from_second(1_767_225_600).unwrap()
}

fn name() -> SinkName {
    SinkName::new("app")
}

/// A store with somebody to deliver in it.
struct Directory {
    store: Arc<dyn Store>,
    intake: Intake,
    files: TempDir,
}

impl Directory {
    async fn start() -> Self {
        let files = TempDir::new().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&files.path().join("store.db")).unwrap());
        store.configure(&[name()], clock()).await.unwrap();
        let rules = Arc::new(Rules::parse("rules.yaml", "rules: []").unwrap());
        let (intake, inbox) = Intake::new(8);
        tokio::spawn(Committer::new(Arc::clone(&store), rules, clock, || {}).run(inbox));
        let directory = Self { store, intake, files };
        directory.call(1, "ann").await;
        directory
    }

    /// The user's name from now on.
    async fn call(&self, second: i64, user_name: &str) {
        let profile = Profile { user_name: Some(user_name.into()), ..Profile::default() };
        let fact = Fact::UserProfile {
            user: UserId::new("u1"),
            organization: None,
            origin: crate::directory::Origin::default(),
            profile: Box::new(profile),
        };
        let event = event(second, &format!("e{second}"), vec![fact]);
        let message = Message {
            source: "test".into(),
            message_id: format!("msg_{second}"),
            signed_at: clock(),
            received_at: clock(),
            body: Bytes::from_static(b"{}"),
            reading: Reading::Event { event, kind: "test".into() },
        };
        self.intake.submit(message).await.unwrap();
    }

    /// A worker on a sink that answers `answer` to everything.
    fn deliver(&self, reads_target: bool, answer: Outcome) -> Delivery {
        let (calls, heard) = mpsc::unbounded_channel();
        let store = Arc::clone(&self.store);
        let sink = Arc::new(Scripted { store, reads_target, answer, calls });
        let sinks = vec![ConfiguredSink { name: name(), sink, delivery: DeliveryConfig::default() }];
        let stop = CancellationToken::new();
        let (deliveries, workers) = Deliveries::start(sinks, &self.store, clock, &stop, &Traces::default());
        Delivery { deliveries, workers, heard, stop }
    }

    async fn due(&self) -> Option<Change> {
        due(&*self.store).await
    }

    fn sql(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.files.path().join("store.db")).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        connection.execute_batch(sql).unwrap();
    }
}

/// What the store would hand out if everything were due.
async fn due(store: &dyn Store) -> Option<Change> {
    store.due(&name(), Timestamp::MAX, 1).await.unwrap().pop().map(|due| due.change)
}

/// What the worker asked of the sink.
enum Call {
    Reads,
    /// The change, and what was noted of it in the store by then.
    Apply(Box<Change>, Option<Attempted>),
}

struct Scripted {
    store: Arc<dyn Store>,
    reads_target: bool,
    answer: Outcome,
    calls: mpsc::UnboundedSender<Call>,
}

#[async_trait]
impl Sink for Scripted {
    async fn apply(&self, changes: &[Change]) -> Result<Vec<Outcome>, SinkDown> {
        for change in changes {
            let noted = due(&*self.store).await.unwrap().attempted;
            self.calls.send(Call::Apply(Box::new(change.clone()), noted)).unwrap();
        }
        Ok(changes.iter().map(|_| self.answer.clone()).collect())
    }

    async fn probe(&self) -> Result<(), SinkDown> {
        Ok(())
    }

    fn reads_target(&self) -> bool {
        self.calls.send(Call::Reads).unwrap();
        self.reads_target
    }

    fn observe(&self) -> Option<ObservedStream<'_>> {
        None
    }
}

/// A daemon's life, as far as the sink sees it.
struct Delivery {
    deliveries: Deliveries,
    workers: JoinSet<()>,
    heard: mpsc::UnboundedReceiver<Call>,
    stop: CancellationToken,
}

impl Delivery {
    /// The next change that is applied, with what was noted by then.
    async fn applied(&mut self) -> (Change, Option<Attempted>) {
        loop {
            if let Call::Apply(change, noted) = self.heard.recv().await.unwrap() {
                return (*change, noted);
            }
        }
    }

    /// Ends it, the batch in hand settled.
    async fn end(self) {
        self.stop.cancel();
        self.workers.join_all().await;
    }
}

#[tokio::test]
async fn what_a_sink_that_cannot_look_is_handed_is_noted_before_and_comes_back_until_it_is_confirmed() {
    let directory = Directory::start().await;
    let mut first =
        directory.deliver(false, Outcome::retry("half of it failed").with_remote(Some(RemoteId::new("7"))));
    let (ann, noted) = first.applied().await;
    assert_eq!(ann.attempted, None);
    assert_eq!(noted, Attempted::by(&ann));
    first.end().await;

    directory.call(2, "anna").await;
    let mut second = directory.deliver(false, Outcome::applied(Action::Created));
    let (anna, noted) = second.applied().await;
    let remote = Some(RemoteId::new("7"));
    assert_eq!(anna.remote, remote);
    assert_eq!(anna.attempted, Attempted::by(&ann).map(|left| Attempted { remote, ..left }));
    assert_eq!(noted, Attempted::by(&anna));
    second.end().await;

    directory.call(3, "anne").await;
    let anne = directory.due().await.unwrap();
    assert_eq!((anne.applied, anne.attempted), (anna.desired, None));
}

#[tokio::test]
async fn nothing_is_noted_for_a_sink_that_reads_its_target() {
    let directory = Directory::start().await;
    let mut delivery = directory.deliver(true, Outcome::retry("half of it failed"));
    let (_, noted) = delivery.applied().await;
    delivery.end().await;
    assert_eq!(noted, None);
    assert_eq!(directory.due().await.unwrap().attempted, None);
}

#[tokio::test]
async fn nothing_is_handed_over_while_it_cannot_be_noted() {
    let directory = Directory::start().await;
    directory.sql(
        "CREATE TRIGGER full BEFORE INSERT ON attempted BEGIN SELECT RAISE(ABORT, 'no space left'); END",
    );
    let mut delivery = directory.deliver(false, Outcome::applied(Action::Created));
    // That it comes to this a second time shows that the first ended in no delivery.
    for _ in 0..2 {
        assert!(matches!(delivery.heard.recv().await.unwrap(), Call::Reads));
        delivery.deliveries.wake();
    }
    directory.sql("DROP TRIGGER full");
    delivery.deliveries.wake();
    let (change, noted) = delivery.applied().await;
    assert_eq!(noted, Attempted::by(&change));
    delivery.end().await;
}
