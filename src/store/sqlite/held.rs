//! Who is in a hold, and what each of them would lose.

use jiff::Timestamp;
use rolecall_sink_api::{Attempted, Document, Profile, User};
use rusqlite::{Connection, params};

use super::items;
use super::queue::{Groups, readable};
use super::sinks::SinkKeys;
use crate::rules::Scopes;
use crate::store::{Cursor, HeldItem, HoldId, Loss, QueueFilter, QueueItem, StoreError};

pub(super) fn held(
    connection: &Connection,
    sinks: &SinkKeys,
    scopes: &Scopes,
    hold: HoldId,
    (after, limit): (Option<Cursor>, u32),
    now: Timestamp,
) -> Result<Vec<HeldItem>, StoreError> {
    // One transaction, so that all of it is read at the same point.
    let transaction = connection.unchecked_transaction()?;
    let filter = QueueFilter { hold: Some(hold), after, ..QueueFilter::default() };
    let items = items::list(&transaction, sinks, &filter, limit)?;
    // All of a hold is one sink's.
    let Some(first) = items.first() else { return Ok(Vec::new()) };
    let mut groups = Groups::new(&transaction, scopes.of(&first.sink).map(AsRef::as_ref), now);
    items.into_iter().map(|item| with_loss(&transaction, &mut groups, item)).collect()
}

fn with_loss(
    connection: &Connection,
    groups: &mut Groups<'_>,
    item: QueueItem,
) -> Result<HeldItem, StoreError> {
    let Cursor(sink, key) = item.cursor;
    let mut select = connection.prepare_cached(
        "SELECT e.state, e.roles, a.document, t.document FROM entity e
             LEFT JOIN applied a ON a.sink = ?1 AND a.entity = e.key
             LEFT JOIN attempted t ON t.sink = ?1 AND t.entity = e.key
         WHERE e.key = ?2",
    )?;
    let mut rows = select.query(params![sink, key])?;
    let row = rows.next()?.ok_or_else(|| StoreError::Failed("a queue item is of nobody".into()))?;
    let applied: Option<Document> = readable(row.get_ref(2)?.as_str_or_null()?, &item.entity);
    let attempted: Option<Attempted> = readable(row.get_ref(3)?.as_str_or_null()?, &item.entity);
    let known = applied.or(attempted.map(|attempted| attempted.given));
    let before: Option<&User> = known.as_ref().and_then(Document::as_user);
    let desired = groups.desired(&item.entity, row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?)?.0;
    let desired = desired.as_ref().and_then(Document::as_user);
    let profile = before.or(desired).map(|user| user.profile.clone());
    let Profile { display_name, user_name, email, .. } = profile.unwrap_or_default();
    let loses = before.and_then(|before| Loss::of(before, desired));
    Ok(HeldItem { item, name: display_name.or(user_name), email, loses })
}
