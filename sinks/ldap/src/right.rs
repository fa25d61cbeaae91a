//! Whether we may write somewhere, found out without writing anything.

use ldap3::Scope;
use rolecall_sink_api::SinkDown;

use crate::connection::Connection;
use crate::entry::{AttributeName, Attributes};
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
/// What slapd adds to every entry.
const OPERATIONAL: [&str; 7] = [
    "structuralObjectClass",
    "entryUUID",
    "creatorsName",
    "createTimestamp",
    "entryCSN",
    "modifiersName",
    "modifyTimestamp",
];
/// The name of the entry that is tried.
const TRIED: &str = "rolecall-check";
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
///
/// What is tried is a copy of the entry above, under another name. Any other could do harm: slapd (2.5 at least) numbers
/// each attribute when its database sees it for the first time, forgets on disk but not in memory the numbers of a request
/// that has no effect, and from then on stores the values of that attribute as another's. All attributes of the entry
/// above have been seen. Where we cannot see that it has the operational ones that slapd adds too, nothing is tried.
async fn try_out(connection: &Connection, entry: &EntryTemplate) -> Result<Right, SinkDown> {
    let above = entry.base.as_str();
    let found = connection.search_raw(above, Scope::Base, "(objectClass=*)", vec!["*", "+"]).await?;
    let Some(above) = found.into_iter().next().filter(|found| has_all(&found.attributes, &OPERATIONAL))
    else {
        return Ok(Right::Unknown);
    };
    let listed =
        connection.search_raw(entry.base.as_str(), Scope::Base, "(objectClass=*)", vec!["*"]).await?;
    let (Some(listed), [(naming, _)]) = (listed.into_iter().next(), above.dn.rdn_parts()) else {
        return Ok(Right::Unknown);
    };
    let mut attributes = listed.attributes;
    attributes.set(naming.as_str().into(), vec![TRIED.into()]);
    let reply = connection.try_add(&format!("{naming}={TRIED},{}", above.dn), &attributes).await?;
    Ok(match reply.code {
        WOULD_SUCCEED => Right::Granted,
        outcome::INSUFFICIENT_ACCESS => Right::Denied,
        _ => Right::Unknown,
    })
}

fn has_all(attributes: &Attributes, names: &[&str]) -> bool {
    names.iter().all(|name| !attributes.get(&(*name).into()).is_empty())
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
