//! Edits as a PATCH (RFC 7644 §3.5.2), and as the whole resource for those who know no PATCH.

use serde_json::{Value, json};

use crate::attribute::{Attributes, Path};
use crate::edit::{Edit, Selector};
use crate::uri;
use crate::urn::PATCH;

/// The body of a PATCH that makes the edits.
pub(crate) fn patch(edits: &[Edit]) -> Value {
    json!({ "schemas": [PATCH], "Operations": edits.iter().map(operation).collect::<Vec<_>>() })
}

fn operation(edit: &Edit) -> Value {
    let selected = |path: &Path, item: &Selector| {
        let terms: Vec<String> =
            item.0.iter().map(|(name, value)| uri::equals(name, value.clone())).collect();
        format!("{path}[{}]", terms.join(" and "))
    };
    match edit {
        Edit::Set { path, value, replaces } => {
            json!({ "op": if *replaces { "replace" } else { "add" }, "path": path.to_string(), "value": value })
        }
        Edit::Remove { path } => json!({ "op": "remove", "path": path.to_string() }),
        Edit::Add { path, items } => json!({ "op": "add", "path": path.to_string(), "value": items }),
        Edit::SetInItem { path, item, sub, value } => {
            json!({ "op": "replace", "path": format!("{}.{sub}", selected(path, item)), "value": value })
        }
        Edit::RemoveItem { path, item } => json!({ "op": "remove", "path": selected(path, item) }),
    }
}

/// The resource as it is, with the edits made: the body of a PUT. What only the application writes is left out.
pub(crate) fn replacement(mut resource: Attributes, edits: &[Edit]) -> Attributes {
    for edit in edits {
        match edit {
            Edit::Set { path, value, .. } => *path.place(&mut resource) = value.clone(),
            Edit::Remove { path } => *path.place(&mut resource) = Value::Null,
            Edit::Add { path, items } => match path.place(&mut resource) {
                Value::Array(there) => there.extend(items.iter().cloned()),
                place => *place = Value::Array(items.clone()),
            },
            Edit::SetInItem { path, item, sub, value } => {
                let items = path.place(&mut resource).as_array_mut();
                for found in items.into_iter().flatten().filter(|found| item.matches(found)) {
                    match found {
                        Value::Object(found) => *Path::new(None, sub).place(found) = value.clone(),
                        found => *found = value.clone(),
                    }
                }
            }
            Edit::RemoveItem { path, item } => {
                if let Value::Array(items) = path.place(&mut resource) {
                    items.retain(|found| !item.matches(found));
                }
            }
        }
    }
    resource.retain(|name, value| {
        !value.is_null() && !["meta", "groups"].iter().any(|read_only| name.eq_ignore_ascii_case(read_only))
    });
    resource
}
