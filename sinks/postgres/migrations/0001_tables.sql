-- Users, groups and roles as rolecall keeps them. search_path names the schema.

CREATE TABLE users (
    id                 text PRIMARY KEY,
    organization_id    text,
    external_id        text,
    user_name          text,
    email              text,
    display_name       text,
    given_name         text,
    family_name        text,
    nick_name          text,
    photo              text,
    profile_url        text,
    phone_number       text,
    address            jsonb,
    title              text,
    department         text,
    division           text,
    cost_center        text,
    employee_number    text,
    user_type          text,
    organization_name  text,
    preferred_language text,
    locale             text,
    timezone           text,
    pronouns           text,
    custom             jsonb NOT NULL DEFAULT '{}',
    active             boolean NOT NULL,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    deleted_at         timestamptz,
    generation         bigint
);

CREATE TABLE groups (
    id              text PRIMARY KEY,
    organization_id text,
    name            text,
    external_id     text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    deleted_at      timestamptz,
    generation      bigint
);

CREATE TABLE group_members (
    group_id   text NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    user_id    text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    added_at   timestamptz NOT NULL DEFAULT now(),
    generation bigint,
    PRIMARY KEY (group_id, user_id)
);
CREATE INDEX group_members_by_user ON group_members (user_id);

CREATE TABLE roles (
    name       text PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE user_roles (
    user_id    text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role       text NOT NULL REFERENCES roles (name) ON DELETE CASCADE,
    granted_at timestamptz NOT NULL DEFAULT now(),
    generation bigint,
    PRIMARY KEY (user_id, role)
);
CREATE INDEX user_roles_by_role ON user_roles (role);

COMMENT ON TABLE users IS
    'Users as rolecall keeps them. active = false: no access; deleted_at: gone at the source. Email is not unique.';
COMMENT ON COLUMN users.id IS 'The id at the source; never given to somebody else.';
COMMENT ON COLUMN users.updated_at IS 'When a column of this row last changed.';
COMMENT ON COLUMN users.generation IS
    'The newest version that rolecall wrote. NULL: not rolecall''s row, never touched.';
COMMENT ON TABLE groups IS
    'Groups as rolecall keeps them. Generation 0: so far known only from a member''s own data.';
COMMENT ON TABLE group_members IS 'Who is in which group. Rows whose generation is NULL are not rolecall''s.';
COMMENT ON TABLE roles IS 'Every role that was ever granted. rolecall adds rows and never removes one.';
COMMENT ON TABLE user_roles IS 'The roles users have now. Rows whose generation is NULL are not rolecall''s.';
