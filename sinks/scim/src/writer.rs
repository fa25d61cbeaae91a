//! How the writes of a batch reach the application: those about the members of one group as one, and each of the rest
//! by itself, or all that wait together as one bulk request.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use rolecall_sink_api::Entity;
use rolecall_sink_http::{Answer, Application, Batch, Halt, Meaning, NoAnswer};
use tokio::sync::{Notify, Semaphore, oneshot};

use crate::bulk;
use crate::merge::{is_mergeable, merged, together};
use crate::request::Write;
use crate::service::BulkLimits;

/// After so many requests in a row that brought nothing, what waits is not sent: nobody judges their answers meanwhile.
const STREAK: u32 = 3;

/// Sends the writes of changes that are settled side by side.
///
/// A change that wants to change the members of a group, or with bulk requests anything, waits until all others wait
/// too or are settled; then [`flush`](Self::flush) sends what waits.
pub(crate) struct Writer<'a> {
    application: &'a Application,
    batch: &'a Batch,
    bulk: Option<&'a BulkLimits>,
    /// Whether several changes may become one request.
    merges: bool,
    concurrency: usize,
    /// What bounds the writes that do not wait.
    sending: Semaphore,
    state: Mutex<State>,
    all_wait: Notify,
}

struct State {
    waiting: Vec<Waiting>,
    /// Changes that are not settled yet.
    open: usize,
    /// Requests in a row that brought nothing, of those that were waited for.
    failures: u32,
}

struct Waiting {
    write: Write,
    answered: oneshot::Sender<Result<Answer, NoAnswer>>,
}

/// What is sent as one, and who waits for it.
struct One {
    write: Write,
    waiting: Vec<Waiting>,
}

impl<'a> Writer<'a> {
    /// For `open` changes that are settled side by side; with bulk requests, if there is `bulk`, and with one request
    /// for several members if the application knows PATCH.
    pub(crate) fn new(
        application: &'a Application,
        batch: &'a Batch,
        bulk: Option<&'a BulkLimits>,
        concurrency: usize,
        open: usize,
        patch: bool,
    ) -> Self {
        // For one change, a bulk request is only a wrapping.
        let bulk = bulk.filter(|bulk| open > 1 && bulk.operations() > 1);
        let state = Mutex::new(State { waiting: Vec::new(), open, failures: 0 });
        let merges = patch && open > 1;
        let sending = Semaphore::new(concurrency);
        Self { application, batch, bulk, merges, concurrency, sending, state, all_wait: Notify::new() }
    }

    /// Whether writes wait for each other.
    pub(crate) fn gathers(&self) -> bool {
        self.bulk.is_some() || self.merges
    }

    /// Sends a write, now or with others, and judges the answer as [`Application::exchange`] does.
    pub(crate) async fn write(&self, entity: &Entity, what: &str, write: Write) -> Result<Answer, Halt> {
        if !self.batch.open() {
            return Err(Halt::Closed);
        }
        let answered = if self.bulk.is_some() || (self.merges && is_mergeable(&write)) {
            let (answered, answer) = oneshot::channel();
            self.state().waiting.push(Waiting { write, answered });
            self.tell_if_all_wait();
            // The sender is dropped unused when the batch was closed.
            answer.await.map_err(|_| Halt::Closed)?
        } else {
            // Never closed.
            let _turn = self.sending.acquire().await.map_err(|_| Halt::Closed)?;
            if !self.batch.open() {
                return Err(Halt::Closed);
            }
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

    /// Sends those that wait; with bulk requests, as many as fit into one. Whoever was answered goes on before
    /// more is sent: it may turn out that nothing more should be.
    pub(crate) async fn flush(&self) {
        let waiting = std::mem::take(&mut self.state().waiting);
        if !self.batch.open() {
            // Whoever waits is told by losing the sender.
            return;
        }
        let mut ones = joined(waiting, self.merges);
        if let Some(bulk) = self.bulk {
            let fitting = bulk::fitting(ones.iter().map(|one| &one.write), bulk);
            let rest = ones.split_off(fitting);
            self.state().waiting.extend(rest.into_iter().flat_map(|one| one.waiting));
            if ones.len() > 1 {
                return self.in_bulk(ones, bulk).await;
            }
        }
        self.one_by_one(ones).await;
    }

    async fn in_bulk(&self, ones: Vec<One>, bulk: &BulkLimits) {
        let writes: Vec<&Write> = ones.iter().map(|one| &one.write).collect();
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
                return self.one_by_one(ones).await;
            }
            answer => {
                if answer.is_err() {
                    // Perhaps so many take longer than one request may.
                    bulk.at_most(writes.len() / 2);
                }
                return ones.into_iter().for_each(|one| one.tell(&answer));
            }
        };
        let answered = ones.into_iter().zip(answers).map(|(one, answer)| self.answered(one, answer));
        futures_util::stream::iter(answered).buffer_unordered(self.concurrency).collect::<()>().await;
    }

    async fn one_by_one(&self, ones: Vec<One>) {
        let send = async |one: One| {
            if self.goes_on() {
                let answer = self.send(&one.write).await;
                self.answered(one, answer).await;
            }
        };
        let all: Vec<_> = ones.into_iter().map(send).collect();
        futures_util::stream::iter(all).buffer_unordered(self.concurrency).collect::<()>().await;
    }

    /// Tells whoever waits. When several were one and it did not go through, each is sent by itself: one of them may
    /// be to blame, and must not hold up the others.
    async fn answered(&self, one: One, answer: Result<Answer, NoAnswer>) {
        let about_all = match &answer {
            Ok(answer) => matches!(answer.meaning(), Meaning::Done | Meaning::Refused | Meaning::Busy),
            Err(no_answer) => matches!(no_answer, NoAnswer::Unreachable(_)),
        };
        if about_all || one.waiting.len() == 1 {
            return one.tell(&answer);
        }
        for waiting in one.waiting.into_iter().take_while(|_| self.goes_on()) {
            let answer = self.send(&waiting.write).await;
            // Whoever waited may have been dropped.
            let _ = waiting.answered.send(answer);
        }
    }

    async fn send(&self, write: &Write) -> Result<Answer, NoAnswer> {
        let answer = self.application.send(&write.request()).await;
        let failed = answer.as_ref().map_or(true, |answer| {
            matches!(answer.meaning(), Meaning::Later | Meaning::Busy | Meaning::Refused)
        });
        let failures = &mut self.state().failures;
        *failures = if failed { *failures + 1 } else { 0 };
        answer
    }

    /// Whether more is to be sent of what waits; the rest comes again, and it costs nobody an attempt.
    fn goes_on(&self) -> bool {
        self.batch.open() && self.state().failures < STREAK
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

impl One {
    fn tell(self, answer: &Result<Answer, NoAnswer>) {
        for waiting in self.waiting {
            // Whoever waited may have been dropped.
            let _ = waiting.answered.send(answer.clone());
        }
    }
}

/// What waits, as far as it may become one.
fn joined(waiting: Vec<Waiting>, merges: bool) -> Vec<One> {
    if !merges {
        return waiting.into_iter().map(|one| One { write: one.write.clone(), waiting: vec![one] }).collect();
    }
    let places = together(waiting.iter().map(|one| &one.write));
    let mut waiting: Vec<Option<Waiting>> = waiting.into_iter().map(Some).collect();
    let one = |places: Vec<usize>| {
        let waiting: Vec<Waiting> = places.into_iter().filter_map(|n| waiting.get_mut(n)?.take()).collect();
        let write = merged(&waiting.iter().map(|one| &one.write).collect::<Vec<_>>())?;
        Some(One { write, waiting })
    };
    places.into_iter().filter_map(one).collect()
}

/// Whether the answer means that the bulk request as such is refused, and not what it asks.
fn is_no_bulk(answer: &Answer) -> bool {
    matches!(answer.meaning(), Meaning::Missing | Meaning::Wrong | Meaning::Exists)
        || answer.status == http::StatusCode::NOT_IMPLEMENTED
}
