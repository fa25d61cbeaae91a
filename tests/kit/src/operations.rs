//! What a directory server has been asked to do.

use std::ops::Sub;

use crate::ldif::Entry;

/// Operations that change something, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// New entries.
    pub adds: u64,
    /// Other values in an entry.
    pub modifies: u64,
    /// Other names.
    pub renames: u64,
    /// Entries removed.
    pub deletes: u64,
}

impl Operations {
    /// None at all.
    pub const NONE: Self = Self { adds: 0, modifies: 0, renames: 0, deletes: 0 };

    /// Reads OpenLDAP's `cn=Operations,cn=Monitor`.
    pub(crate) fn from_monitor(entries: &[Entry]) -> Self {
        let count = |name: &str| {
            let entry = entries.iter().find(|entry| entry.value("cn") == Some(name));
            let count = entry.and_then(|entry| entry.value("monitorOpCompleted")?.parse().ok());
            count.unwrap_or_else(|| panic!("cn=Monitor does not count {name}: {entries:?}"))
        };
        Self {
            adds: count("Add"),
            modifies: count("Modify"),
            renames: count("Modrdn"),
            deletes: count("Delete"),
        }
    }
}

impl Sub for Operations {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            adds: self.adds - before.adds,
            modifies: self.modifies - before.modifies,
            renames: self.renames - before.renames,
            deletes: self.deletes - before.deletes,
        }
    }
}
