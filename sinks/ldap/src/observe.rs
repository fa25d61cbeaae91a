//! What the directory holds that the sink made, for reconciliation.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use rolecall_sink_api::{
    GroupId, Observed, ObservedGroup, ObservedStream, ObservedUser, RemoteId, RoleName, SinkDown, UserId,
};

use crate::connection::{Access, Connection};
use crate::dn::Dn;
use crate::entry::Entry;
use crate::groups::name_of;
use crate::mapping::{GroupMapping, Mapping};
use crate::mark::GroupKey;
use crate::query::{Condition, Query};

/// What each member is in, by the member's DN.
#[derive(Default)]
struct Memberships {
    groups: BTreeMap<Dn, BTreeSet<RemoteId>>,
    roles: BTreeMap<Dn, BTreeSet<RoleName>>,
}

/// Groups first, then people, each found by the mark. A connection of its own carries it, so that it does not get
/// into a batch's way.
pub(crate) fn observe<'a>(access: &'a Access, mapping: &'a Mapping) -> ObservedStream<'a> {
    stream::once(async move { all(access, mapping).await })
        .map_ok(|observed| stream::iter(observed.into_iter().map(Ok)))
        .try_flatten()
        .boxed()
}

async fn all(access: &Access, mapping: &Mapping) -> Result<Vec<Observed>, SinkDown> {
    let connection = access.connect().await?;
    let mut observed = Vec::new();
    let mut memberships = Memberships::default();
    for kind in mapping.groups.iter().chain(&mapping.roles) {
        for entry in marked_groups(&connection, mapping, kind).await? {
            group(mapping, kind, &entry, &mut memberships, &mut observed);
        }
    }
    let query = Query {
        base: mapping.people.base.clone(),
        conditions: vec![Condition::Begins(mapping.marks.attribute.clone(), mapping.marks.users())],
        attributes: mapping.person_fetch(),
    };
    for entry in connection.search(&query).await? {
        let Some(id) = mapping.marks.user_of(&entry) else { continue };
        observed.push(Observed::User(ObservedUser {
            remote: RemoteId::new(mapping.remote_of(&entry)),
            id: Some(UserId::new(id)),
            active: mapping.is_active(&entry),
            groups: memberships.groups.remove(&entry.dn).unwrap_or_default(),
            roles: mapping.roles_shown(&entry, memberships.roles.remove(&entry.dn).unwrap_or_default()),
        }));
    }
    Ok(observed)
}

async fn marked_groups(
    connection: &Connection,
    mapping: &Mapping,
    kind: &GroupMapping,
) -> Result<Vec<Entry>, SinkDown> {
    let mut attributes = mapping.group_fetch(kind);
    attributes.push(kind.member.clone());
    let query = Query {
        base: kind.entry.base.clone(),
        conditions: vec![Condition::Begins(mapping.marks.attribute.clone(), mapping.marks.all())],
        attributes,
    };
    connection.search(&query).await
}

fn group(
    mapping: &Mapping,
    kind: &GroupMapping,
    entry: &Entry,
    memberships: &mut Memberships,
    observed: &mut Vec<Observed>,
) {
    let Some(key) = mapping.marks.group_of(entry) else { return };
    let remote = RemoteId::new(mapping.remote_of(entry));
    for member in entry.attributes.texts(&kind.member).filter_map(|text| Dn::parse(text).ok()) {
        match &key {
            GroupKey::Group(_) => _ = memberships.groups.entry(member).or_default().insert(remote.clone()),
            GroupKey::Role(role) => _ = memberships.roles.entry(member).or_default().insert(role.clone()),
        }
    }
    if let GroupKey::Group(id) = key {
        let id = Some(GroupId::new(id.as_str()));
        observed.push(Observed::Group(ObservedGroup { remote, id, name: name_of(entry) }));
    }
}
