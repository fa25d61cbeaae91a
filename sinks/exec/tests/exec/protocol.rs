//! The protocol's document says what the types say.

use std::collections::BTreeSet;

use rolecall_sink_exec::protocol::{Answer, Request, answer_schema, request_schema};
use serde_json::Value;

const DOCUMENT: &str = include_str!("../../PROTOCOL.md");

/// The lines of the blocks that are fenced as `json` of this kind.
fn examples(kind: &str) -> Vec<Value> {
    let fence = format!("```json {kind}\n");
    let blocks = DOCUMENT.split(&fence).skip(1).filter_map(|rest| rest.split("\n```").next());
    blocks.flat_map(str::lines).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every constant that a schema has under this property: the words that tell its variants apart.
fn words(schema: &Value, property: &str, into: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            let word = schema.pointer(&format!("/properties/{property}/const")).and_then(Value::as_str);
            into.extend(word.map(str::to_owned));
            members.values().for_each(|value| words(value, property, into));
        }
        Value::Array(items) => items.iter().for_each(|value| words(value, property, into)),
        _ => {}
    }
}

/// Every member that an object of the schema may have.
fn members(schema: &Value, into: &mut BTreeSet<String>) {
    match schema {
        Value::Object(object) => {
            if let Some(properties) = object.get("properties").and_then(Value::as_object) {
                into.extend(properties.keys().cloned());
            }
            object.values().for_each(|value| members(value, into));
        }
        Value::Array(items) => items.iter().for_each(|value| members(value, into)),
        _ => {}
    }
}

#[test]
fn every_example_is_a_message_as_the_types_write_it() {
    for example in examples("request") {
        let request: Request<'_> = serde_json::from_value(example.clone()).unwrap();
        assert_eq!(serde_json::to_value(request).unwrap(), example);
    }
    for example in examples("answer") {
        let answer: Answer = serde_json::from_value(example.clone()).unwrap();
        assert_eq!(serde_json::to_value(answer).unwrap(), example);
    }
}

#[test]
fn every_message_has_an_example() {
    for (kind, schema) in [("request", request_schema()), ("answer", answer_schema())] {
        let mut wanted = BTreeSet::new();
        words(schema.as_value(), kind, &mut wanted);
        assert!(wanted.len() > 3, "{wanted:?}");
        let shown = examples(kind).into_iter().filter_map(|example| Some(example[kind].as_str()?.to_owned()));
        assert_eq!(shown.collect::<BTreeSet<String>>(), wanted);
    }
}

#[test]
fn every_member_of_every_message_is_in_the_document() {
    for schema in [request_schema(), answer_schema()] {
        let mut all = BTreeSet::new();
        members(schema.as_value(), &mut all);
        for member in all {
            let named =
                DOCUMENT.contains(&format!("`{member}`")) || DOCUMENT.contains(&format!("\"{member}\":"));
            assert!(named, "PROTOCOL.md does not say what {member} is");
        }
    }
}
