//! What `rolecall check --connect` says about a server and the mapping.

use rolecall_sink_api::SinkDown;

use crate::connection::{Connection, PERMISSIVE_MODIFY};
use crate::dn::Dn;
use crate::entry::AttributeName;
use crate::leavers::LOCKED_TIME;
use crate::mapping::Mapping;
use crate::schema::Schema;
use crate::template::EntryTemplate;

/// One line for each thing a person would want to know before the first delivery.
pub(crate) async fn check(connection: &Connection, mapping: &Mapping) -> Result<Vec<String>, SinkDown> {
    let server = &connection.server;
    let mut lines = vec![format!("{}: {}", connection.url(), server.product())];
    if !server.naming_contexts.is_empty() {
        lines.push(format!("databases: {}", server.naming_contexts.join("; ")));
    }
    if server.has_control(PERMISSIVE_MODIFY) {
        lines.push("members: with the control for permissive modify".into());
    }
    lines.push(format!("tie: {}, mark in {}", mapping.id, mapping.marks.attribute));

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
        lines.push(base(connection, section, &entry.base).await?);
        names.push(mapping.marks.attribute.clone());
        if section == "people" {
            names.extend(mapping.leavers.lock_attribute());
        }
        let Some(schema) = &schema else { continue };
        let classes = entry.classes.iter().filter(|name| !schema.has_object_class(name));
        lines.extend(classes.map(|name| format!("{section}: the schema has no object class {name}")));
        names.sort();
        names.dedup();
        let missing = names.iter().filter(|name| !schema.has_attribute(name.as_str()));
        lines.extend(missing.map(|name| match name.as_str() {
            LOCKED_TIME => format!(
                "{section}: the schema has no attribute {name}: load the password policy overlay, or choose \
                 another leavers.on_deactivate"
            ),
            _ => format!("{section}: the schema has no attribute {name}"),
        }));
    }
    Ok(lines)
}

async fn base(connection: &Connection, section: &str, base: &Dn) -> Result<String, SinkDown> {
    Ok(match connection.read(base, &["1.1".into()]).await? {
        Some(_) => format!("{section}: below {base}"),
        None => format!("{section}: {base} does not exist, or may not be read: make it, or let us read it"),
    })
}
