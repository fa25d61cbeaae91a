//! Paths, queries and filters, with every value escaped for its place.

use form_urlencoded::byte_serialize;
use serde_json::Value;

/// The path of one resource: `/Users/2819c223`.
///
/// `None` for an id that no URL can hold: every parser resolves `.` and `..` away, and without an id the path
/// would be that of all resources.
pub(crate) fn resource(endpoint: &str, id: &str) -> Option<String> {
    match id {
        "" | "." | ".." => None,
        id => Some(format!("{endpoint}/{}", encode(id))),
    }
}

/// A path with a query.
pub(crate) fn query(endpoint: &str, parameters: &[(&str, &str)]) -> String {
    let parameters: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    format!("{endpoint}?{}", parameters.join("&"))
}

/// `attribute eq "value"` (RFC 7644 §3.4.2.2): the value is a JSON string.
pub(crate) fn equals(attribute: &str, value: impl Into<Value>) -> String {
    format!("{attribute} eq {}", value.into())
}

/// The id at the end of a resource's location.
pub(crate) fn id_of(location: &str) -> Option<String> {
    let path = location.split(['?', '#']).next()?;
    let last = path.rsplit('/').next().filter(|last| !last.is_empty())?;
    // A form's value is decoded as a path's segment is, but for its pluses and what would end it.
    let escaped = last.replace('+', "%2B").replace('&', "%26");
    form_urlencoded::parse(format!("id={escaped}").as_bytes()).next().map(|(_, id)| id.into_owned())
}

/// Percent-encoding for a path's segment or a query's value. A space is `%20`, which means the same in both.
fn encode(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_one_segment() {
        assert_eq!(
            resource("/Users", "a/../b?c#d e+f").as_deref(),
            Some("/Users/a%2F..%2Fb%3Fc%23d%20e%2Bf")
        );
        for nothing in ["", ".", ".."] {
            assert_eq!(resource("/Users", nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn a_value_stays_inside_its_quotes() {
        let filter = equals("userName", "a\" or userName pr or \\");
        assert_eq!(filter, r#"userName eq "a\" or userName pr or \\""#);
        let path = query("/Users", &[("filter", &filter), ("count", "2")]);
        assert!(!path.contains(['"', ' ', '+', '\\']), "{path}");
        assert!(path.starts_with("/Users?filter=userName%20eq%20%22a%5C%22"), "{path}");
    }

    #[test]
    fn a_location_ends_in_the_id() {
        for (location, id) in [
            ("https://x.example/v2/Users/2819c223", Some("2819c223")),
            ("/Users/a%2Fb+c&d=e%20f?x=y", Some("a/b+c&d=e f")),
            ("https://x.example/v2/Users/", None),
        ] {
            assert_eq!(id_of(location).as_deref(), id, "{location}");
        }
    }
}
