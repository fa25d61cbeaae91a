//! Whether rules changed.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::yaml::{Kind, Node};

/// Changes when the same rules mean something else than in an older version.
const MEANING: &str = "rolecall rules 2";
/// What can change without anybody's roles changing.
const NO_MATTER: [&str; 1] = ["tests"];

/// A digest of rules; see [`Rules::fingerprint`](super::Rules::fingerprint). The same in every process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The digest as bytes, to be kept.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Of what stands in the file, wherever it stands.
    pub(super) fn of(root: &Node) -> Self {
        let mut writer = Writer(Sha256::new());
        writer.text(MEANING);
        for entry in root.entries().iter().filter(|entry| !NO_MATTER.contains(&entry.key.as_str())) {
            writer.text(&entry.key);
            match entry.key.as_str() {
                // Of the catalogue the names alone matter.
                "roles" => entry.value.entries().iter().for_each(|role| writer.text(&role.key)),
                _ => writer.node(&entry.value),
            }
        }
        Self::from_digest(writer.0)
    }

    /// Of several that are in force together.
    pub(super) fn of_all<'a>(parts: impl IntoIterator<Item = (&'a str, &'a Node)>) -> Self {
        let mut writer = Writer(Sha256::new());
        writer.text(MEANING);
        for (name, node) in parts {
            writer.text(name);
            writer.node(node);
        }
        Self::from_digest(writer.0)
    }

    fn from_digest(hash: Sha256) -> Self {
        let digest = hash.finalize();
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Self(half)
    }
}

/// Every value with its kind and length, so that no two different ones write the same bytes.
struct Writer(Sha256);

impl Writer {
    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.update(text.as_bytes());
    }

    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_be_bytes());
    }

    fn node(&mut self, node: &Node) {
        match &node.kind {
            Kind::Null => self.text("null"),
            Kind::Bool(value) => self.text(if *value { "true" } else { "false" }),
            Kind::Int(value) => self.text(&format!("number {value}")),
            Kind::Unsigned(value) => self.text(&format!("number {value}")),
            Kind::Float(value) => self.text(&format!("number {value}")),
            Kind::Text(value) => {
                self.text("text");
                self.text(value);
            }
            Kind::List(items) => {
                self.text("list");
                self.count(items.len());
                items.iter().for_each(|item| self.node(item));
            }
            Kind::Map(entries) => {
                self.text("map");
                self.count(entries.len());
                for entry in entries {
                    self.text(&entry.key);
                    self.node(&entry.value);
                }
            }
        }
    }
}

impl From<[u8; 16]> for Fingerprint {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
