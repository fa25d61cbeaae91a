//! Whether we may write somewhere, found out without writing anything.

use ldap3::Scope;
use rolecall_sink_api::SinkDown;

use crate::connection::Connection;
use crate::entry::AttributeName;
use crate::outcome;
use crate::server_kind::ServerKind;
use crate::template::EntryTemplate;

/// An answer to whether we may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// We may.
    Granted,
    /// We may not.
    Denied,
    /// The server has no way to tell.
    Unknown,
}

/// The control that returns rights with an entry (draft-ietf-ldapext-acl-model; 389 Directory Server).
pub(crate) const EFFECTIVE_RIGHTS: &str = "1.3.6.1.4.1.42.2.27.9.5.2";
/// The control by which an operation is carried out but for its effect (OpenLDAP, draft-zeilenga-ldap-noop).
pub(crate) const NO_OP: &str = "1.3.6.1.4.1.4203.666.5.2";
/// The code that says so: it would have succeeded.
const WOULD_SUCCEED: u32 = 0x410e;
/// The attribute of Active Directory with the classes of entries that we may add below an entry ([MS-ADTS]
/// §3.1.1.4.5.24).
const ADDABLE_CLASSES: &str = "allowedChildClassesEffective";
/// The attribute that 389 Directory Server's rights come in.
const ENTRY_RIGHTS: &str = "entryLevelRights";

/// Whether we may add entries like `entry`'s.
pub(crate) async fn to_add(
    connection: &Connection,
    kind: ServerKind,
    entry: &EntryTemplate,
) -> Result<Right, SinkDown> {
    match kind {
        ServerKind::OpenLdap => try_out(connection, entry).await,
        ServerKind::Ds389 => ask_389(connection, entry).await,
        ServerKind::ActiveDirectory => ask_active_directory(connection, entry).await,
        ServerKind::Generic => Ok(Right::Unknown),
    }
}

/// OpenLDAP carries out the request and drops what it did. The control is critical: a server that does not know it
/// refuses the request.
async fn try_out(connection: &Connection, entry: &EntryTemplate) -> Result<Right, SinkDown> {
    let reply = connection.try_add(&entry.base).await?;
    Ok(match reply.code {
        WOULD_SUCCEED => Right::Granted,
        outcome::INSUFFICIENT_ACCESS => Right::Denied,
        _ => Right::Unknown,
    })
}

async fn ask_389(connection: &Connection, entry: &EntryTemplate) -> Result<Right, SinkDown> {
    if !connection.server.has_control(EFFECTIVE_RIGHTS) {
        return Ok(Right::Unknown);
    }
    let found = connection.rights(&entry.base, vec![ENTRY_RIGHTS.to_owned()]).await?;
    // `vadn`: view, add, delete, rename.
    Ok(match found.as_ref().and_then(|entry| entry.attributes.texts(&ENTRY_RIGHTS.into()).next()) {
        Some(rights) if rights.contains('a') => Right::Granted,
        Some(_) => Right::Denied,
        None => Right::Unknown,
    })
}

async fn ask_active_directory(connection: &Connection, entry: &EntryTemplate) -> Result<Right, SinkDown> {
    let addable: AttributeName = ADDABLE_CLASSES.into();
    let base = entry.base.as_str();
    let found = connection.search_raw(base, Scope::Base, "(objectClass=*)", vec![ADDABLE_CLASSES]).await?;
    // The last class is the one that counts: the others are what it is made from.
    let Some(class) = entry.classes.last() else { return Ok(Right::Unknown) };
    let mut classes = found.iter().flat_map(|entry| entry.attributes.texts(&addable));
    Ok(match classes.any(|found| found.eq_ignore_ascii_case(class)) {
        true => Right::Granted,
        false => Right::Denied,
    })
}
