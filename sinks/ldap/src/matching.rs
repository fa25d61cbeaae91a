//! Which entry that somebody else made is a user's: found by a filter, never by chance.

use rolecall_sink_api::ConfigError;
use rolecall_sink_api::template::{Escape, Template, Variables};
use serde::Serialize;

use crate::config::OnExisting;
use crate::dn::Dn;
use crate::entry::{AttributeName, Entry};
use crate::mark::Owner;
use crate::outcome::Failure;
use crate::work::Work;

const PATH: &str = "people.match";
/// What no entry fits. RFC 4526 has a shorter form, which not every server knows.
const FALSE: &str = "!(objectClass=*)";

/// The filter template `people.match`.
#[derive(Debug)]
pub(crate) struct Matching(Template);

/// Whom the filter found.
#[derive(Clone, Debug)]
pub(crate) enum Matched {
    /// Nobody: the user gets a new entry.
    Nobody,
    /// An entry to be made the sink's own.
    Adopted(Box<Entry>),
    /// An entry that is none of the sink's business, and so is the user.
    Ignored,
}

impl Matching {
    /// Compiles the template, and sees whether it is a filter.
    pub(crate) fn compile(template: &str, variables: &Variables) -> Result<Self, ConfigError> {
        let refused = |what: String| ConfigError::new(PATH, what);
        let template =
            Template::parse(template, Escape::With(escape), variables).map_err(|e| refused(e.to_string()))?;
        if let Ok(filter) = template.render(serde_json::json!({})) {
            let filter = without_empty_parts(&filter).0;
            if !filter.starts_with('(') || ldap3::parse_filter(&filter).is_err() {
                return Err(refused(format!("{:?} is no filter (RFC 4515)", template.source())));
            }
        }
        Ok(Self(template))
    }

    /// The filter for one user; `None` when nothing that it asks for is set.
    fn filter(&self, variables: impl Serialize) -> Result<Option<String>, String> {
        let filter = self.0.render(variables).map_err(|e| format!("{PATH}: {e}"))?;
        let (filter, asks) = without_empty_parts(&filter);
        Ok(asks.then_some(filter))
    }

    /// Looks for the user's entry among those that the sink did not make.
    ///
    /// # Errors
    /// When several fit, when the one that fits is another user's, and when it is to be refused.
    pub(crate) async fn find(
        &self,
        work: &Work<'_>,
        variables: impl Serialize,
        mark: &str,
        fetch: &[AttributeName],
    ) -> Result<Matched, Failure> {
        let people = &work.mapping.people;
        let Some(filter) = self.filter(variables).map_err(Failure::Reject)? else {
            return Ok(Matched::Nobody);
        };
        let mut found = work.directory.find(&people.base, &filter, fetch).await?;
        let first = found.pop();
        match (first, people.on_existing) {
            (None, _) => Ok(Matched::Nobody),
            (Some(_), OnExisting::Ignore) => Ok(Matched::Ignored),
            (Some(entry), _) if !found.is_empty() => {
                let mut names: Vec<&str> = found.iter().chain([&entry]).map(|e| e.dn.as_str()).collect();
                names.sort_unstable();
                Err(Failure::Reject(format!(
                    "several entries fit {PATH}: {}; give the right one the value {mark} in {}, or make the filter \
                     tell them apart",
                    names.join("; "),
                    work.mapping.marks.attribute
                )))
            }
            (Some(entry), on_existing) => match work.mapping.marks.owner(&entry, mark) {
                Owner::Other(other) => Err(Failure::Doubt(format!(
                    "{} fits {PATH} and belongs to {other}; if both are to have an entry, make the filter tell them \
                     apart",
                    entry.dn
                ))),
                Owner::Nobody if on_existing == OnExisting::Refuse => {
                    Err(Failure::Reject(refusal(&entry.dn, mark, &work.mapping.marks.attribute)))
                }
                Owner::This | Owner::Nobody => Ok(Matched::Adopted(Box::new(entry))),
            },
        }
    }
}

fn refusal(dn: &Dn, mark: &str, marker: &AttributeName) -> String {
    format!(
        "{dn} fits {PATH}, rolecall did not make it, and it is left alone; remove it, give it the value {mark} in \
         {marker}, or set on_existing: adopt"
    )
}

/// Escapes one value for a filter (RFC 4515 §3).
fn escape(value: &str) -> String {
    ldap3::ldap_escape(value).into_owned()
}

/// Has every part whose value came out empty find nobody: what is not set is no reason to take over an entry. Also
/// tells whether any other part is left. Values hold no parentheses of their own, because those are escaped.
fn without_empty_parts(filter: &str) -> (String, bool) {
    let (mut out, mut rest, mut asks) = (String::with_capacity(filter.len()), filter, false);
    while let Some((before, after)) = rest.split_once('(') {
        out.push_str(before);
        out.push('(');
        let end = after.find(['(', ')']).unwrap_or(after.len());
        let (part, further) = after.split_at(end);
        match part.split_once('=') {
            Some((name, value)) if !name.trim().eq_ignore_ascii_case("objectClass") => {
                let is_empty = value.trim_matches(['*', ' ']).is_empty();
                asks |= !is_empty;
                out.push_str(if is_empty { FALSE } else { part });
            }
            _ => out.push_str(part),
        }
        rest = further;
    }
    out.push_str(rest);
    (out, asks)
}

#[cfg(test)]
mod tests {
    use rolecall_sink_api::template::Variables;
    use serde_json::json;

    use super::*;

    fn filter(template: &str, user: serde_json::Value) -> Option<String> {
        let matching = Matching::compile(template, &Variables::user()).unwrap();
        matching.filter(json!({ "user": user })).unwrap()
    }

    #[test]
    fn what_is_not_set_finds_nobody() {
        let template =
            "(&(objectClass=person)(|(mail={{ user.email }})(employeeNumber={{ user.employee_number }})))";
        assert_eq!(
            filter(template, json!({ "email": "a=b@x" })).unwrap(),
            "(&(objectClass=person)(|(mail=a=b@x)(!(objectClass=*))))"
        );
        assert_eq!(filter(template, json!({})), None);
        assert_eq!(filter("(mail={{ user.email }}*)", json!({})), None);
        assert_eq!(filter("(mail={{ user.email }}*)", json!({ "email": "a" })).unwrap(), "(mail=a*)");
    }

    #[test]
    fn a_value_cannot_change_what_is_asked() {
        let found = filter("(mail={{ user.email }})", json!({ "email": "*)(uid=*\\" })).unwrap();
        assert_eq!(found, r"(mail=\2a\29\28uid=\2a\5c)");
        assert!(filter("(mail={{ user.email }})", json!({ "email": "*" })).unwrap().contains(r"\2a"));
    }

    #[test]
    fn what_is_no_filter_is_refused_at_the_start() {
        for template in ["mail={{ user.email }}", "(mail={{ user.email }}", "(&(mail={{ user.email }})"] {
            let error = Matching::compile(template, &Variables::user()).unwrap_err().to_string();
            assert!(error.starts_with("people.match: ") && error.contains("is no filter"), "{error}");
        }
    }
}
