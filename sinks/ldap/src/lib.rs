//! rolecall's LDAP sink: people, groups and roles in a directory server, or as LDIF change records.
//!
//! ```yaml
//! url: ldaps://ldap.example.com
//! bind: { dn: "cn=rolecall,ou=services,dc=example,dc=com", password: { credential: ldap } }
//! people: { dn: "uid={{ user.user_name | lower }},ou=people,dc=example,dc=com" }
//! groups: { dn: "cn={{ group.name }},ou=groups,dc=example,dc=com" }
//! roles: { dn: "cn={{ role }},ou=roles,dc=example,dc=com" }
//! ```
//!
//! # What a server is
//! OpenLDAP, 389 Directory Server, Active Directory or another, as its root DSE shows. The configuration is compiled for
//! the kind: what it leaves out, `preset` has a table of; and values are compared by the server's own schema. So the
//! mapping belongs to a connection. Nothing above `pool` knows how it came about.
//!
//! # How an entry is known
//! By the server's own id of it (entryUUID, nsUniqueId, objectGUID), which the daemon keeps, and by the sink's mark in it. An entry with
//! neither was made by somebody else and is left alone, unless the configuration says to adopt it. So an
//! administrator may rename or move an entry, and a daemon that lost its memory finds its entries again. The entry
//! comes back under the name that the mapping gives it with the user's next change.
//!
//! # What is written
//! Only what the configuration maps, and of that only what differs by the attribute's matching rule. A user's
//! memberships in the sink's groups are exactly those of their document; members that are not the sink's people
//! are never touched.
//!
//! # Groups and their members may come in any order
//! A user's document names its groups. While one of them is not in the directory, the user's change is answered
//! with `Retry`, everything else of it done; when the group's own change has come, the next attempt puts the user
//! in. The group is not made from the name in the user's document, because a group that is not there yet cannot be
//! told from one that went a moment ago. The groups of roles come with the first user who has the role.

mod access;
mod batch;
mod check;
mod compare;
mod config;
mod connection;
mod directory;
mod dn;
mod entry;
mod groups;
mod id;
mod ldif;
mod leavers;
mod lock;
mod mapping;
mod mappings;
mod mark;
mod member;
mod members;
mod memberships;
mod observe;
mod outcome;
mod password;
mod people;
mod plan;
mod pool;
mod preset;
mod query;
mod ranges;
mod request;
mod right;
mod root_dse;
mod schema;
mod server_kind;
mod sink;
mod template;
mod tie;
mod upsert;
mod url;
mod windows;
mod work;

pub use config::{
    AttributeTemplate, AttributeTemplates, Bind, BindMethod, Config, FirstPassword, Flavour, Groups, Ldif,
    Leavers, Marker, MemberValue, OnDeactivate, OnDelete, OnExisting, People, Referrals, Roles,
};
pub use sink::LdapSink;
