//! How fast people are made, against the fastest way that OpenLDAP's own tools have for it: four `ldapadd` at once.
//! Same entries, same slapd, same run, in turns.
//!
//! `cargo bench -p rolecall-sink-ldap`
#![allow(clippy::unwrap_used, reason = "in a benchmark a panic is the report")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rolecall_sink_api::{
    Change, Document, Group, GroupId, Outcome, Profile, RemoteId, Sink as _, SinkName, User, UserId,
};
use rolecall_sink_ldap::LdapSink;
use rolecall_testkit::{Operations, Slapd};
use serde_json::json;

const PEOPLE: usize = 5_000;
/// Short turns, so that whatever else the machine does slows both alike.
const TURNS: usize = 20;
const PEOPLE_A_TURN: usize = 500;
const TOOLS: usize = 4;
const GROUPS: usize = 20;
const GROUPS_EACH: usize = 10;

#[tokio::main]
async fn main() {
    let slapd = Slapd::start().await;
    let password = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(password.path(), slapd.bind_password()).unwrap();
    let config = json!({
        "url": slapd.ldapi_url(),
        "bind": { "dn": slapd.bind_dn(), "password": { "file": password.path() } },
        "people": { "dn": "uid={{ user.user_name }},ou=people,dc=example,dc=com" },
        "groups": { "dn": "cn={{ group.name }},ou=groups,dc=example,dc=com" },
        "roles": { "dn": "cn={{ role }},ou=roles,dc=example,dc=com" },
    });
    let sink = LdapSink::new(&SinkName::new("bench"), serde_json::from_value(config).unwrap()).unwrap();
    let mut out = std::io::stdout().lock();

    let mut ratios = Vec::new();
    let (mut tools, mut ours) = (Duration::ZERO, Duration::ZERO);
    for turn in 0..TURNS {
        let people: Vec<Change> =
            (0..PEOPLE_A_TURN).map(|n| change(user(&format!("sink{turn}-{n}"), 0))).collect();
        let (tool, our) = (ldapadd(&slapd, turn).await, deliver(&sink, &people).await.0);
        ratios.push(tool.as_secs_f64() / our.as_secs_f64());
        (tools, ours) = (tools + tool, ours + our);
    }
    ratios.sort_by(f64::total_cmp);
    let rate = |took: Duration| (PEOPLE_A_TURN * TURNS) as f64 / took.as_secs_f64();
    let (tools, ours) = (rate(tools), rate(ours));
    writeln!(
        out,
        "new people: sink {ours:.0}/s, {TOOLS} x ldapadd {tools:.0}/s, ratio {:.2} (median of {TURNS} turns: {:.2})",
        ours / tools,
        ratios[TURNS / 2]
    )
    .unwrap();

    let groups: Vec<Change> = (0..GROUPS).map(|n| change(Document::Group(group(n)))).collect();
    deliver(&sink, &groups).await;
    let before = slapd.operations().await;
    let people: Vec<Change> = (0..PEOPLE).map(|n| change(user(&format!("member{n}"), GROUPS_EACH))).collect();
    let (took, remotes) = deliver(&sink, &people).await;
    let Operations { adds, modifies, .. } = slapd.operations().await - before;
    writeln!(
        out,
        "{PEOPLE} new people, each in {GROUPS_EACH} of {GROUPS} groups: {adds} adds and {modifies} modifies in {:.1} s",
        took.as_secs_f64()
    )
    .unwrap();

    let again: Vec<Change> = people
        .into_iter()
        .zip(remotes)
        .map(|(change, remote)| Change { applied: change.desired.clone(), remote, ..change })
        .collect();
    let before = slapd.operations().await;
    let (took, _) = deliver(&sink, &again).await;
    let operations = slapd.operations().await - before;
    writeln!(
        out,
        "the same {PEOPLE} again, nothing changed: {} writes in {:.1} s",
        operations.adds + operations.modifies + operations.renames + operations.deletes,
        took.as_secs_f64()
    )
    .unwrap();
}

/// Adds people with several `ldapadd` at once.
async fn ldapadd(slapd: &Slapd, turn: usize) -> Duration {
    let mut files = vec![String::new(); TOOLS];
    for n in 0..PEOPLE_A_TURN {
        let id = format!("tool{turn}-{n}");
        write!(
            files[n % TOOLS],
            "dn: uid={id},ou=people,dc=example,dc=com\nobjectClass: top\nobjectClass: person\n\
             objectClass: organizationalPerson\nobjectClass: inetOrgPerson\ncn: {id} Example\nsn: Example\n\
             displayName: {id} Example\nmail: {id}@example.com\nuid: {id}\n\
             businessCategory: rolecall:user:{id}\n\n"
        )
        .unwrap();
    }
    let started = Instant::now();
    join_all(files.iter().map(|file| slapd.add_ldif(file))).await;
    started.elapsed()
}

/// Delivers in batches of the size that the sink asks for.
async fn deliver(sink: &LdapSink, changes: &[Change]) -> (Duration, Vec<Option<RemoteId>>) {
    let mut remotes = Vec::new();
    let started = Instant::now();
    for batch in changes.chunks(sink.batch() as usize) {
        for outcome in sink.apply(batch).await.unwrap() {
            match outcome {
                Outcome::Applied { remote, .. } => remotes.push(remote),
                other => unreachable!("everything goes through: {other:?}"),
            }
        }
    }
    (started.elapsed(), remotes)
}

fn user(id: &str, groups: usize) -> Document {
    let first = id.len() * 7 + id.bytes().map(usize::from).sum::<usize>();
    let groups = (0..groups).map(|n| group((first + n) % GROUPS)).map(|group| (group.id, group.name));
    Document::User(Box::new(User {
        id: UserId::new(id),
        organization: None,
        active: true,
        profile: Profile {
            user_name: Some(id.to_owned()),
            email: Some(format!("{id}@example.com")),
            display_name: Some(format!("{id} Example")),
            family_name: Some("Example".to_owned()),
            ..Profile::default()
        },
        groups: groups.collect(),
        roles: [].into(),
    }))
}

fn group(n: usize) -> Group {
    Group {
        id: GroupId::new(format!("g{n}")),
        organization: None,
        name: format!("Group {n}"),
        external_id: None,
    }
}

fn change(document: Document) -> Change {
    let entity = document.entity();
    Change {
        idempotency_key: format!("bench/{entity}"),
        entity,
        desired: Some(document),
        applied: None,
        attempted: None,
        remote: None,
        generation: 1,
        attempt: 1,
    }
}
