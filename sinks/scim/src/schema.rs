//! What the application's schemas have (RFC 7643 §7), so that it is sent nothing that it does not know.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::attribute::{Attributes, get, text};
use crate::urn::is_extension;

/// The schemas of one type of resource: the core schema and its extensions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schemas {
    /// `None` when the application does not tell: then it is sent everything.
    core: Option<Known>,
    /// By URN in lower case.
    extensions: BTreeMap<String, Known>,
}

/// The names of the attributes that may be written, in lower case, each with its sub-attributes.
type Known = BTreeMap<String, BTreeSet<String>>;

impl Schemas {
    /// Of `all` schemas that the application has, the core schema `core` and those extensions that it says this
    /// type of resource has; `None` stands for all.
    pub(crate) fn of(all: &[Attributes], core: &str, extensions: Option<&[String]>) -> Self {
        let id = |schema: &Attributes| text(schema, "id").unwrap_or_default().to_ascii_lowercase();
        let of_type = |id: &str| match extensions {
            Some(extensions) => extensions.iter().any(|urn| urn.eq_ignore_ascii_case(id)),
            None => true,
        };
        let core = all.iter().find(|schema| id(schema).eq_ignore_ascii_case(core)).map(known);
        let extensions =
            all.iter().map(|schema| (id(schema), known(schema))).filter(|(id, _)| of_type(id)).collect();
        Self { core, extensions }
    }

    /// Takes out what the schemas do not have, and returns the names of it.
    pub(crate) fn fit(&self, resource: &mut Attributes, always: &[&str]) -> Vec<String> {
        let Some(core) = &self.core else { return Vec::new() };
        let mut left_out = Vec::new();
        let nothing = Known::new();
        resource.retain(|name, value| match value {
            Value::Object(inner) if is_extension(name) => {
                let known = self.extensions.get(&name.to_ascii_lowercase()).unwrap_or(&nothing);
                retain_known(inner, known, &[], &format!("{name}:"), &mut left_out);
                !inner.is_empty()
            }
            _ => true,
        });
        retain_known(resource, core, always, "", &mut left_out);
        left_out
    }
}

fn retain_known(
    attributes: &mut Attributes,
    known: &Known,
    always: &[&str],
    prefix: &str,
    left_out: &mut Vec<String>,
) {
    attributes.retain(|name, value| {
        if always.contains(&name.as_str()) || (prefix.is_empty() && is_extension(name)) {
            return true;
        }
        let Some(subs) = known.get(&name.to_ascii_lowercase()) else {
            left_out.push(format!("{prefix}{name}"));
            return false;
        };
        let has = |sub: &String| subs.is_empty() || subs.contains(&sub.to_ascii_lowercase());
        match value {
            Value::Object(inner) => inner.retain(|sub, _| has(sub)),
            Value::Array(items) => {
                items
                    .iter_mut()
                    .filter_map(Value::as_object_mut)
                    .for_each(|item| item.retain(|sub, _| has(sub)));
            }
            _ => {}
        }
        true
    });
}

fn known(schema: &Attributes) -> Known {
    writable(schema, "attributes").map(|attribute| (name(attribute), subs(attribute))).collect()
}

fn subs(attribute: &Attributes) -> BTreeSet<String> {
    writable(attribute, "subAttributes").map(name).collect()
}

fn name(attribute: &Attributes) -> String {
    text(attribute, "name").unwrap_or_default().to_ascii_lowercase()
}

/// What may be written, of the attributes that stand under `key`.
fn writable<'a>(of: &'a Attributes, key: &str) -> impl Iterator<Item = &'a Attributes> {
    let listed = get(of, key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    listed
        .iter()
        .filter_map(Value::as_object)
        .filter(|attribute| text(attribute, "mutability") != Some("readOnly"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::urn::{ENTERPRISE, USER};

    fn schemas(extensions: Option<&[String]>) -> Schemas {
        let attribute = |name: &str| json!({ "name": name, "mutability": "readWrite" });
        let all = [
            json!({ "id": USER, "attributes": [
                attribute("userName"),
                { "name": "title", "mutability": "readOnly" },
                { "name": "name", "subAttributes": [attribute("givenName")] },
                { "name": "emails", "multiValued": true, "subAttributes": [attribute("value")] },
            ] }),
            json!({ "id": ENTERPRISE, "attributes": [attribute("department")] }),
        ];
        let all: Vec<Attributes> = all.iter().map(|schema| schema.as_object().unwrap().clone()).collect();
        Schemas::of(&all, USER, extensions)
    }

    fn fit(schemas: &Schemas) -> (Value, Vec<String>) {
        let mut user = json!({
            "userName": "a", "active": true, "title": "T", "nickName": "N",
            "name": { "givenName": "A", "familyName": "L" },
            "emails": [{ "value": "a@x", "type": "work" }],
            ENTERPRISE: { "department": "D", "division": "E" },
        });
        let left_out = schemas.fit(user.as_object_mut().unwrap(), &["active"]);
        (user, left_out)
    }

    #[test]
    fn what_the_application_does_not_have_is_left_out_and_told() {
        let (user, left_out) = fit(&schemas(Some(&[ENTERPRISE.to_owned()])));
        let expected = json!({
            "userName": "a", "active": true, "name": { "givenName": "A" }, "emails": [{ "value": "a@x" }],
            ENTERPRISE: { "department": "D" },
        });
        assert_eq!(user, expected);
        assert_eq!(left_out, [&format!("{ENTERPRISE}:division"), "nickName", "title"]);
    }

    #[test]
    fn an_extension_that_the_type_does_not_have_is_left_out() {
        let (user, _) = fit(&schemas(Some(&[])));
        assert_eq!(user.get(ENTERPRISE), None);
    }

    #[test]
    fn an_application_without_schemas_gets_everything() {
        let (user, left_out) = fit(&Schemas::of(&[], USER, None));
        assert_eq!((user["title"].as_str(), left_out), (Some("T"), Vec::new()));
    }
}
