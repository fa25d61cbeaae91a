//! How states are written down: each stamp once.
//!
//! One event states many facts, and each fact carries the stamp of its event. So the stamps stand in a list of
//! their own, in their order, and a fact names the place of its stamp there. That halves most states, and with them
//! what every change writes to the disk.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use rolecall_sink_api::{GroupId, OrganizationId};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::stamped::Stamped;
use super::user::UserProfile;
use super::{GroupProfile, GroupState, Stamp, UserState};

/// A fact with the place of its stamp among the stamps of its state.
type Placed<'a, T> = (usize, Cow<'a, T>);

#[derive(Serialize, Deserialize)]
#[serde(bound(deserialize = ""))]
struct StoredUser<'a> {
    stamps: Vec<Cow<'a, Stamp>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    profile: Option<Placed<'a, UserProfile>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    active: Option<Placed<'a, bool>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider_roles: Option<Placed<'a, BTreeSet<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    groups_as_of: Option<usize>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    edges: BTreeMap<Cow<'a, GroupId>, Placed<'a, bool>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone: Option<usize>,
}

#[derive(Serialize, Deserialize)]
#[serde(bound(deserialize = ""))]
struct StoredGroup<'a> {
    stamps: Vec<Cow<'a, Stamp>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    profile: Option<Placed<'a, GroupProfile>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mention: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Placed<'a, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    organization: Option<Placed<'a, OrganizationId>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone: Option<usize>,
}

impl Serialize for UserState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let facts = [
            self.profile.as_ref().map(|fact| &fact.stamp),
            self.active.as_ref().map(|fact| &fact.stamp),
            self.provider_roles.as_ref().map(|fact| &fact.stamp),
            self.groups_as_of.as_ref(),
            self.gone.as_ref(),
        ];
        let stamps =
            Stamps::of(facts.into_iter().flatten().chain(self.edges.values().map(|edge| &edge.stamp)));
        StoredUser {
            profile: stamps.placed(self.profile.as_ref()),
            active: stamps.placed(self.active.as_ref()),
            provider_roles: stamps.placed(self.provider_roles.as_ref()),
            groups_as_of: self.groups_as_of.as_ref().map(|stamp| stamps.place(stamp)),
            edges: self
                .edges
                .iter()
                .map(|(group, edge)| {
                    (Cow::Borrowed(group), (stamps.place(&edge.stamp), Cow::Borrowed(&edge.value)))
                })
                .collect(),
            gone: self.gone.as_ref().map(|stamp| stamps.place(stamp)),
            stamps: stamps.0.into_iter().map(Cow::Borrowed).collect(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for UserState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = StoredUser::deserialize(deserializer)?;
        let stamps = Read(&stored.stamps);
        let edges =
            stored.edges.into_iter().map(|(group, edge)| Ok((group.into_owned(), stamps.fact(edge)?)));
        Ok(Self {
            profile: stored.profile.map(|fact| stamps.fact(fact)).transpose()?,
            active: stored.active.map(|fact| stamps.fact(fact)).transpose()?,
            provider_roles: stored.provider_roles.map(|fact| stamps.fact(fact)).transpose()?,
            groups_as_of: stored.groups_as_of.map(|place| stamps.at(place)).transpose()?,
            edges: edges.collect::<Result<_, D::Error>>()?,
            gone: stored.gone.map(|place| stamps.at(place)).transpose()?,
        })
    }
}

impl Serialize for GroupState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let facts = [
            self.profile.as_ref().map(|fact| &fact.stamp),
            self.mention.as_ref().map(|fact| &fact.stamp),
            self.name.as_ref().map(|fact| &fact.stamp),
            self.organization.as_ref().map(|fact| &fact.stamp),
            self.gone.as_ref(),
        ];
        let stamps = Stamps::of(facts.into_iter().flatten());
        StoredGroup {
            profile: stamps.placed(self.profile.as_ref()),
            mention: self.mention.as_ref().map(|mention| stamps.place(&mention.stamp)),
            name: stamps.placed(self.name.as_ref()),
            organization: stamps.placed(self.organization.as_ref()),
            gone: self.gone.as_ref().map(|stamp| stamps.place(stamp)),
            stamps: stamps.0.into_iter().map(Cow::Borrowed).collect(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for GroupState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = StoredGroup::deserialize(deserializer)?;
        let stamps = Read(&stored.stamps);
        let mention = stored.mention.map(|place| stamps.at(place)).transpose()?;
        Ok(Self {
            profile: stored.profile.map(|fact| stamps.fact(fact)).transpose()?,
            mention: mention.map(|stamp| Stamped { stamp, value: () }),
            name: stored.name.map(|fact| stamps.fact(fact)).transpose()?,
            organization: stored.organization.map(|fact| stamps.fact(fact)).transpose()?,
            gone: stored.gone.map(|place| stamps.at(place)).transpose()?,
        })
    }
}

/// The stamps of a state that is written down, in their order, each once.
struct Stamps<'a>(Vec<&'a Stamp>);

impl<'a> Stamps<'a> {
    fn of(stamps: impl Iterator<Item = &'a Stamp>) -> Self {
        let mut all: Vec<&Stamp> = stamps.collect();
        all.sort_unstable();
        all.dedup();
        Self(all)
    }

    /// The place of one that these were made of.
    fn place(&self, stamp: &Stamp) -> usize {
        let (Ok(place) | Err(place)) = self.0.binary_search(&stamp);
        place
    }

    fn placed<T: Clone>(&self, fact: Option<&'a Stamped<T>>) -> Option<Placed<'a, T>> {
        fact.map(|fact| (self.place(&fact.stamp), Cow::Borrowed(&fact.value)))
    }
}

/// The stamps of a state that is read.
struct Read<'s, 'a>(&'s [Cow<'a, Stamp>]);

impl Read<'_, '_> {
    fn at<E: Error>(&self, place: usize) -> Result<Stamp, E> {
        let stamp = self.0.get(place);
        stamp
            .map(|stamp| stamp.as_ref().clone())
            .ok_or_else(|| E::custom(format!("stamp {place} is missing")))
    }

    fn fact<T: Clone + DeserializeOwned, E: Error>(
        &self,
        (place, value): Placed<'_, T>,
    ) -> Result<Stamped<T>, E> {
        Ok(Stamped { stamp: self.at(place)?, value: value.into_owned() })
    }
}
