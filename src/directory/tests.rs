//! The merge against random histories: any order and portion leads to the same directory, and to the one that a
//! plain reading of the events in the order of their stamps leads to.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rolecall_sink_api::{GroupId, Profile, UserId};

use super::history;
use super::{Directory, Event, Fact, GroupProfile, Stamp};

/// What can be seen of a directory.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    users: BTreeMap<UserId, SeenUser>,
    groups: BTreeMap<GroupId, String>,
}

#[derive(Debug, PartialEq)]
struct SeenUser {
    profile: Profile,
    active: bool,
    provider_roles: BTreeSet<String>,
    groups: BTreeSet<GroupId>,
}

fn seen(directory: &Directory) -> Seen {
    let groups = directory.groups.iter().filter(|(_, group)| group.exists());
    let groups: BTreeMap<GroupId, String> =
        groups.map(|(id, group)| (id.clone(), group.name(id).to_owned())).collect();
    let in_group = |id: &GroupId, stamp: &Stamp| {
        directory.groups.get(id).is_some_and(|group| group.exists() && group.counts(stamp))
    };
    let users = directory.users.iter().filter_map(|(id, user)| {
        let seen = SeenUser {
            profile: user.profile()?.clone(),
            active: user.is_active(),
            provider_roles: user.provider_roles().clone(),
            groups: user
                .memberships()
                .filter(|(group, stamp)| in_group(group, stamp))
                .map(|(group, _)| group.clone())
                .collect(),
        };
        Some((id.clone(), seen))
    });
    Seen { users: users.collect(), groups }
}

/// The plain reading: one event after the other, by time; each simply does what it says.
#[derive(Default)]
struct Plain {
    profiles: BTreeMap<UserId, Profile>,
    active: BTreeMap<UserId, bool>,
    provider_roles: BTreeMap<UserId, BTreeSet<String>>,
    members: BTreeSet<(UserId, GroupId)>,
    groups: BTreeMap<GroupId, Option<String>>,
}

impl Plain {
    fn apply(&mut self, event: &Event) {
        // Within an event: who is out is out, whatever else it says.
        let (outs, rest): (Vec<&Fact>, Vec<&Fact>) =
            event.facts.iter().partition(|fact| matches!(fact, Fact::Member { member: false, .. }));
        for fact in rest.into_iter().chain(outs) {
            self.apply_fact(fact);
        }
    }

    fn apply_fact(&mut self, fact: &Fact) {
        match fact.clone() {
            Fact::UserProfile { user, profile, .. } => {
                self.profiles.insert(user, *profile);
            }
            Fact::UserActive { user, active } => {
                self.active.insert(user, active);
            }
            Fact::UserProviderRoles { user, roles } => {
                self.provider_roles.insert(user, roles);
            }
            Fact::UserGroups { user, groups } => {
                self.members.retain(|(member, _)| *member != user);
                self.members.extend(groups.into_iter().map(|group| (user.clone(), group)));
            }
            Fact::UserGone { user } => {
                self.profiles.remove(&user);
                self.active.remove(&user);
                self.provider_roles.remove(&user);
                self.members.retain(|(member, _)| *member != user);
            }
            Fact::GroupProfile { group, profile } => {
                self.groups.insert(group, profile.name);
            }
            Fact::GroupNamed { group, name, .. } => {
                let held = self.groups.entry(group).or_default();
                *held = name.or(held.take());
            }
            Fact::GroupGone { group } => {
                self.groups.remove(&group);
                self.members.retain(|(_, of)| *of != group);
            }
            Fact::Member { group, user, member: true } => {
                self.members.insert((user, group));
            }
            Fact::Member { group, user, member: false } => {
                self.members.remove(&(user, group));
            }
            Fact::Directory { .. } => {}
        }
    }

    fn seen(&self) -> Seen {
        let users = self.profiles.iter().map(|(id, profile)| {
            let groups =
                self.members.iter().filter(|(user, group)| user == id && self.groups.contains_key(group));
            let seen = SeenUser {
                profile: profile.clone(),
                active: self.active.get(id).copied().unwrap_or(true),
                provider_roles: self.provider_roles.get(id).cloned().unwrap_or_default(),
                groups: groups.map(|(_, group)| group.clone()).collect(),
            };
            (id.clone(), seen)
        });
        let name =
            |id: &GroupId, name: &Option<String>| name.clone().unwrap_or_else(|| id.as_str().to_owned());
        Seen {
            users: users.collect(),
            groups: self.groups.iter().map(|(id, held)| (id.clone(), name(id, held))).collect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_order_with_repeats_leads_to_the_same_directory(history in history::history(), other in any::<u64>()) {
        let mut first = Directory::default();
        for event in history.delivered(0) {
            first.merge(event);
        }
        let mut second = Directory::default();
        for event in history.delivered(other) {
            second.merge(event);
        }
        prop_assert_eq!(first, second);
    }

    #[test]
    fn the_directory_is_what_the_events_say_in_the_order_of_their_times(
        history in history::history(),
        order in any::<u64>(),
    ) {
        let mut plain = Plain::default();
        for event in history.in_time_order() {
            plain.apply(&event);
        }
        let mut merged = Directory::default();
        for event in history.delivered(order) {
            merged.merge(event);
        }
        prop_assert_eq!(seen(&merged), plain.seen());
    }

    #[test]
    fn leaving_out_what_a_group_s_deletion_made_void_changes_nothing(history in history::history()) {
        let mut kept = Directory::default();
        let mut dropped = Directory::default();
        for event in history.delivered(7) {
            kept.merge(event.clone());
            dropped.merge(event);
            let Directory { users, groups, .. } = &mut dropped;
            for user in users.values_mut() {
                user.drop_void_edges(|id| groups.get(id));
            }
        }
        prop_assert_eq!(seen(&kept), seen(&dropped));
    }

    #[test]
    fn a_state_survives_its_json(history in history::history()) {
        let mut directory = Directory::default();
        for event in history.delivered(3) {
            directory.merge(event);
        }
        for user in directory.users.values() {
            let json = serde_json::to_string(user).unwrap();
            prop_assert_eq!(user, &serde_json::from_str(&json).unwrap());
        }
        for group in directory.groups.values() {
            let json = serde_json::to_string(group).unwrap();
            prop_assert_eq!(group, &serde_json::from_str(&json).unwrap());
        }
    }
}

#[test]
fn who_comes_back_is_not_what_they_were_before() {
    let mut directory = Directory::default();
    let user = UserId::new("u1");
    let profile = |name: &str| Fact::UserProfile {
        user: user.clone(),
        organization: None,
        origin: crate::directory::Origin::default(),
        profile: Box::new(Profile { display_name: Some(name.into()), ..Profile::default() }),
    };
    let inactive = Fact::UserActive { user: user.clone(), active: false };
    let member = Fact::Member { group: GroupId::new("g1"), user: user.clone(), member: true };
    let group = Fact::GroupProfile {
        group: GroupId::new("g1"),
        profile: GroupProfile { name: Some("G".into()), ..GroupProfile::default() },
    };
    directory.merge(history::event(5, "e5", vec![profile("new")]));
    directory.merge(history::event(1, "e1", vec![profile("old"), inactive, member, group]));
    directory.merge(history::event(4, "e4", vec![Fact::UserGone { user: user.clone() }]));
    let seen = &seen(&directory).users[&user];
    assert_eq!(seen.profile.display_name.as_deref(), Some("new"));
    assert!(seen.active);
    assert!(seen.groups.is_empty());
}

#[test]
fn at_equal_times_the_longer_id_is_the_later_one() {
    let mut directory = Directory::default();
    let user = UserId::new("u1");
    let active = |active| vec![Fact::UserActive { user: user.clone(), active }];
    directory.merge(history::event(1, "evt_10", active(false)));
    directory.merge(history::event(1, "evt_9", active(true)));
    let profile = Fact::UserProfile {
        user: user.clone(),
        organization: None,
        origin: crate::directory::Origin::default(),
        profile: Box::default(),
    };
    directory.merge(history::event(0, "evt_1", vec![profile]));
    assert!(!directory.users[&user].is_active());
}
