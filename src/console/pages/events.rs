//! The journal: what came, and what became of it.

use minijinja::context;

use super::{Answer, PAGE, done, value};
use crate::admin::api::{EventBody, EventQuery, EventsQuery, PageToken, ReplayRequest, UnreadableEvents};
use crate::console::api::{Api, Refused};
use crate::console::reply::Shown;
use crate::console::visit::{Fields, Visit, link};
use crate::store::EventStatus;

/// How many unreadable messages are read again for one click; it takes a few at a time.
const MOST_REPLAYED: u64 = 500;

pub(super) async fn list(api: &Api<'_>, visit: &Visit) -> Result<Answer, Refused> {
    let unreadable = visit.query.get("status") == Some("unreadable");
    let after = visit.query.get("after").map(PageToken::received);
    let is_first = after.is_none();
    let status = unreadable.then_some(EventStatus::Unreadable);
    let query = EventsQuery { status, limit: Some(PAGE), after, ..EventsQuery::default() };
    let page = api.events(&query).await?;
    let to =
        |after| link("/console/events", &[("status", unreadable.then_some("unreadable")), ("after", after)]);
    let context = context! {
        now => value(page.now),
        unreadable,
        events => value(&page.items),
        next => page.next.as_ref().map(|next| to(Some(next.as_str()))),
        first => (!is_first).then(|| to(None)),
    };
    let title = if unreadable { "Unreadable messages" } else { "Events" };
    Ok(Shown::new("events.html", "events", title, context).refreshing().into())
}

pub(super) async fn event(api: &Api<'_>, visit: &Visit) -> Result<Answer, Refused> {
    let query = EventQuery { id: visit.query.need("id")?.to_owned(), source: visit.query.owned("source") };
    let event = api.event(&query).await?;
    let (body, base64, laid_out) = match &event.body {
        EventBody::Base64(body) => (body.clone(), true, false),
        EventBody::Text(text) => match laid_out(text) {
            Some(pretty) => (pretty, false, true),
            None => (text.clone(), false, false),
        },
    };
    let context = context! { now => value(event.now), body, base64, laid_out, event => value(&event) };
    Ok(Shown::new("event.html", "events", format!("Event {}", event.id), context).into())
}

/// JSON with a line for each value.
fn laid_out(text: &str) -> Option<String> {
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    serde_json::to_string_pretty(&json).ok()
}

pub(super) async fn replay(api: &Api<'_>, form: Fields) -> Result<Answer, Refused> {
    if let Some(id) = form.owned("id") {
        let query = EventQuery { id, source: form.owned("source") };
        let page =
            link("/console/event", &[("id", Some(query.id.as_str())), ("source", query.source.as_deref())]);
        let replayed = api.replay(&ReplayRequest::Event(query)).await?;
        let is_readable = replayed
            .events
            .iter()
            .any(|event| !matches!(event.replayed, crate::receive::Replayed::Unreadable { .. }));
        // One that was read may have another id from then on.
        let page = if is_readable { "/console/events".to_owned() } else { page };
        return Ok(done(&page, "read", replayed.events.len() as u64));
    }
    let (mut read, mut next) = (0, UnreadableEvents::default());
    loop {
        let page = api.replay(&ReplayRequest::Unreadable(next.clone())).await?;
        read += page.events.len() as u64;
        next.after = page.next;
        if next.after.is_none() || read >= MOST_REPLAYED {
            break;
        }
    }
    Ok(done("/console/events?status=unreadable", "read", read))
}
