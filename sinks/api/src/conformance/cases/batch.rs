//! Many changes in one call.

use super::{Case, case};
use crate::conformance::daemon::Daemon;
use crate::conformance::people::{UserExt as _, group, user};
use crate::conformance::report::{Step, Stop, ensure};
use crate::{Action, Entity, Outcome, User};

pub(super) const CASES: &[Case] = &[
    case!(outcomes_in_order, "outcomes are one per change, in the order of the changes"),
    case!(leavers_in_a_batch, "leavers, joiners, new and old groups may come in one batch"),
    case!(
        one_refused_change,
        "a change that the target refuses is rejected, and the others of its batch go through"
    ),
    case!(large_batch, "a large batch goes through, and again without an effect"),
];

async fn outcomes_in_order(daemon: &mut Daemon<'_>) -> Step {
    let old: Vec<Entity> = ["old1", "old2", "old3"].map(|id| daemon.want_user(user(id))).to_vec();
    daemon.deliver(&old).await?;
    old.iter().for_each(|entity| drop(daemon.want_gone(entity.clone())));
    let new: Vec<Entity> = ["a", "b", "c", "d", "e"].map(|id| daemon.want_user(user(id))).to_vec();
    let outcomes = daemon.deliver(&[old, new.clone()].concat()).await?;
    for (entity, outcome) in &outcomes {
        let Outcome::Applied { action, .. } = outcome else { continue };
        let right = if new.contains(entity) {
            matches!(action, Action::Created | Action::Updated)
        } else {
            matches!(action, Action::Deleted)
        };
        ensure(right, || format!("the outcome for {entity} says {action}"))?;
    }
    daemon.expect_held().await?;
    // Each outcome's remote id is that of its own change: an update finds the right user by it.
    for id in ["d", "a", "e"] {
        let entity = daemon.want_user(user(id).called(&format!("{id} the second")));
        daemon.deliver(&[entity]).await?;
        daemon.expect_held().await.map_err(|stop| stop.when(format!("after an update of {id}")))?;
    }
    Ok(())
}

async fn leavers_in_a_batch(daemon: &mut Daemon<'_>) -> Step {
    let (staff, old, new) = (group("staff"), group("old"), group("new"));
    let ada = user("ada").within(&[&staff, &old]).with_roles(&["admin"]);
    let first = [
        daemon.want_group(staff.clone()),
        daemon.want_group(old.clone()),
        daemon.want_user(ada.clone()),
        daemon.want_user(user("bob").within(&[&old]).with_roles(&["reader"])),
        daemon.want_user(user("eve").within(&[&staff, &old])),
    ];
    daemon.deliver(&first).await?;
    let [_, old_group, _, bob, _] = first;
    let second = [
        daemon.want_user(ada.within(&[&staff]).deactivated()),
        daemon.want_gone(bob),
        daemon.want_user(user("eve").within(&[&staff, &new]).with_roles(&["admin"])),
        daemon.want_user(user("joe").within(&[&new]).with_roles(&["reader"])),
        daemon.want_group(new),
        daemon.want_gone(old_group),
    ];
    daemon.deliver(&second).await?;
    daemon.expect_held().await
}

async fn one_refused_change(daemon: &mut Daemon<'_>) -> Step {
    let staff = group("staff");
    let mia: User = user("mia").within(&[&staff]).with_roles(&["reader"]);
    let Some(refused) = daemon.target.refused(mia.clone()) else {
        return Err(Stop::skipped("the test names nothing that the target refuses"));
    };
    let leaver = daemon.want_user(user("leaver").with_roles(&["admin"]));
    let old = daemon.want_group(group("old"));
    daemon.deliver(&[leaver.clone(), old.clone()]).await?;
    let bad = daemon.want_user(refused);
    let batch = [
        daemon.want_gone(leaver),
        daemon.want_group(staff.clone()),
        daemon.want_user(user("ada").within(&[&staff]).with_roles(&["admin"])),
        bad.clone(),
        daemon.want_user(user("zoe").within(&[&staff]).with_roles(&["reader"])),
        daemon.want_gone(old),
    ];
    let outcomes = daemon.settle(&batch).await?;
    for (entity, outcome) in &outcomes {
        match outcome {
            Outcome::Reject { reason } if *entity == bad => {
                ensure(!reason.trim().is_empty(), || format!("{entity} was rejected without a reason"))?;
            }
            Outcome::Applied { .. } if *entity != bad => {}
            outcome => return Err(Stop::failed(format!("the outcome for {entity} is {outcome:?}"))),
        }
    }
    daemon.expect_held().await?;
    daemon.want_user(mia);
    daemon.deliver(&[bad]).await.map_err(|stop| stop.when("after what was refused was mended"))?;
    daemon.expect_held().await.map_err(|stop| stop.when("after what was refused was mended"))
}

async fn large_batch(daemon: &mut Daemon<'_>) -> Step {
    let size = daemon.capabilities().large_batch;
    let groups: Vec<_> = (0..size.div_ceil(20)).map(|n| group(&format!("group{n}"))).collect();
    let mut entities: Vec<Entity> = groups.iter().map(|group| daemon.want_group(group.clone())).collect();
    for n in 0..size - groups.len() {
        let within = [&groups[n % groups.len()], &groups[(n / 2) % groups.len()]];
        let roles: &[&str] = if n % 3 == 0 { &["reader", "writer"] } else { &["reader"] };
        entities.push(daemon.want_user(user(&format!("user{n}")).within(&within).with_roles(roles)));
    }
    daemon.deliver(&entities).await?;
    daemon.expect_held().await?;
    entities.iter().for_each(|entity| daemon.lose_confirmation(entity));
    daemon.deliver(&entities).await?;
    daemon.expect_held().await.map_err(|stop| stop.when("the same batch again, never noted"))
}
