//! Read-only replicas, which send writers to their provider.

use rolecall_sink_api::Action;
use rolecall_testkit::Slapd;
use serde_json::json;

use crate::fixture::{Daemon, Directory, UserExt as _, action, group, person, sink, team, try_sink, user};

#[tokio::test(flavor = "multi_thread")]
async fn a_referral_is_followed_to_a_server_that_is_allowed_and_no_other() {
    let provider = Directory::with(Slapd::options().provider().start().await);
    let replica = Directory::with(Slapd::options().replica_of(&provider.slapd).start().await);
    let explained = Daemon::default().try_deliver(&replica.sink(), [user("ada").into()]).await.unwrap_err();
    assert!(explained.reason.contains("referral (10)"), "{explained}");
    assert!(explained.reason.contains(&provider.slapd.ldaps_url()), "{explained}");
    assert!(explained.reason.contains("referrals.follow_to"), "{explained}");

    let mut config = replica.config();
    config["referrals"] = json!({ "follow_to": ["ldaps://other.example.com"] });
    let down = Daemon::default().try_deliver(&sink(config.clone()), [user("ada").into()]).await.unwrap_err();
    assert!(down.reason.contains("referral (10)"), "{down}");

    config["referrals"] = json!({ "follow_to": [provider.slapd.ldaps_url()] });
    config["tls"] = json!({ "ca": provider.slapd.ca_path() });
    let (following, mut daemon) = (sink(config), Daemon::default());
    let ada = || user("ada").within(&["staff"]);
    let outcomes = daemon.deliver(&following, [group("staff").into(), ada().into()]).await;
    assert_eq!(outcomes.iter().map(action).collect::<Vec<_>>(), [Action::Created, Action::Created]);
    assert_eq!(provider.values(&team("staff"), "member").await, [person("ada")]);
    assert_eq!(action(&daemon.deliver(&following, [ada().into()]).await[0]), Action::Unchanged);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_referral_never_brings_a_password_into_the_clear() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    config["referrals"] = json!({ "follow_to": ["ldap://provider.example.com"] });
    let error = try_sink(config).err().unwrap();
    assert!(error.starts_with("referrals.follow_to: ") && error.contains("in the clear"), "{error}");
}
