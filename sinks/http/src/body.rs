//! JSON made from templates: strings are put where they belong, and never pasted into text.

use rolecall_sink_api::ConfigError;
use rolecall_sink_api::template::{Escape, Template, Variables};
use serde::Serialize;
use serde_json::{Map, Value};

/// A body: JSON whose strings, the names of its fields too, are templates.
#[derive(Clone, Debug)]
pub enum Body {
    /// As it stands.
    Fixed(Value),
    /// A string.
    Template(Template),
    /// A list.
    Array(Vec<Body>),
    /// An object.
    Object(Vec<(Template, Body)>),
}

impl Body {
    /// Compiles `value`, which stands in the configuration at `at`.
    ///
    /// # Errors
    /// When a template is wrong, with its place.
    pub fn compile(value: &Value, variables: &Variables, at: &str) -> Result<Self, ConfigError> {
        Ok(match value {
            Value::String(source) => Body::Template(
                Template::parse(source, Escape::None, variables)
                    .map_err(|e| ConfigError::new(at, e.to_string()))?,
            ),
            Value::Array(items) => {
                let compile = |(n, item)| Body::compile(item, variables, &format!("{at}.{n}"));
                Body::Array(items.iter().enumerate().map(compile).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => {
                let compile = |(name, field): (&String, &Value)| {
                    let at = format!("{at}.{name}");
                    let name = Template::parse(name, Escape::None, variables)
                        .map_err(|e| ConfigError::new(&at, e.to_string()))?;
                    Ok((name, Body::compile(field, variables, &at)?))
                };
                Body::Object(fields.iter().map(compile).collect::<Result<_, ConfigError>>()?)
            }
            fixed => Body::Fixed(fixed.clone()),
        })
    }

    /// The JSON for these values.
    ///
    /// # Errors
    /// When a template cannot be evaluated with them.
    pub fn render(&self, context: &impl Serialize) -> Result<Value, String> {
        Ok(match self {
            Body::Fixed(value) => value.clone(),
            Body::Template(template) => {
                template.render_json(context).map_err(|e| format!("{}: {e}", template.source()))?
            }
            Body::Array(items) => {
                Value::Array(items.iter().map(|item| item.render(context)).collect::<Result<_, _>>()?)
            }
            Body::Object(fields) => {
                let mut object = Map::new();
                for (name, field) in fields {
                    let name = name.render(context).map_err(|e| format!("{}: {e}", name.source()))?;
                    object.insert(name, field.render(context)?);
                }
                Value::Object(object)
            }
        })
    }
}
