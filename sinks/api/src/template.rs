//! Templates in a sink's configuration: minijinja, checked at start and bounded in time and size.
//!
//! A template's output is escaped for where it goes by the template engine itself, so that no value from
//! outside can change a URL's path, a DN's structure or a filter's meaning. Text outside `{{ }}` is the
//! operator's and stands as written.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde::Serialize;

/// Steps of the template engine per rendering; a loop over some thousand groups takes a tenth of it.
const FUEL: u64 = 500_000;
/// The longest output, in bytes.
const MAX_OUTPUT: usize = 1024 * 1024;

/// How a value is escaped where `{{ … }}` stands.
#[derive(Clone, Copy)]
pub enum Escape {
    /// Not at all: the whole output is one value that its user encodes.
    None,
    /// As a part of a URL's path, or of its query: everything but RFC 3986's unreserved characters is percent-encoded,
    /// `/` too. An output whose path has a segment `.` or `..` is refused: every URL parser resolves them, however they
    /// are encoded.
    Url,
    /// By a function of the sink's own: a DN's or a filter's escaping.
    With(fn(&str) -> String),
}

/// The variables a template may use, so that a misspelt one is found at start and not in the middle of the
/// night: `user.email`, or `user.custom.*` where anything may follow.
#[derive(Clone, Debug, Default)]
pub struct Variables(BTreeSet<String>);

impl Variables {
    /// No variables but `names`; `x.*` allows anything below `x`.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// Also those of `other`.
    pub fn and(mut self, other: Variables) -> Self {
        self.0.extend(other.0);
        self
    }

    /// `user.…`: every field of [`User`](crate::User).
    pub fn user() -> Self {
        let address = fields_of::<crate::Address>().into_iter().map(|field| format!("user.address.{field}"));
        let fields =
            fields_of::<crate::User>().into_iter().chain(fields_of::<crate::Profile>()).map(|field| {
                match field.as_str() {
                    "custom" | "groups" | "roles" => format!("user.{field}.*"),
                    _ => format!("user.{field}"),
                }
            });
        Self(fields.chain(address).collect())
    }

    /// `group.…`: every field of [`Group`](crate::Group).
    pub fn group() -> Self {
        Self(fields_of::<crate::Group>().into_iter().map(|field| format!("group.{field}")).collect())
    }

    fn allows(&self, path: &str) -> bool {
        self.0.iter().any(|name| match name.strip_suffix(".*") {
            Some(open) => path == open || path.strip_prefix(open).is_some_and(|rest| rest.starts_with('.')),
            // `user` alone stands for the whole user: `{% for … in user.groups %}`, `{{ user | tojson }}`.
            None => path == name || name.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')),
        })
    }
}

fn fields_of<T: schemars::JsonSchema>() -> Vec<String> {
    let schema = schemars::schema_for!(T);
    let properties = schema.get("properties").and_then(serde_json::Value::as_object);
    properties.map(|p| p.keys().cloned().collect()).unwrap_or_default()
}

/// A template that compiled and names only variables that exist.
#[derive(Clone)]
pub struct Template {
    source: Arc<str>,
    environment: Arc<Environment<'static>>,
    escape: Escape,
    /// The inside of the braces, when the whole template is one `{{ expression }}`.
    expression: Option<Arc<str>>,
}

const NAME: &str = "template";

impl Template {
    /// Compiles `source`, whose output is escaped as `escape` says.
    ///
    /// # Errors
    /// When it does not parse, or names a variable that is not among `variables`.
    pub fn parse(source: &str, escape: Escape, variables: &Variables) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_fuel(Some(FUEL));
        environment.set_formatter(move |out, _state, value| {
            let text = match value.kind() {
                ValueKind::Undefined | ValueKind::None => return Ok(()),
                ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => {
                    return Err(minijinja::Error::new(
                        ErrorKind::InvalidOperation,
                        "a list or map cannot be printed: join it, pick from it, or use tojson",
                    ));
                }
                _ => value.to_string(),
            };
            let escaped = match escape {
                Escape::None => text,
                Escape::Url => percent_encode(&text),
                Escape::With(escape) => escape(&text),
            };
            out.write_str(&escaped).map_err(minijinja::Error::from)
        });
        environment.add_filter("slug", slug);
        environment.add_filter("ascii", ascii);
        environment.add_filter("truncate", |text: &str, length: usize| -> String {
            text.chars().take(length).collect()
        });
        environment.add_template_owned(NAME, source.to_owned()).map_err(|e| TemplateError(describe(&e)))?;
        let template = environment.get_template(NAME).map_err(|e| TemplateError(describe(&e)))?;
        let functions: BTreeSet<String> = environment.globals().map(|(name, _)| name.to_owned()).collect();
        let unknown: Vec<String> = template
            .undeclared_variables(true)
            .into_iter()
            .filter(|path| !functions.contains(path) && !variables.allows(path))
            .collect();
        if let Some(first) = unknown.iter().min() {
            return Err(TemplateError(variables.explain_unknown(first)));
        }
        let expression = single_expression(source).map(Arc::from);
        Ok(Self { source: source.into(), environment: Arc::new(environment), escape, expression })
    }

    /// The output, escaped.
    ///
    /// # Errors
    /// When the template cannot be evaluated with these values, or grows beyond its bounds.
    pub fn render(&self, context: impl Serialize) -> Result<String, TemplateError> {
        let rendered = self
            .environment
            .get_template(NAME)
            .and_then(|t| t.render(Value::from(Serde(&context))))
            .map_err(|e| TemplateError(describe(&e)))?;
        if rendered.len() > MAX_OUTPUT {
            return Err(TemplateError(format!("the output is longer than {MAX_OUTPUT} bytes")));
        }
        if matches!(self.escape, Escape::Url) && has_dot_segment(&rendered) {
            return Err(TemplateError(format!("the path {} cannot have . or .. as a part", self.source)));
        }
        Ok(rendered)
    }

    /// The output as JSON: a template that is one `{{ expression }}` keeps its type (a list, a number,
    /// `null` where nothing is set), any other becomes a string. Nothing is escaped: JSON does that itself.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_json(&self, context: impl Serialize) -> Result<serde_json::Value, TemplateError> {
        let Some(expression) = &self.expression else {
            return self.render(context).map(serde_json::Value::String);
        };
        let value = self
            .environment
            .compile_expression(expression)
            .and_then(|e| e.eval(Value::from(Serde(&context))))
            .map_err(|e| TemplateError(describe(&e)))?;
        if value.is_undefined() {
            return Ok(serde_json::Value::Null);
        }
        serde_json::to_value(&value).map_err(|e| TemplateError(e.to_string()))
    }

    /// The template as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.source).finish()
    }
}

impl Variables {
    fn explain_unknown(&self, path: &str) -> String {
        let known: Vec<&str> = self.0.iter().map(|name| name.strip_suffix(".*").unwrap_or(name)).collect();
        let (parent, _) = path.rsplit_once('.').unwrap_or(("", path));
        let siblings: Vec<&str> = known
            .iter()
            .copied()
            .filter(|name| name.rsplit_once('.').map_or("", |(head, _)| head) == parent)
            .collect();
        let listed = if siblings.is_empty() { known } else { siblings };
        format!("there is no variable {path}; there are {}", listed.join(", "))
    }
}

fn describe(error: &minijinja::Error) -> String {
    let what = match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.kind().to_string(),
    };
    match error.line() {
        Some(line) if line > 1 => format!("template: {what} (line {line} of the template)"),
        _ => format!("template: {what}"),
    }
}

/// The inside of `{{ … }}` when nothing stands beside it.
fn single_expression(source: &str) -> Option<&str> {
    let inner = source.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let alone = !inner.contains("{{") && !inner.contains("}}") && !inner.contains("{%");
    alone.then(|| inner.trim_matches('-').trim())
}

/// RFC 3986 §2.3: all but the unreserved characters.
fn percent_encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Whether the path, before any query, has a segment that a URL parser resolves away. The WHATWG's resolves it also
/// when it is percent-encoded.
fn has_dot_segment(url: &str) -> bool {
    let dots =
        |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    url.split(['?', '#']).next().is_some_and(|path| path.split(['/', '\\']).any(dots))
}

/// Lower-case ASCII letters and digits, with one `-` for whatever stands between.
fn slug(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in ascii(text).chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.truncate(out.trim_end_matches('-').len());
    out
}

/// The nearest ASCII spelling: letters lose their marks (`é` → `e`, `ß` → `ss`), what has none is left out.
fn ascii(text: &str) -> String {
    deunicode::deunicode_with_tofu(text, "")
}

/// Why a template cannot be used, without the values it was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(String);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn user(source: &str) -> Result<Template, TemplateError> {
        Template::parse(source, Escape::None, &Variables::user())
    }

    #[test]
    fn a_misspelt_variable_is_found_when_parsed() {
        let error = user("{{ user.emial }}").unwrap_err().to_string();
        assert!(error.contains("user.emial") && error.contains("user.email"), "{error}");
        let error = user("{{ usr.email }}").unwrap_err().to_string();
        assert!(error.contains("usr.email"), "{error}");
    }

    #[test]
    fn what_is_not_set_prints_nothing() {
        let template =
            user("{{ user.title }}|{{ user.address.locality }}|{{ user.custom.badge.color }}").unwrap();
        assert_eq!(template.render(json!({"user": {"email": "a"}})).unwrap(), "||");
    }

    #[test]
    fn loops_and_groups_are_allowed() {
        let template = user("{% for id, name in user.groups|items %}{{ name }};{% endfor %}").unwrap();
        assert_eq!(template.render(json!({"user": {"groups": {"g1": "A", "g2": "B"}}})).unwrap(), "A;B;");
    }

    #[test]
    fn a_url_part_cannot_leave_its_place() {
        let template =
            Template::parse("/users/{{ user.id }}/x?y={{ user.email }}", Escape::Url, &Variables::user())
                .unwrap();
        let out = template.render(json!({"user": {"id": "../a/b?c#d", "email": "é&=\u{0}"}})).unwrap();
        assert_eq!(out, "/users/..%2Fa%2Fb%3Fc%23d/x?y=%C3%A9%26%3D%00");
        for id in [".", ".."] {
            let error = template.render(json!({"user": {"id": id}})).unwrap_err().to_string();
            assert!(error.contains("cannot have . or .."), "{error}");
        }
        // Only a whole segment is resolved, and only in a path.
        let url = |source| Template::parse(source, Escape::Url, &Variables::user()).unwrap();
        let dots = json!({"user": {"id": ".."}});
        assert_eq!(url("/u-{{ user.id }}/x?y={{ user.id }}/..").render(&dots).unwrap(), "/u-../x?y=../..");
        for split in ["/a/{{ user.email }}.{{ user.email }}./b", "/a/%2e{{ user.email }}%2E"] {
            assert!(url(split).render(&dots).is_err(), "{split}");
        }
    }

    #[test]
    fn json_keeps_types_and_null() {
        let value = json!({"user": {"active": true, "roles": ["a", "b"], "email": "x\"y"}});
        assert_eq!(user("{{ user.roles }}").unwrap().render_json(&value).unwrap(), json!(["a", "b"]));
        assert_eq!(user("{{ user.active }}").unwrap().render_json(&value).unwrap(), json!(true));
        assert_eq!(user("{{ user.title }}").unwrap().render_json(&value).unwrap(), json!(null));
        assert_eq!(user("<{{ user.email }}>").unwrap().render_json(&value).unwrap(), json!("<x\"y>"));
    }

    #[test]
    fn filters_make_names_that_old_systems_take() {
        let value = json!({"user": {"display_name": "Zoë  Müller-Łukasz 渡辺"}});
        let render = |source: &str| user(source).unwrap().render(&value).unwrap();
        assert_eq!(render("{{ user.display_name|slug }}"), "zoe-muller-lukasz-du-bian");
        assert_eq!(render("{{ user.display_name|ascii|lower|truncate(3) }}"), "zoe");
        assert_eq!(render("{{ user.title|default('none') }}"), "none");
    }

    #[test]
    fn a_loop_without_end_is_stopped() {
        let template =
            user("{% for a in range(9000) %}{% for b in range(9000) %}x{% endfor %}{% endfor %}").unwrap();
        assert!(template.render(json!({})).is_err());
    }

    #[test]
    fn a_broken_template_says_what_is_wrong() {
        let error = user("{{ user.email").unwrap_err().to_string();
        assert!(error.starts_with("template: "), "{error}");
    }
}
