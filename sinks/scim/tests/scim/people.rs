//! Users and groups, and what the daemon would know of each from one change to the next.

use rolecall_sink_api::conformance::people::{put_group, put_user, remove_group, remove_user};
use rolecall_sink_api::{
    Action, Attempted, Change, Document, Group, GroupId, Outcome, Profile, RemoteId, Sink as _, SinkDown,
    User, UserId,
};
use rolecall_sink_scim::ScimSink;

/// An active user with a name, an address and nothing else.
pub(crate) fn user(id: &str) -> User {
    User {
        id: UserId::new(id),
        organization: None,
        active: true,
        profile: Profile {
            external_id: Some(format!("idp-{id}")),
            user_name: Some(id.to_owned()),
            email: Some(format!("{id}@example.com")),
            ..Profile::default()
        },
        groups: std::collections::BTreeMap::new(),
        roles: std::collections::BTreeSet::new(),
    }
}

/// A group of this id and name.
pub(crate) fn group(id: &str) -> Group {
    Group { id: GroupId::new(id), organization: None, name: id.to_owned(), external_id: None }
}

/// The first change of `user`.
pub(crate) fn joins(user: User) -> Change {
    put_user(user, 1)
}

/// The first change of `group`.
pub(crate) fn comes(group: Group) -> Change {
    put_group(group, 1)
}

/// One user or group, and what was confirmed of it.
pub(crate) struct Followed(Change);

impl Followed {
    pub(crate) fn user(id: &str) -> Self {
        Self(remove_user(id, 1))
    }

    pub(crate) fn group(id: &str) -> Self {
        Self(remove_group(id, 1))
    }

    /// The application is known to have it under this id.
    pub(crate) fn known_as(mut self, remote: &str, applied: Document) -> Self {
        (self.0.remote, self.0.applied) = (Some(RemoteId::new(remote)), Some(applied));
        self
    }

    /// The application's own id for it.
    pub(crate) fn remote(&self) -> &str {
        self.0.remote.as_ref().expect("it was made").as_str()
    }

    /// The change that the user should be so.
    pub(crate) fn change(mut self, user: User) -> Change {
        self.0.desired = Some(Document::User(Box::new(user)));
        self.0
    }

    /// Delivers that it should be so; `None` that it should go.
    pub(crate) async fn deliver(
        &mut self,
        sink: &ScimSink,
        desired: Option<Document>,
    ) -> Result<Outcome, SinkDown> {
        self.0.desired = desired;
        let outcome = sink.apply(std::slice::from_ref(&self.0)).await?.remove(0);
        if let Outcome::Applied { remote, .. } = &outcome {
            self.0.applied.clone_from(&self.0.desired);
            self.0.attempted = None;
            self.0.remote.clone_from(remote);
        } else {
            self.0.attempted = Attempted::by(&self.0);
        }
        Ok(outcome)
    }

    /// Delivers that the user should be so, and returns what was done.
    pub(crate) async fn becomes(&mut self, sink: &ScimSink, user: User) -> Action {
        done(self.deliver(sink, Some(Document::User(Box::new(user)))).await)
    }

    /// Delivers that the group should be so, and returns what was done.
    pub(crate) async fn becomes_group(&mut self, sink: &ScimSink, group: Group) -> Action {
        done(self.deliver(sink, Some(Document::Group(group))).await)
    }

    /// Delivers that it should go, and returns what was done.
    pub(crate) async fn goes(&mut self, sink: &ScimSink) -> Action {
        done(self.deliver(sink, None).await)
    }

    /// Delivers that the user should be so, and returns why that is refused.
    pub(crate) async fn is_refused(&mut self, sink: &ScimSink, user: User) -> String {
        match self.deliver(sink, Some(Document::User(Box::new(user)))).await {
            Ok(Outcome::Reject { reason }) => reason,
            other => panic!("it is not refused: {other:?}"),
        }
    }
}

fn done(outcome: Result<Outcome, SinkDown>) -> Action {
    match outcome {
        Ok(Outcome::Applied { action, .. }) => action,
        other => panic!("it is not applied: {other:?}"),
    }
}
