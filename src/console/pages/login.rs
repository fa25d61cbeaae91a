//! Signing in, with one of the tokens of the admin API, and out.

use std::time::Instant;

use http::StatusCode;
use minijinja::context;

use super::Answer;
use crate::admin::{Peer, Within};
use crate::console::api::Refused;
use crate::console::reply::Shown;
use crate::console::session::Sessions;
use crate::console::visit::{Fields, Visit, link};
use crate::console::{ROOT, is_ours};

/// The form to sign in with.
pub(in crate::console) fn ask(visit: &Visit) -> Answer {
    form(visit.query.get("next").unwrap_or_default(), None)
}

/// What somebody is shown who has to sign in before anything else.
pub(in crate::console) fn first(visit: &Visit) -> Answer {
    Answer::SeeOther(link("/console/login", &[("next", Some(&visit.target))]))
}

/// Starts a session for whoever has a token.
pub(in crate::console) async fn sign_in(
    api: &Within,
    sessions: &Sessions,
    peer: &Peer,
    fields: &Fields,
) -> Result<Answer, Refused> {
    let Peer::Network { address, .. } = peer else {
        return Err(Refused::new(StatusCode::FORBIDDEN, "there is nothing to sign in to on the socket"));
    };
    let next = fields.get("next").filter(|page| is_ours(page)).unwrap_or(ROOT);
    match api.verify(address.ip(), fields.get("token").unwrap_or_default().trim()).await {
        Some(who) => {
            tracing::info!(%who, peer = %peer, "signed in to the console");
            Ok(Answer::SignedIn(sessions.begin(who, Instant::now()), next.to_owned()))
        }
        None => Ok(form(next, Some("This token is none of those that are let in."))),
    }
}

/// Ends a session.
pub(super) fn sign_out(sessions: &Sessions, visit: &Visit) -> Answer {
    sessions.end(&visit.visitor.id);
    if let Some(who) = &visit.visitor.who {
        tracing::info!(%who, "signed out of the console");
    }
    Answer::SeeOther("/console/login".into())
}

fn form(next: &str, fault: Option<&str>) -> Answer {
    let shown = Shown::new("login.html", "", "Sign in", context! { next, fault });
    if fault.is_some() { shown.with_status(StatusCode::FORBIDDEN).into() } else { shown.into() }
}
