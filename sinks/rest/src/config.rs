//! The configuration of a REST sink, as it is written.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use rolecall_sink_api::tls::Tls;
use rolecall_sink_api::{SecretSource, Timespan};
use rolecall_sink_http::Auth;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// A REST application that is kept in step by one HTTP request per operation.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the application's API is: `https://app.example.com/api/v1`. Paths are appended to it. It holds no
    /// credentials.
    pub base_url: String,
    /// How requests are authenticated. Default: not at all.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// Secrets to sign every change with, as Standard Webhooks are signed (`whsec_…`): the application gets
    /// `webhook-id` (the same for every attempt), `webhook-timestamp` and `webhook-signature`. With two, both
    /// signatures are sent. Default: no signature.
    #[serde(default)]
    pub sign_with: Vec<SecretSource>,
    /// Headers that every request has, as they stand. Secrets belong in `auth`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The longest that one request may take, from connecting to the end of the answer. Default: 30s.
    #[serde(default = "default_timeout")]
    pub timeout: Timespan,
    /// How many requests are under way at once, from 1 to 64. Groups are always done before the users who are
    /// in them, and one entity's requests one after the other. Default: 4.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// How many requests are sent in a second at most, at equal distances. A batch that takes longer than two minutes
    /// then goes on as the next one. Default: as many as the application answers; what it says with 429 and
    /// `Retry-After` is obeyed in any case.
    #[serde(default)]
    pub requests_per_second: Option<NonZeroU32>,
    /// The longest answer that is read, in bytes; more of it is not. Default: 1048576 (1 MiB).
    #[serde(default = "default_max_response_bytes")]
    pub max_response_bytes: usize,
    /// Whom to trust over TLS, and the client certificate. Default: the system's authorities.
    #[serde(default)]
    pub tls: Tls,
    /// A proxy for all requests, as a URL. The environment's `HTTPS_PROXY` is not looked at. Default: none.
    #[serde(default)]
    pub proxy: Option<String>,
    /// Where the answer to a create has the application's own id, as a JSON pointer (RFC 6901): `/data/id`.
    /// From then on it is `{{ remote }}` in templates. Without it the application is addressed by the
    /// source's ids, `{{ user.id }}` and `{{ group.id }}`.
    #[serde(default)]
    pub id: Option<String>,
    /// How to find what the application has already. Asked before every create, and when a request needs
    /// `{{ remote }}` and it is not known. What is found is adopted: look up by a value that only rolecall
    /// writes (`externalId`), unless accounts that others made shall be taken over.
    #[serde(default)]
    pub lookup: LookupConfig,
    /// The path of a GET that tells whether the application is there and accepts the credentials, such as
    /// `/health`. Default: a HEAD of `base_url`, to which any answer but 401, 429 and 503 will do.
    #[serde(default)]
    pub probe: Option<String>,
    /// The requests. What is left out is not told to the application.
    pub operations: OperationsConfig,
}

/// How to find what the application has already.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LookupConfig {
    /// How to find a user.
    pub user: Option<FindConfig>,
    /// How to find a group.
    pub group: Option<FindConfig>,
}

/// A GET whose answer has the application's own id.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindConfig {
    /// The path and query, a template: `/users?externalId={{ user.id }}`.
    pub path: String,
    /// Where the answer has the id, as a JSON pointer: `/items/0/id`. When nothing is there, or the answer is
    /// 404, the application does not have it.
    pub id: String,
}

/// The requests, each optional.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OperationsConfig {
    /// Makes a user. Without it, `user_update` makes users too (an upsert).
    pub user_create: Option<OperationConfig>,
    /// Brings a user's attributes up to date. Sent when it says something else than the last time.
    pub user_update: Option<OperationConfig>,
    /// Takes a user's access away. Without it `user_update` is sent, with `user.active` false, or else
    /// `user_delete`.
    pub user_deactivate: Option<OperationConfig>,
    /// Gives a deactivated user access again. Without it, `user_update` is sent.
    pub user_reactivate: Option<OperationConfig>,
    /// Removes a user. Without it a user who goes is deactivated.
    pub user_delete: Option<OperationConfig>,
    /// Ends a user's sessions. Sent after their access was taken away, or before they are removed. 404 counts as
    /// done. When it is refused, the rest is done all the same, and then the change is rejected.
    pub session_revoke: Option<OperationConfig>,
    /// Makes a group. Without it, `group_update` makes groups too (an upsert).
    pub group_create: Option<OperationConfig>,
    /// Brings a group's attributes up to date. Sent when it says something else than the last time.
    pub group_update: Option<OperationConfig>,
    /// Removes a group.
    pub group_delete: Option<OperationConfig>,
    /// Puts a user into a group: `group.id`, `group.name` and `group.remote` say which. 409 counts as done.
    pub member_add: Option<OperationConfig>,
    /// Takes a user out of a group. 404 counts as done.
    pub member_remove: Option<OperationConfig>,
    /// Gives a user a role: `role` says which. 409 counts as done.
    pub role_grant: Option<OperationConfig>,
    /// Takes a role from a user. 404 counts as done.
    pub role_revoke: Option<OperationConfig>,
}

/// One request.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperationConfig {
    /// The method.
    pub method: Method,
    /// The path and query, a template appended to `base_url`: `/users/{{ user.id }}`. What stands in braces is
    /// percent-encoded and cannot be empty, `.` or `..`. It has no `{% %}` blocks.
    pub path: String,
    /// More headers, templates.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body: any YAML, sent as JSON. Every string in it, names of fields too, is a template; one that is a single
    /// `{{ expression }}` keeps its type, so `{{ user.roles }}` is a list and `{{ user.title }}` is `null` when
    /// there is none. Default: no body.
    #[serde(default)]
    pub body: Option<Value>,
}

/// A request's method (RFC 9110, RFC 5789).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET, for applications that change things by it.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

fn default_timeout() -> Timespan {
    Timespan::from_secs(30)
}

fn default_concurrency() -> usize {
    4
}

fn default_max_response_bytes() -> usize {
    1024 * 1024
}
