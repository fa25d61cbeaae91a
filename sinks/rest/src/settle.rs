//! One change, from its plan to its outcome.

use std::fmt::Write as _;

use http::HeaderValue;
use rolecall_sink_api::{Action, Change, Document, Entity, EntityKind, Group, GroupId, Outcome, RemoteId};
use rolecall_sink_http::{Answer, Batch, Halt, IDEMPOTENCY_KEY, Meaning, Settled};
use sha2::{Digest as _, Sha256};

use crate::operation::{Kind, Operation, Rendered};
use crate::plan::{About, Known, Step, plan};
use crate::sink::RestSink;
use crate::values;

/// A plan is made anew when the application turns out to have what was to be made, or not to have what was to
/// be changed. More than that is an application that contradicts itself.
const PLANS: u32 = 4;

/// How far a plan went.
enum Walk {
    Done,
    /// The application does not have what was to be changed; what it said.
    Missing(String),
    /// The application has already what was to be made; what it said.
    Exists(String),
}

impl RestSink {
    /// What became of `change`.
    pub(crate) async fn settle(&self, change: &Change, batch: &Batch) -> Settled {
        if !batch.has_time() {
            return Err(None);
        }
        let mut known = Known::from_change(&self.operations, change);
        let halt = match self.bring(change, &mut known, batch).await {
            Ok(outcome) => return Ok(outcome),
            Err(halt) => halt,
        };
        // Without its id, the next attempt at what was just made would make another.
        let made = known.remote.filter(|remote| known.exists && change.remote.as_ref() != Some(remote));
        match halt {
            Halt::Closed => Err(made),
            // The next attempt will be refused for good, and by then the id is kept.
            Halt::Settled(Outcome::Reject { reason }) if made.is_some() => {
                Ok(Outcome::retry(reason).with_remote(made))
            }
            Halt::Settled(outcome) => Ok(outcome.with_remote(made)),
        }
    }

    async fn bring(&self, change: &Change, known: &mut Known, batch: &Batch) -> Result<Outcome, Halt> {
        if !known.exists {
            self.find(change, known, batch).await?;
        }
        let mut action = Action::Unchanged;
        let mut refused = None;
        for _ in 0..PLANS {
            let steps = plan(&self.operations, change, known);
            match self.walk(change, &steps, known, &mut action, batch).await? {
                Walk::Done => return Ok(self.applied(change, known, action)),
                Walk::Missing(said) => {
                    let create = match change.entity {
                        Entity::User(_) => Kind::UserCreate,
                        Entity::Group(_) => Kind::GroupCreate,
                    };
                    // It could neither be made, because there is one, nor changed, because there is none:
                    // the one there is goes by another id.
                    let said = refused.as_ref().unwrap_or(&said);
                    if refused.is_some() || !known.exists || !self.operations.has(create) {
                        return Err(Halt::Settled(Outcome::reject(said)));
                    }
                    known.missing();
                }
                Walk::Exists(said) => {
                    self.exists(change, known, &said, batch).await?;
                    refused = Some(said);
                }
            }
        }
        let reason = self.about(change, "the application says by turns that it is there and that it is not");
        Ok(Outcome::reject(reason))
    }

    /// After a create was refused because there is one: which is it?
    async fn exists(
        &self,
        change: &Change,
        known: &mut Known,
        said: &str,
        batch: &Batch,
    ) -> Result<(), Halt> {
        let (update, key) = match change.entity {
            Entity::User(_) => (Kind::UserUpdate, "user"),
            Entity::Group(_) => (Kind::GroupUpdate, "group"),
        };
        self.find(change, known, batch).await?;
        // Without the application's id, an update that does not need it will tell whether it is ours.
        let addressed = self.operations.get(update).is_some_and(|operation| !operation.needs_remote);
        if !known.exists && (self.lookup.of(change.entity.kind()).is_some() || !addressed) {
            let hint = format!("{said}; to take over what is there, configure lookup.{key}");
            return Err(Halt::Settled(Outcome::reject(hint)));
        }
        known.exists = true;
        known.doubtful = true;
        // It may be what an unconfirmed attempt made, with all that it gave.
        known.recall(&self.operations, change);
        Ok(())
    }

    /// Sends the steps of a plan, one after the other.
    async fn walk(
        &self,
        change: &Change,
        steps: &[Step],
        known: &mut Known,
        action: &mut Action,
        batch: &Batch,
    ) -> Result<Walk, Halt> {
        // Whoever keeps a session must not keep the account for it: that is told when the rest is done.
        let mut unended = None;
        for step in steps {
            let Some(operation) = self.operations.get(step.kind) else { continue };
            let Some(request) = self.request(change, step, operation, known, batch).await? else { continue };
            let what = format!("{} ({} {})", step.kind, request.method, operation.path_source());
            let key = idempotency_key(change, step);
            let answer = match self.exchange(change, &what, &request, Some(&key), batch).await {
                Err(Halt::Settled(outcome)) if step.kind == Kind::SessionRevoke => {
                    unended = Some(outcome);
                    continue;
                }
                answer => answer?,
            };
            let said = || self.said(change, &what, &answer);
            match answer.meaning() {
                Meaning::Done => {
                    if self.makes(step.kind, known) {
                        self.take_id(change, known, &answer, &what, batch).await?;
                    }
                    *action = stronger(*action, self.action(step, known));
                    known.exists |= !step.kind.takes();
                }
                Meaning::Missing if step.kind.takes() || is_leaver(step) => {}
                Meaning::Missing => match step.kind {
                    Kind::UserUpdate | Kind::UserReactivate | Kind::GroupUpdate => {
                        return Ok(Walk::Missing(said()));
                    }
                    Kind::MemberAdd | Kind::RoleGrant => {
                        if let About::Member(_, id, _) = &step.about {
                            self.group_ids.put(id, None);
                        }
                        return Err(Halt::Settled(Outcome::retry(said())));
                    }
                    _ => return Err(Halt::Settled(Outcome::reject(said()))),
                },
                Meaning::Exists => match step.kind {
                    Kind::MemberAdd | Kind::RoleGrant => {}
                    Kind::UserCreate | Kind::GroupCreate => return Ok(Walk::Exists(said())),
                    _ => return Err(Halt::Settled(Outcome::reject(said()))),
                },
                _ if step.kind == Kind::SessionRevoke => unended = Some(Outcome::reject(said())),
                _ => return Err(Halt::Settled(Outcome::reject(said()))),
            }
        }
        match unended {
            Some(outcome) => Err(Halt::Settled(outcome)),
            None => Ok(Walk::Done),
        }
    }

    /// The request of a step; `None` when there is nothing to take away, because the application never said
    /// under which id it has it.
    async fn request(
        &self,
        change: &Change,
        step: &Step,
        operation: &Operation,
        known: &Known,
        batch: &Batch,
    ) -> Result<Option<Rendered>, Halt> {
        if (step.kind.takes() || is_leaver(step)) && operation.needs_remote && known.remote.is_none() {
            return if self.may_be_there_unseen(change) { Err(self.unseen(change)) } else { Ok(None) };
        }
        let mut group_remote = None;
        if let (true, About::Member(_, id, name)) = (operation.needs_group_remote, &step.about) {
            group_remote = self.group_id(change, id, name, batch).await?;
            if group_remote.is_none() {
                if step.kind.takes() {
                    return Ok(None);
                }
                let reason = self.about(change, &format!("the application does not have group {id} yet"));
                return Err(Halt::Settled(Outcome::retry(reason)));
            }
        }
        let context = values::context(&step.about, known.remote.as_ref(), group_remote.as_ref());
        match operation.render(&context) {
            Ok(request) => Ok(Some(request)),
            // Someone of whom nothing but the id is known, and who is addressed by something else: they were
            // never confirmed, and there is no telling which they are.
            Err(_) if step.kind.takes() && is_unheard_of(change) => Ok(None),
            Err(why) => {
                Err(Halt::Settled(Outcome::reject(self.about(change, &format!("{}: {why}", step.kind)))))
            }
        }
    }

    /// Whether an attempt that was not confirmed may have made it, and there is no way to find out.
    fn may_be_there_unseen(&self, change: &Change) -> bool {
        let given = match change.attempted.as_ref().map(|attempted| &attempted.given) {
            Some(Document::User(user)) => user.active,
            Some(Document::Group(_)) => true,
            None => false,
        };
        given && self.lookup.of(change.entity.kind()).is_none()
    }

    fn unseen(&self, change: &Change) -> Halt {
        let kind = change.entity.kind();
        let reason = format!(
            "an earlier attempt may have made it, and its id was never confirmed: look for it there and remove it, \
             or configure lookup.{kind} and try again"
        );
        Halt::Settled(Outcome::reject(self.about(change, &reason)))
    }

    /// Sends one request. One that changes something has a key, which is the same for every attempt, and is
    /// signed.
    async fn exchange(
        &self,
        change: &Change,
        what: &str,
        rendered: &Rendered,
        key: Option<&str>,
        batch: &Batch,
    ) -> Result<Answer, Halt> {
        let mut request = rendered.request();
        if let Some(key) = key {
            let body = request.body.as_deref().unwrap_or_default();
            request.headers.extend(self.signer.headers(key, body, jiff::Timestamp::now()));
            // Hexadecimal.
            if let Ok(key) = HeaderValue::from_str(key) {
                request.headers.insert(IDEMPOTENCY_KEY, key);
            }
        }
        self.application.exchange(&change.entity, what, &request, batch).await
    }

    /// Looks the entity up, where that is configured, and notes what was found.
    async fn find(&self, change: &Change, known: &mut Known, batch: &Batch) -> Result<(), Halt> {
        let attempted = change.attempted.as_ref().map(|attempted| &attempted.given);
        let about = match (&change.entity, change.desired.as_ref().or(attempted)) {
            (_, Some(Document::User(user))) => About::User(user.clone()),
            (_, Some(Document::Group(group))) => About::Group(group.clone()),
            (Entity::User(id), None) => About::User(Box::new(values::unknown_user(id))),
            (Entity::Group(id), None) => About::Group(values::unknown_group(id)),
        };
        if let Some(remote) = self.look_up(change, &about, batch).await? {
            known.remote = Some(remote);
            known.exists = true;
            known.doubtful = true;
        }
        Ok(())
    }

    async fn look_up(&self, change: &Change, about: &About, batch: &Batch) -> Result<Option<RemoteId>, Halt> {
        let kind = if matches!(about, About::Group(_)) { EntityKind::Group } else { EntityKind::User };
        let Some(find) = self.lookup.of(kind) else { return Ok(None) };
        // What it is looked up by may not be set; then it cannot be found.
        let Ok(path) = find.path.render(values::context(about, None, None)) else { return Ok(None) };
        let request = Rendered::get(path);
        let what = format!("lookup of the {kind} (GET {})", find.path.source());
        let answer = self.exchange(change, &what, &request, None, batch).await?;
        match answer.meaning() {
            Meaning::Done if answer.cut => {
                let reason = format!("{what}: the answer is longer than max_response_bytes");
                Err(Halt::Settled(Outcome::reject(self.about(change, &reason))))
            }
            Meaning::Done => Ok(answer.id_at(&find.id).map(RemoteId::new)),
            Meaning::Missing => Ok(None),
            _ => Err(Halt::Settled(Outcome::reject(self.said(change, &what, &answer)))),
        }
    }

    /// The application's id of a group that a user joins or leaves.
    async fn group_id(
        &self,
        change: &Change,
        id: &GroupId,
        name: &str,
        batch: &Batch,
    ) -> Result<Option<RemoteId>, Halt> {
        if let Some(remote) = self.group_ids.get(id) {
            return Ok(Some(remote));
        }
        let group = Group { name: name.to_owned(), ..values::unknown_group(id) };
        let found = self.look_up(change, &About::Group(group), batch).await?;
        self.group_ids.put(id, found.as_ref());
        Ok(found)
    }

    /// Notes the application's own id from the answer to what made the entity.
    async fn take_id(
        &self,
        change: &Change,
        known: &mut Known,
        answer: &Answer,
        what: &str,
        batch: &Batch,
    ) -> Result<(), Halt> {
        let Some(pointer) = &self.id else { return Ok(()) };
        if let Some(id) = answer.id_at(pointer) {
            known.remote = Some(RemoteId::new(id));
            return Ok(());
        }
        known.remote = None;
        self.find(change, known, batch).await?;
        if known.remote.is_some() {
            return Ok(());
        }
        let why = if answer.cut { "it is longer than max_response_bytes" } else { "configure id to fit it" };
        let reason = format!("{what}: it was made, but the answer has no id at {pointer}: {why}");
        Err(Halt::Settled(Outcome::reject(self.about(change, &reason))))
    }

    fn makes(&self, kind: Kind, known: &Known) -> bool {
        match kind {
            Kind::UserCreate | Kind::GroupCreate => true,
            Kind::UserUpdate | Kind::GroupUpdate => !known.exists,
            _ => false,
        }
    }

    /// What a step did, asked before it is noted that the entity exists.
    fn action(&self, step: &Step, known: &Known) -> Action {
        match step.kind {
            Kind::SessionRevoke => Action::Updated,
            _ if is_leaver(step) && !matches!(step.kind, Kind::UserDelete | Kind::RoleRevoke) => {
                Action::Deactivated
            }
            Kind::UserDeactivate => Action::Deactivated,
            Kind::UserReactivate => Action::Reactivated,
            Kind::UserDelete | Kind::GroupDelete => Action::Deleted,
            kind if self.makes(kind, known) => Action::Created,
            _ => Action::Updated,
        }
    }

    fn applied(&self, change: &Change, known: &Known, action: Action) -> Outcome {
        if let Entity::Group(id) = &change.entity {
            let there = change.desired.is_some();
            self.group_ids.put(id, known.remote.as_ref().filter(|_| there));
        }
        let gone = change.desired.is_none();
        let action = match action {
            Action::Deactivated | Action::Updated if gone => Action::Deleted,
            Action::Deleted if !gone => Action::Deactivated,
            action => action,
        };
        Outcome::Applied { remote: known.remote.clone(), action, again: None }
    }

    fn said(&self, change: &Change, what: &str, answer: &Answer) -> String {
        self.application.said(&change.entity, what, answer)
    }

    fn about(&self, change: &Change, what: &str) -> String {
        self.application.about(&change.entity, what)
    }
}

/// Whether the step is about a user who should have no access: one that is not there has none.
fn is_leaver(step: &Step) -> bool {
    match &step.about {
        About::User(user) => !user.active,
        About::Group(_) | About::Member(..) | About::Role(..) => false,
    }
}

/// Whether nothing but the id is known of what must go.
fn is_unheard_of(change: &Change) -> bool {
    change.desired.is_none() && change.applied.is_none() && change.attempted.is_none()
}

fn stronger(a: Action, b: Action) -> Action {
    let strength = |action| match action {
        Action::Unchanged => 0,
        Action::Updated => 1,
        Action::Deactivated => 2,
        Action::Deleted => 3,
        Action::Reactivated => 4,
        Action::Created => 5,
    };
    if strength(b) > strength(a) { b } else { a }
}

/// The same for every attempt at the same step of the same change, and for no other; of a shape that any
/// application can store.
fn idempotency_key(change: &Change, step: &Step) -> String {
    let subject = match &step.about {
        About::User(_) | About::Group(_) => "",
        About::Member(_, id, _) => id.as_str(),
        About::Role(_, role) => role.as_str(),
    };
    let mut hash = Sha256::new();
    for part in [change.idempotency_key.as_str(), step.kind.as_str(), subject] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let mut key = String::with_capacity(32);
    for byte in hash.finalize().iter().take(16) {
        // Writing to a String cannot fail.
        let _ = write!(key, "{byte:02x}");
    }
    key
}
