//! The daemon: its parts put together, started in order and stopped in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rolecall_sink_api::{ConfigError, SinkName};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::admin::{
    self, AdminListener, AdminSocket, AdminState, Gate, ListenError, Pages, Readiness, SocketError, Tokens,
    Within,
};
use crate::alerts::{Alerts, Observed};
use crate::config::{BackupConfig, Config, RetentionConfig};
use crate::console::{BrokenTemplates, Console};
use crate::deliver::{ConfiguredSink, Deliveries};
use crate::receive::{BindError, Bound, InheritedSockets, NamedSource, Receiver, Replay};
use crate::rulebook::{Opening, Rulebook};
use crate::service_manager::{ServiceManager, Vitals};
use crate::store::{
    BackupSchedule, Backups, Committer, Intake, Retention, SqliteStore, Store, StoreError, watch_space,
};
use crate::tls::{Listener, TlsServer};
use crate::traces::Traces;

/// How long sinks may take to finish the batches in their hands when the daemon stops. What is cut off comes again.
const DRAIN: Duration = Duration::from_secs(30);
/// How many messages wait for the committer at most; a sender who comes when they do waits in turn.
const INTAKE: usize = 1024;

/// Why the daemon cannot start, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A section of the configuration cannot be used after all.
    #[error("{section}.{error}")]
    Config {
        /// The section.
        section: String,
        /// What is wrong in it.
        error: ConfigError,
    },
    /// The webhooks' address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The admin socket cannot be listened on.
    #[error(transparent)]
    Admin(#[from] SocketError),
    /// The console cannot be served.
    #[error(transparent)]
    Console(#[from] BrokenTemplates),
    /// The admin API's address cannot be listened on.
    #[error(transparent)]
    AdminListen(#[from] ListenError),
    /// A part ended that should run as long as the daemon does: a bug.
    #[error(
        "the {0} ended unexpectedly; what was acknowledged is on disk, and the next start goes on with it"
    )]
    Ended(&'static str),
    /// The operating system refused something.
    #[error("cannot {what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        error: std::io::Error,
    },
}

/// A daemon that runs.
pub struct Daemon {
    local_addr: SocketAddr,
    stop_receiving: CancellationToken,
    stop_the_rest: CancellationToken,
    receiver: JoinHandle<()>,
    committer: JoinHandle<()>,
    workers: JoinSet<()>,
    others: JoinSet<()>,
    rulebook: Rulebook,
    tls: Vec<TlsServer>,
    vitals: Vitals,
}

impl Daemon {
    /// Starts everything. When it returns, webhooks are received.
    ///
    /// # Errors
    /// When the store or a socket cannot be used; then nothing runs.
    pub async fn start(config: Config, mut inherited: InheritedSockets) -> Result<Self, DaemonError> {
        let clock = Timestamp::now;
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&config.store.path)?);
        let names: Vec<SinkName> = config.sinks.keys().cloned().collect();
        if names.is_empty() {
            tracing::warn!("no sink is configured: events are taken, and nothing is kept in step");
        }
        store.configure(&names, clock()).await?;
        let opening = Opening::choose(&*store, config.rules, config.rules_text).await?;
        let scopes = Arc::new(config.scopes);
        let adopted = opening.adopt(&*store, Arc::clone(&scopes), clock()).await?;
        if adopted.evaluates {
            tracing::info!("the rules are not those of the last start: every user is evaluated again");
        }

        let (intake, inbox) = Intake::new(INTAKE);
        let sources = config.sources.iter().map(|(name, source)| {
            NamedSource::new(name.clone(), source)
                .map_err(|error| DaemonError::Config { section: format!("sources.{name}"), error })
        });
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        let replay = Replay::new(&store, &sources, &intake);
        let (traces, exporter) = match &config.traces {
            Some(config) => Traces::to(config).map(|(traces, exporter)| (traces, Some(exporter))),
            None => Ok((Traces::default(), None)),
        }
        .map_err(|error| DaemonError::Config { section: "traces".into(), error })?;
        let receiver = Receiver::new(config.listen, sources, intake, clock, traces.clone())
            .map_err(|error| DaemonError::Config { section: "listen".into(), error })?;
        let received = receiver.acknowledgements();
        let mut tls: Vec<TlsServer> = receiver.tls().into_iter().collect();
        let socket = inherited
            .tcp_listener()
            .map_err(|error| DaemonError::System { what: "use the sockets that systemd passed", error })?;
        let bound: Bound = receiver.bind(socket).await?;
        let local_addr = bound.local_addr();
        let admin = AdminSocket::bind(&config.admin.socket)?;
        let (admin_listener, gate) = match &config.admin.listen {
            None => (None, Gate::default()),
            Some(listen) => {
                let fail = |section: &'static str| {
                    move |error| DaemonError::Config { section: section.into(), error }
                };
                let tokens = Tokens::read(&listen.tokens).map_err(fail("admin"))?;
                let certificate =
                    listen.tls.clone().map(|tls| TlsServer::load(tls, Listener::Admin, clock)).transpose();
                let certificate = certificate.map_err(fail("admin.listen"))?;
                tls.extend(certificate.clone());
                let listener = AdminListener::bind(listen.address, certificate).await?;
                (Some(listener), Gate::new(tokens, listen.clients.clone()))
            }
        };

        let stop_receiving = CancellationToken::new();
        let stop_the_rest = CancellationToken::new();
        let mut pauses = store.pauses().await?;
        let sinks = config.sinks.into_iter().map(|(name, entry)| ConfiguredSink {
            paused: pauses.remove(&name),
            safeguard: entry.safeguard,
            name,
            sink: entry.sink,
            delivery: entry.delivery,
        });
        let (deliveries, workers) =
            Deliveries::start(sinks.collect(), &store, clock, &stop_the_rest, &traces);
        let wake = deliveries.clone();
        let committer =
            Committer::new(Arc::clone(&store), Arc::clone(&opening.rules), clock, move || wake.wake())
                .scoped(scopes);
        let rulebook =
            Rulebook::new(Arc::clone(&store), committer.rules_in_force(), &opening, config.rules_file, clock);
        let vitals = Vitals {
            store: Arc::clone(&store),
            deliveries: deliveries.clone(),
            committer: committer.progress(),
            rulebook: rulebook.clone(),
        };
        let mut others = JoinSet::new();
        let retention = retention(&config.store.retention);
        others.spawn(retention.run(Arc::clone(&store), clock, stop_the_rest.clone()));
        others.spawn(replay.clone().run(stop_the_rest.clone()));
        if let Some(exporter) = exporter {
            others.spawn(exporter.run(stop_the_rest.clone()));
        }
        others.spawn(watch_space(Arc::clone(&store), stop_the_rest.clone()));
        let schedule = config.store.backup.map(schedule);
        let backups = schedule.map(|schedule| Backups::new(Arc::clone(&store), schedule, clock));
        if let Some(backups) = backups.clone() {
            others.spawn(backups.run(stop_the_rest.clone()));
        }
        for tls in &tls {
            others.spawn(tls.clone().keep_renewed(stop_the_rest.clone()));
        }
        let readiness = Readiness::new(Arc::clone(&store), committer.progress(), stop_receiving.clone());
        let observed = Observed {
            store: Arc::clone(&store),
            deliveries: deliveries.clone(),
            rulebook: rulebook.clone(),
            tls: tls.clone(),
            received: Arc::clone(&received),
            backups: backups.clone(),
        };
        let alerts = Alerts::new(config.alerts, observed, clock)
            .map_err(|error| DaemonError::Config { section: "alerts".into(), error })?;
        others.spawn(alerts.clone().run(stop_the_rest.clone()));
        let state = AdminState {
            readiness,
            store,
            deliveries,
            rulebook: rulebook.clone(),
            gate: Arc::new(gate),
            received,
            commits: committer.metrics(),
            traces,
            replay,
            alerts,
            tls: tls.clone(),
            backups,
            clock,
            started_at: clock(),
        };
        let console = Console::new(Within::new(state.clone()), config.admin.listen.as_ref())?;
        let pages: Option<Arc<dyn Pages>> = Some(Arc::new(console));
        others.spawn(admin::serve(admin, admin_listener, state, pages, stop_the_rest.clone()));
        Ok(Self {
            local_addr,
            committer: tokio::spawn(committer.run(inbox)),
            receiver: tokio::spawn(bound.serve(stop_receiving.clone())),
            stop_receiving,
            stop_the_rest,
            workers,
            others,
            rulebook,
            tls,
            vitals,
        })
    }

    /// Where webhooks are received.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Waits until a part ends that should not, and says which. Never, if all is well.
    async fn failure(&mut self) -> DaemonError {
        let part = tokio::select! {
            _ = &mut self.receiver => "receiver",
            _ = &mut self.committer => "committer",
            Some(_) = self.workers.join_next() => "delivery worker of a sink",
            Some(_) = self.others.join_next() => "admin API, the retention, the backups, the replay, the alerts, the care for certificates, the reloads or the report to the service manager",
        };
        DaemonError::Ended(part)
    }

    /// Stops: lets requests that are under way finish, commits what they brought, and lets every sink finish the
    /// batch in its hands, as far as that takes no longer than half a minute. Whatever still waits is on disk and
    /// goes on at the next start.
    pub async fn stop(mut self) {
        self.stop_receiving.cancel();
        // A task that panicked has said so; the others stop all the same. One that was seen to end is not awaited
        // again.
        if !self.receiver.is_finished() {
            let _ = self.receiver.await;
        }
        if !self.committer.is_finished() {
            let _ = self.committer.await;
        }
        self.stop_the_rest.cancel();
        let finished = tokio::time::timeout(DRAIN, async {
            while self.workers.join_next().await.is_some() {}
            while self.others.join_next().await.is_some() {}
        });
        if finished.await.is_err() {
            tracing::warn!("deliveries took too long to finish and are cut off; they come again");
        }
    }
}

fn retention(config: &RetentionConfig) -> Retention {
    Retention {
        journal: config.journal.get(),
        activity: config.activity.get(),
        tombstones: config.tombstones.get(),
    }
}

fn schedule(BackupConfig { directory, every, keep }: BackupConfig) -> BackupSchedule {
    BackupSchedule { directory, every, keep: keep.get() }
}

/// Reads rules and certificates again on each signal, until `stop` is cancelled. What comes of it is logged, and stands in
/// the status.
async fn reload_on(
    mut hangup: Signal,
    manager: ServiceManager,
    rulebook: Rulebook,
    tls: Vec<TlsServer>,
    stop: CancellationToken,
) {
    let reloads = async {
        while hangup.recv().await.is_some() {
            manager.reloading().await;
            drop(rulebook.reload().await);
            for tls in &tls {
                tls.reload().await;
            }
            manager.ready().await;
        }
    };
    stop.run_until_cancelled(reloads).await;
}

/// Runs the daemon until SIGTERM or SIGINT; SIGHUP has it read its rules file and its certificates again. A second signal
/// ends it at once, which loses nothing either: what was acknowledged is on disk.
///
/// # Errors
/// When it cannot start, or a part of it ends that should not: then a service manager starts it anew.
pub async fn serve(config: Config, inherited: InheritedSockets) -> Result<(), DaemonError> {
    let fail = |error| DaemonError::System { what: "listen for signals", error };
    let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fail)?;
    let hangup = signal(SignalKind::hangup()).map_err(fail)?;
    let mut daemon = Daemon::start(config, inherited).await?;
    let manager = ServiceManager::from_environment();
    manager.ready().await;
    daemon.others.spawn(manager.clone().keep_told(daemon.vitals.clone(), daemon.stop_the_rest.clone()));
    let stop = daemon.stop_receiving.clone();
    let reloads = reload_on(hangup, manager.clone(), daemon.rulebook.clone(), daemon.tls.clone(), stop);
    daemon.others.spawn(reloads);
    let mut asked_to_stop = async || {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    let failure = tokio::select! {
        signal = asked_to_stop() => {
            tracing::info!(signal, "stopping: requests and deliveries that have begun are finished");
            None
        }
        failure = daemon.failure() => {
            tracing::error!(error = %failure, "stopping");
            Some(failure)
        }
    };
    // A reload that is under way is left where it is, before the service manager hears that the daemon stops.
    daemon.stop_receiving.cancel();
    manager.stopping().await;
    tokio::select! {
        () = daemon.stop() => tracing::info!("stopped"),
        signal = asked_to_stop() => tracing::warn!(signal, "stopped at once; deliveries that had begun come again"),
    }
    failure.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_ends_ends_the_daemon() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("secret"), "whsec_cm9sZWNhbGwtc2lnbmF0dXJlLXRlc3Qta2V5LTAwMDE=").unwrap();
        let config = format!(
            "listen: {{address: '127.0.0.1:0'}}\nadmin: {{socket: {0}/admin.sock}}\nstore: {{path: {0}/store.db}}\n\
             sources: {{scalekit: {{type: scalekit, secrets: [{{file: {0}/secret}}]}}}}\n\
             sinks: {{app: {{type: sqlite, path: {0}/app.db}}}}\n",
            directory.path().display()
        );
        std::fs::write(path("rolecall.yaml"), config).unwrap();
        let config = Config::load_with(&path("rolecall.yaml"), []).unwrap();
        let mut daemon = Daemon::start(config, InheritedSockets::none()).await.unwrap();
        daemon.committer.abort();
        assert_eq!(daemon.failure().await.to_string().split(" ended").next(), Some("the committer"));
        daemon.stop().await;
    }
}
