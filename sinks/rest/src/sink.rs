//! The sink: takes a batch apart, and puts its outcomes together.

use async_trait::async_trait;
use futures_util::StreamExt as _;
use rolecall_sink_api::{
    Change, ConfigError, EntityKind, Findings, ObservedStream, Outcome, Sink, SinkDown, SinkName,
};
use rolecall_sink_http::{Application, Batch, GroupIds, Settings};

use crate::config::Config;
use crate::lookup::{Lookup, pointer};
use crate::operation::{Kind, Operations};
use crate::signature::Signer;

/// The most requests that may be configured to be under way at once.
const MOST_CONCURRENT: usize = 64;

/// A REST application, kept in step by one HTTP request per operation.
///
/// What is sent when is decided in `plan`; every request carries an `Idempotency-Key` that is the same for
/// every attempt. The application cannot be read back, so there is no `observe`.
pub struct RestSink {
    pub(crate) application: Application,
    pub(crate) signer: Signer,
    pub(crate) operations: Operations,
    pub(crate) lookup: Lookup,
    /// Where the answer to a create has the application's id.
    pub(crate) id: Option<String>,
    pub(crate) group_ids: GroupIds,
    probe: Option<String>,
    concurrency: usize,
}

impl RestSink {
    /// A sink for the application that `config` describes. Nothing is connected to yet.
    ///
    /// # Errors
    /// When a value cannot be used, a secret or certificate cannot be read, or a template is wrong.
    pub fn new(name: impl Into<String>, config: Config) -> Result<Self, ConfigError> {
        if !(1..=MOST_CONCURRENT).contains(&config.concurrency) {
            return Err(ConfigError::new("concurrency", format!("must be from 1 to {MOST_CONCURRENT}")));
        }
        if config.probe.as_ref().is_some_and(|path| !path.starts_with('/')) {
            return Err(ConfigError::new("probe", "is appended to base_url, so it must start with /"));
        }
        let id = config.id.as_deref().map(|text| pointer(text, "id")).transpose()?;
        let operations = Operations::compile(&config.operations)?;
        let lookup = Lookup::compile(&config.lookup)?;
        for (kind, operation) in operations.iter() {
            if operation.needs_remote && id.is_none() && lookup.of(kind.entity()).is_none() {
                return Err(ConfigError::new(
                    format!("operations.{kind}"),
                    "names remote, the application's own id: say where to find it with id or lookup",
                ));
            }
            if operation.needs_group_remote && lookup.of(EntityKind::Group).is_none() {
                return Err(ConfigError::new(
                    format!("operations.{kind}"),
                    "names group.remote, the application's own id of the group: say how to find it with lookup.group",
                ));
            }
        }
        let settings = Settings {
            base_url: config.base_url,
            auth: config.auth,
            headers: config.headers,
            timeout: config.timeout,
            max_response_bytes: config.max_response_bytes,
            tls: config.tls,
            proxy: config.proxy,
        };
        Ok(Self {
            application: Application::new(SinkName::new(name), &settings)?.paced(config.requests_per_second),
            signer: Signer::read(&config.sign_with)?,
            operations,
            lookup,
            id,
            group_ids: GroupIds::default(),
            probe: config.probe,
            concurrency: config.concurrency,
        })
    }
}

#[async_trait]
impl Sink for RestSink {
    async fn apply(&self, changes: &[Change]) -> Result<Vec<Outcome>, SinkDown> {
        let batch = Batch::default();
        let mut outcomes = Vec::with_capacity(changes.len());
        // The batch's order is leavers, groups, users, groups that go: each of them side by side, and the next
        // when the one before is done.
        for run in changes.chunk_by(|a, b| a.entity.kind() == b.entity.kind()) {
            let all: Vec<_> = run.iter().map(|change| self.settle(change, &batch)).collect();
            let settled: Vec<_> = futures_util::stream::iter(all).buffered(self.concurrency).collect().await;
            outcomes.extend(settled);
        }
        batch.finish(outcomes)
    }

    async fn probe(&self) -> Result<(), SinkDown> {
        self.application.probe(self.probe.as_deref()).await
    }

    async fn check(&self) -> Result<Findings, SinkDown> {
        self.probe().await?;
        let mut lines = vec![format!("{} answers", self.application.name())];
        if !self.application.is_encrypted() {
            lines.push("it is not encrypted: credentials and people's data can be read on the way".into());
        }
        let told: Vec<&str> = self.operations.iter().map(|(kind, _)| kind.as_str()).collect();
        lines.push(format!("it is told {}", told.join(", ")));
        if !self.operations.has(Kind::UserDelete) {
            lines.push("there is no user_delete: users who go are deactivated".into());
        }
        Ok(lines.into())
    }

    fn reads_target(&self) -> bool {
        false
    }

    fn observe(&self) -> Option<ObservedStream<'_>> {
        None
    }
}
