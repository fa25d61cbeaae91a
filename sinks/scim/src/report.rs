//! What a person wants to know before the first change.

use rolecall_sink_api::{Address, Group, GroupId, Profile, User, UserId};

use crate::service::Service;
use crate::sink::ScimSink;
use crate::{group, user};

impl ScimSink {
    /// What the application is, and what that means, one line each.
    pub(crate) fn report(&self, service: &Service) -> Vec<String> {
        let mut lines = vec![format!("{} answers", self.application.name())];
        if !self.application.is_encrypted() {
            lines.push("it is not encrypted: credentials and people's data can be read on the way".into());
        }
        if !service.described {
            lines.push("it has no ServiceProviderConfig: it is taken to know PATCH and filters".into());
        }
        lines.push(match (service.patch, &service.bulk) {
            (true, Some(bulk)) => {
                format!("it is written to by PATCH, up to {} changes in a bulk request", bulk.operations())
            }
            (true, None) => "it is written to by PATCH, one request each".into(),
            (false, _) => {
                "it has no PATCH: whole resources are written, with all the members of a group".into()
            }
        });
        if !service.filter {
            lines.push("it has no filters: to find one resource, all are read".into());
        }
        lines.push(if service.etag {
            "it keeps versions: what others change meanwhile is not overwritten".into()
        } else {
            "it keeps no versions: what others change at the same moment may be overwritten".into()
        });
        if self.mapping.has_groups() && service.groups.is_none() {
            lines.push("it has no groups: they are left out".into());
        }
        let left_out = self.left_out(service);
        if !left_out.is_empty() {
            lines.push(format!("its schemas do not have {}: left out", left_out.join(", ")));
        }
        lines
    }

    /// The attributes that are mapped and that the application does not have.
    fn left_out(&self, service: &Service) -> Vec<String> {
        let mut left_out = Vec::new();
        if let Ok(mut attributes) = self.mapping.user(&somebody()) {
            left_out.extend(service.users.schemas.fit(&mut attributes, &user::ALWAYS));
        }
        let some =
            Group { id: GroupId::new("id"), organization: None, name: "name".into(), external_id: None };
        if let (Some(groups), Ok(mut attributes)) = (&service.groups, self.mapping.group(&some)) {
            left_out.extend(groups.schemas.fit(&mut attributes, &group::ALWAYS));
        }
        left_out
    }
}

/// A user with everything that is mapped by default.
fn somebody() -> User {
    let some = || Some("x".to_owned());
    User {
        id: UserId::new("id"),
        organization: None,
        active: true,
        profile: Profile {
            external_id: some(),
            user_name: some(),
            email: some(),
            display_name: some(),
            given_name: some(),
            family_name: some(),
            nick_name: some(),
            photo: some(),
            profile_url: some(),
            phone_number: some(),
            address: Some(Address { locality: some(), ..Address::default() }),
            title: some(),
            department: some(),
            division: some(),
            cost_center: some(),
            employee_number: some(),
            user_type: some(),
            organization_name: some(),
            preferred_language: some(),
            locale: some(),
            timezone: some(),
            pronouns: some(),
            custom: std::collections::BTreeMap::new(),
        },
        groups: std::collections::BTreeMap::new(),
        roles: std::collections::BTreeSet::from([rolecall_sink_api::RoleName::new("role")]),
    }
}
