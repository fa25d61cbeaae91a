//! A batch from its first try to an outcome for each change: what the database refuses is found and refused
//! alone, what is locked waits alone, and what failed by chance is done again at once.

use std::time::Duration;

use rolecall_sink_api::{Change, Outcome, SinkDown};
use tokio::time::Instant;

use crate::PostgresSink;
use crate::failed::{Blame, Failed};
use crate::managed::{locked, nul_in};
use crate::session::{Session, Tables};
use crate::sqlstate::{Verdict, describe, judge};

/// How often a transaction that failed by chance (a deadlock, a serialization failure) is tried.
const ATTEMPTS: u32 = 4;

/// Why a part of the batch did not go through.
enum Refused {
    /// A row is to blame, nobody knows which.
    Row(String),
    /// These changes (by place in the part) are refused, and the others may go through.
    Alone(String, Vec<usize>),
    /// These changes (by place in the part) wait, for a lock or for what they hang on.
    Waiting(String, Vec<usize>),
    /// Nothing that can be told apart; later.
    Later(String),
    /// Nothing goes through.
    Down(SinkDown),
}

impl PostgresSink {
    /// One outcome per change, in order.
    pub(crate) async fn deliver(&self, changes: &[Change]) -> Result<Vec<Outcome>, SinkDown> {
        let deadline = Instant::now() + self.timeout.get();
        let mut outcomes: Vec<Option<Outcome>> = changes.iter().map(|c| self.unstorable(c)).collect();
        let mut written = false;
        // Parts of the batch that wait for their transaction, as places in `changes`; the last one is next.
        let mut parts = vec![(0..changes.len()).filter(|n| outcomes[*n].is_none()).collect::<Vec<_>>()];
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let chosen: Vec<&Change> = part.iter().map(|n| &changes[*n]).collect();
            let Ok(answer) = tokio::time::timeout_at(deadline, self.attempt(&chosen)).await else {
                let reason = format!(
                    "writing to {}: not done within {} (`timeout`)",
                    self.connector.target(),
                    self.timeout
                );
                if !written {
                    return Err(SinkDown::new(reason));
                }
                // Some went through, so the database works: it is the rest that takes longer.
                for (outcome, change) in outcomes.iter_mut().zip(changes) {
                    outcome.get_or_insert_with(|| Outcome::retry(format!("{}: {reason}", change.entity)));
                }
                break;
            };
            match answer {
                Ok(done) => {
                    written = true;
                    for (n, outcome) in part.iter().zip(done) {
                        outcomes[*n] = Some(match outcome {
                            Outcome::Reject { reason } => self.reject(&changes[*n], &reason),
                            other => other,
                        });
                    }
                }
                Err(Refused::Down(down)) => return Err(down),
                Err(Refused::Later(reason)) => {
                    part.iter().for_each(|n| outcomes[*n] = Some(self.retry(&changes[*n], &reason)));
                }
                Err(Refused::Waiting(reason, places)) => {
                    let waiting = places.iter().map(|place| part[*place]);
                    waiting.for_each(|n| outcomes[n] = Some(self.retry(&changes[n], &reason)));
                    parts.push(part.into_iter().filter(|n| outcomes[*n].is_none()).collect());
                }
                Err(Refused::Alone(reason, places)) => {
                    let refused = places.iter().map(|place| part[*place]);
                    refused.for_each(|n| outcomes[n] = Some(self.reject(&changes[n], &reason)));
                    parts.push(part.into_iter().filter(|n| outcomes[*n].is_none()).collect());
                }
                Err(Refused::Row(reason)) => match part.as_slice() {
                    [n] => outcomes[*n] = Some(self.reject(&changes[*n], &reason)),
                    _ => {
                        let (first, second) = part.split_at(part.len() / 2);
                        parts.extend([second.to_vec(), first.to_vec()]);
                    }
                },
            }
        }
        let unanswered = || Outcome::retry("the sink did not come to it");
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(unanswered)).collect())
    }

    /// One transaction, again while it fails by chance, and once more when the connection had been lost
    /// before.
    async fn attempt(&self, changes: &[&Change]) -> Result<Vec<Outcome>, Refused> {
        let mut attempt = 1;
        loop {
            let kept = self.take_session();
            let fresh = kept.is_none();
            let session = match kept {
                Some(session) => session,
                None => self.open_session().await.map_err(Refused::Down)?,
            };
            // Not kept while in use: a future dropped in here must not leave half a transaction behind.
            let failed = match session.write(changes).await {
                Ok(outcomes) => {
                    self.keep_session(session);
                    return Ok(outcomes);
                }
                Err(failed) => failed,
            };
            match judge(&failed.error) {
                // The server may have ended an idle session long ago: a new one tells.
                Verdict::Down if !fresh && session.connection.client.is_closed() => {}
                Verdict::Down => return Err(Refused::Down(self.down("writing to", &failed))),
                Verdict::Again if attempt < ATTEMPTS => {
                    self.keep_session(session);
                    // The one that won needs a moment.
                    tokio::time::sleep(Duration::from_millis(5 << attempt)).await;
                    attempt += 1;
                }
                verdict => {
                    let refused = refuse(&session, changes, verdict, failed).await;
                    self.keep_session(session);
                    return Err(refused);
                }
            }
        }
    }

    /// Down, with the statement that found it where the operator wrote it.
    fn down(&self, doing: &str, failed: &Failed) -> SinkDown {
        let doing = match &failed.blame {
            Some(blame) => format!("{} while {doing}", blame.explained),
            None => doing.to_owned(),
        };
        self.connector.down(&doing, &failed.error)
    }

    fn unstorable(&self, change: &Change) -> Option<Outcome> {
        // The operator's statements may not name what holds it: then the server says.
        let place = self.layout.is_managed().then(|| nul_in(change))??;
        Some(self.reject(
            change,
            &format!(
                "{place} holds the character U+0000, which PostgreSQL cannot keep; mend it at the source"
            ),
        ))
    }

    fn reject(&self, change: &Change, reason: &str) -> Outcome {
        Outcome::reject(format!("writing {} to {}: {reason}", change.entity, self.connector.target()))
    }

    fn retry(&self, change: &Change, reason: &str) -> Outcome {
        Outcome::retry(format!("writing {} to {}: {reason}", change.entity, self.connector.target()))
    }
}

/// What is left to do about an error that tries nothing again at once and takes nothing down.
async fn refuse(session: &Session, changes: &[&Change], verdict: Verdict, failed: Failed) -> Refused {
    let reason = describe(&failed.error);
    match (verdict, failed.blame) {
        (Verdict::Row, Some(Blame { place, waits: false, explained })) => {
            Refused::Alone(explained, vec![place])
        }
        (Verdict::Row, None) => Refused::Row(reason),
        (_, Some(Blame { place, explained, .. })) => Refused::Waiting(explained, vec![place]),
        (Verdict::Locked, None) if matches!(session.tables, Tables::Managed { .. }) => {
            match locked(&session.connection.client, changes).await {
                Ok(places) if !places.is_empty() => Refused::Waiting(reason, places),
                // Locked as a whole, or on rows that are not the changes' own.
                Ok(_) | Err(_) => Refused::Later(reason),
            }
        }
        (_, None) => Refused::Later(reason),
    }
}
