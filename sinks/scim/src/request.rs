//! Requests as SCIM wants them (RFC 7644 §3.1, §8.1).

use http::header::{ACCEPT, CONTENT_TYPE, IF_MATCH};
use http::{HeaderMap, HeaderValue, Method};
use rolecall_sink_http::Request;
use serde_json::Value;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/scim+json");
/// Some applications have not heard of SCIM's own media type.
const ACCEPTED: HeaderValue = HeaderValue::from_static("application/scim+json, application/json;q=0.9");

/// One that reads.
pub(crate) fn get(path: impl Into<String>) -> Request {
    let mut request = Request::new(Method::GET, path);
    request.headers.insert(ACCEPT, ACCEPTED);
    request
}

/// One that changes a resource.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) method: Method,
    /// Below the base URL.
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    /// The version of the resource that is to be changed, and no other (RFC 7644 §3.14).
    pub(crate) version: Option<String>,
    /// Whether other changes of the batch may have something to say about the same resource, as they do of the
    /// members of a group.
    pub(crate) shared: bool,
}

impl Write {
    pub(crate) fn new(method: Method, path: impl Into<String>, body: Option<Value>) -> Self {
        Self { method, path: path.into(), body, version: None, shared: false }
    }

    /// As a request of its own.
    pub(crate) fn request(&self) -> Request {
        let mut headers = HeaderMap::from_iter([(ACCEPT, ACCEPTED)]);
        if self.body.is_some() {
            headers.insert(CONTENT_TYPE, MEDIA_TYPE);
        }
        // A version that no header can hold cannot have come from one.
        if let Some(version) = self.version.as_deref().and_then(|version| HeaderValue::from_str(version).ok())
        {
            headers.insert(IF_MATCH, version);
        }
        Request {
            method: self.method.clone(),
            path: self.path.clone(),
            headers,
            body: self.body.as_ref().map(|body| body.to_string().into_bytes()),
            // A second POST would make a second resource. What the first one made is found by its externalId.
            repeatable: self.method != Method::POST,
        }
    }
}
