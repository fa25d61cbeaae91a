//! Workers on a real store, with a sink that does as it is told.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rolecall_sink_api::{
    Action, Change, ObservedStream, Outcome, Profile, Sink, SinkDown, SinkName, Timespan, UserId,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::deliver::*;
use crate::directory::{Event, EventId, Fact, Stamp};
use crate::rules::Rules;
use crate::source::Reading;
use crate::store::{Committer, Intake, Message, QueueFilter, QueueItem, QueueState, SqliteStore};
use crate::traces::Traces;

pub(super) type Answer = Box<dyn FnOnce(&[Change]) -> Result<Vec<Outcome>, SinkDown> + Send>;

/// A sink that answers as its script says, and applies everything once the script has ended.
struct Scripted {
    script: Mutex<VecDeque<Answer>>,
    probes: Mutex<VecDeque<Result<(), SinkDown>>>,
    calls: mpsc::UnboundedSender<Call>,
}

/// A user for whom the sink never answers.
const HANGS: &str = "hangs";

/// What was asked of the sink.
#[derive(Debug, PartialEq)]
pub(super) enum Call {
    Apply(Vec<(String, u32)>),
    Probe,
    Close,
}

pub(super) fn apply(changes: &[(&str, u32)]) -> Call {
    Call::Apply(changes.iter().map(|(id, attempt)| ((*id).to_owned(), *attempt)).collect())
}

#[async_trait]
impl Sink for Scripted {
    async fn apply(&self, changes: &[Change]) -> Result<Vec<Outcome>, SinkDown> {
        let ids = changes.iter().map(|change| (change.entity.id().to_owned(), change.attempt)).collect();
        self.calls.send(Call::Apply(ids)).unwrap();
        if changes.iter().any(|change| change.entity.id() == HANGS) {
            std::future::pending::<()>().await;
        }
        let answer = self.script.lock().unwrap().pop_front();
        match answer {
            Some(answer) => answer(changes),
            None => Ok(changes.iter().map(|_| Outcome::applied(Action::Updated)).collect()),
        }
    }

    async fn probe(&self) -> Result<(), SinkDown> {
        self.calls.send(Call::Probe).unwrap();
        self.probes.lock().unwrap().pop_front().unwrap_or(Ok(()))
    }

    fn observe(&self) -> Option<ObservedStream<'_>> {
        None
    }

    async fn close(&self) {
        self.calls.send(Call::Close).unwrap();
    }
}

pub(super) struct Fixture {
    pub(super) store: Arc<dyn Store>,
    pub(super) deliveries: Deliveries,
    workers: JoinSet<()>,
    stop: CancellationToken,
    pub(super) intake: Intake,
    calls: mpsc::UnboundedReceiver<Call>,
    directory: tempfile::TempDir,
}

pub(super) fn quick() -> DeliveryConfig {
    DeliveryConfig {
        max_attempts: 3,
        initial_backoff: Timespan::from_millis(2),
        max_backoff: Timespan::from_millis(4),
        max_probe_interval: Timespan::from_millis(4),
        batch_timeout: Timespan::from_millis(500),
        ..DeliveryConfig::default()
    }
}

impl Fixture {
    /// A daemon without its ends: one sink that follows the script, and users that wait for it.
    pub(super) async fn start(
        users: &[&str],
        script: Vec<Answer>,
        probes: Vec<Result<(), SinkDown>>,
        delivery: DeliveryConfig,
    ) -> Self {
        Self::guarded(users, script, probes, delivery, None).await
    }

    /// The same, with a safeguard.
    pub(super) async fn guarded(
        users: &[&str],
        script: Vec<Answer>,
        probes: Vec<Result<(), SinkDown>>,
        delivery: DeliveryConfig,
        safeguard: Option<SafeguardConfig>,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory.path().join("store.db")).await;
        let (intake, inbox) = Intake::new(16);
        let committer = Committer::new(Arc::clone(&store), Arc::new(Rules::none()), Timestamp::now, || {});
        tokio::spawn(committer.run(inbox));
        for user in users {
            intake.submit(joiner(user)).await.unwrap();
        }
        Self::deliver(store, intake, directory, (script, probes), (delivery, safeguard)).await
    }

    /// The worker ends, and another one begins with what is stored.
    pub(super) async fn restart(mut self, safeguard: Option<SafeguardConfig>) -> Self {
        self.stop.cancel();
        while let Some(worker) = self.workers.join_next().await {
            worker.unwrap();
        }
        let Self { store, intake, directory, .. } = self;
        Self::deliver(store, intake, directory, (vec![], vec![]), (quick(), safeguard)).await
    }

    async fn deliver(
        store: Arc<dyn Store>,
        intake: Intake,
        directory: tempfile::TempDir,
        (script, probes): (Vec<Answer>, Vec<Result<(), SinkDown>>),
        (delivery, safeguard): (DeliveryConfig, Option<SafeguardConfig>),
    ) -> Self {
        let name = SinkName::new("a");
        let (sender, calls) = mpsc::unbounded_channel();
        let sink =
            Scripted { script: Mutex::new(script.into()), probes: Mutex::new(probes.into()), calls: sender };
        let paused = store.pauses().await.unwrap().remove(&name);
        let sink = ConfiguredSink { name, sink: Arc::new(sink), delivery, safeguard, paused };
        let stop = CancellationToken::new();
        let (deliveries, workers) =
            Deliveries::start(vec![sink], &store, Timestamp::now, &stop, &Traces::default());
        Self { store, deliveries, workers, stop, intake, calls, directory }
    }

    pub(super) async fn call(&mut self) -> Call {
        tokio::time::timeout(Duration::from_secs(10), self.calls.recv()).await.expect("no call").unwrap()
    }

    pub(super) fn status(&self) -> DeliveryStatus {
        self.deliveries.status().remove(&SinkName::new("a")).unwrap()
    }

    /// Ends the worker; what it had in hand is settled then.
    pub(super) async fn finish(mut self) -> (Vec<QueueItem>, Vec<Call>) {
        self.stop.cancel();
        while let Some(worker) = self.workers.join_next().await {
            worker.unwrap();
        }
        let mut calls = Vec::new();
        while let Ok(call) = self.calls.try_recv() {
            calls.push(call);
        }
        (self.store.queue(&QueueFilter::default(), 100).await.unwrap(), calls)
    }
}

async fn open(path: &Path) -> Arc<dyn Store> {
    let store = SqliteStore::open(path).unwrap();
    store.configure(&[SinkName::new("a")], Timestamp::now()).await.unwrap();
    Arc::new(store)
}

pub(super) fn joiner(user: &str) -> Message {
    message(vec![profile(user)])
}

/// The user is there.
pub(super) fn profile(user: &str) -> Fact {
    let profile = Profile { user_name: Some(user.into()), ..Profile::default() };
    Fact::UserProfile {
        user: UserId::new(user),
        organization: None,
        origin: crate::directory::Origin::default(),
        profile: Box::new(profile),
    }
}

/// These facts, as of now.
pub(super) fn message(facts: Vec<Fact>) -> Message {
    let now = Timestamp::now();
    let id = format!("evt_{}", now.as_nanosecond());
    let stamp = Stamp { at: now, event: EventId::new(id.as_str()) };
    Message {
        source: "test".into(),
        message_id: id,
        signed_at: now,
        received_at: now,
        reading: Reading::Event { event: Event { stamp, facts }, kind: "test".into() },
        body: bytes::Bytes::new(),
    }
}

pub(super) fn answer(outcome: impl Fn(&Change) -> Outcome + Send + 'static) -> Answer {
    Box::new(move |changes| Ok(changes.iter().map(outcome).collect()))
}

pub(super) fn down(reason: &str) -> SinkDown {
    SinkDown::new(reason)
}

#[tokio::test]
async fn a_retry_comes_again_and_a_reject_becomes_a_dead_letter_alone() {
    let script = vec![answer(|change| match change.entity.id() {
        "bad" => Outcome::reject("no such parent"),
        "busy" => Outcome::retry("locked"),
        _ => Outcome::applied(Action::Created),
    })];
    let mut fixture = Fixture::start(&["ann", "bad", "busy"], script, vec![], quick()).await;
    assert_eq!(fixture.call().await, apply(&[("ann", 1), ("bad", 1), ("busy", 1)]));
    assert_eq!(fixture.call().await, apply(&[("busy", 2)]));
    let (queue, calls) = fixture.finish().await;
    assert_eq!(calls, [Call::Close]);
    assert_eq!(queue.len(), 1);
    assert_eq!((queue[0].entity.id(), queue[0].state), ("bad", QueueState::Dead));
    assert_eq!(queue[0].error.as_deref(), Some("no such parent"));
}

#[tokio::test]
async fn what_is_out_of_attempts_is_a_dead_letter_that_says_so() {
    let busy = || answer(|_| Outcome::retry("locked"));
    let mut fixture = Fixture::start(&["ann"], vec![busy(), busy(), busy()], vec![], quick()).await;
    for attempt in 1..=3 {
        assert_eq!(fixture.call().await, apply(&[("ann", attempt)]));
    }
    let (queue, calls) = fixture.finish().await;
    assert_eq!(calls, [Call::Close]);
    assert_eq!(queue[0].state, QueueState::Dead);
    assert_eq!(queue[0].error.as_deref(), Some("gave up after 3 attempts: locked"));
}

#[tokio::test]
async fn a_wait_that_the_target_asked_for_is_no_failed_attempt() {
    let limited = || answer(|_| Outcome::retry_after("rate limit", Some(Duration::from_millis(1))));
    let script = (0..5).map(|_| limited()).collect();
    let mut fixture = Fixture::start(&["ann"], script, vec![], quick()).await;
    for _ in 0..6 {
        assert_eq!(fixture.call().await, apply(&[("ann", 1)]));
    }
    assert_eq!(fixture.finish().await.0, []);
}

#[tokio::test]
async fn what_the_sink_wants_to_look_at_again_comes_again_as_a_first_attempt() {
    let again = Some(Duration::from_millis(1));
    let script: Vec<Answer> = vec![Box::new(move |changes| {
        let looked = |_: &Change| Outcome::Applied { remote: None, action: Action::Deactivated, again };
        Ok(changes.iter().map(looked).collect())
    })];
    let mut fixture = Fixture::start(&["ann"], script, vec![], quick()).await;
    assert_eq!(fixture.call().await, apply(&[("ann", 1)]));
    assert_eq!(fixture.call().await, apply(&[("ann", 1)]));
    let (queue, calls) = fixture.finish().await;
    assert_eq!((queue, calls), (vec![], vec![Call::Close]));
}

#[tokio::test]
async fn a_sink_that_is_down_is_probed_and_costs_no_attempt() {
    let script: Vec<Answer> = vec![Box::new(|_| Err(down("connection refused")))];
    let probes = vec![Err(down("still refused")), Ok(())];
    let mut fixture = Fixture::start(&["ann"], script, probes, quick()).await;
    assert_eq!(fixture.call().await, apply(&[("ann", 1)]));
    assert_eq!(fixture.call().await, Call::Probe);
    assert_eq!(fixture.call().await, Call::Probe);
    assert_eq!(fixture.call().await, apply(&[("ann", 1)]));
    assert_eq!(fixture.status().breaker, Breaker::Closed);
    assert_eq!(fixture.finish().await.0, []);
}

#[tokio::test]
async fn an_open_breaker_says_why_and_is_asked_at_once_when_a_person_wants_to_know() {
    let script: Vec<Answer> = vec![Box::new(|_| {
        Err(SinkDown { reason: "maintenance\u{1b}[2J".into(), after: Some(Duration::from_secs(3600)) })
    })];
    let mut fixture = Fixture::start(&["ann"], script, vec![], quick()).await;
    assert_eq!(fixture.call().await, apply(&[("ann", 1)]));
    while fixture.status().breaker == Breaker::Closed {
        tokio::task::yield_now().await;
    }
    let Breaker::Open { reason, .. } = fixture.status().breaker else { panic!("closed") };
    assert_eq!(reason, "maintenance [2J", "what a terminal would obey is gone");
    fixture.deliveries.probe();
    assert_eq!(fixture.call().await, Call::Probe);
    assert_eq!(fixture.call().await, apply(&[("ann", 1)]));
}

#[tokio::test]
async fn a_sink_that_panics_on_one_change_still_gets_the_others() {
    let explode = || -> Answer {
        Box::new(|changes| {
            assert!(changes.iter().all(|change| change.entity.id() != "bad"), "a bug");
            Ok(changes.iter().map(|_| Outcome::applied(Action::Created)).collect())
        })
    };
    let script = (0..10).map(|_| explode()).collect();
    let mut fixture = Fixture::start(&["ann", "bad", "bob"], script, vec![], quick()).await;
    assert_eq!(fixture.call().await, apply(&[("ann", 1), ("bad", 1), ("bob", 1)]));
    assert_eq!(fixture.call().await, apply(&[("ann", 1)]));
    assert_eq!(fixture.call().await, apply(&[("bad", 1)]));
    assert_eq!(fixture.call().await, apply(&[("bob", 1)]));
    let (queue, _) = fixture.finish().await;
    assert_eq!(queue.len(), 1);
    assert_eq!(queue[0].entity.id(), "bad");
}

#[tokio::test]
async fn a_sink_that_hangs_counts_as_down() {
    let delivery = DeliveryConfig { batch_timeout: Timespan::from_millis(5), ..quick() };
    let mut fixture = Fixture::start(&[HANGS], vec![], vec![], delivery).await;
    assert_eq!(fixture.call().await, apply(&[(HANGS, 1)]));
    assert_eq!(fixture.call().await, Call::Probe);
    assert_eq!(fixture.call().await, apply(&[(HANGS, 1)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_hand_at_the_stop_is_settled_and_nothing_more_is_begun() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let script: Vec<Answer> = vec![Box::new(move |changes| {
        tokio::task::block_in_place(|| released.recv().unwrap());
        Ok(changes.iter().map(|_| Outcome::applied(Action::Created)).collect())
    })];
    let delivery = DeliveryConfig { batch: Some(1), ..quick() };
    let mut fixture = Fixture::start(&["ann", "bob"], script, vec![], delivery).await;
    assert_eq!(fixture.call().await, apply(&[("ann", 1)]));
    fixture.stop.cancel();
    release.send(()).unwrap();
    let (queue, calls) = fixture.finish().await;
    assert_eq!(calls, [Call::Close], "the last that is asked of the sink");
    assert_eq!(queue.len(), 1, "ann is settled, bob waits for the next start");
    assert_eq!(queue[0].entity.id(), "bob");
}

#[tokio::test]
async fn a_new_entity_wakes_the_worker() {
    let mut fixture = Fixture::start(&[], vec![], vec![], quick()).await;
    fixture.intake.submit(joiner("ann")).await.unwrap();
    fixture.deliveries.wake();
    assert_eq!(fixture.call().await, apply(&[("ann", 1)]));
}

#[tokio::test]
async fn a_change_on_which_the_sink_goes_down_is_found_and_given_up_while_the_others_go_through() {
    let poisoned = || -> Answer {
        Box::new(|changes| {
            if changes.iter().any(|change| change.entity.id() == "poison") {
                return Err(down("connection reset"));
            }
            Ok(changes.iter().map(|_| Outcome::applied(Action::Created)).collect())
        })
    };
    let users = ["ann", "bob", "poison", "cleo", "dan"];
    let script = (0..200).map(|_| poisoned()).collect();
    let mut fixture = Fixture::start(&users, script, vec![], quick()).await;
    let mut others = 0;
    while fixture.status().dead == 0 {
        assert!(others < 150, "it is not found");
        fixture.call().await;
        // Others keep coming: without them nothing says that it is not the sink.
        others += 1;
        fixture.intake.submit(joiner(&format!("user{others}"))).await.unwrap();
        fixture.deliveries.wake();
    }
    let (queue, _) = fixture.finish().await;
    let dead: Vec<&str> =
        queue.iter().filter(|item| item.state == QueueState::Dead).map(|item| item.entity.id()).collect();
    assert_eq!(dead, ["poison"]);
}

#[tokio::test]
async fn while_nothing_goes_through_no_change_is_blamed() {
    let script = (0..30).map(|_| -> Answer { Box::new(|_| Err(down("read-only"))) }).collect();
    let mut fixture = Fixture::start(&["ann", "bob", "cleo"], script, vec![], quick()).await;
    let mut calls = 0;
    while calls < 25 {
        if let Call::Apply(changes) = fixture.call().await {
            assert!(changes.iter().all(|(_, attempt)| *attempt == 1), "{changes:?}");
            calls += 1;
        }
    }
    assert_eq!(fixture.status().dead, 0);
}
