//! What happened to somebody, told by the events that made it happen: from the webhook over the directory to each store,
//! with how long each step took. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::admin::api::{Because, Explanation};
use crate::store::{ActivityView, QueueState};

/// An event, and what followed from it. Steps that no event is behind stand in chapters of their own.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Chapter {
    pub(super) event: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) received_at: Option<Timestamp>,
    /// Oldest first.
    pub(super) steps: Vec<Step>,
}

/// Something that was done, or has still to be.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Step {
    pub(super) at: Timestamp,
    /// None: in the directory.
    pub(super) sink: Option<String>,
    pub(super) what: String,
    pub(super) detail: Option<String>,
    /// Whether it is what somebody should look at.
    pub(super) bad: bool,
}

/// The newest chapter first.
pub(super) fn timeline(user: &Explanation) -> Vec<Chapter> {
    let known = events(user);
    let mut chapters: Vec<Chapter> = Vec::new();
    let mut tell = |event: Option<&str>, step: Step| {
        let same = |chapter: &&mut Chapter| match event {
            Some(event) => chapter.event.as_deref() == Some(event),
            // What the rules did at one time belongs together.
            None => chapter.event.is_none() && chapter.steps.iter().any(|other| other.at == step.at),
        };
        if let Some(chapter) = chapters.iter_mut().find(same) {
            return chapter.steps.push(step);
        }
        let found = event.and_then(|event| known.get(event));
        chapters.push(Chapter {
            event: event.map(str::to_owned),
            kind: found.and_then(|(kind, _)| kind.clone()),
            received_at: found.and_then(|(_, received_at)| *received_at),
            steps: vec![step],
        });
    };
    for line in &user.activity {
        let ActivityView { at, sink, what, event, detail } = line;
        let bad = what == "dead_letter";
        let step = Step { at: *at, sink: sink.clone(), what: what.clone(), detail: detail.clone(), bad };
        tell(event.as_deref(), step);
    }
    for (name, sink) in &user.sinks {
        let Some(item) = sink.view.queued.as_ref().filter(|item| item.state == QueueState::Waiting) else {
            continue;
        };
        let what = match item.attempts {
            0 => "waits for its turn".to_owned(),
            1 => "tried once, and will be again".to_owned(),
            n => format!("tried {n} times, and will be again"),
        };
        let step = Step {
            at: item.since,
            sink: Some(name.to_string()),
            what,
            detail: item.error.clone(),
            bad: item.attempts > 0,
        };
        tell(item.event.as_deref(), step);
    }
    for chapter in &mut chapters {
        chapter.steps.sort_by(|one, other| one.at.cmp(&other.at).then(one.sink.cmp(&other.sink)));
    }
    chapters.sort_by_key(|chapter| std::cmp::Reverse(chapter.steps.last().map(|step| step.at)));
    chapters
}

/// The events that the explanation tells more of than their ids.
fn events(user: &Explanation) -> BTreeMap<&str, (Option<String>, Option<Timestamp>)> {
    let groups = user.groups.iter().map(|group| &group.because);
    let because = [&user.status_because, &user.profile_because].into_iter().flatten().chain(groups);
    let named = because
        .map(|Because { event, kind, received_at, .. }| (event.as_str(), (kind.clone(), *received_at)));
    let journalled =
        user.events.iter().map(|(id, event)| (id.as_str(), (event.kind.clone(), Some(event.received_at))));
    named.chain(journalled).collect()
}
