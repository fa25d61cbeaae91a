//! What all parts of the reading share: faults, names, and what is known so far.

use std::collections::HashMap;

use serde::de::DeserializeOwned;

use super::MAX_NAME;
use crate::rules::attribute::Attribute;
use crate::rules::book::Catalogue;
use crate::rules::file::Condition;
use crate::yaml::{self, Fault, Node, Place};

/// Reads on after a fault, so that all are found.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) catalogue: Option<Catalogue>,
    /// The names of rules and sets so far, with their lines.
    pub(super) names: HashMap<String, u32>,
    pub(super) faults: Vec<Fault>,
}

impl Reader {
    pub(super) fn fault(&mut self, place: &Place, message: impl Into<String>, help: &str) {
        self.faults.push(Fault::at(place.clone(), message).with_help(help));
    }

    pub(super) fn decode<T: DeserializeOwned>(&mut self, node: &Node) -> Option<T> {
        yaml::decode(node).map_err(|fault| self.faults.push(fault)).ok()
    }

    pub(super) fn name(&mut self, what: &str, name: &str, place: &Place) {
        if !is_name(name) {
            let message =
                format!("a {what}'s name is not empty and has no space around it or control characters");
            self.fault(place, message, "write a plain name");
        } else if name.chars().count() > MAX_NAME {
            self.fault(
                place,
                format!("a {what}'s name has at most {MAX_NAME} characters"),
                "write a shorter one",
            );
        }
    }

    /// The attribute of this name; none is noted.
    pub(super) fn attribute(&mut self, name: &str, place: &Place) -> Option<Attribute> {
        let found = Attribute::named(name);
        if found.is_none() {
            let names = Attribute::names();
            self.faults.push(Fault::unknown(place.clone(), "attribute", name, &names));
        }
        found
    }
}

/// Whether a text can be the name of a rule or a role, its length aside.
pub(in crate::rules) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.trim() == name && !name.chars().any(char::is_control)
}

/// The condition that stands at `node`, outside a rules file.
///
/// # Errors
/// All that is wrong with it.
pub(in crate::rules) fn scope_condition(node: &Node) -> Result<Condition, Vec<Fault>> {
    let mut reader = Reader::default();
    let condition: Option<Condition> = reader.decode(node);
    if let Some(condition) = &condition {
        reader.condition(condition, node, &node.place);
    }
    match condition.filter(|_| reader.faults.is_empty()) {
        Some(condition) => Ok(condition),
        None => Err(reader.faults),
    }
}
