//! Between the domain's types and SQLite's.

use jiff::Timestamp;
use rolecall_sink_api::{Entity, EntityKind, GroupId, OrganizationId, UserId};
use serde::de::DeserializeOwned;

use crate::store::{JournalStatus, Priority, QueueState, Status, StoreError, Withdrawal};

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => StoreError::Full(error.to_string()),
            _ => StoreError::Failed(error.to_string()),
        }
    }
}

impl From<rusqlite::types::FromSqlError> for StoreError {
    fn from(error: rusqlite::types::FromSqlError) -> Self {
        StoreError::Failed(format!("a column holds what this version never writes: {error}"))
    }
}

/// Microseconds since 1970: what fits between the years −9999 and 9999 fits here.
pub(super) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

pub(super) fn time(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

pub(super) fn kind_code(kind: EntityKind) -> i64 {
    match kind {
        EntityKind::User => 0,
        EntityKind::Group => 1,
    }
}

pub(super) fn entity(kind: i64, id: String) -> Entity {
    if kind == 0 { Entity::User(UserId::new(id)) } else { Entity::Group(GroupId::new(id)) }
}

pub(super) fn status_code(status: Status) -> i64 {
    match status {
        Status::Absent => 0,
        Status::Active => 1,
        Status::Inactive => 2,
    }
}

pub(super) fn status(code: i64) -> Status {
    match code {
        1 => Status::Active,
        2 => Status::Inactive,
        _ => Status::Absent,
    }
}

pub(super) fn priority_code(priority: Priority) -> i64 {
    priority as i64
}

pub(super) fn priority(code: i64) -> Priority {
    Priority::ALL.into_iter().find(|p| *p as i64 == code).unwrap_or(Priority::User)
}

pub(super) fn journal_code(status: &JournalStatus) -> (i64, Option<&str>) {
    match status {
        JournalStatus::Merged => (MERGED, None),
        JournalStatus::Ignored => (IGNORED, None),
        JournalStatus::Unreadable(reason) => (UNREADABLE, Some(reason)),
    }
}

pub(super) const MERGED: i64 = 0;
pub(super) const IGNORED: i64 = 1;
pub(super) const UNREADABLE: i64 = 2;
pub(super) const WAITING: i64 = 0;
pub(super) const DEAD: i64 = 1;
pub(super) const HELD: i64 = 2;

pub(super) fn queue_state(code: i64) -> QueueState {
    match code {
        DEAD => QueueState::Dead,
        HELD => QueueState::Held,
        _ => QueueState::Waiting,
    }
}

pub(super) fn queue_state_code(state: QueueState) -> i64 {
    match state {
        QueueState::Waiting => WAITING,
        QueueState::Dead => DEAD,
        QueueState::Held => HELD,
    }
}

pub(super) fn withdrawal_code(withdrawal: Withdrawal) -> i64 {
    withdrawal as i64
}

pub(super) fn withdrawal(code: i64) -> Withdrawal {
    if code == withdrawal_code(Withdrawal::Revocation) { Withdrawal::Revocation } else { Withdrawal::Removal }
}

/// An organization as the safeguard's tables name it: '' for none, and for all of them together.
pub(super) fn organization_code(organization: Option<&OrganizationId>) -> &str {
    organization.map_or("", OrganizationId::as_str)
}

pub(super) fn organization(code: String) -> Option<OrganizationId> {
    (!code.is_empty()).then(|| OrganizationId::new(code))
}

/// A generation as SQLite's signed integer: microseconds since 1970 reach the sign in 292,000 years.
pub(super) fn signed(generation: u64) -> i64 {
    i64::try_from(generation).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(generation: i64) -> u64 {
    u64::try_from(generation).unwrap_or(0)
}

/// JSON that this store wrote.
pub(super) fn parse<T: DeserializeOwned>(json: &str, what: &str) -> Result<T, StoreError> {
    serde_json::from_str(json)
        .map_err(|e| StoreError::Failed(format!("{what} in the store cannot be read: {e}")))
}

/// The domain's types as the store keeps them.
pub(super) fn print<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Failed(format!("cannot be stored: {e}")))
}
