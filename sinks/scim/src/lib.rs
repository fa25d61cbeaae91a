//! rolecall's SCIM sink: an application that speaks SCIM 2.0 (RFC 7643, RFC 7644) is kept in step from nothing
//! but its URL and a token.
//!
//! `config` is what an operator writes. `service` and `schema` are what the application says of itself; `mapping`
//! makes a resource of a user or group. `user`, `group` and `members` bring one change to its outcome, with the
//! requests of `work`: they read a resource, find out by `edit` what differs, and write just that as `patch` puts
//! it. `adopt` decides about what others made. `writer` sends what a batch writes, many at once by `bulk`.
//! `observe` reads everything back, and `report` is what `rolecall check` tells. Below them, `uri`, `urn`,
//! `attribute`, `resource` and `request` are SCIM's own terms.

mod adopt;
mod attribute;
mod bulk;
mod config;
mod edit;
mod group;
mod mapping;
mod members;
mod merge;
mod observe;
mod patch;
mod report;
mod request;
mod resource;
mod schema;
mod service;
mod sink;
mod uri;
mod urn;
mod user;
mod work;
mod writer;

pub use config::{
    AttributeTemplates, Bulk, Config, Groups, Leavers, OnDeactivate, OnDelete, OnExisting, Roles, Users,
};
pub use sink::ScimSink;
