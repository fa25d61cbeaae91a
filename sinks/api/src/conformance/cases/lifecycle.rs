//! One user or group from first to last.

use super::{Case, case};
use crate::conformance::daemon::{Daemon, LONGEST_WAIT, MAX_ATTEMPTS};
use crate::conformance::people::{UserExt as _, group, group_entity, user, user_entity};
use crate::conformance::report::{Step, ensure};
use crate::conformance::target::Inactive;
use crate::{Action, Outcome};

pub(super) const CASES: &[Case] = &[
    case!(create, "a user and a group that are desired are in the target"),
    case!(update, "what differs between desired and applied is written"),
    case!(
        user_is_renamed,
        "a user with another sign-in name and address is the same user, and somebody else may have the old ones"
    ),
    case!(the_same_change_twice, "a change that comes again leads to the same state"),
    case!(the_same_change_after_a_restart, "a sink keeps nothing in memory that it needs after a restart"),
    case!(
        the_same_change_after_a_crash,
        "a change that was applied but never noted comes again without `applied` and `remote`, and changes nothing"
    ),
    case!(
        an_update_after_a_crash,
        "an update that was applied but never noted comes again with the `applied` from before it"
    ),
    case!(delete, "an entity that is not desired goes, and its neighbours stay"),
    case!(delete_what_was_never_there, "deleting what the target never had is done, not an error"),
    case!(delete_twice, "a delete that comes again is done, whether or not the first was noted"),
    case!(delete_after_a_crash, "a delete whose create was never noted finds what was created"),
    case!(recreate_after_delete, "an entity that comes back is there once, as now desired"),
    case!(deactivate, "an inactive user has no access and no roles"),
    case!(deactivate_twice, "a deactivation that comes again leads to the same state"),
    case!(reactivate, "a user who comes back has access, groups and roles again"),
    case!(create_inactive, "a user who is inactive from the start never has access"),
    case!(delete_inactive, "a deactivated user can be deleted"),
    case!(
        look_again,
        "what is to be looked at again after a delete gives no access meanwhile, and comes to an end"
    ),
];

async fn create(daemon: &mut Daemon<'_>) -> Step {
    let ada = daemon.want_user(user("ada").with_roles(&["reader"]));
    let staff = daemon.want_group(group("staff"));
    let outcomes = daemon.deliver(&[ada, staff]).await?;
    for (entity, outcome) in outcomes {
        ensure(
            matches!(outcome, Outcome::Applied { action: Action::Created | Action::Updated, .. }),
            || format!("{entity} was made, but the outcome is {outcome:?}"),
        )?;
    }
    daemon.expect_held().await
}

async fn update(daemon: &mut Daemon<'_>) -> Step {
    let ada = daemon.want_user(user("ada").with_roles(&["reader"]));
    daemon.deliver(&[ada]).await?;
    let mut changed = user("ada").called("Ada Lovelace").with_roles(&["reader", "admin"]);
    changed.profile.email = Some("ada@lovelace.example".into());
    let ada = daemon.want_user(changed.clone());
    daemon.deliver(std::slice::from_ref(&ada)).await?;
    daemon.expect_held().await.map_err(|stop| stop.when("after an update"))?;
    // An attribute that is not set any more goes too.
    changed.profile.title = Some("Countess".into());
    daemon.want_user(changed.clone());
    daemon.deliver(std::slice::from_ref(&ada)).await?;
    changed.profile.title = None;
    changed.roles.clear();
    daemon.want_user(changed);
    daemon.deliver(&[ada]).await?;
    daemon.expect_held().await.map_err(|stop| stop.when("after the roles went"))
}

async fn user_is_renamed(daemon: &mut Daemon<'_>) -> Step {
    let staff = group("staff");
    let groups = daemon.want_group(staff.clone());
    let ada = user("ada").within(&[&staff]).with_roles(&["reader"]);
    let entity = daemon.want_user(ada.clone());
    daemon.deliver(&[groups, entity.clone()]).await?;
    let mut renamed = ada;
    renamed.profile.user_name = Some("ada.lovelace".into());
    renamed.profile.email = Some("ada.lovelace@example.com".into());
    daemon.want_user(renamed.clone());
    daemon.attempt_unnoted(std::slice::from_ref(&entity)).await?;
    daemon.deliver(std::slice::from_ref(&entity)).await.map_err(|stop| stop.when("renamed again"))?;
    daemon.expect_held().await.map_err(|stop| stop.when("after the new name"))?;

    let mut successor = user("successor").within(&[&staff]).with_roles(&["admin"]);
    successor.profile.user_name = Some("ada".into());
    successor.profile.email = Some("ada@example.com".into());
    let successor = daemon.want_user(successor);
    daemon.deliver(&[successor]).await.map_err(|stop| stop.when("somebody else has the old name"))?;
    daemon.expect_held().await.map_err(|stop| stop.when("somebody else has the old name"))?;
    daemon.want_user(renamed.called("Ada Lovelace"));
    daemon.deliver(std::slice::from_ref(&entity)).await?;
    daemon.want_gone(entity.clone());
    daemon.deliver(&[entity]).await?;
    daemon.expect_held().await.map_err(|stop| stop.when("after the first one went"))
}

async fn the_same_change_twice(daemon: &mut Daemon<'_>) -> Step {
    let staff = daemon.want_group(group("staff"));
    let ada = daemon.want_user(user("ada").within(&[&group("staff")]).with_roles(&["reader"]));
    let both = [staff, ada];
    daemon.deliver(&both).await?;
    let outcomes = daemon.deliver(&both).await?;
    daemon.expect_held().await?;
    for (entity, outcome) in outcomes {
        ensure(
            matches!(outcome, Outcome::Applied { action: Action::Unchanged | Action::Updated, .. }),
            || format!("{entity} was as desired already, but the outcome is {outcome:?}"),
        )?;
    }
    Ok(())
}

async fn the_same_change_after_a_restart(daemon: &mut Daemon<'_>) -> Step {
    let staff = daemon.want_group(group("staff"));
    let ada = daemon.want_user(user("ada").within(&[&group("staff")]).with_roles(&["reader"]));
    let both = [staff, ada];
    daemon.deliver(&both).await?;
    daemon.restart().await?;
    daemon.deliver(&both).await?;
    daemon.expect_held().await?;
    let ada = daemon.want_user(user("ada").called("Ada Lovelace"));
    daemon.deliver(&[ada]).await?;
    daemon.expect_held().await.map_err(|stop| stop.when("after an update by the new sink"))
}

async fn the_same_change_after_a_crash(daemon: &mut Daemon<'_>) -> Step {
    let staff = daemon.want_group(group("staff"));
    let ada = daemon.want_user(user("ada").within(&[&group("staff")]).with_roles(&["reader"]));
    let both = [staff, ada];
    daemon.deliver(&both).await?;
    both.iter().for_each(|entity| daemon.lose_confirmation(entity));
    daemon.restart().await?;
    daemon.deliver(&both).await?;
    daemon.expect_held().await?;
    // What it returned the second time is the same thing, not a copy: an update reaches it.
    daemon.want_user(user("ada").called("Ada Lovelace").within(&[&group("staff")]));
    daemon.deliver(&both).await?;
    daemon.expect_held().await.map_err(|stop| stop.when("after an update"))
}

async fn an_update_after_a_crash(daemon: &mut Daemon<'_>) -> Step {
    let (staff, admins) = (group("staff"), group("admins"));
    let groups = [daemon.want_group(staff.clone()), daemon.want_group(admins.clone())];
    let ada = daemon.want_user(user("ada").within(&[&staff]).with_roles(&["reader"]));
    daemon.deliver(&[&groups[..], std::slice::from_ref(&ada)].concat()).await?;
    daemon.want_user(user("ada").called("Ada Lovelace").within(&[&admins]).with_roles(&["admin"]));
    daemon.attempt_unnoted(std::slice::from_ref(&ada)).await?;
    daemon.restart().await?;
    daemon.deliver(&[ada]).await?;
    daemon.expect_held().await
}

async fn delete(daemon: &mut Daemon<'_>) -> Step {
    let staff = daemon.want_group(group("staff"));
    let admins = daemon.want_group(group("admins"));
    let ada = daemon.want_user(user("ada").within(&[&group("staff")]).with_roles(&["reader"]));
    let bob = daemon.want_user(user("bob").within(&[&group("staff")]).with_roles(&["reader"]));
    daemon.deliver(&[staff, admins.clone(), ada.clone(), bob]).await?;
    daemon.want_gone(ada.clone());
    daemon.want_gone(admins.clone());
    daemon.deliver(&[ada, admins]).await?;
    daemon.expect_held().await
}

async fn delete_what_was_never_there(daemon: &mut Daemon<'_>) -> Step {
    let ada = daemon.want_user(user("ada"));
    let staff = daemon.want_group(group("staff"));
    daemon.deliver(&[ada, staff]).await?;
    let nobody = daemon.want_gone(user_entity("nobody"));
    let nothing = daemon.want_gone(group_entity("nothing"));
    daemon.deliver(&[nobody, nothing]).await?;
    daemon.expect_held().await
}

async fn delete_twice(daemon: &mut Daemon<'_>) -> Step {
    let ada = daemon.want_user(user("ada"));
    let staff = daemon.want_group(group("staff"));
    let both = [ada, staff];
    daemon.deliver(&both).await?;
    both.iter().for_each(|entity| drop(daemon.want_gone(entity.clone())));
    daemon.attempt_unnoted(&both).await?;
    daemon.deliver(&both).await.map_err(|stop| stop.when("the first was not noted"))?;
    daemon.deliver(&both).await.map_err(|stop| stop.when("the first was noted"))?;
    both.iter().for_each(|entity| daemon.lose_confirmation(entity));
    daemon.deliver(&both).await.map_err(|stop| stop.when("nothing was noted"))?;
    daemon.expect_held().await
}

async fn delete_after_a_crash(daemon: &mut Daemon<'_>) -> Step {
    let staff = daemon.want_group(group("staff"));
    let ada = daemon.want_user(user("ada").within(&[&group("staff")]).with_roles(&["reader"]));
    let both = [staff, ada];
    daemon.attempt_unnoted(&both).await?;
    daemon.restart().await?;
    both.iter().for_each(|entity| drop(daemon.want_gone(entity.clone())));
    daemon.deliver(&both).await?;
    daemon.expect_held().await
}

async fn recreate_after_delete(daemon: &mut Daemon<'_>) -> Step {
    let staff = daemon.want_group(group("staff"));
    let ada = daemon.want_user(user("ada").within(&[&group("staff")]).with_roles(&["admin"]));
    let both = [staff, ada];
    daemon.deliver(&both).await?;
    both.iter().for_each(|entity| drop(daemon.want_gone(entity.clone())));
    daemon.deliver(&both).await?;
    daemon.want_group(group("staff"));
    daemon.want_user(user("ada").called("Ada again").with_roles(&["reader"]));
    daemon.deliver(&both).await?;
    daemon.expect_held().await.map_err(|stop| stop.when("after it came back"))?;
    daemon.want_user(user("ada").within(&[&group("staff")]));
    daemon.deliver(&both).await?;
    daemon.expect_held().await.map_err(|stop| stop.when("after an update of what came back"))
}

async fn deactivate(daemon: &mut Daemon<'_>) -> Step {
    let staff = daemon.want_group(group("staff"));
    let ada = user("ada").within(&[&group("staff")]).with_roles(&["reader", "admin"]);
    let both = [staff, daemon.want_user(ada.clone())];
    daemon.deliver(&both).await?;
    daemon.want_user(ada.deactivated());
    daemon.deliver(&both).await?;
    daemon.expect_held().await?;
    let kept = daemon.capabilities().inactive == Inactive::Kept;
    let there = daemon.target.held().await?.users.len();
    ensure(there == usize::from(kept), || format!("{there} users are left, kept: {kept}"))
}

async fn deactivate_twice(daemon: &mut Daemon<'_>) -> Step {
    let ada = user("ada").with_roles(&["reader"]);
    let entity = [daemon.want_user(ada.clone())];
    daemon.deliver(&entity).await?;
    daemon.want_user(ada.deactivated());
    daemon.attempt_unnoted(&entity).await?;
    daemon.deliver(&entity).await.map_err(|stop| stop.when("the first was not noted"))?;
    daemon.deliver(&entity).await.map_err(|stop| stop.when("the first was noted"))?;
    daemon.expect_held().await
}

async fn reactivate(daemon: &mut Daemon<'_>) -> Step {
    let staff = daemon.want_group(group("staff"));
    let ada = user("ada").within(&[&group("staff")]).with_roles(&["reader"]);
    let both = [staff, daemon.want_user(ada.clone())];
    daemon.deliver(&both).await?;
    daemon.want_user(ada.clone().deactivated());
    daemon.deliver(&both).await?;
    daemon.want_user(ada.called("Ada Lovelace").with_roles(&["reader", "writer"]));
    daemon.deliver(&both).await?;
    daemon.expect_held().await
}

async fn create_inactive(daemon: &mut Daemon<'_>) -> Step {
    let ada = daemon.want_user(user("ada").deactivated());
    daemon.deliver(std::slice::from_ref(&ada)).await?;
    daemon.expect_held().await?;
    daemon.want_user(user("ada").with_roles(&["reader"]));
    daemon.deliver(&[ada]).await?;
    daemon.expect_held().await.map_err(|stop| stop.when("after they got access"))
}

async fn delete_inactive(daemon: &mut Daemon<'_>) -> Step {
    let ada = daemon.want_user(user("ada").with_roles(&["reader"]));
    daemon.deliver(std::slice::from_ref(&ada)).await?;
    daemon.want_user(user("ada").deactivated());
    daemon.deliver(std::slice::from_ref(&ada)).await?;
    daemon.want_gone(ada.clone());
    daemon.deliver(&[ada]).await?;
    daemon.expect_held().await
}

async fn look_again(daemon: &mut Daemon<'_>) -> Step {
    let staff = daemon.want_group(group("staff"));
    let ada = user("ada").within(&[&group("staff")]).with_roles(&["reader"]);
    let entity = daemon.want_user(ada.clone());
    daemon.deliver(&[staff, entity.clone()]).await?;
    daemon.want_gone(entity.clone());
    let mut looks = 0;
    loop {
        let outcomes = daemon.deliver(std::slice::from_ref(&entity)).await?;
        let Some(Outcome::Applied { again: Some(again), .. }) = outcomes.get(&entity) else { break };
        if let Some(held) = daemon.target.held().await?.users.get(&ada.id) {
            ensure(!held.active && held.roles.is_empty(), || format!("meanwhile the user is {held:?}"))?;
        }
        // A grace of days is taken on trust.
        if *again > LONGEST_WAIT {
            break;
        }
        looks += 1;
        ensure(looks < MAX_ATTEMPTS, || format!("still to be looked at after {looks} times"))?;
        tokio::time::sleep(*again).await;
    }
    daemon.want_user(ada);
    daemon.deliver(&[entity]).await?;
    daemon.expect_held().await.map_err(|stop| stop.when("after the user came back"))
}
