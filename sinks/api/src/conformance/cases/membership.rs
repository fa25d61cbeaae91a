//! Users, groups and roles, and the orders in which they come.

use super::{Case, case};
use crate::conformance::daemon::Daemon;
use crate::conformance::people::{UserExt as _, group, user};
use crate::conformance::report::{Step, Stop, ensure};
use crate::conformance::target::Groups;
use crate::{Group, OrganizationId, Outcome};

pub(super) const CASES: &[Case] = &[
    case!(membership_comes_and_goes, "a user is in exactly the groups desired"),
    case!(roles_come_and_go, "a user has exactly the roles desired"),
    case!(group_and_user_in_one_batch, "a group and its first member may come in one batch"),
    case!(
        group_comes_after_its_member,
        "a user may name a group whose change comes later; when it has come, they are in it"
    ),
    case!(
        what_waits_for_its_group_is_made_once,
        "what was made before the rest had to wait is known by its id, also after a restart"
    ),
    case!(group_goes_before_its_members, "a group that goes takes its memberships along and nobody else's"),
    case!(user_names_a_group_that_is_gone, "a user who names a group that is gone keeps all else"),
    case!(group_is_renamed, "a renamed group is the same group, with the same members"),
    case!(two_groups_of_one_name, "two groups of the same name are held apart, or the second is rejected"),
    case!(last_member_leaves, "a group without members is still a group"),
];

fn needs_groups(daemon: &Daemon<'_>) -> Step {
    match daemon.capabilities().groups {
        Groups::None => Err(Stop::skipped("the target keeps no groups")),
        Groups::Entities | Groups::OnUsers => Ok(()),
    }
}

async fn membership_comes_and_goes(daemon: &mut Daemon<'_>) -> Step {
    needs_groups(daemon)?;
    let (a, b, c) = (group("a"), group("b"), group("c"));
    let groups = [&a, &b, &c].map(|group| daemon.want_group(group.clone()));
    let bob = daemon.want_user(user("bob").within(&[&a, &b, &c]));
    daemon.deliver(&[&groups[..], std::slice::from_ref(&bob)].concat()).await?;
    for within in [vec![], vec![&a], vec![&a, &b], vec![&c], vec![&b, &c], vec![]] {
        let names: Vec<&str> = within.iter().map(|group| group.id.as_str()).collect();
        let ada = daemon.want_user(user("ada").within(&within));
        daemon.deliver(&[ada]).await?;
        daemon.expect_held().await.map_err(|stop| stop.when(format!("ada in {names:?}")))?;
    }
    Ok(())
}

async fn roles_come_and_go(daemon: &mut Daemon<'_>) -> Step {
    if !daemon.capabilities().roles {
        return Err(Stop::skipped("the target keeps no roles"));
    }
    let bob = daemon.want_user(user("bob").with_roles(&["reader", "writer", "admin"]));
    daemon.deliver(&[bob]).await?;
    for roles in [&[][..], &["reader"], &["reader", "writer"], &["admin"], &["writer", "admin"], &[]] {
        let ada = daemon.want_user(user("ada").with_roles(roles));
        daemon.deliver(&[ada]).await?;
        daemon.expect_held().await.map_err(|stop| stop.when(format!("ada with roles {roles:?}")))?;
    }
    Ok(())
}

async fn group_and_user_in_one_batch(daemon: &mut Daemon<'_>) -> Step {
    let staff = daemon.want_group(group("staff"));
    let ada = daemon.want_user(user("ada").within(&[&group("staff")]));
    daemon.deliver(&[staff, ada]).await?;
    daemon.expect_held().await
}

async fn group_comes_after_its_member(daemon: &mut Daemon<'_>) -> Step {
    needs_groups(daemon)?;
    let ada = daemon.want_user(user("ada").within(&[&group("late")]).with_roles(&["reader"]));
    // Whether the sink notes the membership, makes the group or asks to try again is its own affair.
    let first = daemon.attempt(std::slice::from_ref(&ada)).await?;
    let late = daemon.want_group(group("late"));
    for (entity, outcome) in first {
        match outcome {
            Outcome::Applied { .. } => daemon.deliver(std::slice::from_ref(&late)).await?,
            Outcome::Retry { .. } => daemon.deliver(&[late.clone(), ada.clone()]).await?,
            Outcome::Reject { reason } => {
                return Err(Stop::failed(format!("{entity} was rejected for its group: {reason}")));
            }
        };
    }
    daemon.expect_held().await
}

async fn what_waits_for_its_group_is_made_once(daemon: &mut Daemon<'_>) -> Step {
    needs_groups(daemon)?;
    let all = [daemon.want_user(user("ada").within(&[&group("late")]))];
    daemon.attempt(&all).await?;
    daemon.restart().await?;
    // While they wait, something else is wanted of them.
    daemon.want_user(user("ada").within(&[&group("late")]).called("Ada Lovelace"));
    daemon.attempt(&all).await?;
    daemon.restart().await?;
    let late = daemon.want_group(group("late"));
    daemon.deliver(&[&[late], &all[..]].concat()).await?;
    daemon.expect_held().await
}

async fn group_goes_before_its_members(daemon: &mut Daemon<'_>) -> Step {
    needs_groups(daemon)?;
    let (staff, old) = (group("staff"), group("old"));
    let groups = [daemon.want_group(staff.clone()), daemon.want_group(old.clone())];
    let ada = daemon.want_user(user("ada").within(&[&staff, &old]).with_roles(&["reader"]));
    let bob = daemon.want_user(user("bob").within(&[&old]));
    daemon.deliver(&[&groups[..], &[ada.clone(), bob.clone()]].concat()).await?;
    let gone = daemon.want_gone(groups[1].clone());
    daemon.deliver(&[gone]).await?;
    daemon.expect_held().await.map_err(|stop| stop.when("after the group went"))?;
    daemon.want_user(user("ada").within(&[&staff]).with_roles(&["reader"]));
    daemon.want_user(user("bob"));
    daemon.deliver(&[ada, bob]).await?;
    daemon.expect_held().await.map_err(|stop| stop.when("after its members heard of it"))
}

async fn user_names_a_group_that_is_gone(daemon: &mut Daemon<'_>) -> Step {
    needs_groups(daemon)?;
    let (staff, old) = (group("staff"), group("old"));
    let groups = [daemon.want_group(staff.clone()), daemon.want_group(old.clone())];
    daemon.deliver(&groups).await?;
    let gone = daemon.want_gone(groups[1].clone());
    daemon.deliver(&[gone]).await?;
    let ada = daemon.want_user(user("ada").within(&[&staff, &old]).with_roles(&["reader"]));
    for (entity, outcome) in daemon.attempt(std::slice::from_ref(&ada)).await? {
        ensure(!matches!(outcome, Outcome::Reject { .. }), || {
            format!("{entity} was refused for a group that is gone: {outcome:?}")
        })?;
    }
    daemon.want_user(user("ada").within(&[&staff]).with_roles(&["reader"]));
    daemon.deliver(&[ada]).await?;
    daemon.expect_held().await
}

async fn group_is_renamed(daemon: &mut Daemon<'_>) -> Step {
    needs_groups(daemon)?;
    let staff = group("staff");
    let ada = daemon.want_user(user("ada").within(&[&staff]));
    let entity = daemon.want_group(staff.clone());
    daemon.deliver(&[ada.clone(), entity.clone()]).await?;
    let renamed = Group { name: "Everybody".into(), ..staff };
    daemon.want_group(renamed.clone());
    daemon.deliver(&[entity]).await?;
    daemon.expect_held().await.map_err(|stop| stop.when("before its members heard of it"))?;
    daemon.want_user(user("ada").within(&[&renamed]));
    daemon.deliver(&[ada]).await?;
    daemon.expect_held().await.map_err(|stop| stop.when("after its members heard of it"))
}

async fn two_groups_of_one_name(daemon: &mut Daemon<'_>) -> Step {
    needs_groups(daemon)?;
    let ours = Group { name: "Admins".into(), ..group("ours") };
    let theirs = Group { organization: Some(OrganizationId::new("org_2")), ..ours.clone() };
    let theirs =
        Group { id: crate::GroupId::new("theirs"), external_id: Some("ext-theirs".into()), ..theirs };
    let entities = [daemon.want_group(ours.clone()), daemon.want_group(theirs.clone())];
    let outcomes = daemon.settle(&entities).await?;
    let refused = outcomes.values().filter(|outcome| matches!(outcome, Outcome::Reject { .. })).count();
    ensure(refused < 2, || format!("neither was taken: {outcomes:?}"))?;
    if refused == 0 {
        let ada = daemon.want_user(user("ada").within(&[&ours]));
        let bob = daemon.want_user(user("bob").within(&[&theirs]));
        daemon.deliver(&[ada, bob]).await?;
    }
    daemon.expect_held().await
}

async fn last_member_leaves(daemon: &mut Daemon<'_>) -> Step {
    needs_groups(daemon)?;
    let staff = daemon.want_group(group("staff"));
    let ada = daemon.want_user(user("ada").within(&[&group("staff")]));
    daemon.deliver(&[staff, ada.clone()]).await?;
    daemon.want_gone(ada.clone());
    daemon.deliver(&[ada]).await?;
    daemon.expect_held().await.map_err(|stop| stop.when("after the last member left"))?;
    let bob = daemon.want_user(user("bob").within(&[&group("staff")]));
    daemon.deliver(&[bob]).await?;
    daemon.expect_held().await.map_err(|stop| stop.when("after somebody joined again"))
}
