//! What `rolecall check --connect` says about a server and the mapping.

use rolecall_sink_api::{Findings, SinkDown};

use crate::connection::{Connection, PERMISSIVE_MODIFY};
use crate::entry::AttributeName;
use crate::mapping::Mapping;
use crate::right::{self, Right};
use crate::schema::Schema;
use crate::server_kind::ServerKind;
use crate::template::EntryTemplate;

/// The operation that sets a password (RFC 3062).
const PASSWORD_MODIFY: &str = "1.3.6.1.4.1.4203.1.11.1";

/// What a person would want to know before the first delivery.
pub(crate) async fn check(connection: &Connection, mapping: &Mapping) -> Result<Findings, SinkDown> {
    let server = &connection.server;
    let mut lines = vec![format!("{}: {}", connection.url(), server.product()), flavour(connection, mapping)];
    if !server.naming_contexts.is_empty() {
        lines.push(format!("databases: {}", server.naming_contexts.join("; ")));
    }
    if server.has_control(PERMISSIVE_MODIFY) {
        lines.push("members: with the control for permissive modify".into());
    }
    lines.push(format!("tie: {}, mark in {}", mapping.id.name, mapping.marks.attribute));
    lines.push(match mapping.leavers.lock_attribute() {
        Some(name) => format!("leavers: locked by {name}"),
        None => "leavers: as configured, not locked".to_owned(),
    });
    let mut faults = Vec::new();
    if mapping.password_comes_after_the_entry() && !server.has_extension(PASSWORD_MODIFY) {
        faults.push("people: the server does not know the operation that sets a password (RFC 3062)".into());
    }

    let groups = mapping.groups.as_ref().map(|groups| ("groups", groups));
    let roles = mapping.roles.as_ref().map(|roles| ("roles", roles));
    let mut sections: Vec<(&str, &EntryTemplate, Vec<AttributeName>)> =
        vec![("people", &mapping.people, mapping.person_attributes().cloned().collect())];
    for (section, group) in groups.into_iter().chain(roles) {
        let mut names: Vec<AttributeName> = group.entry.attribute_names().cloned().collect();
        names.push(group.member.clone());
        sections.push((section, &group.entry, names));
    }
    let schema = Schema::read(connection).await?;
    if schema.is_none() {
        lines.push("schema: the server does not show it; the mapping could not be compared with it".into());
    }
    for (section, entry, mut names) in sections {
        match below(connection, mapping, section, entry).await? {
            Ok(found) => lines.push(found),
            Err(fault) => faults.push(fault),
        }
        names.push(mapping.marks.attribute.clone());
        if section == "people" {
            names.extend(mapping.leavers.lock_attribute());
        }
        let Some(schema) = &schema else { continue };
        let classes = entry.classes.iter().filter(|name| !schema.has_object_class(name));
        faults.extend(classes.map(|name| format!("{section}: the schema has no object class {name}")));
        names.sort();
        names.dedup();
        let missing = names.iter().filter(|name| !schema.has_attribute(name));
        faults.extend(missing.map(|name| lacks(mapping, section, name)));
    }
    Ok(Findings { found: lines, faults })
}

fn flavour(connection: &Connection, mapping: &Mapping) -> String {
    match (mapping.kind, ServerKind::of(&connection.server)) {
        (kind, shown) if kind == shown => format!("flavour: {kind}"),
        (kind, shown) => format!("flavour: {kind}, as configured, though the server looks like {shown}"),
    }
}

fn lacks(mapping: &Mapping, section: &str, name: &AttributeName) -> String {
    let hint = match mapping.kind {
        _ if mapping.leavers.lock_attribute().as_ref() != Some(name) => "",
        ServerKind::OpenLdap => ": load the password policy overlay, or choose another leavers.on_deactivate",
        _ => ": choose another leavers.on_deactivate",
    };
    format!("{section}: the schema has no attribute {name}{hint}")
}

/// Where the entries lie, and whether we may write there; `Err` is a fault.
async fn below(
    connection: &Connection,
    mapping: &Mapping,
    section: &str,
    entry: &EntryTemplate,
) -> Result<Result<String, String>, SinkDown> {
    let base = &entry.base;
    if connection.read(base, &["1.1".into()]).await?.is_none() {
        return Ok(Err(format!(
            "{section}: {base} does not exist, or may not be read: make it, or let us read it"
        )));
    }
    Ok(match right::to_add(connection, mapping.kind, entry).await? {
        Right::Granted => Ok(format!("{section}: below {base}, where we may add entries")),
        Right::Denied => {
            Err(format!("{section}: below {base}, where we may not add entries: let the bind DN write there"))
        }
        Right::Unknown => Ok(format!(
            "{section}: below {base}; whether we may write there, this server tells only when it is tried"
        )),
    })
}
