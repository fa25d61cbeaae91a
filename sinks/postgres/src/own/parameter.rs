//! What a named parameter stands for, and its value on the way to the server.

use std::borrow::Cow;
use std::error::Error;

use bytes::BytesMut;
use rolecall_sink_api::{Change, Group, GroupId, RoleName, TEXT_ATTRIBUTES, User};
use tokio_postgres::types::{Format, IsNull, Kind as TypeKind, ToSql, Type, to_sql_checked};

use crate::generation;

/// What a parameter stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Parameter {
    /// The id of the user or group that the change is about.
    Id,
    Generation,
    Active,
    Attribute(fn(&User) -> Option<&str>),
    Address,
    Custom,
    Roles,
    GroupIds,
    GroupName,
    GroupOrganization,
    GroupExternalId,
    MemberOf,
    MemberOfName,
    Role,
}

/// What a statement is told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// A user as they should be.
    User,
    /// A user of whom nothing but the id is known for certain: one who goes.
    Leaver,
    /// A user and a group.
    Member,
    /// A user and a role.
    Role,
    /// A group as it should be.
    Group,
    /// A group that goes.
    GoneGroup,
}

/// What a statement is about.
#[derive(Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) change: &'a Change,
    pub(crate) member_of: Option<(&'a GroupId, &'a str)>,
    pub(crate) role: Option<&'a RoleName>,
}

impl<'a> About<'a> {
    /// The user or group alone.
    pub(crate) fn of(change: &'a Change) -> Self {
        Self { change, member_of: None, role: None }
    }
}

const USER_ID: (&str, Parameter) = ("user_id", Parameter::Id);
const GROUP_ID: (&str, Parameter) = ("group_id", Parameter::Id);

impl Scope {
    /// The parameter of this name, and its SQL type where it is not the server's to find.
    ///
    /// # Errors
    /// With the names there are.
    pub(crate) fn parameter(self, name: &str) -> Result<(Parameter, Option<&'static str>), String> {
        let found = self.parameters().find(|(known, _)| *known == name);
        let (_, parameter) = found.ok_or_else(|| {
            let names: Vec<String> = self.parameters().map(|(name, _)| format!(":{name}")).collect();
            format!("there is no parameter :{name} here; there are {}", names.join(", "))
        })?;
        Ok((parameter, parameter.sql_type()))
    }

    fn parameters(self) -> impl Iterator<Item = (&'static str, Parameter)> {
        let attributes = TEXT_ATTRIBUTES.map(|(name, value)| (name, Parameter::Attribute(value)));
        let (own, attributes): (&[_], &[_]) = match self {
            Scope::User => (
                &[
                    USER_ID,
                    ("active", Parameter::Active),
                    ("address", Parameter::Address),
                    ("custom", Parameter::Custom),
                    ("roles", Parameter::Roles),
                    ("group_ids", Parameter::GroupIds),
                ],
                &attributes,
            ),
            Scope::Leaver => (&[USER_ID], &[]),
            Scope::Member => {
                (&[USER_ID, ("group_id", Parameter::MemberOf), ("group_name", Parameter::MemberOfName)], &[])
            }
            Scope::Role => (&[USER_ID, ("role", Parameter::Role)], &[]),
            Scope::Group => (
                &[
                    GROUP_ID,
                    ("group_name", Parameter::GroupName),
                    ("organization_id", Parameter::GroupOrganization),
                    ("external_id", Parameter::GroupExternalId),
                ],
                &[],
            ),
            Scope::GoneGroup => (&[GROUP_ID], &[]),
        };
        let all = [own, attributes, &[("generation", Parameter::Generation)]].concat();
        all.into_iter()
    }
}

impl Parameter {
    fn sql_type(self) -> Option<&'static str> {
        match self {
            Parameter::Generation => Some("bigint"),
            Parameter::Active => Some("boolean"),
            Parameter::Address | Parameter::Custom => Some("jsonb"),
            Parameter::Roles | Parameter::GroupIds => Some("text[]"),
            _ => None,
        }
    }

    /// Why a text cannot stand where the server takes this type; `None` where it can.
    pub(crate) fn unfit(self, found: &Type) -> Option<String> {
        let structured =
            matches!(found.kind(), TypeKind::Array(_) | TypeKind::Composite(_) | TypeKind::Range(_));
        let other = [Type::BOOL, Type::JSON, Type::JSONB, Type::BYTEA].contains(found);
        (self.sql_type().is_none() && (structured || other))
            .then(|| format!("it is a text, and stands where the server wants {found}"))
    }

    /// The value; NULL where there is none.
    pub(crate) fn value<'a>(self, about: About<'a>) -> Given<'a> {
        let change = about.change;
        let user = || change.desired_user();
        let group = || change.desired_group();
        let list = |items: Option<Vec<&'a str>>| items.map_or(Given::Null, Given::List);
        match self {
            Parameter::Id => Given::text(Some(change.entity.id())),
            Parameter::Generation => Given::Text(generation(change).to_string().into()),
            Parameter::Active => Given::text(user().map(|user| if user.active { "true" } else { "false" })),
            Parameter::Attribute(value) => Given::text(user().and_then(value)),
            Parameter::Address => Given::json(user().and_then(|user| user.profile.address.as_ref())),
            Parameter::Custom => Given::json(user().map(|user| &user.profile.custom)),
            Parameter::Roles => list(user().map(|user| user.roles.iter().map(RoleName::as_str).collect())),
            Parameter::GroupIds => list(user().map(|user| user.groups.keys().map(GroupId::as_str).collect())),
            Parameter::GroupName => Given::text(group().map(|group| group.name.as_str())),
            Parameter::GroupOrganization => Given::text(group().and_then(organization)),
            Parameter::GroupExternalId => Given::text(group().and_then(|group| group.external_id.as_deref())),
            Parameter::MemberOf => Given::text(about.member_of.map(|(id, _)| id.as_str())),
            Parameter::MemberOfName => Given::text(about.member_of.map(|(_, name)| name)),
            Parameter::Role => Given::text(about.role.map(RoleName::as_str)),
        }
    }
}

fn organization(group: &Group) -> Option<&str> {
    group.organization.as_ref().map(|id| id.as_str())
}

/// A value. Text is sent as such, and the server reads it as whatever type it found: `uuid`, `citext`, an enum.
#[derive(Debug)]
pub(crate) enum Given<'a> {
    Null,
    Text(Cow<'a, str>),
    List(Vec<&'a str>),
}

impl<'a> Given<'a> {
    fn text(text: Option<&'a str>) -> Self {
        text.map_or(Given::Null, |text| Given::Text(text.into()))
    }

    fn json<T: serde::Serialize>(value: Option<&T>) -> Self {
        // What came from JSON goes back into it.
        value
            .and_then(|value| serde_json::to_string(value).ok())
            .map_or(Given::Null, |json| Given::Text(json.into()))
    }
}

impl ToSql for Given<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Given::Null => Ok(IsNull::Yes),
            Given::Text(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            Given::List(items) => items.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        match self {
            Given::List(_) => Format::Binary,
            Given::Null | Given::Text(_) => Format::Text,
        }
    }

    to_sql_checked!();
}
