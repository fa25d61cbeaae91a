//! What the directory holds that the sink made, for reconciliation.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{Stream, StreamExt as _, TryStreamExt as _, future, stream};
use rolecall_sink_api::{
    GroupId, Observed, ObservedGroup, ObservedStream, ObservedUser, RemoteId, RoleName, SinkDown, UserId,
};

use crate::connection::Connection;
use crate::entry::Entry;
use crate::groups::name_of;
use crate::mapping::{GroupMapping, Mapping};
use crate::mark::GroupKey;
use crate::member::{Identity, Member};
use crate::pool::Pool;
use crate::query::{Condition, Query};
use crate::ranges;

/// What each member is in, by the value that stands for them.
#[derive(Default)]
struct Memberships {
    groups: BTreeMap<Member, BTreeSet<RemoteId>>,
    roles: BTreeMap<Member, BTreeSet<RoleName>>,
}

/// Groups first, then people page by page, each found by the mark. A connection of its own carries it, so that it
/// does not get into a batch's way. Only who is in which group is held meanwhile.
pub(crate) fn observe(pool: &Pool) -> ObservedStream<'_> {
    stream::once(all(pool)).try_flatten().boxed()
}

async fn all(pool: &Pool) -> Result<impl Stream<Item = Result<Observed, SinkDown>> + use<>, SinkDown> {
    let (connection, mapping) = pool.extra().await?;
    let mut groups = Vec::new();
    let mut memberships = Memberships::default();
    for kind in mapping.group_mappings() {
        for entry in marked_groups(&connection, &mapping, kind).await? {
            group(&mapping, kind, &entry, &mut memberships, &mut groups);
        }
    }
    let query = Query {
        base: mapping.people.base.clone(),
        conditions: vec![Condition::Begins(mapping.marks.attribute.clone(), mapping.marks.users())],
        attributes: mapping.person_fetch(),
    };
    let people = connection.search_stream(&query).await?;
    let people = stream::try_unfold((connection, people), |(connection, mut people)| async move {
        let next = people.next(&connection).await?;
        Ok(next.map(|entry| (entry, (connection, people))))
    });
    let people = people.try_filter_map(move |entry| {
        future::ready(Ok(person(&mapping, &entry, &mut memberships).map(Observed::User)))
    });
    Ok(stream::iter(groups.into_iter().map(Ok)).chain(people))
}

fn person(mapping: &Mapping, entry: &Entry, memberships: &mut Memberships) -> Option<ObservedUser> {
    let id = UserId::new(mapping.marks.user_of(entry)?);
    let identity = Identity::of(entry);
    let member = |kind: &GroupMapping| identity.member(kind.member_value);
    let groups = mapping.groups.as_ref().and_then(member).and_then(|it| memberships.groups.remove(&it));
    let roles = mapping.roles.as_ref().and_then(member).and_then(|it| memberships.roles.remove(&it));
    Some(ObservedUser {
        remote: RemoteId::new(mapping.remote_of(entry)),
        id: Some(id),
        active: mapping.leavers.gives_access(&mapping.marks, entry),
        groups: groups.unwrap_or_default(),
        roles: mapping.roles_shown(entry, roles.unwrap_or_default()),
    })
}

async fn marked_groups(
    connection: &Connection,
    mapping: &Mapping,
    kind: &GroupMapping,
) -> Result<Vec<Entry>, SinkDown> {
    let mut attributes = mapping.group_fetch(kind);
    attributes.push(ranges::ask(&kind.member, mapping.kind));
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
    let Some(key) = mapping.marks.group_of(entry).filter(|key| key.is_role() == kind.are_roles) else {
        return;
    };
    let remote = RemoteId::new(mapping.remote_of(entry));
    let members = entry.attributes.texts(&kind.member);
    for member in members.filter_map(|text| Member::read(kind.member_value, text)) {
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
