//! What is held until a person decides: listed, with who is in it, and decided after a question.

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use minijinja::{Value, context};
use serde::Serialize;

use super::{Answer, PAGE, done, value};
use crate::admin::api::{HoldDetail, HoldQuery, HoldsQuery, PageToken};
use crate::console::api::{Api, Refused};
use crate::console::reply::Shown;
use crate::console::visit::{Fields, Visit, link};
use crate::store::{Decision, HeldItem, Hold, HoldId, Loss, QueueState};
use crate::text;

/// How many of those who are in a hold are named beside the question.
const NAMED: u32 = 20;

/// A hold as pages show it.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    hold: &'a Hold,
    state: &'static str,
    /// `1 h`
    within: String,
}

impl<'a> From<&'a Hold> for Listed<'a> {
    fn from(hold: &'a Hold) -> Self {
        let state = match (&hold.decided, hold.closed_at) {
            (Some(decided), _) => decided.decision.as_str(),
            (None, Some(_)) => "over",
            (None, None) => "held",
        };
        let within = SignedDuration::try_from(hold.reached.within).unwrap_or(SignedDuration::MAX);
        Self { hold, state, within: text::length(within) }
    }
}

/// Somebody in a hold.
#[derive(Serialize)]
struct Somebody<'a> {
    id: &'a str,
    name: Option<&'a str>,
    email: Option<&'a str>,
    loses: Option<&'a Loss>,
    since: Timestamp,
    event: Option<&'a str>,
    /// Whether something newer came, and the safeguard has yet to look at it.
    changed: bool,
}

impl<'a> From<&'a HeldItem> for Somebody<'a> {
    fn from(HeldItem { item, name, email, loses }: &'a HeldItem) -> Self {
        Self {
            id: item.entity.id(),
            name: name.as_deref(),
            email: email.as_deref(),
            loses: loses.as_ref(),
            since: item.since,
            event: item.event.as_deref(),
            changed: item.state != QueueState::Held,
        }
    }
}

fn people(items: &[HeldItem]) -> Value {
    value(items.iter().map(Somebody::from).collect::<Vec<_>>())
}

pub(super) async fn list(api: &Api<'_>, visit: &Visit) -> Result<Answer, Refused> {
    let all = visit.query.get("all").is_some();
    let sink = visit.query.owned("sink");
    let after = visit.query.get("after").map(PageToken::received);
    let is_first = after.is_none();
    let page = api.holds(&HoldsQuery { sink: sink.clone(), all, limit: Some(PAGE), after }).await?;
    let to = |all: bool, after| {
        let fields = [("sink", sink.as_deref()), ("all", all.then_some("yes")), ("after", after)];
        link("/console/holds", &fields)
    };
    let context = context! {
        now => value(page.now),
        all,
        other => to(!all, None),
        holds => value(page.items.iter().map(Listed::from).collect::<Vec<_>>()),
        next => page.next.as_ref().map(|next| to(all, Some(next.as_str()))),
        first => (!is_first).then(|| to(all, None)),
        sink => sink.as_deref(),
    };
    Ok(Shown::new("holds.html", "holds", "Holds", context).refreshing().into())
}

fn id(fields: &Fields) -> Result<HoldId, Refused> {
    let id = fields.number("id")?;
    id.map(HoldId).ok_or_else(|| Refused::new(StatusCode::BAD_REQUEST, "say which hold: its id is missing"))
}

pub(super) async fn hold(api: &Api<'_>, visit: &Visit) -> Result<Answer, Refused> {
    let id = id(&visit.query)?;
    let after = visit.query.get("after").map(PageToken::received);
    let is_first = after.is_none();
    let detail = api.hold(&HoldQuery { id, limit: Some(PAGE), after }).await?;
    let HoldDetail { now, hold, items, next } = &detail;
    let number = id.to_string();
    let to = |after| link("/console/hold", &[("id", Some(number.as_str())), ("after", after)]);
    let context = context! {
        now => value(now),
        hold => value(Listed::from(hold)),
        people => people(items),
        next => next.as_ref().map(|next| to(Some(next.as_str()))),
        first => (!is_first).then(|| to(None)),
    };
    Ok(Shown::new("hold.html", "holds", format!("Hold {id} of {}", hold.sink), context).refreshing().into())
}

/// Asks before a decision. What is asked about is what `changes` were in the hold when it was asked.
pub(super) async fn confirm(api: &Api<'_>, visit: &Visit, decision: Decision) -> Result<Answer, Refused> {
    let id = id(&visit.query)?;
    let detail = api.hold(&HoldQuery { id, limit: Some(NAMED), after: None }).await?;
    let HoldDetail { now, hold, items, next } = &detail;
    let context = context! {
        now => value(now),
        decision => value(decision),
        hold => value(Listed::from(hold)),
        people => people(items),
        more => next.is_some().then(|| hold.changes.saturating_sub(u64::from(NAMED))),
    };
    let title = match decision {
        Decision::Approved => "Approve",
        Decision::Rejected => "Reject",
    };
    Ok(Shown::new("decide.html", "holds", format!("{title} hold {id}"), context).into())
}

pub(super) async fn decide(api: &Api<'_>, form: Fields, decision: Decision) -> Result<Answer, Refused> {
    let id = id(&form)?;
    let seen = form.number("changes")?.unwrap_or(0);
    let hold = api.hold(&HoldQuery { id, limit: Some(1), after: None }).await?.hold;
    if hold.changes > seen && hold.is_open() {
        let more = text::count(hold.changes - seen, "change", "changes");
        return Err(Refused::new(
            StatusCode::CONFLICT,
            format!("{more} came into hold {id} since you were asked, so nothing was done; look at it again"),
        ));
    }
    let decided = match decision {
        Decision::Approved => api.approve_hold(id).await?,
        Decision::Rejected => api.reject_hold(id).await?,
    };
    Ok(done(&format!("/console/hold?id={id}"), decision.as_str(), decided.changes))
}
