//! What a server says about itself in its root DSE (RFC 4512 §5.1).

use ldap3::Scope;
use rolecall_sink_api::SinkDown;

use crate::connection::Connection;
use crate::dn::Dn;
use crate::entry::Entry;

/// The root DSE, as far as the sink uses it.
#[derive(Clone, Debug, Default)]
pub(crate) struct RootDse {
    controls: Vec<String>,
    capabilities: Vec<String>,
    extensions: Vec<String>,
    object_classes: Vec<String>,
    pub(crate) vendor_name: Option<String>,
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
            "supportedCapabilities",
            "supportedExtension",
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

    /// Whether it claims the capability with this OID (Active Directory's way of saying what it is).
    pub(crate) fn has_capability(&self, oid: &str) -> bool {
        self.capabilities.iter().any(|capability| capability == oid)
    }

    /// Whether it offers the extended operation with this OID.
    pub(crate) fn has_extension(&self, oid: &str) -> bool {
        self.extensions.iter().any(|extension| extension == oid)
    }

    /// Whether it is OpenLDAP, which names no vendor.
    pub(crate) fn is_openldap(&self) -> bool {
        self.object_classes.iter().any(|class| class.eq_ignore_ascii_case("OpenLDAProotDSE"))
    }

    /// The suffix of the database that `base` is in, or `base` itself when the server does not name it.
    pub(crate) fn root_of(&self, base: &Dn) -> Dn {
        let suffixes = self.naming_contexts.iter().filter_map(|suffix| Dn::parse(suffix).ok());
        // One database may be mounted below another: the longest suffix is the one.
        let within =
            suffixes.filter(|suffix| base.is_within(suffix)).max_by_key(|suffix| suffix.as_str().len());
        within.unwrap_or_else(|| base.clone())
    }

    /// The product and its version, as far as the server tells.
    pub(crate) fn product(&self) -> String {
        let name = match &self.vendor_name {
            Some(name) => name.as_str(),
            None if self.is_openldap() => "OpenLDAP",
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
            capabilities: texts("supportedCapabilities"),
            extensions: texts("supportedExtension"),
            object_classes: texts("objectClass"),
            vendor_name: texts("vendorName").into_iter().next(),
            vendor_version: texts("vendorVersion").into_iter().next(),
            subschema: texts("subschemaSubentry").into_iter().next(),
            naming_contexts: texts("namingContexts"),
        }
    }
}
