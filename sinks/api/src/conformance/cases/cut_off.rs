//! Calls that are dropped before they end, as on shutdown, or whose outcomes are lost.

use super::{Case, case};
use crate::Entity;
use crate::conformance::daemon::Daemon;
use crate::conformance::people::{UserExt as _, group, user};
use crate::conformance::report::Step;

pub(super) const CASES: &[Case] = &[
    case!(
        cut_off_then_the_same,
        "a call may be dropped at any point; the same changes then lead to the same state"
    ),
    case!(
        cut_off_then_something_newer,
        "after a call was dropped, newer changes leave nothing behind of what it had begun"
    ),
    case!(
        attempts_that_nobody_confirmed,
        "what an attempt left that was never confirmed is taken back when something newer is wanted"
    ),
];

/// After how many polls the call is dropped: from at once to somewhere in the middle.
const POLLS: [usize; 8] = [0, 1, 2, 3, 5, 8, 13, 21];

fn first(daemon: &mut Daemon<'_>, round: usize) -> Vec<Entity> {
    let (staff, admins) = (group(&format!("staff{round}")), group(&format!("admins{round}")));
    vec![
        daemon.want_group(staff.clone()),
        daemon.want_group(admins.clone()),
        daemon.want_user(user(&format!("ada{round}")).within(&[&staff]).with_roles(&["reader"])),
        daemon.want_user(user(&format!("bob{round}")).within(&[&staff, &admins]).with_roles(&["admin"])),
        daemon.want_user(user(&format!("eve{round}"))),
    ]
}

async fn cut_off_then_the_same(daemon: &mut Daemon<'_>) -> Step {
    for (round, polls) in POLLS.into_iter().enumerate() {
        let when = format!("dropped after {polls} polls");
        let entities = first(daemon, round);
        daemon.cut_off(&entities, polls).await?;
        if round % 2 == 1 {
            daemon.restart().await?;
        }
        daemon.deliver(&entities).await.map_err(|stop| stop.when(&when))?;
        daemon.expect_held().await.map_err(|stop| stop.when(&when))?;
    }
    Ok(())
}

async fn cut_off_then_something_newer(daemon: &mut Daemon<'_>) -> Step {
    for (round, polls) in POLLS.into_iter().enumerate() {
        let when = format!("dropped after {polls} polls");
        let entities = first(daemon, round);
        daemon.deliver(&entities).await?;
        let (staff, admins) = (group(&format!("staff{round}")), group(&format!("admins{round}")));
        let (ada, bob) = (format!("ada{round}"), format!("bob{round}"));
        daemon.want_user(user(&ada).within(&[&staff, &admins]).with_roles(&["reader", "admin"]));
        daemon.want_user(user(&bob).deactivated());
        daemon.want_gone(entities[4].clone());
        let joe = daemon.want_user(user(&format!("joe{round}")).within(&[&admins]).with_roles(&["admin"]));
        let entities = [&entities[..], &[joe]].concat();
        daemon.cut_off(&entities, polls).await?;

        daemon.want_user(user(&ada).within(&[&staff]).with_roles(&["reader"]));
        daemon.want_user(user(&bob).within(&[&staff]).with_roles(&["reader"]));
        daemon.want_user(user(&format!("eve{round}")));
        daemon.want_user(user(&format!("joe{round}")));
        daemon.deliver(&entities).await.map_err(|stop| stop.when(&when))?;
        daemon.expect_held().await.map_err(|stop| stop.when(&when))?;
    }
    Ok(())
}

async fn attempts_that_nobody_confirmed(daemon: &mut Daemon<'_>) -> Step {
    let (staff, admins) = (group("staff"), group("admins"));
    let mut all = vec![
        daemon.want_group(staff.clone()),
        daemon.want_group(admins.clone()),
        daemon.want_user(user("ada").within(&[&staff]).with_roles(&["reader"])),
        daemon.want_user(user("bob").within(&[&staff]).with_roles(&["reader"])),
        daemon.want_user(user("eve").within(&[&staff]).with_roles(&["reader"])),
    ];
    daemon.deliver(&all).await?;

    daemon.want_user(user("ada").within(&[&staff, &admins]).with_roles(&["reader", "admin"]));
    daemon.want_user(user("bob").within(&[&staff]).deactivated());
    daemon.want_gone(all[4].clone());
    all.push(daemon.want_user(user("joe").within(&[&admins]).with_roles(&["admin"])));
    all.push(daemon.want_user(user("zoe").within(&[&admins]).with_roles(&["admin"])));
    daemon.attempt_unnoted(&all).await?;
    daemon.restart().await?;
    // A second that is lost too must not make the first forgotten.
    daemon.want_user(user("ada").within(&[&staff]).with_roles(&["writer"]));
    daemon.want_user(user("bob").within(&[&staff]).with_roles(&["writer"]));
    daemon.want_user(user("eve").within(&[&admins]).with_roles(&["writer"]));
    daemon.attempt_unnoted(&all).await?;
    daemon.restart().await?;

    daemon.want_user(user("ada").within(&[&staff]).with_roles(&["reader"]).called("Ada Lovelace"));
    daemon.want_user(user("bob").within(&[&staff]).with_roles(&["reader"]).called("Bob again"));
    daemon.want_user(user("eve").within(&[&staff]).with_roles(&["reader"]).called("Eve again"));
    daemon.want_user(user("joe"));
    let zoe = all[6].clone();
    daemon.want_gone(zoe);
    daemon.deliver(&all).await?;
    daemon.expect_held().await
}
