//! Workers whose sink has a safeguard.

use jiff::Timestamp;
use rolecall_sink_api::{Action, Outcome, SinkName, UserId};

use super::outcomes::*;
use crate::deliver::*;
use crate::directory::Fact;
use crate::store::{Decision, HoldFilter, QueueFilter, QueueState, Withdrawal};

/// So many removals, however many users there are.
fn removals(removals: u32) -> Option<SafeguardConfig> {
    Some(SafeguardConfig { removals, removals_percent: 0, ..SafeguardConfig::default() })
}

fn gone(users: &[&str]) -> Vec<Fact> {
    users.iter().map(|user| Fact::UserGone { user: UserId::new(*user) }).collect()
}

const FIVE: [&str; 5] = ["ann", "bob", "cleo", "dan", "eve"];

/// Five users who are there, of whom all leave at once, with a limit of two, while somebody joins.
async fn wave(script: Vec<Answer>) -> Fixture {
    let mut script = script;
    script.insert(0, answer(|_| Outcome::applied(Action::Created)));
    let mut fixture = Fixture::guarded(&FIVE, script, vec![], quick(), removals(2)).await;
    assert_eq!(fixture.call().await, apply(&FIVE.map(|user| (user, 1))));
    // In one event, so that the worker takes them together.
    let at_once = gone(&FIVE).into_iter().chain([profile("zoe")]).collect();
    fixture.intake.submit(message(at_once)).await.unwrap();
    fixture.deliveries.wake();
    fixture
}

fn ids(call: Call) -> Vec<String> {
    let Call::Apply(changes) = call else { panic!("{call:?}") };
    changes.into_iter().map(|(id, _)| id).collect()
}

async fn held(fixture: &Fixture) -> Vec<String> {
    let filter = QueueFilter { state: Some(QueueState::Held), ..QueueFilter::default() };
    let items = fixture.store.queue(&filter, 100).await.unwrap();
    items.into_iter().map(|item| item.entity.id().to_owned()).collect()
}

#[tokio::test]
async fn a_wave_goes_through_up_to_the_limit_and_the_rest_is_held_while_others_go_on() {
    let mut fixture = wave(vec![]).await;
    let went = ids(fixture.call().await);
    assert_eq!((went.len(), went.last().map(String::as_str)), (3, Some("zoe")), "{went:?}");
    let held = held(&fixture).await;
    assert!(held.len() == 3 && held.iter().all(|id| !went.contains(id)), "{held:?}, {went:?}");

    let holds = fixture.store.holds(&HoldFilter::default(), 10).await.unwrap();
    let [hold] = holds.try_into().unwrap();
    assert_eq!((hold.withdrawal, hold.changes), (Withdrawal::Removal, 3));
    assert_eq!((hold.reached.allowed, hold.reached.of_users, &hold.reached.organization), (2, 5, &None));
    // One more is no second hold.
    fixture.intake.submit(message(gone(&["zoe"]))).await.unwrap();
    while self::held(&fixture).await.len() < 4 {
        fixture.deliveries.wake();
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.store.holds(&HoldFilter::default(), 10).await.unwrap()[0].changes, 4);

    fixture.store.decide(hold.id, Decision::Approved, None, Timestamp::now()).await.unwrap();
    fixture.deliveries.wake();
    assert_eq!(ids(fixture.call().await), [held, vec!["zoe".to_owned()]].concat());
}

#[tokio::test]
async fn who_comes_back_while_held_is_released_by_itself() {
    let mut fixture = wave(vec![]).await;
    fixture.call().await;
    let back = held(&fixture).await.remove(0);
    fixture.intake.submit(joiner(&back)).await.unwrap();
    fixture.deliveries.wake();
    assert_eq!(ids(fixture.call().await), [back.as_str()]);
    let left = held(&fixture).await;
    assert!(left.len() == 2 && !left.contains(&back), "{left:?}");
    let back: Vec<String> = left;
    fixture.intake.submit(message(back.iter().map(|user| profile(user)).collect())).await.unwrap();
    fixture.deliveries.wake();
    assert_eq!(ids(fixture.call().await), back);
    let hold = fixture.store.holds(&HoldFilter::default(), 10).await.unwrap().remove(0);
    assert!(hold.closed_at.is_some() && hold.decided.is_none(), "{hold:?}");
}

#[tokio::test]
async fn a_removal_that_is_tried_again_counts_once() {
    let busy = answer(|change| match change.desired {
        None => Outcome::retry("locked"),
        Some(_) => Outcome::applied(Action::Created),
    });
    let mut fixture = wave(vec![busy]).await;
    let mut went = ids(fixture.call().await);
    went.retain(|id| id != "zoe");
    let mut again = Vec::new();
    while again.len() < 2 {
        again.extend(ids(fixture.call().await));
    }
    again.sort();
    assert_eq!(again, went);
    assert_eq!(held(&fixture).await.len(), 3);
}

#[tokio::test]
async fn the_count_outlives_the_worker() {
    let mut fixture = wave(vec![]).await;
    fixture.call().await;
    fixture.intake.submit(joiner("yan")).await.unwrap();
    fixture.deliveries.wake();
    fixture.call().await;
    let mut fixture = fixture.restart(removals(2)).await;
    fixture.intake.submit(message(gone(&["yan"]))).await.unwrap();
    fixture.intake.submit(joiner("xia")).await.unwrap();
    fixture.deliveries.wake();
    assert_eq!(ids(fixture.call().await), ["xia"]);
    assert_eq!(held(&fixture).await.len(), 4);
}

#[tokio::test]
async fn without_a_safeguard_nothing_is_held() {
    let mut fixture = wave(vec![]).await;
    fixture.call().await;
    let mut fixture = fixture.restart(None).await;
    fixture.intake.submit(message(gone(&["zoe"]))).await.unwrap();
    fixture.deliveries.wake();
    assert_eq!(ids(fixture.call().await), ["zoe"]);
    // What was held before stays so: somebody has to say what becomes of it.
    assert_eq!(held(&fixture).await.len(), 3);
    assert_eq!(fixture.store.overview().await.unwrap().sinks[&SinkName::new("a")].held, 3);
}
