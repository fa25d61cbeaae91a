//! What things cost a server: requests and bytes, counted.

use rolecall_sink_api::{Action, Outcome, Sink};
use rolecall_testkit::Operations;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::fixture::{Daemon, Directory, UserExt as _, Wanted, action, group, person, sink, team, user};

const PEOPLE: usize = 5_000;
const GROUPS: usize = 20;
const GROUPS_EACH: usize = 10;

/// Each in half of the groups.
fn members() -> Vec<Wanted> {
    let names: Vec<String> = (0..GROUPS).map(|n| format!("g{n}")).collect();
    let within = |n: usize| (n..n + GROUPS_EACH).map(|n| names[n % GROUPS].as_str()).collect::<Vec<_>>();
    (0..PEOPLE).map(|n| user(&format!("u{n}")).within(&within(n)).into()).collect()
}

async fn deliver_all(daemon: &mut Daemon, sink: &impl Sink, wanted: Vec<Wanted>) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut wanted = wanted.into_iter().peekable();
    while wanted.peek().is_some() {
        let batch: Vec<Wanted> = wanted.by_ref().take(sink.batch() as usize).collect();
        outcomes.extend(daemon.deliver(sink, batch).await);
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_new_members_are_few_modifications_and_a_resync_writes_nothing() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    deliver_all(&mut daemon, &sink, (0..GROUPS).map(|n| group(&format!("g{n}")).into()).collect()).await;

    let before = directory.slapd.operations().await;
    for outcome in deliver_all(&mut daemon, &sink, members()).await {
        assert_eq!(action(&outcome), Action::Created);
    }
    let done = directory.slapd.operations().await - before;
    assert_eq!(done.adds, PEOPLE as u64);
    assert!(done.modifies <= 400, "{done:?}");
    let found = directory.slapd.search(&team("g0"), "(objectClass=*)", &["member"]).await;
    assert_eq!(found[0].values("member").len(), PEOPLE * GROUPS_EACH / GROUPS);

    // With what the daemon knows, and without.
    for _ in 0..2 {
        let before = directory.slapd.operations().await;
        for outcome in deliver_all(&mut daemon, &sink, members()).await {
            assert_eq!(action(&outcome), Action::Unchanged);
        }
        assert_eq!(directory.slapd.operations().await - before, Operations::NONE);
        daemon.forget();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_more_member_of_a_very_large_group_costs_one_value_either_way() {
    let directory = Directory::start().await;
    let mut daemon = Daemon::default();
    daemon.deliver(&directory.sink(), [group("all").into()]).await;
    let members: String = (0..50_000).map(|n| format!("member: cn=other{n},dc=example,dc=com\n")).collect();
    let fill = format!("dn: {}\nchangetype: modify\nadd: member\n{members}", team("all"));
    directory.slapd.modify_ldif(&fill).await;

    let (url, counted) = relay(&directory.slapd.url()).await;
    let mut config = directory.config();
    config["url"] = json!(url);
    config["allow_plaintext_password"] = json!(true);
    let outcomes = {
        let sink = sink(config);
        let mut outcomes = daemon.deliver(&sink, [user("ada").within(&["all"]).into()]).await;
        outcomes.extend(daemon.deliver(&sink, [group("all").into()]).await);
        outcomes.extend(daemon.deliver(&sink, [user("ada").into()]).await);
        outcomes
    };
    let (sent, received) = counted.await.unwrap();
    let actions: Vec<Action> = outcomes.iter().map(action).collect();
    assert_eq!(actions, [Action::Created, Action::Unchanged, Action::Updated]);
    // All the members are two megabytes. The schema, which each connection reads once, is seventy thousand bytes.
    assert!(sent < 10_000 && received < 100_000, "sent {sent}, received {received} bytes");
    assert!(!directory.values(&team("all"), "member").await.contains(&person("ada")));
}

/// Passes on what one connection to `server` says, both ways. Returns its own URL, and what it has counted once the
/// connection is closed: bytes to the server and back.
async fn relay(server: &str) -> (String, oneshot::Receiver<(u64, u64)>) {
    let server = server.strip_prefix("ldap://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ldap://{}", listener.local_addr().unwrap());
    let (counted, count) = oneshot::channel();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = TcpStream::connect(server).await.unwrap();
        let bytes = tokio::io::copy_bidirectional(&mut client, &mut server).await.unwrap();
        counted.send(bytes).unwrap();
    });
    (url, count)
}
