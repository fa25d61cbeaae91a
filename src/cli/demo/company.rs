//! The cast: two companies, their groups and their people, and what is to be true of each at the end.

use std::collections::BTreeSet;
use std::fmt;

/// A company, with its directory at the identity provider.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Company {
    pub(super) name: &'static str,
    pub(super) organization: &'static str,
    pub(super) directory: &'static str,
    pub(super) provider: &'static str,
}

/// A group of a company.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) company: &'static Company,
}

/// A person, as they are all day.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) id: &'static str,
    pub(super) given_name: &'static str,
    pub(super) family_name: &'static str,
    pub(super) email: &'static str,
    /// The identity provider's own id.
    pub(super) provider_id: &'static str,
    pub(super) company: &'static Company,
}

impl Person {
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.given_name, self.family_name)
    }
}

/// The larger company. Its events come in the documented shape.
pub(super) static ACME: Company =
    Company { name: "Acme", organization: "org_11001", directory: "dir_12001", provider: "OKTA" };
/// The smaller one. Its events come in the simple shape.
pub(super) static BRIGHTLAB: Company =
    Company { name: "Brightlab", organization: "org_11002", directory: "dir_12002", provider: "GOOGLE" };

pub(super) static ENGINEERING: Group = Group { id: "dirgroup_14001", name: "Engineering", company: &ACME };
pub(super) static ON_CALL: Group = Group { id: "dirgroup_14002", name: "platform-on-call", company: &ACME };
pub(super) static FINANCE: Group = Group { id: "dirgroup_14003", name: "Finance", company: &ACME };
pub(super) static ADMINS: Group = Group { id: "dirgroup_14004", name: "Admins", company: &ACME };
pub(super) static BRIGHTLAB_ADMINS: Group =
    Group { id: "dirgroup_14005", name: "Admins", company: &BRIGHTLAB };

pub(super) static MARIA: Person = Person {
    id: "diruser_13001",
    given_name: "Maria",
    family_name: "Lopez",
    email: "maria.lopez@acme.example",
    provider_id: "00u1acme0MariaLopez",
    company: &ACME,
};
pub(super) static ZOE: Person = Person {
    id: "diruser_13002",
    given_name: "Zoë",
    family_name: "Weber",
    email: "zoe.weber@acme.example",
    provider_id: "00u1acme0ZoeWeber",
    company: &ACME,
};
pub(super) static PRIYA: Person = Person {
    id: "diruser_13003",
    given_name: "Priya",
    family_name: "Nair",
    email: "priya.nair@acme.example",
    provider_id: "00u1acme0PriyaNair",
    company: &ACME,
};
pub(super) static OMAR: Person = Person {
    id: "diruser_13004",
    given_name: "Omar",
    family_name: "Haddad",
    email: "omar.haddad@acme.example",
    provider_id: "00u1acme0OmarHaddad",
    company: &ACME,
};
pub(super) static NOOR: Person = Person {
    id: "diruser_13005",
    given_name: "Noor",
    family_name: "Aziz",
    email: "noor.aziz@brightlab.example",
    provider_id: "117005",
    company: &BRIGHTLAB,
};
pub(super) static TOM: Person = Person {
    id: "diruser_13006",
    given_name: "Tom",
    family_name: "Reed",
    email: "tom.reed@brightlab.example",
    provider_id: "117006",
    company: &BRIGHTLAB,
};

/// Whether somebody may use a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// They are there and may.
    Active,
    /// They are there and may not.
    Inactive,
    /// They are not there, or are marked as gone.
    Gone,
}

/// How somebody stands in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) access: Access,
    pub(super) roles: BTreeSet<String>,
}

impl Standing {
    pub(super) fn new<'r>(access: Access, roles: impl IntoIterator<Item = &'r str>) -> Self {
        Self { access, roles: roles.into_iter().map(str::to_owned).collect() }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = match self.access {
            Access::Active => "active",
            Access::Inactive => "inactive",
            Access::Gone => "gone",
        };
        let roles: Vec<&str> = self.roles.iter().map(String::as_str).collect();
        let roles = if roles.is_empty() { "no role".into() } else { roles.join(", ") };
        write!(f, "{access} ({roles})")
    }
}

/// How everybody has to stand in every store when the day is over. Written down by hand, so that the demo
/// does not check rolecall by rolecall.
pub(super) fn end_of_day() -> Vec<(&'static Person, Standing)> {
    use Access::{Active, Gone, Inactive};
    vec![
        (&MARIA, Standing::new(Active, ["member", "developer", "deployer"])),
        (&ZOE, Standing::new(Active, ["member", "developer", "deployer"])),
        (&PRIYA, Standing::new(Active, ["member", "developer"])),
        (&OMAR, Standing::new(Inactive, [])),
        (&NOOR, Standing::new(Active, ["member"])),
        (&TOM, Standing::new(Gone, [])),
    ]
}
