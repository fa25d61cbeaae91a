//! The conformance suite on a plugin, which can be looked into by its own `observe` alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use rolecall_sink_api::conformance::{
    Attribute, Capabilities, Held, HeldGroup, HeldUser, Target, TargetError,
};
use rolecall_sink_api::{
    Change, ConfigError, Entity, Observed, ObservedStream, Outcome, RemoteId, Sink, SinkDown, SinkName, User,
};

use crate::config::Config;
use crate::protocol::{Hello, Item};
use crate::sink::ExecSink;

/// The name that the plugin is told.
const NAME: &str = "plugin-test";
/// How many users and groups are deleted at once.
const BATCH: usize = 1000;
/// How often it is tried to empty the target.
const TRIES: usize = 3;

/// A plugin on its way through the suite. Everything in its target is deleted before each case.
pub struct PluginUnderTest {
    config: Config,
    hello: Hello,
    reset: Option<String>,
    large_batch: usize,
    /// The sink that the suite has now: the plugin may not bear a second process beside it.
    current: Mutex<Weak<ExecSink>>,
}

/// Why a plugin cannot be tested.
#[derive(Debug)]
pub enum Untestable {
    /// It cannot be run so.
    Config(ConfigError),
    /// It does not say hello.
    Down(SinkDown),
    /// It cannot observe, so nobody can see what it does.
    CannotObserve(Hello),
}

impl PluginUnderTest {
    /// Starts the plugin once, to learn what it can do. `reset` is a shell command that empties the target; without it,
    /// everything that the plugin observes is deleted through the plugin. `large_batch` is the number of changes in the largest
    /// batch.
    ///
    /// # Errors
    /// When it cannot be tested.
    pub async fn start(
        config: Config,
        reset: Option<String>,
        large_batch: usize,
    ) -> Result<Self, Untestable> {
        let sink = ExecSink::new(&SinkName::new(NAME), config.clone()).map_err(Untestable::Config)?;
        let hello = sink.hello().await.map_err(Untestable::Down)?;
        sink.close().await;
        if !hello.can.observe {
            return Err(Untestable::CannotObserve(hello));
        }
        Ok(Self { config, hello, reset, large_batch, current: Mutex::new(Weak::new()) })
    }

    /// Who the plugin says it is.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// How many users and groups the target holds now.
    ///
    /// # Errors
    /// When the plugin does not say.
    pub async fn holds(&self) -> Result<usize, SinkDown> {
        let (sink, items) = self.items().await?;
        sink.close().await;
        Ok(items.len())
    }

    fn make(&self) -> Result<Arc<ExecSink>, SinkDown> {
        let sink = ExecSink::new(&SinkName::new(NAME), self.config.clone());
        sink.map(Arc::new).map_err(|error| SinkDown::new(error.to_string()))
    }

    /// All that the target holds, by the sink that there is, or by a new one.
    async fn items(&self) -> Result<(Arc<ExecSink>, Vec<Item>), SinkDown> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        let sink = match current {
            Some(sink) => sink,
            None => self.make()?,
        };
        let items: Vec<Vec<Item>> = sink.items().try_collect().await?;
        Ok((sink, items.into_iter().flatten().collect()))
    }

    async fn delete_everything(&self) -> Result<(), TargetError> {
        let sink = self.make()?;
        for _ in 0..TRIES {
            let items: Vec<Vec<Item>> = sink.items().try_collect().await?;
            let changes: Vec<Change> = items.iter().flatten().map(delete).collect::<Result<_, _>>()?;
            if changes.is_empty() {
                break;
            }
            for batch in changes.chunks(BATCH) {
                sink.apply(batch).await?;
            }
        }
        sink.close().await;
        Ok(())
    }

    async fn run_reset(&self, command: &str) -> Result<(), TargetError> {
        let status = tokio::process::Command::new("/bin/sh").args(["-c", command]).status().await;
        let status = status.map_err(|error| format!("the reset command cannot be run: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("the reset command ended with {status}").into()) }
    }
}

/// That an item must go.
fn delete(item: &Item) -> Result<Change, TargetError> {
    let (entity, remote) = match &item.observed {
        Observed::User(user) => (user.id.clone().map(Entity::User), &user.remote),
        Observed::Group(group) => (group.id.clone().map(Entity::Group), &group.remote),
    };
    let entity = entity.ok_or_else(|| nameless(remote))?;
    // As the suite's own: by the clock, and so later than what made it.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let generation = u64::try_from(now.as_micros()).unwrap_or_default();
    Ok(Change {
        idempotency_key: format!("{NAME}/{entity}/{generation}"),
        entity,
        desired: None,
        applied: None,
        attempted: None,
        remote: Some(remote.clone()),
        generation,
        attempt: 1,
    })
}

fn nameless(remote: &RemoteId) -> TargetError {
    format!("observe reports {remote} without an `id`, so the test cannot tell whose it is").into()
}

#[async_trait]
impl Target for PluginUnderTest {
    fn capabilities(&self) -> Capabilities {
        let can = &self.hello.can;
        Capabilities {
            groups: can.groups,
            roles: can.roles,
            inactive: can.inactive,
            attributes: can.profile.clone(),
            large_batch: self.large_batch,
        }
    }

    async fn empty(&self) -> Result<(), TargetError> {
        match &self.reset {
            Some(command) => self.run_reset(command).await?,
            None => self.delete_everything().await?,
        }
        let (sink, items) = self.items().await?;
        sink.close().await;
        let Some(left) = items.first() else { return Ok(()) };
        let (count, left) = (items.len(), delete(left)?.entity);
        let how = if self.reset.is_some() { "the reset command ran" } else { "all of it was to be deleted" };
        Err(format!(
            "it must be empty before each case, but after {how}, observe reports {count}, {left} among them"
        )
        .into())
    }

    async fn sink(&self) -> Result<Box<dyn Sink>, TargetError> {
        let sink = self.make()?;
        // What it can do must be known before the first change: whether to note attempts hangs on it.
        sink.hello().await?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&sink);
        Ok(Box::new(Shared(sink)))
    }

    async fn held(&self) -> Result<Held, TargetError> {
        let (_, items) = self.items().await?;
        held(items)
    }

    fn refused(&self, mut user: User) -> Option<User> {
        match self.hello.can.needs.first()? {
            Attribute::UserName => user.profile.user_name = None,
            Attribute::Email => user.profile.email = None,
            Attribute::DisplayName => user.profile.display_name = None,
        }
        Some(user)
    }
}

/// What was observed, by the source's ids.
fn held(items: Vec<Item>) -> Result<Held, TargetError> {
    let mut held = Held::default();
    let mut by_remote = BTreeMap::new();
    let mut users = Vec::new();
    for item in items {
        match item.observed {
            Observed::User(user) => users.push((user, item.profile)),
            Observed::Group(group) => {
                let id = group.id.ok_or_else(|| nameless(&group.remote))?;
                by_remote.insert(group.remote, id.clone());
                if held.groups.insert(id.clone(), HeldGroup { name: group.name }).is_some() {
                    return Err(format!("observe reports group {id} twice").into());
                }
            }
        }
    }
    for (user, profile) in users {
        let id = user.id.ok_or_else(|| nameless(&user.remote))?;
        let group = |remote: &RemoteId| {
            by_remote.get(remote).cloned().ok_or_else(|| {
                format!("observe reports user {id} in a group {remote}, and no group with that `remote`")
            })
        };
        let profile = profile.map(|profile| *profile).unwrap_or_default();
        let attributes = [
            (Attribute::UserName, profile.user_name),
            (Attribute::Email, profile.email),
            (Attribute::DisplayName, profile.display_name),
        ];
        let found = HeldUser {
            active: user.active,
            groups: user.groups.iter().map(group).collect::<Result<_, _>>()?,
            roles: user.roles,
            attributes: attributes.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        };
        if held.users.insert(id.clone(), found).is_some() {
            return Err(format!("observe reports user {id} twice").into());
        }
    }
    Ok(held)
}

/// The sink, which the target keeps an eye on.
struct Shared(Arc<ExecSink>);

#[async_trait]
impl Sink for Shared {
    async fn apply(&self, changes: &[Change]) -> Result<Vec<Outcome>, SinkDown> {
        self.0.apply(changes).await
    }

    async fn probe(&self) -> Result<(), SinkDown> {
        self.0.probe().await
    }

    fn reads_target(&self) -> bool {
        self.0.reads_target()
    }

    fn observe(&self) -> Option<ObservedStream<'_>> {
        self.0.observe()
    }
}
