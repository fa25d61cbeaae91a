//! The tables, as numbered migrations. A migration that was released is never edited: add one.

use rusqlite::Connection;

use crate::store::StoreError;

/// Migration *n* brings schema version *n* − 1 to *n*; the version stands in `PRAGMA user_version`.
const MIGRATIONS: &[&str] = &[
    r"
-- The journal: every authentic message, in the order of arrival.
CREATE TABLE event (
    seq         INTEGER PRIMARY KEY,
    id          TEXT NOT NULL,
    source      TEXT NOT NULL,
    message_id  TEXT NOT NULL,
    kind        TEXT,
    at          INTEGER,            -- the time it states; all times are microseconds since 1970, UTC
    signed_at   INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    status      INTEGER NOT NULL,   -- 0 merged, 1 ignored, 2 unreadable
    reason      TEXT,               -- why it is unreadable
    body        BLOB NOT NULL,
    UNIQUE (id, source)
);
CREATE INDEX event_unreadable ON event (seq) WHERE status = 2;

-- The directory: users and groups, heard-of and deleted ones included. One table, for queue and applied name either.
CREATE TABLE entity (
    key          INTEGER PRIMARY KEY,
    kind         INTEGER NOT NULL,  -- 0 user, 1 group
    id           TEXT NOT NULL,
    state        TEXT NOT NULL,     -- the merged facts, JSON
    roles        TEXT NOT NULL,     -- as last evaluated, JSON
    user_name    TEXT COLLATE NOCASE,
    email        TEXT COLLATE NOCASE,
    status       INTEGER NOT NULL,  -- 0 absent, 1 active, 2 inactive
    generation   INTEGER NOT NULL,  -- grows with every change of what is desired
    digest       BLOB,              -- of what is desired; NULL when the entity must go
    absent_since INTEGER,
    UNIQUE (kind, id)
);
CREATE INDEX entity_absent ON entity (absent_since) WHERE absent_since IS NOT NULL;

-- How many entities there are of each kind and status, kept by every commit.
CREATE TABLE entity_count (
    kind   INTEGER NOT NULL,
    status INTEGER NOT NULL,
    n      INTEGER NOT NULL,
    PRIMARY KEY (kind, status)
) WITHOUT ROWID;

-- From a group to every user of whom a membership in it is stated, whether it holds or not.
CREATE TABLE membership (
    group_id TEXT NOT NULL,
    user     INTEGER NOT NULL,
    PRIMARY KEY (group_id, user)
) WITHOUT ROWID;

-- New ones gather here and go there in bulk: so a page of that index, where every group has a place of its own, is
-- written once for many of them.
CREATE TABLE membership_new (
    user     INTEGER NOT NULL,
    group_id TEXT NOT NULL,
    PRIMARY KEY (user, group_id)
) WITHOUT ROWID;

-- Users to be evaluated again.
CREATE TABLE stale (user INTEGER PRIMARY KEY);

-- Connections to identity providers.
CREATE TABLE connection (id TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE sink (
    key        INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    configured INTEGER NOT NULL
);

-- What each sink must bring up to date.
CREATE TABLE queue (
    sink       INTEGER NOT NULL,
    entity     INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    priority   INTEGER NOT NULL,
    since      INTEGER NOT NULL,
    due        INTEGER NOT NULL,    -- 0: at once
    attempts   INTEGER NOT NULL,
    state      INTEGER NOT NULL,    -- 0 waiting, 1 dead letter
    error      TEXT,
    event      TEXT,                -- what made it necessary; NULL when the rules did
    PRIMARY KEY (sink, entity)
) WITHOUT ROWID;
-- Fresh ones in their order; those that wait for another attempt by their time; dead letters. An entity is in one of
-- the three, so an event's work is one write of an index.
CREATE INDEX queue_fresh ON queue (sink, priority, since) WHERE state = 0 AND due = 0;
CREATE INDEX queue_backoff ON queue (sink, priority, due, since) WHERE state = 0 AND due <> 0;
CREATE INDEX queue_dead ON queue (sink, entity) WHERE state = 1;

-- What each sink last confirmed.
CREATE TABLE applied (
    sink       INTEGER NOT NULL,
    entity     INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    document   TEXT,                -- NULL: confirmed to be gone
    remote     TEXT,
    action     TEXT NOT NULL,
    at         INTEGER NOT NULL,
    UNIQUE (sink, entity)
);

-- What attempts that a sink has not confirmed since may have left in its target, for sinks that cannot look. It
-- stays when its place in the queue is dropped: a later change must still take it back.
CREATE TABLE attempted (
    sink     INTEGER NOT NULL,
    entity   INTEGER NOT NULL,
    document TEXT NOT NULL,         -- JSON
    PRIMARY KEY (sink, entity)
) WITHOUT ROWID;

-- What became of whom, in the directory (sink NULL) and in each sink.
CREATE TABLE activity (
    seq    INTEGER PRIMARY KEY,
    entity INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    sink   INTEGER,
    what   TEXT NOT NULL,
    event  TEXT,
    detail TEXT
);
CREATE INDEX activity_entity ON activity (entity);

CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
",
    r"
-- Users to be evaluated again at a time, though nothing happens.
ALTER TABLE entity ADD COLUMN evaluate_at INTEGER;
CREATE INDEX entity_evaluate_at ON entity (evaluate_at) WHERE evaluate_at IS NOT NULL;

-- The rules that were in force, the newest last.
CREATE TABLE rules_version (
    number      INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    origin      TEXT NOT NULL,      -- where they came from, JSON
    fingerprint TEXT NOT NULL,
    file        TEXT NOT NULL,      -- digest of what the rules file held then
    text        TEXT NOT NULL
);
",
    r"
-- Withdrawals that a sink's safeguard keeps back until a person decides; those decided or empty stay for a while.
CREATE TABLE hold (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    sink         INTEGER NOT NULL,
    withdrawal   INTEGER NOT NULL,  -- 0 removal, 1 revocation
    organization TEXT NOT NULL,     -- whose limit was reached; '' for the sink's
    since        INTEGER NOT NULL,
    allowed      INTEGER NOT NULL,
    of_users     INTEGER NOT NULL,
    within       INTEGER NOT NULL,  -- microseconds
    event        TEXT,              -- behind the newest in it; NULL when the rules were
    rules        INTEGER,
    decision     INTEGER,           -- 0 approved, 1 rejected
    decided_by   TEXT,
    decided_at   INTEGER,
    closed_at    INTEGER
);
CREATE UNIQUE INDEX hold_open ON hold (sink, withdrawal, organization) WHERE decision IS NULL AND closed_at IS NULL;
CREATE INDEX hold_unfinished ON hold (sink) WHERE closed_at IS NULL;

ALTER TABLE queue ADD COLUMN hold INTEGER;      -- held under it, or was until something newer came
ALTER TABLE queue ADD COLUMN approved INTEGER;  -- the generation that a person approved
CREATE INDEX queue_held ON queue (sink, entity) WHERE state = 2;
CREATE INDEX queue_hold ON queue (hold, entity) WHERE hold IS NOT NULL;

-- From whom something was withdrawn lately, each time noted before the sink is handed it.
CREATE TABLE withdrawn (
    sink         INTEGER NOT NULL,
    withdrawal   INTEGER NOT NULL,
    entity       INTEGER NOT NULL,
    organization TEXT NOT NULL,
    at           INTEGER NOT NULL,
    PRIMARY KEY (sink, withdrawal, entity)
) WITHOUT ROWID;
CREATE INDEX withdrawn_at ON withdrawn (sink, withdrawal, at);
CREATE INDEX withdrawn_from ON withdrawn (sink, withdrawal, organization, at);

-- How many users each sink holds, of each organization and ('') of all, kept by every settlement.
CREATE TABLE population (
    sink         INTEGER NOT NULL,
    organization TEXT NOT NULL,
    users        INTEGER NOT NULL,
    PRIMARY KEY (sink, organization)
) WITHOUT ROWID;
INSERT INTO population (sink, organization, users)
    SELECT sink, '', count(*) FROM applied
    WHERE json_valid(document) AND json_extract(document, '$.kind') = 'user' GROUP BY sink;
INSERT INTO population (sink, organization, users)
    SELECT sink, json_extract(document, '$.organization') AS organization, count(*) FROM applied
    WHERE json_valid(document) AND json_extract(document, '$.kind') = 'user' AND organization <> ''
    GROUP BY sink, organization;

-- A sink that is handed nothing because somebody said so.
ALTER TABLE sink ADD COLUMN paused_at INTEGER;
ALTER TABLE sink ADD COLUMN paused_reason TEXT;
ALTER TABLE sink ADD COLUMN paused_by TEXT;
",
    r"
-- Between who lost access (0) and groups (1 until now) is who lost a role or left a group.
UPDATE queue SET priority = priority + 1 WHERE priority >= 1;
",
];

/// The newest version that this binary knows.
pub(super) fn known() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// The version of the tables; 0 where there are none yet.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Whether this binary knows what stands in tables of this version.
///
/// # Errors
/// When a newer one wrote them.
pub(super) fn is_known(found: u32, path: &str) -> Result<(), StoreError> {
    let known = known();
    if found > known { Err(StoreError::Newer { path: path.into(), found, known }) } else { Ok(()) }
}

/// Brings the tables up to this version.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    migrate_to(connection, known())
}

pub(super) fn migrate_to(connection: &mut Connection, last: u32) -> Result<(), StoreError> {
    let found = version(connection)?;
    for (version, sql) in (1..=last).zip(MIGRATIONS).skip(found as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}
