//! A batch from its first try to an outcome for each change: what the database refuses is found and refused
//! alone, what is locked waits alone, and what failed by chance is done again at once.

use std::time::Duration;

use rolecall_sink_api::{Change, Outcome, SinkDown};
use tokio::time::Instant;
use tokio_postgres::Error;

use crate::PostgresSink;
use crate::columns::nul_in;
use crate::session::Session;
use crate::sqlstate::{Verdict, describe, judge};
use crate::transaction::write;

/// How often a transaction that failed by chance (a deadlock, a serialization failure) is tried.
const ATTEMPTS: u32 = 4;

/// Why a part of the batch did not go through.
enum Refused {
    /// A row is to blame.
    Row(String),
    /// These rows (by place in the part) are locked by somebody else.
    Locked(String, Vec<usize>),
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
                Err(Refused::Locked(reason, locked)) => {
                    locked
                        .iter()
                        .map(|place| part[*place])
                        .for_each(|n| outcomes[n] = Some(self.retry(&changes[n], &reason)));
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
                None => Session::open(&self.connector).await.map_err(Refused::Down)?,
            };
            // Not kept while in use: a future dropped in here must not leave half a transaction behind.
            let error = match write(&session, changes).await {
                Ok(outcomes) => {
                    self.keep_session(session);
                    return Ok(outcomes);
                }
                Err(error) => error,
            };
            match judge(&error) {
                // The server may have ended an idle session long ago: a new one tells.
                Verdict::Down if !fresh && session.connection.client.is_closed() => {}
                Verdict::Down => return Err(Refused::Down(self.connector.down("writing to", &error))),
                Verdict::Again if attempt < ATTEMPTS => {
                    self.keep_session(session);
                    // The one that won needs a moment.
                    tokio::time::sleep(Duration::from_millis(5 << attempt)).await;
                    attempt += 1;
                }
                Verdict::Again | Verdict::Later => {
                    self.keep_session(session);
                    return Err(Refused::Later(describe(&error)));
                }
                Verdict::Row => {
                    self.keep_session(session);
                    return Err(Refused::Row(describe(&error)));
                }
                Verdict::Locked => {
                    let locked = locked(&session, changes).await;
                    self.keep_session(session);
                    let reason = describe(&error);
                    return Err(match locked {
                        Ok(places) if !places.is_empty() => Refused::Locked(reason, places),
                        // Locked as a whole, or on rows that are not the changes' own.
                        Ok(_) | Err(_) => Refused::Later(reason),
                    });
                }
            }
        }
    }

    fn unstorable(&self, change: &Change) -> Option<Outcome> {
        let place = nul_in(change)?;
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

/// The places of the changes whose rows somebody else holds.
async fn locked(session: &Session, changes: &[&Change]) -> Result<Vec<usize>, Error> {
    let ids: Vec<&str> = changes.iter().map(|change| change.entity.id()).collect();
    // Ids of users and groups never meet in one table, so both are asked for all of them.
    let rows = session
        .connection
        .client
        .query(
            "SELECT id FROM users WHERE id = ANY($1) AND id NOT IN \
                (SELECT id FROM users WHERE id = ANY($1) FOR NO KEY UPDATE SKIP LOCKED) \
             UNION ALL \
             SELECT id FROM groups WHERE id = ANY($1) AND id NOT IN \
                (SELECT id FROM groups WHERE id = ANY($1) FOR NO KEY UPDATE SKIP LOCKED)",
            &[&ids],
        )
        .await?;
    let held: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    Ok((0..ids.len()).filter(|n| held.contains(&ids[*n])).collect())
}
