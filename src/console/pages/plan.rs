//! New rules, from what they would change into force. Whoever puts them into force has seen what they change: the plan's page
//! carries a seal of its text, made for this session and for the version that it was compared with.

use std::time::{Duration, Instant};

use http::StatusCode;
use minijinja::context;
use serde::Serialize;

use super::{Answer, done, value};
use crate::admin::api::{PlanRequest, RulesText};
use crate::console::api::{Api, Refused};
use crate::console::reply::Shown;
use crate::console::session::Sessions;
use crate::console::visit::{Fields, Visit};
use crate::rulebook::{Alike, Planned};

/// For how long everybody is looked at before the page shows what is known by then.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many of those who change alike are named.
const NAMED: usize = 12;
/// How many kinds of change are listed.
const MOST_KINDS: usize = 200;
/// What rules are called that were put into the form by hand.
const BY_HAND: &str = "the text";

#[derive(Serialize)]
struct Kind<'a> {
    #[serde(flatten)]
    alike: &'a Alike,
    total: u64,
    more: u64,
}

pub(super) async fn ask(api: &Api<'_>) -> Result<Answer, Refused> {
    let version = api.rules_version(None).await?;
    Ok(form(&version.text, None))
}

fn form(text: &str, fault: Option<&str>) -> Answer {
    let shown = Shown::new("plan.html", "rules", "Plan new rules", context! { text, fault });
    if fault.is_some() { shown.with_status(StatusCode::UNPROCESSABLE_ENTITY).into() } else { shown.into() }
}

pub(super) async fn plan(
    api: &Api<'_>,
    sessions: &Sessions,
    visit: &Visit,
    fields: Fields,
) -> Result<Answer, Refused> {
    let back_to = fields.number("version")?;
    let (name, text) = match back_to {
        Some(number) => {
            let version = api.rules_version(Some(number)).await?;
            (format!("version {number}"), version.text)
        }
        None => handed_over(&fields),
    };
    match planned(api, &name, &text).await {
        Ok((planned, complete)) => {
            let newest = api.rules_history(1).await?;
            let in_force = newest.versions.first().map_or(0, |version| version.number).to_string();
            let seal = sessions.plan_seal(&visit.visitor.id, &[&in_force, &text]);
            Ok(shown(&name, &text, back_to, planned, complete, &in_force, &seal))
        }
        Err(refused) if refused.is_about_the_request() => Ok(form(&text, Some(&refused.message))),
        Err(refused) => Err(refused),
    }
}

/// The file of a form, or else its text; lines end as they do in the daemon's own file.
fn handed_over(fields: &Fields) -> (String, String) {
    let (name, text) = match fields.get("file") {
        Some(file) => (fields.get("file_name").unwrap_or(BY_HAND), file),
        None => (fields.get("name").unwrap_or(BY_HAND), fields.get("text").unwrap_or_default()),
    };
    // What a form carries has its lines ended as in a message (HTML, "normalize newlines").
    (name.chars().filter(|c| !c.is_control()).take(100).collect(), text.replace("\r\n", "\n"))
}

async fn planned(api: &Api<'_>, name: &str, text: &str) -> Result<(Planned, bool), Refused> {
    let began = Instant::now();
    let mut planned = Planned::naming(NAMED);
    let mut request = PlanRequest { name: name.to_owned(), text: text.to_owned(), after: None };
    loop {
        let page = api.plan_rules(&request).await?;
        request.after = page.next;
        planned.add(page);
        if request.after.is_none() {
            return Ok((planned, true));
        }
        if began.elapsed() > PATIENCE {
            return Ok((planned, false));
        }
    }
}

fn shown(
    name: &str,
    text: &str,
    back_to: Option<u64>,
    mut planned: Planned,
    complete: bool,
    in_force: &str,
    seal: &str,
) -> Answer {
    let roles = std::mem::take(&mut planned.roles);
    let (users, changed, kinds) = (planned.users, planned.changed, planned.kinds());
    let listed = kinds.iter().take(MOST_KINDS).map(|alike| Kind {
        total: alike.total,
        more: alike.total.saturating_sub(alike.users.len() as u64),
        alike,
    });
    let context = context! {
        name,
        text,
        back_to,
        complete,
        in_force,
        seal,
        losses => roles.values().any(|counts| counts.lose > 0),
        groups => value(listed.collect::<Vec<_>>()),
        more_groups => kinds.len().saturating_sub(MOST_KINDS),
        users,
        changed,
        roles => value(roles),
    };
    Shown::new("planned.html", "rules", "Plan", context).into()
}

pub(super) async fn apply(
    api: &Api<'_>,
    sessions: &Sessions,
    visit: &Visit,
    fields: Fields,
) -> Result<Answer, Refused> {
    let back_to = fields.number("version")?;
    let (name, text) = match back_to {
        Some(number) => (String::new(), api.rules_version(Some(number)).await?.text),
        None => handed_over(&fields),
    };
    let newest = api.rules_history(1).await?;
    let in_force = newest.versions.first().map_or(0, |version| version.number).to_string();
    if !sessions.is_plan_seal(&visit.visitor.id, &[&in_force, &text], fields.get("seal").unwrap_or_default())
    {
        return Err(Refused::new(
            StatusCode::CONFLICT,
            "this is not the plan of what is in force now: others put rules into force meanwhile, or the session is a new one; plan again",
        ));
    }
    let adopted = match back_to {
        Some(number) => api.roll_back_rules(number).await?,
        None => api.apply_rules(&RulesText { name, text }).await?,
    };
    Ok(done("/console/rules", "rules", adopted.version))
}
