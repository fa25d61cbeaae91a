//! Somebody: who they are, what they may do and why, and how it came to each store.

use http::StatusCode;
use minijinja::{Value, context};
use rolecall_sink_api::{Profile, RoleName};
use serde::Serialize;

use super::sinks::Down;
use super::{Answer, PAGE, status, timeline, value};
use crate::admin::api::{Explanation, PageToken, SinkExplanation, UsersQuery};
use crate::console::api::{Api, Refused};
use crate::console::reply::Shown;
use crate::console::visit::{Visit, link};
use crate::store::{AppliedView, QueueItem, QueueState, Status, UserItem};

/// Somebody in a list.
#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    name: &'a str,
    email: Option<&'a str>,
    status: &'a Status,
    organization: Option<&'a str>,
    roles: Vec<&'a str>,
}

impl<'a> From<&'a UserItem> for Listed<'a> {
    fn from(user: &'a UserItem) -> Self {
        Self {
            id: user.id.as_str(),
            name: user.user_name.as_deref().unwrap_or(user.id.as_str()),
            email: user.email.as_deref(),
            status: &user.status,
            organization: user.organization.as_ref().map(|id| id.as_str()),
            roles: user.roles.iter().map(RoleName::as_str).collect(),
        }
    }
}

impl<'a> From<&'a Explanation> for Listed<'a> {
    fn from(user: &'a Explanation) -> Self {
        Self {
            id: user.id.as_str(),
            name: shown_name(user),
            email: user.profile.as_ref().and_then(|profile| profile.email.as_deref()),
            status: &user.status,
            organization: user.organization.as_ref().map(|id| id.as_str()),
            roles: user.roles.iter().map(|role| role.role.as_str()).collect(),
        }
    }
}

/// Users as a list shows them.
pub(super) fn members(users: &[UserItem]) -> Value {
    value(users.iter().map(Listed::from).collect::<Vec<_>>())
}

/// How a user or a group stands in one sink.
#[derive(Serialize)]
pub(super) struct Standing<'a> {
    name: &'a str,
    says: &'static str,
    look: &'static str,
    sign: &'static str,
    word: &'static str,
    queued: Option<&'a QueueItem>,
    applied: Option<&'a AppliedView>,
    down: Option<Down<'a>>,
}

/// Everybody, or those who are looked for. Whoever alone goes by a name is shown at once.
pub(super) async fn find(api: &Api<'_>, visit: &Visit) -> Result<Answer, Refused> {
    let name = visit.query.get("name").map(str::trim).filter(|name| !name.is_empty());
    let (role, of_status) = (visit.query.get("role"), visit.query.get("status"));
    let after = visit.query.get("after").map(PageToken::received);
    let is_first = after.is_none();
    if let Some(name) = name.filter(|_| role.is_none() && of_status.is_none() && is_first) {
        let found = api.explain(name).await?;
        match found.users.as_slice() {
            [] => {}
            [user] => {
                return Ok(Answer::SeeOther(link("/console/user", &[("id", Some(user.id.as_str()))])));
            }
            users => return Ok(several(name, value(found.now), users)),
        }
    }
    let query = UsersQuery {
        search: name.map(str::to_owned),
        status: status(&visit.query)?,
        role: role.map(RoleName::new),
        limit: Some(PAGE),
        after,
    };
    let page = api.users(&query).await?;
    let to = |after| {
        let fields = [("name", name), ("role", role), ("status", of_status), ("after", after)];
        link("/console/users", &fields)
    };
    let context = context! {
        now => value(page.now),
        name => name.unwrap_or_default(),
        role => role.unwrap_or_default(),
        status => of_status.unwrap_or_default(),
        exact => (),
        users => members(&page.items),
        next => page.next.as_ref().map(|next| to(Some(next.as_str()))),
        first => (!is_first).then(|| to(None)),
    };
    Ok(Shown::new("users.html", "users", "Users", context).into())
}

/// Those who go by one name.
fn several(name: &str, now: Value, users: &[Explanation]) -> Answer {
    let context = context! {
        now,
        name,
        role => "",
        status => "",
        exact => format!("{} users go by “{name}”", users.len()),
        users => value(users.iter().map(Listed::from).collect::<Vec<_>>()),
        next => (),
        first => (),
    };
    Shown::new("users.html", "users", "Users", context).into()
}

pub(super) async fn user(api: &Api<'_>, visit: &Visit) -> Result<Answer, Refused> {
    let id = visit.query.need("id")?;
    let found = api.explain(id).await?;
    let user = found
        .users
        .iter()
        .find(|user| user.id.as_str() == id)
        .ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, format!("there is no user {id:?}")))?;
    let evaluated: Vec<&RoleName> = user.roles.iter().map(|role| &role.role).collect();
    let sinks = user.sinks.iter().map(|(name, sink)| standing(user.generation, name.as_str(), sink));
    let context = context! {
        now => value(found.now),
        name => shown_name(user),
        rules_file => found.rules_file.as_str(),
        unevaluated => !evaluated.into_iter().eq(&user.evaluated_roles),
        profile => value(user.profile.as_ref().map(profile).unwrap_or_default()),
        sinks => value(sinks.collect::<Vec<_>>()),
        timeline => value(timeline::timeline(user)),
        user => value(user),
    };
    Ok(Shown::new("user.html", "users", shown_name(user), context).refreshing().into())
}

fn shown_name(user: &Explanation) -> &str {
    let profile = user.profile.as_ref();
    let names = profile.map(|p| [&p.display_name, &p.user_name, &p.email]);
    names.into_iter().flatten().flatten().next().map_or(user.id.as_str(), String::as_str)
}

/// The attributes that somebody has, each with what it is called.
fn profile(profile: &Profile) -> Vec<(String, String)> {
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(profile) else { return Vec::new() };
    let mut lines = Vec::new();
    // Those that tell people apart stand first.
    let first = ["display_name", "user_name", "email", "title", "department"];
    let rank = |name: &str| first.iter().position(|one| *one == name).unwrap_or(first.len());
    let mut fields: Vec<_> = fields.into_iter().collect();
    fields.sort_by_key(|(name, _)| rank(name));
    for (name, value) in fields {
        match value {
            serde_json::Value::Object(parts) => {
                lines.extend(parts.into_iter().map(|(part, value)| (readable(&part), plain_value(value))));
            }
            value => lines.push((readable(&name), plain_value(value))),
        }
    }
    lines.retain(|(_, value)| !value.is_empty());
    lines
}

fn readable(name: &str) -> String {
    let mut words = name.replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

fn plain_value(value: serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text,
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// `generation` is the newest of theirs.
pub(super) fn standing<'a>(generation: u64, name: &'a str, sink: &'a SinkExplanation) -> Standing<'a> {
    let (queued, applied) = (sink.view.queued.as_ref(), sink.view.applied.as_ref());
    let (says, look, sign, word) = match (queued, applied) {
        (Some(QueueItem { state: QueueState::Dead, .. }), _) => ("dead letter", "bad", "✕", "dead"),
        (Some(QueueItem { state: QueueState::Held, .. }), _) => {
            ("held: too many would be removed at once", "bad", "‖", "held")
        }
        (Some(_), _) => ("waiting", "", "…", "waiting"),
        (None, _) if sink.out_of_scope => ("not given: out of its scope", "", "–", "out"),
        (None, Some(applied)) if applied.generation >= generation => ("up to date", "good", "✓", "done"),
        (None, Some(_)) => ("behind: dropped from the queue", "warn", "◐", "behind"),
        (None, None) => ("never confirmed, and nothing waits", "", "–", "never"),
    };
    let down = queued.and_then(|_| Down::of(sink.breaker.as_ref()));
    Standing { name, says, look, sign, word, queued, applied, down }
}
