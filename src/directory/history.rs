//! Random histories of events, for property tests: few users, groups and times, so that everything collides.

use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use rolecall_sink_api::{GroupId, OrganizationId, Profile, UserId};

use super::{DirectoryId, Event, EventId, Fact, GroupProfile, Origin, Stamp};

/// Events in the order in which they were drawn, which says nothing about their times.
#[derive(Clone, Debug)]
pub(crate) struct History(Vec<Event>);

impl History {
    /// All events in a random order that `seed` decides, about every third one twice.
    pub(crate) fn delivered(&self, seed: u64) -> Vec<Event> {
        let mut events = self.0.clone();
        events.extend(
            self.0
                .iter()
                .enumerate()
                .filter(|(n, _)| mix(seed, *n).is_multiple_of(3))
                .map(|(_, e)| e.clone()),
        );
        let mut keyed: Vec<(u64, Event)> =
            events.into_iter().enumerate().map(|(n, event)| (mix(seed ^ 0x5bd1, n), event)).collect();
        keyed.sort_by_key(|(key, _)| *key);
        keyed.into_iter().map(|(_, event)| event).collect()
    }

    /// All events by their stamps, each once.
    pub(crate) fn in_time_order(&self) -> Vec<Event> {
        let mut events = self.0.clone();
        events.sort_by(|a, b| a.stamp.cmp(&b.stamp));
        events
    }
}

/// A number that looks random (SplitMix64's finalizer).
pub(crate) fn mix(seed: u64, n: usize) -> u64 {
    let mut z = seed.wrapping_add((n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// An event at a second after 1970.
pub(crate) fn event(second: i64, id: &str, facts: Vec<Fact>) -> Event {
    let at = Timestamp::from_second(second).unwrap();
    Event { stamp: Stamp { at, event: EventId::new(id) }, facts }
}

/// A history of up to 40 events.
pub(crate) fn history() -> impl Strategy<Value = History> {
    vec((0..8i64, facts()), 0..40).prop_map(|drawn| {
        let events = drawn.into_iter().enumerate();
        History(events.map(|(n, (second, facts))| event(second, &format!("evt_{n}"), facts)).collect())
    })
}

/// What one event states, in the shapes that senders use.
fn facts() -> impl Strategy<Value = Vec<Fact>> {
    prop_oneof![
        4 => user_stated(),
        1 => user().prop_map(|user| vec![Fact::UserGone { user }]),
        2 => group_stated(),
        1 => group().prop_map(|group| vec![Fact::GroupGone { group }]),
        3 => members_stated(),
    ]
}

fn user() -> impl Strategy<Value = UserId> {
    (0..4u8).prop_map(|n| UserId::new(format!("diruser_{n}")))
}

fn group() -> impl Strategy<Value = GroupId> {
    (0..4u8).prop_map(|n| GroupId::new(format!("dirgroup_{n}")))
}

fn name() -> impl Strategy<Value = String> {
    (0..3u8).prop_map(|n| format!("name {n}"))
}

fn organization() -> impl Strategy<Value = Option<OrganizationId>> {
    option::of((0..2u8).prop_map(|n| OrganizationId::new(format!("org_{n}"))))
}

fn user_stated() -> impl Strategy<Value = Vec<Fact>> {
    let roles = btree_set((0..2u8).prop_map(|n| format!("role {n}")), 0..2);
    let groups = option::of(vec((group(), option::of(name())), 0..3));
    let directory = option::of((0..2u8).prop_map(|n| format!("dir_{n}")));
    (user(), name(), (organization(), directory), option::of(any::<bool>()), option::of(roles), groups)
        .prop_map(|(user, name, (organization, directory), active, roles, groups)| {
            let profile = Profile { display_name: Some(name), ..Profile::default() };
            let mut facts = vec![Fact::UserProfile {
                user: user.clone(),
                organization: organization.clone(),
                origin: Origin { directory: directory.map(DirectoryId), source: None },
                profile: Box::new(profile),
            }];
            facts.extend(active.map(|active| Fact::UserActive { user: user.clone(), active }));
            facts.extend(roles.map(|roles| Fact::UserProviderRoles { user: user.clone(), roles }));
            if let Some(groups) = groups {
                let mut ids = BTreeSet::new();
                for (group, name) in groups {
                    // A list names a group once.
                    if ids.insert(group.clone()) {
                        facts.push(Fact::GroupNamed { group, name, organization: organization.clone() });
                    }
                }
                facts.push(Fact::UserGroups { user, groups: ids });
            }
            facts
        })
}

fn group_stated() -> impl Strategy<Value = Vec<Fact>> {
    (group(), name(), organization()).prop_map(|(group, name, organization)| {
        let profile = GroupProfile { name: Some(name), organization, external_id: None };
        vec![Fact::GroupProfile { group, profile }]
    })
}

fn members_stated() -> impl Strategy<Value = Vec<Fact>> {
    (group(), vec((user(), any::<bool>()), 0..4)).prop_map(|(group, members)| {
        let member = |(user, member)| Fact::Member { group: group.clone(), user, member };
        members.into_iter().map(member).collect()
    })
}
