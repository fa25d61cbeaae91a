//! Users and groups as comma-separated values (RFC 4180).

use std::borrow::Cow;
use std::io::{self, Write};

use rolecall_sink_api::{Group, TEXT_ATTRIBUTES, User};

/// What a cell must not begin with: a spreadsheet takes it for a formula, which may send what it likes where it likes.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// The titles of groups.
pub(super) const GROUP_TITLES: [&str; 4] = ["id", "name", "organization_id", "external_id"];

/// The titles of users.
pub(super) fn user_titles() -> impl Iterator<Item = &'static str> {
    ["id", "active"].into_iter().chain(TEXT_ATTRIBUTES.map(|(name, _)| name)).chain(["groups", "roles"])
}

pub(super) fn user(out: &mut impl Write, user: &User) -> io::Result<()> {
    let groups: Vec<&str> = user.groups.values().map(String::as_str).collect();
    let (groups, roles) = (serde_json::to_string(&groups)?, serde_json::to_string(&user.roles)?);
    let active = if user.active { "true" } else { "false" };
    let attributes = TEXT_ATTRIBUTES.map(|(_, value)| value(user).unwrap_or_default());
    record(
        out,
        [user.id.as_str(), active].into_iter().chain(attributes).chain([groups.as_str(), roles.as_str()]),
    )
}

pub(super) fn group(out: &mut impl Write, group: &Group) -> io::Result<()> {
    let organization = group.organization.as_ref().map_or("", |id| id.as_str());
    record(
        out,
        [group.id.as_str(), &group.name, organization, group.external_id.as_deref().unwrap_or_default()],
    )
}

/// One line of cells.
pub(super) fn record<'a>(out: &mut impl Write, cells: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
    for (at, cell) in cells.into_iter().enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        out.write_all(quoted(&harmless(cell)).as_bytes())?;
    }
    out.write_all(b"\r\n")
}

fn harmless(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(FORMULA) { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

fn quoted(cell: &str) -> Cow<'_, str> {
    if cell.contains([',', '"', '\r', '\n']) || cell.starts_with(' ') || cell.ends_with(' ') {
        Cow::Owned(format!("\"{}\"", cell.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(cell)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use rolecall_sink_api::{GroupId, Profile, RoleName, UserId};

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_hostile_cell_is_one_cell_and_no_formula() {
        let cells = [
            "=HYPERLINK(\"http://x\")",
            "+1",
            "-1",
            "@a",
            "\tx",
            "\rx",
            "a,b",
            "two\nlines",
            " x",
            "a=b",
            "",
        ];
        let expected = "\"'=HYPERLINK(\"\"http://x\"\")\",'+1,'-1,'@a,'\tx,\"'\rx\",\"a,b\",\"two\nlines\",\" x\",a=b,\r\n";
        assert_eq!(text(|out| record(out, cells)), expected);
    }

    #[test]
    fn a_user_has_a_cell_for_each_title() {
        let ada = User {
            id: UserId::new("u1"),
            organization: None,
            active: true,
            profile: Profile { email: Some("ada@example.com".into()), ..Profile::default() },
            groups: BTreeMap::from([(GroupId::new("g1"), "R&D, \"new\"".into())]),
            roles: BTreeSet::from([RoleName::new("dev"), RoleName::new("ops")]),
        };
        let line = text(|out| user(out, &ada));
        assert!(line.starts_with("u1,true,,,,ada@example.com,"), "{line}");
        let end = ",\"[\"\"R&D, \\\"\"new\\\"\"\"\"]\",\"[\"\"dev\"\",\"\"ops\"\"]\"\r\n";
        assert!(line.ends_with(end), "{line}");
        let titles = text(|out| record(out, user_titles()));
        assert_eq!(titles.split(',').count(), 2 + TEXT_ATTRIBUTES.len() + 2);
    }
}
