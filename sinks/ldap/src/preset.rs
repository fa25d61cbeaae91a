//! What each kind of server is given where the configuration says nothing: one table for each kind.

use crate::config::FirstPassword;
use crate::lock::Lock;
use crate::server_kind::ServerKind;

/// The defaults for one kind of server.
#[derive(Debug)]
pub(crate) struct Preset {
    /// The attribute with the server's own id of an entry.
    pub(crate) id: &'static str,
    /// The attribute that marks go into: both people's and groups' classes allow it, with several values.
    pub(crate) marker: &'static str,
    pub(crate) people: EntryPreset,
    pub(crate) groups: EntryPreset,
    pub(crate) roles: EntryPreset,
    /// The attribute with a group's members.
    pub(crate) member: &'static str,
    /// What stands in a group without members, where it must have one.
    pub(crate) placeholder: Option<&'static str>,
    /// How an account is locked.
    pub(crate) lock: Lock,
    /// Whether a name may hold a NUL character. 389 Directory Server makes digits of it, Samba drops what follows.
    pub(crate) nul_in_names: bool,
    /// Whether a new account gets a password.
    pub(crate) first_password: FirstPassword,
}

/// The defaults for one kind of entry.
#[derive(Debug)]
pub(crate) struct EntryPreset {
    /// The first part of the name, as a template: what stands before `base`.
    pub(crate) rdn: &'static str,
    /// The object classes of a new entry.
    pub(crate) classes: &'static [&'static str],
    /// The attributes, as templates.
    pub(crate) attributes: &'static [(&'static str, &'static str)],
    /// What only a new entry gets, unless it is mapped.
    pub(crate) initial: &'static [(&'static str, &'static str)],
}

impl Preset {
    /// The defaults for `kind`.
    pub(crate) const fn of(kind: ServerKind) -> &'static Preset {
        match kind {
            ServerKind::OpenLdap | ServerKind::Generic => &STANDARD,
            ServerKind::Ds389 => &DS389,
            ServerKind::ActiveDirectory => &ACTIVE_DIRECTORY,
        }
    }
}

/// inetOrgPerson (RFC 2798) and groupOfNames (RFC 4519 §3.5): what every LDAP server has.
const STANDARD: Preset = Preset {
    // RFC 4530.
    id: "entryUUID",
    // inetOrgPerson, groupOfNames and groupOfUniqueNames all allow it, and hardly anybody uses it.
    marker: "businessCategory",
    people: PEOPLE,
    groups: EntryPreset {
        rdn: "cn={{ group.name }}",
        classes: &["top", "groupOfNames"],
        attributes: &[("cn", "{{ group.name }}")],
        initial: &[],
    },
    roles: EntryPreset {
        rdn: "cn={{ role }}",
        classes: &["top", "groupOfNames"],
        attributes: &[("cn", "{{ role }}")],
        initial: &[],
    },
    member: "member",
    placeholder: Some("cn=rolecall-placeholder"),
    // The password policy overlay's; other servers took the attribute over from the same draft.
    lock: Lock::PasswordPolicy,
    nul_in_names: true,
    first_password: FirstPassword::None,
};

const PEOPLE: EntryPreset = EntryPreset {
    rdn: "uid={{ user.user_name or user.email }}",
    classes: &["top", "person", "organizationalPerson", "inetOrgPerson"],
    attributes: &[
        (
            "cn",
            "{{ user.display_name or ((user.given_name or '') ~ ' ' ~ (user.family_name or ''))|trim or \
             user.user_name or user.email or user.id }}",
        ),
        ("sn", "{{ user.family_name or user.display_name or user.user_name or user.email or user.id }}"),
        ("givenName", "{{ user.given_name }}"),
        ("displayName", "{{ user.display_name }}"),
        ("mail", "{{ user.email }}"),
        ("telephoneNumber", "{{ user.phone_number }}"),
        ("title", "{{ user.title }}"),
        ("departmentNumber", "{{ user.department }}"),
        ("employeeNumber", "{{ user.employee_number }}"),
        ("employeeType", "{{ user.user_type }}"),
        ("preferredLanguage", "{{ user.preferred_language }}"),
        ("o", "{{ user.organization_name }}"),
    ],
    initial: &[],
};

/// The standard's, but for the server's own id, its own lock, and groups that may be empty.
const DS389: Preset =
    Preset { id: "nsUniqueId", placeholder: None, lock: Lock::NsAccount, nul_in_names: false, ..STANDARD };

/// What the security accounts manager wants. `cn` names the entry and has one value there, so it is not mapped.
const ACTIVE_DIRECTORY: Preset = Preset {
    id: "objectGUID",
    // businessCategory is not allowed for groups; this one is for every class.
    marker: "extensionName",
    people: EntryPreset {
        rdn: "cn={{ user.user_name or user.email }}",
        classes: &["top", "person", "organizationalPerson", "user"],
        attributes: &[
            // At most 20 characters, unique in the domain, and none of "/\[]:;|=,+*?<>@.
            (
                "sAMAccountName",
                "{{ (user.user_name or user.email or user.id) | split('@') | first | slug | truncate(20) }}",
            ),
            (
                "userPrincipalName",
                "{{ user.user_name if user.user_name and '@' in user.user_name else user.email }}",
            ),
            ("sn", "{{ user.family_name }}"),
            ("givenName", "{{ user.given_name }}"),
            ("displayName", "{{ user.display_name }}"),
            ("mail", "{{ user.email }}"),
            ("telephoneNumber", "{{ user.phone_number }}"),
            ("title", "{{ user.title }}"),
            ("department", "{{ user.department }}"),
            ("employeeNumber", "{{ user.employee_number }}"),
            ("employeeType", "{{ user.user_type }}"),
            ("preferredLanguage", "{{ user.preferred_language }}"),
            ("company", "{{ user.organization_name }}"),
        ],
        // An ordinary account (NORMAL_ACCOUNT).
        initial: &[("userAccountControl", "512")],
    },
    groups: EntryPreset {
        rdn: "cn={{ group.name }}",
        classes: &["top", "group"],
        attributes: &[("sAMAccountName", "{{ group.name | slug | truncate(64) }}")],
        initial: &[GLOBAL_SECURITY_GROUP],
    },
    roles: EntryPreset {
        rdn: "cn={{ role }}",
        classes: &["top", "group"],
        attributes: &[("sAMAccountName", "role-{{ role | slug | truncate(59) }}")],
        initial: &[GLOBAL_SECURITY_GROUP],
    },
    member: "member",
    placeholder: None,
    lock: Lock::AccountControl,
    nul_in_names: false,
    // It enables no account without one.
    first_password: FirstPassword::Random,
};

/// GROUP_TYPE_ACCOUNT_GROUP and GROUP_TYPE_SECURITY_ENABLED.
const GLOBAL_SECURITY_GROUP: (&str, &str) = ("groupType", "-2147483646");

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::compare::Rules;
    use crate::config::Config;
    use crate::mapping::Mapping;

    fn compile(kind: ServerKind, more: Json) -> Result<Mapping, String> {
        let mut config = json!({
            "people": { "base": "ou=people,dc=x" },
            "groups": { "base": "ou=groups,dc=x" },
            "roles": { "base": "ou=roles,dc=x" },
        });
        for (section, keys) in more.as_object().unwrap() {
            match keys.as_object() {
                Some(keys) => {
                    for (key, value) in keys {
                        config[section][key] = value.clone();
                    }
                }
                None => config[section] = keys.clone(),
            }
        }
        let config: Config = serde_json::from_value(config).unwrap();
        Mapping::compile(&config, kind, Rules::default()).map_err(|e| e.to_string())
    }

    /// What was chosen: id, mark, a person's name and last class, lock, placeholder.
    fn chosen(mapping: &Mapping) -> [String; 6] {
        let groups = mapping.groups.as_ref().unwrap();
        [
            mapping.id.name.to_string(),
            mapping.marks.attribute.to_string(),
            ["uid", "cn"]
                .into_iter()
                .find(|name| mapping.people.is_named_by(&(*name).into()))
                .unwrap()
                .to_owned(),
            mapping.people.classes.last().unwrap().clone(),
            mapping.leavers.lock_attribute().unwrap().to_string(),
            groups.placeholder.as_ref().map_or("none".into(), ToString::to_string),
        ]
    }

    #[test]
    fn each_kind_has_its_own_defaults() {
        let of = |kind| chosen(&compile(kind, json!({})).unwrap());
        let standard = [
            "entryUUID",
            "businessCategory",
            "uid",
            "inetOrgPerson",
            "pwdAccountLockedTime",
            "cn=rolecall-placeholder",
        ];
        assert_eq!(of(ServerKind::OpenLdap), standard);
        assert_eq!(of(ServerKind::Generic), standard);
        let ds389 = ["nsUniqueId", "businessCategory", "uid", "inetOrgPerson", "nsAccountLock", "none"];
        assert_eq!(of(ServerKind::Ds389), ds389);
        let active_directory = ["objectGUID", "extensionName", "cn", "user", "userAccountControl", "none"];
        assert_eq!(of(ServerKind::ActiveDirectory), active_directory);
    }

    #[test]
    fn what_is_said_counts_and_the_rest_stays_the_kinds() {
        let said = json!({
            "id_attribute": "entryUUID",
            "people": { "object_classes": ["top", "inetOrgPerson"] },
            "groups": { "placeholder": "cn=nobody" },
        });
        let mapping = compile(ServerKind::ActiveDirectory, said).unwrap();
        let expected =
            ["entryUUID", "extensionName", "cn", "inetOrgPerson", "userAccountControl", "cn=nobody"];
        assert_eq!(chosen(&mapping), expected);
        let none = compile(ServerKind::OpenLdap, json!({ "groups": { "placeholder": null } })).unwrap();
        assert_eq!(chosen(&none)[5], "none");
    }

    #[test]
    fn a_mapping_that_fights_the_kind_is_refused() {
        let flags = json!({ "people": { "attributes": { "userAccountControl": "66048" } } });
        assert!(compile(ServerKind::OpenLdap, flags.clone()).is_ok());
        let error = compile(ServerKind::ActiveDirectory, flags).err().unwrap();
        assert!(
            error.starts_with("people.attributes.userAccountControl: leavers are locked by it"),
            "{error}"
        );
        let error = compile(ServerKind::Ds389, json!({ "people": { "base": null } })).err().unwrap();
        assert!(error.starts_with("people.dn: is missing"), "{error}");
    }
}
