//! Which groups people are in now, by the names they have and by those they had before.

use std::collections::BTreeMap;

use futures_util::FutureExt as _;
use rolecall_sink_api::SinkDown;

use crate::dn::Dn;
use crate::mapping::GroupMapping;
use crate::mark::GroupKey;
use crate::member::{self, Identity, Member};
use crate::query::{Condition, MAX_VALUES, Query};
use crate::work::Work;

/// A person whose groups are asked for.
pub(crate) struct Asked<'a> {
    /// Who they are; `None` when they have no entry.
    pub(crate) now: Option<&'a Identity>,
    /// Who they were before: groups may still name them so.
    pub(crate) before: &'a [Identity],
    /// Whether the entry was made a moment ago, so that hardly any group can name it.
    pub(crate) is_new: bool,
}

/// A value by which groups name a person, and those groups.
pub(crate) type Named = (Member, BTreeMap<GroupKey, Dn>);

/// For each of `asked` the values that name them in groups of the sink, with those groups. People who are new cost
/// one search for many, unless a group that somebody filled by hand names one of them already.
pub(crate) async fn memberships(work: &Work<'_>, asked: &[Asked<'_>]) -> Result<Vec<Vec<Named>>, SinkDown> {
    let (new, known): (Vec<usize>, Vec<usize>) =
        (0..asked.len()).partition(|&at| asked[at].is_new && asked[at].before.is_empty());
    let chunks: Vec<&[usize]> = new.chunks(MAX_VALUES).collect();
    let probes = chunks.iter().map(|some| is_any_named(work, asked, some).boxed());
    let named = work.all(probes.collect()).await?;
    let found = chunks.into_iter().zip(named).filter(|(_, named)| *named).flat_map(|(some, _)| some);
    let each: Vec<usize> = known.into_iter().chain(found.copied()).collect();

    let tasks = each.iter().map(|&at| memberships_of(work, &asked[at]).boxed());
    let mut all: Vec<Vec<Named>> = asked.iter().map(|_| Vec::new()).collect();
    for (at, named) in each.iter().zip(work.all(tasks.collect()).await?) {
        all[*at] = named;
    }
    Ok(all)
}

/// Whether a group names any of these people.
async fn is_any_named(work: &Work<'_>, asked: &[Asked<'_>], some: &[usize]) -> Result<bool, SinkDown> {
    for mapping in work.mapping.group_mappings() {
        let members = some.iter().filter_map(|&at| asked[at].now?.member(mapping.member_value));
        let members: Vec<Member> = members.collect();
        if !members.is_empty() && !groups_with(work, mapping, &members).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn memberships_of(work: &Work<'_>, asked: &Asked<'_>) -> Result<Vec<Named>, SinkDown> {
    let mut named: Vec<Named> = Vec::new();
    for mapping in work.mapping.group_mappings() {
        let mut seen = Vec::new();
        for (is_former, identity) in
            asked.now.map(|now| (false, now)).into_iter().chain(asked.before.iter().map(|b| (true, b)))
        {
            let Some(member) = identity.member(mapping.member_value).filter(|m| !seen.contains(m)) else {
                continue;
            };
            seen.push(member.clone());
            // A name that somebody else has by now is theirs, and so are its memberships.
            if !is_former || !is_somebodys(work, &member).await? {
                let groups = groups_with(work, mapping, std::slice::from_ref(&member)).await?;
                named.push((member, groups));
            }
        }
    }
    Ok(named)
}

/// Whether an entry has the name.
async fn is_somebodys(work: &Work<'_>, member: &Member) -> Result<bool, SinkDown> {
    match member {
        Member::Dn(dn) => {
            Ok(work.directory.read(dn, std::slice::from_ref(&work.mapping.id.name)).await?.is_some())
        }
        Member::Uid(uid) => {
            let query = Query {
                base: work.mapping.people.base.clone(),
                conditions: vec![Condition::Any(vec![(member::uid(), uid.as_str().into())])],
                attributes: vec![work.mapping.id.name.clone()],
            };
            Ok(!work.directory.search(&query).await?.is_empty())
        }
    }
}

/// The groups of the sink, of this kind, that have one of `members`.
async fn groups_with(
    work: &Work<'_>,
    mapping: &GroupMapping,
    members: &[Member],
) -> Result<BTreeMap<GroupKey, Dn>, SinkDown> {
    let any = members.iter().map(|member| (mapping.member.clone(), member.value())).collect();
    let query = Query {
        base: mapping.entry.base.clone(),
        conditions: vec![Condition::Any(any)],
        attributes: vec![work.mapping.marks.attribute.clone()],
    };
    let found = work.directory.search(&query).await?.into_iter();
    Ok(found
        .filter_map(|entry| Some((work.mapping.marks.group_of(&entry)?, entry.dn)))
        .filter(|(key, _)| key.is_role() == mapping.are_roles)
        .collect())
}
