//! Which changes take something away from a user, and how many of those may go to the sink before a person is asked. Pure.

use rolecall_sink_api::{Change, Entity};

use super::config::SafeguardConfig;
use crate::store::{
    Guarded, Held, HeldBecause, HeldIn, Lately, Losing, Reached, Tally, Withdrawal, Withdrawn,
};

/// A withdrawal that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// From whom, and what.
    pub(super) withdrawn: Withdrawn,
    /// Which of their generations.
    pub(super) generation: u64,
    /// Where an older generation is held.
    pub(super) held: Option<HeldIn>,
}

/// What a change withdraws from a user who has it in the sink, or who may have it by an attempt that was not confirmed.
pub(super) fn withdrawn(change: &Change) -> Option<Withdrawn> {
    if !matches!(change.entity, Entity::User(_)) {
        return None;
    }
    let before = [change.applied_user(), change.attempted_user()].into_iter().flatten();
    let withdrawal = Losing::of(before.clone(), change.desired_user()).map(Losing::withdrawal);
    let organization = before.into_iter().find_map(|user| user.organization.clone());
    withdrawal.map(|withdrawal| Withdrawn { entity: change.entity.clone(), withdrawal, organization })
}

/// Who of the candidates passes and who is held. Those who count already pass again: it was tried before, or it is a
/// second step. How many pass does not depend on the order of the candidates.
pub(super) fn judge(config: &SafeguardConfig, mut lately: Lately, candidates: Vec<Candidate>) -> Guarded {
    let mut guarded = Guarded::default();
    for Candidate { withdrawn, generation, held } in candidates {
        let because = match held.filter(|held| held.withdrawal == withdrawn.withdrawal) {
            Some(held) => Some(HeldBecause::Already(held.hold)),
            None if lately.counted.contains(&(withdrawn.withdrawal, withdrawn.entity.clone())) => None,
            None => reached(config, &lately, &withdrawn).map(HeldBecause::Over),
        };
        let Some(because) = because else {
            count(&mut lately, &withdrawn);
            guarded.passing.push(withdrawn);
            continue;
        };
        let Withdrawn { entity, withdrawal, .. } = withdrawn;
        guarded.held.push(Held { entity, generation, withdrawal, because });
    }
    guarded
}

/// The limit that leaves no room for another one: the organization's, or that of the sink as a whole.
fn reached(config: &SafeguardConfig, lately: &Lately, withdrawn: &Withdrawn) -> Option<Reached> {
    let limits = [withdrawn.organization.clone(), None];
    limits.into_iter().find_map(|organization| {
        let counted = (withdrawn.withdrawal, organization.clone());
        let Tally { withdrawn: already, users } = lately.tallies.get(&counted).copied().unwrap_or_default();
        let allowed = allowed(config, withdrawn.withdrawal, users);
        (already >= allowed).then_some(Reached {
            organization,
            allowed,
            of_users: users,
            within: config.within.get(),
        })
    })
}

fn count(lately: &mut Lately, withdrawn: &Withdrawn) {
    let Withdrawn { entity, withdrawal, organization } = withdrawn;
    if !lately.counted.insert((*withdrawal, entity.clone())) {
        return;
    }
    lately.tallies.entry((*withdrawal, None)).or_default().withdrawn += 1;
    if organization.is_some() {
        lately.tallies.entry((*withdrawal, organization.clone())).or_default().withdrawn += 1;
    }
}

/// From how many of so many users something may be withdrawn: the number or the share, whichever is more.
fn allowed(config: &SafeguardConfig, withdrawal: Withdrawal, users: u64) -> u64 {
    let (number, percent) = match withdrawal {
        Withdrawal::Removal => (config.removals, config.removals_percent),
        Withdrawal::Revocation => (config.revocations, config.revocations_percent),
    };
    u64::from(number).max(users.saturating_mul(u64::from(percent)) / 100)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use rolecall_sink_api::{
        Attempted, Document, Group, GroupId, OrganizationId, Profile, RoleName, User, UserId,
    };

    use super::*;
    use crate::store::HoldId;

    fn id(n: u32) -> Entity {
        Entity::User(UserId::new(format!("u{n}")))
    }

    fn document(active: bool, roles: &[&str]) -> Document {
        Document::User(Box::new(User {
            id: UserId::new("u1"),
            organization: Some(OrganizationId::new("org_1")),
            active,
            profile: Profile::default(),
            groups: [(GroupId::new("g1"), "Engineering".to_owned())].into(),
            roles: roles.iter().map(|role| RoleName::new(*role)).collect(),
        }))
    }

    fn change(applied: Option<Document>, desired: Option<Document>) -> Change {
        Change {
            entity: id(1),
            desired,
            applied,
            attempted: None,
            remote: None,
            generation: 1,
            idempotency_key: String::new(),
            attempt: 1,
        }
    }

    fn kind(change: &Change) -> Option<Withdrawal> {
        withdrawn(change).map(|withdrawn| withdrawn.withdrawal)
    }

    #[test]
    fn deactivating_and_deleting_is_a_removal() {
        let there = || Some(document(true, &["dev"]));
        assert_eq!(kind(&change(there(), None)), Some(Withdrawal::Removal));
        assert_eq!(kind(&change(there(), Some(document(false, &[])))), Some(Withdrawal::Removal));
        assert_eq!(kind(&change(Some(document(false, &[])), None)), Some(Withdrawal::Removal));
        let removed = withdrawn(&change(there(), None)).unwrap();
        assert_eq!(removed.organization, Some(OrganizationId::new("org_1")));
    }

    #[test]
    fn losing_a_role_is_a_revocation_whatever_comes_in_its_place() {
        let two = || Some(document(true, &["admin", "dev"]));
        assert_eq!(kind(&change(two(), Some(document(true, &["dev"])))), Some(Withdrawal::Revocation));
        assert_eq!(kind(&change(two(), Some(document(true, &["ops", "dev"])))), Some(Withdrawal::Revocation));
    }

    #[test]
    fn joins_updates_and_groups_withdraw_nothing() {
        let inactive = || Some(document(false, &[]));
        assert_eq!(kind(&change(None, Some(document(true, &["dev"])))), None);
        assert_eq!(kind(&change(None, inactive())), None);
        assert_eq!(kind(&change(inactive(), inactive())), None);
        assert_eq!(kind(&change(inactive(), Some(document(true, &["dev"])))), None);
        assert_eq!(kind(&change(Some(document(true, &[])), Some(document(true, &["dev"])))), None);
        assert_eq!(kind(&change(None, None)), None);
        let group = Document::Group(Group {
            id: GroupId::new("g1"),
            organization: None,
            name: "Engineering".into(),
            external_id: None,
        });
        let gone = Change { entity: Entity::Group(GroupId::new("g1")), ..change(Some(group), None) };
        assert_eq!(kind(&gone), None);
    }

    #[test]
    fn what_an_unconfirmed_attempt_may_have_given_is_taken_away_too() {
        let attempted = Attempted { given: document(true, &["dev"]), withdrawn: false, remote: None };
        let attempted = |desired| Change { attempted: Some(attempted.clone()), ..change(None, desired) };
        assert_eq!(kind(&attempted(None)), Some(Withdrawal::Removal));
        assert_eq!(kind(&attempted(Some(document(true, &[])))), Some(Withdrawal::Revocation));
        assert_eq!(kind(&attempted(Some(document(true, &["dev"])))), None);
    }

    #[test]
    fn the_number_and_the_share_must_both_be_exceeded() {
        let config = SafeguardConfig::default();
        let allowed = |users| allowed(&config, Withdrawal::Removal, users);
        assert_eq!([0, 10, 999, 1000, 10_000].map(allowed), [50, 50, 50, 50, 500]);
    }

    fn candidate(n: u32, withdrawal: Withdrawal, organization: Option<u8>) -> Candidate {
        let organization = organization.map(|n| OrganizationId::new(format!("org_{n}")));
        let withdrawn = Withdrawn { entity: id(n), withdrawal, organization };
        Candidate { withdrawn, generation: 1, held: None }
    }

    #[test]
    fn what_is_held_stays_in_its_hold_though_there_is_room_again() {
        let held = Some(HeldIn { hold: HoldId(7), withdrawal: Withdrawal::Removal });
        let again = Candidate { held, ..candidate(1, Withdrawal::Removal, None) };
        let guarded = judge(&SafeguardConfig::default(), Lately::default(), vec![again]);
        assert_eq!(guarded.held.len(), 1);
        assert_eq!(guarded.held[0].because, HeldBecause::Already(HoldId(7)));
        // Held for the loss of a role, now gone altogether: that is another limit.
        let gone = Candidate { held, ..candidate(1, Withdrawal::Revocation, None) };
        let guarded = judge(&SafeguardConfig::default(), Lately::default(), vec![gone]);
        assert_eq!((guarded.passing.len(), guarded.held.len()), (1, 0));
    }

    #[test]
    fn an_organization_that_loses_everybody_is_held_though_the_sink_hardly_notices() {
        let config = SafeguardConfig { removals: 2, removals_percent: 5, ..SafeguardConfig::default() };
        let mut lately = Lately::default();
        lately.tallies.insert((Withdrawal::Removal, None), Tally { withdrawn: 0, users: 100_000 });
        let of_1 = (Withdrawal::Removal, Some(OrganizationId::new("org_1")));
        lately.tallies.insert(of_1, Tally { withdrawn: 0, users: 4 });
        let all = (0..4).map(|n| candidate(n, Withdrawal::Removal, Some(1))).collect();
        let guarded = judge(&config, lately, all);
        assert_eq!(guarded.passing.len(), 2);
        let HeldBecause::Over(reached) = &guarded.held[0].because else { panic!("not over") };
        assert_eq!(reached.organization, Some(OrganizationId::new("org_1")));
        assert_eq!((reached.allowed, reached.of_users), (2, 4));
    }

    fn withdrawals() -> impl Strategy<Value = Vec<Candidate>> {
        let kind = prop::sample::select(Withdrawal::ALL.to_vec());
        let one = (0_u32..60, kind, prop::option::of(0_u8..3));
        prop::collection::vec(one, 0..80)
            .prop_map(|all| all.into_iter().map(|(n, kind, org)| candidate(n, kind, org)).collect())
    }

    /// What a store would say to each batch, of withdrawals that all fall into one window.
    fn through(config: &SafeguardConfig, batches: Vec<Vec<Candidate>>, users: u64) -> Vec<Withdrawn> {
        let mut passed: BTreeSet<Withdrawn> = BTreeSet::new();
        for batch in batches {
            let mut lately = Lately::default();
            for Candidate { withdrawn, .. } in &batch {
                for organization in [None, withdrawn.organization.clone()] {
                    let counts = |w: &&Withdrawn| {
                        w.withdrawal == withdrawn.withdrawal
                            && (organization.is_none() || w.organization == organization)
                    };
                    let tally = Tally { withdrawn: passed.iter().filter(counts).count() as u64, users };
                    lately.tallies.insert((withdrawn.withdrawal, organization.clone()), tally);
                }
                let already =
                    |w: &Withdrawn| (w.withdrawal, &w.entity) == (withdrawn.withdrawal, &withdrawn.entity);
                if passed.iter().any(already) {
                    lately.counted.insert((withdrawn.withdrawal, withdrawn.entity.clone()));
                }
            }
            for withdrawn in judge(config, lately, batch).passing {
                // Who counts already is noted anew, with whatever organization they are of now.
                passed.retain(|w| (w.withdrawal, &w.entity) != (withdrawn.withdrawal, &withdrawn.entity));
                passed.insert(withdrawn);
            }
        }
        passed.into_iter().collect()
    }

    /// One organization for each user, as in one moment.
    fn settled(batch: Vec<Candidate>) -> Vec<Candidate> {
        let mut seen = BTreeSet::new();
        batch
            .into_iter()
            .filter(|c| seen.insert((c.withdrawn.withdrawal, c.withdrawn.entity.clone())))
            .collect()
    }

    proptest! {
        /// However withdrawals are spread over batches, no more users than allowed lose anything within the window.
        #[test]
        fn no_more_than_the_limit_passes_within_a_window(
            all in withdrawals(),
            size in 1_usize..20,
            removals in 0_u32..20,
            percent in 0_u8..30,
            users in 0_u64..100,
        ) {
            let config = SafeguardConfig {
                removals, removals_percent: percent, revocations: removals / 2, revocations_percent: percent,
                ..SafeguardConfig::default()
            };
            let passed = through(&config, settled(all).chunks(size).map(<[_]>::to_vec).collect(), users);
            for withdrawal in Withdrawal::ALL {
                let of = |org: Option<&OrganizationId>| passed.iter()
                    .filter(|w| w.withdrawal == withdrawal && (org.is_none() || w.organization.as_ref() == org))
                    .count() as u64;
                let allowed = allowed(&config, withdrawal, users);
                prop_assert!(of(None) <= allowed);
                for n in 0..3 {
                    let organization = OrganizationId::new(format!("org_{n}"));
                    prop_assert!(of(Some(&organization)) <= allowed);
                }
            }
        }

        /// The order within a batch decides who passes, and never how many.
        #[test]
        fn the_order_of_a_batch_does_not_matter(all in withdrawals().prop_map(settled), removals in 0_u32..20) {
            let config = SafeguardConfig { removals, revocations: removals, ..SafeguardConfig::default() };
            let mut reversed = all.clone();
            reversed.reverse();
            let passed = judge(&config, Lately::default(), all).passing.len();
            prop_assert_eq!(passed, judge(&config, Lately::default(), reversed).passing.len());
        }
    }
}
