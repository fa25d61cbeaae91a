//! Distinguished names (RFC 4514): taken apart, compared, and built with every value escaped.

use std::fmt;
use std::hash::{Hash, Hasher};

/// A distinguished name.
///
/// Two names are equal when a server would call them the same entry's: attribute types and values without
/// regard to case, runs of spaces as one, escapes resolved, the parts of a multi-valued RDN in any order.
#[derive(Clone, Debug)]
pub(crate) struct Dn {
    text: String,
    rdns: Vec<Rdn>,
}

/// One level of a name: where it stands in the text, and what it says.
#[derive(Clone, Debug)]
struct Rdn {
    start: usize,
    end: usize,
    /// Attribute type and value as written, unescaped.
    parts: Vec<(String, String)>,
    /// The same, normalised and sorted.
    key: Vec<(String, String)>,
}

/// Why a text is no distinguished name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a distinguished name: {what}")]
pub(crate) struct DnError {
    text: String,
    what: String,
}

impl Dn {
    /// Parses the string form of RFC 4514.
    pub(crate) fn parse(text: &str) -> Result<Self, DnError> {
        let fail = |what: String| DnError { text: text.to_owned(), what };
        let mut rdns = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let (rdn, next) = parse_rdn(text, at).map_err(&fail)?;
            rdns.push(rdn);
            at = next;
        }
        Ok(Self { text: text.to_owned(), rdns })
    }

    /// The name as it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The first part, as it was written: `uid=ann`.
    pub(crate) fn rdn(&self) -> &str {
        self.rdns.first().map_or("", |rdn| &self.text[rdn.start..rdn.end])
    }

    /// The attribute types and values of the first part, unescaped.
    pub(crate) fn rdn_parts(&self) -> &[(String, String)] {
        self.rdns.first().map_or(&[], |rdn| &rdn.parts)
    }

    /// The entry above; `None` above the root.
    pub(crate) fn parent(&self) -> Option<Dn> {
        let above = self.rdns.get(1..)?;
        let start = above.first().map_or(self.text.len(), |rdn| rdn.start);
        let shifted = above.iter().cloned().map(|mut rdn| {
            rdn.start -= start;
            rdn.end -= start;
            rdn
        });
        Some(Dn { text: self.text[start..].to_owned(), rdns: shifted.collect() })
    }

    /// The same name with a number behind its first value: `uid=jdoe2`.
    pub(crate) fn numbered(&self, number: u32) -> Result<Dn, DnError> {
        let parts = self.rdn_parts().iter().enumerate().map(|(at, (name, value))| match at {
            0 => format!("{name}={}", escape(&format!("{value}{number}"))),
            _ => format!("{name}={}", escape(value)),
        });
        let rdn = parts.collect::<Vec<_>>().join("+");
        match self.parent() {
            Some(parent) if !parent.rdns.is_empty() => Dn::parse(&format!("{rdn},{parent}")),
            _ => Dn::parse(&rdn),
        }
    }

    /// The number that makes the first part of `plain` this name's, from 2 on, wherever either stands; `None` when none
    /// does.
    pub(crate) fn number_behind(&self, plain: &Dn) -> Option<u32> {
        let (_, mine) = self.rdn_parts().first()?;
        let (_, theirs) = plain.rdn_parts().first()?;
        let number = fold(mine).strip_prefix(&fold(theirs))?.parse().ok().filter(|number| *number >= 2)?;
        (plain.numbered(number).ok()?.rdns.first()?.key == self.rdns.first()?.key).then_some(number)
    }

    /// The same first part below another entry.
    pub(crate) fn below(&self, parent: &Dn) -> Result<Dn, DnError> {
        Dn::parse(&format!("{},{parent}", self.rdn()))
    }

    /// Whether this is `base` or lies below it.
    pub(crate) fn is_within(&self, base: &Dn) -> bool {
        let (mine, theirs) = (self.rdns.len(), base.rdns.len());
        mine >= theirs
            && self.rdns[mine - theirs..].iter().map(|r| &r.key).eq(base.rdns.iter().map(|r| &r.key))
    }

    fn key(&self) -> impl Iterator<Item = &Vec<(String, String)>> {
        self.rdns.iter().rev().map(|rdn| &rdn.key)
    }
}

impl fmt::Display for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Dn {
    fn eq(&self, other: &Self) -> bool {
        self.key().eq(other.key())
    }
}

impl Eq for Dn {}

impl PartialOrd for Dn {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Dn {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(other.key())
    }
}

impl Hash for Dn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().for_each(|rdn| rdn.hash(state));
    }
}

/// Escapes one attribute value for a name: what stands in a DN template's `{{ … }}`.
pub(crate) fn escape(value: &str) -> String {
    ldap3::dn_escape(value).into_owned()
}

/// The value as the rule caseIgnoreMatch sees it (RFC 4518, in essence): lower case, spaces at the ends gone,
/// runs of spaces as one.
pub(crate) fn fold(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for word in value.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().flat_map(char::to_lowercase));
    }
    out
}

/// One RDN from `start`, and where the next begins.
fn parse_rdn(text: &str, start: usize) -> Result<(Rdn, usize), String> {
    let start = start + text[start..].len() - text[start..].trim_start().len();
    let mut parts = Vec::new();
    let mut at = start;
    loop {
        let equals = text[at..].find('=').ok_or("an attribute type without '='")?;
        let attribute = text[at..at + equals].trim();
        if attribute.is_empty() || !attribute.chars().all(|c| c.is_ascii_alphanumeric() || "-.;".contains(c))
        {
            return Err(format!("{attribute:?} cannot be an attribute type"));
        }
        let (value, end) = parse_value(text, at + equals + 1)?;
        parts.push((attribute.to_owned(), value));
        let separator = text[end..].chars().next();
        if separator == Some('+') {
            at = end + 1;
            continue;
        }
        let mut key: Vec<_> = parts.iter().map(|(a, v)| (a.to_ascii_lowercase(), fold(v))).collect();
        key.sort();
        let next = if separator.is_some() { end + 1 } else { end };
        if separator.is_some() && next == text.len() {
            return Err("nothing follows its last comma".into());
        }
        return Ok((Rdn { start, end: start + text[start..end].trim_end().len(), parts, key }, next));
    }
}

/// One attribute value from `start`, unescaped, and where it ends.
fn parse_value(text: &str, start: usize) -> Result<(String, usize), String> {
    let bytes = text.as_bytes();
    let mut value = Vec::new();
    // Spaces at the end count only as far as they were escaped.
    let mut kept = 0;
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b',' | b';' | b'+' => break,
            b'\\' => {
                let pair = text
                    .get(at + 1..at + 3)
                    .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok());
                if let Some(escaped) = pair {
                    value.push(escaped);
                    at += 3;
                } else {
                    value.push(*bytes.get(at + 1).ok_or("it ends within an escape")?);
                    at += 2;
                }
                kept = value.len();
            }
            b' ' => {
                if !value.is_empty() {
                    value.push(byte);
                }
                at += 1;
            }
            _ => {
                value.push(byte);
                kept = value.len();
                at += 1;
            }
        }
    }
    value.truncate(kept);
    let value = String::from_utf8(value).map_err(|_| "a value is not UTF-8".to_owned())?;
    Ok((value, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dn(text: &str) -> Dn {
        Dn::parse(text).unwrap()
    }

    #[test]
    fn names_are_equal_however_they_are_written() {
        assert_eq!(dn("UID=Ann,OU=People,DC=example"), dn("uid=ann, ou=people ,dc=example"));
        assert_eq!(dn(r"cn=Doe\, Jane,dc=x"), dn(r"cn=doe\2C  jane,dc=x"));
        assert_eq!(dn("a=1+b=2,dc=x"), dn("b=2+a=1,dc=x"));
        assert_ne!(dn(r"cn=a\,dc=x"), dn("cn=a,dc=x"));
        assert_eq!(dn(r"cn=\+1,dc=x").rdn_parts(), [("cn".to_owned(), "+1".to_owned())]);
        assert_ne!(dn("cn=ab,dc=x"), dn("cn=a b,dc=x"));
    }

    #[test]
    fn a_name_is_taken_apart() {
        let name = dn(r"cn=Doe\, Jane , ou=people,dc=x");
        assert_eq!(name.rdn(), r"cn=Doe\, Jane");
        assert_eq!(name.rdn_parts(), [("cn".to_owned(), "Doe, Jane".to_owned())]);
        let parent = name.parent().unwrap();
        assert_eq!((parent.as_str(), parent.rdn()), ("ou=people,dc=x", "ou=people"));
        assert_eq!(parent.parent().unwrap().parent().unwrap().parent().map(|dn| dn.to_string()), None);
        assert!(name.is_within(&dn("OU=people,dc=x")) && name.is_within(&name) && !parent.is_within(&name));
    }

    #[test]
    fn a_number_goes_behind_the_first_value_and_is_found_there() {
        let plain = dn(r"cn=Doe\, Jane+sn=Doe,ou=people,dc=x");
        let second = plain.numbered(2).unwrap();
        assert_eq!(second, dn(r"cn=Doe\, Jane2+sn=Doe,ou=people,dc=x"));
        assert_eq!(second.number_behind(&plain), Some(2));
        assert_eq!(dn("CN=doe\\, jane12+sn=doe,ou=people,dc=x").number_behind(&plain), Some(12));
        for other in
            [r"cn=Doe\, Jane+sn=Doe,ou=people,dc=x", r"cn=Doe\, Jane2,ou=people,dc=x", "cn=Doe2,dc=x"]
        {
            assert_eq!(dn(other).number_behind(&plain), None, "{other}");
        }
        assert_eq!(dn("uid=a1,dc=x").number_behind(&dn("uid=a,dc=x")), None, "they begin with 2");
        assert_eq!(dn("uid=a02,dc=x").number_behind(&dn("uid=a,dc=x")), None);
    }

    #[test]
    fn any_value_comes_back_from_its_escaped_form() {
        for value in [
            r#",+"\<>;=#"#,
            "# leading",
            " both ",
            "a\u{0}b",
            "*()",
            "\u{202e}rtl \u{1f600}",
            "Zoë  Müller",
            "\n\r\t",
            "\\2c",
            "a/b",
        ] {
            let name = dn(&format!("cn={},dc=x", escape(value)));
            assert_eq!(name.rdn_parts(), [("cn".to_owned(), value.to_owned())], "{name}");
            assert_eq!(name.parent().unwrap(), dn("dc=x"));
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["people", "=x", "cn=a,", "cn=a,,dc=x", "cn=a\\", "c n=a", "cn=\\ff"] {
            assert!(Dn::parse(text).is_err(), "{text}");
        }
        assert_eq!(dn("").parent().map(|dn| dn.to_string()), None);
    }
}
