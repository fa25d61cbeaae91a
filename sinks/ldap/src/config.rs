//! The configuration of an LDAP sink.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rolecall_sink_api::tls::Tls;
use rolecall_sink_api::{SecretSource, Timespan};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// Keeps people, groups and roles in an LDAP directory server, or writes what it would do there to an LDIF file.
///
/// One of `url`, `urls` and `ldif` says where to.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server: `ldap://host[:port]`, `ldaps://host[:port]`, or `ldapi://%2Frun%2Fldapi` for a Unix socket
    /// with its path percent-encoded.
    #[serde(default)]
    pub url: Option<String>,
    /// Several servers of one directory, tried in this order whenever a connection is made.
    #[serde(default)]
    pub urls: Vec<String>,
    /// A file to write LDIF change records (RFC 2849) to, instead of a server.
    #[serde(default)]
    pub ldif: Option<Ldif>,
    /// Whether an `ldap://` connection is turned into a TLS connection before anything else is sent (StartTLS,
    /// RFC 4511 §4.14). Default: false.
    #[serde(default)]
    pub start_tls: bool,
    /// Whom to trust and who we are, for `ldaps://` and `start_tls`.
    #[serde(default)]
    pub tls: Tls,
    /// As whom to bind. Without it, the sink is anonymous.
    #[serde(default)]
    pub bind: Option<Bind>,
    /// Allows the password to go over a connection that anybody on the way can read. Default: false, and then a
    /// password with a plain `ldap://` is refused at start.
    #[serde(default)]
    pub allow_plaintext_password: bool,
    /// How long to wait for a connection, with TLS and bind. Default: 10s.
    #[serde(default = "ten_seconds")]
    pub connect_timeout: Timespan,
    /// How long to wait for the answer to one operation. Default: 30s.
    #[serde(default = "thirty_seconds")]
    pub operation_timeout: Timespan,
    /// How many operations may wait for their answers at once on the connection, 1 to 256. Default: 16.
    #[serde(default = "sixteen")]
    pub in_flight: u16,
    /// Servers that a referral may be followed to. Without it, referrals are not followed.
    #[serde(default)]
    pub referrals: Referrals,
    /// Which kind of server it is: its defaults apply wherever the configuration does not say otherwise. Default:
    /// detect, which asks the server.
    #[serde(default)]
    pub flavour: Flavour,
    /// How many values one modification of a group adds or removes at most, 1 to 10000: servers limit the size of
    /// a request. Default: 1000.
    #[serde(default = "thousand")]
    pub members_per_modify: u16,
    /// The attribute with the server's own id of an entry, which ties entry and user together so that a rename
    /// by an administrator breaks nothing. Where entries have none, the DN is the tie. Default: entryUUID (RFC
    /// 4530), nsUniqueId on 389 Directory Server, objectGUID in Active Directory.
    #[serde(default)]
    pub id_attribute: Option<String>,
    /// How the sink marks what it made.
    #[serde(default)]
    pub marker: Marker,
    /// The people.
    pub people: People,
    /// The groups. Without this section groups are left out.
    #[serde(default)]
    pub groups: Option<Groups>,
    /// The roles. Without this section roles are left out.
    #[serde(default)]
    pub roles: Option<Roles>,
    /// What becomes of people who leave.
    #[serde(default)]
    pub leavers: Leavers,
}

/// A kind of server, and what is assumed of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Flavour {
    /// Whatever the server's root DSE shows it to be. For an LDIF file it is `generic`.
    #[default]
    Detect,
    /// OpenLDAP.
    #[serde(rename = "openldap")]
    OpenLdap,
    /// 389 Directory Server, Red Hat Directory Server.
    #[serde(rename = "389ds")]
    Ds389,
    /// Active Directory, and Samba as a domain controller.
    ActiveDirectory,
    /// Any other: as with OpenLDAP.
    Generic,
}

/// Where a server may refer to, as read-only replicas do with every write.
///
/// The whole batch goes to the server that is named, and further ones stay there until that connection ends.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Referrals {
    /// The servers that may be referred to, as URLs like those in `urls`. A referral counts by its host: how that
    /// is spoken to, this list says, so that a referral never brings a password into the clear. Default: none.
    pub follow_to: Vec<String>,
    /// How many referrals one after the other are followed, 1 to 10. Default: 3.
    pub hops: u8,
}

impl Default for Referrals {
    fn default() -> Self {
        Self { follow_to: Vec::new(), hops: 3 }
    }
}

/// An LDIF file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ldif {
    /// The file. It is made when it is missing and appended to otherwise; each batch is on the disk before its
    /// outcome is reported. At start the sink reads it back to know what it has written.
    pub path: PathBuf,
}

/// As whom the sink binds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bind {
    /// How. Default: simple.
    #[serde(default)]
    pub method: BindMethod,
    /// The DN to bind as, for `simple`.
    #[serde(default)]
    pub dn: Option<String>,
    /// Its password, for `simple`. It is read anew for every connection, so it may be changed while rolecall
    /// runs.
    #[serde(default)]
    pub password: Option<SecretSource>,
}

/// How the sink proves who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BindMethod {
    /// DN and password.
    #[default]
    Simple,
    /// SASL EXTERNAL: by the client certificate (`tls.certificate`), or by the Unix user over `ldapi://`.
    External,
}

/// How the sink marks what it made, so that it knows its own entries when the daemon's memory of them is lost.
///
/// Each entry gets one value `<prefix>:user:<id>`, `<prefix>:group:<id>` or `<prefix>:role:<name>`. The
/// attribute is one that may hold several values: those of others stay. An equality index for it makes new
/// users fast on large directories.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Marker {
    /// The attribute. Default: businessCategory, because inetOrgPerson, groupOfNames and groupOfUniqueNames all
    /// allow it without further schema, it takes several values, and hardly anybody uses it. In Active Directory
    /// extensionName, which every class there allows.
    pub attribute: Option<String>,
    /// The beginning of every value. Two installations that share a directory need different ones.
    /// Default: rolecall.
    pub prefix: String,
}

impl Default for Marker {
    fn default() -> Self {
        Self { attribute: None, prefix: "rolecall".into() }
    }
}

/// What to do with an entry that stands where one should be made, and that the sink did not make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnExisting {
    /// Leave it alone; the change is refused, and a person decides.
    #[default]
    Refuse,
    /// Make it the sink's own: it gets the marker and the mapped attributes, and goes when its user or group
    /// goes.
    Adopt,
}

/// Attributes of an entry: for each, one template or a list of them. A template that is one expression and
/// gives a list gives all of its values. Values that come out empty are absent.
///
/// What is given here is added to the defaults; an attribute set to null is not touched at all.
pub type AttributeTemplates = BTreeMap<String, Option<AttributeTemplate>>;

/// One template, or several for an attribute with several values.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AttributeTemplate {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// How a user becomes an entry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct People {
    /// The DN, as a template: `uid={{ user.user_name }},ou=people,dc=example,dc=com`. What stands in the braces
    /// is escaped (RFC 4514). A change of it renames the entry, or moves it. Default: `uid=`, in Active Directory
    /// `cn=`, with the user name or email address, below `base`.
    #[serde(default)]
    pub dn: Option<String>,
    /// Where to look for people. Default: the end of `dn` that is the same for everybody.
    #[serde(default)]
    pub base: Option<String>,
    /// The object classes of new entries. Those that an existing entry has besides stay.
    /// Default: top, person, organizationalPerson, inetOrgPerson; in Active Directory user instead of the last.
    #[serde(default)]
    pub object_classes: Option<Vec<String>>,
    /// The attributes. Only these are ever written. Default: cn, sn, givenName, displayName, mail,
    /// telephoneNumber, title, departmentNumber, employeeNumber, employeeType, preferredLanguage and o. In Active
    /// Directory sAMAccountName, userPrincipalName, department and company instead of cn, departmentNumber and o.
    #[serde(default)]
    pub attributes: AttributeTemplates,
    /// Whether a new account gets a password. Default: none; in Active Directory random, because no account can be
    /// enabled there without one.
    #[serde(default)]
    pub first_password: Option<FirstPassword>,
    /// What to do with an entry that is there already and not the sink's. Default: refuse.
    #[serde(default)]
    pub on_existing: OnExisting,
}

/// Whether a new account gets a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FirstPassword {
    /// It gets none: nobody can sign in with one until somebody sets it.
    None,
    /// It gets a long random one that nobody knows, set in the way that the server wants it: `unicodePwd` in Active
    /// Directory, the password modify operation (RFC 3062) elsewhere. It is kept nowhere.
    Random,
}

/// How a group becomes an entry. Its members are the users' entries; members that others put there and that are
/// not the sink's people stay.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    /// The DN, as a template: `cn={{ group.name }},ou=groups,dc=example,dc=com`. Names are not unique across
    /// organizations: use `group.id` as well where that can happen. Default: `cn=`, with the group's name, below
    /// `base`.
    #[serde(default)]
    pub dn: Option<String>,
    /// Where to look for groups. Default: the end of `dn` that is the same for all.
    #[serde(default)]
    pub base: Option<String>,
    /// The object classes of new entries. Default: top, groupOfNames; in Active Directory top, group.
    #[serde(default)]
    pub object_classes: Option<Vec<String>>,
    /// The attributes. Default: cn, the group's name; in Active Directory sAMAccountName, made from it.
    #[serde(default)]
    pub attributes: AttributeTemplates,
    /// The attribute with the members. Default: member.
    #[serde(default)]
    pub member_attribute: Option<String>,
    /// What a member's value is. Default: uid for memberUid, and dn for every other attribute.
    #[serde(default)]
    pub member_value: Option<MemberValue>,
    /// A DN that stands in for members in a group without any, because groupOfNames must have one. It leaves
    /// when a member comes. It had better be nobody's: whoever has this DN is in every empty group. Null for
    /// classes that may be empty. Default: cn=rolecall-placeholder; null on 389 Directory Server and in Active
    /// Directory, where groups may be empty.
    #[serde(default, deserialize_with = "said")]
    #[schemars(with = "Option<String>")]
    pub placeholder: Option<Option<String>>,
    /// What to do with an entry that is there already and not the sink's. Default: refuse.
    #[serde(default)]
    pub on_existing: OnExisting,
}

/// What stands for a person in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberValue {
    /// The DN of their entry, as in groupOfNames (`member`) and groupOfUniqueNames (`uniqueMember`).
    Dn,
    /// Their uid, as in posixGroup (`memberUid`). Such groups may be empty and get no placeholder.
    Uid,
}

/// How a role shows: as membership in a group of its own, as a value of an attribute of the person, or both.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// The DN of a role's group, as a template: `cn={{ role }},ou=roles,dc=example,dc=com`. The group is made
    /// when the first user gets the role, and stays. Default: `cn=`, with the role's name, below `base`. Without
    /// either there are no role groups.
    #[serde(default)]
    pub dn: Option<String>,
    /// Where to look for role groups. Default: the end of `dn` that is the same for all.
    #[serde(default)]
    pub base: Option<String>,
    /// The object classes of new role groups. Default: top, groupOfNames; in Active Directory top, group.
    #[serde(default)]
    pub object_classes: Option<Vec<String>>,
    /// The attributes of a role group; the variable is `role`. Default: cn, the role's name; in Active Directory
    /// sAMAccountName, made from it.
    #[serde(default)]
    pub attributes: AttributeTemplates,
    /// The attribute with the members. Default: member.
    #[serde(default)]
    pub member_attribute: Option<String>,
    /// What a member's value is. Default: uid for memberUid, and dn for every other attribute.
    #[serde(default)]
    pub member_value: Option<MemberValue>,
    /// As in `groups`.
    #[serde(default, deserialize_with = "said")]
    #[schemars(with = "Option<String>")]
    pub placeholder: Option<Option<String>>,
    /// What to do with a group that is there already and not the sink's. Adopting one only adds the marker and
    /// members. Default: refuse.
    #[serde(default)]
    pub on_existing: OnExisting,
    /// The attribute of the person that holds the names of their roles, each a value of its own. The sink owns
    /// all its values. Default: none.
    #[serde(default)]
    pub attribute: Option<String>,
}

/// What becomes of people who leave. They never hold roles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Leavers {
    /// What happens to the entry of a user who is not active any more. When they are active again, exactly that
    /// is undone. Default: lock.
    pub on_deactivate: OnDeactivate,
    /// What happens to the entry of a user who is gone. Default: delete.
    pub on_delete: OnDelete,
    /// Whether an inactive user also leaves all groups. Default: false, and the groups are those of the source.
    pub strip_groups: bool,
}

/// What happens to the entry of a user who is not active any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDeactivate {
    /// It is locked for good, as the server does it: `pwdAccountLockedTime: 000001010000Z`, which the password
    /// policy overlay of OpenLDAP heeds; `nsAccountLock: true` on 389 Directory Server; the bit for a disabled
    /// account in `userAccountControl` in Active Directory, where the other bits stay.
    #[default]
    Lock,
    /// These attributes get these values, which are templates. When the user is active again they get what the
    /// mapping says, or go when it says nothing.
    Attributes(BTreeMap<String, AttributeTemplate>),
    /// It is deleted.
    Delete,
}

/// What happens to the entry of a user who is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDelete {
    /// It is deleted, after it left its groups.
    #[default]
    Delete,
    /// It is treated as an inactive user's, leaves all groups, and stays.
    Deactivate,
}

fn ten_seconds() -> Timespan {
    Timespan::from_secs(10)
}

fn thirty_seconds() -> Timespan {
    Timespan::from_secs(30)
}

fn sixteen() -> u16 {
    16
}

fn thousand() -> u16 {
    1000
}

/// Tells what is left out (`None`) from what is said to be nothing (`Some(None)`).
fn said<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}
