//! The rules in force, and those before them.

use minijinja::context;
use serde::Serialize;

use super::{Answer, done, value};
use crate::console::api::{Api, Refused};
use crate::console::reply::Shown;
use crate::console::visit::Visit;
use crate::store::{RulesOrigin, RulesVersion};

/// How many versions are listed.
const LISTED: u32 = 50;
/// How many lines of rules are shown.
const MOST_LINES: usize = 5000;

/// A version as pages show it.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    version: &'a RulesVersion,
    origin_text: String,
}

impl<'a> From<&'a RulesVersion> for Listed<'a> {
    fn from(version: &'a RulesVersion) -> Self {
        Self { version, origin_text: origin_text(version.origin) }
    }
}

/// How rules came into force, in words.
pub(super) fn origin_text(origin: RulesOrigin) -> String {
    match origin {
        RulesOrigin::Start => "read at the start".into(),
        RulesOrigin::Reload => "by a reload of the file".into(),
        RulesOrigin::Apply => "handed over".into(),
        RulesOrigin::Rollback { to } => format!("by going back to version {to}"),
    }
}

pub(super) async fn rules(api: &Api<'_>) -> Result<Answer, Refused> {
    let status = api.status().await?;
    let history = api.rules_history(LISTED).await?;
    let version = api.rules_version(None).await?;
    let (lines, cut_lines) = lines(&version.text);
    let context = context! {
        now => value(history.now),
        rules => value(&status.rules),
        in_force => value(history.versions.first().map(Listed::from)),
        versions => value(history.versions.iter().map(Listed::from).collect::<Vec<_>>()),
        lines => value(lines),
        cut_lines,
    };
    Ok(Shown::new("rules.html", "rules", "Rules", context).into())
}

pub(super) async fn version(api: &Api<'_>, visit: &Visit) -> Result<Answer, Refused> {
    let number = visit.query.number("number")?;
    let version = api.rules_version(number).await?;
    let history = api.rules_history(1).await?;
    let (lines, cut_lines) = lines(&version.text);
    let context = context! {
        now => value(history.now),
        newest => history.versions.first().is_some_and(|newest| newest.number == version.number),
        lines => value(lines),
        cut_lines,
        rules => value(Listed::from(&version)),
    };
    Ok(Shown::new("version.html", "rules", format!("Rules, version {}", version.number), context).into())
}

/// The text by its lines, and how many of them are too many.
fn lines(text: &str) -> (Vec<&str>, u64) {
    let all = text.lines().count();
    (text.lines().take(MOST_LINES).collect(), all.saturating_sub(MOST_LINES) as u64)
}

pub(super) async fn reload(api: &Api<'_>) -> Result<Answer, Refused> {
    match api.reload_rules().await {
        Ok(in_force) => Ok(done("/console/rules", "rules", in_force.version)),
        // The page says what is wrong, over its several lines.
        Err(refused) if refused.is_about_the_request() => Ok(Answer::SeeOther("/console/rules".into())),
        Err(refused) => Err(refused),
    }
}
