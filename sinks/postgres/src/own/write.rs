//! One batch, one transaction, two round trips: first what makes rows, then what hangs on them.

use std::collections::BTreeSet;
use std::pin::Pin;

use futures_util::FutureExt as _;
use rolecall_sink_api::{Action, Change, Document, Entity, Outcome};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use super::plan::{Statements, Step};
use super::{Kind, Prepared};
use crate::failed::{Blame, Failed};

/// Writes the changes, all or none; what became of each, in order.
pub(crate) async fn write(
    client: &Client,
    own: &[Prepared],
    on_deactivate: &[Prepared],
    changes: &[&Change],
) -> Result<Vec<Outcome>, Failed> {
    let statements = Statements { own, on_deactivate };
    // Users before groups that go; ids in order, so that two writers lock rows alike.
    let mut order: Vec<usize> = (0..changes.len()).collect();
    order.sort_by_key(|n| {
        let entity = &changes[*n].entity;
        let last = matches!(entity, Entity::Group(_)) && changes[*n].desired.is_none();
        let user = matches!(entity, Entity::User(_));
        (last, user, entity.id())
    });
    let mut touched = vec![0; changes.len()];
    let mut overtaken = BTreeSet::new();

    let mut sent = Pipeline::new(client);
    sent.begin();
    for n in &order {
        if let Some(step) = statements.first(changes[*n]) {
            sent.push(*n, step);
        }
    }
    for (n, step, rows) in sent.answers().await? {
        touched[n] += rows;
        if rows == 0 && step.prepared.sql.names_generation() {
            overtaken.insert(n);
        }
    }

    for n in order.iter().filter(|n| !overtaken.contains(*n)) {
        for step in statements.then(changes[*n]) {
            sent.push(*n, step);
        }
    }
    sent.commit();
    for (n, _, rows) in sent.answers().await? {
        touched[n] += rows;
    }
    let outcome = |(n, change): (usize, &&Change)| match overtaken.contains(&n) {
        true => Outcome::reject(format!(
            "the statement that writes it names :generation and touched no row, so the row holds a newer one than {}, \
             and was left alone; if rolecall's own store was set back, set the rows' generation to 0",
            change.generation
        )),
        false => Outcome::applied_as(change.entity.id(), action(change, touched[n] > 0)),
    };
    Ok(changes.iter().enumerate().map(outcome).collect())
}

/// As far as can be known without looking.
fn action(change: &Change, touched: bool) -> Action {
    let was_active = change.applied_user().map(|user| user.active);
    match (&change.desired, was_active) {
        (None, _) if touched => Action::Deleted,
        (None, _) => Action::Unchanged,
        (Some(Document::User(user)), Some(false)) if user.active => Action::Reactivated,
        (Some(Document::User(user)), Some(true)) if !user.active => Action::Deactivated,
        (Some(_), _) if change.applied.is_none() => Action::Created,
        (Some(_), _) if touched => Action::Updated,
        (Some(_), _) => Action::Unchanged,
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<u64, Error>> + Send + 'a>>;

/// Statements on their way: each is sent when it is pushed, and no answer is waited for in between.
struct Pipeline<'a> {
    client: &'a Client,
    sent: Vec<Sent<'a>>,
    /// A transaction has begun, and nothing was sent that ends it.
    open: bool,
}

struct Sent<'a> {
    /// The change's place, and the statement; `None` for those of the transaction itself.
    step: Option<(usize, Step<'a>)>,
    answer: Answer<'a>,
    /// It was there at once: the connection has ended.
    early: Option<Result<u64, Error>>,
}

impl<'a> Pipeline<'a> {
    fn new(client: &'a Client) -> Self {
        Self { client, sent: Vec::new(), open: false }
    }

    fn begin(&mut self) {
        self.open = true;
        self.control("BEGIN ISOLATION LEVEL READ COMMITTED");
    }

    /// Where a statement has failed, the server makes a rollback of it.
    fn commit(&mut self) {
        self.open = false;
        self.control("COMMIT");
    }

    fn control(&mut self, sql: &'static str) {
        self.send(None, Box::pin(self.client.batch_execute(sql).map(|done| done.map(|()| 0))));
    }

    fn push(&mut self, place: usize, step: Step<'a>) {
        let answer = Box::pin(step.prepared.run(self.client, step.about));
        self.send(Some((place, step)), answer);
    }

    /// A request goes out when its future is first polled.
    fn send(&mut self, step: Option<(usize, Step<'a>)>, mut answer: Answer<'a>) {
        let early = answer.as_mut().now_or_never();
        self.sent.push(Sent { step, answer, early });
    }

    /// Waits for all that was sent.
    ///
    /// # Errors
    /// The first that failed, with the change that it was for; the transaction has ended then.
    async fn answers(&mut self) -> Result<Vec<(usize, Step<'a>, u64)>, Failed> {
        let mut answers = Vec::new();
        let mut failed: Option<Failed> = None;
        for sent in std::mem::take(&mut self.sent) {
            let answer = match sent.early {
                Some(answer) => answer,
                None => sent.answer.await,
            };
            match (answer, sent.step) {
                (Ok(rows), Some((place, step))) => answers.push((place, step, rows)),
                (Ok(_), None) => {}
                (Err(error), step) => {
                    failed = failed.or_else(|| {
                        Failed::cause(error, |error| step.map(|(place, step)| blame(place, &step, error)))
                    });
                }
            }
        }
        match failed {
            None => Ok(answers),
            Some(failed) => {
                if std::mem::take(&mut self.open) {
                    // Where this fails the connection has ended, and the transaction with it.
                    let _ = self.client.batch_execute("ROLLBACK").await;
                }
                Err(failed)
            }
        }
    }
}

/// The user or group, or the role, that a membership or role hangs on may not be there yet: its own statement waits or
/// was refused.
fn blame(place: usize, step: &Step<'_>, error: &Error) -> Blame {
    let missing = [SqlState::NOT_NULL_VIOLATION, SqlState::FOREIGN_KEY_VIOLATION];
    let hangs = matches!(step.prepared.sql.kind, Kind::MemberAdd | Kind::RoleGrant);
    Blame {
        place,
        waits: hangs && error.code().is_some_and(|code| missing.contains(code)),
        explained: step.prepared.sql.explain(error),
    }
}
