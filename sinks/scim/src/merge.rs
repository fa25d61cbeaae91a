//! Who comes into a group and who leaves it, of many users in one request. Pure.

use http::Method;
use serde_json::{Value, json};

use crate::request::Write;
use crate::urn::PATCH;

/// The most writes that become one: some applications take no more than a hundred members at once.
const MOST: usize = 100;

/// Whether `one` may become one request with others like it: it says what is to be done about one item, and nothing
/// of the rest of the resource.
pub(crate) fn is_mergeable(one: &Write) -> bool {
    one.shared && one.method == Method::PATCH && one.version.is_none()
}

/// Which of `writes` become one, in the order of the first of each; those that stay alone are there alone.
pub(crate) fn together<'a>(writes: impl Iterator<Item = &'a Write>) -> Vec<Vec<usize>> {
    let mut all: Vec<(Option<&str>, Vec<usize>)> = Vec::new();
    for (n, write) in writes.enumerate() {
        let path = is_mergeable(write).then_some(write.path.as_str());
        let with = path.and_then(|path| {
            all.iter_mut().find(|(other, writes)| *other == Some(path) && writes.len() < MOST)
        });
        match with {
            Some((_, writes)) => writes.push(n),
            None => all.push((path, vec![n])),
        }
    }
    all.into_iter().map(|(_, writes)| writes).collect()
}

/// The one request for `writes`, which belong [`together`]; as it is when it is one.
pub(crate) fn merged(writes: &[&Write]) -> Option<Write> {
    let (first, others) = writes.split_first()?;
    if others.is_empty() {
        return Some((*first).clone());
    }
    let mut operations: Vec<Value> = Vec::new();
    for operation in
        writes.iter().filter_map(|write| write.body.as_ref()?.get("Operations")?.as_array()).flatten()
    {
        // Applications that heed the first operation alone are not unheard of, so those who come are one operation.
        let before = operations
            .iter_mut()
            .find(|before| adds(before) && adds(operation) && before["path"] == operation["path"]);
        match before.map(|before| &mut before["value"]) {
            Some(Value::Array(items)) => {
                items.extend(operation["value"].as_array().into_iter().flatten().cloned())
            }
            _ => operations.push(operation.clone()),
        }
    }
    let body = json!({ "schemas": [PATCH], "Operations": operations });
    Some(Write { body: Some(body), ..(*first).clone() })
}

fn adds(operation: &Value) -> bool {
    operation["op"] == "add" && operation["value"].is_array()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(group: &str, operation: Value) -> Write {
        let body = json!({ "schemas": [PATCH], "Operations": [operation] });
        Write { shared: true, ..Write::new(Method::PATCH, format!("/Groups/{group}"), Some(body)) }
    }

    fn joins(group: &str, user: &str) -> Write {
        member(group, json!({ "op": "add", "path": "members", "value": [{ "value": user }] }))
    }

    fn leaves(group: &str, user: &str) -> Write {
        member(group, json!({ "op": "remove", "path": format!("members[value eq \"{user}\"]") }))
    }

    #[test]
    fn those_of_one_group_go_together_and_all_others_by_themselves() {
        let user = Write::new(Method::PATCH, "/Users/1", Some(json!({})));
        let versioned = Write { version: Some("W/\"1\"".into()), ..joins("a", "5") };
        let writes = [joins("a", "1"), user.clone(), joins("b", "2"), user, leaves("a", "3"), versioned];
        assert_eq!(together(writes.iter()), [vec![0, 4], vec![1], vec![2], vec![3], vec![5]]);
    }

    #[test]
    fn who_comes_is_one_operation_and_who_leaves_is_one_each() {
        let writes = [joins("a", "1"), leaves("a", "2"), joins("a", "3"), leaves("a", "4")];
        let one = merged(&writes.iter().collect::<Vec<_>>()).unwrap();
        let operations = json!([
            { "op": "add", "path": "members", "value": [{ "value": "1" }, { "value": "3" }] },
            { "op": "remove", "path": "members[value eq \"2\"]" },
            { "op": "remove", "path": "members[value eq \"4\"]" },
        ]);
        assert_eq!((one.path.as_str(), &one.body.unwrap()["Operations"]), ("/Groups/a", &operations));
    }

    #[test]
    fn no_request_has_more_members_than_applications_take() {
        let writes: Vec<Write> = (0..250).map(|n| joins("a", &n.to_string())).collect();
        let sizes: Vec<usize> = together(writes.iter()).iter().map(Vec::len).collect();
        assert_eq!(sizes, [100, 100, 50]);
    }
}
