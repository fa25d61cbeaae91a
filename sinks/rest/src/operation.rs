//! The configured requests, compiled.

use std::fmt;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use rolecall_sink_api::template::{Escape, Template, Variables};
use rolecall_sink_api::{ConfigError, EntityKind};
use rolecall_sink_http::{Body, Request, header_name};
use serde::Serialize;
use serde_json::Value;

use crate::config::{OperationConfig, OperationsConfig};
use crate::path::Path;

/// Which of the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    UserCreate,
    UserUpdate,
    UserDeactivate,
    UserReactivate,
    UserDelete,
    SessionRevoke,
    GroupCreate,
    GroupUpdate,
    GroupDelete,
    MemberAdd,
    MemberRemove,
    RoleGrant,
    RoleRevoke,
}

impl Kind {
    const ALL: [Kind; 13] = [
        Kind::UserCreate,
        Kind::UserUpdate,
        Kind::UserDeactivate,
        Kind::UserReactivate,
        Kind::UserDelete,
        Kind::SessionRevoke,
        Kind::GroupCreate,
        Kind::GroupUpdate,
        Kind::GroupDelete,
        Kind::MemberAdd,
        Kind::MemberRemove,
        Kind::RoleGrant,
        Kind::RoleRevoke,
    ];

    /// The key in the configuration.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::UserCreate => "user_create",
            Kind::UserUpdate => "user_update",
            Kind::UserDeactivate => "user_deactivate",
            Kind::UserReactivate => "user_reactivate",
            Kind::UserDelete => "user_delete",
            Kind::SessionRevoke => "session_revoke",
            Kind::GroupCreate => "group_create",
            Kind::GroupUpdate => "group_update",
            Kind::GroupDelete => "group_delete",
            Kind::MemberAdd => "member_add",
            Kind::MemberRemove => "member_remove",
            Kind::RoleGrant => "role_grant",
            Kind::RoleRevoke => "role_revoke",
        }
    }

    /// Whether it is about a user or a group.
    pub(crate) fn entity(self) -> EntityKind {
        match self {
            Kind::GroupCreate | Kind::GroupUpdate | Kind::GroupDelete => EntityKind::Group,
            _ => EntityKind::User,
        }
    }

    /// What its templates may name, without `remote`.
    fn variables(self) -> Variables {
        match self {
            Kind::GroupCreate | Kind::GroupUpdate | Kind::GroupDelete => Variables::group(),
            Kind::MemberAdd | Kind::MemberRemove => {
                Variables::user().and(Variables::new(["group.id", "group.name", "group.remote"]))
            }
            Kind::RoleGrant | Kind::RoleRevoke => Variables::user().and(Variables::new(["role"])),
            _ => Variables::user(),
        }
    }

    fn config(self, operations: &OperationsConfig) -> Option<&OperationConfig> {
        match self {
            Kind::UserCreate => operations.user_create.as_ref(),
            Kind::UserUpdate => operations.user_update.as_ref(),
            Kind::UserDeactivate => operations.user_deactivate.as_ref(),
            Kind::UserReactivate => operations.user_reactivate.as_ref(),
            Kind::UserDelete => operations.user_delete.as_ref(),
            Kind::SessionRevoke => operations.session_revoke.as_ref(),
            Kind::GroupCreate => operations.group_create.as_ref(),
            Kind::GroupUpdate => operations.group_update.as_ref(),
            Kind::GroupDelete => operations.group_delete.as_ref(),
            Kind::MemberAdd => operations.member_add.as_ref(),
            Kind::MemberRemove => operations.member_remove.as_ref(),
            Kind::RoleGrant => operations.role_grant.as_ref(),
            Kind::RoleRevoke => operations.role_revoke.as_ref(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One request, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) method: http::Method,
    path: Path,
    headers: Vec<(HeaderName, Template)>,
    body: Option<Body>,
    /// Whether a template names `remote`.
    pub(crate) needs_remote: bool,
    /// Whether a template names `group.remote`.
    pub(crate) needs_group_remote: bool,
}

/// A request with its values in place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rendered {
    pub(crate) method: http::Method,
    /// Below the base URL.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Value>,
}

impl Rendered {
    /// A GET with nothing else to it.
    pub(crate) fn get(path: String) -> Self {
        Self { method: http::Method::GET, path, headers: HeaderMap::new(), body: None }
    }

    /// The request as it is sent.
    pub(crate) fn request(&self) -> Request {
        Request {
            method: self.method.clone(),
            path: self.path.clone(),
            headers: self.headers.clone(),
            body: self.body.as_ref().map(|body| body.to_string().into_bytes()),
            // Every request that changes something carries an idempotency key.
            repeatable: true,
        }
    }
}

impl Operation {
    /// The path's template as it was written.
    pub(crate) fn path_source(&self) -> &str {
        self.path.source()
    }

    fn compile(kind: Kind, config: &OperationConfig) -> Result<Self, ConfigError> {
        let at = |key: &str| format!("operations.{kind}.{key}");
        let variables = kind.variables().and(Variables::new(["remote"]));
        let path = Path::parse(&config.path, &variables).map_err(|e| ConfigError::new(at("path"), e))?;
        let mut headers = Vec::new();
        for (name, source) in &config.headers {
            let key = at(&format!("headers.{name}"));
            let name = header_name(name).map_err(|e| ConfigError::new(&key, e))?;
            let template = Template::parse(source, Escape::None, &variables)
                .map_err(|e| ConfigError::new(&key, e.to_string()))?;
            headers.push((name, template));
        }
        let body =
            config.body.as_ref().map(|value| Body::compile(value, &variables, &at("body"))).transpose()?;
        let names = |without: &Variables| names_more_than(config, without);
        let of_member = matches!(kind, Kind::MemberAdd | Kind::MemberRemove);
        let known = Variables::user().and(Variables::new(["group.id", "group.name", "remote"]));
        Ok(Self {
            method: match config.method {
                crate::config::Method::Get => http::Method::GET,
                crate::config::Method::Post => http::Method::POST,
                crate::config::Method::Put => http::Method::PUT,
                crate::config::Method::Patch => http::Method::PATCH,
                crate::config::Method::Delete => http::Method::DELETE,
            },
            path,
            headers,
            body,
            needs_remote: names(&kind.variables()),
            needs_group_remote: of_member && names(&known),
        })
    }

    /// The request for these values.
    ///
    /// # Errors
    /// When a template cannot be evaluated with them, the path lacks a part, or a header would break out of
    /// its line.
    pub(crate) fn render(&self, context: &impl Serialize) -> Result<Rendered, String> {
        let path = self.path.render(context)?;
        let body = self.body.as_ref().map(|body| body.render(context)).transpose();
        let body = body.map_err(|e| format!("body: {e}"))?;
        let mut headers = HeaderMap::new();
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, template) in &self.headers {
            let text = template.render(context).map_err(|e| format!("header {name}: {e}"))?;
            let value = HeaderValue::from_bytes(text.as_bytes())
                .map_err(|_| format!("header {name}: the value has a line break or control character"))?;
            headers.insert(name.clone(), value);
        }
        Ok(Rendered { method: self.method.clone(), path, headers, body })
    }
}

/// The configured requests.
#[derive(Clone, Debug)]
pub(crate) struct Operations(Vec<(Kind, Operation)>);

impl Operations {
    /// Compiles all of them.
    ///
    /// # Errors
    /// When a template is wrong, or something could be given that could never be taken away.
    pub(crate) fn compile(config: &OperationsConfig) -> Result<Self, ConfigError> {
        let mut compiled = Vec::new();
        for kind in Kind::ALL {
            if let Some(operation) = kind.config(config) {
                compiled.push((kind, Operation::compile(kind, operation)?));
            }
        }
        let operations = Self(compiled);
        if operations.0.is_empty() {
            return Err(ConfigError::new("operations", "is empty: the application would be told nothing"));
        }
        operations.must_be_revocable()?;
        Ok(operations)
    }

    /// The request, where it is configured.
    pub(crate) fn get(&self, kind: Kind) -> Option<&Operation> {
        self.0.iter().find(|(other, _)| *other == kind).map(|(_, operation)| operation)
    }

    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.get(kind).is_some()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Kind, Operation)> {
        self.0.iter()
    }

    /// Whether users, or groups, are addressed by the application's own id.
    pub(crate) fn need_remote(&self, entity: EntityKind) -> bool {
        self.0.iter().any(|(kind, operation)| kind.entity() == entity && operation.needs_remote)
    }

    fn must_be_revocable(&self) -> Result<(), ConfigError> {
        let gives_and_takes: [(Kind, &[Kind]); 3] = [
            (Kind::UserCreate, &[Kind::UserDelete, Kind::UserDeactivate, Kind::UserUpdate]),
            (Kind::MemberAdd, &[Kind::MemberRemove]),
            (Kind::RoleGrant, &[Kind::RoleRevoke]),
        ];
        for (gives, takes) in gives_and_takes {
            if self.has(gives) && !takes.iter().any(|takes| self.has(*takes)) {
                let names: Vec<&str> = takes.iter().map(|kind| kind.as_str()).collect();
                return Err(ConfigError::new(
                    format!("operations.{gives}"),
                    format!("gives what nothing takes away: also configure {}", names.join(" or ")),
                ));
            }
        }
        Ok(())
    }
}

/// Whether any template of `config` names a variable outside of `variables`; the templates are known to be
/// right otherwise.
fn names_more_than(config: &OperationConfig, variables: &Variables) -> bool {
    let wrong = |source: &str| Template::parse(source, Escape::None, variables).is_err();
    wrong(&config.path)
        || config.headers.values().any(|source| wrong(source))
        || config.body.as_ref().is_some_and(|body| Body::compile(body, variables, "").is_err())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn operations(value: Value) -> Result<Operations, ConfigError> {
        Operations::compile(&serde_json::from_value(value).unwrap())
    }

    fn update(operation: Value) -> Result<Operation, ConfigError> {
        let compiled = operations(json!({"user_update": operation}))?;
        Ok(compiled.get(Kind::UserUpdate).unwrap().clone())
    }

    #[test]
    fn a_body_is_built_as_json() {
        let update = update(json!({"method": "PUT", "path": "/users/{{ user.id }}", "body": {
            "name": "{{ user.display_name }}", "label": "<{{ user.display_name }}>", "roles": "{{ user.roles }}",
            "enabled": "{{ user.active }}", "title": "{{ user.title }}", "fixed": [1, null, {"x": true}],
            "by": {"{{ user.id }}\"": 1},
        }}))
        .unwrap();
        let name = "x\", \"admin\": \"true\n\0";
        let user = json!({"user": {"id": "1", "display_name": name, "roles": ["a"], "active": true}});
        let body = update.render(&user).unwrap().body.unwrap();
        assert_eq!(
            body,
            json!({"name": name, "label": format!("<{name}>"), "roles": ["a"], "enabled": true,
                "title": null, "fixed": [1, null, {"x": true}], "by": {"1\"": 1}})
        );
    }

    #[test]
    fn a_header_cannot_be_broken_out_of() {
        let update =
            update(json!({"method": "PUT", "path": "/u", "headers": {"X-Name": "{{ user.email }}"}}))
                .unwrap();
        for bad in ["a\r\nX-Admin: 1", "a\nb", "a\0b"] {
            let error = update.render(&json!({"user": {"email": bad}})).unwrap_err();
            assert!(error.contains("x-name") && !error.contains("Admin"), "{error}");
        }
        let rendered = update.render(&json!({"user": {"email": "Zoë"}})).unwrap();
        assert_eq!(rendered.headers["x-name"].as_bytes(), "Zoë".as_bytes());
    }

    #[test]
    fn it_is_known_which_requests_need_the_applications_id() {
        let put =
            |path: &str, body: &str| update(json!({"method": "PUT", "path": path, "body": body})).unwrap();
        assert!(put("/users/{{ remote }}", "").needs_remote);
        assert!(put("/users", "{{ remote }}").needs_remote);
        assert!(!put("/users/{{ user.id }}", "{{ user.email }}").needs_remote);
        let member = |path: &str| {
            let both = json!({"method": "PUT", "path": path});
            let compiled = operations(json!({"member_add": both, "member_remove": both})).unwrap();
            compiled.get(Kind::MemberAdd).unwrap().needs_group_remote
        };
        assert!(member("/g/{{ group.remote }}/{{ user.id }}"));
        assert!(!member("/g/{{ group.id }}/{{ remote }}"));
    }

    #[test]
    fn what_is_given_can_be_taken_away() {
        let any = json!({"method": "POST", "path": "/x"});
        for (gives, takes) in
            [("user_create", "user_delete"), ("member_add", "member_remove"), ("role_grant", "role_revoke")]
        {
            let error = operations(json!({ gives: any })).unwrap_err();
            assert_eq!(error.path, format!("operations.{gives}"));
            assert!(error.message.contains(takes), "{error}");
        }
        assert!(operations(json!({"user_create": any, "user_update": any})).is_ok());
    }

    #[test]
    fn a_mistake_is_found_where_it_is() {
        for (operation, path) in [
            (json!({"method": "PUT", "path": "/{{ usr.id }}"}), "operations.user_update.path"),
            (
                json!({"method": "PUT", "path": "/", "body": {"a": [{"b": "{{ user.x }}"}]}}),
                "operations.user_update.body.a.0.b",
            ),
            (
                json!({"method": "PUT", "path": "/", "headers": {"A": "{{"}}),
                "operations.user_update.headers.A",
            ),
            (
                json!({"method": "PUT", "path": "/", "headers": {"Authorization": "x"}}),
                "operations.user_update.headers.Authorization",
            ),
            (json!({"method": "PUT", "path": "/", "body": "{{ role }}"}), "operations.user_update.body"),
        ] {
            assert_eq!(update(operation).unwrap_err().path, path);
        }
    }
}
