//! The application's users and groups.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// Users and groups, by the application's own ids.
#[derive(Default)]
pub(super) struct Resources {
    users: Collection,
    groups: Collection,
}

#[derive(Default)]
struct Collection {
    made: u64,
    held: BTreeMap<String, Value>,
    /// The ids of those with an `external_id`: with thousands of them, looking through all takes minutes.
    by_external_id: BTreeMap<String, BTreeSet<String>>,
}

/// What the application says to a request.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Value>,
}

impl Answer {
    fn new(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Some(body) }
    }

    pub(super) fn error(status: u16, error: &str) -> Self {
        Self::new(status, json!({ "error": error }))
    }
}

impl Resources {
    pub(super) fn users(&self) -> &BTreeMap<String, Value> {
        &self.users.held
    }

    pub(super) fn groups(&self) -> &BTreeMap<String, Value> {
        &self.groups.held
    }

    /// Does what a request asks. `body` is none when there was none, or no JSON.
    pub(super) fn handle(&mut self, method: &str, path_and_query: &str, body: Option<&Value>) -> Answer {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let mut segments = path.trim_start_matches('/').split('/');
        let (name, collection) = match segments.next() {
            Some("users") => ("user", &mut self.users),
            Some("groups") => ("group", &mut self.groups),
            _ => return Answer::error(404, "no such path"),
        };
        let id = segments.next();
        if segments.next().is_some() {
            return Answer::error(404, "no such path");
        }
        let body = body.and_then(Value::as_object);
        match (method, id, body) {
            ("GET", None, _) => collection.list(query),
            ("POST", None, Some(body)) => collection.create(name, body),
            ("GET", Some(id), _) => {
                collection.held.get(id).map_or_else(not_found, |it| Answer::new(200, it.clone()))
            }
            ("PUT", Some(id), Some(body)) => collection.change(id, |it| *it = body.clone()),
            ("PATCH", Some(id), Some(body)) => collection.change(id, |it| merge(it, body)),
            ("DELETE", Some(id), _) => match collection.remove(id) {
                Some(_) => Answer { status: 204, headers: Vec::new(), body: None },
                None => not_found(),
            },
            ("POST", None, None) | ("PUT" | "PATCH", Some(_), None) => {
                Answer::error(400, "the body must be a JSON object")
            }
            _ => Answer::error(405, "no such method here"),
        }
    }
}

impl Collection {
    fn list(&self, query: &str) -> Answer {
        let wanted: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        let fits = |it: &&Value| wanted.iter().all(|(key, value)| it[key.as_ref()] == value.as_ref());
        let found = match wanted.iter().find(|(key, _)| key == "external_id") {
            Some((_, id)) => self.with_external_id(id).filter(fits).cloned().collect(),
            None => self.held.values().filter(fits).cloned().collect(),
        };
        Answer::new(200, found)
    }

    fn with_external_id(&self, id: &str) -> impl Iterator<Item = &Value> {
        self.by_external_id.get(id).into_iter().flatten().filter_map(|id| self.held.get(id))
    }

    fn create(&mut self, name: &str, body: &Map<String, Value>) -> Answer {
        let external = body.get("external_id").and_then(Value::as_str);
        if let Some(there) = external.and_then(|id| self.with_external_id(id).next()) {
            return Answer::new(409, there.clone());
        }
        self.made += 1;
        let id = format!("{name}-{}", self.made);
        let mut made = body.clone();
        made.insert("id".to_owned(), json!(id));
        let made = Value::Object(made);
        self.put(&id, made.clone());
        let headers = vec![("Location".to_owned(), format!("/{name}s/{id}"))];
        Answer { status: 201, headers, body: Some(made) }
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Map<String, Value>)) -> Answer {
        let Some(Value::Object(mut it)) = self.held.get(id).cloned() else { return not_found() };
        change(&mut it);
        it.insert("id".to_owned(), json!(id));
        let it = Value::Object(it);
        self.put(id, it.clone());
        Answer::new(200, it)
    }

    fn put(&mut self, id: &str, value: Value) {
        self.remove(id);
        if let Some(external) = value["external_id"].as_str() {
            self.by_external_id.entry(external.to_owned()).or_default().insert(id.to_owned());
        }
        self.held.insert(id.to_owned(), value);
    }

    fn remove(&mut self, id: &str) -> Option<Value> {
        let gone = self.held.remove(id)?;
        if let Some(external) = gone["external_id"].as_str()
            && let Some(ids) = self.by_external_id.get_mut(external)
        {
            ids.remove(id);
        }
        Some(gone)
    }
}

fn not_found() -> Answer {
    Answer::error(404, "there is none with this id")
}

/// JSON Merge Patch (RFC 7396): null takes a key away, an object goes into an object, all else replaces.
fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match value {
            Value::Null => {
                target.remove(key);
            }
            Value::Object(inner) => {
                let held = target.entry(key.clone()).or_insert_with(|| json!({}));
                if !held.is_object() {
                    *held = json!({});
                }
                merge(held.as_object_mut().expect("it is an object now"), inner);
            }
            _ => {
                target.insert(key.clone(), value.clone());
            }
        }
    }
}
