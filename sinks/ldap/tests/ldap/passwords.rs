//! First passwords, which nobody knows.

use rolecall_sink_api::Action;
use rolecall_testkit::Slapd;
use serde_json::json;

use crate::fixture::{Daemon, Directory, action, person, rejection, sink, try_sink, user};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_account_gets_a_password_once_and_only_when_that_is_configured() {
    let directory = Directory::start().await;
    let mut daemon = Daemon::default();
    daemon.deliver(&directory.sink(), [user("ada").into()]).await;
    assert_eq!(directory.value(&person("ada"), "userPassword").await, None);

    let mut config = directory.config();
    config["people"]["first_password"] = json!("random");
    let sink = sink(config);
    daemon.deliver(&sink, [user("ada").into(), user("bob").into()]).await;
    assert_eq!(directory.value(&person("ada"), "userPassword").await, None, "it had none, and is not new");
    let first = directory.value(&person("bob"), "userPassword").await;
    assert!(
        first.as_ref().is_some_and(|stored| stored.starts_with("{SSHA}")),
        "the server hashed it: {first:?}"
    );
    daemon.forget();
    assert_eq!(action(&daemon.deliver(&sink, [user("bob").into()]).await[0]), Action::Unchanged);
    assert_eq!(directory.value(&person("bob"), "userPassword").await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_cannot_get_a_password_is_not_left_behind() {
    let policy = ["pwdLockout: TRUE", "pwdMinLength: 500", "pwdCheckQuality: 2"];
    let directory = Directory::with(Slapd::options().password_policy(policy).start().await);
    let mut config = directory.config();
    config["people"]["first_password"] = json!("random");
    let outcomes = Daemon::default().deliver(&sink(config), [user("ada").into()]).await;
    let reason = rejection(&outcomes[0]);
    let expected = format!("set the password of {}: constraintViolation (19)", person("ada"));
    assert!(reason.starts_with(&expected), "{reason}");
    assert_eq!(directory.slapd.entry(&person("ada"), &[]).await, None);
}

#[test]
fn a_file_never_holds_a_password() {
    let mut config = crate::fixture::mapping();
    config["ldif"] = json!({ "path": "/tmp/rolecall-review.ldif" });
    config["people"]["first_password"] = json!("random");
    let error = try_sink(config).err().unwrap();
    assert!(error.starts_with("people.first_password: a file would show"), "{error}");
}
