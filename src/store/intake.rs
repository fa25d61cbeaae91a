//! The way of a message from whoever received it to the committer, and of the answer back.

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::source::Reading;

/// One authentic message that was read, on its way into the store.
#[derive(Clone, Debug)]
pub struct Message {
    /// The configured source it came through.
    pub source: String,
    /// The sender's id of the message (`webhook-id`).
    pub message_id: String,
    /// When this attempt was signed.
    pub signed_at: Timestamp,
    /// When it arrived.
    pub received_at: Timestamp,
    /// What the source made of it.
    pub reading: Reading,
    /// The body, byte for byte as it was signed. It may count towards a bound on memory for as long as any of
    /// it is held, so nobody keeps it once it is on disk.
    pub body: Bytes,
}

/// What became of a message. Whatever it is, it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// Journalled, merged, and in every sink's queue.
    Committed,
    /// The event is known already; nothing changed.
    Duplicate,
    /// Journalled; it has nothing to do with a directory.
    Ignored,
    /// Journalled; it could not be read. Holds why.
    Unreadable(String),
}

/// The message could not be made durable now: the sender should send it again. Holds why, for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// A message and the way back for its receipt.
#[derive(Debug)]
pub struct Submission {
    /// The message.
    pub message: Message,
    /// Where the answer goes. Whoever waited may be gone.
    pub answer: oneshot::Sender<Result<Receipt, Unavailable>>,
}

/// Hands messages to the committer and waits until they are durable.
#[derive(Clone, Debug)]
pub struct Intake(mpsc::Sender<Submission>);

impl Intake {
    /// An intake that holds at most `capacity` messages, and the committer's end of it.
    pub fn new(capacity: usize) -> (Self, mpsc::Receiver<Submission>) {
        let (sender, receiver) = mpsc::channel(capacity);
        (Self(sender), receiver)
    }

    /// Makes a message durable. Waits while the intake is full, so the caller bounds the time.
    ///
    /// # Errors
    /// When it could not be stored; then nothing of it was.
    pub async fn submit(&self, message: Message) -> Result<Receipt, Unavailable> {
        let stopping = || Unavailable("the daemon is stopping".into());
        let (answer, receipt) = oneshot::channel();
        self.0.send(Submission { message, answer }).await.map_err(|_| stopping())?;
        receipt.await.map_err(|_| stopping())?
    }

    /// The same intake for somebody whose messages can come another time: who holds it does not keep the
    /// committer from ending.
    pub fn downgrade(&self) -> WeakIntake {
        WeakIntake(self.0.downgrade())
    }
}

/// An [`Intake`] that ends with the last whole one.
#[derive(Clone, Debug)]
pub struct WeakIntake(mpsc::WeakSender<Submission>);

impl WeakIntake {
    /// The intake, to be let go once a message is durable; `None` when the daemon is stopping.
    pub fn upgrade(&self) -> Option<Intake> {
        self.0.upgrade().map(Intake)
    }
}
