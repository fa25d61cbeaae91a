//! What the API says of itself, in OpenAPI 3.1: made of the routes and of the types that they take and answer.

use http::StatusCode;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::api::Problem;
use super::refusal::PROBLEM;
use super::route::Route;
use crate::config::Access;

/// The schemas of what is asked and of what is answered: in an answer, a field that has a default is there all the same.
pub(super) struct Shapes {
    asked: SchemaGenerator,
    answered: SchemaGenerator,
}

/// What a route takes and answers.
pub(super) struct Said {
    /// An object whose properties are the parameters of path and query.
    params: Value,
    body: Option<Value>,
    /// The answer's media type.
    content_type: &'static str,
    answer: Value,
}

impl Said {
    pub(super) fn json<P: JsonSchema, A: JsonSchema>(shapes: &mut Shapes, body: Option<Value>) -> Self {
        let params = P::json_schema(&mut shapes.asked).to_value();
        let answer = shapes.answered.subschema_for::<A>().to_value();
        Self { params, body, content_type: "application/json", answer }
    }

    pub(super) fn text(content_type: &'static str) -> Self {
        let answer = match content_type {
            "application/json" => json!({"type": "object"}),
            _ => json!({"type": "string"}),
        };
        Self { params: Value::Null, body: None, content_type, answer }
    }
}

impl Shapes {
    fn new() -> Self {
        let settings = SchemaSettings::draft2020_12()
            .with(|settings| settings.definitions_path = "/components/schemas".into());
        Self {
            asked: settings.clone().for_deserialize().into_generator(),
            answered: settings.for_serialize().into_generator(),
        }
    }

    /// The schema of a body.
    pub(super) fn asked<T: JsonSchema>(&mut self) -> Value {
        self.asked.subschema_for::<T>().to_value()
    }

    /// What the schemas refer to, by name. What is both asked and answered is described as it is answered.
    fn definitions(mut self) -> Map<String, Value> {
        let mut definitions = self.asked.take_definitions(true);
        definitions.extend(self.answered.take_definitions(true));
        definitions
    }
}

/// The document of these routes.
pub(super) fn document(routes: &[Route]) -> Value {
    let mut shapes = Shapes::new();
    let problem = shapes.answered.subschema_for::<Problem>();
    let mut paths = Map::new();
    for route in routes {
        let operation = operation(route, &mut shapes, &problem);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Value::Object(methods) = path {
            methods.insert(route.method.as_str().to_ascii_lowercase(), operation);
        }
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "rolecall admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What the daemon tells the administrator, and what it does for them. Fields may be added to \
                answers; within /v1 none is renamed or taken away. On the Unix socket nothing has to be presented.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": shapes.definitions(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "One of admin.listen.tokens. A certificate of one of admin.listen.clients needs none.",
                },
            },
        },
    });
    with_limits(&mut document);
    document
}

/// Says of every whole number how small and how large it may be: for wide types schemars gives their name alone.
fn with_limits(schema: &mut Value) {
    let limits = match schema.get("format").and_then(Value::as_str) {
        Some("uint64") => Some((json!(0), json!(u64::MAX))),
        Some("int64") => Some((json!(i64::MIN), json!(i64::MAX))),
        Some("uint32") => Some((json!(0), json!(u32::MAX))),
        _ => None,
    };
    match schema {
        Value::Object(fields) => {
            if let Some((least, most)) = limits {
                fields.entry("minimum").or_insert(least);
                fields.entry("maximum").or_insert(most);
            }
            fields.values_mut().for_each(with_limits);
        }
        Value::Array(items) => items.iter_mut().for_each(with_limits),
        _ => {}
    }
}

fn operation(route: &Route, shapes: &mut Shapes, problem: &Schema) -> Value {
    let said = route.said(shapes);
    let parameters = parameters(route, &said.params);
    let mut responses = Map::new();
    let content = json!({said.content_type: {"schema": said.answer}});
    responses.insert("200".into(), json!({"description": "It is done.", "content": content}));
    for status in refusals(route, !parameters.is_empty()) {
        let said = status.canonical_reason().unwrap_or("Refused");
        let answer = json!({"description": said, "content": {PROBLEM: {"schema": problem}}});
        responses.insert(status.as_u16().to_string(), answer);
    }
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "responses": responses,
        "security": if route.needs.is_some() { json!([{"token": []}]) } else { json!([]) },
    });
    if let Value::Object(operation) = &mut operation {
        if route.needs == Some(Access::Full) {
            operation.insert("description".into(), "Needs full access.".into());
        }
        if !parameters.is_empty() {
            operation.insert("parameters".into(), parameters.into());
        }
        if let Some(body) = said.body {
            let body = json!({"required": true, "content": {"application/json": {"schema": body}}});
            operation.insert("requestBody".into(), body);
        }
    }
    operation
}

/// `get_v1_queue`: path and method make it unique.
fn operation_id(route: &Route) -> String {
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let method = route.method.as_str().to_ascii_lowercase();
    std::iter::once(method.as_str()).chain(words).collect::<Vec<_>>().join("_")
}

/// Every status that is not 200: those of all routes of this kind, and the route's own.
fn refusals(route: &Route, has_params: bool) -> Vec<StatusCode> {
    let mut statuses = route.refusals.clone();
    statuses.push(StatusCode::SERVICE_UNAVAILABLE);
    statuses.extend(
        has_params.then_some([StatusCode::BAD_REQUEST, StatusCode::URI_TOO_LONG]).into_iter().flatten(),
    );
    if route.needs.is_some() {
        statuses.extend([StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN]);
    }
    if route.most_body > 0 {
        statuses.extend([
            StatusCode::BAD_REQUEST,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ]);
    }
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

fn parameters(route: &Route, params: &Value) -> Vec<Value> {
    let required: Vec<&str> =
        params["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let in_path: Vec<&str> = route.path_params().collect();
    let properties = params["properties"].as_object().into_iter().flatten();
    let parameter = |(name, schema): (&String, &Value)| {
        let is_in_path = in_path.contains(&name.as_str());
        let mut schema = schema.clone();
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        without_null(&mut schema);
        if is_in_path && let Some(schema) = schema.as_object_mut() {
            schema.insert("minLength".into(), 1.into());
        }
        json!({
            "name": name,
            "in": if is_in_path { "path" } else { "query" },
            "required": is_in_path || required.contains(&name.as_str()),
            "description": description,
            "schema": schema,
        })
    };
    properties.map(parameter).collect()
}

/// A parameter that is not given is left out: nothing can be written for it in a query.
fn without_null(schema: &mut Value) {
    if let Some(types) = schema.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            schema["type"] = only.clone();
        }
    }
    if let Some(any) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        any.retain(|option| option["type"] != "null");
        if let [only] = any.as_slice() {
            *schema = only.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::routes;
    use crate::config::published::is_up_to_date;

    #[test]
    fn the_published_document_is_that_of_the_routes() {
        let document = serde_json::to_string_pretty(&document(&routes::all())).unwrap() + "\n";
        is_up_to_date("openapi.json", &document);
    }
}
