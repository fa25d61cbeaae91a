//! One sink: how it is, and pausing, resuming and probing it.

use http::StatusCode;
use jiff::Timestamp;
use minijinja::context;
use rolecall_sink_api::SinkName;
use serde::Serialize;

use super::{Answer, back, done, value};
use crate::admin::api::{QueueQuery, SinkStatus};
use crate::console::api::{Api, Refused};
use crate::console::reply::Shown;
use crate::console::visit::{Fields, Visit, link};
use crate::deliver::{Breaker, Probed};
use crate::metrics::Recent;
use crate::store::{Pause, QueueState};

/// How many items of a queue stand on the page of its sink.
const FIRST: u32 = 10;

/// A sink as pages show it.
#[derive(Serialize)]
pub(super) struct SinkCard<'a> {
    name: &'a str,
    state: &'static str,
    #[serde(flatten)]
    status: &'a SinkStatus,
    oldest: Option<Timestamp>,
    /// Whether the longest waiting of all is a user who lost access.
    oldest_is_leaver: bool,
    held_since: Option<Timestamp>,
    last_applied: Option<Timestamp>,
    applied: u64,
    recent: Recent,
    retried: u64,
    dead: u64,
    in_flight: u64,
    down: Option<Down<'a>>,
    paused: Option<&'a Pause>,
}

/// Why and since when a sink is down.
#[derive(Serialize)]
pub(super) struct Down<'a> {
    since: Timestamp,
    reason: &'a str,
    next_probe: Timestamp,
}

impl<'a> Down<'a> {
    pub(super) fn of(breaker: Option<&'a Breaker>) -> Option<Self> {
        match breaker? {
            Breaker::Open { since, reason, next_probe } => {
                Some(Self { since: *since, reason, next_probe: *next_probe })
            }
            Breaker::Closed => None,
        }
    }
}

impl<'a> SinkCard<'a> {
    pub(super) fn new(name: &'a SinkName, status: &'a SinkStatus) -> Self {
        let delivery = status.delivery.as_ref();
        let down = Down::of(delivery.map(|delivery| &delivery.breaker));
        let paused = delivery.and_then(|delivery| delivery.paused.as_ref());
        let state = match (delivery, paused, &down) {
            (None, ..) => "stopped",
            (Some(_), Some(_), _) => "paused",
            (Some(_), None, Some(_)) => "down",
            (Some(_), None, None) => "up",
        };
        let count = |of: fn(&crate::deliver::DeliveryStatus) -> u64| delivery.map_or(0, of);
        Self {
            name: name.as_str(),
            state,
            status,
            oldest: status.oldest,
            oldest_is_leaver: status.oldest.is_some() && status.oldest == status.oldest_leaver,
            held_since: status.held_since,
            last_applied: delivery.and_then(|delivery| delivery.last_applied),
            applied: count(|delivery| delivery.applied),
            recent: delivery.map(|delivery| delivery.recent).unwrap_or_default(),
            retried: count(|delivery| delivery.retried),
            dead: count(|delivery| delivery.dead),
            in_flight: count(|delivery| delivery.in_flight),
            down,
            paused,
        }
    }
}

fn missing(name: &str) -> Refused {
    Refused::new(StatusCode::NOT_FOUND, format!("no sink is named {name:?}; the overview lists them"))
}

pub(super) async fn sink(api: &Api<'_>, visit: &Visit) -> Result<Answer, Refused> {
    let name = visit.query.need("name")?;
    let status = api.status().await?;
    let (name, sink) = status.sinks.get_key_value(name).ok_or_else(|| missing(name))?;
    let items = async |state| {
        let query = QueueQuery {
            sink: Some(name.to_string()),
            state: Some(state),
            limit: Some(FIRST),
            ..QueueQuery::default()
        };
        api.queue(&query).await.map(|page| value(page.items))
    };
    let context = context! {
        now => value(status.now),
        sink => value(SinkCard::new(name, sink)),
        dead => items(QueueState::Dead).await?,
        waiting => items(QueueState::Waiting).await?,
    };
    Ok(Shown::new("sink.html", "overview", format!("Sink {name}"), context).refreshing().into())
}

/// Asks before a pause, and why.
pub(super) async fn confirm_pause(api: &Api<'_>, visit: &Visit) -> Result<Answer, Refused> {
    let name = visit.query.need("name")?;
    let status = api.status().await?;
    let (name, sink) = status.sinks.get_key_value(name).ok_or_else(|| missing(name))?;
    let context = context! { now => value(status.now), sink => value(SinkCard::new(name, sink)) };
    Ok(Shown::new("pause.html", "overview", format!("Pause {name}"), context).into())
}

pub(super) async fn pause(api: &Api<'_>, form: Fields) -> Result<Answer, Refused> {
    let name = form.need("sink")?;
    api.pause_sink(name, form.owned("reason")).await?;
    Ok(done(&page(name), "paused", 1))
}

pub(super) async fn resume(api: &Api<'_>, form: Fields) -> Result<Answer, Refused> {
    let name = form.need("sink")?;
    api.resume_sink(name).await?;
    Ok(done(&back(&form, &page(name)), "resumed", 1))
}

/// Asks a sink. What it says is shown at once: to ask again does no harm.
pub(super) async fn probe(api: &Api<'_>, form: Fields) -> Result<Answer, Refused> {
    let name = form.need("sink")?;
    let probed = api.probe_sink(name).await?;
    let back = back(&form, &page(name));
    let (up, milliseconds, reason) = match &probed {
        Probed::Up { milliseconds } => (true, *milliseconds, ""),
        Probed::Down { reason } => (false, 0, reason.as_str()),
    };
    let context = context! { name, up, milliseconds, reason, back };
    Ok(Shown::new("probed.html", "overview", format!("Sink {name}"), context).into())
}

fn page(name: &str) -> String {
    link("/console/sink", &[("name", Some(name))])
}
