//! Groups, roles and who is in them.

use futures_util::TryStreamExt as _;
use rolecall_sink_api::{Action, Group, Observed, Sink as _};
use rolecall_sink_ldap::LdapSink;
use rolecall_testkit::Slapd;
use serde_json::json;

use crate::fixture::{
    Daemon, Directory, UserExt as _, action, gone_group, gone_user, group, person, rejection, retry, role,
    sink, team, user,
};

const PLACEHOLDER: &str = "cn=rolecall-placeholder";

#[tokio::test(flavor = "multi_thread")]
async fn the_placeholder_leaves_when_a_member_comes_and_returns_with_the_last_to_leave() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    daemon.deliver(&sink, [group("staff").into()]).await;
    assert_eq!(directory.values(&team("staff"), "member").await, [PLACEHOLDER]);
    daemon.deliver(&sink, [user("ada").within(&["staff"]).into()]).await;
    assert_eq!(directory.values(&team("staff"), "member").await, [person("ada")]);
    daemon.deliver(&sink, [user("ada").into()]).await;
    assert_eq!(directory.values(&team("staff"), "member").await, [PLACEHOLDER]);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_others_put_there_stay() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    daemon.deliver(&sink, [group("staff").into(), user("ada").within(&["staff"]).into()]).await;
    let theirs = "cn=service,dc=example,dc=com";
    let record = format!("changetype: modify\nadd: member\nmember: {theirs}\n");
    directory.slapd.modify_ldif(&format!("dn: {}\n{record}", team("staff"))).await;
    daemon.deliver(&sink, [gone_user("ada"), user("bob").within(&["staff"]).into()]).await;
    let mut members = directory.values(&team("staff"), "member").await;
    members.sort();
    assert_eq!(members, [theirs.to_owned(), person("bob")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_put_in_or_taken_out_by_hand_is_what_was_wanted() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    let ada = || user("ada").within(&["staff"]);
    daemon.deliver(&sink, [group("staff").into(), ada().into()]).await;
    let swap = format!("changetype: modify\nreplace: member\nmember: {PLACEHOLDER}\n");
    directory.slapd.modify_ldif(&format!("dn: {}\n{swap}", team("staff"))).await;
    daemon.deliver(&sink, [user("ada").into()]).await;
    let swap = format!("changetype: modify\nreplace: member\nmember: {}\n", person("ada"));
    directory.slapd.modify_ldif(&format!("dn: {}\n{swap}", team("staff"))).await;
    assert_eq!(action(&daemon.deliver(&sink, [ada().into()]).await[0]), Action::Unchanged);
    assert_eq!(directory.values(&team("staff"), "member").await, [person("ada")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_waits_for_a_group_that_comes_later_with_all_else_done() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    let ada = || user("ada").within(&["late"]).with_roles(&["reader"]);
    let outcomes = daemon.deliver(&sink, [ada().into()]).await;
    assert!(retry(&outcomes[0]).contains("group late (\"late team\") is not in the directory yet"));
    assert_eq!(directory.values(&role("reader"), "member").await, [person("ada")]);
    daemon.deliver(&sink, [group("late").into()]).await;
    daemon.deliver(&sink, [ada().into()]).await;
    assert_eq!(directory.values(&team("late"), "member").await, [person("ada")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_group_keeps_its_members_and_its_id() {
    let directory = Directory::start().await;
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    daemon.deliver(&sink, [group("staff").into(), user("ada").within(&["staff"]).into()]).await;
    let id = directory.value(&team("staff"), "entryUUID").await;
    let renamed = Group { name: "Everybody, really".into(), ..group("staff") };
    daemon.deliver(&sink, [renamed.into()]).await;
    let dn = r"cn=Everybody\2C really,ou=groups,dc=example,dc=com";
    assert_eq!(directory.value(dn, "entryUUID").await, id);
    assert_eq!(directory.values(dn, "member").await, [person("ada")]);
    daemon.deliver(&sink, [gone_group("staff")]).await;
    assert_eq!(directory.slapd.entry(dn, &[]).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_group_made_by_hand_is_refused_or_adopted_as_configured() {
    let directory = Directory::start().await;
    let theirs = "cn=service,dc=example,dc=com";
    let entry = format!("dn: {}\nobjectClass: groupOfNames\ncn: admin\nmember: {theirs}\n", role("admin"));
    directory.slapd.add_ldif(&entry).await;
    let (refusing, mut daemon) = (directory.sink(), Daemon::default());
    let ada = || user("ada").with_roles(&["admin"]);
    let outcomes = daemon.deliver(&refusing, [ada().into()]).await;
    assert!(rejection(&outcomes[0]).contains(&role("admin")));
    assert_eq!(directory.values(&role("admin"), "member").await, [theirs]);

    let mut config = directory.config();
    config["roles"]["on_existing"] = json!("adopt");
    daemon.deliver(&sink(config), [ada().into()]).await;
    assert_eq!(directory.values(&role("admin"), "member").await, [theirs.to_owned(), person("ada")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_show_as_values_of_an_attribute() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    config["roles"] = json!({ "attribute": "employeeType" });
    let (sink, mut daemon) = (sink(config), Daemon::default());
    daemon.deliver(&sink, [user("ada").with_roles(&["admin", "reader"]).into()]).await;
    let mut roles = directory.values(&person("ada"), "employeeType").await;
    roles.sort();
    assert_eq!(roles, ["admin", "reader"]);
    daemon.deliver(&sink, [user("ada").with_roles(&["admin", "reader"]).deactivated().into()]).await;
    assert!(directory.values(&person("ada"), "employeeType").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_there_already_is_a_success_beside_one_that_is_not() {
    // The account may write members and not read them, so it cannot see who is there.
    let rule = "to attrs=member by dn.exact=cn=rolecall,ou=services,dc=example,dc=com =w by * read";
    let directory = Directory::with(Slapd::options().access(rule).start().await);
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    let within = |id: &str| user(id).within(&["staff"]).into();
    daemon.deliver(&sink, [group("staff").into(), within("ada")]).await;
    daemon.forget();
    for outcome in daemon.deliver(&sink, [within("ada"), within("bob")]).await {
        action(&outcome);
    }
    let mut members = directory.values(&team("staff"), "member").await;
    members.sort();
    assert_eq!(members, [PLACEHOLDER.to_owned(), person("ada"), person("bob")]);
}

/// What differs between the kinds of group: how the configuration names one, and how a person stands in it.
struct Kind {
    config: serde_json::Value,
    member: &'static str,
    person: fn(&str) -> String,
    empty: &'static [&'static str],
}

fn kinds() -> [Kind; 3] {
    let group_dn = "cn={{ group.name }},ou=groups,dc=example,dc=com";
    let kind = |config, member, person, empty| Kind { config, member, person, empty };
    let names = json!({ "dn": group_dn });
    let unique = json!({
        "dn": group_dn, "object_classes": ["top", "groupOfUniqueNames"], "member_attribute": "uniqueMember",
    });
    let posix = json!({
        "dn": group_dn, "object_classes": ["top", "posixGroup"], "member_attribute": "memberUid",
        "attributes": { "gidNumber": "100" },
    });
    [
        kind(names, "member", person, &[PLACEHOLDER]),
        kind(unique, "uniqueMember", person, &[PLACEHOLDER]),
        kind(posix, "memberUid", str::to_owned, &[]),
    ]
}

/// The sink for one kind of group; the mark is where every class allows it.
fn of_kind(directory: &Directory, kind: &Kind) -> LdapSink {
    let mut config = directory.config();
    config["groups"] = kind.config.clone();
    config["marker"] = json!({ "attribute": "description" });
    sink(config)
}

#[tokio::test(flavor = "multi_thread")]
async fn members_come_go_and_are_renamed_in_every_kind_of_group_without_the_servers_help() {
    for kind in kinds() {
        // No overlay moves or drops members here.
        let directory = Directory::with(Slapd::options().plain().start().await);
        let (sink, mut daemon) = (of_kind(&directory, &kind), Daemon::default());
        let members = async || {
            let mut members = directory.values(&team("staff"), kind.member).await;
            members.sort();
            members
        };
        let within = |id: &str| user(id).within(&["staff"]);
        daemon.deliver(&sink, [group("staff").into()]).await;
        assert_eq!(members().await, kind.empty);
        daemon.deliver(&sink, [within("ada").into(), within("bob").into()]).await;
        assert_eq!(members().await, [(kind.person)("ada"), (kind.person)("bob")]);

        let mut lovelace = within("ada");
        lovelace.profile.user_name = Some("lovelace".into());
        daemon.deliver(&sink, [lovelace.into()]).await;
        assert_eq!(members().await, [(kind.person)("bob"), (kind.person)("lovelace")]);

        assert_eq!(action(&daemon.deliver(&sink, [within("bob").into()]).await[0]), Action::Unchanged);
        daemon.deliver(&sink, [gone_user("ada"), user("bob").into()]).await;
        assert_eq!(members().await, kind.empty);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_group_is_read_back() {
    for kind in kinds() {
        let directory = Directory::start().await;
        let (sink, mut daemon) = (of_kind(&directory, &kind), Daemon::default());
        daemon.deliver(&sink, [group("staff").into(), user("ada").within(&["staff"]).into()]).await;
        let observed: Vec<Observed> = sink.observe().unwrap().try_collect().await.unwrap();
        let [Observed::Group(staff), Observed::User(ada)] = &observed[..] else { panic!("{observed:?}") };
        assert_eq!(ada.groups.iter().collect::<Vec<_>>(), [&staff.remote], "{}", kind.member);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_members_come_in_modifications_of_the_configured_size() {
    let directory = Directory::start().await;
    let mut config = directory.config();
    config["members_per_modify"] = json!(10);
    let (sink, mut daemon) = (sink(config), Daemon::default());
    daemon.deliver(&sink, [group("staff").into()]).await;
    let before = directory.slapd.operations().await;
    daemon.deliver(&sink, (0..95).map(|n| user(&format!("u{n}")).within(&["staff"]).into())).await;
    let done = directory.slapd.operations().await - before;
    assert_eq!((done.adds, done.modifies), (95, 11), "the placeholder leaves by itself");
    assert_eq!(directory.values(&team("staff"), "member").await.len(), 95);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_new_is_not_in_a_group_that_kept_the_name_of_somebody_else() {
    let directory = Directory::with(Slapd::options().plain().start().await);
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    daemon.deliver(&sink, [group("staff").into(), group("admins").into()]).await;
    let record = format!("changetype: modify\nadd: member\nmember: {}\n", person("ada"));
    directory.slapd.modify_ldif(&format!("dn: {}\n{record}", team("admins"))).await;
    let people = ["ada", "bob"].map(|id| user(id).within(&["staff"]).into());
    daemon.deliver(&sink, people).await;
    assert_eq!(directory.values(&team("admins"), "member").await, [PLACEHOLDER]);
    assert_eq!(directory.values(&team("staff"), "member").await.len(), 2);
}
