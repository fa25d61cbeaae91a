//! What others put into the target.

use super::{Case, case};
use crate::conformance::daemon::Daemon;
use crate::conformance::people::{UserExt as _, group, user};
use crate::conformance::report::{Step, Stop, ensure};

pub(super) const CASES: &[Case] = &[case!(
    unmanaged_is_untouched,
    "what the sink neither made nor was told to adopt is never changed or removed"
)];

async fn unmanaged_is_untouched(daemon: &mut Daemon<'_>) -> Step {
    let twin = user("twin").within(&[&group("staff")]).with_roles(&["reader"]);
    daemon.target.seed_unmanaged(&twin).await?;
    let Some(before) = daemon.target.unmanaged().await? else {
        return Err(Stop::skipped("the test cannot put into the target what is somebody else's"));
    };
    let staff = daemon.want_group(group("staff"));
    let ada = daemon.want_user(user("ada").within(&[&group("staff")]).with_roles(&["reader"]));
    let both = [staff, ada.clone()];
    daemon.deliver(&both).await?;
    daemon.want_user(user("ada").deactivated());
    daemon.deliver(&[ada]).await?;
    unchanged(daemon, &before, "after others' updates").await?;

    // Somebody with the same sign-in name and address: made beside the other, or refused.
    let entity = daemon.want_user(twin);
    daemon.settle(std::slice::from_ref(&entity)).await?;
    unchanged(daemon, &before, "after a user with the same name came").await?;
    daemon.want_gone(entity.clone());
    daemon.settle(&[entity]).await?;
    unchanged(daemon, &before, "after that user went").await?;

    both.iter().for_each(|entity| drop(daemon.want_gone(entity.clone())));
    daemon.deliver(&both).await?;
    unchanged(daemon, &before, "after everybody went").await?;
    if let Some(observed) = daemon.observe().await? {
        daemon.expect_observed(&observed).map_err(|stop| stop.when("observe"))?;
    }
    daemon.expect_held().await
}

async fn unchanged(daemon: &Daemon<'_>, before: &str, when: &str) -> Step {
    let now = daemon.target.unmanaged().await?.unwrap_or_default();
    ensure(now == before, || format!("{when}, what is unmanaged was\n{before}\nand is\n{now}"))
}
