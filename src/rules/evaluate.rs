//! From the index to what callers are told.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rolecall_sink_api::RoleName;

use super::book::{Window, stands_for};
use super::index::{Cause, Index, Tally};
use super::parse::{DEFAULT, IMPLIES};
use super::resolve::{Loss, Resolved, Role};
use super::{Decision, Grant, Objection, Reason, Subject, Verdict, Withheld};

/// The roles alone: what the committer needs of a million users.
pub(super) fn decide(index: &Index, subject: &Subject<'_>, now: Timestamp) -> Decision {
    if !subject.active {
        return Decision::default();
    }
    let tally = index.tally(subject, now);
    let Resolved { held, lost } = resolve(index, &tally);
    Decision {
        roles: held.into_iter().map(|role| index.name(&tally, role).clone()).collect(),
        separated: lost.iter().any(|(_, loss)| matches!(loss, Loss::Separated { .. })),
        next: tally.next,
    }
}

/// The roles with all reasons.
pub(super) fn explain(index: &Index, subject: &Subject<'_>, now: Timestamp) -> Verdict {
    if !subject.active {
        return Verdict::default();
    }
    let tally = index.tally(subject, now);
    let resolved = resolve(index, &tally);
    let telling = Telling { index, subject, tally: &tally, resolved: &resolved };
    let mut grants: Vec<Grant> = resolved.held.iter().map(|role| telling.grant(*role)).collect();
    grants.sort();
    Verdict { grants, withheld: telling.withheld(), next: tally.next }
}

fn resolve(index: &Index, tally: &Tally) -> Resolved {
    let mut granted: Vec<Role> = tally.granted.iter().map(|(role, _)| *role).collect();
    granted.sort_unstable();
    granted.dedup();
    index.order.resolve(&granted, |role| {
        let name = index.name(tally, role).as_str();
        tally.denied.iter().any(|(denied, _)| *denied == role)
            || tally.denied_patterns.iter().any(|(pattern, _)| stands_for(pattern, name))
    })
}

struct Telling<'a> {
    index: &'a Index,
    subject: &'a Subject<'a>,
    tally: &'a Tally,
    resolved: &'a Resolved,
}

impl Telling<'_> {
    fn name(&self, role: Role) -> RoleName {
        self.index.name(self.tally, role).clone()
    }

    fn reason(&self, (rule, group): Cause) -> Reason {
        let (line, name, window) = match rule {
            Some(rule) => {
                let rule = &self.index.rules[rule];
                (rule.line, rule.name.as_str(), rule.window)
            }
            None => (self.index.defaults.0, DEFAULT, Window::default()),
        };
        Reason {
            line,
            rule: name.to_owned(),
            group: group.map(|group| self.subject.groups[group].id.clone()),
            implied_by: None,
            from: window.from,
            until: window.until,
        }
    }

    /// Reasons of those `of` causes that are about the role.
    fn reasons(&self, role: Role, of: &[(Role, Cause)]) -> BTreeSet<Reason> {
        of.iter().filter(|(about, _)| *about == role).map(|(_, cause)| self.reason(*cause)).collect()
    }

    /// Reasons of those roles that bring the role.
    fn brought(&self, role: Role, by: impl Iterator<Item = Role>) -> impl Iterator<Item = Reason> {
        by.filter_map(move |from| {
            let brings = self.index.order.brings.get(from as usize)?;
            brings.contains(&role).then(|| Reason {
                line: self.index.implied_lines.get(&from).copied().unwrap_or_default(),
                rule: IMPLIES.to_owned(),
                group: None,
                implied_by: Some(self.name(from)),
                from: None,
                until: None,
            })
        })
    }

    fn grant(&self, role: Role) -> Grant {
        let mut reasons = self.reasons(role, &self.tally.granted);
        reasons.extend(self.brought(role, self.resolved.held.iter().copied()));
        Grant { role: self.name(role), reasons: reasons.into_iter().collect() }
    }

    fn withheld(&self) -> Vec<Withheld> {
        let mut objections: BTreeMap<Role, BTreeSet<Objection>> = BTreeMap::new();
        for (role, loss) in &self.resolved.lost {
            objections.entry(*role).or_default().extend(self.objections(*role, loss));
        }
        let lost: Vec<Role> = objections.keys().copied().collect();
        for (role, _) in &self.tally.dormant {
            if !self.resolved.held.contains(role) && !lost.contains(role) {
                objections.entry(*role).or_default().insert(Objection::NotInForce);
            }
        }
        let mut withheld: Vec<Withheld> = objections
            .into_iter()
            .map(|(role, objections)| {
                let mut reasons = self.reasons(role, &self.tally.granted);
                let by = self.resolved.held.iter().copied().chain(lost.iter().copied());
                reasons.extend(self.brought(role, by));
                if reasons.is_empty() {
                    reasons = self.reasons(role, &self.tally.dormant);
                }
                let objections = objections.into_iter().collect();
                Withheld { role: self.name(role), reasons: reasons.into_iter().collect(), objections }
            })
            .collect();
        withheld.sort();
        withheld
    }

    fn objections(&self, role: Role, loss: &Loss) -> Vec<Objection> {
        match loss {
            Loss::Outranked { family, by } => {
                vec![Objection::Outranked { by: self.name(*by), line: self.index.family_lines[*family] }]
            }
            Loss::Separated { set, from } => {
                let (rule, line) = self.index.separation_names[*set].clone();
                let mut from: Vec<RoleName> = from.iter().map(|role| self.name(*role)).collect();
                from.sort();
                vec![Objection::Separated { from, rule, line }]
            }
            Loss::Denied => {
                let name = self.name(role);
                let patterns = self.tally.denied_patterns.iter();
                let by_pattern = patterns.filter(|(pattern, _)| stands_for(pattern, name.as_str()));
                let mut reasons = self.reasons(role, &self.tally.denied);
                reasons.extend(by_pattern.map(|(_, cause)| self.reason(*cause)));
                reasons.into_iter().map(Objection::Denied).collect()
            }
        }
    }
}
