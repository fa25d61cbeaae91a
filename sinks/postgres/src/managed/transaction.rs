//! One batch, one transaction, one round trip.

use rolecall_sink_api::{Change, Entity, Outcome, TEXT_ATTRIBUTES};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row};

use super::batch::Batch;

use super::outcome::Written;
use super::statements::Statements;
use crate::failed::{Blame, Failed};
use crate::own::{About, Prepared};

type Parameter<'a> = &'a (dyn ToSql + Sync);

/// Writes the changes, all or none; what became of each, in order.
///
/// Every statement is sent before the first answer is read. When one fails the server skips the rest and
/// turns COMMIT into a rollback, so the session is clean whatever happens.
pub(crate) async fn write(
    client: &Client,
    sql: &Statements,
    on_deactivate: &[Prepared],
    changes: &[&Change],
) -> Result<Vec<Outcome>, Failed> {
    let batch = Batch::new(changes);
    // Whose sessions to end is known only when it is known whose rows are the sink's, and not newer.
    let ends_here = on_deactivate.is_empty() || !changes.iter().any(|change| withdraws(change));
    let (user_ids, group_ids) = (batch.user_ids(), batch.group_ids());
    let locked_users: [Parameter<'_>; 1] = [&user_ids];
    let locked_groups: [Parameter<'_>; 1] = [&group_ids];
    let user_rows = user_rows(&batch);
    let group_rows = group_rows(&batch);
    let removed_users: [Parameter<'_>; 2] = [&batch.removed_users.ids, &batch.removed_users.generations];
    let removed_groups: [Parameter<'_>; 2] = [&batch.removed_groups.ids, &batch.removed_groups.generations];
    let (settled, members, roles) = (&batch.settled, &batch.memberships, &batch.roles);
    let memberships: [Parameter<'_>; 4] =
        [&settled.ids, &settled.generations, &members.users, &members.targets];
    let joins: [Parameter<'_>; 3] = [&members.users, &members.generations, &members.targets];
    let held_roles: [Parameter<'_>; 4] = [&settled.ids, &settled.generations, &roles.users, &roles.targets];
    let grants: [Parameter<'_>; 3] = [&roles.users, &roles.generations, &roles.targets];
    let stubs: [Parameter<'_>; 2] = [&batch.named_groups.first, &batch.named_groups.second];
    let role_names: [Parameter<'_>; 1] = [&batch.named_roles];

    // `biased`: polled, and so sent, in the order written.
    let (
        begin,
        groups,
        put_groups,
        users,
        put_users,
        gone_users,
        named_groups,
        left,
        joined,
        named_roles,
        revoked,
        granted,
        gone_groups,
        emptied,
        commit,
    ) = tokio::join!(
        biased;
        client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED"),
        client.query(&sql.lock_groups, &locked_groups),
        client.query(&sql.put_groups, &group_rows),
        client.query(&sql.lock_users, &locked_users),
        client.query(&sql.put_users, &user_rows),
        client.query(&sql.remove_users, &removed_users),
        client.execute(&sql.name_groups, &stubs),
        client.query(&sql.leave_groups, &memberships),
        client.query(&sql.join_groups, &joins),
        client.execute(&sql.name_roles, &role_names),
        client.query(&sql.revoke_roles, &held_roles),
        client.query(&sql.grant_roles, &grants),
        client.query(&sql.remove_groups, &removed_groups),
        client.execute(&sql.empty_groups, &removed_groups),
        async { if ends_here { client.batch_execute("COMMIT").await } else { Ok(()) } },
    );
    let mut failure = Failure::default();
    failure.note(begin);
    let mut written = Written::default();
    written.hold_groups(&failure.rows(groups));
    written.changed_groups(&failure.rows(put_groups));
    written.hold_users(&failure.rows(users));
    for answer in [put_users, gone_users] {
        written.changed_users(&failure.rows(answer));
    }
    failure.note(named_groups);
    for answer in [left, joined] {
        written.related_users(&failure.rows(answer));
    }
    failure.note(named_roles);
    for answer in [revoked, granted] {
        written.related_users(&failure.rows(answer));
    }
    written.changed_groups(&failure.rows(gone_groups));
    failure.note(emptied);
    failure.note(commit);
    let outcomes: Vec<Outcome> = changes.iter().map(|change| written.outcome(change)).collect();
    if !ends_here {
        if failure.0.is_none() {
            for (place, (change, outcome)) in changes.iter().zip(&outcomes).enumerate() {
                if withdraws(change) && matches!(outcome, Outcome::Applied { .. }) {
                    end_sessions(client, on_deactivate, change, place, &mut failure).await;
                }
            }
        }
        // Of a transaction that has failed the server makes a rollback.
        failure.note(client.batch_execute("COMMIT").await);
    }
    match failure.0 {
        Some(failed) => Err(failed),
        None => Ok(outcomes),
    }
}

/// The user must not have access.
fn withdraws(change: &Change) -> bool {
    matches!(change.entity, Entity::User(_)) && change.desired_user().is_none_or(|user| !user.active)
}

async fn end_sessions(
    client: &Client,
    on_deactivate: &[Prepared],
    change: &Change,
    place: usize,
    failure: &mut Failure,
) {
    for prepared in on_deactivate {
        let answer = prepared.run(client, About::of(change)).await;
        failure.blaming(answer, |error| {
            Some(Blame { place, waits: false, explained: prepared.sql().explain(error) })
        });
    }
}

fn user_rows<'a>(batch: &'a Batch<'_>) -> Vec<Parameter<'a>> {
    let users = &batch.users;
    let mut rows: Vec<Parameter<'a>> = Vec::with_capacity(TEXT_ATTRIBUTES.len() + 5);
    rows.extend([&users.ids.ids as Parameter<'a>, &users.ids.generations, &users.active]);
    rows.extend(users.text.iter().map(|column| column as Parameter<'a>));
    rows.extend([&users.address as Parameter<'a>, &users.custom]);
    rows
}

fn group_rows<'a>(batch: &'a Batch<'_>) -> [Parameter<'a>; 5] {
    let groups = &batch.groups;
    [&groups.ids.ids, &groups.ids.generations, &groups.organization, &groups.name, &groups.external_id]
}

/// The first error, which is the cause: what follows in the same transaction only says that it has failed.
#[derive(Default)]
struct Failure(Option<Failed>);

impl Failure {
    fn note<T>(&mut self, answer: Result<T, Error>) -> Option<T> {
        self.blaming(answer, |_| None)
    }

    fn blaming<T>(
        &mut self,
        answer: Result<T, Error>,
        blame: impl FnOnce(&Error) -> Option<Blame>,
    ) -> Option<T> {
        match answer {
            Ok(value) => Some(value),
            Err(error) => {
                self.0 = self.0.take().or_else(|| Failed::cause(error, blame));
                None
            }
        }
    }

    fn rows(&mut self, answer: Result<Vec<Row>, Error>) -> Vec<Row> {
        self.note(answer).unwrap_or_default()
    }
}
