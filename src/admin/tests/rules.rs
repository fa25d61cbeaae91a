//! `/v1/rules`: plan, apply, history, rollback, reload.

use rolecall_sink_api::{RoleName, UserId};

use super::{Daemon, RULES};
use crate::admin::ClientError;
use crate::admin::api::{PlanRequest, RoleObjection, RulesText};
use crate::rulebook::RoleChange;
use crate::store::RulesOrigin;

const OTHER: &str = "\
default: member
rules:
  - {name: engineers, when: {group: Engineering}, grant: [developer, member]}
  - {name: grace stays out, when: {attribute: {user_name: ada}}, deny: member}
";

fn roles(names: &[&str]) -> std::collections::BTreeSet<RoleName> {
    names.iter().map(|name| RoleName::new(*name)).collect()
}

#[tokio::test]
async fn rules_are_planned_put_into_force_looked_up_and_taken_back() {
    let daemon = Daemon::with_ada_and_grace().await;
    let client = &daemon.client;
    let request = PlanRequest { name: "other.yaml".into(), text: OTHER.into(), after: None };
    let plan = client.plan_rules(&request).await.unwrap();
    let ada = RoleChange {
        id: UserId::new("diruser_ada"),
        name: Some("ada".into()),
        gains: roles(&["developer"]),
        losses: roles(&["engineer", "member"]),
    };
    assert_eq!((plan.users, plan.changes, plan.next), (2, vec![ada], None));
    assert_eq!(client.status().await.unwrap().rules.in_force.unwrap().number, 1, "a plan changes nothing");

    let rules = RulesText { name: "other.yaml".into(), text: OTHER.into() };
    let in_force = client.apply_rules(&rules).await.unwrap();
    assert_eq!((in_force.version, in_force.is_new, in_force.evaluates), (2, true, true));
    let found = client.users("diruser_ada").await.unwrap();
    assert_eq!(found.rules_file, "rules version 2");
    let [member] = found.users[0].withheld.as_slice() else { panic!("{:?}", found.users[0].withheld) };
    let [RoleObjection::Denied(reason)] = member.objections.as_slice() else { panic!("{member:?}") };
    assert_eq!((reason.rule.as_str(), reason.line), ("grace stays out", 4));

    assert_eq!(client.roll_back_rules(None).await.unwrap().version, 3);
    let history = client.rules_history(10).await.unwrap();
    let origins: Vec<_> = history.versions.iter().map(|version| (version.number, version.origin)).collect();
    assert_eq!(
        origins,
        [(3, RulesOrigin::Rollback { to: 1 }), (2, RulesOrigin::Apply), (1, RulesOrigin::Start)]
    );
    assert_eq!(client.rules_version(Some(2)).await.unwrap().text, OTHER);
    assert_eq!(client.rules_version(None).await.unwrap().text, RULES);
    assert_eq!(client.reload_rules().await.unwrap().version, 3, "the file says what is in force");
}

#[tokio::test]
async fn wrong_rules_are_told_with_their_line_and_stand_in_the_status() {
    let daemon = Daemon::with_ada_and_grace().await;
    let wrong = RulesText { name: "new.yaml".into(), text: "default: member\nrule: []\n".into() };
    let error = daemon.client.apply_rules(&wrong).await.unwrap_err();
    let ClientError::Refused(told) = error else { panic!("{error:?}") };
    assert!(told.starts_with("new.yaml:2:1: there is no key `rule` here\n 2 | rule: []"), "{told}");
    let status = daemon.client.status().await.unwrap();
    assert_eq!(status.rules.rejected.unwrap().error, told);
    assert_eq!(status.rules.in_force.unwrap().number, 1);
    let request = PlanRequest { name: wrong.name, text: wrong.text, after: None };
    assert!(matches!(daemon.client.plan_rules(&request).await, Err(ClientError::Refused(_))));
}
