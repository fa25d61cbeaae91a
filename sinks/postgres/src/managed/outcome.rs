//! What became of each change, from what the rows held before and which of them were written.

use std::collections::{HashMap, HashSet};

use rolecall_sink_api::{Action, Change, Document, Entity, Outcome};
use tokio_postgres::Row;

use crate::generation;

/// What a transaction found and did.
#[derive(Default)]
pub(crate) struct Written {
    users: Rows,
    groups: Rows,
    /// Users whose memberships or roles changed.
    related: HashSet<String>,
}

#[derive(Default)]
struct Rows {
    held: HashMap<String, Held>,
    changed: HashSet<String>,
}

/// A row as it was before.
#[derive(Clone, Copy)]
struct Held {
    /// `None`: not the sink's row.
    generation: Option<i64>,
    active: bool,
    deleted: bool,
}

impl Written {
    /// Rows of `lock_users`.
    pub(crate) fn hold_users(&mut self, rows: &[Row]) {
        self.users.hold(rows);
    }

    /// Rows of `lock_groups`.
    pub(crate) fn hold_groups(&mut self, rows: &[Row]) {
        self.groups.hold(rows);
    }

    /// Rows of `put_users` and `remove_users`.
    pub(crate) fn changed_users(&mut self, rows: &[Row]) {
        self.users.change(rows);
    }

    /// Rows of `put_groups` and `remove_groups`.
    pub(crate) fn changed_groups(&mut self, rows: &[Row]) {
        self.groups.change(rows);
    }

    /// Rows that name a user whose memberships or roles changed.
    pub(crate) fn related_users(&mut self, rows: &[Row]) {
        self.related.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }

    /// The outcome of one change of the transaction, now that it is committed. A reason names neither the
    /// change nor the target: the caller does.
    pub(crate) fn outcome(&self, change: &Change) -> Outcome {
        let id = change.entity.id();
        let (rows, related) = match change.entity {
            Entity::User(_) => (&self.users, self.related.contains(id)),
            Entity::Group(_) => (&self.groups, false),
        };
        let changed = related || rows.changed.contains(id);
        match rows.held.get(id) {
            None => Outcome::applied_as(id, action(change, None, changed)),
            Some(Held { generation: None, .. }) => Outcome::reject(
                "the table has a row with this id that rolecall did not make (its generation is null), and \
                 the row was left alone; to hand it over, set its generation to 0",
            ),
            Some(Held { generation: Some(held), .. }) if *held > generation(change) => {
                Outcome::reject(format!(
                    "the row holds generation {held}, newer than this write's {}, and was left alone; if \
                     rolecall's own store was set back or another rolecall writes here, set the rows' \
                     generation to 0 once it is clear who writes",
                    change.generation
                ))
            }
            Some(held) => Outcome::applied_as(id, action(change, Some(*held), changed)),
        }
    }
}

impl Rows {
    fn hold(&mut self, rows: &[Row]) {
        self.held.extend(rows.iter().map(|row| {
            let held = Held { generation: row.get(1), active: row.get(2), deleted: row.get(3) };
            (row.get(0), held)
        }));
    }

    /// A row can be written for its generation alone: then nothing that anybody sees has changed.
    fn change(&mut self, rows: &[Row]) {
        let changed = rows.iter().filter(|row| row.get(1)).map(|row| row.get::<_, String>(0));
        self.changed.extend(changed);
    }
}

fn action(change: &Change, held: Option<Held>, changed: bool) -> Action {
    match (&change.desired, held) {
        (None, None) => Action::Unchanged,
        (None, Some(held)) if held.deleted && !changed => Action::Unchanged,
        (None, Some(_)) => Action::Deleted,
        (Some(_), None) => Action::Created,
        // So far the group was known from a member's data only.
        (Some(Document::Group(_)), Some(Held { generation: Some(0), .. })) => Action::Created,
        (Some(Document::Group(_)), Some(held)) if held.deleted => Action::Created,
        (Some(Document::User(user)), Some(held)) if user.active && !held.active => Action::Reactivated,
        (Some(Document::User(user)), Some(held)) if !user.active && held.active => Action::Deactivated,
        (Some(_), Some(_)) if changed => Action::Updated,
        (Some(_), Some(_)) => Action::Unchanged,
    }
}
