//! What each path shows, and what each form does.

mod events;
mod groups;
mod holds;
pub(super) mod login;
mod overview;
mod plan;
mod problems;
mod queue;
mod rules;
mod sinks;
mod timeline;
mod users;

use http::StatusCode;
use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

use super::api::{Api, Refused};
use super::reply::Shown;
use super::session::{SessionId, Sessions};
use super::visit::{Fields, Visit};
use crate::store::{Decision, Status};

/// How many lines a page of a listing has.
const PAGE: u32 = 50;

/// What comes of a request that may be answered.
pub(super) enum Answer {
    /// This page.
    Page(Shown),
    /// Go on there.
    SeeOther(String),
    /// Go on there in this session.
    SignedIn(SessionId, String),
}

impl From<Shown> for Answer {
    fn from(shown: Shown) -> Self {
        Answer::Page(shown)
    }
}

/// The page at a path.
pub(super) async fn show(api: &Api<'_>, visit: &Visit) -> Result<Answer, Refused> {
    match visit.path.as_str() {
        "" => overview::overview(api).await,
        "sink" => sinks::sink(api, visit).await,
        "sink/pause" => sinks::confirm_pause(api, visit).await,
        "queue" => queue::list(api, visit).await,
        "queue/drop" => queue::confirm_drop(api, visit).await,
        "holds" => holds::list(api, visit).await,
        "hold" => holds::hold(api, visit).await,
        "hold/approve" => holds::confirm(api, visit, Decision::Approved).await,
        "hold/reject" => holds::confirm(api, visit, Decision::Rejected).await,
        "groups" => groups::list(api, visit).await,
        "group" => groups::group(api, visit).await,
        "users" => users::find(api, visit).await,
        "user" => users::user(api, visit).await,
        "events" => events::list(api, visit).await,
        "event" => events::event(api, visit).await,
        "rules" => rules::rules(api).await,
        "rules/version" => rules::version(api, visit).await,
        "rules/plan" => plan::ask(api).await,
        "login" => Ok(Answer::SeeOther(super::ROOT.into())),
        _ => Err(missing()),
    }
}

/// What a form does.
pub(super) async fn act(
    api: &Api<'_>,
    sessions: &Sessions,
    visit: &Visit,
    form: Fields,
) -> Result<Answer, Refused> {
    match visit.path.as_str() {
        "logout" => Ok(login::sign_out(sessions, visit)),
        "sink/pause" => sinks::pause(api, form).await,
        "sink/resume" => sinks::resume(api, form).await,
        "sink/probe" => sinks::probe(api, form).await,
        "queue/retry" => queue::retry(api, form).await,
        "queue/drop" => queue::drop_items(api, form).await,
        "hold/approve" => holds::decide(api, form, Decision::Approved).await,
        "hold/reject" => holds::decide(api, form, Decision::Rejected).await,
        "events/replay" => events::replay(api, form).await,
        "rules/reload" => rules::reload(api).await,
        "rules/plan" => plan::plan(api, sessions, visit, form).await,
        "rules/apply" => plan::apply(api, sessions, visit, form).await,
        _ => Err(missing()),
    }
}

/// Whether the form at a path may be as large as a rules file.
pub(super) fn brings_rules(path: &str) -> bool {
    matches!(path, "rules/plan" | "rules/apply")
}

fn missing() -> Refused {
    Refused::new(StatusCode::NOT_FOUND, "there is no such page")
}

/// A value for a template.
fn value(of: impl Serialize) -> Value {
    Value::from(Serde(&of))
}

/// The status that a query asks for.
fn status(query: &Fields) -> Result<Option<Status>, Refused> {
    match query.get("status") {
        None => Ok(None),
        Some("active") => Ok(Some(Status::Active)),
        Some("inactive") => Ok(Some(Status::Inactive)),
        Some("absent") => Ok(Some(Status::Absent)),
        Some(other) => Err(Refused::new(StatusCode::BAD_REQUEST, format!("status: there is no {other:?}"))),
    }
}

/// Where a form was sent from, when it says so: a page of the console, and nowhere else.
fn back(form: &Fields, otherwise: &str) -> String {
    let page = form.get("back").filter(|page| super::is_ours(page));
    // Without what an earlier form left there.
    let page = page.unwrap_or(otherwise);
    let (path, query) = page.split_once('?').unwrap_or((page, ""));
    let mut kept = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "done") {
        kept.append_pair(&name, &value);
    }
    let kept = kept.finish();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{kept}") }
}

/// A page that says what was done.
fn done(page: &str, what: &str, n: u64) -> Answer {
    let sign = if page.contains('?') { '&' } else { '?' };
    Answer::SeeOther(format!("{page}{sign}done={what}-{n}"))
}
