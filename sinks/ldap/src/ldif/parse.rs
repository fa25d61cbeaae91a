//! Reads back what [`record`](super::record) wrote. It is not a parser for LDIF by others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::dn::Dn;
use crate::entry::{AttributeName, Attributes, Value};
use crate::request::{Modification, ModificationKind, Request, Tolerance};

/// One line: its name and value.
type Line<'a> = (&'a str, Value);

/// The request of one record, the lines between two empty ones.
///
/// # Errors
/// What cannot be read.
pub(super) fn record(text: &str) -> Result<Request, String> {
    let mut lines = text.lines().peekable();
    let (name, dn) = line(lines.next().unwrap_or_default())?;
    if name != "dn" {
        return Err(format!("a record begins with {name:?} and not with dn"));
    }
    let dn = name_of(&dn)?;
    let tolerance = match lines.next_if(|line| line.starts_with("control: ")) {
        Some(_) => Tolerance::Permissive,
        None => Tolerance::Strict,
    };
    let change = lines.next().unwrap_or_default();
    match change {
        "changetype: add" => {
            let mut attributes = Attributes::default();
            for text in lines {
                let (name, value) = line(text)?;
                attributes.push(name.into(), value);
            }
            Ok(Request::Add { dn, attributes })
        }
        "changetype: delete" => Ok(Request::Delete { dn }),
        "changetype: modify" => {
            let modifications = modifications(&lines.collect::<Vec<_>>())?;
            Ok(Request::Modify { dn, modifications, tolerance })
        }
        "changetype: modrdn" => {
            let lines = lines.map(line).collect::<Result<Vec<_>, _>>()?;
            let to = new_name(&dn, &lines)?;
            let keep_old = lines.contains(&("deleteoldrdn", "0".into()));
            Ok(Request::Rename { dn, to, keep_old })
        }
        other => Err(format!("{other:?} is not what rolecall writes after dn")),
    }
}

fn modifications(lines: &[&str]) -> Result<Vec<Modification>, String> {
    let mut modifications = Vec::new();
    for part in lines.split(|line| *line == "-") {
        let Some((first, values)) = part.split_first() else { continue };
        let (kind, attribute) =
            first.split_once(": ").ok_or_else(|| format!("{first:?}: no modification"))?;
        let kind = match kind {
            "add" => ModificationKind::Add,
            "delete" => ModificationKind::Delete,
            "replace" => ModificationKind::Replace,
            other => return Err(format!("{other:?} is no modification")),
        };
        let values = values.iter().map(|text| Ok(line(text)?.1)).collect::<Result<_, String>>()?;
        modifications.push(Modification { kind, attribute: AttributeName::new(attribute), values });
    }
    Ok(modifications)
}

fn new_name(dn: &Dn, lines: &[Line<'_>]) -> Result<Dn, String> {
    let find = |wanted: &str| lines.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value);
    let rdn = find("newrdn").and_then(Value::as_text).ok_or("a modrdn without newrdn")?;
    let superior = match find("newsuperior") {
        Some(superior) => name_of(superior)?,
        None => dn.parent().ok_or("a modrdn of the root")?,
    };
    Dn::parse(&format!("{rdn},{superior}")).map_err(|e| e.to_string())
}

fn name_of(value: &Value) -> Result<Dn, String> {
    Dn::parse(value.as_text().ok_or("a name that is not UTF-8")?).map_err(|e| e.to_string())
}

fn line(text: &str) -> Result<Line<'_>, String> {
    let (name, rest) = text.split_once(':').ok_or_else(|| format!("{text:?} is no line of LDIF"))?;
    match rest.strip_prefix(": ") {
        Some(encoded) => match STANDARD.decode(encoded) {
            Ok(octets) => Ok((name, Value::from(octets))),
            Err(e) => Err(format!("{name}: {e}")),
        },
        None => Ok((name, rest.strip_prefix(' ').unwrap_or(rest).into())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::write;
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let dn = Dn::parse("cn=Doe\\2C Jörg,ou=people,dc=x").unwrap();
        let mut attributes = Attributes::default();
        for value in ["", " x", "a: b", "line\nbreak\r", "<", "::", "Zoë"] {
            attributes.push("description".into(), value.into());
        }
        attributes.push("jpegPhoto".into(), vec![0xff, 0xd8, 0].into());
        let requests = [
            Request::Add { dn: dn.clone(), attributes },
            Request::Modify {
                dn: dn.clone(),
                modifications: vec![
                    Modification::add(&"member".into(), vec!["cn=ä".into(), "cn=b".into()]),
                    Modification::replace(&"title".into(), vec![]),
                ],
                tolerance: Tolerance::Permissive,
            },
            Request::Modify {
                dn: dn.clone(),
                modifications: vec![Modification::delete(&"x".into(), vec!["-".into()])],
                tolerance: Tolerance::Strict,
            },
            Request::Rename {
                dn: dn.clone(),
                to: Dn::parse("cn=a\\+b,ou=people,dc=x").unwrap(),
                keep_old: true,
            },
            Request::Rename { dn: dn.clone(), to: Dn::parse("cn=ö,ou=ü,dc=x").unwrap(), keep_old: false },
            Request::Delete { dn },
        ];
        for request in requests {
            let mut text = String::new();
            write(&mut text, &request);
            assert_eq!(record(text.trim_end_matches('\n')), Ok(request), "{text}");
        }
    }
}
