//! Waiting for what cannot notify.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// How long to leave the other side alone between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Looks again and again until `look` says [`Ok`], and returns what it found.
///
/// For the state of servers that have no way to say that it changed: an entry in LDAP, a row in a table. Where
/// an event can be awaited, await that.
///
/// # Panics
/// When `within` has passed; the message has `what`, and what the last look saw instead.
pub async fn until<T, Seen, Look, Looking>(within: Duration, what: &str, mut look: Look) -> T
where
    Seen: Debug,
    Look: FnMut() -> Looking,
    Looking: Future<Output = Result<T, Seen>>,
{
    let deadline = Instant::now() + within;
    let mut last = None;
    loop {
        match timeout_at(deadline, look()).await {
            Ok(Ok(found)) => return found,
            Ok(Err(seen)) => last = Some(seen),
            Err(_) => panic!(
                "not within {within:?}: {what}; the last look had no answer, the one before saw {last:#?}"
            ),
        }
        if Instant::now() + BETWEEN_LOOKS > deadline {
            panic!("not within {within:?}: {what}; last seen: {last:#?}");
        }
        sleep(BETWEEN_LOOKS).await;
    }
}
