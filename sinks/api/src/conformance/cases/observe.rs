//! Reading the target back through the sink.

use super::{Case, case};
use crate::conformance::daemon::Daemon;
use crate::conformance::people::{UserExt as _, group, user};
use crate::conformance::report::{Step, Stop};

pub(super) const CASES: &[Case] =
    &[case!(observe_equals_applied, "observe reports exactly what was applied")];

async fn observe_equals_applied(daemon: &mut Daemon<'_>) -> Step {
    let Some(empty) = daemon.observe().await? else {
        return Err(Stop::skipped("the sink cannot read its target"));
    };
    daemon.expect_observed(&empty).map_err(|stop| stop.when("on an empty target"))?;
    let (staff, admins) = (group("staff"), group("admins"));
    let eve = user("eve").within(&[&staff]).with_roles(&["reader"]);
    let all = [
        daemon.want_group(staff.clone()),
        daemon.want_group(admins.clone()),
        daemon.want_user(user("ada").within(&[&staff, &admins]).with_roles(&["admin", "reader"])),
        daemon.want_user(user("bob").within(&[&staff])),
        daemon.want_user(eve.clone()),
        daemon.want_user(user("joe")),
    ];
    daemon.deliver(&all).await?;
    expect(daemon, "after everybody came").await?;
    let [_, admins, ada, bob, ..] = all;
    let later = [
        daemon.want_gone(bob),
        daemon.want_gone(admins),
        daemon.want_user(user("ada").called("Ada Lovelace").within(&[&staff]).with_roles(&["writer"])),
        daemon.want_user(eve.deactivated()),
    ];
    daemon.deliver(&later).await?;
    expect(daemon, "after some changed and some went").await?;
    daemon.want_gone(ada.clone());
    daemon.deliver(std::slice::from_ref(&ada)).await?;
    daemon.want_user(user("ada"));
    daemon.deliver(&[ada]).await?;
    daemon.restart().await?;
    expect(daemon, "after one came back").await
}

async fn expect(daemon: &Daemon<'_>, when: &str) -> Step {
    let observed = daemon.observe().await?.unwrap_or_default();
    daemon.expect_observed(&observed).map_err(|stop| stop.when(when))
}
