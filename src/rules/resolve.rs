//! From what rules grant and deny to what a user holds.
//!
//! In this order: what is granted brings what it implies; of each family the highest stays; of roles that no one may
//! hold together none stays, or the named one; what is denied goes; and what only came with a role that went goes with
//! it. The first three steps look at what is granted alone, so that a denial never makes room for another role.

use std::collections::BTreeSet;

/// A role, by its number. Numbers from the end of the known roles on are roles that were made from captures.
pub(super) type Role = u32;

/// What is said of roles themselves, whoever holds them.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    /// For each known role, what it brings.
    pub(super) brings: Vec<Vec<Role>>,
    /// For each known role, its family and its rank there; 0 is the highest.
    pub(super) rank: Vec<Option<(usize, usize)>>,
    pub(super) separations: Vec<Separated>,
}

/// A set of roles of which no one may hold two.
#[derive(Clone, Debug)]
pub(super) struct Separated {
    pub(super) roles: Vec<Role>,
    pub(super) keep: Option<Role>,
}

/// What became of the granted roles.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    /// What the user holds.
    pub(super) held: BTreeSet<Role>,
    /// What they do not, though it is granted or implied, and why. A role can be lost for several reasons.
    pub(super) lost: Vec<(Role, Loss)>,
}

/// Why a role is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// A higher one of the family, given by its number, is granted.
    Outranked { family: usize, by: Role },
    /// Others of the set are granted.
    Separated { set: usize, from: Vec<Role> },
    /// It is denied.
    Denied,
}

impl Order {
    fn brings(&self, role: Role) -> &[Role] {
        self.brings.get(role as usize).map_or(&[], Vec::as_slice)
    }

    fn rank(&self, role: Role) -> Option<(usize, usize)> {
        self.rank.get(role as usize).copied().flatten()
    }

    /// The roles reached from `from` by what roles bring, through those alone that `may` stay.
    fn closure(&self, from: impl Iterator<Item = Role>, may: impl Fn(Role) -> bool) -> BTreeSet<Role> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<Role> = from.collect();
        while let Some(role) = open.pop() {
            if may(role) && reached.insert(role) {
                open.extend(self.brings(role));
            }
        }
        reached
    }

    /// What a user holds to whom `granted` is granted.
    pub(super) fn resolve(&self, granted: &[Role], is_denied: impl Fn(Role) -> bool) -> Resolved {
        let all = self.closure(granted.iter().copied(), |_| true);
        let mut lost = Vec::new();
        let mut highest: Vec<(usize, usize, Role)> = Vec::new();
        for role in &all {
            let Some((family, rank)) = self.rank(*role) else { continue };
            match highest.iter_mut().find(|(known, ..)| *known == family) {
                Some(best) if best.1 > rank => *best = (family, rank, *role),
                Some(_) => {}
                None => highest.push((family, rank, *role)),
            }
        }
        for role in &all {
            let Some((family, rank)) = self.rank(*role) else { continue };
            if let Some((_, _, by)) = highest.iter().find(|(known, best, _)| *known == family && *best < rank)
            {
                lost.push((*role, Loss::Outranked { family, by: *by }));
            }
        }
        let outranked: BTreeSet<Role> = lost.iter().map(|(role, _)| *role).collect();
        for (set, Separated { roles, keep }) in self.separations.iter().enumerate() {
            let present: Vec<Role> = roles
                .iter()
                .copied()
                .filter(|role| all.contains(role) && !outranked.contains(role))
                .collect();
            if present.len() < 2 {
                continue;
            }
            for role in present.iter().filter(|role| Some(**role) != *keep) {
                let from = present.iter().copied().filter(|other| other != role).collect();
                lost.push((*role, Loss::Separated { set, from }));
            }
        }
        lost.extend(all.iter().filter(|role| is_denied(**role)).map(|role| (*role, Loss::Denied)));
        if lost.is_empty() {
            return Resolved { held: all, lost };
        }
        let gone: BTreeSet<Role> = lost.iter().map(|(role, _)| *role).collect();
        let held = self.closure(granted.iter().copied(), |role| !gone.contains(&role));
        Resolved { held, lost }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Roles 0 to 7: 0 > 1 > 2 are a family, 3 and 4 are kept apart, 5 and 6 too with 5 kept; 0 brings 3, 2 brings 7.
    fn order() -> Order {
        let mut brings = vec![Vec::new(); 8];
        brings[0] = vec![3];
        brings[2] = vec![7];
        let mut rank = vec![None; 8];
        for (at, rank) in rank.iter_mut().take(3).enumerate() {
            *rank = Some((0, at));
        }
        let separations =
            vec![Separated { roles: vec![3, 4], keep: None }, Separated { roles: vec![5, 6], keep: Some(5) }];
        Order { brings, rank, separations }
    }

    fn held(granted: &[Role], denied: &[Role]) -> Vec<Role> {
        order().resolve(granted, |role| denied.contains(&role)).held.into_iter().collect()
    }

    #[test]
    fn the_highest_of_a_family_stays_with_what_it_brings() {
        assert_eq!(held(&[1, 2], &[]), [1]);
        assert_eq!(held(&[0, 1, 2], &[]), [0, 3]);
        // What a role brings that is not held is not held either.
        assert_eq!(held(&[2], &[]), [2, 7]);
    }

    #[test]
    fn roles_that_are_kept_apart_go_together_or_leave_the_named_one() {
        assert_eq!(held(&[3, 4], &[]), [] as [Role; 0]);
        assert_eq!(held(&[5, 6], &[]), [5]);
        assert_eq!(held(&[0, 4], &[]), [0], "a role that another brings counts too");
    }

    #[test]
    fn what_is_denied_makes_no_room() {
        assert_eq!(held(&[0, 1], &[0]), [] as [Role; 0]);
        assert_eq!(held(&[3, 4], &[3]), [] as [Role; 0]);
        assert_eq!(held(&[5, 6], &[5]), [] as [Role; 0]);
        assert_eq!(held(&[2], &[2]), [] as [Role; 0]);
    }

    #[test]
    fn roles_that_were_made_stand_for_themselves() {
        assert_eq!(held(&[9, 1], &[]), [1, 9]);
    }

    proptest! {
        #[test]
        fn a_denial_takes_away_and_never_adds(
            granted in prop::collection::vec(0u32..8, 0..8), denied in prop::collection::vec(0u32..8, 0..4),
            one_more in 0u32..8, edges in prop::collection::vec((0usize..8, 0u32..8), 0..8)
        ) {
            let mut order = order();
            for (from, to) in edges {
                order.brings[from].push(to);
            }
            let before = order.resolve(&granted, |role| denied.contains(&role)).held;
            let after = order.resolve(&granted, |role| denied.contains(&role) || role == one_more).held;
            prop_assert!(after.is_subset(&before) && !after.contains(&one_more), "{before:?} {after:?}");
        }
    }
}
