//! The LDIF file, read back: record by record, and as the directory that a server would have after it.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::company::{Access, Standing};

/// What all DNs of the demo end in.
const SUFFIX: &str = ",dc=example,dc=com";
const ROLES: &str = ",ou=roles,dc=example,dc=com";
/// Stands in for members in a group that has none.
const PLACEHOLDER: &str = "cn=rolecall-placeholder";
/// Set on whoever may not sign in.
const LOCK: &str = "pwdAccountLockedTime";

/// One change record (RFC 2849).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    dn: String,
    change: Change,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    Add(Vec<(String, String)>),
    Modify(Vec<Modification>),
    Delete,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Modification {
    kind: Kind,
    attribute: String,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Add,
    Delete,
    Replace,
}

/// All records of a file.
pub(super) fn records(text: &str) -> anyhow::Result<Vec<Record>> {
    let texts = text.split("\n\n").map(str::trim).filter(|text| !text.is_empty() && *text != "version: 1");
    texts.map(|text| record(text).with_context(|| format!("the LDIF file has the record\n{text}"))).collect()
}

fn record(text: &str) -> anyhow::Result<Record> {
    let mut lines = text.lines().filter(|line| !line.starts_with("control:")).peekable();
    let (name, dn) = pair(lines.next().unwrap_or_default())?;
    let (_, change) = pair(lines.next().unwrap_or_default())?;
    if name != "dn" {
        bail!("it does not begin with a DN");
    }
    let change = match change.as_str() {
        "add" => Change::Add(lines.map(pair).collect::<Result<_, _>>()?),
        "delete" => Change::Delete,
        "modify" => {
            let mut modifications = Vec::new();
            while let Some(line) = lines.next() {
                let (kind, attribute) = pair(line)?;
                let kind = match kind.as_str() {
                    "add" => Kind::Add,
                    "delete" => Kind::Delete,
                    "replace" => Kind::Replace,
                    _ => bail!("no such modification: {kind}"),
                };
                let values = lines.by_ref().take_while(|line| *line != "-").map(pair);
                let values = values.map(|pair| pair.map(|(_, value)| value)).collect::<Result<_, _>>()?;
                modifications.push(Modification { kind, attribute, values });
            }
            Change::Modify(net(modifications))
        }
        _ => bail!("no such change: {change}"),
    };
    Ok(Record { dn, change })
}

/// `name: value`, or `name:: base64`.
fn pair(line: &str) -> anyhow::Result<(String, String)> {
    let (name, value) = line.split_once(':').ok_or_else(|| anyhow!("no value in {line:?}"))?;
    let value = match value.strip_prefix(':') {
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded.trim())?)?,
        None => value.trim_start().to_owned(),
    };
    Ok((name.to_owned(), value))
}

/// Without values that are added only to be deleted next: the sink writes those so that a value that is gone
/// already is no error.
fn net(modifications: Vec<Modification>) -> Vec<Modification> {
    let undone = |at: usize| {
        let next: Option<&Modification> = modifications.get(at + 1);
        let this = &modifications[at];
        this.kind == Kind::Add
            && next.is_some_and(|next| {
                next.kind == Kind::Delete && next.attribute == this.attribute && next.values == this.values
            })
    };
    let keep: Vec<bool> = (0..modifications.len()).map(|at| !undone(at)).collect();
    modifications
        .into_iter()
        .zip(keep)
        .filter_map(|(modification, keep)| keep.then_some(modification))
        .collect()
}

/// The records, one a line; of several in a row that set the same attributes of the same entry, the last.
pub(super) fn lines(records: &[Record]) -> Vec<String> {
    let mut lines = Vec::new();
    for alike in records.chunk_by(Record::is_alike) {
        let Some(last) = alike.last() else { continue };
        let line = last.line();
        lines.push(if alike.len() == 1 {
            line
        } else {
            format!("{line} (the last of {} such records)", alike.len())
        });
    }
    lines
}

/// The text of the records that name `dn`, as it stands in the file.
pub(super) fn naming(text: &str, dn: &str) -> String {
    let records: Vec<&str> = text.split("\n\n").filter(|record| record.contains(dn)).map(str::trim).collect();
    records.join("\n\n")
}

impl Record {
    fn is_alike(&self, other: &Self) -> bool {
        let (Change::Modify(these), Change::Modify(those)) = (&self.change, &other.change) else {
            return false;
        };
        let set = |modifications: &[Modification]| {
            let set: Option<Vec<String>> = modifications
                .iter()
                .map(|one| (one.kind == Kind::Replace).then(|| one.attribute.clone()))
                .collect();
            set
        };
        self.dn == other.dn && set(these).is_some() && set(these) == set(those)
    }

    /// The record on one line.
    pub(super) fn line(&self) -> String {
        let dn = short(&self.dn);
        match &self.change {
            Change::Add(_) => format!("add {dn}"),
            Change::Delete => format!("delete {dn}"),
            Change::Modify(modifications) => {
                let said: Vec<String> = modifications.iter().filter_map(Modification::said).collect();
                format!("modify {dn}: {}", said.join("; "))
            }
        }
    }
}

impl Modification {
    /// In a few words; nothing for the placeholder of an empty group, which nobody is interested in.
    fn said(&self) -> Option<String> {
        if self.values == [PLACEHOLDER] {
            return None;
        }
        let word = match self.kind {
            Kind::Add => "+",
            Kind::Delete => "-",
            Kind::Replace => "=",
        };
        let values: Vec<&str> = self.values.iter().map(|value| short(value)).collect();
        Some(format!("{word} {} {}", self.attribute, values.join(", ")).trim_end().to_owned())
    }
}

/// A DN without what all have in common.
fn short(dn: &str) -> &str {
    let dn = dn.strip_suffix(SUFFIX).unwrap_or(dn);
    dn.strip_suffix(",ou=people").unwrap_or(dn)
}

/// What a server holds after all records.
#[derive(Debug, Default)]
pub(super) struct Directory(BTreeMap<String, Entry>);

type Entry = BTreeMap<String, Vec<String>>;

impl Directory {
    /// Plays the records, as `ldapmodify` would.
    pub(super) fn after(records: &[Record]) -> anyhow::Result<Self> {
        let mut directory = Self::default();
        for record in records {
            directory
                .apply(record)
                .with_context(|| format!("the LDIF file cannot be played: {}", record.line()))?;
        }
        Ok(directory)
    }

    fn apply(&mut self, record: &Record) -> anyhow::Result<()> {
        match &record.change {
            Change::Add(attributes) => {
                let mut entry = Entry::new();
                for (name, value) in attributes {
                    entry.entry(name.clone()).or_default().push(value.clone());
                }
                if self.0.insert(record.dn.clone(), entry).is_some() {
                    bail!("there is such an entry already");
                }
            }
            Change::Delete => {
                self.0.remove(&record.dn).context("there is no such entry")?;
            }
            Change::Modify(modifications) => {
                let entry = self.0.get_mut(&record.dn).context("there is no such entry")?;
                for Modification { kind, attribute, values } in modifications {
                    let held = entry.entry(attribute.clone()).or_default();
                    match kind {
                        Kind::Add => held.extend(values.iter().cloned()),
                        Kind::Replace => held.clone_from(values),
                        Kind::Delete if values.is_empty() => held.clear(),
                        Kind::Delete => held.retain(|value| !values.contains(value)),
                    }
                }
            }
        }
        Ok(())
    }

    /// How the person with this address stands.
    pub(super) fn standing(&self, email: &str) -> Standing {
        let has = |entry: &Entry, name: &str, value: &str| {
            entry.get(name).is_some_and(|values| values.iter().any(|held| held == value))
        };
        let Some((dn, entry)) = self.0.iter().find(|(_, entry)| has(entry, "mail", email)) else {
            return Standing::new(Access::Gone, []);
        };
        let locked = entry.get(LOCK).is_some_and(|values| !values.is_empty());
        let roles = self.0.iter().filter(|(role, entry)| role.ends_with(ROLES) && has(entry, "member", dn));
        let roles = roles.filter_map(|(_, entry)| entry.get("cn")?.first()).map(String::as_str);
        Standing::new(if locked { Access::Inactive } else { Access::Active }, roles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "version: 1\n\n\
        dn: uid=z@x,ou=people,dc=example,dc=com\nchangetype: add\nmail: z@x\ncn:: Wm/Dqw==\n\n\
        dn: cn=admin,ou=roles,dc=example,dc=com\nchangetype: add\ncn: admin\n\
        member: cn=rolecall-placeholder\n\n\
        dn: cn=admin,ou=roles,dc=example,dc=com\nchangetype: modify\nadd: member\n\
        member: uid=z@x,ou=people,dc=example,dc=com\n-\n\
        delete: member\nmember: cn=rolecall-placeholder\n-\n\n";
    const LEFT: &str = "dn: cn=admin,ou=roles,dc=example,dc=com\ncontrol: 1.2 false\nchangetype: modify\n\
        add: member\nmember: uid=z@x,ou=people,dc=example,dc=com\n-\n\
        delete: member\nmember: uid=z@x,ou=people,dc=example,dc=com\n-\n\n\
        dn: uid=z@x,ou=people,dc=example,dc=com\nchangetype: modify\n\
        replace: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n-\n\n";

    fn standing(text: &str) -> Standing {
        Directory::after(&records(text).unwrap()).unwrap().standing("z@x")
    }

    #[test]
    fn roles_and_the_lock_are_read_off_the_records() {
        assert_eq!(standing("version: 1\n\n"), Standing::new(Access::Gone, []));
        assert_eq!(standing(TEXT), Standing::new(Access::Active, ["admin"]));
        assert_eq!(standing(&format!("{TEXT}{LEFT}")), Standing::new(Access::Inactive, []));
    }

    #[test]
    fn a_record_is_told_on_one_line_without_the_placeholder() {
        let lines: Vec<String> =
            records(&format!("{TEXT}{LEFT}")).unwrap().iter().map(Record::line).collect();
        assert_eq!(
            lines,
            [
                "add uid=z@x",
                "add cn=admin,ou=roles",
                "modify cn=admin,ou=roles: + member uid=z@x",
                "modify cn=admin,ou=roles: - member uid=z@x",
                "modify uid=z@x: = pwdAccountLockedTime 000001010000Z",
            ]
        );
    }

    #[test]
    fn what_a_server_would_refuse_is_an_error() {
        let twice = format!("{TEXT}{}", &TEXT["version: 1\n\n".len()..]);
        let error = Directory::after(&records(&twice).unwrap()).unwrap_err();
        assert!(format!("{error:#}").contains("already"), "{error:#}");
        assert!(records("dn: x\nchangetype: dance\n\n").is_err());
    }
}
