//! The events of the day, as Scalekit sends them.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::company::{ACME, Company, Group, Person};

const PREFIX: &str = "organization.directory";

/// An event, and what the narrative says of it.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// `user_created`, …
    pub(super) kind: &'static str,
    pub(super) about: String,
    pub(super) body: Value,
}

impl Event {
    /// The id of the message that carries it: the same on every attempt, as a sender's.
    pub(super) fn message_id(&self) -> String {
        let id = self.body["id"].as_str().unwrap_or_default();
        format!("msg_{}", id.trim_start_matches("evt_"))
    }
}

/// A user as an event tells them.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) person: &'static Person,
    pub(super) title: &'static str,
    /// Where they sit: a custom attribute, which the simple shape does not have.
    pub(super) desk: Option<usize>,
    pub(super) groups: Vec<&'static Group>,
    pub(super) active: bool,
}

/// Writes the events of one day: it gives out the ids, and knows the date.
#[derive(Debug)]
pub(super) struct Journal {
    day: Date,
    ids: u64,
}

impl Journal {
    /// The events of the day before `now`, so that everything in them has happened.
    pub(super) fn of_yesterday(now: Timestamp) -> Self {
        let today = TimeZone::UTC.to_datetime(now).date();
        Self { day: today.yesterday().unwrap_or(today), ids: 0 }
    }

    pub(super) fn day(&self) -> Date {
        self.day
    }

    /// A company connects its directory.
    pub(super) fn directory_enabled(&mut self, company: &Company, at: &str) -> Event {
        let data = json!({
            "id": company.directory,
            "directory_type": "SCIM",
            "enabled": true,
            "organization_id": company.organization,
            "provider": company.provider,
            "updated_at": self.time(at),
        });
        let mut event = self.documented("directory_enabled", "Directory", company, at, data);
        event["type"] = json!(format!("{PREFIX}_enabled"));
        let about = format!("{}'s directory ({})", company.name, company.provider);
        Event { kind: "directory_enabled", about, body: event }
    }

    pub(super) fn group_created(&mut self, group: &Group, at: &str) -> Event {
        let kind = "group_created";
        let company = group.company;
        let body = if company == &ACME {
            let data = json!({
                "id": group.id,
                "directory_id": company.directory,
                "organization_id": company.organization,
                "display_name": group.name,
                "external_id": null,
                "raw_attributes": {
                    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
                    "displayName": group.name,
                },
            });
            self.documented(kind, "DirectoryGroup", company, at, data)
        } else {
            let data = json!({
                "id": group.id,
                "organization_id": company.organization,
                "directory_id": company.directory,
                "name": group.name,
            });
            self.simple(kind, company, at, data)
        };
        Event { kind, about: format!("{}'s {}", company.name, group.name), body }
    }

    pub(super) fn user_created(&mut self, user: User, at: &str) -> Event {
        let groups: Vec<&str> = user.groups.iter().map(|group| group.name).collect();
        let groups = if groups.is_empty() { String::new() } else { format!(", in {}", groups.join(" and ")) };
        let about = format!("{}{groups}", user.person.name());
        self.user("user_created", user, at, about)
    }

    /// `what` says for the reader what is new.
    pub(super) fn user_updated(&mut self, user: User, at: &str, what: &str) -> Event {
        let about = format!("{}: {what}", user.person.name());
        self.user("user_updated", user, at, about)
    }

    fn user(&mut self, kind: &'static str, user: User, at: &str, about: String) -> Event {
        let person = user.person;
        let company = person.company;
        let body = if company == &ACME {
            self.documented(kind, "DirectoryUser", company, at, documented_user(&user))
        } else {
            let data = json!({
                "id": person.id,
                "organization_id": company.organization,
                "directory_id": company.directory,
                "email": person.email,
                "given_name": person.given_name,
                "family_name": person.family_name,
                "title": user.title,
                "active": user.active,
            });
            self.simple(kind, company, at, data)
        };
        Event { kind, about, body }
    }

    pub(super) fn user_deleted(&mut self, person: &Person, at: &str, what: &str) -> Event {
        let kind = "user_deleted";
        let data = json!({
            "id": person.id,
            "organization_id": person.company.organization,
            "dp_id": person.provider_id,
            "email": person.email,
        });
        let body = self.documented(kind, "DirectoryUser", person.company, at, data);
        Event { kind, about: format!("{}: {what}", person.name()), body }
    }

    pub(super) fn joined(&mut self, group: &Group, members: &[&Person], at: &str) -> Event {
        let kind = "group_membership_updated";
        let ids: Vec<&str> = members.iter().map(|person| person.id).collect();
        let names: Vec<&str> = members.iter().map(|person| person.given_name).collect();
        let data = json!({"group_id": group.id, "added_members": ids, "removed_members": null});
        let body = self.simple(kind, group.company, at, data);
        Event {
            kind,
            about: format!("{}'s {}: +{}", group.company.name, group.name, names.join(", +")),
            body,
        }
    }

    fn documented(&mut self, kind: &str, object: &str, company: &Company, at: &str, data: Value) -> Value {
        json!({
            "spec_version": "1",
            "id": self.next_id(),
            "type": format!("{PREFIX}.{kind}"),
            "occurred_at": self.time(at),
            "environment_id": "env_10001",
            "organization_id": company.organization,
            "object": object,
            "data": data,
            "display_name": "",
        })
    }

    fn simple(&mut self, kind: &str, company: &Company, at: &str, data: Value) -> Value {
        json!({
            "id": self.next_id(),
            "type": format!("{PREFIX}.{kind}"),
            "timestamp": self.time(at),
            "organization_id": company.organization,
            "data": data,
        })
    }

    fn next_id(&mut self) -> String {
        self.ids += 1;
        format!("evt_15{:03}", self.ids)
    }

    /// The time of day on this day, as RFC 3339 has it.
    fn time(&self, at: &str) -> String {
        format!("{}T{at}Z", self.day)
    }
}

fn documented_user(user: &User) -> Value {
    let person = user.person;
    let groups: Vec<Value> =
        user.groups.iter().map(|group| json!({"id": group.id, "name": group.name})).collect();
    json!({
        "id": person.id,
        "organization_id": person.company.organization,
        "dp_id": person.provider_id,
        "preferred_username": person.email,
        "email": person.email,
        "active": user.active,
        "name": person.name(),
        "given_name": person.given_name,
        "family_name": person.family_name,
        "title": user.title,
        "locale": "en-US",
        // The sender is written in Go, where a list of nothing is null.
        "groups": if groups.is_empty() { Value::Null } else { groups.into() },
        "roles": [{"role_name": "member"}],
        "custom_attributes": {"desk": user.desk.map(|desk| format!("D-{desk:02}"))},
        "raw_attributes": {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "externalId": person.provider_id,
            "userName": person.email,
            "name": {"givenName": person.given_name, "familyName": person.family_name},
            "emails": [{"primary": true, "type": "work", "value": person.email}],
            "active": user.active,
        },
    })
}
