//! Which kind of server it is, by what it says in its root DSE.

use std::fmt;

use crate::config::Flavour;
use crate::root_dse::RootDse;

/// That a server is an Active Directory ([MS-ADTS] §3.1.1.3.4.3).
const ACTIVE_DIRECTORY: &str = "1.2.840.113556.1.4.800";
/// That it is a Lightweight Directory Service of Active Directory.
const ACTIVE_DIRECTORY_LDS: &str = "1.2.840.113556.1.4.1851";

/// A kind of server, as far as the sink treats them differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerKind {
    /// OpenLDAP.
    OpenLdap,
    /// 389 Directory Server, Red Hat Directory Server and their relatives.
    Ds389,
    /// Active Directory, and Samba as one.
    ActiveDirectory,
    /// Any other.
    Generic,
}

impl ServerKind {
    /// All of them.
    pub(crate) const ALL: [ServerKind; 4] =
        [ServerKind::OpenLdap, ServerKind::Ds389, ServerKind::ActiveDirectory, ServerKind::Generic];

    /// The kind that the configuration names; `None` when the server is to tell.
    pub(crate) fn named(flavour: Flavour) -> Option<Self> {
        match flavour {
            Flavour::Detect => None,
            Flavour::OpenLdap => Some(Self::OpenLdap),
            Flavour::Ds389 => Some(Self::Ds389),
            Flavour::ActiveDirectory => Some(Self::ActiveDirectory),
            Flavour::Generic => Some(Self::Generic),
        }
    }

    /// The kind that a server shows itself to be.
    pub(crate) fn of(server: &RootDse) -> Self {
        let vendor = server.vendor_name.as_deref().unwrap_or_default();
        if server.has_capability(ACTIVE_DIRECTORY) || server.has_capability(ACTIVE_DIRECTORY_LDS) {
            Self::ActiveDirectory
        } else if ["389 Project", "Red Hat", "Fedora Project"].iter().any(|known| vendor.contains(known)) {
            Self::Ds389
        } else if server.is_openldap() {
            Self::OpenLdap
        } else {
            Self::Generic
        }
    }
}

impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ServerKind::OpenLdap => "openldap",
            ServerKind::Ds389 => "389ds",
            ServerKind::ActiveDirectory => "active-directory",
            ServerKind::Generic => "generic",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dn::Dn;
    use crate::entry::{Attributes, Entry};

    fn server(says: &[(&str, &str)]) -> ServerKind {
        let mut attributes = Attributes::default();
        for (name, value) in says {
            attributes.push((*name).into(), (*value).into());
        }
        ServerKind::of(&RootDse::from(Entry { dn: Dn::parse("").unwrap(), attributes }))
    }

    #[test]
    fn a_server_is_known_by_what_it_says() {
        assert_eq!(server(&[("objectClass", "OpenLDAProotDSE")]), ServerKind::OpenLdap);
        assert_eq!(server(&[("vendorName", "389 Project")]), ServerKind::Ds389);
        assert_eq!(server(&[("vendorName", "Red Hat, Inc.")]), ServerKind::Ds389);
        let samba = [("vendorName", "Samba Team"), ("supportedCapabilities", "1.2.840.113556.1.4.800")];
        assert_eq!(server(&samba), ServerKind::ActiveDirectory);
        assert_eq!(server(&[("vendorName", "ForgeRock AS.")]), ServerKind::Generic);
        assert_eq!(server(&[]), ServerKind::Generic);
    }
}
