//! What one batch has learnt about the application, so that a hundred changes do not each find out alone that
//! it is down or wants to be left alone.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rolecall_sink_api::{Outcome, SinkDown};

/// After so many requests in a row without a usable answer, the application is taken to be in trouble as a
/// whole.
const STREAK: u32 = 5;

/// What the changes of one batch share.
#[derive(Default)]
pub struct Batch(Mutex<State>);

#[derive(Default)]
struct State {
    stop: Option<Stop>,
    streak: u32,
}

/// Why nothing more is sent.
#[derive(Clone)]
enum Stop {
    Down(SinkDown),
    Wait { reason: String, after: Option<Duration> },
}

impl Batch {
    /// Whether something more may be sent.
    pub fn open(&self) -> bool {
        self.lock().stop.is_none()
    }

    /// A usable answer came.
    pub fn answered(&self) {
        self.lock().streak = 0;
    }

    /// No usable answer came.
    pub fn failed(&self, reason: &str) {
        let mut state = self.lock();
        state.streak += 1;
        if state.streak >= STREAK && state.stop.is_none() {
            let reason = format!("{STREAK} requests in a row failed, the last: {reason}");
            state.stop = Some(Stop::Wait { reason, after: None });
        }
    }

    /// The application wants to be left alone for a while.
    pub fn busy(&self, reason: &str, after: Option<Duration>) {
        self.lock().stop.get_or_insert(Stop::Wait { reason: reason.to_owned(), after });
    }

    /// The application cannot be worked with.
    pub fn down(&self, down: SinkDown) {
        self.lock().stop = Some(Stop::Down(down));
    }

    /// The outcomes of the batch; `None` stands for a change that was not settled because nothing more was to
    /// be sent.
    ///
    /// An application that is down makes the whole batch come again. One that wants to be left alone does so
    /// only when nothing got through: otherwise a batch that is larger than the application's rate limit would
    /// begin anew each time and never end.
    ///
    /// # Errors
    /// When the application is down, or wants to be left alone and nothing got through.
    pub fn finish(&self, outcomes: Vec<Option<Outcome>>) -> Result<Vec<Outcome>, SinkDown> {
        let (reason, after) = match self.lock().stop.clone() {
            None => (String::new(), None),
            Some(Stop::Down(down)) => return Err(down),
            Some(Stop::Wait { reason, after }) => {
                let settled = |outcome: &Option<Outcome>| {
                    matches!(outcome, Some(Outcome::Applied { .. } | Outcome::Reject { .. }))
                };
                if !outcomes.iter().any(settled) {
                    return Err(SinkDown { reason, after });
                }
                (reason, after)
            }
        };
        let left = || Outcome::Retry { reason: format!("not sent, because {reason}"), after };
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(left)).collect())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing here panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use rolecall_sink_api::Action;

    use super::*;

    fn applied() -> Option<Outcome> {
        Some(Outcome::applied(Action::Updated))
    }

    #[test]
    fn a_rate_limit_lets_what_got_through_count() {
        let batch = Batch::default();
        batch.busy("429", Some(Duration::from_secs(9)));
        let outcomes = batch.finish(vec![applied(), None]).unwrap();
        assert_eq!(outcomes[0], applied().unwrap());
        assert!(matches!(&outcomes[1], Outcome::Retry { after: Some(after), .. } if after.as_secs() == 9));
    }

    #[test]
    fn a_rate_limit_before_anything_got_through_blames_no_change() {
        let batch = Batch::default();
        batch.busy("429", Some(Duration::from_secs(9)));
        let down = batch.finish(vec![None, None]).unwrap_err();
        assert_eq!(down.after, Some(Duration::from_secs(9)));
    }

    #[test]
    fn down_outweighs_all_else() {
        let batch = Batch::default();
        batch.busy("429", None);
        batch.down(SinkDown::new("refused"));
        assert_eq!(batch.finish(vec![applied()]).unwrap_err().reason, "refused");
    }

    #[test]
    fn failures_in_a_row_close_the_batch_and_an_answer_between_them_does_not() {
        let batch = Batch::default();
        for _ in 0..3 {
            (1..STREAK).for_each(|_| batch.failed("500"));
            batch.answered();
        }
        assert!(batch.open());
        (0..STREAK).for_each(|_| batch.failed("500"));
        assert!(!batch.open());
    }
}
