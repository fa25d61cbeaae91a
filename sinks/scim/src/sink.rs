//! The sink: takes a batch apart, and puts its outcomes together.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use rolecall_sink_api::{
    Change, ConfigError, Entity, Findings, ObservedStream, Outcome, Sink, SinkDown, SinkName,
};
use rolecall_sink_http::{Application, Batch, GroupIds, Halt, Settings, Settled};
use tokio::sync::{RwLock, Semaphore};

use crate::config::{Bulk, Config, Leavers, OnExisting};
use crate::mapping::Mapping;
use crate::service::Service;
use crate::uri;
use crate::work::Work;
use crate::writer::Writer;

/// The most requests that may be configured to be under way at once.
const MOST_CONCURRENT: usize = 64;

/// An application that speaks SCIM 2.0.
///
/// Before it writes, it reads the resource, and writes only what differs. Who is in which group is the exception:
/// few applications tell the groups of a user, so that is known from what was confirmed and attempted.
pub struct ScimSink {
    pub(crate) application: Application,
    pub(crate) mapping: Mapping,
    pub(crate) users_on_existing: OnExisting,
    pub(crate) groups_on_existing: OnExisting,
    pub(crate) leavers: Leavers,
    pub(crate) group_ids: GroupIds,
    /// What bounds the reading; writing is bounded by the [`Writer`].
    pub(crate) reading: Semaphore,
    bulk: Bulk,
    concurrency: usize,
    /// What the application said of itself when it was last probed.
    service: RwLock<Option<Arc<Service>>>,
}

impl ScimSink {
    /// A sink for the application that `config` describes. Nothing is connected to yet.
    ///
    /// # Errors
    /// When a value cannot be used, a secret or certificate cannot be read, or a template is wrong.
    pub fn new(name: impl Into<String>, config: Config) -> Result<Self, ConfigError> {
        if !(1..=MOST_CONCURRENT).contains(&config.concurrency) {
            return Err(ConfigError::new("concurrency", format!("must be from 1 to {MOST_CONCURRENT}")));
        }
        let mapping = Mapping::compile(&config)?;
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
            application: Application::new(SinkName::new(name), &settings)?,
            mapping,
            users_on_existing: config.users.on_existing,
            groups_on_existing: config.groups.map(|groups| groups.on_existing).unwrap_or_default(),
            leavers: config.leavers,
            group_ids: GroupIds::default(),
            reading: Semaphore::new(config.concurrency),
            bulk: config.bulk,
            concurrency: config.concurrency,
            service: RwLock::new(None),
        })
    }

    /// What the application said of itself.
    pub(crate) async fn service(&self) -> Result<Arc<Service>, SinkDown> {
        if let Some(service) = &*self.service.read().await {
            return Ok(Arc::clone(service));
        }
        let mut known = self.service.write().await;
        let service = Arc::new(Service::read(&self.application).await?);
        *known = Some(Arc::clone(&service));
        Ok(service)
    }

    /// The outcomes of changes that may be settled side by side; `None` for one that was not settled because
    /// nothing more was to be sent.
    async fn settle(&self, changes: &[Change], service: &Service, batch: &Batch) -> Vec<Settled> {
        // Without PATCH a group is written as a whole, which two must not do at once.
        let concurrency = if service.patch { self.concurrency } else { 1 };
        let bulk = service.bulk.as_ref().filter(|_| service.patch && self.bulk == Bulk::Offered);
        let writer = Writer::new(&self.application, batch, bulk, concurrency, changes.len(), service.patch);
        let width = if writer.gathers() { changes.len() } else { concurrency };
        let one = async |change: &Change| {
            let work = Work { sink: self, service, batch, writer: &writer, entity: &change.entity };
            let settled = match &change.entity {
                Entity::User(id) => work.user(change, id).await,
                Entity::Group(id) => work.group(change, id).await,
            };
            writer.settled();
            match settled {
                Ok(outcome) | Err(Halt::Settled(outcome)) => Ok(outcome),
                // It is found by what only rolecall writes there.
                Err(Halt::Closed) => Err(None),
            }
        };
        let all: Vec<_> = changes.iter().map(one).collect();
        let mut settled = std::pin::pin!(futures_util::stream::iter(all).buffered(width).collect());
        loop {
            tokio::select! {
                biased;
                outcomes = &mut settled => return outcomes,
                () = writer.all_wait() => writer.flush().await,
            }
        }
    }
}

#[async_trait]
impl Sink for ScimSink {
    async fn apply(&self, changes: &[Change]) -> Result<Vec<Outcome>, SinkDown> {
        let service = self.service().await?;
        let batch = Batch::default();
        let mut outcomes = Vec::with_capacity(changes.len());
        // The batch's order is leavers, groups, users, groups that go: each of them side by side, and the next
        // when the one before is done.
        for run in changes.chunk_by(|a, b| a.entity.kind() == b.entity.kind() && is_leaver(a) == is_leaver(b))
        {
            outcomes.extend(self.settle(run, &service, &batch).await);
        }
        batch.finish(outcomes)
    }

    async fn probe(&self) -> Result<(), SinkDown> {
        self.application.refresh_credential().map_err(|e| self.application.down(&e.to_string()))?;
        // An application that was away may have come back as another version.
        let service = Arc::new(Service::read(&self.application).await?);
        let path = uri::query(&service.users.endpoint, &[("count", "1")]);
        *self.service.write().await = Some(service);
        self.application.probe(Some(&path)).await
    }

    async fn check(&self) -> Result<Findings, SinkDown> {
        self.probe().await?;
        Ok(self.report(&*self.service().await?).into())
    }

    fn reads_target(&self) -> bool {
        false
    }

    fn observe(&self) -> Option<ObservedStream<'_>> {
        Some(self.observed())
    }
}

fn is_leaver(change: &Change) -> bool {
    matches!(change.entity, Entity::User(_)) && change.desired_user().is_none_or(|user| !user.active)
}
