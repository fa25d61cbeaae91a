//! One request, ready to be sent.

use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, Method};

/// The header that lets an application tell a repetition from a new request
/// (draft-ietf-httpapi-idempotency-key-header).
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A request to the application.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query below the base URL, percent-encoded, beginning with `/` where it is not empty.
    pub path: String,
    /// Headers beside those that every request has.
    pub headers: HeaderMap,
    /// The body; its type stands in the headers.
    pub body: Option<Vec<u8>>,
    /// Whether the application may get it twice without harm: then it is sent again when the connection breaks.
    pub repeatable: bool,
}

impl Request {
    /// A request without headers of its own and without a body, that may be repeated.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: HeaderMap::new(), body: None, repeatable: true }
    }
}

/// A header that the configuration may set.
///
/// # Errors
/// When it cannot be a header's name, or is one that is set elsewhere.
pub fn header_name(name: &str) -> Result<HeaderName, String> {
    let parsed = HeaderName::try_from(name).map_err(|_| format!("{name:?} cannot be a header's name"))?;
    let reserved = [AUTHORIZATION, HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION];
    if parsed == AUTHORIZATION {
        return Err("put credentials in auth, where they are read from a secret".into());
    }
    if reserved.contains(&parsed) || parsed == IDEMPOTENCY_KEY {
        return Err(format!("{name} is set by the sink itself"));
    }
    Ok(parsed)
}
