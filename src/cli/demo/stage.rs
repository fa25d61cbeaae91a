//! Everything that takes part, and the few things that can be done with it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use rolecall_sink_api::Secret;
use tokio::time::Instant;
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::application::{Application, Exchange};
use super::event::{Event, Journal};
use super::files::Files;
use super::ldif::{self, Record};
use super::sender::{Answer, Sender};
use super::show::{self, Narrator};
use super::tables::Tables;
use crate::admin::AdminClient;
use crate::admin::api::DaemonStatus;
use crate::cli::Failure;
use crate::config::Config;
use crate::daemon::Daemon;
use crate::deliver::Breaker;
use crate::receive::InheritedSockets;
use crate::receive::signature::SigningKey;

/// The sinks, as the configuration names them.
pub(super) const SINKS: [&str; 3] = ["tables", "ldap", "app"];
/// What does not happen within this time does not happen.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often the daemon is asked whether it happened.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// The daemon, the application, the sender, and the narrator who tells of them.
pub(super) struct Stage {
    pub(super) files: Files,
    pub(super) narrator: Narrator,
    pub(super) journal: Journal,
    pub(super) application: Application,
    pub(super) admin: AdminClient,
    daemon: Daemon,
    sender: Sender,
    shown: Shown,
}

/// What was shown of each store already.
#[derive(Default)]
struct Shown {
    tables: Tables,
    records: usize,
    requests: usize,
}

impl Stage {
    /// Writes the files and starts everything.
    pub(super) async fn set(
        files: Files,
        narrator: Narrator,
        inherited: InheritedSockets,
    ) -> Result<Self, Failure> {
        let (secret, token) = files.write_secrets()?;
        let application = Application::start(token).await?;
        files.write_configuration(&application.url())?;
        // Without the environment: what is set for a real daemon would make the demo write where that one
        // does.
        let config = Config::load_with(&files.configuration(), [])
            .map_err(|errors| anyhow!("the demo's own configuration is wrong\n\n{errors}"))?;
        log_to(&files, &config)?;
        let admin = AdminClient::new(files.socket());
        let daemon = Daemon::start(config, inherited).await.context("the daemon does not start")?;
        files.write_address(daemon.local_addr())?;
        let sender = Sender::new(daemon.local_addr(), SigningKey::new(&secret).context("the secret made")?);
        let journal = Journal::of_yesterday(Timestamp::now());
        let shown = Shown::default();
        Ok(Self { files, narrator, journal, application, admin, daemon, sender, shown })
    }

    /// Where webhooks go.
    pub(super) fn webhooks(&self) -> String {
        format!("http://{}/webhooks/scalekit", self.daemon.local_addr())
    }

    /// Sends an event and shows the answer.
    pub(super) async fn send(&self, event: &Event) -> Result<Answer, Failure> {
        let answer = self.sender.send(event).await?;
        self.narrator.sent(event, &event.about, &answer)?;
        Ok(answer)
    }

    /// Sends an event as somebody who does not know the secret.
    pub(super) async fn forge(&self, event: &Event) -> Result<(), Failure> {
        let guessed = Secret::new("whsec_Z3Vlc3NlZCwgYW5kIG5vdCBrbm93bg==");
        let forger = self.sender.with_key(SigningKey::new(&guessed).context("the forger's secret")?);
        let answer = forger.send(event).await?;
        self.narrator.sent(event, "the same, signed with a guessed secret", &answer)
    }

    /// Sends many events and shows one line for all of them.
    pub(super) async fn send_all(&self, events: &[Event], about: &str) -> Result<(), Failure> {
        let mut answers = Vec::new();
        for event in events {
            answers.push(self.sender.send(event).await?);
        }
        let (Some(event), Some(first)) = (events.first(), answers.first()) else { return Ok(()) };
        if let Some(other) = answers.iter().find(|answer| *answer != first) {
            return Err(anyhow!("one of {} events was answered {other:?}", events.len()).into());
        }
        let status = format!("{} ×{}", first.status, answers.len());
        self.narrator.sent(event, about, &Answer { code: first.code, status })
    }

    /// What the daemon says of itself.
    pub(super) async fn status(&self) -> Result<DaemonStatus, Failure> {
        Ok(self.admin.status().await?)
    }

    /// Waits until nothing waits for these sinks any more.
    pub(super) async fn settled(&self, sinks: &[&str]) -> Result<(), Failure> {
        self.until(&format!("nothing waits for {}", sinks.join(", ")), |status| {
            let waiting = status
                .sinks
                .iter()
                .filter(|(name, _)| sinks.contains(&name.as_str()))
                .map(|(_, s)| s.waiting);
            status.store.stale_users == 0 && waiting.sum::<u64>() == 0
        })
        .await
    }

    /// Waits until the application counts as down.
    pub(super) async fn application_is_down(&self) -> Result<(), Failure> {
        self.until("the breaker of app is open", |status| {
            status.sinks.iter().any(|(name, sink)| {
                let breaker = sink.delivery.as_ref().map(|delivery| &delivery.breaker);
                name.as_str() == "app" && matches!(breaker, Some(Breaker::Open { .. }))
            })
        })
        .await
    }

    async fn until(&self, what: &str, happened: impl Fn(&DaemonStatus) -> bool) -> Result<(), Failure> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let status = self.status().await?;
            if happened(&status) {
                return Ok(());
            }
            if Instant::now() > give_up {
                let log = self.files.log();
                let (seconds, log) = (PATIENCE.as_secs(), log.display());
                return Err(
                    anyhow!("not within {seconds} s: {what}; {log} says why: {:?}", status.sinks).into()
                );
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// Shows what changed in each store since the last time.
    pub(super) fn changes(&mut self) -> Result<(), Failure> {
        let tables = self.tables()?;
        let records = self.records()?;
        let requests = self.application.state().requests;
        let ldap = ldif::lines(&records[self.shown.records..]);
        self.narrator.say("")?;
        self.narrator.store("tables", &tables.changes_since(&self.shown.tables))?;
        self.narrator.store("ldap", &ldap)?;
        self.narrator.store("app", &show::requests(&requests[self.shown.requests..]))?;
        self.shown = Shown { tables, records: records.len(), requests: requests.len() };
        Ok(())
    }

    pub(super) fn tables(&self) -> anyhow::Result<Tables> {
        Tables::read(&self.files.tables())
    }

    /// The LDIF file as it is.
    pub(super) fn ldif(&self) -> anyhow::Result<String> {
        let path = self.files.ldif();
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    pub(super) fn records(&self) -> anyhow::Result<Vec<Record>> {
        ldif::records(&self.ldif()?)
    }

    pub(super) fn requests(&self) -> Vec<Exchange> {
        self.application.state().requests
    }

    /// Ends daemon and application; the files stay.
    pub(super) async fn strike(self) -> (Files, Narrator) {
        self.daemon.stop().await;
        (self.files, self.narrator)
    }
}

/// Sends what the daemon logs to a file, so that it does not run through the narrative.
fn log_to(files: &Files, config: &Config) -> anyhow::Result<()> {
    let targets = config.log.targets().context("the demo's own configuration is wrong")?;
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Arc::new(files.open_log()?));
    // Only tests have a subscriber already; their log goes elsewhere.
    let _ = tracing_subscriber::registry().with(layer.with_filter(targets)).try_init();
    Ok(())
}
