//! Whether rules changed.

use std::fmt;

use rolecall_sink_api::RoleName;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::parse::{Defaults, GroupTest, Rule};

/// Changes when the same rules mean something else than in an older version.
const MEANING: &str = "rolecall rules 1";

/// A digest of rules; see [`Rules::fingerprint`](super::Rules::fingerprint). The same in every process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// The digest as bytes, to be kept.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    pub(super) fn of(defaults: &Defaults, rules: &[Rule]) -> Self {
        let mut writer = Writer(Sha256::new());
        writer.text(MEANING);
        writer.number(defaults.line);
        writer.roles(&defaults.roles);
        writer.list(rules, |writer, rule| {
            writer.text(&rule.name);
            writer.number(rule.line);
            writer.list(rule.organizations.as_slice(), |writer, organizations| {
                writer.list(organizations, |writer, organization| writer.text(organization.as_str()));
            });
            writer.list(rule.groups.as_slice(), |writer, groups| {
                writer.list(groups, |writer, group| {
                    let (kind, text) = match group {
                        GroupTest::Name(name) => ("name", name.as_str()),
                        GroupTest::Glob(glob) => ("glob", glob.as_str()),
                        GroupTest::Id(id) => ("id", id.as_str()),
                    };
                    writer.text(kind);
                    writer.text(text);
                });
            });
            writer.roles(&rule.roles);
        });
        let digest = writer.0.finalize();
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Self(half)
    }
}

/// Every value with its length, so that no two different rules write the same bytes.
struct Writer(Sha256);

impl Writer {
    fn text(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text.as_bytes());
    }

    fn number(&mut self, number: u32) {
        self.0.update(number.to_be_bytes());
    }

    fn list<T>(&mut self, items: &[T], mut each: impl FnMut(&mut Self, &T)) {
        self.0.update((items.len() as u64).to_be_bytes());
        for item in items {
            each(self, item);
        }
    }

    fn roles(&mut self, roles: &[RoleName]) {
        self.list(roles, |writer, role| writer.text(role.as_str()));
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
