//! Many writes in one request (RFC 7644 §3.7).

use http::header::{HeaderValue, LOCATION};
use http::{HeaderMap, Method, StatusCode};
use rolecall_sink_http::Answer;
use serde_json::{Value, json};

use crate::attribute::{Attributes, get, text};
use crate::request::Write;
use crate::service::BulkLimits;
use crate::urn::BULK;

/// What surrounds the operations, in bytes, with room to spare.
const ENVELOPE: usize = 200;

/// How many of the first `writes` fit into one request. At least one: the application may take it all the same.
pub(crate) fn fitting<'a>(writes: impl Iterator<Item = &'a Write>, limits: &BulkLimits) -> usize {
    let mut bytes = ENVELOPE;
    let mut fitting = 0;
    for write in writes.take(limits.operations()) {
        bytes = bytes.saturating_add(operation(fitting, write).to_string().len() + 1);
        if bytes > limits.bytes && fitting > 0 {
            break;
        }
        fitting += 1;
    }
    fitting
}

/// The bulk request for `writes`.
pub(crate) fn write<'a>(writes: impl Iterator<Item = &'a Write>) -> Write {
    let operations: Vec<Value> = writes.enumerate().map(|(n, write)| operation(n, write)).collect();
    let body = json!({ "schemas": [BULK], "Operations": operations });
    Write::new(Method::POST, "/Bulk", Some(body))
}

fn operation(n: usize, write: &Write) -> Value {
    let mut operation = json!({ "method": write.method.as_str(), "path": write.path });
    if write.method == Method::POST {
        operation["bulkId"] = n.to_string().into();
    }
    if let Some(version) = &write.version {
        operation["version"] = version.as_str().into();
    }
    if let Some(body) = &write.body {
        operation["data"] = body.clone();
    }
    operation
}

/// The answer to each of `writes`; `None` where the application does not say what became of it.
pub(crate) fn answers(writes: &[&Write], answer: &Answer) -> Vec<Option<Answer>> {
    let body: Attributes = serde_json::from_slice(&answer.body).unwrap_or_default();
    let results = get(&body, "Operations").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    // Only what was made has an id to be told by; the others are in order when none is missing.
    let in_order = results.len() == writes.len();
    let of = |(n, write): (usize, &&Write)| {
        let result = if write.method == Method::POST {
            let id = n.to_string();
            results.iter().filter_map(Value::as_object).find(|result| text(result, "bulkId") == Some(&id))
        } else {
            results.get(n).and_then(Value::as_object).filter(|_| in_order)
        };
        result.filter(|result| is_about(result, write)).and_then(single)
    };
    writes.iter().enumerate().map(of).collect()
}

fn is_about(result: &Attributes, write: &Write) -> bool {
    text(result, "method").is_none_or(|method| method.eq_ignore_ascii_case(write.method.as_str()))
}

/// The result of one operation as the answer to a request of its own.
fn single(result: &Attributes) -> Option<Answer> {
    let status = match get(result, "status")? {
        Value::String(status) => status.parse().ok()?,
        Value::Number(status) => u16::try_from(status.as_u64()?).ok()?,
        // The first draft's form, which some still write.
        Value::Object(status) => text(status, "code")?.parse().ok()?,
        _ => return None,
    };
    let mut headers = HeaderMap::new();
    if let Some(location) = text(result, "location").and_then(|location| HeaderValue::from_str(location).ok())
    {
        headers.insert(LOCATION, location);
    }
    let body = get(result, "response").map(|body| body.to_string().into_bytes()).unwrap_or_default();
    Some(Answer { status: StatusCode::from_u16(status).ok()?, headers, body, cut: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writes() -> [Write; 3] {
        [
            Write::new(Method::POST, "/Users", Some(json!({ "userName": "a" }))),
            Write {
                version: Some("W/\"1\"".into()),
                ..Write::new(Method::PATCH, "/Users/1", Some(json!({})))
            },
            Write::new(Method::DELETE, "/Users/2", None),
        ]
    }

    fn answered(operations: Value) -> Vec<Option<(u16, Option<String>)>> {
        let writes = writes();
        let writes: Vec<&Write> = writes.iter().collect();
        let body = json!({ "Operations": operations }).to_string().into_bytes();
        let answer = Answer { status: StatusCode::OK, headers: HeaderMap::new(), body, cut: false };
        let location = |answer: &Answer| Some(answer.headers.get(LOCATION)?.to_str().unwrap().to_owned());
        let all = answers(&writes, &answer).into_iter();
        all.map(|answer| answer.map(|answer| (answer.status.as_u16(), location(&answer)))).collect()
    }

    #[test]
    fn a_bulk_request_says_all_that_the_requests_would() {
        let operations = write(writes().iter()).body.unwrap()["Operations"].take();
        let expected = json!([
            { "method": "POST", "path": "/Users", "bulkId": "0", "data": { "userName": "a" } },
            { "method": "PATCH", "path": "/Users/1", "version": "W/\"1\"", "data": {} },
            { "method": "DELETE", "path": "/Users/2" },
        ]);
        assert_eq!(operations, expected);
    }

    #[test]
    fn no_request_is_larger_than_the_application_allows() {
        let writes: Vec<Write> = (0..50).map(|_| writes()[0].clone()).collect();
        let fitting = |operations, bytes| fitting(writes.iter(), &BulkLimits::new(operations, bytes));
        assert_eq!(fitting(20, usize::MAX), 20);
        assert_eq!(fitting(20, 1), 1);
        let some = fitting(50, 2000);
        assert!(write(writes.iter().take(some)).body.unwrap().to_string().len() <= 2000);
        assert!((10..50).contains(&some), "{some}");
    }

    #[test]
    fn each_write_gets_its_own_answer() {
        let all = answered(json!([
            { "method": "POST", "bulkId": "0", "status": "201", "location": "https://x/Users/7" },
            { "method": "PATCH", "status": 412, "location": "https://x/Users/1" },
            { "method": "DELETE", "status": { "code": "404" } },
        ]));
        let expected = [
            Some((201, Some("https://x/Users/7".into()))),
            Some((412, Some("https://x/Users/1".into()))),
            Some((404, None)),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn an_answer_that_cannot_be_told_from_anothers_is_none() {
        let only_made = [Some((201, None)), None, None];
        assert_eq!(answered(json!([{ "method": "POST", "bulkId": "0", "status": "201" }])), only_made);
        let another_order = json!([
            { "method": "DELETE", "status": "204" },
            { "method": "POST", "bulkId": "0", "status": "201" },
            { "method": "PATCH", "status": "200" },
        ]);
        assert_eq!(answered(another_order), only_made);
        assert_eq!(answered(json!("nonsense")), [None, None, None]);
    }
}
