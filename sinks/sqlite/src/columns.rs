//! Which column of `users` holds which attribute.

use rolecall_sink_api::{TEXT_ATTRIBUTES, User};
use rusqlite::types::Value;

/// The columns that a user's document fills, in the order of [`values`].
pub(crate) fn names() -> Vec<&'static str> {
    TEXT_ATTRIBUTES.iter().map(|(name, _)| *name).chain(["address", "custom", "active"]).collect()
}

/// A user's document as a row: JSON has its keys sorted, so that equal documents are equal text.
pub(crate) fn values(user: &User) -> Result<Vec<Value>, serde_json::Error> {
    let mut row: Vec<Value> =
        TEXT_ATTRIBUTES.iter().map(|(_, value)| value(user).map(str::to_owned).into()).collect();
    row.push(user.profile.address.as_ref().map(serde_json::to_string).transpose()?.into());
    row.push(serde_json::to_string(&user.profile.custom)?.into());
    row.push(user.active.into());
    Ok(row)
}
