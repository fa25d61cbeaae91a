//! Connections: protected, bound, lost and found again.

use std::future::{Future as _, poll_fn};
use std::task::Poll;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use rolecall_sink_api::{Action, Observed, Sink as _};
use rolecall_testkit::{CertificateAuthority, Slapd};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::fixture::{
    Daemon, Directory, UserExt as _, Wanted, action, person, rejection, retry, sink, try_sink, user,
};

fn at(directory: &Directory, changes: Value) -> Value {
    let mut config = directory.config();
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn ldaps_and_start_tls_work_with_the_right_authority() {
    let directory = Directory::with(Slapd::options().encrypted_only().start().await);
    let ca = json!({ "ca": directory.slapd.ca_path() });
    let ldaps = at(&directory, json!({ "url": directory.slapd.ldaps_url(), "tls": ca }));
    let start_tls = at(&directory, json!({ "url": directory.slapd.url(), "start_tls": true, "tls": ca }));
    let mut daemon = Daemon::default();
    for (config, done) in [(ldaps, Action::Created), (start_tls, Action::Unchanged)] {
        let sink = sink(config);
        sink.probe().await.unwrap();
        assert_eq!(action(&daemon.deliver(&sink, [user("ada").into()]).await[0]), done);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tls_error_is_called_one() {
    let directory = Directory::start().await;
    let other = tempfile::tempdir().unwrap();
    let ca = other.path().join("ca.pem");
    std::fs::write(&ca, CertificateAuthority::new().pem()).unwrap();
    let tls = json!({ "ca": ca });
    for config in [
        at(&directory, json!({ "url": directory.slapd.ldaps_url(), "tls": tls })),
        at(&directory, json!({ "url": directory.slapd.url(), "start_tls": true, "tls": tls })),
    ] {
        let reason = sink(config).probe().await.unwrap_err().reason;
        assert!(reason.contains("TLS: ") && reason.contains("name the right one in tls.ca"), "{reason}");
    }
    // TLS on the port without it.
    let wrong = directory.slapd.url().replace("ldap:", "ldaps:");
    let reason = sink(at(&directory, json!({ "url": wrong, "tls": tls }))).probe().await.unwrap_err().reason;
    assert!(reason.contains("TLS: "), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_the_sinks_trouble_and_no_changes() {
    let directory = Directory::start().await;
    let wrong = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(wrong.path(), "wrong").unwrap();
    let bind = json!({ "dn": directory.slapd.bind_dn(), "password": { "file": wrong.path() } });
    let sink = sink(at(&directory, json!({ "bind": bind })));
    let down = Daemon::default().try_deliver(&sink, [user("ada").into()]).await.unwrap_err();
    assert!(
        down.reason.contains("bind as cn=rolecall") && down.reason.contains("invalidCredentials (49)"),
        "{down}"
    );
    assert!(!down.reason.contains("wrong"), "{down}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_does_not_go_over_a_plain_connection_unless_that_is_said() {
    let directory = Directory::start().await;
    let plain = at(&directory, json!({ "url": directory.slapd.url() }));
    let error = try_sink(plain.clone()).err().unwrap();
    assert!(error.starts_with("url: ") && error.contains("in the clear"), "{error}");
    let mut allowed = plain;
    allowed["allow_plaintext_password"] = json!(true);
    sink(allowed).probe().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_wants_encryption_says_so() {
    let directory = Directory::with(Slapd::options().encrypted_only().start().await);
    let config = at(&directory, json!({ "url": directory.slapd.url(), "allow_plaintext_password": true }));
    let reason = sink(config).probe().await.unwrap_err().reason;
    assert!(reason.contains("confidentialityRequired (13)"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_server_is_tried_when_one_cannot_be_reached() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    config["url"] = Value::Null;
    config["urls"] = json!(["ldapi://%2Fnowhere", directory.slapd.ldapi_url()]);
    sink(config).probe().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_is_down_and_found_again() {
    let mut directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    daemon.deliver(&sink, [user("ada").into()]).await;
    directory.slapd.stop().await;
    let down = daemon.try_deliver(&sink, [user("bob").into()]).await.unwrap_err();
    assert!(down.reason.contains(&directory.slapd.ldapi_url()), "{down}");
    directory.slapd.restart().await;
    assert_eq!(action(&daemon.deliver(&sink, [user("bob").into()]).await[0]), Action::Created);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_server_is_down_in_time_and_found_again() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    config["operation_timeout"] = json!("300ms");
    config["connect_timeout"] = json!("300ms");
    let (sink, mut daemon) = (sink(config), Daemon::default());
    daemon.deliver(&sink, [user("ada").into()]).await;
    directory.slapd.pause();
    for _ in 0..3 {
        let hung = daemon.try_deliver(&sink, [user("ada").into(), user("bob").into()]);
        let down = timeout(Duration::from_secs(60), hung).await.unwrap().unwrap_err();
        assert!(down.reason.contains("_timeout"), "{down}");
    }
    directory.slapd.resume();
    sink.probe().await.unwrap();
    let outcomes = daemon.deliver(&sink, [user("bob").into()]).await;
    assert_eq!(action(&outcomes[0]), Action::Created);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_may_not_write_at_all_is_the_sinks_trouble() {
    let directory = Directory::with(Slapd::options().read_only().start().await);
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    let down = daemon.try_deliver(&sink, [user("ada").into(), user("bob").into()]).await.unwrap_err();
    assert!(down.reason.contains("allows no write at all"), "{down}");
    assert!(down.reason.contains("insufficientAccessRights (50)"), "{down}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_may_not_be_written_is_refused_alone() {
    let rule = "to dn.exact=uid=ada,ou=people,dc=example,dc=com by * read";
    let directory = Directory::with(Slapd::options().access(rule).start().await);
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    let outcomes = daemon.deliver(&sink, [user("ada").into(), user("bob").into()]).await;
    let reason = rejection(&outcomes[0]);
    assert!(reason.contains("insufficientAccessRights (50)"), "{reason}");
    assert_eq!(action(&outcomes[1]), Action::Created);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_parent_is_named() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    config["people"]["dn"] = json!("uid={{ user.user_name }},ou=nowhere,dc=example,dc=com");
    let outcomes = Daemon::default().deliver(&sink(config), [user("ada").into()]).await;
    let reason = retry(&outcomes[0]);
    assert!(
        reason.contains("noSuchObject (32)") && reason.contains("only dc=example,dc=com exists"),
        "{reason}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_restarted_between_two_batches_is_connected_to_again() {
    let mut directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    daemon.deliver(&sink, [user("ada").into()]).await;
    directory.slapd.restart().await;
    assert_eq!(action(&daemon.deliver(&sink, [user("bob").into()]).await[0]), Action::Created);
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_observed_however_many_they_are() {
    let directory = Directory::start().await;
    let everybody = 1_200;
    let people = (0..everybody).map(|n| {
        format!(
            "dn: {}\nobjectClass: inetOrgPerson\ncn: u{n}\nsn: u{n}\nbusinessCategory: rolecall:user:u{n}\n\n",
            person(&format!("u{n}"))
        )
    });
    directory.slapd.add_ldif(&people.collect::<String>()).await;
    let sink = directory.sink();
    let observed: Vec<Observed> = sink.observe().unwrap().try_collect().await.unwrap();
    assert_eq!(observed.len(), everybody);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_batch_that_was_cut_off_had_sent_does_not_undo_the_next() {
    let directory = Directory::start().await;
    // Much under way at once: a server that has all that to do is not done with it when the next batch comes.
    let (sink, mut daemon) = (sink(at(&directory, json!({ "in_flight": 256 }))), Daemon::default());
    let people: Vec<_> = (0..100).map(|n| user(&format!("u{n}"))).collect();
    let active = || people.iter().cloned().map(Wanted::from);
    let inactive = || people.iter().cloned().map(|user| user.deactivated().into());
    daemon.deliver(&sink, active()).await;
    for polls in (6..36).step_by(2) {
        // Dropped after so many steps, with requests under way.
        let mut cut_off = Box::pin(daemon.try_deliver(&sink, inactive()));
        let mut left = polls;
        poll_fn(|context| {
            left -= 1;
            match cut_off.as_mut().poll(context) {
                Poll::Pending if left > 0 => Poll::Pending,
                _ => Poll::Ready(()),
            }
        })
        .await;
        drop(cut_off);
        daemon.deliver(&sink, active()).await;
        let locked =
            directory.slapd.search("ou=people,dc=example,dc=com", "(pwdAccountLockedTime=*)", &["1.1"]).await;
        assert_eq!(locked, [], "cut off after {polls} steps");
    }
}
