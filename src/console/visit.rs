//! One request of a browser: who it is from, what it asks for, and what it brings.

use bytes::Bytes;
use http::StatusCode;
use multer::{Constraints, Multipart, SizeLimit};

use super::api::Refused;
use super::session::SessionId;
use crate::admin::{Credential, Who};
use crate::config::Access;

/// Most fields of a form or a query.
const MOST_FIELDS: usize = 32;

/// Who is at the browser.
pub(super) struct Visitor {
    /// What binds forms to this browser; of somebody who has signed in, their session.
    pub(super) id: SessionId,
    /// Whether the browser has to be told its id.
    pub(super) is_new: bool,
    /// Who it is; none before they have signed in.
    pub(super) who: Option<Who>,
}

impl Visitor {
    /// Whether they may change anything.
    pub(super) fn may_change(&self) -> bool {
        self.who.as_ref().is_some_and(|who| who.access >= Access::Full)
    }

    /// Whether there is a session to end: who comes over the socket has signed in to the host, and a browser
    /// shows its certificate again.
    pub(super) fn can_sign_out(&self) -> bool {
        self.who.as_ref().is_some_and(|who| who.by == Credential::Token)
    }
}

/// A request that may be answered.
pub(super) struct Visit {
    /// The path below `/console`, without slashes at its ends: `queue/drop`.
    pub(super) path: String,
    /// Path and query, as they were asked for.
    pub(super) target: String,
    pub(super) query: Fields,
    pub(super) visitor: Visitor,
}

/// The fields of a query or a form. One that is empty is as one that is missing.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Of `application/x-www-form-urlencoded`.
    pub(super) fn parse(encoded: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(encoded).take(MOST_FIELDS);
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// Of `multipart/form-data`.
    pub(super) async fn of_multipart(body: Bytes, boundary: String) -> Result<Self, Refused> {
        let unreadable = |error: multer::Error| {
            Refused::new(StatusCode::BAD_REQUEST, format!("the form could not be read: {error}"))
        };
        let limits = Constraints::new().size_limit(SizeLimit::new().whole_stream(body.len() as u64));
        let stream = futures_util::stream::once(async move { Ok::<_, std::convert::Infallible>(body) });
        let mut parts = Multipart::with_constraints(stream, boundary, limits);
        let mut fields = Vec::new();
        while let Some(part) = parts.next_field().await.map_err(unreadable)? {
            if fields.len() == MOST_FIELDS {
                break;
            }
            let name = part.name().unwrap_or_default().to_owned();
            let file = part.file_name().map(str::to_owned).filter(|file| !file.is_empty());
            let bytes = part.bytes().await.map_err(unreadable)?;
            let text = String::from_utf8(bytes.into())
                .map_err(|_| Refused::new(StatusCode::BAD_REQUEST, format!("{name} is no text in UTF-8")))?;
            if let Some(file) = file {
                fields.push((format!("{name}_name"), file));
            }
            fields.push((name, text));
        }
        Ok(Self(fields))
    }

    /// A field that holds something.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// A field that must be there.
    pub(super) fn need(&self, name: &str) -> Result<&str, Refused> {
        self.get(name).ok_or_else(|| Refused::new(StatusCode::BAD_REQUEST, format!("{name} is missing")))
    }

    /// A field that is a number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Refused> {
        let wrong =
            |text: &str| Refused::new(StatusCode::BAD_REQUEST, format!("{name}: {text:?} is no number"));
        self.get(name).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
    }
}

/// A path of the console with a query of those fields that hold something.
pub(super) fn link(path: &str, fields: &[(&str, Option<&str>)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_reads_back_as_it_was_written() {
        let to = link("/console/user", &[("id", Some("a&b=c/é ?")), ("sink", None)]);
        assert_eq!(to, "/console/user?id=a%26b%3Dc%2F%C3%A9+%3F");
        let fields = Fields::parse(to.split_once('?').unwrap().1.as_bytes());
        assert_eq!((fields.get("id"), fields.get("sink")), (Some("a&b=c/é ?"), None));
        assert_eq!(Fields::parse(b"id=&x=1").get("id"), None);
    }

    #[tokio::test]
    async fn an_uploaded_file_comes_with_its_name() {
        let body = "--b\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\n\r\n\
                    --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"new.yaml\"\r\n\
                    Content-Type: application/yaml\r\n\r\nrules: []\n\r\n--b--\r\n";
        let fields = Fields::of_multipart(Bytes::from(body), "b".into()).await.unwrap();
        assert_eq!((fields.get("text"), fields.get("file")), (None, Some("rules: []\n")));
        assert_eq!(fields.get("file_name"), Some("new.yaml"));
        assert!(Fields::of_multipart(Bytes::from("--b\r\nnonsense"), "b".into()).await.is_err());
    }
}
