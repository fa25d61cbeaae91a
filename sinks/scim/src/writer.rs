//! How the writes of a batch reach the application: each by itself, or all that wait together as one bulk request.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use rolecall_sink_api::Entity;
use rolecall_sink_http::{Answer, Application, Batch, Halt, Meaning, NoAnswer};
use tokio::sync::{Notify, oneshot};

use crate::bulk;
use crate::request::Write;
use crate::service::BulkLimits;

/// Sends the writes of changes that are settled side by side.
///
/// With bulk requests, a change that wants to write waits until all others wait too or are settled; then
/// [`flush`](Self::flush) sends everything that waits.
pub(crate) struct Writer<'a> {
    application: &'a Application,
    batch: &'a Batch,
    bulk: Option<&'a BulkLimits>,
    concurrency: usize,
    state: Mutex<State>,
    all_wait: Notify,
}

struct State {
    waiting: Vec<Waiting>,
    /// Changes that are not settled yet.
    open: usize,
}

struct Waiting {
    write: Write,
    answered: oneshot::Sender<Result<Answer, NoAnswer>>,
}

impl<'a> Writer<'a> {
    /// For `open` changes that are settled side by side; with bulk requests, if there is `bulk`.
    pub(crate) fn new(
        application: &'a Application,
        batch: &'a Batch,
        bulk: Option<&'a BulkLimits>,
        concurrency: usize,
        open: usize,
    ) -> Self {
        // For one change, a bulk request is only a wrapping.
        let bulk = bulk.filter(|bulk| open > 1 && bulk.operations() > 1);
        let state = Mutex::new(State { waiting: Vec::new(), open });
        Self { application, batch, bulk, concurrency, state, all_wait: Notify::new() }
    }

    /// Whether writes wait for each other.
    pub(crate) fn gathers(&self) -> bool {
        self.bulk.is_some()
    }

    /// Sends a write, now or with others, and judges the answer as [`Application::exchange`] does.
    pub(crate) async fn write(&self, entity: &Entity, what: &str, write: Write) -> Result<Answer, Halt> {
        if !self.batch.open() {
            return Err(Halt::Closed);
        }
        let answered = if self.gathers() {
            let (answered, answer) = oneshot::channel();
            self.state().waiting.push(Waiting { write, answered });
            self.tell_if_all_wait();
            // The sender is dropped unused when the batch was closed.
            answer.await.map_err(|_| Halt::Closed)?
        } else {
            self.application.send(&write.request()).await
        };
        self.application.judge(entity, what, answered, self.batch)
    }

    /// A change is settled.
    pub(crate) fn settled(&self) {
        self.state().open -= 1;
        self.tell_if_all_wait();
    }

    /// Waits until there is something to [`flush`](Self::flush).
    pub(crate) async fn all_wait(&self) {
        self.all_wait.notified().await;
    }

    /// Sends the first of those that wait, as many as fit into one request. Whoever was answered goes on before
    /// more is sent: it may turn out that nothing more should be.
    pub(crate) async fn flush(&self) {
        let Some(bulk) = self.bulk else { return };
        let first: Vec<Waiting> = {
            let waiting = &mut self.state().waiting;
            if !self.batch.open() {
                // Whoever waits is told by losing the sender.
                return waiting.clear();
            }
            let fitting = bulk::fitting(waiting.iter().map(|one| &one.write), bulk);
            waiting.drain(..fitting).collect()
        };
        if first.len() == 1 {
            return self.one_by_one(first).await;
        }
        self.together(first, bulk).await;
    }

    async fn together(&self, waiting: Vec<Waiting>, bulk: &BulkLimits) {
        let writes: Vec<&Write> = waiting.iter().map(|one| &one.write).collect();
        let request = bulk::write(writes.iter().copied()).request();
        let answers: Vec<Result<Answer, NoAnswer>> = match self.application.send(&request).await {
            Ok(answer) if answer.meaning() == Meaning::Done => {
                let unsaid = || NoAnswer::Lost("the bulk response does not say what became of it".into());
                bulk::answers(&writes, &answer).into_iter().map(|answer| answer.ok_or_else(unsaid)).collect()
            }
            Ok(answer) if is_no_bulk(&answer) => {
                let said = answer.excerpt(&self.application.secrets());
                tracing::warn!(
                    application = self.application.name(),
                    "a bulk request was answered {said}; from now on each change is sent by itself"
                );
                bulk.at_most(1);
                return self.one_by_one(waiting).await;
            }
            Ok(answer) => vec![Ok(answer); writes.len()],
            Err(no_answer) => {
                // Perhaps so many take longer than one request may.
                bulk.at_most(writes.len() / 2);
                vec![Err(no_answer); writes.len()]
            }
        };
        for (one, answer) in waiting.into_iter().zip(answers) {
            // Whoever waited may have been dropped.
            let _ = one.answered.send(answer);
        }
    }

    async fn one_by_one(&self, waiting: Vec<Waiting>) {
        let send = async |one: Waiting| {
            if self.batch.open() {
                let _ = one.answered.send(self.application.send(&one.write.request()).await);
            }
        };
        let all: Vec<_> = waiting.into_iter().map(send).collect();
        futures_util::stream::iter(all).buffer_unordered(self.concurrency).collect::<()>().await;
    }

    fn tell_if_all_wait(&self) {
        let state = self.state();
        if !state.waiting.is_empty() && state.waiting.len() == state.open {
            self.all_wait.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing here panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the answer means that the bulk request as such is refused, and not what it asks.
fn is_no_bulk(answer: &Answer) -> bool {
    matches!(answer.meaning(), Meaning::Missing | Meaning::Wrong | Meaning::Exists)
        || answer.status == http::StatusCode::NOT_IMPLEMENTED
}
