//! Values from outside that mean something to a database, a directory, a URL or a shell.

use std::collections::BTreeMap;

use super::{Case, case};
use crate::conformance::daemon::Daemon;
use crate::conformance::people::{UserExt as _, group, user};
use crate::conformance::report::{Step, Stop, ensure};
use crate::conformance::target::Groups;
use crate::{Entity, Group, GroupId, Outcome, UserId};

pub(super) const CASES: &[Case] = &[
    case!(hostile_attributes, "any text is held exactly as given, or that one change is rejected"),
    case!(hostile_group_names, "any group name is held exactly as given, or that one change is rejected"),
    case!(hostile_ids, "any id is held exactly as given, or that one change is rejected"),
];

/// Each differs from every other in ways that a target which ignores case or squeezes spaces still sees.
const VALUES: &[&str] = &[
    "O'Brien \"Bob\" `x`",
    "a,b;c=d+e<f>#g",
    "\\ back \\5c \\00 slash",
    "*)(uid=*))(|(uid=*",
    "'; DROP TABLE users; --",
    "{x,\"y\",NULL}",
    "$1 %s %(x)s {{ user.id }} ${HOME}",
    "../../etc/passwd?a=b&c=d#e%2F%00",
    "line one\nline two\r\nHeader: injected",
    "tab\tand bell\u{7}",
    "nul\0inside",
    "  leading and trailing  ",
    "#starts like a hex string",
    "dn: cn=x\n\nchangetype: delete",
    "\u{202e}right to left\u{202c} עברית العربية",
    "emoji 👩‍👩‍👧‍👦 and e\u{301} combined",
    "渡辺 Zoë Łukasz ß İ",
    "\u{feff}byte order mark and \u{200b}zero width",
    "null",
    "=1+1",
];

/// 4 KB of text, of characters that take one to four bytes.
fn long_value() -> String {
    "long ü渡😀 text ".chars().cycle().take(4096).collect()
}

fn values() -> impl Iterator<Item = (usize, String)> {
    VALUES.iter().map(|value| (*value).to_owned()).chain([long_value()]).enumerate()
}

/// What was rejected is left out of what follows; at least the bystander went through.
fn sort_out(outcomes: &BTreeMap<Entity, Outcome>, bystanders: &[Entity]) -> Step {
    for entity in bystanders {
        if let Some(Outcome::Reject { reason }) = outcomes.get(entity) {
            return Err(Stop::failed(format!("{entity} was rejected along with a hostile change: {reason}")));
        }
    }
    for (entity, outcome) in outcomes {
        if let Outcome::Reject { reason } = outcome {
            ensure(!reason.trim().is_empty(), || format!("{entity} was rejected without a reason"))?;
        }
    }
    Ok(())
}

async fn hostile_attributes(daemon: &mut Daemon<'_>) -> Step {
    if daemon.capabilities().attributes.is_empty() {
        return Err(Stop::skipped("no attribute can be read back from the target"));
    }
    for attribute in daemon.capabilities().attributes {
        let mut entities = Vec::new();
        for (n, value) in values() {
            let mut hostile = user(&format!("h{n}-{attribute:?}")).with_roles(&["reader"]);
            attribute.set(&mut hostile, &value);
            entities.push(daemon.want_user(hostile));
        }
        let bystanders = [
            daemon.want_user(user(&format!("a-bystander-{attribute:?}"))),
            daemon.want_user(user(&format!("z-bystander-{attribute:?}"))),
        ];
        let outcomes = daemon.settle(&[&entities[..], &bystanders].concat()).await?;
        sort_out(&outcomes, &bystanders)?;
        daemon.expect_held().await.map_err(|stop| stop.when(format!("hostile text in {attribute:?}")))?;
        let taken: Vec<Entity> = outcomes
            .into_iter()
            .filter(|(_, outcome)| matches!(outcome, Outcome::Applied { .. }))
            .map(|(entity, _)| entity)
            .collect();
        daemon.deliver(&taken).await.map_err(|stop| stop.when("the same again"))?;
        taken.iter().for_each(|entity| drop(daemon.want_gone(entity.clone())));
        daemon.deliver(&taken).await.map_err(|stop| stop.when("deleting them"))?;
        daemon
            .expect_held()
            .await
            .map_err(|stop| stop.when(format!("{attribute:?}: after deleting them")))?;
    }
    Ok(())
}

async fn hostile_group_names(daemon: &mut Daemon<'_>) -> Step {
    if daemon.capabilities().groups == Groups::None {
        return Err(Stop::skipped("the target keeps no groups"));
    }
    let groups: Vec<Group> = values().map(|(n, name)| Group { name, ..group(&format!("h{n}")) }).collect();
    let mut entities: Vec<Entity> = groups.iter().map(|group| daemon.want_group(group.clone())).collect();
    let bystander = daemon.want_group(group("bystander"));
    entities.push(bystander.clone());
    let outcomes = daemon.settle(&entities).await?;
    sort_out(&outcomes, &[bystander])?;
    daemon.expect_held().await?;
    let taken = |group: &&Group| {
        matches!(outcomes.get(&Entity::Group(group.id.clone())), Some(Outcome::Applied { .. }))
    };
    let within: Vec<&Group> = groups.iter().filter(taken).collect();
    let ada = daemon.want_user(user("ada").within(&within));
    daemon.deliver(&[ada]).await.map_err(|stop| stop.when("a member of them all"))?;
    daemon.expect_held().await.map_err(|stop| stop.when("a member of them all"))
}

async fn hostile_ids(daemon: &mut Daemon<'_>) -> Step {
    let mut users = Vec::new();
    let mut groups = Vec::new();
    for (n, id) in values() {
        let plain = user(&format!("h{n}"));
        users.push(daemon.want_user(crate::User { id: UserId::new(&*id), ..plain }));
        groups.push(daemon.want_group(Group { id: GroupId::new(id), ..group(&format!("h{n}")) }));
    }
    for id in [".", "..", "/"] {
        let plain = user(&format!("dots{}", users.len()));
        users.push(daemon.want_user(crate::User { id: UserId::new(id), ..plain }));
    }
    let bystanders = [daemon.want_user(user("bystander")), daemon.want_group(group("bystander"))];
    let entities = [&users[..], &groups, &bystanders].concat();
    let outcomes = daemon.settle(&entities).await?;
    sort_out(&outcomes, &bystanders)?;
    daemon.expect_held().await?;
    let taken: Vec<Entity> = entities
        .into_iter()
        .filter(|entity| matches!(outcomes.get(entity), Some(Outcome::Applied { .. })))
        .filter(|entity| !bystanders.contains(entity))
        .collect();
    taken.iter().for_each(|entity| drop(daemon.want_gone(entity.clone())));
    daemon.deliver(&taken).await.map_err(|stop| stop.when("deleting them"))?;
    daemon.expect_held().await.map_err(|stop| stop.when("after deleting them"))
}
