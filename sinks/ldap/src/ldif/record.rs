//! One request as an LDIF change record.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::connection::PERMISSIVE_MODIFY;
use crate::dn::Dn;
use crate::request::{ModificationKind, Request, Tolerance};

/// How a file begins (RFC 2849: version-spec).
pub(super) const VERSION: &str = "version: 1\n\n";

/// Appends the record for `request`. The empty line at its end shows that it is whole.
pub(super) fn write(out: &mut String, request: &Request) {
    line(out, "dn", request.dn().as_str().as_bytes());
    match request {
        Request::Add { attributes, .. } => {
            out.push_str("changetype: add\n");
            for (name, values) in attributes.iter() {
                values.iter().for_each(|value| line(out, name.as_str(), value.as_bytes()));
            }
        }
        Request::Modify { modifications, tolerance, .. } => {
            // A server that moves members by itself when a person is renamed has done so when it gets here.
            if *tolerance == Tolerance::Permissive {
                // Writing to a String cannot fail.
                let _ = writeln!(out, "control: {PERMISSIVE_MODIFY} false");
            }
            out.push_str("changetype: modify\n");
            for modification in modifications {
                let kind = match modification.kind {
                    ModificationKind::Add => "add",
                    ModificationKind::Delete => "delete",
                    ModificationKind::Replace => "replace",
                };
                let name = modification.attribute.as_str();
                // OpenLDAP tolerates that a value is there already, but not that the one value to delete is gone.
                if modification.kind == ModificationKind::Delete && *tolerance == Tolerance::Permissive {
                    let _ = writeln!(out, "add: {name}");
                    modification.values.iter().for_each(|value| line(out, name, value.as_bytes()));
                    out.push_str("-\n");
                }
                let _ = writeln!(out, "{kind}: {name}");
                modification.values.iter().for_each(|value| line(out, name, value.as_bytes()));
                out.push_str("-\n");
            }
        }
        Request::Rename { dn, to, keep_old } => {
            out.push_str("changetype: modrdn\n");
            line(out, "newrdn", to.rdn().as_bytes());
            let _ = writeln!(out, "deleteoldrdn: {}", u8::from(!keep_old));
            let (old, new) = (dn.parent(), to.parent());
            if let Some(new) = new.as_ref().filter(|_| old != new) {
                line(out, "newsuperior", Dn::as_str(new).as_bytes());
            }
        }
        Request::Delete { .. } => out.push_str("changetype: delete\n"),
    }
    out.push('\n');
}

/// `name: value`, or `name:: base64` for what RFC 2849 does not call a SAFE-STRING. Lines are not folded: they
/// need not be, and unfolded ones can be searched.
fn line(out: &mut String, name: &str, value: &[u8]) {
    match std::str::from_utf8(value).ok().filter(|text| is_safe(text)) {
        Some(text) => _ = writeln!(out, "{name}: {text}"),
        None => _ = writeln!(out, "{name}:: {}", STANDARD.encode(value)),
    }
}

/// SAFE-STRING, and no space at the end, which RFC 2849 advises to encode too.
fn is_safe(text: &str) -> bool {
    !text.starts_with([' ', ':', '<'])
        && !text.ends_with(' ')
        && text.bytes().all(|byte| byte.is_ascii() && !matches!(byte, 0 | b'\n' | b'\r'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Attributes;
    use crate::request::Modification;

    fn record(request: &Request) -> String {
        let mut out = String::new();
        write(&mut out, request);
        out
    }

    #[test]
    fn each_request_is_a_record() {
        let dn = Dn::parse("uid=ann,ou=people,dc=x").unwrap();
        let mut attributes = Attributes::default();
        attributes.push("cn".into(), "Zoë".into());
        attributes.push("sn".into(), "Ann".into());
        assert_eq!(
            record(&Request::Add { dn: dn.clone(), attributes }),
            "dn: uid=ann,ou=people,dc=x\nchangetype: add\ncn:: Wm/Dqw==\nsn: Ann\n\n"
        );
        let modifications = vec![
            Modification::replace(&"mail".into(), vec!["a@x".into()]),
            Modification::delete(&"title".into(), Vec::new()),
        ];
        assert_eq!(
            record(&Request::Modify { dn: dn.clone(), modifications, tolerance: Tolerance::Strict }),
            "dn: uid=ann,ou=people,dc=x\nchangetype: modify\nreplace: mail\nmail: a@x\n-\ndelete: title\n-\n\n"
        );
        let modifications = vec![Modification::delete(&"member".into(), vec!["cn=b".into()])];
        assert_eq!(
            record(&Request::Modify { dn: dn.clone(), modifications, tolerance: Tolerance::Permissive }),
            "dn: uid=ann,ou=people,dc=x\ncontrol: 1.2.840.113556.1.4.1413 false\nchangetype: modify\nadd: member\n\
             member: cn=b\n-\ndelete: member\nmember: cn=b\n-\n\n"
        );
        let to = Dn::parse("uid=ann2,ou=staff,dc=x").unwrap();
        assert_eq!(
            record(&Request::Rename { dn: dn.clone(), to, keep_old: false }),
            "dn: uid=ann,ou=people,dc=x\nchangetype: modrdn\nnewrdn: uid=ann2\ndeleteoldrdn: 1\n\
             newsuperior: ou=staff,dc=x\n\n"
        );
        assert_eq!(record(&Request::Delete { dn }), "dn: uid=ann,ou=people,dc=x\nchangetype: delete\n\n");
    }

    #[test]
    fn what_a_line_could_misread_is_encoded() {
        for (value, safe) in [
            ("plain: text", true),
            ("", true),
            (" space", false),
            ("space ", false),
            (":colon", false),
            ("<file", false),
            ("line\nbreak", false),
            ("nul\u{0}", false),
            ("ü", false),
        ] {
            assert_eq!(is_safe(value), safe, "{value:?}");
        }
    }
}
