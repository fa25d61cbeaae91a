//! What one batch has learnt about the application, so that a hundred changes do not each find out alone that
//! it is down or wants to be left alone.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rolecall_sink_api::{Outcome, RemoteId, SinkDown};

/// After so many requests in a row without a usable answer, the application is taken to be in trouble as a
/// whole.
const STREAK: u32 = 5;
/// After so long no further change is begun: the daemon waits for the whole batch, and not for ever.
const LONG_ENOUGH: Duration = Duration::from_secs(120);

/// What the changes of one batch share.
pub struct Batch {
    state: Mutex<State>,
    begun: Instant,
}

impl Default for Batch {
    fn default() -> Self {
        Self { state: Mutex::default(), begun: Instant::now() }
    }
}

#[derive(Default)]
struct State {
    stop: Option<Stop>,
    streak: u32,
}

/// What became of a change in a batch: its outcome, or, where nothing more was to be sent before it had one, the
/// application's id of what was made of it by then.
pub type Settled = Result<Outcome, Option<RemoteId>>;

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

    /// Whether another change may be begun.
    pub fn has_time(&self) -> bool {
        self.open() && self.begun.elapsed() < LONG_ENOUGH
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

    /// The outcomes of the batch.
    ///
    /// An application that cannot be worked with, or wants to be left alone, makes the whole batch come again, but
    /// only when nothing came of it. Otherwise what was made would be made once more, and a batch that is larger
    /// than the application's rate limit would begin anew each time and never end.
    ///
    /// # Errors
    /// When the application is down, or wants to be left alone, and nothing came of the batch.
    pub fn finish(&self, settled: Vec<Settled>) -> Result<Vec<Outcome>, SinkDown> {
        let (reason, after) = match self.lock().stop.clone() {
            None => ("the batch took long enough".to_owned(), Some(Duration::ZERO)),
            Some(stop) => {
                let (down, after) = match stop {
                    // That one will find it down at once costs nobody an attempt.
                    Stop::Down(down) => (down.clone(), Some(down.after.unwrap_or_default())),
                    Stop::Wait { reason, after } => (SinkDown { reason, after }, after),
                };
                let tells = |settled: &Settled| match settled {
                    Ok(Outcome::Applied { .. } | Outcome::Reject { .. }) | Err(Some(_)) => true,
                    Ok(Outcome::Retry { remote, .. }) => remote.is_some(),
                    Err(None) => false,
                };
                if !settled.iter().any(tells) {
                    return Err(down);
                }
                (down.reason, after)
            }
        };
        let left =
            |made| Outcome::retry_after(format!("not sent, because {reason}"), after).with_remote(made);
        Ok(settled.into_iter().map(|settled| settled.unwrap_or_else(left)).collect())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing here panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use rolecall_sink_api::Action;

    use super::*;

    fn applied() -> Settled {
        Ok(Outcome::applied(Action::Updated))
    }

    #[test]
    fn a_rate_limit_lets_what_got_through_count() {
        let batch = Batch::default();
        batch.busy("429", Some(Duration::from_secs(9)));
        let outcomes = batch.finish(vec![applied(), Err(None)]).unwrap();
        assert_eq!(outcomes[0], applied().unwrap());
        assert!(matches!(&outcomes[1], Outcome::Retry { after: Some(after), .. } if after.as_secs() == 9));
    }

    #[test]
    fn a_rate_limit_before_anything_got_through_blames_no_change() {
        let batch = Batch::default();
        batch.busy("429", Some(Duration::from_secs(9)));
        let down = batch.finish(vec![Err(None), Err(None)]).unwrap_err();
        assert_eq!(down.after, Some(Duration::from_secs(9)));
    }

    #[test]
    fn an_application_that_went_down_in_mid_batch_leaves_what_was_made_known() {
        let batch = Batch::default();
        batch.busy("429", None);
        batch.down(SinkDown::new("refused"));
        let down = batch.finish(vec![Err(None), Ok(Outcome::retry("500"))]).unwrap_err();
        assert_eq!(down.reason, "refused", "down outweighs all else");

        let made = Some(RemoteId::new("7"));
        let outcomes = batch.finish(vec![applied(), Err(made.clone()), Err(None)]).unwrap();
        assert_eq!(outcomes[0], applied().unwrap());
        for (outcome, made) in outcomes[1..].iter().zip([made, None]) {
            let Outcome::Retry { reason, after, remote } = outcome else { panic!("{outcome:?}") };
            assert!(reason.contains("refused") && after.is_some(), "no attempt is counted: {outcome:?}");
            assert_eq!(*remote, made);
        }
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
