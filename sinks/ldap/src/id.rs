//! The server's own id of an entry, as text that the daemon can keep.

use crate::entry::{AttributeName, Entry, Value};

/// The attribute that holds the id, and how its values are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdAttribute {
    pub(crate) name: AttributeName,
    form: Form,
}

/// How an id is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As text: entryUUID, nsUniqueId.
    Text,
    /// As the 16 octets of a GUID, the first three groups with their lowest octet first: objectGUID ([MS-DTYP]
    /// §2.3.4.2).
    Guid,
}

/// The order of a GUID's octets in its text.
const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

impl IdAttribute {
    pub(crate) fn new(name: AttributeName) -> Self {
        let form = if name == "objectGUID".into() { Form::Guid } else { Form::Text };
        Self { name, form }
    }

    /// The id of an entry that was fetched with it.
    pub(crate) fn of(&self, entry: &Entry) -> Option<String> {
        self.read(entry.attributes.get(&self.name).first()?)
    }

    /// A value as text.
    pub(crate) fn read(&self, value: &Value) -> Option<String> {
        match self.form {
            Form::Text => value.as_text().map(str::to_owned),
            Form::Guid => guid(value.as_bytes()),
        }
    }

    /// The value to look for, of an id as text. An id that is none has no entry.
    pub(crate) fn value(&self, text: &str) -> Value {
        match self.form {
            Form::Text => text.into(),
            Form::Guid => octets(text).map_or_else(|| text.into(), Value::from),
        }
    }
}

fn guid(octets: &[u8]) -> Option<String> {
    let octets: &[u8; 16] = octets.try_into().ok()?;
    let mut text = String::with_capacity(36);
    for (at, from) in ORDER.into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{:02x}", octets[from]));
    }
    Some(text)
}

fn octets(guid: &str) -> Option<Vec<u8>> {
    let digits: String = guid.chars().filter(|c| *c != '-').collect();
    let pair = |at: usize| u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok();
    let mut octets = vec![0; 16];
    for (at, to) in ORDER.into_iter().enumerate() {
        octets[to] = pair(at)?;
    }
    (digits.len() == 32).then_some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_written_as_administrators_know_it_and_read_back() {
        let id = IdAttribute::new("ObjectGUID".into());
        let octets: Vec<u8> = (0..16).collect();
        let text = id.read(&octets.clone().into()).unwrap();
        assert_eq!(text, "03020100-0504-0706-0809-0a0b0c0d0e0f");
        assert_eq!(id.value(&text), octets.into());
        assert_eq!(id.read(&"short".into()), None);
    }

    #[test]
    fn other_ids_are_text() {
        let id = IdAttribute::new("entryUUID".into());
        assert_eq!(id.read(&"a-b".into()).as_deref(), Some("a-b"));
        assert_eq!(id.value("a-b"), "a-b".into());
    }
}
