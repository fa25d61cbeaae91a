//! What is wrong, since when, and what to do about it: for somebody who was woken by it. Pure.

use jiff::{SignedDuration, Timestamp};
use rolecall_sink_api::SinkName;
use serde::Serialize;

use crate::admin::api::{DaemonStatus, SinkStatus};
use crate::console::visit::link;
use crate::deliver::Breaker;
use crate::store::Hold;
use crate::text::count;
use crate::tls::{TlsStatus, Validity};

/// How long a leaver may wait for a sink that is up before somebody should look: as long as an alert waits by default.
const LEAVERS_WAIT: SignedDuration = SignedDuration::from_mins(15);
/// How many open holds are counted.
pub(super) const MOST_HOLDS: u32 = 100;

/// Something that somebody should look at.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    #[serde(skip)]
    urgency: Urgency,
    /// What is wrong.
    what: String,
    /// Since when, where that is known.
    since: Option<Timestamp>,
    /// Who lost access and still has it because of this.
    leavers: Option<Leavers>,
    /// What the other side said.
    said: Option<String>,
    /// What to do.
    todo: String,
    /// A command that does it, or tells more.
    command: Option<String>,
    /// The page that tells more.
    page: Option<Page>,
    /// A button that does it.
    button: Option<Button>,
}

/// What cannot wait comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    /// Webhooks are not received.
    Receiving,
    /// Somebody has access who must not have it.
    Access,
    /// A person has to decide.
    Decision,
    /// Something does not get on.
    Delivery,
    /// It will be trouble one day.
    Care,
}

/// Users who lost access, and who wait for a sink to take it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Leavers {
    count: u64,
    oldest: Option<Timestamp>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Page {
    to: String,
    text: &'static str,
}

/// A form of a sink.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Button {
    action: &'static str,
    sink: String,
    text: &'static str,
}

impl Problem {
    fn new(urgency: Urgency, what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self {
            urgency,
            what: what.into(),
            since: None,
            leavers: None,
            said: None,
            todo: todo.into(),
            command: None,
            page: None,
            button: None,
        }
    }

    fn since(self, since: impl Into<Option<Timestamp>>) -> Self {
        Self { since: since.into(), ..self }
    }

    fn said(self, said: impl Into<String>) -> Self {
        Self { said: Some(said.into()), ..self }
    }

    fn command(self, command: impl Into<String>) -> Self {
        Self { command: Some(command.into()), ..self }
    }

    fn page(self, to: impl Into<String>, text: &'static str) -> Self {
        Self { page: Some(Page { to: to.into(), text }), ..self }
    }

    fn button(self, action: &'static str, sink: &SinkName, text: &'static str) -> Self {
        Self { button: Some(Button { action, sink: sink.to_string(), text }), ..self }
    }

    /// Those who keep their access as long as nothing is done.
    fn keeping(self, sink: &SinkStatus) -> Self {
        if sink.leavers == 0 {
            return self;
        }
        let leavers = Leavers { count: sink.leavers, oldest: sink.oldest_leaver };
        Self { leavers: Some(leavers), urgency: self.urgency.min(Urgency::Access), ..self }
    }
}

/// What needs a look, the most urgent first.
pub(super) fn problems(status: &DaemonStatus, holds: &[Hold]) -> Vec<Problem> {
    let mut problems = receiving(status);
    for (name, sink) in &status.sinks {
        problems.extend(of_a_sink(status.now, name, sink));
    }
    problems.extend(held(holds));
    problems.extend(care(status));
    problems.sort_by_key(|problem| problem.urgency);
    problems
}

fn receiving(status: &DaemonStatus) -> Vec<Problem> {
    let mut problems: Vec<Problem> = status
        .not_ready
        .iter()
        .map(|why| {
            let todo =
                "Webhooks are turned away until that is mended; their sender keeps them and tries again.";
            Problem::new(Urgency::Receiving, "No webhook is received.", todo)
                .said(why.clone())
                .command("journalctl -u rolecall -p warning")
        })
        .collect();
    if status.store.low_on_space {
        let left = status.store.free_bytes.map_or_else(|| "little".into(), crate::text::bytes);
        let todo = "Make room there: when nothing is left, webhooks are turned away.";
        let full = Problem::new(Urgency::Receiving, format!("The store's disk has {left} left."), todo);
        problems.push(full.command("rolecall store size"));
    }
    problems
}

fn of_a_sink(now: Timestamp, name: &SinkName, sink: &SinkStatus) -> Vec<Problem> {
    let page = link("/console/sink", &[("name", Some(name.as_str()))]);
    let queue =
        |state: &str| link("/console/queue", &[("state", Some(state)), ("sink", Some(name.as_str()))]);
    let mut problems = Vec::new();
    let delivery = sink.delivery.as_ref();
    let pause = delivery.and_then(|delivery| delivery.paused.as_ref());
    match (delivery.map(|delivery| &delivery.breaker), pause) {
        (None, _) => {
            let todo = "Its worker ended, and the log says why. Start rolecall again once that is mended.";
            let stopped =
                Problem::new(Urgency::Delivery, format!("{name} is stopped{}.", waiting(sink)), todo);
            let command = format!("journalctl -u rolecall ROLECALL_SINK={name}");
            problems.push(stopped.command(command).page(page, "Look at it").keeping(sink));
        }
        (_, Some(pause)) => {
            let by = pause.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
            let what = format!("{name} is paused{by}{}.", waiting(sink));
            let mut paused =
                Problem::new(Urgency::Delivery, what, "Resume it when the reason for it is over.")
                    .since(pause.since)
                    .command(format!("rolecall sinks resume {name}"))
                    .page(page, "Look at it")
                    .button("resume", name, "Resume")
                    .keeping(sink);
            paused.said.clone_from(&pause.reason);
            problems.push(paused);
        }
        (Some(Breaker::Open { since, reason, .. }), None) => {
            let todo = "Mend what it says, at the target. It is asked again by itself, and deliveries go on when it answers.";
            let down = Problem::new(Urgency::Delivery, format!("{name} is down{}.", waiting(sink)), todo)
                .since(*since)
                .said(reason.clone())
                .command(format!("rolecall sinks probe {name}"))
                .page(page, "Look at it")
                .button("probe", name, "Ask it now");
            problems.push(down.keeping(sink));
        }
        (Some(Breaker::Closed), None) => problems.extend(late(now, name, sink, queue("waiting"))),
    }
    if sink.dead_letters > 0 {
        let letters = count(sink.dead_letters, "dead letter", "dead letters");
        let todo = "See why it refused them, mend that, and retry them.";
        let dead = Problem::new(Urgency::Delivery, format!("{name} has {letters}."), todo)
            .command(format!("rolecall queue list --dead --sink {name}"))
            .page(queue("dead"), "See why");
        problems.push(dead);
    }
    problems
}

/// A sink that is up, and does not take somebody's access away.
fn late(now: Timestamp, name: &SinkName, sink: &SinkStatus, page: String) -> Option<Problem> {
    let oldest = sink.oldest_leaver.filter(|oldest| now.duration_since(*oldest) > LEAVERS_WAIT)?;
    let todo = "Leavers come before everybody else, so it refuses them again and again: see what it says.";
    let late = Problem::new(Urgency::Access, format!("{name} is up, and does not take leavers away."), todo)
        .since(oldest)
        .command(format!("rolecall queue list --sink {name}"))
        .page(page, "See why");
    Some(late.keeping(sink))
}

/// What waits for a decision.
fn held(holds: &[Hold]) -> Option<Problem> {
    let oldest = holds.last()?;
    let all = "/console/holds".to_owned();
    let (waits, to) = match holds {
        [hold] => ("1 hold waits".to_owned(), link("/console/hold", &[("id", Some(&hold.id.to_string()))])),
        _ if holds.len() < MOST_HOLDS as usize => (format!("{} holds wait", holds.len()), all),
        _ => (format!("{MOST_HOLDS} holds or more wait"), all),
    };
    let changes: u64 = holds.iter().map(|hold| hold.changes).sum();
    let keep = count(changes, "user keeps", "users keep");
    let mut sinks: Vec<&str> = holds.iter().map(|hold| hold.sink.as_str()).collect();
    sinks.sort_unstable();
    sinks.dedup();
    let sinks = sinks.join(", ");
    let todo = "See who is in it, and say whether it is meant.";
    let what = format!("{waits} for you: {keep} what they have in {sinks} until somebody decides.");
    let held = Problem::new(Urgency::Decision, what, todo).since(oldest.since);
    Some(held.command("rolecall holds list").page(to, "Decide"))
}

fn care(status: &DaemonStatus) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(rejected) = &status.rules.rejected {
        let todo = "Mend the fault in the file and read it again.";
        let what = "New rules were turned down; the old ones stay in force.";
        let turned_down = Problem::new(Urgency::Delivery, what, todo)
            .since(rejected.at)
            .said(rejected.error.lines().next().unwrap_or_default())
            .command("rolecall rules test")
            .page("/console/rules", "See what is wrong");
        problems.push(turned_down);
    }
    if status.store.unreadable_events > 0 {
        let kept = count(status.store.unreadable_events, "message", "messages");
        let what = format!("{kept} could not be read, and what they say is not in the directory.");
        let todo = "See why. A version that can read them does so when it starts.";
        let unreadable = Problem::new(Urgency::Delivery, what, todo)
            .command("rolecall events list --unreadable")
            .page(link("/console/events", &[("status", Some("unreadable"))]), "See why");
        problems.push(unreadable);
    }
    problems.extend(status.listen.tls.iter().flat_map(|tls| certificate(status.now, tls)));
    problems
}

fn certificate(now: Timestamp, TlsStatus { certificate, rejected, .. }: &TlsStatus) -> Vec<Problem> {
    let names = certificate.names.join(", ");
    let todo = "Put the renewed certificate and its key in place of the files; they are taken up within ten seconds.";
    let of_it = |urgency, what: &str, since: Option<Timestamp>| {
        let problem = Problem::new(urgency, format!("The certificate of {names} {what}."), todo);
        problem.since(since).command("rolecall check")
    };
    let mut problems = Vec::new();
    match certificate.validity(now) {
        Validity::Valid => {}
        Validity::EndsSoon => {
            let ends = format!("ends {}", crate::text::moment(now, certificate.not_after));
            problems.push(of_it(Urgency::Care, &ends, None));
        }
        Validity::Expired => {
            problems.push(of_it(Urgency::Receiving, "has expired", Some(certificate.not_after)));
        }
        Validity::NotYetValid => problems.push(of_it(Urgency::Receiving, "is not valid yet", None)),
    }
    if let Some(rejected) = rejected {
        let what = "goes on being shown, as its files cannot be used";
        problems.push(of_it(Urgency::Care, what, Some(rejected.at)).said(rejected.error.clone()));
    }
    problems
}

fn waiting(sink: &SinkStatus) -> String {
    if sink.waiting == 0 {
        String::new()
    } else {
        format!(", and {} for it", count(sink.waiting, "change waits", "changes wait"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `crm` is down with a leaver waiting, `hr` is paused, `ldap` has a dead letter, `old` is stopped.
    fn status(more: serde_json::Value) -> DaemonStatus {
        let closed = serde_json::json!({"breaker": {"state": "closed"}, "in_flight": 0, "applied": 0, "retried": 0, "dead": 0});
        let sink = |waiting, leavers, dead, delivery: serde_json::Value| {
            let mut sink = serde_json::json!({"waiting": waiting, "leavers": leavers, "dead_letters": dead, "confirmed": 8});
            if leavers > 0 {
                sink["oldest_leaver"] = "2026-11-24T09:40:00Z".into();
            }
            if !delivery.is_null() {
                sink["delivery"] = delivery;
            }
            sink
        };
        let with = |key: &str, value: serde_json::Value| {
            let mut delivery = closed.clone();
            delivery[key] = value;
            delivery
        };
        let down = serde_json::json!({"state": "open", "since": "2026-11-24T09:48:00Z", "next_probe": "2026-11-24T10:00:08Z",
            "reason": "connection refused"});
        let mut status = serde_json::json!({
            "version": "0.1.0", "started_at": "2026-11-24T07:30:00Z", "now": "2026-11-24T10:00:00Z", "received": {},
            "store": {"active_users": 1, "inactive_users": 0, "groups": 0, "stale_users": 0, "unreadable_events": 0, "bytes": 1},
            "connections": [], "rules": {"file": "rules.yaml"},
            "sinks": {
                "crm": sink(12, 1, 0, with("breaker", down)),
                "hr": sink(3, 0, 0, with("paused", serde_json::json!({"since": "2026-11-24T09:00:00Z", "reason": "new server", "by": "token ops"}))),
                "ldap": sink(0, 0, 1, closed.clone()),
                "old": sink(0, 0, 0, serde_json::Value::Null),
            },
        });
        for (key, value) in more.as_object().unwrap() {
            status[key] = value.clone();
        }
        serde_json::from_value(status).unwrap()
    }

    fn of(status: &DaemonStatus) -> Vec<Problem> {
        problems(status, &[])
    }

    fn told(problems: &[Problem]) -> Vec<&str> {
        problems.iter().map(|problem| problem.what.as_str()).collect()
    }

    #[test]
    fn who_keeps_access_comes_first_and_each_says_what_to_do() {
        let problems = of(&status(serde_json::json!({})));
        assert_eq!(
            told(&problems),
            [
                "crm is down, and 12 changes wait for it.",
                "hr is paused by token ops, and 3 changes wait for it.",
                "ldap has 1 dead letter.",
                "old is stopped."
            ]
        );
        let [crm, hr, ldap, old] = problems.as_slice() else { panic!("{problems:?}") };
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(crm.leavers, Some(Leavers { count: 1, oldest: Some(at("2026-11-24T09:40:00Z")) }));
        assert_eq!(
            (crm.since, crm.said.as_deref()),
            (Some(at("2026-11-24T09:48:00Z")), Some("connection refused"))
        );
        assert_eq!(
            crm.button.as_ref().map(|button| (button.action, button.sink.as_str())),
            Some(("probe", "crm"))
        );
        assert_eq!(
            (hr.said.as_deref(), hr.command.as_deref()),
            (Some("new server"), Some("rolecall sinks resume hr"))
        );
        assert_eq!(hr.button.as_ref().map(|button| button.action), Some("resume"));
        assert_eq!(ldap.page.as_ref().unwrap().to, "/console/queue?state=dead&sink=ldap");
        assert_eq!(old.command.as_deref(), Some("journalctl -u rolecall ROLECALL_SINK=old"));
    }

    #[test]
    fn a_daemon_that_receives_nothing_comes_before_everything() {
        let mut status = status(serde_json::json!({"not_ready": ["the store cannot be written to"]}));
        status.store.low_on_space = true;
        status.store.free_bytes = Some(40 << 20);
        let problems = of(&status);
        assert_eq!(told(&problems)[..2], ["No webhook is received.", "The store's disk has 40.0 MiB left."]);
        assert_eq!(problems[0].said.as_deref(), Some("the store cannot be written to"));
    }

    #[test]
    fn a_leaver_who_waits_long_for_a_sink_that_is_up_is_one() {
        let mut status = status(serde_json::json!({}));
        status.sinks.retain(|name, _| name.as_str() == "ldap");
        let ldap = status.sinks.get_mut("ldap").unwrap();
        (ldap.dead_letters, ldap.leavers, ldap.waiting) = (0, 2, 2);
        ldap.oldest_leaver = Some(status.now - SignedDuration::from_mins(14));
        assert_eq!(of(&status), []);
        status.sinks.get_mut("ldap").unwrap().oldest_leaver =
            Some(status.now - SignedDuration::from_mins(16));
        assert_eq!(told(&of(&status)), ["ldap is up, and does not take leavers away."]);
    }

    #[test]
    fn holds_are_counted_and_one_alone_is_gone_to() {
        let mut well = status(serde_json::json!({}));
        well.sinks.clear();
        let hold = |id: u64, sink: &str| -> Hold {
            serde_json::from_value(serde_json::json!({
                "id": id, "sink": sink, "withdrawal": "removal", "since": "2026-11-24T09:48:00Z", "changes": 150,
                "allowed": 50, "of_users": 300, "within_seconds": 3600}))
            .unwrap()
        };
        let one = problems(&well, &[hold(3, "ldap")]);
        assert_eq!(
            told(&one),
            ["1 hold waits for you: 150 users keep what they have in ldap until somebody decides."]
        );
        assert_eq!(one[0].page.as_ref().unwrap().to, "/console/hold?id=3");
        let three = problems(&well, &[hold(5, "ldap"), hold(4, "crm"), hold(3, "ldap")]);
        assert_eq!(
            told(&three),
            ["3 holds wait for you: 450 users keep what they have in crm, ldap until somebody decides."]
        );
        assert_eq!(three[0].page.as_ref().unwrap().to, "/console/holds");
    }
}
