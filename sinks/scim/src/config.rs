//! The configuration of a SCIM sink, as it is written.

use std::collections::BTreeMap;

use rolecall_sink_api::Timespan;
use rolecall_sink_api::tls::Tls;
use rolecall_sink_http::Auth;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// An application that speaks SCIM 2.0 (RFC 7643, RFC 7644). It wants a URL and a token; all else has a default
/// or is asked of the application.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the application's SCIM interface is: `https://app.example.com/scim/v2`. `/Users` and the like are
    /// appended to it. It holds no credentials.
    pub base_url: String,
    /// How requests are authenticated; usually a bearer token. Default: not at all.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// Headers that every request has, as they stand. Secrets belong in `auth`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The longest that one request may take, from connecting to the end of the answer. Default: 30s.
    #[serde(default = "default_timeout")]
    pub timeout: Timespan,
    /// How many requests are under way at once, from 1 to 64. Groups are always done before the users who are
    /// in them. Default: 4.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// The longest answer that is read, in bytes. A page of groups comes with their members.
    /// Default: 16777216 (16 MiB).
    #[serde(default = "default_max_response_bytes")]
    pub max_response_bytes: usize,
    /// Whom to trust over TLS, and the client certificate. Default: the system's authorities.
    #[serde(default)]
    pub tls: Tls,
    /// A proxy for all requests, as a URL. The environment's `HTTPS_PROXY` is not looked at. Default: none.
    #[serde(default)]
    pub proxy: Option<String>,
    /// Whether changes are sent many at once. Default: offered.
    #[serde(default)]
    pub bulk: Bulk,
    /// The users.
    #[serde(default)]
    pub users: Users,
    /// The groups; null leaves groups out. Default: as below.
    #[serde(default = "default_groups")]
    pub groups: Option<Groups>,
    /// The roles; null leaves roles out. Default: as below.
    #[serde(default = "default_roles")]
    pub roles: Option<Roles>,
    /// What becomes of people who leave.
    #[serde(default)]
    pub leavers: Leavers,
}

/// Whether changes are sent many at once, as bulk requests (RFC 7644 §3.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bulk {
    /// Where the application says that it offers that, within the limits that it names.
    #[default]
    Offered,
    /// Never.
    Never,
}

/// Attributes of a resource under SCIM's names: for each, any YAML, whose strings are templates; one that is a
/// single `{{ expression }}` keeps its type. What comes out empty is absent. An extension's attributes stand below
/// its URN.
///
/// What is given here is added to the defaults; an attribute set to null is not touched at all.
pub type AttributeTemplates = BTreeMap<String, Value>;

/// How a user becomes a SCIM User (RFC 7643 §4.1).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Users {
    /// The `externalId`, a template, by which the sink finds its own users again: whoever has it there is taken
    /// to be the user. Default: `{{ user.id }}`, the source's id, which nobody else writes.
    pub external_id: String,
    /// What to do when somebody else's account has the user's `userName`. Default: refuse.
    pub on_existing: OnExisting,
    /// The attributes. Only these, and `active`, are ever written. Default: userName (the user name, or else the
    /// email address), displayName, name, nickName, profileUrl, title, userType, preferredLanguage, locale,
    /// timezone, emails, phoneNumbers, photos, addresses, and the enterprise extension's employeeNumber,
    /// costCenter, organization, division and department; all but `userName` only where the application's schema
    /// has them.
    pub attributes: AttributeTemplates,
}

impl Default for Users {
    fn default() -> Self {
        Self {
            external_id: "{{ user.id }}".into(),
            on_existing: OnExisting::default(),
            attributes: AttributeTemplates::new(),
        }
    }
}

/// How a group becomes a SCIM Group (RFC 7643 §4.2). Its `externalId` is the source's id of the group. Members
/// come and go one by one: those that others put there stay.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Groups {
    /// What to do when somebody else's group has the group's `displayName`. Default: refuse, which here means to
    /// leave it alone and to make another one, if the application allows two of a name.
    pub on_existing: OnExisting,
    /// The attributes. Default: displayName, the group's name.
    pub attributes: AttributeTemplates,
}

/// How roles show: as values of an attribute of the user.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Roles {
    /// The multi-valued attribute that holds the names of the roles, each as the `value` of an item: `roles` or
    /// `entitlements`. Values that others put there stay. Default: roles.
    pub attribute: String,
}

impl Default for Roles {
    fn default() -> Self {
        Self { attribute: "roles".into() }
    }
}

/// What to do with a resource that is there already and not the sink's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnExisting {
    /// Leave it alone; the change is refused, and a person decides.
    #[default]
    Refuse,
    /// Make it the sink's own, if it has no `externalId`, or the one that the identity provider itself gave the
    /// user or group: it gets the sink's `externalId` and the mapped attributes, and goes when its user or group
    /// goes.
    Adopt,
}

/// What becomes of people who leave. They never hold roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Leavers {
    /// What happens to a user who is not active any more. Default: deactivate.
    pub on_deactivate: OnDeactivate,
    /// What happens to a user who is gone. Default: delete.
    pub on_delete: OnDelete,
}

/// What happens to a user who is not active any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDeactivate {
    /// They get `active: false`, and lose their roles.
    #[default]
    Deactivate,
    /// They are deleted, and made again when they come back.
    Delete,
}

/// What happens to a user who is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDelete {
    /// They are deleted.
    #[default]
    Delete,
    /// They get `active: false`, lose their roles and leave their groups.
    Deactivate,
}

fn default_timeout() -> Timespan {
    Timespan::from_secs(30)
}

fn default_concurrency() -> usize {
    4
}

fn default_max_response_bytes() -> usize {
    16 * 1024 * 1024
}

// serde's `default` wants the field's own type.
fn default_groups() -> Option<Groups> {
    Some(Groups::default())
}

fn default_roles() -> Option<Roles> {
    Some(Roles::default())
}
