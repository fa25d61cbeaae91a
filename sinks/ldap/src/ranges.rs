//! Values that come in parts, as Active Directory returns those of large groups: `member;range=0-1499` ([MS-ADTS]
//! §3.1.1.3.1.3.3).

use crate::entry::{AttributeName, Entry};
use crate::server_kind::ServerKind;

/// Values in one part: what Active Directory returns at most.
const PART: usize = 1500;
/// Parts of one attribute at most: some million values.
pub(crate) const MAX_PARTS: usize = 10_000;

/// How to ask for an attribute that may have very many values.
pub(crate) fn ask(attribute: &AttributeName, kind: ServerKind) -> AttributeName {
    match kind {
        ServerKind::ActiveDirectory => AttributeName::new(format!("{attribute};range=0-{}", PART - 1)),
        _ => attribute.clone(),
    }
}

/// Puts parts under the attribute's own name, and returns how to ask for the next part of one that has more.
pub(crate) fn join(entry: &mut Entry) -> Option<AttributeName> {
    let names: Vec<AttributeName> = entry.attributes.iter().map(|(name, _)| name.clone()).collect();
    let mut next = None;
    for name in names {
        let Some(range) = name.as_str().split(';').find_map(|option| option.strip_prefix("range=")) else {
            continue;
        };
        let values = entry.attributes.get(&name).to_vec();
        let attribute = name.without_options();
        entry.attributes.append(attribute.clone(), values);
        entry.attributes.set(name.clone(), Vec::new());
        // `1500-*` is the last part.
        if let Some(last) = range.split_once('-').and_then(|(_, end)| end.parse::<usize>().ok()) {
            next = Some(AttributeName::new(format!("{attribute};range={}-{}", last + 1, last + PART)));
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dn::Dn;
    use crate::entry::Attributes;

    fn entry(name: &str, values: &[&str]) -> Entry {
        let mut attributes = Attributes::default();
        attributes.append(name.into(), values.iter().map(|value| (*value).into()).collect());
        Entry { dn: Dn::parse("cn=x").unwrap(), attributes }
    }

    #[test]
    fn parts_become_one_attribute_until_the_last() {
        let mut group = entry("member;range=0-1", &["cn=a", "cn=b"]);
        assert_eq!(join(&mut group), Some("member;range=2-1501".into()));
        group.attributes.append("member;range=2-*".into(), vec!["cn=c".into()]);
        assert_eq!(join(&mut group), None);
        let members: Vec<&str> = group.attributes.texts(&"member".into()).collect();
        assert_eq!(members, ["cn=a", "cn=b", "cn=c"]);
        assert_eq!(group.attributes.iter().count(), 1);
    }

    #[test]
    fn what_comes_whole_stays_as_it_is() {
        let mut group = entry("userCertificate;binary", &["x"]);
        assert_eq!(join(&mut group), None);
        assert_eq!(group.attributes.get(&"userCertificate;binary".into()), ["x".into()]);
        assert_eq!(ask(&"member".into(), ServerKind::OpenLdap), "member".into());
    }
}
