//! Entries from templates: a DN, object classes and attributes that a configuration gives, compiled once and
//! rendered for each user, group or role.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rolecall_sink_api::ConfigError;
use rolecall_sink_api::template::{Escape, Template, Variables};
use serde::Serialize;
use serde_json::Value as Json;

use crate::compare::Rules;
use crate::config::{AttributeTemplate, AttributeTemplates, OnExisting};
use crate::dn::{self, Dn};
use crate::entry::{AttributeName, Attributes, Value};
use crate::preset::EntryPreset;

/// How one kind of entry is made.
#[derive(Debug)]
pub(crate) struct EntryTemplate {
    /// The section of the configuration: `people`.
    pub(crate) section: &'static str,
    dn: Template,
    /// Below which entry all of them lie.
    pub(crate) base: Dn,
    pub(crate) classes: Vec<String>,
    attributes: BTreeMap<AttributeName, Vec<Template>>,
    /// What only a new entry gets.
    initial: BTreeMap<AttributeName, Vec<Value>>,
    pub(crate) on_existing: OnExisting,
    nul_in_names: bool,
    rules: Arc<Rules>,
}

/// What an [`EntryTemplate`] is made from.
pub(crate) struct Source<'a> {
    pub(crate) section: &'static str,
    pub(crate) dn: Option<&'a str>,
    pub(crate) base: Option<&'a str>,
    pub(crate) classes: Option<&'a [String]>,
    pub(crate) attributes: &'a AttributeTemplates,
    pub(crate) on_existing: OnExisting,
    /// What holds where the others say nothing.
    pub(crate) preset: &'a EntryPreset,
    /// Whether a name may hold a NUL character.
    pub(crate) nul_in_names: bool,
    pub(crate) rules: &'a Arc<Rules>,
}

/// What an entry should be, as the templates gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub(crate) dn: Dn,
    /// The values of each mapped attribute; none means that it must be absent. Those of the RDN are among them
    /// where the attribute is mapped.
    pub(crate) attributes: BTreeMap<AttributeName, Vec<Value>>,
}

impl EntryTemplate {
    /// Compiles the templates.
    pub(crate) fn compile(source: &Source<'_>, variables: &Variables) -> Result<Self, ConfigError> {
        let section = source.section;
        let at = |key: &str| format!("{section}.{key}");
        let text = dn_template(source)?;
        let dn = Template::parse(&text, Escape::With(dn::escape), variables)
            .map_err(|e| ConfigError::new(at("dn"), e.to_string()))?;
        let base = match source.base {
            Some(base) => Dn::parse(base).map_err(|e| ConfigError::new(at("base"), e.to_string()))?,
            None => static_suffix(&text).ok_or_else(|| {
                ConfigError::new(
                    at("dn"),
                    format!("no part at its end is the same for all entries: also give {section}.base"),
                )
            })?,
        };
        let mut attributes = BTreeMap::new();
        for (name, template) in source.preset.attributes {
            attributes.insert(AttributeName::from(*name), one(template, variables, &at("attributes"))?);
        }
        for (name, templates) in source.attributes {
            let key = format!("{section}.attributes.{name}");
            match templates {
                Some(templates) => {
                    let name = attribute_name(name, &key)?;
                    attributes.insert(name, attribute(templates, variables, &key)?);
                }
                None => _ = attributes.remove(&AttributeName::from(name.as_str())),
            }
        }
        let classes = match source.classes {
            Some(classes) => classes.to_vec(),
            None => source.preset.classes.iter().map(|class| (*class).to_owned()).collect(),
        };
        let initial =
            source.preset.initial.iter().map(|(name, value)| ((*name).into(), vec![(*value).into()]));
        let initial = initial.filter(|(name, _)| !attributes.contains_key(name)).collect();
        let (on_existing, rules) = (source.on_existing, Arc::clone(source.rules));
        let nul_in_names = source.nul_in_names;
        Ok(Self { section, dn, base, classes, attributes, initial, on_existing, nul_in_names, rules })
    }

    /// Whether every entry has `attribute` in its name: `uid` when the DN begins with `uid=`.
    pub(crate) fn is_named_by(&self, attribute: &AttributeName) -> bool {
        let rdn = self.dn.source().split(['{', ',']).next().unwrap_or_default();
        rdn.split('+').any(|part| part.split('=').next().is_some_and(|name| attribute == &name.trim().into()))
    }

    /// The attributes that the templates set.
    pub(crate) fn attribute_names(&self) -> impl Iterator<Item = &AttributeName> {
        self.attributes.keys()
    }

    /// The entry for these variables.
    ///
    /// # Errors
    /// Why there can be none, for a person: a template that fails, or a name or required attribute that comes
    /// out empty.
    pub(crate) fn render(&self, variables: impl Serialize) -> Result<Rendered, String> {
        let section = self.section;
        let text = self.dn.render(&variables).map_err(|e| format!("{section}.dn: {e}"))?;
        let dn = Dn::parse(&text).map_err(|e| format!("{section}.dn: {e}"))?;
        if !dn.is_within(&self.base) || dn == self.base {
            return Err(format!("{section}.dn gives {dn}, which is not below {}", self.base));
        }
        if !self.nul_in_names && dn.rdn_parts().iter().any(|(_, value)| value.contains('\0')) {
            return Err(format!(
                "{section}.dn gives a name with a NUL character, which the server cannot keep"
            ));
        }
        if let Some((name, _)) = dn.rdn_parts().iter().find(|(_, value)| value.trim().is_empty()) {
            return Err(format!(
                "{section}.dn gives an empty {name}: what {:?} takes it from is not set; give it a fallback with \
                 `or`",
                self.dn.source()
            ));
        }
        let mut attributes = BTreeMap::new();
        for (name, templates) in &self.attributes {
            let values = render_values(templates, &variables)
                .map_err(|e| format!("{section}.attributes.{name}: {e}"))?;
            attributes.insert(name.clone(), self.distinct(name, values));
        }
        for (name, value) in dn.rdn_parts() {
            let name = AttributeName::from(name.as_str());
            let value = Value::from(value.as_str());
            if let Some(values) = attributes.get_mut(&name)
                && !self.rules.contains(&name, values, &value)
            {
                values.insert(0, value);
            }
        }
        let rendered = Rendered { dn, attributes };
        for (class, name) in required(&self.classes) {
            let named = rendered.dn.rdn_parts().iter().any(|(rdn, _)| rdn.eq_ignore_ascii_case(name));
            if !named && rendered.attributes.get(&AttributeName::from(name)).is_none_or(Vec::is_empty) {
                return Err(format!(
                    "{section}.attributes.{name} comes out empty, and an entry of class {class} must have it: give \
                     its template a fallback with `or`"
                ));
            }
        }
        Ok(rendered)
    }

    /// A new entry as `rendered` says: its classes, what is mapped, what only a new entry gets, the RDN's values.
    pub(crate) fn new_entry(&self, rendered: &Rendered) -> Attributes {
        let mut attributes = Attributes::default();
        attributes.set("objectClass".into(), self.classes.iter().map(|c| Value::from(c.as_str())).collect());
        for (name, values) in self.initial.iter().chain(&rendered.attributes) {
            attributes.set(name.clone(), values.clone());
        }
        for (name, value) in rendered.dn.rdn_parts() {
            let name = AttributeName::from(name.as_str());
            let value = Value::from(value.as_str());
            if !self.rules.contains(&name, attributes.get(&name), &value) {
                attributes.push(name, value);
            }
        }
        attributes
    }

    /// The values without those that the attribute would call the same.
    fn distinct(&self, name: &AttributeName, values: Vec<Value>) -> Vec<Value> {
        let mut seen = BTreeSet::new();
        values.into_iter().filter(|value| seen.insert(self.rules.normal(name, value))).collect()
    }
}

/// The template of the DN: as configured, or the preset's name below the configured base.
fn dn_template<'a>(source: &Source<'a>) -> Result<Cow<'a, str>, ConfigError> {
    let section = source.section;
    match (source.dn, source.base) {
        (Some(dn), _) => Ok(dn.into()),
        (None, Some(base)) if base.contains(['{', '}']) => Err(ConfigError::new(
            format!("{section}.base"),
            "is one entry's DN; to make it depend on the user or group, give the whole DN in dn",
        )),
        (None, Some(base)) => Ok(format!("{},{base}", source.preset.rdn).into()),
        (None, None) => Err(ConfigError::new(format!("{section}.dn"), "is missing: give it, or base")),
    }
}

/// The values that `templates` give; what is nothing but spaces is no value.
pub(crate) fn render_values(templates: &[Template], variables: impl Serialize) -> Result<Vec<Value>, String> {
    let mut values = Vec::new();
    for template in templates {
        collect(&template.render_json(&variables).map_err(|e| e.to_string())?, &mut values)?;
    }
    Ok(values)
}

/// Compiles the templates of one attribute.
pub(crate) fn attribute(
    templates: &AttributeTemplate,
    variables: &Variables,
    path: &str,
) -> Result<Vec<Template>, ConfigError> {
    match templates {
        AttributeTemplate::One(template) => one(template, variables, path),
        AttributeTemplate::Many(templates) => templates
            .iter()
            .map(|t| one(t, variables, path))
            .collect::<Result<Vec<_>, _>>()
            .map(|t| t.concat()),
    }
}

fn one(template: &str, variables: &Variables, path: &str) -> Result<Vec<Template>, ConfigError> {
    Template::parse(template, Escape::None, variables)
        .map(|template| vec![template])
        .map_err(|e| ConfigError::new(path, e.to_string()))
}

/// An attribute's name as a configuration may give it (RFC 4512 §2.5: a name or OID, and options).
pub(crate) fn attribute_name(name: &str, path: &str) -> Result<AttributeName, ConfigError> {
    let fine = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-.;".contains(c));
    if fine {
        Ok(AttributeName::new(name))
    } else {
        Err(ConfigError::new(path, format!("{name:?} cannot be the name of an attribute")))
    }
}

fn collect(json: &Json, values: &mut Vec<Value>) -> Result<(), String> {
    match json {
        Json::Null => {}
        Json::Bool(true) => values.push("TRUE".into()),
        Json::Bool(false) => values.push("FALSE".into()),
        Json::Number(number) => values.push(number.to_string().into()),
        Json::String(text) if text.trim().is_empty() => {}
        Json::String(text) => values.push(text.as_str().into()),
        Json::Array(items) => items.iter().try_for_each(|item| collect(item, values))?,
        Json::Object(_) => return Err("gives a map, which no attribute can hold: pick a field of it".into()),
    }
    Ok(())
}

/// What stands behind the last variable, from the next level on.
fn static_suffix(dn: &str) -> Option<Dn> {
    let tail = match dn.rfind('}') {
        Some(at) => dn[at + 1..].split_once(',')?.1,
        None => dn,
    };
    Dn::parse(tail).ok().filter(|dn| !dn.as_str().trim().is_empty())
}

/// What the standard classes require (RFC 4519, RFC 2307), so that the message can say it before the server says
/// less. Members are put in by the sink itself.
fn required(classes: &[String]) -> impl Iterator<Item = (&str, &'static str)> {
    const REQUIRED: [(&str, &[&str]); 7] = [
        ("person", &["cn", "sn"]),
        ("organizationalPerson", &["cn", "sn"]),
        ("inetOrgPerson", &["cn", "sn"]),
        ("groupOfNames", &["cn"]),
        ("groupOfUniqueNames", &["cn"]),
        ("posixAccount", &["cn", "uid", "uidNumber", "gidNumber", "homeDirectory"]),
        ("posixGroup", &["cn", "gidNumber"]),
    ];
    classes.iter().flat_map(|class| {
        let row = REQUIRED.iter().find(|(name, _)| name.eq_ignore_ascii_case(class));
        row.into_iter().flat_map(move |(_, names)| names.iter().map(move |name| (class.as_str(), *name)))
    })
}
