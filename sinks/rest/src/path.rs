//! Paths made from templates, which no value from outside can turn into another path.

use rolecall_sink_api::template::{Escape, Template, Variables};
use serde::Serialize;

/// A path and query below the base URL, a template.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    template: Template,
    /// For each part between separators, whether the template has something there.
    filled: Vec<bool>,
}

/// What parts a path and its query: no value can hold one of them, because it is percent-encoded there.
const SEPARATORS: [char; 4] = ['/', '?', '&', '='];

impl Path {
    /// Compiles the template.
    pub(crate) fn parse(source: &str, variables: &Variables) -> Result<Self, String> {
        if !source.starts_with('/') {
            return Err("it is appended to base_url, so it must start with /".into());
        }
        if source.contains("{%") || source.contains("{#") {
            return Err("no {% %} or {# #} here: write {{ a if b else c }}".into());
        }
        if source.contains('#') {
            return Err("a request has no fragment: write # as %23".into());
        }
        let template = Template::parse(source, Escape::Url, variables).map_err(|e| e.to_string())?;
        let filled = parts(&without_expressions(source)?).map(|part| !part.is_empty()).collect();
        Ok(Self { template, filled })
    }

    /// The template as it was written.
    pub(crate) fn source(&self) -> &str {
        self.template.source()
    }

    /// The path for these values.
    ///
    /// # Errors
    /// When a value is missing where the template wants one, because `DELETE /users/` is not what
    /// `DELETE /users/{{ user.id }}` means, or when it is `.` or `..`, which the template engine refuses.
    pub(crate) fn render(&self, context: impl Serialize) -> Result<String, String> {
        let path = self.template.render(context).map_err(|e| e.to_string())?;
        let rendered: Vec<&str> = parts(&path).collect();
        if rendered.len() != self.filled.len() {
            return Err(format!("the path {} came out with other parts", self.template.source()));
        }
        if rendered.iter().zip(&self.filled).any(|(part, filled)| *filled && part.is_empty()) {
            return Err(format!("the path {} needs a value that is not set", self.template.source()));
        }
        Ok(path)
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split(SEPARATORS)
}

/// The template with `x` for every expression.
fn without_expressions(source: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = source;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        out.push('x');
        rest = after.split_once("}}").ok_or("{{ without }}")?.1;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(source: &str, id: &str) -> Result<String, String> {
        Path::parse(source, &Variables::user())?.render(json!({"user": {"id": id}}))
    }

    #[test]
    fn a_value_stays_one_part() {
        assert_eq!(
            render("/users/{{ user.id }}", "a/../b?c=d&e#f").unwrap(),
            "/users/a%2F..%2Fb%3Fc%3Dd%26e%23f"
        );
        assert_eq!(render("/u-{{ user.id }}/x?q={{ user.id }}", "..").unwrap(), "/u-../x?q=..");
    }

    #[test]
    fn a_path_is_never_shorter_than_its_template() {
        for source in
            ["/users/{{ user.email }}", "/users/{{ user.email }}/roles", "/users?name={{ user.email }}"]
        {
            let error = render(source, "a").unwrap_err();
            assert!(error.contains("not set") && error.contains(source), "{error}");
        }
        for id in [".", "..", "%2e"] {
            let result = render("/users/{{ user.id }}", id);
            assert!(result.as_ref().map_or(true, |path| path == "/users/%252e"), "{result:?}");
        }
        assert!(
            render("/users/{{ user.id }}/", "a").is_ok(),
            "an empty part that the template has is its own"
        );
    }

    #[test]
    fn what_is_no_path_is_refused_when_parsed() {
        for (source, why) in [
            ("users", "start with /"),
            ("/a#b", "fragment"),
            ("/{% if user.active %}a{% endif %}", "if b else c"),
            ("/{{ user.emial }}", "user.emial"),
        ] {
            let error = Path::parse(source, &Variables::user()).unwrap_err();
            assert!(error.contains(why), "{source}: {error}");
        }
    }
}
