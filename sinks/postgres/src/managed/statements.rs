//! Every statement that writes, each over a whole batch: arrays in, the ids that something happened to out.
//!
//! # The generation guard
//! A row of `users` or `groups` is written only if its own generation is not greater than the writer's. What
//! hangs on a user (memberships, roles) is written only if the user's row now carries the writer's
//! generation: so a write that was overtaken changes nothing at all. A NULL generation is below every
//! comparison: such rows are not the sink's, and stay.

use rolecall_sink_api::TEXT_ATTRIBUTES;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Statement};

/// The statements of one session.
pub(crate) struct Statements {
    /// `$1` ids. Before anything is written: what the rows hold, and nobody else can write them.
    pub(crate) lock_users: Statement,
    pub(crate) lock_groups: Statement,
    /// `$1` ids, `$2` generations, `$3` active, then the text columns, address and custom.
    pub(crate) put_users: Statement,
    /// `$1` ids, `$2` generations.
    pub(crate) remove_users: Statement,
    /// `$1` ids, `$2` generations, `$3` organization_id, `$4` name, `$5` external_id.
    pub(crate) put_groups: Statement,
    /// `$1` ids, `$2` generations.
    pub(crate) remove_groups: Statement,
    /// `$1` ids, `$2` names: groups that members name and that have no row yet.
    pub(crate) name_groups: Statement,
    /// `$1` and `$2` the users and their generations, `$3` and `$4` user and group of each wanted membership.
    pub(crate) leave_groups: Statement,
    /// `$1` user, `$2` generation and `$3` group of each wanted membership.
    pub(crate) join_groups: Statement,
    /// `$1` and `$2` the removed groups and their generations.
    pub(crate) empty_groups: Statement,
    /// `$1` names.
    pub(crate) name_roles: Statement,
    /// `$1` and `$2` the users and their generations, `$3` and `$4` user and role of each wanted role.
    pub(crate) revoke_roles: Statement,
    /// `$1` user, `$2` generation and `$3` role of each wanted role.
    pub(crate) grant_roles: Statement,
}

const LOCK_USERS: &str = "SELECT id, generation, active, deleted_at IS NOT NULL FROM users \
     WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE";

const LOCK_GROUPS: &str = "SELECT id, generation, deleted_at IS NULL, deleted_at IS NOT NULL FROM groups \
     WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE";

/// A user that was never here gets a row too, so that a write that was sent before the removal and arrives
/// after it finds something newer.
const REMOVE_USERS: &str = "\
    INSERT INTO users AS held (id, generation, active, deleted_at) \
    SELECT id, generation, false, now() FROM unnest($1::text[], $2::bigint[]) AS gone (id, generation) \
    ON CONFLICT (id) DO UPDATE SET active = false, deleted_at = coalesce(held.deleted_at, now()), \
        updated_at = CASE WHEN held.deleted_at IS NULL THEN now() ELSE held.updated_at END, \
        generation = excluded.generation \
    WHERE held.generation < excluded.generation \
        OR (held.generation = excluded.generation AND held.deleted_at IS NULL) \
    RETURNING id, updated_at = now()";

const PUT_GROUPS: &str = "\
    INSERT INTO groups AS held (id, generation, organization_id, name, external_id) \
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[]) \
    ON CONFLICT (id) DO UPDATE SET organization_id = excluded.organization_id, name = excluded.name, \
        external_id = excluded.external_id, deleted_at = NULL, generation = excluded.generation, \
        updated_at = CASE WHEN (held.organization_id, held.name, held.external_id, held.deleted_at) \
            IS DISTINCT FROM (excluded.organization_id, excluded.name, excluded.external_id, NULL) \
            THEN now() ELSE held.updated_at END \
    WHERE held.generation < excluded.generation OR (held.generation = excluded.generation \
        AND (held.organization_id, held.name, held.external_id, held.deleted_at) \
        IS DISTINCT FROM (excluded.organization_id, excluded.name, excluded.external_id, NULL)) \
    RETURNING id, updated_at = now()";

const REMOVE_GROUPS: &str = "\
    INSERT INTO groups AS held (id, generation, deleted_at) \
    SELECT id, generation, now() FROM unnest($1::text[], $2::bigint[]) AS gone (id, generation) \
    ON CONFLICT (id) DO UPDATE SET deleted_at = coalesce(held.deleted_at, now()), \
        updated_at = CASE WHEN held.deleted_at IS NULL THEN now() ELSE held.updated_at END, \
        generation = excluded.generation \
    WHERE held.generation < excluded.generation \
        OR (held.generation = excluded.generation AND held.deleted_at IS NULL) \
    RETURNING id, updated_at = now()";

/// Generation 0: the sink's, and older than whatever the group's own change says.
const NAME_GROUPS: &str = "\
    INSERT INTO groups (id, name, generation) \
    SELECT id, name, 0 FROM unnest($1::text[], $2::text[]) AS named (id, name) \
    ON CONFLICT DO NOTHING";

// NOT IN is what the planner turns into one hash table, whatever it believes about the arrays' lengths.
const LEAVE_GROUPS: &str = "\
    DELETE FROM group_members AS held \
    USING unnest($1::text[], $2::bigint[]) AS written (id, generation), users \
    WHERE held.user_id = written.id AND held.generation IS NOT NULL \
        AND users.id = written.id AND users.generation = written.generation \
        AND (held.user_id, held.group_id) NOT IN (SELECT * FROM unnest($3::text[], $4::text[])) \
    RETURNING held.user_id";

const JOIN_GROUPS: &str = "\
    INSERT INTO group_members (user_id, generation, group_id) \
    SELECT wanted.* FROM unnest($1::text[], $2::bigint[], $3::text[]) \
        AS wanted (user_id, generation, group_id) \
    JOIN users ON users.id = wanted.user_id AND users.generation = wanted.generation \
    WHERE NOT EXISTS (SELECT FROM group_members AS held \
        WHERE held.user_id = wanted.user_id AND held.group_id = wanted.group_id) \
    ON CONFLICT DO NOTHING RETURNING user_id";

const EMPTY_GROUPS: &str = "\
    DELETE FROM group_members AS held \
    USING unnest($1::text[], $2::bigint[]) AS gone (id, generation), groups \
    WHERE held.group_id = gone.id AND held.generation IS NOT NULL \
        AND groups.id = gone.id AND groups.generation = gone.generation";

const NAME_ROLES: &str = "INSERT INTO roles (name) SELECT * FROM unnest($1::text[]) ON CONFLICT DO NOTHING";

const REVOKE_ROLES: &str = "\
    DELETE FROM user_roles AS held \
    USING unnest($1::text[], $2::bigint[]) AS written (id, generation), users \
    WHERE held.user_id = written.id AND held.generation IS NOT NULL \
        AND users.id = written.id AND users.generation = written.generation \
        AND (held.user_id, held.role) NOT IN (SELECT * FROM unnest($3::text[], $4::text[])) \
    RETURNING held.user_id";

const GRANT_ROLES: &str = "\
    INSERT INTO user_roles (user_id, generation, role) \
    SELECT wanted.* FROM unnest($1::text[], $2::bigint[], $3::text[]) AS wanted (user_id, generation, role) \
    JOIN users ON users.id = wanted.user_id AND users.generation = wanted.generation \
    WHERE NOT EXISTS (SELECT FROM user_roles AS held \
        WHERE held.user_id = wanted.user_id AND held.role = wanted.role) \
    ON CONFLICT DO NOTHING RETURNING user_id";

/// The upsert of users, over every column there is.
fn put_users() -> String {
    let columns: Vec<&str> = ["active"]
        .into_iter()
        .chain(TEXT_ATTRIBUTES.map(|(name, _)| name))
        .chain(["address", "custom"])
        .collect();
    let list = |prefix: &str| {
        columns.iter().map(|column| format!("{prefix}{column}")).collect::<Vec<_>>().join(", ")
    };
    let types = (0..TEXT_ATTRIBUTES.len()).map(|_| "text").chain(["jsonb", "jsonb"]);
    let arrays: String = (4..).zip(types).map(|(n, element)| format!(", ${n}::{element}[]")).collect();
    let assignments: String =
        columns.iter().map(|column| format!("{column} = excluded.{column}, ")).collect();
    let differs =
        format!("({}, held.deleted_at) IS DISTINCT FROM ({}, NULL)", list("held."), list("excluded."));
    format!(
        "INSERT INTO users AS held (id, generation, {}) \
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::boolean[]{arrays}) \
         ON CONFLICT (id) DO UPDATE SET {assignments} deleted_at = NULL, generation = excluded.generation, \
             updated_at = CASE WHEN {differs} THEN now() ELSE held.updated_at END \
         WHERE held.generation < excluded.generation \
             OR (held.generation = excluded.generation AND {differs}) \
         RETURNING id, updated_at = now()",
        list("")
    )
}

impl Statements {
    /// Prepares all of them, in one round trip.
    pub(crate) async fn prepare(client: &Client) -> Result<Self, Error> {
        let put_users = put_users();
        let one = |sql| client.prepare(sql);
        let ids = [Type::TEXT_ARRAY];
        let (
            lock_users,
            lock_groups,
            put_users,
            remove_users,
            put_groups,
            remove_groups,
            name_groups,
            leave_groups,
            join_groups,
            empty_groups,
            name_roles,
            revoke_roles,
            grant_roles,
        ) = tokio::try_join!(
            client.prepare_typed(LOCK_USERS, &ids),
            client.prepare_typed(LOCK_GROUPS, &ids),
            one(&put_users),
            one(REMOVE_USERS),
            one(PUT_GROUPS),
            one(REMOVE_GROUPS),
            one(NAME_GROUPS),
            one(LEAVE_GROUPS),
            one(JOIN_GROUPS),
            one(EMPTY_GROUPS),
            one(NAME_ROLES),
            one(REVOKE_ROLES),
            one(GRANT_ROLES),
        )?;
        Ok(Self {
            lock_users,
            lock_groups,
            put_users,
            remove_users,
            put_groups,
            remove_groups,
            name_groups,
            leave_groups,
            join_groups,
            empty_groups,
            name_roles,
            revoke_roles,
            grant_roles,
        })
    }
}
