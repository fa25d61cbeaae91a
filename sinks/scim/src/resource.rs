//! A resource as the application holds it.

use http::header::{ETAG, LOCATION};
use rolecall_sink_http::Answer;
use serde_json::Value;

use crate::attribute::{Attributes, get, text};
use crate::uri;

/// A user or group of the application's.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    /// The application's own id.
    pub(crate) id: String,
    /// The version, where the application keeps versions (RFC 7644 §3.14).
    pub(crate) version: Option<String>,
    pub(crate) attributes: Attributes,
}

impl Resource {
    /// From its JSON; `None` for something without an id.
    pub(crate) fn new(attributes: Attributes) -> Option<Self> {
        let id = text(&attributes, "id").filter(|id| !id.is_empty())?.to_owned();
        let meta = get(&attributes, "meta").and_then(Value::as_object);
        let version = meta.and_then(|meta| text(meta, "version")).map(str::to_owned);
        Some(Self { id, version, attributes })
    }

    /// From the answer to a GET, or to a POST that made it.
    pub(crate) fn from_answer(answer: &Answer) -> Option<Self> {
        let header = |name| answer.headers.get(name).and_then(|value| value.to_str().ok());
        let body: Option<Attributes> = serde_json::from_slice(&answer.body).ok();
        if let Some(mut resource) = body.and_then(Self::new) {
            resource.version = resource.version.or(header(ETAG).map(str::to_owned));
            return Some(resource);
        }
        // A bulk response, and some answers to a POST, tell no more than the location.
        let id = uri::id_of(header(LOCATION)?)?;
        Some(Self { id, version: None, attributes: Attributes::new() })
    }

    /// Whether the value of `attribute` is `value`. An `externalId` is compared byte by byte, a `userName` or
    /// `displayName` regardless of case (RFC 7643 §4.1.1, §7).
    pub(crate) fn has(&self, attribute: &str, value: &str) -> bool {
        let found = text(&self.attributes, attribute);
        if attribute == "externalId" {
            found == Some(value)
        } else {
            found.is_some_and(|found| found.to_lowercase() == value.to_lowercase())
        }
    }

    /// The `externalId`, if there is one.
    pub(crate) fn external_id(&self) -> Option<&str> {
        text(&self.attributes, "externalId").filter(|id| !id.is_empty())
    }

    /// Whether a user has access; one of whom nothing is said has.
    pub(crate) fn active(&self) -> bool {
        get(&self.attributes, "active").and_then(Value::as_bool).unwrap_or(true)
    }
}
