//! What runs: looks every few seconds, remembers what was told, and sends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use rolecall_sink_api::ConfigError;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_retry::strategy::{ExponentialBackoff, jitter};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::ledger::{Alert, Ledger, News, Notice, Policy};
use super::message::Message;
use super::observe::{Observer, Picture};
use super::outbox::{Allowance, Outbox};
use super::webhook::{Tried, Webhook};
use crate::config::{AlertWebhook, AlertsConfig};
use crate::deliver::Deliveries;
use crate::receive::{Acknowledgements, Answer};
use crate::rulebook::Rulebook;
use crate::store::{Backups, Store};
use crate::tls::TlsServer;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(5);
/// How long the store may take to say how it is.
const STORE_WITHIN: Duration = Duration::from_secs(5);
/// The longest wait before a message that did not arrive is sent again.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 60);
/// Under which name the store keeps what was told.
const MEMORY: &str = "alerts";

/// What is looked at.
#[derive(Clone)]
pub struct Observed {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The delivery workers.
    pub deliveries: Deliveries,
    /// The rules.
    pub rulebook: Rulebook,
    /// The certificates that are served.
    pub tls: Vec<TlsServer>,
    /// The webhooks that were answered.
    pub received: Arc<Acknowledgements>,
    /// Backups that are made by themselves, where any are.
    pub backups: Option<Backups>,
}

/// The alerts there are, and whoever is told of them. Cheap to clone.
#[derive(Clone)]
pub struct Alerts(Arc<Shared>);

struct Shared {
    observed: Observed,
    config: AlertsConfig,
    policy: Policy,
    clock: fn() -> Timestamp,
    host: String,
    ledger: Mutex<Ledger>,
    posts: Vec<Post>,
}

/// A webhook, and what it is to be told.
struct Post {
    webhook: Webhook,
    outbox: Mutex<Outbox>,
    news: Notify,
    failure: Mutex<Option<String>>,
}

/// What outlives a restart, so that nobody is told twice.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Memory {
    alerts: Ledger,
    untold: BTreeMap<String, Vec<Notice>>,
}

impl Alerts {
    /// Reads the webhooks' secrets. Paths are relative to the `alerts` section.
    ///
    /// # Errors
    /// When a secret, an address or a certificate cannot be used.
    pub fn new(
        config: AlertsConfig,
        observed: Observed,
        clock: fn() -> Timestamp,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let post = |(name, webhook): (&String, &AlertWebhook)| {
            Ok(Post {
                webhook: Webhook::new(name, webhook)?,
                outbox: Mutex::default(),
                news: Notify::new(),
                failure: Mutex::default(),
            })
        };
        let posts = config.webhooks.iter().map(post).collect::<Result<_, ConfigError>>()?;
        let policy = Policy::new(&config);
        let ledger = Mutex::default();
        Ok(Self(Arc::new(Shared { observed, config, policy, clock, host: host_name(), ledger, posts })))
    }

    /// The alerts there are now, the oldest first.
    pub fn list(&self) -> Vec<Alert> {
        let mut alerts = self.0.ledger().alerts().to_vec();
        alerts.sort_by_key(|alert| alert.since);
        alerts
    }

    /// Each webhook, with why the last message did not arrive, if it did not.
    pub fn webhooks(&self) -> Vec<(String, Option<String>)> {
        let posts = self.0.posts.iter();
        posts.map(|post| (post.webhook.name.clone(), locked(&post.failure).clone())).collect()
    }

    /// Sends every webhook a message that only shows that it arrives, and says what became of it.
    pub async fn test(&self) -> Vec<(String, Tried)> {
        let now = (self.0.clock)();
        let tests = self.0.posts.iter().map(async |Post { webhook, .. }| {
            let message = Message::test(&self.0.host, now, webhook.format);
            (webhook.name.clone(), webhook.send(&message, now).await)
        });
        join_all(tests).await
    }

    /// Looks and tells until `stop` is cancelled. A message that is under way then is given the time that it has anyway.
    pub async fn run(self, stop: CancellationToken) {
        let shared = &self.0;
        shared.recall().await;
        let telling = shared.posts.iter().map(|post| shared.tell(post, &stop));
        tokio::join!(stop.run_until_cancelled(shared.watch()), join_all(telling));
        // What is not known to have arrived is sent again after the start.
        shared.remember().await;
    }
}

impl Shared {
    /// Takes up what was told before the restart.
    async fn recall(&self) {
        let memory = match self.observed.store.remembered(MEMORY).await {
            Ok(text) => text.and_then(|text| serde_json::from_str::<Memory>(&text).ok()).unwrap_or_default(),
            Err(error) => {
                warn!(%error, "what was told of alerts before the restart is not known: it may be told again");
                Memory::default()
            }
        };
        *self.ledger() = memory.alerts;
        for post in &self.posts {
            if let Some(untold) = memory.untold.get(&post.webhook.name) {
                *locked(&post.outbox) = Outbox::of(untold.clone());
                post.news.notify_one();
            }
        }
    }

    async fn remember(&self) {
        let untold = |post: &Post| (post.webhook.name.clone(), locked(&post.outbox).untold());
        let memory =
            Memory { alerts: self.ledger().clone(), untold: self.posts.iter().map(untold).collect() };
        // It has no maps but those with names as keys.
        let Ok(text) = serde_json::to_string(&memory) else { return };
        let written = timeout(STORE_WITHIN, self.observed.store.remember(MEMORY, &text)).await;
        if !matches!(written, Ok(Ok(()))) {
            debug!("what was told of alerts could not be noted; after a restart it may be told again");
        }
    }

    /// Looks again and again.
    async fn watch(&self) {
        let mut looks = interval(EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut observer = Observer::default();
        let mut known = 0;
        loop {
            looks.tick().await;
            let picture = self.picture().await;
            let mut conditions = observer.conditions(&picture);
            conditions.hold.retain(|subject, _| !self.config.mute.contains(&subject.kind));
            let (notices, mark) = {
                let mut ledger = self.ledger();
                let notices = ledger.step(conditions, &self.policy, picture.now);
                (notices, ledger.mark())
            };
            let is_new = !notices.is_empty() || mark != known;
            self.hand_out(notices);
            if is_new {
                self.remember().await;
                known = mark;
            }
        }
    }

    async fn picture(&self) -> Picture {
        let Observed { store, deliveries, rulebook, tls, received, backups } = &self.observed;
        let (overview, space) =
            tokio::join!(timeout(STORE_WITHIN, store.overview()), timeout(STORE_WITHIN, store.space()));
        Picture {
            now: (self.clock)(),
            store: match overview {
                Ok(Ok(view)) => Ok(view),
                Ok(Err(_)) => Err("the store cannot be read".into()),
                Err(_) => Err("the store does not answer".into()),
            },
            space: space.ok().and_then(Result::ok),
            deliveries: deliveries.status(),
            rejected: rulebook.rejected(),
            tls: tls.iter().map(|tls| (tls.listener(), tls.status())).collect(),
            backup: backups.as_ref().map(Backups::status),
            turned_away: received.of(Answer::Unavailable),
        }
    }

    fn hand_out(&self, notices: Vec<Notice>) {
        for notice in &notices {
            let (kind, sink) = (&notice.subject.kind, notice.subject.sink.as_ref().map(|sink| sink.as_str()));
            let text = &notice.text;
            match notice.news {
                News::Began => info!(?kind, sink, "an alert began: {text}"),
                News::GoesOn => info!(?kind, sink, "an alert goes on: {text}"),
                News::Ended => info!(?kind, sink, "an alert is over: {text}"),
            }
        }
        if notices.is_empty() {
            return;
        }
        for post in &self.posts {
            let mut outbox = locked(&post.outbox);
            notices.iter().cloned().for_each(|notice| outbox.add(notice));
            post.news.notify_one();
        }
    }

    /// Tells one webhook whatever there is to tell, as often as it may be told.
    async fn tell(&self, post: &Post, stop: &CancellationToken) {
        let mut allowance = Allowance::full((self.clock)());
        let mut waits = waits();
        let mut pause = Duration::ZERO;
        while stop.run_until_cancelled(self.something_to_tell(post, &mut allowance, pause)).await.is_some() {
            pause = Duration::ZERO;
            let notices = locked(&post.outbox).send();
            let message = Message::of(&notices, &self.host, post.webhook.format);
            match post.webhook.send(&message, (self.clock)()).await {
                Tried::Sent(_) => {
                    locked(&post.outbox).arrived();
                    *locked(&post.failure) = None;
                    waits = self::waits();
                }
                Tried::Failed(why) => {
                    locked(&post.outbox).failed();
                    pause = jitter(waits.next().unwrap_or(LONGEST_WAIT));
                    warn!(
                        webhook = post.webhook.name,
                        wait = ?pause,
                        "an alert could not be sent, and is sent again: {why}"
                    );
                    *locked(&post.failure) = Some(why);
                }
            }
        }
    }

    /// Waits for so long, and then until there is something to tell that may be told.
    async fn something_to_tell(&self, post: &Post, allowance: &mut Allowance, pause: Duration) {
        sleep(pause).await;
        while locked(&post.outbox).is_empty() {
            post.news.notified().await;
        }
        while let Err(wait) = allowance.take((self.clock)()) {
            sleep(wait.unsigned_abs()).await;
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        locked(&self.ledger)
    }
}

fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The longest waits after each failure in a row: from two seconds on, doubled.
fn waits() -> impl Iterator<Item = Duration> {
    ExponentialBackoff::from_millis(2).factor(1000).max_delay(LONGEST_WAIT)
}

/// What this host calls itself.
fn host_name() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}
