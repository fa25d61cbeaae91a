//! How it goes: all of it on one page, and each sink on one of its own.

use http::StatusCode;
use minijinja::context;
use rolecall_sink_api::SinkName;
use serde::Serialize;

use super::rules::origin_text;
use super::{Answer, value};
use crate::admin::api::{DaemonStatus, HoldsQuery, QueueQuery, SinkStatus};
use crate::console::api::{Api, Refused};
use crate::console::reply::Shown;
use crate::console::visit::{Visit, link};
use crate::deliver::Breaker;
use crate::store::{Hold, QueueState};

/// How many items of a queue stand on the page of its sink.
const FIRST: u32 = 10;
/// How many open holds are counted.
const MOST_HOLDS: u32 = 100;

/// Something that somebody should look at.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Problem {
    what: String,
    detail: Option<String>,
    link: Option<String>,
    action: &'static str,
}

/// A sink as pages show it.
#[derive(Serialize)]
struct SinkCard<'a> {
    name: &'a str,
    state: &'static str,
    #[serde(flatten)]
    status: &'a SinkStatus,
    oldest: Option<jiff::Timestamp>,
    last_applied: Option<jiff::Timestamp>,
    applied: u64,
    retried: u64,
    dead: u64,
    in_flight: u64,
    down: Option<Down<'a>>,
}

/// Why and since when a sink is down.
#[derive(Serialize)]
pub(super) struct Down<'a> {
    since: jiff::Timestamp,
    reason: &'a str,
    next_probe: jiff::Timestamp,
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
    fn new(name: &'a SinkName, status: &'a SinkStatus) -> Self {
        let delivery = status.delivery.as_ref();
        let down = Down::of(delivery.map(|delivery| &delivery.breaker));
        let state = match (delivery, &down) {
            (None, _) => "stopped",
            (Some(_), Some(_)) => "down",
            (Some(_), None) => "up",
        };
        let count = |of: fn(&crate::deliver::DeliveryStatus) -> u64| delivery.map_or(0, of);
        Self {
            name: name.as_str(),
            state,
            status,
            oldest: status.oldest,
            last_applied: delivery.and_then(|delivery| delivery.last_applied),
            applied: count(|delivery| delivery.applied),
            retried: count(|delivery| delivery.retried),
            dead: count(|delivery| delivery.dead),
            in_flight: count(|delivery| delivery.in_flight),
            down,
        }
    }
}

pub(super) async fn overview(api: &Api<'_>) -> Result<Answer, Refused> {
    let status = api.status().await?;
    let holds = HoldsQuery { limit: Some(MOST_HOLDS), ..HoldsQuery::default() };
    let holds = api.holds(&holds).await?.items;
    let sinks: Vec<SinkCard<'_>> =
        status.sinks.iter().map(|(name, sink)| SinkCard::new(name, sink)).collect();
    let answers: Vec<_> = status.received.iter().filter(|(_, times)| **times > 0).collect();
    let context = context! {
        now => value(status.now),
        problems => value(problems(&status, &holds)),
        sinks => value(&sinks),
        answers => value(answers),
        origin => status.rules.in_force.as_ref().map(|version| origin_text(version.origin)),
        status => value(&status),
    };
    Ok(Shown::new("overview.html", "overview", "Overview", context).refreshing().into())
}

pub(super) async fn sink(api: &Api<'_>, visit: &Visit) -> Result<Answer, Refused> {
    let name = visit.query.need("name")?;
    let status = api.status().await?;
    let found = status.sinks.get_key_value(name);
    let (name, sink) = found.ok_or_else(|| {
        Refused::new(StatusCode::NOT_FOUND, format!("no sink is named {name:?}; the overview lists them"))
    })?;
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

/// What needs a look, the most urgent first.
fn problems(status: &DaemonStatus, holds: &[Hold]) -> Vec<Problem> {
    let mut problems: Vec<Problem> = held(holds).into_iter().collect();
    if let Some(rejected) = &status.rules.rejected {
        problems.push(Problem {
            what: "New rules were turned down; the old ones stay in force.".into(),
            detail: rejected.error.lines().next().map(str::to_owned),
            link: Some("/console/rules".into()),
            action: "See what is wrong",
        });
    }
    for (name, sink) in &status.sinks {
        let page = link("/console/sink", &[("name", Some(name.as_str()))]);
        let breaker = sink.delivery.as_ref().map(|delivery| &delivery.breaker);
        match breaker {
            None => problems.push(Problem {
                what: format!("{name} is stopped: nothing is delivered to it."),
                detail: None,
                link: Some(page),
                action: "Look at it",
            }),
            Some(Breaker::Open { reason, .. }) => problems.push(Problem {
                what: format!("{name} is down{}.", waiting(sink)),
                detail: Some(reason.clone()),
                link: Some(page),
                action: "Look at it",
            }),
            Some(Breaker::Closed) => {}
        }
        if sink.dead_letters > 0 {
            let letters = crate::text::count(sink.dead_letters, "dead letter", "dead letters");
            problems.push(Problem {
                what: format!("{name} has {letters}."),
                detail: None,
                link: Some(link("/console/queue", &[("state", Some("dead")), ("sink", Some(name.as_str()))])),
                action: "See why",
            });
        }
    }
    if status.store.unreadable_events > 0 {
        let kept = crate::text::count(status.store.unreadable_events, "message", "messages");
        problems.push(Problem {
            what: format!("{kept} could not be read, and what they say is not in the directory."),
            detail: None,
            link: Some(link("/console/events", &[("status", Some("unreadable"))])),
            action: "See why",
        });
    }
    problems
}

/// What waits for a decision.
fn held(holds: &[Hold]) -> Option<Problem> {
    let oldest = holds.last()?;
    let (waits, to) = match holds {
        [hold] => ("1 hold waits".to_owned(), link("/console/hold", &[("id", Some(&hold.id.to_string()))])),
        _ if holds.len() < MOST_HOLDS as usize => {
            (format!("{} holds wait", holds.len()), "/console/holds".to_owned())
        }
        _ => (format!("{MOST_HOLDS} holds or more wait"), "/console/holds".to_owned()),
    };
    let users: u64 = holds.iter().map(|hold| hold.changes).sum();
    let (users, is) = (crate::text::count(users, "user", "users"), if users == 1 { "keeps" } else { "keep" });
    Some(Problem {
        what: format!(
            "{waits} for you: {users} {is} what they have in {} until somebody decides.",
            oldest.sink
        ),
        detail: None,
        link: Some(to),
        action: "Decide",
    })
}

fn waiting(sink: &SinkStatus) -> String {
    match (sink.waiting, sink.leavers) {
        (0, _) => String::new(),
        (waiting, 0) => format!(", and {waiting} wait"),
        (waiting, leavers) => {
            format!(", and {waiting} wait, of them {}", crate::text::count(leavers, "leaver", "leavers"))
        }
    }
}
