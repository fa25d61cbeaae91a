//! A request of the OpenTelemetry protocol, in its JSON encoding (OTLP 1.x, *JSON Protobuf Encoding*): camel-case keys, ids in
//! hexadecimal, 64-bit integers as strings, enumerations as numbers.

use serde_json::{Value as Json, json};

use super::span::{Ending, Kind, Span, Value};

/// `ExportTraceServiceRequest` of these spans.
pub(super) fn request(spans: &[Span]) -> Json {
    let resource = [
        attribute("service.name", &"rolecall".into()),
        attribute("service.version", &env!("CARGO_PKG_VERSION").into()),
    ];
    json!({
        "resourceSpans": [{
            "resource": {"attributes": resource},
            "scopeSpans": [{
                "scope": {"name": "rolecall", "version": env!("CARGO_PKG_VERSION")},
                "spans": spans.iter().map(span).collect::<Vec<_>>(),
            }],
        }],
    })
}

fn span(span: &Span) -> Json {
    let mut json = json!({
        "traceId": span.trace.to_string(),
        "spanId": span.id.to_string(),
        "name": span.name,
        "kind": match span.kind {
            Kind::Internal => 1,
            Kind::Server => 2,
            Kind::Client => 3,
        },
        "startTimeUnixNano": span.began.as_nanosecond().to_string(),
        "endTimeUnixNano": span.ended.as_nanosecond().to_string(),
        "attributes": span.attributes.iter().map(|(key, value)| attribute(key, value)).collect::<Vec<_>>(),
        // The lower 8 bits say that it is sampled, the next two that its parent is known not to be elsewhere.
        "flags": 0x101,
    });
    if let Some(parent) = span.parent {
        json["parentSpanId"] = parent.to_string().into();
    }
    if let Some(to) = span.link {
        json["links"] = json!([{"traceId": to.trace.to_string(), "spanId": to.root.to_string()}]);
    }
    if span.ending == Ending::Failed {
        json["status"] = json!({"code": 2});
    }
    json
}

fn attribute(key: &str, value: &Value) -> Json {
    match value {
        Value::Text(text) => json!({"key": key, "value": {"stringValue": text}}),
        Value::Number(number) => json!({"key": key, "value": {"intValue": number.to_string()}}),
    }
}
