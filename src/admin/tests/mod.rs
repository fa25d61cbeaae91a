//! The API over a real socket, with a real store behind it that was filled as it always is.

pub(crate) mod access;
mod certificates;
mod events;
pub(crate) mod holds;
mod listings;
mod metrics;
mod queue;
mod requests;
mod rules;
mod status;
mod store;
mod users;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use rolecall_sink_api::{
    Change, Entity, GroupId, OrganizationId, Outcome, Profile, Sink, SinkDown, SinkName, Timespan, UserId,
};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{AdminClient, AdminListener, AdminSocket, AdminState, Gate, Readiness, Within, serve};
use crate::alerts::{Alerts, Observed};
use crate::config::AlertsConfig;
use crate::deliver::{ConfiguredSink, Deliveries, DeliveryConfig, SafeguardConfig};
use crate::directory::{Event, EventId, Fact, GroupProfile, Stamp};
use crate::receive::signature::Verifier;
use crate::receive::{Acknowledgements, NamedSource, Replay};
use crate::rulebook::{Opening, Rulebook};
use crate::rules::Rules;
use crate::source::{Reading, Scalekit};
use crate::store::{
    BackupSchedule, Backups, Committer, Intake, Message, Receipt, Resolution, Settlement, SqliteStore, Store,
};
use crate::tls::{Listener, ServerTls, TlsServer, TlsVersion};
use crate::traces::Traces;

/// The time by the daemon's clock, all along.
const NOW: &str = "2026-11-24T10:00:00Z";
const RULES: &str = "\
rules:
  - name: engineers
    when: { group: Engineering }
    grant: engineer
default: member
";

fn now() -> Timestamp {
    time(NOW)
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A target that is down for good: what is queued for it stays queued.
struct Down;

#[async_trait]
impl Sink for Down {
    async fn apply(&self, _: &[Change]) -> Result<Vec<Outcome>, SinkDown> {
        Err(SinkDown::new("connection refused"))
    }

    async fn probe(&self) -> Result<(), SinkDown> {
        Err(SinkDown::new("connection refused"))
    }

    fn observe(&self) -> Option<rolecall_sink_api::ObservedStream<'_>> {
        None
    }
}

/// A target that refuses everything, and tells which attempt at whom that was.
struct Refusing(mpsc::UnboundedSender<(Entity, u32)>);

#[async_trait]
impl Sink for Refusing {
    async fn apply(&self, changes: &[Change]) -> Result<Vec<Outcome>, SinkDown> {
        for change in changes {
            self.0.send((change.entity.clone(), change.attempt)).unwrap();
        }
        Ok(changes.iter().map(|_| Outcome::reject("no")).collect())
    }

    async fn probe(&self) -> Result<(), SinkDown> {
        Ok(())
    }

    fn observe(&self) -> Option<rolecall_sink_api::ObservedStream<'_>> {
        None
    }
}

/// A daemon without a receiver: events are handed in, and its sinks are `crm` and `ldap`.
pub(crate) struct Daemon {
    pub(crate) client: AdminClient,
    /// Where it listens beside its socket.
    address: SocketAddr,
    state: AdminState,
    store: Arc<dyn Store>,
    intake: Intake,
    replay: Replay,
    committer: JoinHandle<()>,
    stop: CancellationToken,
    stop_receiving: CancellationToken,
    serving: JoinHandle<()>,
    directory: TempDir,
    _workers: JoinSet<()>,
}

impl Daemon {
    /// Both sinks are down.
    async fn start() -> Self {
        Self::with_sinks(Arc::new(Down), Arc::new(Down)).await
    }

    pub(crate) async fn start_with(gate: Gate) -> Self {
        Self::start_so(Arc::new(Down), Arc::new(Down), gate, None).await
    }

    /// It speaks TLS at its address.
    async fn start_in_private(gate: Gate, tls: TlsServer) -> Self {
        Self::start_so(Arc::new(Down), Arc::new(Down), gate, Some(tls)).await
    }

    async fn with_sinks(crm: Arc<dyn Sink>, ldap: Arc<dyn Sink>) -> Self {
        Self::start_so(crm, ldap, Gate::default(), None).await
    }

    async fn start_so(crm: Arc<dyn Sink>, ldap: Arc<dyn Sink>, gate: Gate, tls: Option<TlsServer>) -> Self {
        let directory = TempDir::new().unwrap();
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(&directory.path().join("store.sqlite")).unwrap());
        let sinks = [("crm", crm), ("ldap", ldap)].map(|(name, sink)| ConfiguredSink {
            name: SinkName::new(name),
            sink,
            delivery: DeliveryConfig::default(),
            safeguard: Some(SafeguardConfig::default()),
            paused: None,
        });
        let names = sinks.each_ref().map(|sink| sink.name.clone());
        store.configure(&names, now()).await.unwrap();
        let stop = CancellationToken::new();
        let (deliveries, workers) = Deliveries::start(sinks.into(), &store, now, &stop, &Traces::default());
        let wake = deliveries.clone();
        let rules = Rules::parse("rules.yaml", RULES).unwrap();
        let (intake, inbox) = Intake::new(16);
        let scalekit = NamedSource {
            name: "scalekit".to_owned().try_into().unwrap(),
            verifier: Verifier::new(Vec::new(), SignedDuration::ZERO),
            source: Arc::new(Scalekit),
        };
        let received = Arc::new(Acknowledgements::new([&scalekit.name]));
        let replay = Replay::new(&store, &[scalekit], &intake);
        let rules_file = directory.path().join("rules.yaml");
        std::fs::write(&rules_file, RULES).unwrap();
        let opening = Opening::choose(&*store, rules, RULES.into()).await.unwrap();
        opening.adopt(&*store, Arc::default(), now()).await.unwrap();
        let committer =
            Committer::new(Arc::clone(&store), Arc::clone(&opening.rules), now, move || wake.wake());
        let in_force = committer.rules_in_force();
        let progress = committer.progress();
        let rulebook = Rulebook::new(Arc::clone(&store), in_force, &opening, Some(rules_file), now);
        let commits = committer.metrics();
        let committer = tokio::spawn(committer.run(inbox));
        let socket = AdminSocket::bind(&directory.path().join("admin.sock")).unwrap();
        let client = AdminClient::new(socket.path());
        let stop_receiving = CancellationToken::new();
        let observed = Observed {
            store: Arc::clone(&store),
            deliveries: deliveries.clone(),
            rulebook: rulebook.clone(),
            tls: Vec::new(),
            received: Arc::clone(&received),
            backups: None,
        };
        let schedule = BackupSchedule {
            directory: directory.path().join("backups"),
            every: Timespan::from_days(1),
            keep: 7,
        };
        let alerts = Alerts::new(AlertsConfig::default(), observed, now).unwrap();
        let state = AdminState {
            readiness: Readiness::new(Arc::clone(&store), progress, stop_receiving.clone()),
            store: Arc::clone(&store),
            deliveries,
            rulebook,
            gate: Arc::new(gate),
            received,
            commits,
            tls: [certificate(directory.path())].into_iter().chain(tls.clone()).collect(),
            traces: Traces::default(),
            replay: replay.clone(),
            alerts,
            backups: Some(Backups::new(Arc::clone(&store), schedule, now)),
            clock: now,
            started_at: time("2026-11-24T07:30:00Z"),
        };
        let loopback = (std::net::Ipv4Addr::LOCALHOST, 0).into();
        let listener = AdminListener::bind(loopback, tls).await.unwrap();
        let address = listener.local_addr();
        let serving = tokio::spawn(serve(socket, Some(listener), state.clone(), None, stop.clone()));
        Self {
            client,
            address,
            stop_receiving,
            state,
            store,
            intake,
            replay,
            committer,
            stop,
            serving,
            directory,
            _workers: workers,
        }
    }

    /// Its API, asked from within.
    pub(crate) fn within(&self) -> Within {
        Within::new(self.state.clone())
    }

    /// Takes in an event of that id, stated and received at that time.
    pub(crate) async fn event(&self, id: &str, at: &str, kind: &str, facts: Vec<Fact>) {
        let stamp = Stamp { at: time(at), event: EventId::new(id) };
        let message = Message {
            source: "scalekit".into(),
            message_id: format!("msg_{id}"),
            signed_at: time(at),
            received_at: time(at),
            reading: Reading::Event { event: Event { stamp, facts }, kind: kind.into() },
            body: Bytes::from_static(b"{}"),
        };
        assert_eq!(self.intake.submit(message).await, Ok(Receipt::Committed));
    }

    /// Ada is in Engineering; Grace is known, and goes by the same email address in another organization.
    pub(crate) async fn with_ada_and_grace() -> Self {
        let daemon = Self::start().await;
        daemon.hears_of_ada_and_grace().await;
        daemon
    }

    pub(crate) async fn hears_of_ada_and_grace(&self) {
        let profile = GroupProfile { name: Some("Engineering".into()), ..GroupProfile::default() };
        self.event(
            "evt_1",
            "2026-11-24T08:00:00Z",
            "group_created",
            vec![Fact::GroupProfile { group: GroupId::new("dirgroup_eng"), profile }],
        )
        .await;
        self.event("evt_2", "2026-11-24T08:01:00Z", "user_created", vec![user("ada", "org_1")]).await;
        self.event("evt_3", "2026-11-24T08:02:00Z", "user_created", vec![user("grace", "org_2")]).await;
        self.event(
            "evt_4",
            "2026-11-24T08:03:00Z",
            "group_user_added",
            vec![Fact::Member {
                group: GroupId::new("dirgroup_eng"),
                user: UserId::new("diruser_ada"),
                member: true,
            }],
        )
        .await;
    }

    /// What the delivery worker of a sink notes of one user.
    pub(crate) async fn settle(&self, sink: &str, user: &str, resolution: Resolution) {
        let sink = SinkName::new(sink);
        let entity = Entity::User(UserId::new(user));
        let due = self.store.due(&sink, now(), 100).await.unwrap();
        let due = due.into_iter().find(|due| due.change.entity == entity).unwrap();
        let settlement = Settlement {
            entity,
            generation: due.change.generation,
            attempts: due.change.attempt,
            resolution,
        };
        self.store.settle(&sink, vec![settlement], time("2026-11-24T09:00:00Z")).await.unwrap();
    }
}

/// TLS with a certificate that was just made.
fn certificate(directory: &Path) -> TlsServer {
    let key = rcgen::KeyPair::generate().unwrap();
    let made = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap().self_signed(&key).unwrap();
    let file = |name: &str, pem: String| {
        std::fs::write(directory.join(name), pem).unwrap();
        directory.join(name)
    };
    let tls = ServerTls {
        certificate: file("tls.pem", made.pem()),
        key: file("tls.key", key.serialize_pem()),
        client_ca: None,
        client_crl: None,
        min_version: TlsVersion::default(),
    };
    TlsServer::load(tls, Listener::Webhooks, now).unwrap()
}

fn user(name: &str, organization: &str) -> Fact {
    Fact::UserProfile {
        user: UserId::new(format!("diruser_{name}")),
        organization: Some(OrganizationId::new(organization)),
        origin: crate::directory::Origin::default(),
        profile: Box::new(Profile {
            user_name: Some(name.into()),
            email: Some("team@example.com".into()),
            ..Profile::default()
        }),
    }
}

pub(crate) fn dead(reason: &str) -> Resolution {
    Resolution::Dead { reason: reason.into(), remote: None }
}
