//! What stands in the sqlite sink's file, read as any program would.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;
use rusqlite::{Connection, OpenFlags};

use super::company::{Access, Standing};
use crate::cli::table::Table;
use crate::cli::text::{HEADING, styled};

const PEOPLE: &str = "\
SELECT u.email, coalesce(u.display_name, u.given_name || ' ' || u.family_name), u.title,
    u.custom ->> '$.desk',
    CASE WHEN u.deleted_at IS NOT NULL THEN 'deleted' WHEN u.active THEN 'yes' ELSE 'no' END,
    (SELECT group_concat(g.name, ', ' ORDER BY g.name) FROM group_members m JOIN groups g ON g.id = m.group_id
        WHERE m.user_id = u.id),
    (SELECT group_concat(r.role, ', ' ORDER BY r.role) FROM user_roles r WHERE r.user_id = u.id)
FROM users u ORDER BY u.email";

const GROUPS: &str = "\
SELECT g.id, g.name, g.organization_id,
    (SELECT group_concat(u.given_name, ', ' ORDER BY u.given_name) FROM group_members m
        JOIN users u ON u.id = m.user_id WHERE m.group_id = g.id)
FROM groups g WHERE g.deleted_at IS NULL ORDER BY g.id";

/// The tables, as of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tables {
    /// By address.
    people: BTreeMap<String, Person>,
    /// By id.
    groups: BTreeMap<String, Group>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Person {
    name: String,
    title: String,
    desk: String,
    active: String,
    groups: String,
    roles: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    name: String,
    organization: String,
    members: String,
}

impl Tables {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        Self::query(path).with_context(|| format!("cannot read the tables in {}", path.display()))
    }

    fn query(path: &Path) -> Result<Self, rusqlite::Error> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let text = |row: &rusqlite::Row<'_>, at: usize| {
            row.get::<_, Option<String>>(at).map(|text| text.unwrap_or_default())
        };
        let mut statement = connection.prepare(PEOPLE)?;
        let people = statement.query_map([], |row| {
            let person = Person {
                name: text(row, 1)?,
                title: text(row, 2)?,
                desk: text(row, 3)?,
                active: text(row, 4)?,
                groups: text(row, 5)?,
                roles: text(row, 6)?,
            };
            Ok((text(row, 0)?, person))
        })?;
        let people = people.collect::<Result<_, _>>()?;
        let mut statement = connection.prepare(GROUPS)?;
        let groups = statement.query_map([], |row| {
            let group = Group { name: text(row, 1)?, organization: text(row, 2)?, members: text(row, 3)? };
            Ok((text(row, 0)?, group))
        })?;
        let groups = groups.collect::<Result<_, _>>()?;
        Ok(Self { people, groups })
    }

    /// What is not as it was, one line each.
    pub(super) fn changes_since(&self, before: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (id, group) in &self.groups {
            if !before.groups.contains_key(id) {
                lines.push(format!("+ group {}", group.name));
            }
        }
        for (email, person) in &self.people {
            match before.people.get(email) {
                None => lines.push(format!(
                    "+ {}; groups {}; roles {}",
                    person.name,
                    or_none(&person.groups),
                    or_none(&person.roles)
                )),
                Some(was) if was == person => {}
                Some(was) => lines.push(format!("~ {}; {}", person.name, person.differences(was).join("; "))),
            }
        }
        lines
    }

    /// How the person with this address stands.
    pub(super) fn standing(&self, email: &str) -> Standing {
        let Some(person) = self.people.get(email) else { return Standing::new(Access::Gone, []) };
        let access = match person.active.as_str() {
            "yes" => Access::Active,
            "no" => Access::Inactive,
            _ => Access::Gone,
        };
        Standing::new(access, person.roles.split(", ").filter(|role| !role.is_empty()))
    }

    /// The tables for people to read.
    pub(super) fn render(&self, width: usize) -> String {
        let mut people = Table::new(["NAME", "EMAIL", "ACTIVE", "TITLE"]);
        let mut roles = Table::new(["USER", "ROLES"]);
        for (email, person) in &self.people {
            let (name, title) = (person.name.as_str(), person.title.as_str());
            people.row([name.into(), email.as_str().into(), person.active.as_str().into(), title.into()]);
            roles.row([email.as_str().into(), or_none(&person.roles).into()]);
        }
        let mut groups = Table::new(["NAME", "ORGANIZATION", "MEMBERS"]);
        for group in self.groups.values() {
            groups.row([
                group.name.as_str().into(),
                group.organization.as_str().into(),
                or_none(&group.members).into(),
            ]);
        }
        let table = |name: &str, table: &Table| {
            format!("  {}\n{}\n", styled(HEADING, name), table.render(4, Some(width)))
        };
        [table("users", &people), table("user_roles", &roles), table("groups, group_members", &groups)]
            .concat()
    }
}

/// Something that is told of a person, and what it is called.
type Field = (&'static str, fn(&Person) -> &str);

impl Person {
    fn differences(&self, was: &Self) -> Vec<String> {
        let values: [Field; 3] = [
            ("active", |person| &person.active),
            ("title", |person| &person.title),
            ("desk", |person| &person.desk),
        ];
        let lists: [Field; 2] = [("groups", |person| &person.groups), ("roles", |person| &person.roles)];
        let changed = values.into_iter().filter(|(_, value)| value(self) != value(was));
        let changed =
            changed.map(|(name, value)| format!("{name} {} → {}", or_none(value(was)), value(self)));
        let moved = lists.into_iter().filter(|(_, list)| list(self) != list(was));
        let moved = moved.map(|(name, list)| format!("{name}{}", come_and_gone(list(was), list(self))));
        changed.chain(moved).collect()
    }
}

/// What is in the one list and not in the other: ` +developer -billing`.
fn come_and_gone(before: &str, after: &str) -> String {
    let items = |list: &str| -> BTreeSet<String> {
        list.split(", ").filter(|item| !item.is_empty()).map(str::to_owned).collect()
    };
    let (before, after) = (items(before), items(after));
    let come = after.difference(&before).map(|item| format!(" +{item}"));
    come.chain(before.difference(&after).map(|item| format!(" -{item}"))).collect()
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}
