//! What a server says about itself in its root DSE (RFC 4512 §5.1).

use ldap3::Scope;
use rolecall_sink_api::SinkDown;

use crate::connection::Connection;
use crate::entry::Entry;

/// The root DSE, as far as the sink uses it.
#[derive(Clone, Debug, Default)]
pub(crate) struct RootDse {
    controls: Vec<String>,
    object_classes: Vec<String>,
    vendor_name: Option<String>,
    vendor_version: Option<String>,
    /// Where the schema is published.
    pub(crate) subschema: Option<String>,
    /// The suffixes of the server's databases.
    pub(crate) naming_contexts: Vec<String>,
}

impl RootDse {
    /// Reads it: the cheapest round trip there is, which every server allows.
    pub(crate) async fn read(connection: &Connection) -> Result<Self, SinkDown> {
        let attributes = vec![
            "objectClass",
            "supportedControl",
            "vendorName",
            "vendorVersion",
            "subschemaSubentry",
            "namingContexts",
        ];
        let found = connection.search_raw("", Scope::Base, "(objectClass=*)", attributes).await?;
        Ok(found.into_iter().next().map(Self::from).unwrap_or_default())
    }

    /// Whether the server offers the control with this OID.
    pub(crate) fn has_control(&self, oid: &str) -> bool {
        self.controls.iter().any(|control| control == oid)
    }

    /// The product and its version, as far as the server tells.
    pub(crate) fn product(&self) -> String {
        let name = match &self.vendor_name {
            Some(name) => name.as_str(),
            None if self.object_classes.iter().any(|c| c.eq_ignore_ascii_case("OpenLDAProotDSE")) => {
                "OpenLDAP"
            }
            None => "a server that does not name itself",
        };
        match &self.vendor_version {
            Some(version) => format!("{name} {version}"),
            None => name.to_owned(),
        }
    }
}

impl From<Entry> for RootDse {
    fn from(entry: Entry) -> Self {
        let texts = |name: &str| entry.attributes.texts(&name.into()).map(str::to_owned).collect::<Vec<_>>();
        Self {
            controls: texts("supportedControl"),
            object_classes: texts("objectClass"),
            vendor_name: texts("vendorName").into_iter().next(),
            vendor_version: texts("vendorVersion").into_iter().next(),
            subschema: texts("subschemaSubentry").into_iter().next(),
            naming_contexts: texts("namingContexts"),
        }
    }
}
