//! The target goes away and comes back.

use std::time::Duration;

use super::{Case, case};
use crate::SinkDown;
use crate::conformance::daemon::Daemon;
use crate::conformance::people::{UserExt as _, group, user};
use crate::conformance::report::{Step, Stop, ensure};

pub(super) const CASES: &[Case] = &[case!(
    down_and_up_again,
    "a target that cannot be reached is SinkDown, blames no change, and is found again when it is back"
)];

/// How often the probe is asked until the target, which is up, is found.
const PROBES: u32 = 50;

async fn down_and_up_again(daemon: &mut Daemon<'_>) -> Step {
    let staff = daemon.want_group(group("staff"));
    let ada = daemon.want_user(user("ada").within(&[&group("staff")]).with_roles(&["reader"]));
    let all = [staff, ada, daemon.want_user(user("bob"))];
    probe(daemon).await?.map_err(|down| Stop::failed(format!("the probe failed before anything: {down}")))?;
    daemon.deliver(&all).await?;
    if !daemon.target.stop().await? {
        return Err(Stop::skipped("the test cannot take the target down"));
    }
    daemon.want_user(user("ada").called("Ada Lovelace").with_roles(&["admin"]));
    let [_, _, bob] = &all;
    daemon.want_gone(bob.clone());
    let down = while_down(daemon, &all).await;
    // Whatever was found, the next case wants its target back.
    daemon.target.start().await?;
    down?;

    let mut last = None;
    for _ in 0..PROBES {
        match probe(daemon).await? {
            Ok(()) => {
                last = None;
                break;
            }
            Err(down) => last = Some(down),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if let Some(down) = last {
        return Err(Stop::failed(format!("the target is up again, but the probe says: {down}")));
    }
    daemon.deliver(&all).await.map_err(|stop| stop.when("after the target came back"))?;
    daemon.expect_held().await
}

async fn while_down(daemon: &mut Daemon<'_>, all: &[crate::Entity]) -> Step {
    let changes = daemon.batch(all);
    match daemon.apply(&changes).await? {
        Err(down) => says_why(&down)?,
        Ok(outcomes) => {
            return Err(Stop::failed(format!("the target is down, but apply answered {outcomes:?}")));
        }
    }
    match probe(daemon).await? {
        Err(down) => says_why(&down),
        Ok(()) => Err(Stop::failed("the target is down, but the probe succeeded")),
    }
}

fn says_why(down: &SinkDown) -> Step {
    ensure(!down.reason.trim().is_empty(), || "it says that it is down, but not why".into())
}

async fn probe(daemon: &Daemon<'_>) -> Step<Result<(), SinkDown>> {
    tokio::time::timeout(Duration::from_secs(60), daemon.sink()?.probe())
        .await
        .map_err(|_| Stop::failed("probe did not come back within 60 s"))
}
