//! Sinks that refuse a change of somebody who loses something.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use rolecall_sink_api::{Action, Change, GroupId, Outcome, Profile, SinkName, UserId};

use super::outcomes::*;
use crate::directory::Fact;
use crate::store::{QueueFilter, QueueState};

/// What a sink was handed.
type Handed = Arc<Mutex<Vec<Change>>>;

/// A target that takes no other name than the one it has, and removes nobody.
fn picky(handed: &Handed) -> Answer {
    let handed = Arc::clone(handed);
    answer(move |change| {
        handed.lock().unwrap().push(change.clone());
        match change.desired_user() {
            Some(user) if user.profile.user_name.as_deref() == Some("ann") => {
                Outcome::applied(Action::Deactivated)
            }
            Some(_) => Outcome::reject("no such name"),
            None => Outcome::reject("others refer to it"),
        }
    })
}

fn member(group: &str, member: bool) -> Fact {
    Fact::Member { group: GroupId::new(group), user: UserId::new("ann"), member }
}

fn named(user_name: &str) -> Fact {
    let Fact::UserProfile { user, organization, origin, .. } = profile("ann") else { unreachable!() };
    let profile = Profile { user_name: Some(user_name.into()), ..Profile::default() };
    Fact::UserProfile { user, organization, origin, profile: Box::new(profile) }
}

/// Ann is in the sink and in two groups; then this is stated of her.
async fn then(facts: Vec<Fact>, answers: Vec<Answer>) -> Fixture {
    let mut script = vec![answer(|_| Outcome::applied(Action::Created))];
    script.extend(answers);
    let mut fixture = Fixture::start(&[], script, vec![], quick()).await;
    let group = |id| Fact::GroupNamed { group: GroupId::new(id), name: None, organization: None };
    let there = [profile("ann"), group("dev"), group("ops"), member("dev", true), member("ops", true)];
    fixture.intake.submit(message(there.to_vec())).await.unwrap();
    fixture.deliveries.wake();
    let Call::Apply(changes) = fixture.call().await else { panic!("no change") };
    assert_eq!(changes.len(), 3, "both groups and ann: {changes:?}");
    fixture.intake.submit(message(facts)).await.unwrap();
    fixture.deliveries.wake();
    fixture
}

/// Why ann is a dead letter, and what the sink is known to hold of her.
async fn dead(fixture: Fixture) -> (String, rolecall_sink_api::User) {
    let store = Arc::clone(&fixture.store);
    let (queue, _) = fixture.finish().await;
    assert_eq!((queue.len(), queue[0].state), (1, QueueState::Dead), "{queue:?}");
    store.retry(&QueueFilter::default()).await.unwrap();
    let due = store.due(&SinkName::new("a"), Timestamp::now(), 1).await.unwrap().remove(0);
    (queue[0].error.clone().unwrap(), due.change.applied_user().unwrap().clone())
}

#[tokio::test]
async fn who_leaves_with_a_name_that_the_sink_refuses_loses_access_all_the_same() {
    let handed = Handed::default();
    let gone = vec![named("another"), Fact::UserActive { user: UserId::new("ann"), active: false }];
    let mut fixture = then(gone, vec![picky(&handed), picky(&handed)]).await;
    assert_eq!(fixture.call().await, apply(&[("ann", 1)]));
    assert_eq!(fixture.call().await, apply(&[("ann", 1)]));
    let (reason, held) = dead(fixture).await;
    assert!(reason.starts_with("no such name; ") && reason.contains("taken away all the same"), "{reason}");
    assert!(!held.active);
    let handed = handed.lock().unwrap();
    let [change, loss] = &handed[..] else { panic!("{handed:?}") };
    let user = loss.desired_user().unwrap();
    assert_eq!(
        (user.active, user.profile.user_name.as_deref()),
        (false, Some("ann")),
        "as it was, less access"
    );
    assert!(loss.generation < change.generation && loss.idempotency_key != change.idempotency_key);
    let given = loss.attempted_user().unwrap();
    assert_eq!(given.profile.user_name.as_deref(), Some("another"), "some of what was refused may be there");
}

#[tokio::test]
async fn who_stays_loses_a_group_though_the_rest_is_refused() {
    let mut fixture = then(
        vec![named("another"), member("ops", false)],
        vec![picky(&Handed::default()), picky(&Handed::default())],
    )
    .await;
    fixture.call().await;
    fixture.call().await;
    let (_, held) = dead(fixture).await;
    assert!(held.active);
    assert_eq!(held.groups.keys().map(GroupId::as_str).collect::<Vec<_>>(), ["dev"]);
}

#[tokio::test]
async fn whom_the_sink_will_not_remove_is_without_access() {
    let gone = vec![Fact::UserGone { user: UserId::new("ann") }];
    let mut fixture = then(gone, vec![picky(&Handed::default()), picky(&Handed::default())]).await;
    fixture.call().await;
    fixture.call().await;
    let (reason, held) = dead(fixture).await;
    assert!(reason.starts_with("others refer to it; "), "{reason}");
    assert!(!held.active && held.groups.is_empty());
}

#[tokio::test]
async fn a_loss_for_which_the_sink_is_down_is_tried_again_and_that_counts_as_no_attempt() {
    let gone = vec![named("another"), Fact::UserActive { user: UserId::new("ann"), active: false }];
    let broken = || -> Answer { Box::new(|_| Err(down("connection reset"))) };
    let handed = Handed::default();
    let mut fixture = then(gone, vec![picky(&handed), broken(), picky(&handed), picky(&handed)]).await;
    for attempt in [1, 1, 1, 1] {
        assert_eq!(fixture.call().await, apply(&[("ann", attempt)]));
    }
    assert!(!dead(fixture).await.1.active);
}

#[tokio::test]
async fn what_takes_nothing_away_is_refused_once() {
    let mut fixture = then(vec![named("another")], vec![picky(&Handed::default())]).await;
    assert_eq!(fixture.call().await, apply(&[("ann", 1)]));
    let (reason, held) = dead(fixture).await;
    assert_eq!((reason.as_str(), held.profile.user_name.as_deref()), ("no such name", Some("ann")));
}

#[tokio::test]
async fn a_sink_that_has_no_means_to_take_it_away_is_not_believed_to_have() {
    let gone = vec![Fact::UserGone { user: UserId::new("ann") }];
    let nothing = answer(|_| Outcome::applied(Action::Unchanged));
    let mut fixture = then(gone, vec![picky(&Handed::default()), nothing]).await;
    fixture.call().await;
    fixture.call().await;
    let (reason, held) = dead(fixture).await;
    assert_eq!(reason, "others refer to it");
    assert!(held.active);
}
