//! The suite tested: a right sink passes, and each case catches a sink that is wrong in its way.

use std::collections::BTreeSet;

use super::memory::{Fault, Memory};
use super::{Verdict, cases, run, run_matching};

#[tokio::test]
async fn a_right_sink_passes_every_case() {
    let report = run(&Memory::new(None)).await;
    assert!(report.passed(), "{report}");
    let skipped = report.cases.iter().any(|case| matches!(case.verdict, Verdict::Skipped(_)));
    assert!(!skipped, "the target in memory can show everything:\n{report}");
}

#[tokio::test]
async fn a_right_sink_that_makes_users_before_their_groups_are_there_passes_too() {
    let report = run(&Memory::that_waits_for_groups()).await;
    assert!(report.passed(), "{report}");
}

/// Each fault with the cases meant for it.
const CAUGHT: &[(Fault, &[&str])] = &[
    (Fault::WritesNothing, &["create"]),
    (Fault::NeverUpdates, &["update"]),
    (Fault::FindsByName, &["user_is_renamed"]),
    (Fault::StopsAtARefusal, &["one_refused_change"]),
    (Fault::CopiesAlways, &["the_same_change_twice"]),
    (Fault::RemembersInMemoryOnly, &["the_same_change_after_a_restart"]),
    (Fault::CopiesWithoutRemote, &["the_same_change_after_a_crash"]),
    (Fault::TogglesMemberships, &["an_update_after_a_crash", "random_histories"]),
    (Fault::DeletesNothing, &["delete"]),
    (Fault::RejectsDeleteOfUnknown, &["delete_what_was_never_there", "delete_twice"]),
    (Fault::DeletesByRemoteOnly, &["delete_after_a_crash"]),
    (Fault::NeverRevives, &["recreate_after_delete"]),
    (Fault::IgnoresDeactivation, &["deactivate"]),
    (Fault::KeepsRolesOfInactive, &["deactivate", "observe_equals_applied"]),
    (Fault::TogglesActive, &["deactivate_twice"]),
    (Fault::IgnoresReactivation, &["reactivate"]),
    (Fault::CreatesActive, &["create_inactive"]),
    (Fault::SkipsInactiveOnDelete, &["delete_inactive"]),
    (Fault::OnlyAddsGroups, &["membership_comes_and_goes"]),
    (Fault::OnlyAddsRoles, &["roles_come_and_go"]),
    (Fault::ReadsGroupsBeforeTheBatch, &["group_and_user_in_one_batch"]),
    (Fault::ForgetsUnknownGroups, &["group_comes_after_its_member"]),
    (Fault::RejectsUnknownGroups, &["group_comes_after_its_member", "user_names_a_group_that_is_gone"]),
    (Fault::ForgetsWhatItMadeBeforeARetry, &["what_waits_for_its_group_is_made_once"]),
    (Fault::TakesMembersAlong, &["group_goes_before_its_members"]),
    (Fault::IgnoresRename, &["group_is_renamed"]),
    (Fault::MergesGroupsByName, &["two_groups_of_one_name"]),
    (Fault::DropsEmptyGroups, &["last_member_leaves"]),
    (Fault::ShufflesOutcomes, &["outcomes_in_order"]),
    (Fault::LosesAnOutcome, &["outcomes_in_order"]),
    (Fault::LeaversOnly, &["leavers_in_a_batch"]),
    (Fault::HundredAtMost, &["large_batch"]),
    (Fault::TrimsText, &["hostile_attributes", "hostile_group_names"]),
    (Fault::RejectsTheWholeBatch, &["hostile_attributes"]),
    (Fault::CutsIdsAtSlash, &["hostile_ids"]),
    (Fault::AdoptsByName, &["unmanaged_is_untouched"]),
    (Fault::ObservesOnlyActive, &["observe_equals_applied"]),
    (Fault::HidesThatItIsDown, &["down_and_up_again"]),
    (Fault::LooksAgainForever, &["look_again"]),
    (Fault::StaysLockedWhenCutOff, &["cut_off_then_the_same"]),
    (Fault::TrustsApplied, &["cut_off_then_something_newer"]),
    (Fault::TakesBackOnlyWhatWasConfirmed, &["attempts_that_nobody_confirmed", "random_histories"]),
];

#[tokio::test]
async fn every_fault_is_caught_by_the_case_meant_for_it() {
    let mut passed = Vec::new();
    for (fault, cases) in CAUGHT {
        for case in *cases {
            let report = run_matching(&Memory::new(Some(*fault)), case).await;
            if !report.failures().any(|found| found.name == *case) {
                passed.push(format!("{fault:?} passes {case}"));
            }
        }
    }
    assert!(passed.is_empty(), "{passed:#?}");
}

#[test]
fn every_case_catches_something() {
    let caught: BTreeSet<&str> = CAUGHT.iter().flat_map(|(_, cases)| *cases).copied().collect();
    for case in cases::all() {
        assert!(caught.contains(case.name), "no broken sink shows that {} can fail", case.name);
    }
}

#[tokio::test]
async fn a_report_says_what_was_promised_and_what_was_found() {
    let report = run_matching(&Memory::new(Some(Fault::IgnoresDeactivation)), "deactivate").await;
    let text = report.to_string();
    assert!(!report.passed());
    assert!(text.contains("FAIL  deactivate"), "{text}");
    assert!(text.contains("promised: an inactive user has no access and no roles"), "{text}");
    assert!(text.contains("user ada: active should be false and is true"), "{text}");
}
