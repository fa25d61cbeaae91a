//! A request and its answer, with all that is not about one change alone dealt with.

use http::{Method, StatusCode};
use rolecall_sink_api::{Entity, Outcome, SinkDown, printable};

use crate::answer::{Answer, Meaning};
use crate::batch::Batch;
use crate::client::{Application, NoAnswer};
use crate::request::Request;

/// Why a change is not brought any further.
#[derive(Clone, Debug)]
pub enum Halt {
    /// Its outcome is known.
    Settled(Outcome),
    /// Nothing more is sent in this batch.
    Closed,
}

impl Application {
    /// Sends a request about `entity`. What comes back is [`Meaning::Done`], [`Meaning::Missing`],
    /// [`Meaning::Exists`] or [`Meaning::Wrong`]: it is for the sink to say what that means.
    ///
    /// `what` names the request to people.
    ///
    /// # Errors
    /// When there is nothing more to be done for this change, or in this batch.
    pub async fn exchange(
        &self,
        entity: &Entity,
        what: &str,
        request: &Request,
        batch: &Batch,
    ) -> Result<Answer, Halt> {
        if !batch.open() {
            return Err(Halt::Closed);
        }
        let answered = self.send(request).await;
        self.judge(entity, what, answered, batch)
    }

    /// The second half of [`exchange`](Self::exchange), for an answer that came in another way.
    ///
    /// # Errors
    /// As `exchange`.
    pub fn judge(
        &self,
        entity: &Entity,
        what: &str,
        answered: Result<Answer, NoAnswer>,
        batch: &Batch,
    ) -> Result<Answer, Halt> {
        let answer = match answered {
            Ok(answer) => answer,
            Err(NoAnswer::Unreachable(why)) => {
                batch.down(self.down(&format!("cannot be reached: {why}")));
                return Err(Halt::Closed);
            }
            Err(NoAnswer::Lost(why)) => {
                let reason = self.about(entity, &format!("{what}: {why}"));
                batch.failed(&reason);
                return Err(Halt::Settled(Outcome::retry(reason)));
            }
            Err(NoAnswer::Unsendable(why)) => {
                let reason = self.about(entity, &format!("{what}: {why}"));
                return Err(Halt::Settled(Outcome::reject(reason)));
            }
        };
        let status = answer.status.as_u16();
        tracing::debug!(sink = %self.sink, entity = ?entity, request = what, status, "answered");
        let after = answer.retry_after(jiff::Timestamp::now());
        match answer.meaning() {
            Meaning::Refused => {
                let hint = if answer.status.is_redirection() {
                    "redirects are not followed: set base_url to where the application is"
                } else {
                    "check the credentials in auth, and what they may do"
                };
                let reason = format!("{}; {hint}", self.said(entity, what, &answer));
                batch.down(SinkDown { reason, after });
                Err(Halt::Closed)
            }
            Meaning::Busy => {
                batch.busy(&self.said(entity, what, &answer), after);
                Err(Halt::Closed)
            }
            Meaning::Later => {
                let reason = self.said(entity, what, &answer);
                batch.failed(&reason);
                Err(Halt::Settled(Outcome::retry_after(reason, after)))
            }
            Meaning::Done | Meaning::Missing | Meaning::Exists | Meaning::Wrong => {
                batch.answered();
                Ok(answer)
            }
        }
    }

    /// Whether the application is there and accepts the credentials, by a GET of `path` that must succeed, or a
    /// HEAD of the base URL, to which any answer will do that is not 401, 429 or 503. A secret that was replaced
    /// is taken up.
    ///
    /// # Errors
    /// What is wrong and what to do.
    pub async fn probe(&self, path: Option<&str>) -> Result<(), SinkDown> {
        self.refresh_credential().map_err(|e| self.down(&e.to_string()))?;
        let (method, at) = path.map_or((Method::HEAD, ""), |path| (Method::GET, path));
        let answer =
            self.send(&Request::new(method.clone(), at)).await.map_err(|no_answer| match no_answer {
                NoAnswer::Unreachable(why) | NoAnswer::Lost(why) | NoAnswer::Unsendable(why) => {
                    self.down(&format!("cannot reach it: {why}"))
                }
            })?;
        let up = match answer.meaning() {
            Meaning::Done => true,
            Meaning::Busy => false,
            _ => path.is_none() && answer.status != StatusCode::UNAUTHORIZED,
        };
        if up {
            return Ok(());
        }
        let excerpt = answer.excerpt(&self.secrets());
        let mut down = self.down(&format!("{method} {at} was answered {excerpt}"));
        down.after = answer.retry_after(jiff::Timestamp::now());
        Err(down)
    }

    /// The application cannot be worked with.
    pub fn down(&self, what: &str) -> SinkDown {
        SinkDown::new(format!("{}: {}: {what}", self.sink, self.name()))
    }

    /// What a request was answered, for the person who reads it.
    pub fn said(&self, entity: &Entity, what: &str, answer: &Answer) -> String {
        self.about(entity, &format!("{what} was answered {}", answer.excerpt(&self.secrets())))
    }

    /// A reason, with the sink, the application and the entity before it.
    pub fn about(&self, entity: &Entity, what: &str) -> String {
        let entity = printable(&entity.to_string(), 100);
        format!("{}: {}: {entity}: {what}", self.sink, self.name())
    }
}
