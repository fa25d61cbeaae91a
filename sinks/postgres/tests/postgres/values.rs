//! Values that are strange and allowed, and values that PostgreSQL cannot keep.

use rolecall_sink_api::conformance::people::{put_group, put_user, user};
use rolecall_sink_api::{Address, GroupId, RoleName, Sink as _};
use serde_json::{Value, json};

use crate::fixture::{Fixture, apply, group, rejected};

#[tokio::test]
async fn strange_text_is_kept_as_it_is() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink();
    let texts = [
        "'; DROP TABLE rolecall.users; --",
        "a\"b\\c{d,e}",
        "𝔘𝔫𝔦 💥 Łódź",
        " \t\r\n ",
        "NULL",
        "\u{7f}\u{1}",
    ];
    let mut changes = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        let mut user = user(&format!("{n} {text}"));
        user.profile.title = Some((*text).into());
        user.profile.address = Some(Address { locality: Some((*text).into()), ..Address::default() });
        user.groups.insert(GroupId::new(*text), (*text).into());
        user.roles.insert(RoleName::new(*text));
        changes.push(put_user(user, 1));
        changes.push(put_group(group(text, text), 1));
    }
    apply(&sink, &changes).await;
    for (n, text) in texts.iter().enumerate() {
        let row = format!(
            "SELECT id, title, address->>'locality', group_id, name, role FROM rolecall.users \
             JOIN rolecall.group_members m ON m.user_id = id JOIN rolecall.groups g ON g.id = m.group_id \
             JOIN rolecall.user_roles r ON r.user_id = users.id WHERE users.id LIKE '{n} %'"
        );
        let row =
            row.replace("SELECT id,", "SELECT users.id,").replace("m.user_id = id", "m.user_id = users.id");
        let row = row.replace(", name,", ", g.name,");
        let id = format!("{n} {text}");
        let expected = [id.as_str(), text, text, text, text, text].map(|text| Some(text.to_owned()));
        assert_eq!(fixture.server.query(&row).await, [expected]);
    }
}

#[tokio::test]
async fn huge_text_and_nested_attributes_are_kept() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink();
    let mut ada = user("ada");
    ada.profile.title = Some("x".repeat(1_000_000));
    let mut nested = json!("deep");
    for _ in 0..50 {
        nested = json!({"in": [nested]});
    }
    let custom = json!({
        "badge": {"color": "red", "numbers": [1, 2.5, -3e10, 9_007_199_254_740_993_u64]},
        "flag": true, "none": null, "": "", "nested": nested,
    });
    ada.profile.custom = serde_json::from_value(custom.clone()).unwrap();
    apply(&sink, &[put_user(ada, 1)]).await;
    assert_eq!(fixture.value("SELECT length(title) FROM rolecall.users").await, "1000000");
    let held: Value =
        serde_json::from_str(&fixture.value("SELECT custom FROM rolecall.users").await).unwrap();
    assert_eq!(held["badge"]["numbers"], json!([1, 2.5, -3e10, 9_007_199_254_740_993_u64]));
    assert_eq!(held["nested"], custom["nested"]);
}

#[tokio::test]
async fn a_nul_character_is_refused_with_its_place_and_the_others_go_through() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink();
    let mut title = user("title");
    title.profile.title = Some("a\0b".into());
    let mut custom = user("custom");
    custom.profile.custom.insert("badge".into(), json!({"color": ["a", "b\0"]}));
    let mut key = user("key");
    key.profile.custom.insert("ba\0dge".into(), json!(1));
    let mut address = user("address");
    address.profile.address = Some(Address { country: Some("\0".into()), ..Address::default() });
    let mut groups = user("groups");
    groups.groups.insert(GroupId::new("g\0"), "g".into());
    let mut roles = user("roles");
    roles.roles.insert(RoleName::new("r\0"));
    let changes = [
        (put_user(title, 1), "title"),
        (put_user(custom, 1), "custom attribute \"badge\""),
        (put_user(key, 1), "custom attribute \"ba\\0dge\""),
        (put_user(address, 1), "address"),
        (put_user(groups, 1), "group \"g\\0\""),
        (put_user(roles, 1), "role \"r\\0\""),
        (put_user(user("\0"), 1), "the id"),
        (put_group(group("group", "\0"), 1), "name"),
        (put_user(user("fine"), 1), ""),
    ];
    let (changes, places): (Vec<_>, Vec<_>) = changes.into_iter().unzip();
    let outcomes = sink.apply(&changes).await.unwrap();
    for (outcome, place) in outcomes.iter().zip(&places[..8]) {
        let reason = rejected(outcome);
        assert!(reason.contains(place) && reason.contains("U+0000"), "{reason}");
    }
    assert_eq!(fixture.column("SELECT id FROM rolecall.users").await, ["fine"]);
}

#[tokio::test]
async fn an_id_too_long_for_an_index_is_refused_alone() {
    let fixture = Fixture::start().await;
    let sink = fixture.sink();
    // Text that cannot be compressed below a third of a page, which is what an index takes.
    let mut state = 1_u64;
    let long: String = (0..10_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'!' + u8::try_from((state >> 33) % 90).unwrap())
        })
        .collect();
    let outcomes = sink.apply(&[put_user(user(&long), 1), put_user(user("fine"), 1)]).await.unwrap();
    assert!(rejected(&outcomes[0]).contains("54000"), "{}", rejected(&outcomes[0]));
    assert_eq!(fixture.column("SELECT id FROM rolecall.users").await, ["fine"]);
}
