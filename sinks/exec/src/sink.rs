//! The sink: one plugin, started when it is needed, and again when it ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rolecall_sink_api::{
    Change, ConfigError, Findings, ObservedStream, Outcome, Sink, SinkDown, SinkName, Timespan, printable,
};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;

use crate::config::Config;
use crate::protocol::{Hello, Item};
use crate::session::{Broken, Observing, Session, Trouble};

/// The longest reason that is taken over from a plugin, in characters.
const MAX_REASON: usize = 2000;
/// How long a plugin is left alone after it failed for the second time in a row; twice as long each time after that.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest that it is left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A program as a sink; see the crate's documentation.
pub struct ExecSink {
    name: SinkName,
    config: Config,
    /// Whoever talks to the plugin holds this.
    plugin: Arc<Mutex<Plugin>>,
    /// What the plugin said when it was last started.
    said: Said,
}

/// What matters of a plugin's abilities while it may not run. Before it ever did, as if it had none.
#[derive(Default)]
struct Said {
    reads_target: AtomicBool,
    cannot_observe: AtomicBool,
}

/// The process, and how it fared.
#[derive(Default)]
struct Plugin {
    session: Option<Session>,
    /// How often it failed since it last did what it was asked to.
    failures: u32,
    /// Not started again before.
    pause_until: Option<Instant>,
}

impl Plugin {
    fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        let doubled = self.failures.checked_sub(2).map(|times| 1_u32.checked_shl(times).unwrap_or(u32::MAX));
        let pause = doubled.map(|factor| FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE));
        self.pause_until = pause.map(|pause| Instant::now() + pause);
    }

    fn did_well(&mut self) {
        self.failures = 0;
        self.pause_until = None;
    }
}

impl ExecSink {
    /// A sink of the given name. The program is started when it is first needed.
    ///
    /// # Errors
    /// When the configuration cannot be used: no such program, a secret that cannot be read, an unknown user.
    pub fn new(name: &SinkName, config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self { name: name.clone(), config, plugin: Arc::default(), said: Said::default() })
    }

    /// Starts the plugin, if it does not run, and returns who it says it is.
    ///
    /// # Errors
    /// [`SinkDown`] with what it did instead.
    pub async fn hello(&self) -> Result<Hello, SinkDown> {
        let mut plugin = self.lock().await?;
        let session = self.session(&mut plugin).await?;
        let hello = session.hello().clone();
        plugin.session = Some(session);
        Ok(hello)
    }

    /// What the target holds, as the plugin says it; some users and groups at a time.
    pub fn items(&self) -> BoxStream<'_, Result<Vec<Item>, SinkDown>> {
        stream::try_unfold(Reading::NotBegun, move |reading| self.read_on(reading)).boxed()
    }

    async fn read_on(&self, reading: Reading) -> Result<Option<(Vec<Item>, Reading)>, SinkDown> {
        let (mut plugin, mut session, mut under_way) = match reading {
            Reading::UnderWay { plugin, session, under_way } => (plugin, session, under_way),
            Reading::NotBegun => {
                let mut plugin = self.lock().await?;
                let mut session = Box::new(self.session(&mut plugin).await?);
                if !session.hello().can.observe {
                    plugin.session = Some(*session);
                    return Err(self.down("cannot say what its target holds (hello: `observe` is not true)"));
                }
                match session.observe(&self.config).await {
                    Ok(under_way) => (plugin, session, Box::new(under_way)),
                    Err(trouble) => return Err(self.settle(&mut plugin, *session, trouble).await),
                }
            }
        };
        match session.observed(&mut under_way).await {
            Ok(Some(items)) => Ok(Some((items, Reading::UnderWay { plugin, session, under_way }))),
            Ok(None) => {
                plugin.did_well();
                plugin.session = Some(*session);
                Ok(None)
            }
            Err(trouble) => Err(self.settle(&mut plugin, *session, trouble).await),
        }
    }

    /// Waits for whoever talks to the plugin now. `observe` may take long; nobody waits longer than for an answer.
    async fn lock(&self) -> Result<OwnedMutexGuard<Plugin>, SinkDown> {
        let lock = Arc::clone(&self.plugin).lock_owned();
        tokio::time::timeout(self.config.timeout.get(), lock)
            .await
            .map_err(|_| self.down("is still busy with an `observe`"))
    }

    /// The running plugin, which is the caller's until it is put back. One that is dropped instead is killed: nobody
    /// knows what it would answer next.
    async fn session(&self, plugin: &mut Plugin) -> Result<Session, SinkDown> {
        if let Some(session) = plugin.session.take() {
            if !session.has_ended() {
                return Ok(session);
            }
            let broken = Broken { what: "ended between two requests".into(), closed: true };
            let broken = session.end(broken).await;
            plugin.failed();
            tracing::warn!(sink = %self.name, "the plugin {}; it is started again", broken.what);
        }
        if let Some(until) = plugin.pause_until {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                let times = plugin.failures;
                let wait = Timespan::from_millis(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
                let what = format!("failed {times} times in a row and is started again in {wait}");
                return Err(SinkDown { after: Some(left), ..self.down(&what) });
            }
        }
        match Session::start(&self.config, &self.name).await {
            Ok(session) => {
                tracing::debug!(sink = %self.name, plugin = %session.hello(), "the plugin was started");
                let can = &session.hello().can;
                self.said.reads_target.store(can.reads_target, Ordering::Relaxed);
                self.said.cannot_observe.store(!can.observe, Ordering::Relaxed);
                Ok(session)
            }
            Err(Trouble::Down(down)) => Err(self.told(down)),
            Err(Trouble::Broken(broken)) => {
                plugin.failed();
                Err(self.down(&broken.what))
            }
        }
    }

    /// Keeps the session, or ends it, as the trouble asks for.
    async fn settle(&self, plugin: &mut Plugin, session: Session, trouble: Trouble) -> SinkDown {
        match trouble {
            Trouble::Down(down) => {
                plugin.session = Some(session);
                self.told(down)
            }
            Trouble::Broken(broken) => {
                let broken = session.end(broken).await;
                plugin.failed();
                self.down(&broken.what)
            }
        }
    }

    fn down(&self, what: &str) -> SinkDown {
        let program = self.config.command.first().map_or("", String::as_str);
        SinkDown::new(format!("the plugin {program} {what}"))
    }

    /// What the plugin says of its target.
    fn told(&self, down: SinkDown) -> SinkDown {
        let reason = match printable(down.reason.trim(), MAX_REASON) {
            reason if reason.is_empty() => "is down, and gives no reason".into(),
            reason => format!("is down: {reason}"),
        };
        SinkDown { after: down.after, ..self.down(&reason) }
    }
}

/// How far an `observe` is.
enum Reading {
    NotBegun,
    UnderWay { plugin: OwnedMutexGuard<Plugin>, session: Box<Session>, under_way: Box<Observing> },
}

#[async_trait]
impl Sink for ExecSink {
    async fn apply(&self, changes: &[Change]) -> Result<Vec<Outcome>, SinkDown> {
        let mut plugin = self.lock().await?;
        let mut session = self.session(&mut plugin).await?;
        match session.apply(&self.config, changes).await {
            Ok(outcomes) => {
                plugin.did_well();
                plugin.session = Some(session);
                Ok(outcomes)
            }
            Err(trouble) => Err(self.settle(&mut plugin, session, trouble).await),
        }
    }

    async fn probe(&self) -> Result<(), SinkDown> {
        let mut plugin = self.lock().await?;
        let mut session = self.session(&mut plugin).await?;
        match session.probe(&self.config).await {
            Ok(()) => {
                plugin.session = Some(session);
                Ok(())
            }
            Err(trouble) => Err(self.settle(&mut plugin, session, trouble).await),
        }
    }

    async fn check(&self) -> Result<Findings, SinkDown> {
        let hello = self.hello().await?;
        let probed = self.probe().await;
        self.close().await;
        probed?;
        let can = &hello.can;
        let yes_or_no = |yes: bool| if yes { "yes" } else { "no" };
        Ok(vec![
            format!("{hello}, protocol {}", hello.protocol),
            format!(
                "observes its target: {}, reads it before it writes: {}",
                yes_or_no(can.observe),
                yes_or_no(can.reads_target)
            ),
        ]
        .into())
    }

    fn reads_target(&self) -> bool {
        self.said.reads_target.load(Ordering::Relaxed)
    }

    fn observe(&self) -> Option<ObservedStream<'_>> {
        if self.said.cannot_observe.load(Ordering::Relaxed) {
            return None;
        }
        let items = self.items().map_ok(|items| stream::iter(items).map(|item| Ok(item.observed)));
        Some(items.try_flatten().boxed())
    }

    async fn close(&self) {
        // Whoever holds it is cut off when the daemon ends, and the plugin with them.
        let Ok(mut plugin) = self.lock().await else { return };
        if let Some(session) = plugin.session.take() {
            session.stop(self.config.stop_timeout.get()).await;
        }
    }
}
