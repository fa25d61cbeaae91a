//! Sinks that a person paused, or probes.

use std::time::Duration;

use jiff::Timestamp;
use rolecall_sink_api::{SinkDown, SinkName, Timespan};

use super::outcomes::*;
use crate::deliver::*;
use crate::store::Pause;

fn name() -> SinkName {
    SinkName::new("a")
}

fn pause() -> Pause {
    Pause { since: Timestamp::UNIX_EPOCH, reason: Some("moving the directory".into()), by: None }
}

#[tokio::test]
async fn a_paused_sink_is_handed_nothing_until_it_is_resumed() {
    let fixture = Fixture::start(&[], vec![], vec![], quick()).await;
    fixture.deliveries.pause(&name(), pause()).await.unwrap().unwrap();
    assert_eq!(fixture.status().paused, Some(pause()));
    fixture.intake.submit(joiner("ann")).await.unwrap();
    fixture.deliveries.wake();

    // It is so over a restart.
    let mut fixture = fixture.restart(None).await;
    assert_eq!(fixture.status().paused, Some(pause()));
    fixture.deliveries.wake();
    // Whatever the worker did with the wake-up before it, it has done when the probe is over.
    assert!(matches!(fixture.deliveries.probe_now(&name()).await, Some(Probed::Up { .. })));
    assert_eq!(fixture.call().await, Call::Probe, "and no change");

    fixture.deliveries.resume(&name()).await.unwrap().unwrap();
    assert_eq!(fixture.call().await, apply(&[("ann", 1)]));
    assert_eq!(fixture.status().paused, None);
    assert_eq!(fixture.finish().await.0, []);
}

#[tokio::test]
async fn a_sink_that_is_not_there_cannot_be_paused_or_probed() {
    let fixture = Fixture::start(&[], vec![], vec![], quick()).await;
    let nobody = SinkName::new("b");
    assert_eq!(fixture.deliveries.pause(&nobody, pause()).await.unwrap(), None);
    assert_eq!(fixture.deliveries.resume(&nobody).await.unwrap(), None);
    assert_eq!(fixture.deliveries.probe_now(&nobody).await, None);
}

#[tokio::test]
async fn a_probe_says_what_the_sink_says_though_deliveries_go_out() {
    let fixture = Fixture::start(&[], vec![], vec![Err(down("wrong\u{7} password")), Ok(())], quick()).await;
    let reason = "wrong  password".to_owned();
    assert_eq!(fixture.deliveries.probe_now(&name()).await, Some(Probed::Down { reason }));
    assert_eq!(fixture.status().breaker, Breaker::Closed, "the next delivery will show");
    assert!(matches!(fixture.deliveries.probe_now(&name()).await, Some(Probed::Up { .. })));
}

#[tokio::test]
async fn a_probe_that_succeeds_has_deliveries_go_out_again() {
    let refused = SinkDown { reason: "refused".into(), after: Some(Duration::from_secs(3600)) };
    let script: Vec<Answer> = vec![Box::new(|_| Err(refused))];
    let delivery = DeliveryConfig { max_probe_interval: Timespan::from_secs(3600), ..quick() };
    let mut fixture = Fixture::start(&["ann"], script, vec![], delivery).await;
    assert_eq!(fixture.call().await, apply(&[("ann", 1)]));
    while fixture.status().breaker == Breaker::Closed {
        tokio::task::yield_now().await;
    }
    assert!(matches!(fixture.deliveries.probe_now(&name()).await, Some(Probed::Up { .. })));
    assert_eq!(fixture.call().await, Call::Probe);
    assert_eq!(fixture.call().await, Call::Probe, "the worker's own");
    assert_eq!(fixture.call().await, apply(&[("ann", 1)]));
}
