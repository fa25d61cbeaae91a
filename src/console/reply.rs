//! Answers as they go out, with what the browser is told to refuse.

use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY,
    SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use minijinja::{Value, context};
use warp::reply::Response;

use super::api::Refused;
use super::render::Templates;
use super::visit::Visit;

/// Nothing from elsewhere, no script at all, no other page around this one.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";
const HTML: &str = "text/html; charset=utf-8";

/// A page to show.
pub(super) struct Shown {
    status: StatusCode,
    template: &'static str,
    title: String,
    /// Which part of the navigation it belongs to.
    section: &'static str,
    /// Whether it is worth renewing by itself.
    refreshes: bool,
    context: Value,
}

impl Shown {
    pub(super) fn new(
        template: &'static str,
        section: &'static str,
        title: impl Into<String>,
        context: Value,
    ) -> Self {
        Self { status: StatusCode::OK, template, title: title.into(), section, refreshes: false, context }
    }

    /// The same, with another status.
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same, which may renew itself.
    pub(super) fn refreshing(mut self) -> Self {
        self.refreshes = true;
        self
    }

    /// That something was not done, and why.
    pub(super) fn trouble(refused: &Refused) -> Self {
        let title = match refused.status {
            StatusCode::NOT_FOUND => "Not there",
            StatusCode::FORBIDDEN => "Not done",
            StatusCode::SERVICE_UNAVAILABLE => "Not now",
            _ => "That did not work",
        };
        let context = context! { message => refused.message.as_str() };
        Self::new("trouble.html", "", title, context).with_status(refused.status)
    }
}

/// The page as HTML. `csrf` is what its forms carry.
pub(super) fn page(templates: &Templates, visit: Option<&Visit>, csrf: &str, shown: Shown) -> Response {
    let known = visit.and_then(|visit| visit.visitor.who.as_ref().map(|who| (&visit.visitor, who)));
    let visitor = known.map(|(visitor, who)| {
        context! {
            name => who.to_string(),
            may_change => visitor.may_change(),
            can_sign_out => visitor.can_sign_out(),
        }
    });
    let here = visit.map(|visit| visit.target.replace("&refresh=10", "").replace("?refresh=10", ""));
    let base = context! {
        title => shown.title,
        section => shown.section,
        version => env!("CARGO_PKG_VERSION"),
        visitor,
        csrf,
        here,
        refreshes => shown.refreshes,
        refresh => (shown.refreshes && visit.is_some_and(|visit| visit.query.get("refresh") == Some("10"))).then_some(10),
        notice => visit.and_then(notice),
    };
    match templates.page(shown.template, context! { ..shown.context, ..base }) {
        Ok(html) => reply(shown.status, HTML, html),
        Err(error) => {
            tracing::error!(
                page = shown.template,
                error = format!("{error:#}"),
                "a page of the console cannot be shown: a bug"
            );
            reply(
                StatusCode::INTERNAL_SERVER_ERROR,
                HTML,
                "This page cannot be shown: a bug, of which the log tells more.".into(),
            )
        }
    }
}

/// What was done by the form before, in words of ours: a link could say anything.
fn notice(visit: &Visit) -> Option<String> {
    let (what, n) = visit.query.get("done")?.split_once('-')?;
    let n: u64 = n.parse().ok()?;
    let items = if n == 1 { "1 item".to_owned() } else { format!("{n} items") };
    let is = if n == 1 { "is" } else { "are" };
    Some(match what {
        "retried" if n == 0 => "Nothing matched: it was tried or dropped meanwhile.".into(),
        "retried" => format!("{items} {is} due now."),
        "dropped" => format!("{items} {is} dropped."),
        "approved" if n == 1 => "Approved: 1 change is handed to the sink now.".into(),
        "approved" => format!("Approved: {n} changes are handed to the sink now."),
        "rejected" if n == 1 => "Rejected: 1 change is dropped, and the sink stays as it is.".into(),
        "rejected" => format!("Rejected: {n} changes are dropped, and the sink stays as it is."),
        "paused" => "It is paused: nothing is delivered to it until somebody resumes it.".into(),
        "resumed" => "It is resumed: what waited is delivered now.".into(),
        "read" => format!(
            "{} read again; what could not be read is still listed.",
            if n == 1 { "1 message was".into() } else { format!("{n} messages were") }
        ),
        "rules" => format!("Version {n} of the rules is in force."),
        _ => return None,
    })
}

/// Another page, to be asked for by `GET`.
pub(super) fn see_other(to: &str) -> Response {
    let mut response = reply(StatusCode::SEE_OTHER, HTML, String::new());
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

pub(super) fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// What pages fetch.
pub(super) fn file(path: &str) -> Option<Response> {
    let (content_type, content) = match path {
        "style.css" => ("text/css; charset=utf-8", include_str!("style.css")),
        "icon.svg" => ("image/svg+xml", include_str!("icon.svg")),
        _ => return None,
    };
    let mut response = reply(StatusCode::OK, content_type, content.into());
    // Its address names the version.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600"));
    Some(response)
}

fn reply(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = [
        (CONTENT_TYPE, content_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Without an origin in them, forms would be refused.
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
