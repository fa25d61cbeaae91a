//! How it goes: all of it on one page, and first what is wrong.

use minijinja::context;

use super::problems::{MOST_HOLDS, problems};
use super::rules::origin_text;
use super::sinks::SinkCard;
use super::{Answer, value};
use crate::admin::api::HoldsQuery;
use crate::console::api::{Api, Refused};
use crate::console::reply::Shown;
use crate::text;

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
        per_second => text::per_second(status.recent.last_minute),
        origin => status.rules.in_force.as_ref().map(|version| origin_text(version.origin)),
        status => value(&status),
    };
    Ok(Shown::new("overview.html", "overview", "Overview", context).refreshing().into())
}
