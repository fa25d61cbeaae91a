-- Users, groups and roles as rolecall keeps them. Times are UTC in RFC 3339; booleans are 0 and 1; address and
-- custom are JSON. A row whose generation is NULL is not rolecall's and is never touched.

CREATE TABLE users (
    id                 TEXT NOT NULL PRIMARY KEY,
    organization_id    TEXT,
    external_id        TEXT,
    user_name          TEXT,
    -- Not unique: two organizations may know the same person.
    email              TEXT,
    display_name       TEXT,
    given_name         TEXT,
    family_name        TEXT,
    nick_name          TEXT,
    photo              TEXT,
    profile_url        TEXT,
    phone_number       TEXT,
    address            TEXT,
    title              TEXT,
    department         TEXT,
    division           TEXT,
    cost_center        TEXT,
    employee_number    TEXT,
    user_type          TEXT,
    organization_name  TEXT,
    preferred_language TEXT,
    locale             TEXT,
    timezone           TEXT,
    pronouns           TEXT,
    custom             TEXT NOT NULL DEFAULT '{}',
    active             INTEGER NOT NULL CHECK (active IN (0, 1)),
    created_at         TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at         TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    deleted_at         TEXT,
    generation         INTEGER
);

CREATE TABLE groups (
    id              TEXT NOT NULL PRIMARY KEY,
    organization_id TEXT,
    name            TEXT,
    external_id     TEXT,
    created_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    updated_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    deleted_at      TEXT,
    -- 0: so far known only from a member's own data.
    generation      INTEGER
);

CREATE TABLE group_members (
    group_id   TEXT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    added_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    generation INTEGER,
    PRIMARY KEY (group_id, user_id)
);
CREATE INDEX group_members_by_user ON group_members (user_id);

-- Every role that was ever granted.
CREATE TABLE roles (
    name       TEXT NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

CREATE TABLE user_roles (
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role       TEXT NOT NULL REFERENCES roles (name) ON DELETE CASCADE,
    granted_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    generation INTEGER,
    PRIMARY KEY (user_id, role)
);
CREATE INDEX user_roles_by_role ON user_roles (role);
