//! What the role must be allowed to do with the tables.

use rolecall_sink_api::SinkDown;
use tokio_postgres::{Client, Error};

use crate::connect::Connector;

/// As the crate's documentation tells operators to grant.
const GRANTS: [(&str, &str); 6] = [
    ("users", "SELECT, INSERT, UPDATE"),
    ("groups", "SELECT, INSERT, UPDATE"),
    ("group_members", "SELECT, INSERT, DELETE"),
    ("roles", "SELECT, INSERT"),
    ("user_roles", "SELECT, INSERT, DELETE"),
    ("rolecall_migrations", "SELECT"),
];

/// What a person has to grant, as SQL. Neither preparing nor planning a statement asks for privileges, so it
/// is asked for here, before the first batch.
pub(crate) async fn missing(client: &Client) -> Result<Vec<String>, Error> {
    let (tables, privileges): (Vec<&str>, Vec<&str>) = GRANTS
        .iter()
        .flat_map(|(table, privileges)| privileges.split(", ").map(move |privilege| (*table, privilege)))
        .unzip();
    let rows = client
        .query(
            "SELECT format('GRANT %s ON %I.%I TO %I', string_agg(privilege, ', ' ORDER BY place), \
                current_schema(), name, current_user) \
             FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS needed (name, privilege, place) \
             WHERE NOT has_table_privilege(format('%I.%I', current_schema(), name), privilege) \
             GROUP BY name ORDER BY name",
            &[&tables, &privileges],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Down, if anything is missing.
pub(crate) fn lacking(connector: &Connector, missing: &[String]) -> Result<(), SinkDown> {
    if missing.is_empty() {
        return Ok(());
    }
    Err(SinkDown::new(format!("the role lacks privileges in {}: {}", connector.target(), missing.join("; "))))
}
