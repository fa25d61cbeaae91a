//! Queues and dead letters: listed, tried again, given up.

use minijinja::context;
use serde::Serialize;

use super::{Answer, PAGE, back, done, value};
use crate::admin::api::{PageToken, QueueQuery, Selection};
use crate::console::api::{Api, Refused};
use crate::console::reply::Shown;
use crate::console::visit::{Fields, Visit, link};
use crate::store::QueueState;

/// How many of those that would be dropped are named.
const NAMED: u32 = 20;

/// Which items, as a query or a form says it.
#[derive(Serialize)]
struct Filter {
    sink: Option<String>,
    id: Option<String>,
    state: Option<QueueState>,
}

impl Filter {
    fn of(fields: &Fields) -> Self {
        let state = match fields.get("state") {
            Some("dead") => Some(QueueState::Dead),
            Some("waiting") => Some(QueueState::Waiting),
            _ => None,
        };
        Self { sink: fields.owned("sink"), id: fields.owned("id"), state }
    }

    fn query(&self, limit: u32, after: Option<PageToken>) -> QueueQuery {
        QueueQuery {
            sink: self.sink.clone(),
            id: self.id.clone(),
            state: self.state,
            limit: Some(limit),
            after,
        }
    }

    fn selection(self) -> Selection {
        let all = self.sink.is_none() && self.id.is_none() && self.state.is_none();
        Selection { sink: self.sink, id: self.id, state: self.state, all }
    }

    fn link(&self, path: &str, after: Option<&str>) -> String {
        let state = self.state.map(|state| match state {
            QueueState::Dead => "dead",
            QueueState::Waiting => "waiting",
        });
        let fields =
            [("state", state), ("sink", self.sink.as_deref()), ("id", self.id.as_deref()), ("after", after)];
        link(path, &fields)
    }
}

pub(super) async fn list(api: &Api<'_>, visit: &Visit) -> Result<Answer, Refused> {
    let filter = Filter::of(&visit.query);
    let after = visit.query.get("after").map(PageToken::received);
    let is_first = after.is_none();
    let page = api.queue(&filter.query(PAGE, after)).await?;
    let status = api.status().await?;
    let title = match filter.state {
        Some(QueueState::Dead) => "Dead letters",
        Some(QueueState::Waiting) => "What waits",
        None => "Queue",
    };
    let context = context! {
        now => value(page.now),
        names => value(status.sinks.keys().collect::<Vec<_>>()),
        items => value(&page.items),
        next => page.next.as_ref().map(|next| filter.link("/console/queue", Some(next.as_str()))),
        first => (!is_first).then(|| filter.link("/console/queue", None)),
        drop_all => filter.link("/console/queue/drop", None),
        filter => value(&filter),
    };
    Ok(Shown::new("queue.html", "queue", title, context).refreshing().into())
}

pub(super) async fn confirm_drop(api: &Api<'_>, visit: &Visit) -> Result<Answer, Refused> {
    let filter = Filter::of(&visit.query);
    let page = api.queue(&filter.query(NAMED, None)).await?;
    let (n, more) = (page.items.len(), page.next.is_some());
    let total = match (n, more) {
        (0, _) => "nothing".to_owned(),
        (1, false) => "1 item".to_owned(),
        (n, false) => format!("{n} items"),
        (n, true) => format!("more than {n} items"),
    };
    let context = context! {
        now => value(page.now),
        total,
        more,
        items => value(&page.items),
        back => filter.link("/console/queue", None),
        filter => value(&filter),
    };
    Ok(Shown::new("drop.html", "queue", "Drop", context).into())
}

pub(super) async fn retry(api: &Api<'_>, form: Fields) -> Result<Answer, Refused> {
    let changed = api.retry(&Filter::of(&form).selection()).await?;
    Ok(done(&back(&form, "/console/queue?state=dead"), "retried", changed.items))
}

pub(super) async fn drop_items(api: &Api<'_>, form: Fields) -> Result<Answer, Refused> {
    let filter = Filter::of(&form);
    let page =
        Filter { sink: filter.sink.clone(), id: None, state: filter.state }.link("/console/queue", None);
    let changed = api.drop_items(&filter.selection()).await?;
    Ok(done(&page, "dropped", changed.items))
}
