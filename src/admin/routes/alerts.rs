//! What needs a person, and whether those who are told can be reached.

use crate::admin::AdminState;
use crate::admin::api::{self, AlertItem, AlertReceiver, AlertTested, AlertsList, AlertsTested, NothingMore};
use crate::admin::refusal::Refusal;
use crate::admin::route::{Call, Route};
use crate::alerts::{Alert, Tried};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(api::ALERTS, "What needs a person now, and who is told", list),
        Route::post(api::ALERTS_TEST, "Sends a test message to everybody who is told of alerts", test),
    ]
}

async fn list(Call { state, .. }: Call<()>) -> Result<AlertsList, Refusal> {
    let AdminState { alerts, clock, .. } = state;
    let item = |alert: Alert| AlertItem {
        command: alert.command(),
        kind: alert.subject.kind,
        sink: alert.subject.sink,
        listener: alert.subject.listener,
        since: alert.since,
        text: alert.text,
    };
    let receivers = alerts.webhooks().into_iter();
    Ok(AlertsList {
        now: clock(),
        alerts: alerts.list().into_iter().map(item).collect(),
        webhooks: receivers.map(|(name, failure)| AlertReceiver { name, failure }).collect(),
    })
}

async fn test(Call { state, .. }: Call<(), NothingMore>) -> Result<AlertsTested, Refusal> {
    let tested = |(name, tried)| match tried {
        Tried::Sent(status) => AlertTested { name, status: Some(status.as_u16()), error: None },
        Tried::Failed(error) => AlertTested { name, status: None, error: Some(error) },
    };
    Ok(AlertsTested { webhooks: state.alerts.test().await.into_iter().map(tested).collect() })
}
