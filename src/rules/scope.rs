//! Which users and groups a sink is given: `sinks.<name>.only`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use rolecall_sink_api::{GroupId, OrganizationId, Profile, SinkName};
use schemars::JsonSchema;

use super::condition::{Test, Vocabulary};
use super::file::Condition;
use super::fingerprint::Fingerprint;
use super::parse::scope_condition;
use super::{Subject, SubjectGroup};
use crate::yaml::{Fault, Node};

/// Which users and groups the sink is given. Who or what falls out of it is removed from the sink, by its policy for
/// those who are deleted; of who never was in it, the sink never hears. Default: everybody and every group.
#[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScopeEntry {
    /// The users for whom this condition of the rules holds. Default: all.
    pub users: Option<Condition>,
    /// The groups of which this condition holds; it asks for `group`, `organization`, or some of them by `all`, `any` and
    /// `not`. A user's memberships in other groups are not told. Default: all.
    pub groups: Option<Condition>,
}

/// Which users and groups one sink is given.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    vocabulary: Vocabulary,
    users: Option<Test>,
    groups: Option<Test>,
    /// What it says, to tell whether that changed.
    node: Option<Node>,
}

impl Scope {
    /// Reads the section `only`.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        if let Err(fault) = crate::yaml::decode::<ScopeEntry>(node) {
            return Err(vec![fault]);
        }
        let mut scope = Scope { node: Some(node.clone()), ..Scope::default() };
        for (key, slot) in [("users", &mut scope.users), ("groups", &mut scope.groups)] {
            let Some(entry) = node.entry(key) else { continue };
            let condition = match scope_condition(&entry.value) {
                Ok(condition) => condition,
                Err(found) => {
                    faults.extend(found.into_iter().map(|fault| fault.or_at(&entry.place)));
                    continue;
                }
            };
            if key == "groups" && !asks_for_groups_alone(&condition) {
                let fault =
                    Fault::at(entry.place.clone(), "a group has a name, an id and an organization, no more");
                faults.push(fault.with_help(
                    "ask for `group` and `organization`, by themselves or within `all`, `any` and `not`",
                ));
            }
            match Test::new(&condition, false, &mut scope.vocabulary) {
                Ok(test) => *slot = Some(test),
                Err(error) => faults.push(Fault::at(entry.place.clone(), error.to_string())),
            }
        }
        if let Err(error) = scope.vocabulary.compile() {
            faults
                .push(Fault::at(node.place.clone(), format!("the patterns are too large together: {error}")));
        }
        if faults.is_empty() { Ok(scope) } else { Err(faults) }
    }

    /// Whether the sink is given the user, and when to ask again, as [`Decision::next`](super::Decision::next).
    pub fn has_user(&self, subject: &Subject<'_>, now: Timestamp) -> (bool, Option<Timestamp>) {
        let Some(test) = &self.users else { return (true, None) };
        let mut facts = self.vocabulary.facts(subject, now);
        let holds = test.holds(&mut facts);
        (holds, facts.moments.next)
    }

    /// Whether the sink is given the group.
    pub fn has_group(&self, id: &GroupId, name: &str, organization: Option<&OrganizationId>) -> bool {
        let Some(test) = &self.groups else { return true };
        let groups = [SubjectGroup { id, name, organization }];
        let subject = Subject {
            active: true,
            organization,
            directory: None,
            source: None,
            profile: &Profile::default(),
            provider_roles: &BTreeSet::new(),
            groups: &groups,
        };
        test.holds(&mut self.vocabulary.facts(&subject, Timestamp::MIN))
    }

    /// Whether every group is given.
    pub fn has_all_groups(&self) -> bool {
        self.groups.is_none()
    }
}

fn asks_for_groups_alone(condition: &Condition) -> bool {
    let Condition {
        organization: _,
        group: _,
        directory,
        source,
        attribute,
        provider_role,
        active,
        all,
        any,
        not,
    } = condition;
    directory.is_none()
        && source.is_none()
        && attribute.is_none()
        && provider_role.is_none()
        && active.is_none()
        && all.iter().chain(any).flatten().chain(not.as_deref()).all(asks_for_groups_alone)
}

/// The scopes of all sinks that have one.
#[derive(Clone, Debug, Default)]
pub struct Scopes(BTreeMap<SinkName, Arc<Scope>>);

impl Scopes {
    /// These; a sink that is not among them is given everybody.
    pub fn new(scopes: impl IntoIterator<Item = (SinkName, Scope)>) -> Self {
        Self(scopes.into_iter().map(|(sink, scope)| (sink, Arc::new(scope))).collect())
    }

    /// The sinks that have one.
    pub fn iter(&self) -> impl Iterator<Item = (&SinkName, &Arc<Scope>)> {
        self.0.iter()
    }

    /// The scope of a sink; none when it is given everybody.
    pub fn of(&self, sink: &SinkName) -> Option<&Arc<Scope>> {
        self.0.get(sink)
    }

    /// A digest that changes with what they say.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_all(
            self.0.iter().filter_map(|(sink, scope)| Some((sink.as_str(), scope.node.as_ref()?))),
        )
    }
}
