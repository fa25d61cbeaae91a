//! From what an entry is to what it should be, in as few requests as there are differences. Pure: it knows of no
//! server.

use std::collections::BTreeMap;

use crate::compare::Rules;
use crate::dn::Dn;
use crate::entry::{AttributeName, Entry, Value};
use crate::leavers::Undo;
use crate::lock::Lock;
use crate::request::{Modification, Request, Tolerance};
use crate::template::Rendered;

/// What an entry should be.
pub(crate) struct Aim<'a> {
    /// Its name and mapped attributes.
    pub(crate) rendered: &'a Rendered,
    /// The same as the sink last wrote it, where that is known.
    pub(crate) before: Option<&'a Rendered>,
    /// Object classes that must be among its classes.
    pub(crate) classes: &'a [String],
    /// Values that must be among others' values of the same attribute.
    pub(crate) present: Vec<(AttributeName, Value)>,
    /// Values and attributes that must go.
    pub(crate) undo: Vec<(AttributeName, Undo)>,
    /// The lock that must be on the account.
    pub(crate) lock: Option<Lock>,
    /// How values are compared.
    pub(crate) rules: &'a Rules,
}

/// The requests that make `entry` what `aim` says: a rename when its name differs, one modification for all that
/// differs besides, nothing when nothing does.
pub(crate) fn plan(entry: &Entry, aim: &Aim<'_>) -> Vec<Request> {
    let mut requests = Vec::new();
    let mut entry = entry.clone();
    let to = &aim.rendered.dn;
    if entry.dn != *to {
        requests.push(Request::Rename { dn: entry.dn.clone(), to: to.clone() });
        rename(&mut entry, to, aim.rules);
    }
    let modifications = modifications(&entry, aim);
    if !modifications.is_empty() {
        let dn = entry.dn.clone();
        requests.push(Request::Modify { dn, modifications, tolerance: Tolerance::Strict });
    }
    requests
}

/// What a rename does to an entry: the old RDN's values go, the new one's come (RFC 4511 §4.9).
pub(crate) fn rename(entry: &mut Entry, to: &Dn, rules: &Rules) {
    let old = std::mem::replace(&mut entry.dn, to.clone());
    if old.rdn_parts() == to.rdn_parts() {
        return;
    }
    for (name, value) in old.rdn_parts() {
        let name = AttributeName::from(name.as_str());
        let gone = rules.normal(&name, &value.as_str().into());
        let kept = entry.attributes.get(&name).iter().filter(|v| rules.normal(&name, v) != gone);
        let kept = kept.cloned().collect();
        entry.attributes.set(name, kept);
    }
    for (name, value) in to.rdn_parts() {
        let name = AttributeName::from(name.as_str());
        let value = Value::from(value.as_str());
        if !rules.contains(&name, entry.attributes.get(&name), &value) {
            entry.attributes.push(name, value);
        }
    }
}

fn modifications(entry: &Entry, aim: &Aim<'_>) -> Vec<Modification> {
    let mut modifications = Vec::new();
    let rules = aim.rules;
    let object_class = AttributeName::from("objectClass");
    let has = entry.attributes.get(&object_class);
    let missing: Vec<Value> = aim
        .classes
        .iter()
        .map(|class| Value::from(class.as_str()))
        .filter(|class| !rules.contains(&object_class, has, class))
        .collect();
    if !missing.is_empty() {
        modifications.push(Modification::add(&object_class, missing));
    }
    for (name, wanted) in &aim.rendered.attributes {
        let before = aim.before.and_then(|before| before.attributes.get(name));
        if differs(rules, name, entry.attributes.get(name), wanted, before) {
            modifications.push(Modification::replace(name, wanted.clone()));
        }
    }
    for (name, undo) in &aim.undo {
        let has = entry.attributes.get(name);
        let mapped = aim.rendered.attributes.contains_key(name);
        match undo {
            Undo::Lock(lock) => modifications.extend(lock.unlock(&entry.attributes)),
            _ if mapped || has.is_empty() => {}
            Undo::Attribute => modifications.push(Modification::replace(name, Vec::new())),
            Undo::Value(value) if rules.contains(name, has, value) => {
                modifications.push(Modification::delete(name, vec![value.clone()]));
            }
            Undo::Value(_) => {}
        }
    }
    modifications.extend(aim.lock.iter().flat_map(|lock| lock.lock(&entry.attributes)));
    let mut present: BTreeMap<&AttributeName, Vec<Value>> = BTreeMap::new();
    for (name, value) in &aim.present {
        if !entry.attributes.get(name).contains(value) {
            present.entry(name).or_default().push(value.clone());
        }
    }
    modifications.extend(present.into_iter().map(|(name, values)| Modification::add(name, values)));
    modifications
}

/// Whether an attribute must be written. What the attribute's rule calls equal stays as it is, unless the source
/// itself changed the spelling since the last time: `mcdonald` becoming `McDonald`.
fn differs(
    rules: &Rules,
    name: &AttributeName,
    has: &[Value],
    wanted: &[Value],
    before: Option<&Vec<Value>>,
) -> bool {
    if !rules.same(name, has, wanted) {
        return true;
    }
    before.is_some_and(|before| before != wanted && rules.same(name, before, wanted) && has != wanted)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::entry::Attributes;

    fn entry(dn: &str, attributes: &[(&str, &str)]) -> Entry {
        let mut all = Attributes::default();
        for (name, value) in attributes {
            all.push((*name).into(), (*value).into());
        }
        Entry { dn: Dn::parse(dn).unwrap(), attributes: all }
    }

    fn rendered(dn: &str, attributes: &[(&str, &[&str])]) -> Rendered {
        let values = |values: &[&str]| values.iter().map(|v| Value::from(*v)).collect();
        let attributes = attributes.iter().map(|(name, v)| ((*name).into(), values(v))).collect();
        Rendered { dn: Dn::parse(dn).unwrap(), attributes }
    }

    fn aim<'a>(rendered: &'a Rendered, before: Option<&'a Rendered>) -> Aim<'a> {
        static STANDARD: LazyLock<Rules> = LazyLock::new(Rules::default);
        let (present, undo) = (Vec::new(), Vec::new());
        Aim { rendered, before, classes: &[], present, undo, lock: None, rules: &STANDARD }
    }

    #[test]
    fn what_is_equal_by_its_rule_is_left_alone() {
        let has =
            entry("UID=Ann,dc=x", &[("Mail", "ANN@x"), ("telephonenumber", "+49 1"), ("note", "others'")]);
        let wanted =
            rendered("uid=ann,dc=x", &[("mail", &["ann@x"]), ("telephoneNumber", &["+491"]), ("title", &[])]);
        assert_eq!(plan(&has, &aim(&wanted, None)), []);
    }

    #[test]
    fn a_new_spelling_from_the_source_is_written_and_one_from_the_server_is_not() {
        let has = entry("uid=a,dc=x", &[("sn", "mcdonald")]);
        let wanted = rendered("uid=a,dc=x", &[("sn", &["McDonald"])]);
        let before = rendered("uid=a,dc=x", &[("sn", &["mcdonald"])]);
        assert_eq!(plan(&has, &aim(&wanted, Some(&before))).len(), 1);
        assert_eq!(plan(&has, &aim(&wanted, Some(&wanted))), []);
    }

    #[test]
    fn only_what_differs_is_in_the_request() {
        let has =
            entry("uid=a,dc=x", &[("sn", "A"), ("title", "CTO"), ("mail", "a@x"), ("objectClass", "top")]);
        let wanted = rendered("uid=a,dc=x", &[("sn", &["A"]), ("title", &[]), ("mail", &["b@x", "c@x"])]);
        let classes = ["top".to_owned(), "person".to_owned()];
        let mark = ("businessCategory".into(), "rolecall:user:1".into());
        let aim = Aim { classes: &classes, present: vec![mark], ..aim(&wanted, None) };
        let Request::Modify { modifications, .. } = &plan(&has, &aim)[0] else { panic!("no modification") };
        assert_eq!(
            *modifications,
            [
                Modification::add(&"objectClass".into(), vec!["person".into()]),
                Modification::replace(&"mail".into(), vec!["b@x".into(), "c@x".into()]),
                Modification::replace(&"title".into(), vec![]),
                Modification::add(&"businessCategory".into(), vec!["rolecall:user:1".into()]),
            ]
        );
    }

    #[test]
    fn a_new_name_is_a_rename_and_its_value_is_not_written_twice() {
        let has = entry("cn=Ann Old,dc=x", &[("cn", "Ann Old"), ("sn", "Old")]);
        let wanted = rendered("cn=Ann New,ou=y,dc=x", &[("cn", &["Ann New"]), ("sn", &["Old"])]);
        let to = wanted.dn.clone();
        assert_eq!(plan(&has, &aim(&wanted, None)), [Request::Rename { dn: has.dn.clone(), to }]);
    }

    #[test]
    fn what_deactivation_set_goes_unless_the_mapping_has_it() {
        let has =
            entry("uid=a,dc=x", &[("pwdAccountLockedTime", "000001010000Z"), ("shell", "no"), ("sn", "A")]);
        let wanted = rendered("uid=a,dc=x", &[("sn", &["A"])]);
        let undo = vec![
            ("pwdAccountLockedTime".into(), Undo::Lock(Lock::PasswordPolicy)),
            ("shell".into(), Undo::Attribute),
            ("sn".into(), Undo::Attribute),
        ];
        let aim = Aim { undo, ..aim(&wanted, None) };
        let Request::Modify { modifications, .. } = &plan(&has, &aim)[0] else { panic!("no modification") };
        assert_eq!(
            *modifications,
            [
                Modification::replace(&"pwdAccountLockedTime".into(), vec![]),
                Modification::replace(&"shell".into(), vec![]),
            ]
        );
    }
}
