//! The operator's own tables, written by the operator's own statements.

mod check;
mod parameter;
mod plan;
mod write;

use rolecall_sink_api::{ConfigError, SinkDown};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Statement};

use crate::config::StatementsConfig;
use crate::connect::Connector;
use crate::named::Named;
use crate::sqlstate::describe;

use parameter::{Given, Parameter, Scope};

pub(crate) use check::report;
pub(crate) use parameter::About;
pub(crate) use write::write;

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    UserUpsert,
    UserDeactivate,
    UserDelete,
    GroupUpsert,
    GroupDelete,
    MemberAdd,
    MemberRemove,
    RoleGrant,
    RoleRevoke,
    /// `on_deactivate`, by its place in the list.
    OnDeactivate(usize),
}

/// One of the operator's statements, its parameters found.
#[derive(Clone, Debug)]
pub(crate) struct Sql {
    pub(crate) kind: Kind,
    /// Where it stands in the configuration.
    pub(crate) path: String,
    named: Named<Parameter>,
}

/// One of them, prepared in a session.
pub(crate) struct Prepared {
    sql: Sql,
    statement: Statement,
}

impl Sql {
    fn parse(kind: Kind, path: String, scope: Scope, source: &str) -> Result<Self, ConfigError> {
        if source.trim().is_empty() {
            return Err(ConfigError::new(path, "is empty: write a statement, or leave it out"));
        }
        match Named::parse(source, |name| scope.parameter(name)) {
            Ok(named) => Ok(Self { kind, path, named }),
            Err(why) => Err(ConfigError::new(path, why)),
        }
    }

    /// Whether it compares or keeps generations.
    pub(crate) fn names_generation(&self) -> bool {
        self.named.parameters.iter().any(|parameter| matches!(parameter, Parameter::Generation))
    }

    fn names_active(&self) -> bool {
        self.named.parameters.iter().any(|parameter| matches!(parameter, Parameter::Active))
    }

    /// An error of the server's, with the statement and the place in it.
    pub(crate) fn explain(&self, error: &Error) -> String {
        let db = error.as_db_error();
        let place = match db.and_then(|db| db.position()) {
            Some(tokio_postgres::error::ErrorPosition::Original(position)) => {
                format!(", {}", self.named.place(*position))
            }
            _ => String::new(),
        };
        let hint = db.and_then(|db| db.hint()).map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{}{place}: {}{hint}", self.path, describe(error))
    }
}

/// Reads `on_deactivate`.
///
/// # Errors
/// When a statement is empty or names a parameter that there is not.
pub(crate) fn on_deactivate(statements: &[String]) -> Result<Vec<Sql>, ConfigError> {
    let parse = |(n, source): (usize, &String)| {
        Sql::parse(Kind::OnDeactivate(n), format!("on_deactivate.{n}"), Scope::Leaver, source)
    };
    statements.iter().enumerate().map(parse).collect()
}

/// Reads `statements`.
///
/// # Errors
/// When a statement is empty or names a parameter that there is not, or gives what nothing takes away.
pub(crate) fn statements(config: &StatementsConfig) -> Result<Vec<Sql>, ConfigError> {
    let all = [
        (Kind::UserUpsert, "user_upsert", Scope::User, &config.user_upsert),
        (Kind::UserDeactivate, "user_deactivate", Scope::Leaver, &config.user_deactivate),
        (Kind::UserDelete, "user_delete", Scope::Leaver, &config.user_delete),
        (Kind::GroupUpsert, "group_upsert", Scope::Group, &config.group_upsert),
        (Kind::GroupDelete, "group_delete", Scope::GoneGroup, &config.group_delete),
        (Kind::MemberAdd, "member_add", Scope::Member, &config.member_add),
        (Kind::MemberRemove, "member_remove", Scope::Member, &config.member_remove),
        (Kind::RoleGrant, "role_grant", Scope::Role, &config.role_grant),
        (Kind::RoleRevoke, "role_revoke", Scope::Role, &config.role_revoke),
    ];
    let mut statements = Vec::new();
    for (kind, name, scope, source) in all {
        if let Some(source) = source {
            statements.push(Sql::parse(kind, format!("statements.{name}"), scope, source)?);
        }
    }
    if statements.is_empty() {
        return Err(ConfigError::new("statements", "is empty: nothing would be written"));
    }
    let has = |kind| statements.iter().any(|sql: &Sql| sql.kind == kind);
    for (gives, takes, names) in [
        (Kind::UserUpsert, &[Kind::UserDelete, Kind::UserDeactivate][..], "user_deactivate or user_delete"),
        (Kind::MemberAdd, &[Kind::MemberRemove], "member_remove"),
        (Kind::RoleGrant, &[Kind::RoleRevoke], "role_revoke"),
    ] {
        if let Some(sql) = statements.iter().find(|sql| sql.kind == gives)
            && !takes.iter().any(|takes| has(*takes))
        {
            return Err(ConfigError::new(
                &sql.path,
                format!("gives what nothing takes away: also write {names}"),
            ));
        }
    }
    Ok(statements)
}

impl Prepared {
    /// Lets the server read them all.
    ///
    /// # Errors
    /// Down, with everything that is wrong: the statement, the place in it, and what the server says.
    pub(crate) async fn all(
        connector: &Connector,
        client: &Client,
        sqls: &[Sql],
    ) -> Result<Vec<Self>, SinkDown> {
        let (mut prepared, mut wrong) = (Vec::with_capacity(sqls.len()), Vec::new());
        for sql in sqls {
            match Self::one(client, sql).await {
                Ok(Ok(one)) => prepared.push(one),
                Ok(Err(what)) => wrong.push(what),
                // The connection's end says nothing about the statement.
                Err(error) if error.as_db_error().is_none() => {
                    return Err(connector.down("preparing in", &error));
                }
                Err(error) => wrong.push(sql.explain(&error)),
            }
        }
        if wrong.is_empty() {
            return Ok(prepared);
        }
        Err(SinkDown::new(format!("{} cannot run: {}", connector.target(), wrong.join("; "))))
    }

    async fn one(client: &Client, sql: &Sql) -> Result<Result<Self, String>, Error> {
        let statement = client.prepare(&sql.named.text).await?;
        let unfit = sql.named.parameters.iter().zip(statement.params()).enumerate().find_map(
            |(n, (parameter, found)): (usize, (&Parameter, &Type))| Some((n, parameter.unfit(found)?)),
        );
        Ok(match unfit {
            Some((n, why)) => Err(format!("{}, {}: {why}", sql.path, sql.named.parameter_place(n))),
            None => Ok(Self { sql: sql.clone(), statement }),
        })
    }

    /// What it is.
    pub(crate) fn sql(&self) -> &Sql {
        &self.sql
    }

    /// Runs it, and returns how many rows it touched.
    pub(crate) async fn run(&self, client: &Client, about: About<'_>) -> Result<u64, Error> {
        let given: Vec<Given<'_>> =
            self.sql.named.parameters.iter().map(|parameter| parameter.value(about)).collect();
        let given: Vec<&(dyn ToSql + Sync)> = given.iter().map(|given| given as _).collect();
        client.execute(&self.statement, &given).await
    }
}
