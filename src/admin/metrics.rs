//! `GET /metrics`: everything that a monitoring system is told, with its names.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use super::AdminState;
use super::api::METRICS;
use super::refusal::Refusal;
use super::route::Route;
use crate::deliver::Breaker;
use crate::metrics::{CONTENT_TYPE, Labels, Page, Process};
use crate::receive::Answer;
use crate::store::StoreView;

/// How long the store may take to say how much it holds. Prometheus gives up on the whole page after ten seconds.
const STORE_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn routes() -> Vec<Route> {
    vec![Route::text(METRICS, "How the daemon fares, for a monitoring system", CONTENT_TYPE, answer)]
}

async fn answer(state: AdminState) -> Result<String, Refusal> {
    Ok(page(&state).await)
}

/// The page of metrics as of now. Of a store that cannot be read it says so, and everything else.
async fn page(state: &AdminState) -> String {
    let mut page = Page::default();
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    page.gauges("rolecall_build_info", "The version that runs; always 1", [(version, 1.0)]);
    receiving(&mut page, state);
    commits(&mut page, state);
    let overview = timeout(STORE_WITHIN, state.store.overview()).await;
    let overview = overview.ok().and_then(Result::ok);
    let readable = if overview.is_some() { 1.0 } else { 0.0 };
    page.gauge("rolecall_store_readable", "1 when the store could be read for this page, else 0", readable);
    if let Some(overview) = &overview {
        store(&mut page, overview);
        queues(&mut page, overview, (state.clock)());
    }
    backups(&mut page, state);
    deliveries(&mut page, state);
    rules(&mut page, state).await;
    certificates(&mut page, state);
    traces(&mut page, state);
    Process::now().show(&mut page, seconds(state.started_at));
    page.text()
}

fn receiving(page: &mut Page, state: &AdminState) {
    let answers = state.received.by_source().flat_map(|(source, answers)| {
        let labels =
            |answer: Answer| vec![("source", source.to_owned()), ("outcome", answer.as_str().into())];
        Answer::ALL.into_iter().map(move |answer| (labels(answer), answers.of(answer)))
    });
    page.counters(
        "rolecall_acknowledgements",
        "Answers to requests at the webhooks' address, by outcome; source is empty where the path is no source's",
        answers,
    );
    page.histograms(
        "rolecall_acknowledgement_duration_seconds",
        "From the head of a webhook to its answer, where that was 200: its event is on disk",
        state.received.durations().map(|(source, times)| (vec![("source", source.to_owned())], times)),
    );
}

fn commits(page: &mut Page, state: &AdminState) {
    let commits = &state.commits;
    let alone = |histogram| [(Labels::new(), histogram)];
    page.histograms(
        "rolecall_commit_messages",
        "Messages that were committed together",
        alone(commits.messages.clone()),
    );
    page.histograms(
        "rolecall_commit_duration_seconds",
        "From when a batch of messages got its turn in the store to when it was written",
        alone(commits.commit.clone()),
    );
    page.histograms(
        "rolecall_commit_sync_duration_seconds",
        "From when a batch of messages was written to when it was on disk and answered",
        alone(commits.sync.clone()),
    );
    let causes = [("event", &commits.by_event), ("evaluation", &commits.by_evaluation)];
    let changes = causes.into_iter().flat_map(|(cause, roles)| {
        [("granted", &roles.granted), ("revoked", &roles.revoked)].map(|(change, counter)| {
            (vec![("change", change.to_owned()), ("cause", cause.to_owned())], counter.get())
        })
    });
    page.counters(
        "rolecall_role_changes",
        "Roles granted to users and taken from them: by an event about them, or by an evaluation because rules, a group or the time changed",
        changes,
    );
}

fn store(page: &mut Page, overview: &StoreView) {
    let state = |state: &str| vec![("state", state.to_owned())];
    page.gauges(
        "rolecall_users",
        "Users who exist: active ones may have access, inactive ones must not",
        [
            (state("active"), number(overview.active_users)),
            (state("inactive"), number(overview.inactive_users)),
        ],
    );
    page.gauge("rolecall_groups", "Groups that exist", number(overview.groups));
    page.gauge(
        "rolecall_stale_users",
        "Users whose roles are still to be evaluated again",
        number(overview.stale),
    );
    page.gauge(
        "rolecall_unreadable_events",
        "Kept webhooks that could not be read",
        number(overview.unreadable),
    );
    let enabled = overview.connections.values().filter(|connection| connection.enabled).count() as u64;
    page.gauges(
        "rolecall_connections",
        "Connections to identity providers that a source has told of",
        [
            (state("enabled"), number(enabled)),
            (state("disabled"), number(overview.connections.len() as u64 - enabled)),
        ],
    );
    page.gauge(
        "rolecall_store_size_bytes",
        "The store on disk, its write-ahead log included",
        number(overview.bytes),
    );
    if let Some(free) = overview.free_bytes {
        page.gauge(
            "rolecall_store_free_bytes",
            "What the file system of the store has left for it",
            number(free),
        );
    }
    if let Some(last) = overview.last_event {
        page.gauge(
            "rolecall_last_event_timestamp_seconds",
            "When the newest webhook arrived, in seconds since 1970; missing before the first",
            seconds(last),
        );
    }
}

fn backups(page: &mut Page, state: &AdminState) {
    let Some(backups) = &state.backups else { return };
    let status = backups.status();
    page.gauge(
        "rolecall_store_backup_interval_seconds",
        "How often a backup of the store is made by itself; this and what else begins so is missing where none is",
        status.every.get().as_secs_f64(),
    );
    if let Some(last) = &status.last {
        page.gauge(
            "rolecall_store_backup_last_success_timestamp_seconds",
            "When the newest backup that is there was begun, in seconds since 1970; missing while there is none",
            seconds(last.at),
        );
        page.gauge("rolecall_store_backup_size_bytes", "The size of the newest backup", number(last.bytes));
    }
    if let Some(took) = backups.took() {
        page.gauge(
            "rolecall_store_backup_duration_seconds",
            "How long the newest backup took; missing before the first since the start",
            took.as_secs_f64(),
        );
    }
    page.counters(
        "rolecall_store_backup_failures",
        "How often a backup could not be made by itself since the start",
        [(Labels::new(), backups.failures())],
    );
    page.gauge(
        "rolecall_store_backup_failing",
        "1 while backups cannot be made: the latest attempt failed",
        if status.failed.is_some() { 1.0 } else { 0.0 },
    );
}

fn queues(page: &mut Page, overview: &StoreView, now: Timestamp) {
    let age = |since: Option<Timestamp>| since.map_or(0.0, |since| (seconds(now) - seconds(since)).max(0.0));
    let sinks = || overview.sinks.iter().map(|(name, queue)| (vec![("sink", name.to_string())], queue));
    let in_state = |labels: &Labels, state: &str| {
        labels.iter().cloned().chain([("state", state.to_owned())]).collect::<Labels>()
    };
    page.gauges(
        "rolecall_queue_entities",
        "Users and groups in a sink's queue: waiting for their turn or next attempt, held for a person, or dead letters",
        sinks().flat_map(|(labels, queue)| {
            [("waiting", queue.waiting), ("held", queue.held), ("dead", queue.dead)]
                .map(|(state, entities)| (in_state(&labels, state), number(entities)))
        }),
    );
    page.gauges(
        "rolecall_queue_leavers",
        "Users who lost access and of whom the sink has yet to hear; they are counted in waiting too",
        sinks().map(|(labels, queue)| (labels, number(queue.leavers))),
    );
    page.gauges(
        "rolecall_queue_oldest_age_seconds",
        "How long the longest waiting entity waits; 0 when nothing does",
        sinks().map(|(labels, queue)| (labels, age(queue.oldest))),
    );
    page.gauges(
        "rolecall_queue_oldest_leaver_age_seconds",
        "How long the longest waiting user who lost access waits; 0 when nobody does",
        sinks().map(|(labels, queue)| (labels, age(queue.oldest_leaver))),
    );
    page.gauges(
        "rolecall_queue_oldest_hold_age_seconds",
        "How long the oldest hold has waited for a person; 0 when none does",
        sinks().map(|(labels, queue)| (labels, age(queue.held_since))),
    );
    page.gauges(
        "rolecall_confirmed_entities",
        "Users and groups of which the sink has confirmed anything",
        sinks().map(|(labels, queue)| (labels, number(queue.applied))),
    );
}

fn deliveries(page: &mut Page, state: &AdminState) {
    let sink = |name: &dyn ToString| vec![("sink", name.to_string())];
    let status = state.deliveries.status();
    page.gauges(
        "rolecall_sink_breaker_open",
        "1 while the sink is down: it is probed, and nothing else goes out",
        status.iter().map(|(name, status)| {
            (sink(name), if matches!(status.breaker, Breaker::Open { .. }) { 1.0 } else { 0.0 })
        }),
    );
    page.gauges(
        "rolecall_sink_paused",
        "1 while a person has the sink paused: nothing goes out, not even for leavers",
        status.iter().map(|(name, status)| (sink(name), if status.paused.is_some() { 1.0 } else { 0.0 })),
    );
    page.gauges(
        "rolecall_sink_changes_in_flight",
        "Changes that the sink was handed and has not answered yet",
        status.iter().map(|(name, status)| (sink(name), number(status.in_flight))),
    );
    page.gauges(
        "rolecall_sink_last_applied_timestamp_seconds",
        "When the sink last confirmed a change, in seconds since 1970; missing before the first since the start",
        status.iter().filter_map(|(name, status)| Some((sink(name), seconds(status.last_applied?)))),
    );
    page.counters(
        "rolecall_sink_changes",
        "How changes ended: applied, with what had to be done; retried; dead, which is a dead letter",
        state.deliveries.metrics().flat_map(|(name, metrics)| {
            metrics.changes.iter().map(move |(outcome, counter)| {
                let (how, action) = (outcome.as_str().to_owned(), outcome.action().to_owned());
                (vec![("sink", name.to_string()), ("outcome", how), ("action", action)], counter.get())
            })
        }),
    );
    page.histograms(
        "rolecall_sink_apply_duration_seconds",
        "How long the sink took for the changes that it was handed at once",
        state.deliveries.metrics().map(|(name, metrics)| (sink(name), metrics.apply.clone())),
    );
    page.histograms(
        "rolecall_delivery_duration_seconds",
        "From when a webhook was committed to when the sink had applied what it asked for; leaver is true of users who lost access",
        state.deliveries.metrics().flat_map(|(name, metrics)| {
            [("true", &metrics.leavers), ("false", &metrics.others)].map(|(leaver, times)| {
                (vec![("sink", name.to_string()), ("leaver", leaver.to_owned())], times.clone())
            })
        }),
    );
}

async fn rules(page: &mut Page, state: &AdminState) {
    let record = state.rulebook.record();
    let outcome = |outcome: &str| vec![("outcome", outcome.to_owned())];
    page.counters(
        "rolecall_rules_reloads",
        "How often other rules were to be put into force since the start, by a reload, apply or rollback",
        [(outcome("taken"), record.taken), (outcome("turned_down"), record.turned_down)],
    );
    page.gauge(
        "rolecall_rules_rejected",
        "1 while the rules that were last to be put into force are turned down: older ones stay in force",
        if state.rulebook.rejected().is_some() { 1.0 } else { 0.0 },
    );
    page.gauge(
        "rolecall_rules_last_taken_timestamp_seconds",
        "When rules were last put into force, the start among it, in seconds since 1970",
        seconds(record.last_taken),
    );
    let newest = timeout(STORE_WITHIN, state.rulebook.history(1)).await;
    if let Some(newest) = newest.ok().and_then(Result::ok).and_then(|versions| versions.into_iter().next()) {
        page.gauge(
            "rolecall_rules_version",
            "The version of the rules that is in force; `rolecall rules history` lists them",
            number(newest.number),
        );
    }
}

fn certificates(page: &mut Page, state: &AdminState) {
    let status = state.tls.iter().map(|tls| {
        let listener = tls.listener().as_str().to_owned();
        (vec![("listener", listener)], tls.status())
    });
    let status: Vec<_> = status.collect();
    page.gauges(
        "rolecall_certificate_expiry_timestamp_seconds",
        "Until when the certificate that a listener shows is valid, in seconds since 1970; missing without TLS",
        status.iter().map(|(labels, tls)| (labels.clone(), seconds(tls.certificate.not_after))),
    );
    page.gauges(
        "rolecall_certificate_rejected",
        "1 while the files of a certificate cannot be used: the one that was served before goes on being served",
        status.iter().map(|(labels, tls)| (labels.clone(), if tls.rejected.is_some() { 1.0 } else { 0.0 })),
    );
}

fn traces(page: &mut Page, state: &AdminState) {
    let outcome = |outcome: &str| vec![("outcome", outcome.to_owned())];
    page.counters(
        "rolecall_trace_spans",
        "Spans of traces by what became of them: sent to the collector, or dropped because it did not take them in time",
        [(outcome("sent"), state.traces.sent()), (outcome("dropped"), state.traces.dropped())],
    );
}

/// Counts here are far from where a double gets inexact.
fn number(count: u64) -> f64 {
    count as f64
}

/// Seconds since 1970.
fn seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}
