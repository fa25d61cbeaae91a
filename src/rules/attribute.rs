//! Attributes: how they are called in conditions, and whether one is what a condition asks for.

use std::collections::BTreeSet;

use jiff::Timestamp;
use regex::Regex;
use rolecall_sink_api::{Address, Profile};
use serde_json::Value;

use super::condition::Moments;
use super::file::{AttributeMatch, AttributePattern, Moment, OneOrMany, Scalar};
use super::pattern::Pattern;

/// What the names of attributes begin with that the customer mapped.
const CUSTOM: &str = "custom.";

type Getter = fn(&Profile) -> Option<&str>;

/// The attributes that have a place of their own.
const KNOWN: [(&str, Getter); 27] = [
    ("external_id", |p| p.external_id.as_deref()),
    ("user_name", |p| p.user_name.as_deref()),
    ("email", |p| p.email.as_deref()),
    ("display_name", |p| p.display_name.as_deref()),
    ("given_name", |p| p.given_name.as_deref()),
    ("family_name", |p| p.family_name.as_deref()),
    ("nick_name", |p| p.nick_name.as_deref()),
    ("photo", |p| p.photo.as_deref()),
    ("profile_url", |p| p.profile_url.as_deref()),
    ("phone_number", |p| p.phone_number.as_deref()),
    ("title", |p| p.title.as_deref()),
    ("department", |p| p.department.as_deref()),
    ("division", |p| p.division.as_deref()),
    ("cost_center", |p| p.cost_center.as_deref()),
    ("employee_number", |p| p.employee_number.as_deref()),
    ("user_type", |p| p.user_type.as_deref()),
    ("organization_name", |p| p.organization_name.as_deref()),
    ("preferred_language", |p| p.preferred_language.as_deref()),
    ("locale", |p| p.locale.as_deref()),
    ("timezone", |p| p.timezone.as_deref()),
    ("pronouns", |p| p.pronouns.as_deref()),
    ("address.formatted", |p| of_address(p, |a| a.formatted.as_deref())),
    ("address.street_address", |p| of_address(p, |a| a.street_address.as_deref())),
    ("address.locality", |p| of_address(p, |a| a.locality.as_deref())),
    ("address.region", |p| of_address(p, |a| a.region.as_deref())),
    ("address.postal_code", |p| of_address(p, |a| a.postal_code.as_deref())),
    ("address.country", |p| of_address(p, |a| a.country.as_deref())),
];

fn of_address(profile: &Profile, part: fn(&Address) -> Option<&str>) -> Option<&str> {
    profile.address.as_ref().and_then(part)
}

/// One attribute of a user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Attribute {
    /// By its place among those that are known.
    Known(usize),
    /// One that the customer mapped, by its name.
    Custom(String),
}

impl Attribute {
    /// The attribute of this name, if there is one.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name.strip_prefix(CUSTOM) {
            Some(custom) if !custom.is_empty() => Some(Self::Custom(custom.to_owned())),
            _ => KNOWN.iter().position(|(known, _)| *known == name).map(Self::Known),
        }
    }

    /// The names of those that are known, and one that stands for the others.
    pub(super) fn names() -> Vec<&'static str> {
        KNOWN.iter().map(|(name, _)| *name).chain(["custom.<name>"]).collect()
    }

    /// Sets the attribute in a made-up profile, if the value can be one.
    pub(super) fn set(&self, profile: &mut Profile, value: &Value) -> bool {
        let place = match self {
            Self::Custom(name) => {
                profile.custom.insert(name.clone(), value.clone());
                return true;
            }
            Self::Known(at) => KNOWN[*at].0,
        };
        let Some(text) = Scalar::of(value) else { return false };
        let mut json = serde_json::to_value(&*profile).unwrap_or_default();
        match place.split_once('.') {
            Some((outer, inner)) => json[outer][inner] = text.into(),
            None => json[place] = text.into(),
        }
        serde_json::from_value(json).map(|changed| *profile = changed).is_ok()
    }

    /// Whether the attribute is set.
    pub(super) fn is_set(&self, profile: &Profile) -> bool {
        match self {
            Self::Known(at) => KNOWN[*at].1(profile).is_some(),
            Self::Custom(name) => profile.custom.contains_key(name),
        }
    }

    /// Whether one of the attribute's values, as text, is as wanted.
    pub(super) fn any(&self, profile: &Profile, mut wanted: impl FnMut(&str) -> bool) -> bool {
        match self {
            Self::Known(at) => KNOWN[*at].1(profile).is_some_and(wanted),
            Self::Custom(name) => match profile.custom.get(name) {
                Some(Value::Array(values)) => {
                    values.iter().any(|value| Scalar::of(value).is_some_and(|text| wanted(&text)))
                }
                Some(value) => Scalar::of(value).is_some_and(|text| wanted(&text)),
                None => false,
            },
        }
    }
}

/// What an attribute must be, ready to be asked.
#[derive(Clone, Debug)]
pub(super) struct AttributeTest {
    attribute: Attribute,
    /// Whether it must be set, where that is all.
    exists: Option<bool>,
    /// Folded, where case does not matter.
    is: Option<BTreeSet<String>>,
    ignore_case: bool,
    patterns: Vec<Regex>,
    more_than: Option<f64>,
    at_least: Option<f64>,
    less_than: Option<f64>,
    at_most: Option<f64>,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
    future: Option<bool>,
}

impl AttributeTest {
    /// Compiles what was found right.
    pub(super) fn new(attribute: Attribute, wanted: &AttributeMatch) -> Result<Self, regex::Error> {
        let by_value;
        let pattern = match wanted {
            AttributeMatch::Pattern(pattern) => pattern,
            AttributeMatch::Values(values) => {
                by_value = AttributePattern { is: Some(values.clone()), ..AttributePattern::default() };
                &by_value
            }
        };
        let ignore_case = pattern.ignore_case;
        let fold = |text: &str| if ignore_case { text.to_lowercase() } else { text.to_owned() };
        let is = |values: &OneOrMany<Scalar>| values.0.iter().map(|value| fold(&value.0)).collect();
        let glob = pattern.glob.as_deref().map(|glob| Pattern::glob(glob, ignore_case));
        let regex = pattern.regex.as_deref().map(|regex| Pattern::regex(regex, ignore_case));
        // One that is no regular expression was told of before.
        let patterns = glob.into_iter().chain(regex.and_then(Result::ok));
        Ok(Self {
            attribute,
            exists: pattern.exists,
            is: pattern.is.as_ref().map(is),
            ignore_case,
            patterns: patterns.map(|pattern| pattern.compile()).collect::<Result<_, _>>()?,
            more_than: pattern.more_than,
            at_least: pattern.at_least,
            less_than: pattern.less_than,
            at_most: pattern.at_most,
            before: pattern.before.map(|moment| moment.0),
            since: pattern.since.map(|moment| moment.0),
            future: pattern.future,
        })
    }

    /// The attribute and the values one of which it must have, where that can be looked up.
    pub(super) fn values(&self) -> Option<(&Attribute, &BTreeSet<String>)> {
        let values = self.is.as_ref().filter(|_| !self.ignore_case)?;
        Some((&self.attribute, values))
    }

    pub(super) fn holds(&self, profile: &Profile, moments: &mut Moments) -> bool {
        if self.exists == Some(false) {
            return !self.attribute.is_set(profile);
        }
        if !self.asks_for_values() {
            return self.attribute.is_set(profile);
        }
        self.attribute.any(profile, |value| self.is_right(value, moments))
    }

    fn asks_for_values(&self) -> bool {
        self.is.is_some()
            || !self.patterns.is_empty()
            || self.asks_for_number()
            || self.before.is_some()
            || self.since.is_some()
            || self.future.is_some()
    }

    fn asks_for_number(&self) -> bool {
        [self.more_than, self.at_least, self.less_than, self.at_most].iter().any(Option::is_some)
    }

    fn is_right(&self, value: &str, moments: &mut Moments) -> bool {
        let listed = self.is.as_ref().is_none_or(|values| match self.ignore_case {
            true => values.contains(&value.to_lowercase()),
            false => values.contains(value),
        });
        listed
            && self.patterns.iter().all(|pattern| pattern.is_match(value))
            && (!self.asks_for_number() || self.is_number(value))
            && self.is_date(value, moments)
    }

    fn is_number(&self, value: &str) -> bool {
        // Rust reads `infinity` and `nan` too.
        let Some(value) = value.trim().parse::<f64>().ok().filter(|value| value.is_finite()) else {
            return false;
        };
        self.more_than.is_none_or(|bound| value > bound)
            && self.at_least.is_none_or(|bound| value >= bound)
            && self.less_than.is_none_or(|bound| value < bound)
            && self.at_most.is_none_or(|bound| value <= bound)
    }

    fn is_date(&self, value: &str, moments: &mut Moments) -> bool {
        if self.before.is_none() && self.since.is_none() && self.future.is_none() {
            return true;
        }
        let Some(Moment(at)) = Moment::read(value.trim()) else { return false };
        self.before.is_none_or(|bound| at < bound)
            && self.since.is_none_or(|bound| at >= bound)
            && self.future.is_none_or(|future| moments.is_future(at) == future)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_attribute_can_be_set_and_found_by_its_name() {
        for (name, _) in KNOWN {
            let attribute = Attribute::named(name).unwrap();
            let mut profile = Profile::default();
            assert!(attribute.set(&mut profile, &json!("x")), "{name}");
            assert!(attribute.is_set(&profile) && attribute.any(&profile, |value| value == "x"), "{name}");
        }
        // No attribute of the contract is forgotten here.
        let mut profile = Profile::default();
        for (name, _) in KNOWN {
            Attribute::named(name).unwrap().set(&mut profile, &json!("x"));
        }
        let set = serde_json::to_value(&profile).unwrap();
        let schema = schemars::schema_for!(Profile);
        for key in
            schema.get("properties").unwrap().as_object().unwrap().keys().filter(|key| *key != "custom")
        {
            assert!(set.get(key).is_some(), "{key} has no name in conditions");
        }
        assert_eq!(Attribute::named("custom.level"), Some(Attribute::Custom("level".into())));
        assert_eq!([Attribute::named("custom."), Attribute::named("departement")], [None, None]);
    }
}
