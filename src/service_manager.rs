//! What the service manager is told (`sd_notify(3)`): that the daemon is ready, reloads or stops, how it is, and that it
//! gets on. Where there is none, nothing is told.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{self, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rolecall_sink_api::SinkName;
use rustix::time::{ClockId, clock_gettime};
use tokio::net::UnixDatagram;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::deliver::{Breaker, Deliveries, DeliveryStatus};
use crate::progress::Progress;
use crate::rulebook::Rulebook;
use crate::store::{SinkState, Store, StoreView};

/// How often the status is told when no watchdog asks for more.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);
/// How long the store may take to say what waits; it has the next time to do better.
const STORE_PATIENCE: Duration = Duration::from_secs(1);
/// How long the service manager may take to take a message.
const MANAGER_PATIENCE: Duration = Duration::from_secs(1);
/// The most sinks that are down and named. The line is read on one screen.
const MOST_NAMED: usize = 3;

/// What comes first in the status after rules were turned down: a reload that was refused is a success to systemd.
const TURNED_DOWN: &str = "rules turned down, those of before stay (rolecall status)";

/// What is looked at to say how the daemon is.
#[derive(Clone)]
pub struct Vitals {
    /// What waits.
    pub store: Arc<dyn Store>,
    /// The workers.
    pub deliveries: Deliveries,
    /// The committer.
    pub committer: Progress,
    /// The rules.
    pub rulebook: Rulebook,
}

impl Vitals {
    /// The part that should have been heard of the longest time ago, if that is longer than `tolerance`.
    fn stuck(&self, tolerance: Duration) -> Option<String> {
        let workers = self.deliveries.overdue();
        let workers = workers.map(|(sink, overdue)| (overdue, format!("the worker of {sink}")));
        let parts = std::iter::once((self.committer.overdue(), "the committer".to_owned())).chain(workers);
        let (overdue, part) = parts.filter(|(overdue, _)| *overdue > tolerance).max()?;
        Some(format!("{part} has not got on for {} s: does the disk hang?", overdue.as_secs().max(1)))
    }

    async fn status(&self) -> String {
        let overview = timeout(STORE_PATIENCE, self.store.overview()).await;
        let low = overview.as_ref().is_ok_and(|asked| asked.as_ref().is_ok_and(StoreView::is_low_on_space));
        let queues = match overview {
            Ok(Ok(view)) => Ok(view.sinks),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the store is slow to answer".to_owned()),
        };
        let mut line = status_line(&self.deliveries.status(), queues);
        if low {
            line += "; the disk is nearly full";
        }
        match self.rulebook.rejected() {
            Some(_) => format!("{TURNED_DOWN}; {line}"),
            None => line,
        }
    }
}

/// One line for a person who looks at `systemctl status`.
fn status_line(
    deliveries: &BTreeMap<SinkName, DeliveryStatus>,
    queues: Result<BTreeMap<SinkName, SinkState>, String>,
) -> String {
    let is_down = |status: &DeliveryStatus| matches!(status.breaker, Breaker::Open { .. });
    let down: Vec<&SinkName> =
        deliveries.iter().filter(|(_, status)| is_down(status)).map(|(name, _)| name).collect();
    let mut line = format!("{} of {} sinks up", deliveries.len() - down.len(), deliveries.len());
    if !down.is_empty() {
        let named: Vec<&str> = down.iter().take(MOST_NAMED).map(|name| name.as_str()).collect();
        line += &format!(", down: {}", named.join(", "));
        if let more @ 1.. = down.len().saturating_sub(MOST_NAMED) {
            line += &format!(" and {more} more");
        }
    }
    let paused = deliveries.values().filter(|status| status.paused.is_some()).count();
    if paused > 0 {
        line += &format!(", {paused} paused");
    }
    match queues {
        Ok(queues) => {
            let waiting: u64 = queues.values().map(|queue| queue.waiting).sum();
            let dead: u64 = queues.values().map(|queue| queue.dead).sum();
            line += &format!("; {waiting} waiting; {dead} dead letters");
            match queues.values().map(|queue| queue.held).sum() {
                0_u64 => line,
                held => line + &format!("; {held} held: rolecall holds list"),
            }
        }
        Err(error) => line + &format!("; {error}"),
    }
}

/// The service manager that started this process, if one did and wants to know. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ServiceManager {
    socket: Option<Arc<UnixDatagram>>,
    /// How long it waits for a sign of life; not at all without.
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that the environment names (`NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`). Must be called within a
    /// tokio runtime.
    pub(crate) fn from_environment() -> Self {
        let socket = env::var_os("NOTIFY_SOCKET")
            .and_then(|address| connect(&address).inspect_err(warn).ok().map(Arc::new));
        let number = |name| env::var(name).ok().and_then(|number| number.parse().ok());
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|time| is_ours && *time > 0);
        Self { socket, watchdog: watchdog.map(Duration::from_micros) }
    }

    /// Webhooks are received.
    pub(crate) async fn ready(&self) {
        self.tell("READY=1\n").await;
    }

    /// The rules file is read again. [`ServiceManager::ready`] says when that is over, however it went.
    pub(crate) async fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\n")).await;
    }

    /// The daemon ends when what is under way is finished.
    pub(crate) async fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=finishing the requests and deliveries that have begun\n").await;
    }

    /// Tells how the daemon is until `stop` is cancelled. The watchdog hears of it only while every part gets on: half
    /// its time is what a part may be late, and the other half how often that is looked at.
    pub(crate) async fn keep_told(self, vitals: Vitals, stop: CancellationToken) {
        let half = self.watchdog.map(|time| time / 2);
        let mut ticks = interval(half.unwrap_or(STATUS_INTERVAL).min(STATUS_INTERVAL));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_stuck = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let stuck = half.and_then(|tolerance| vitals.stuck(tolerance));
            if let (Some(stuck), false) = (&stuck, was_stuck) {
                tracing::error!("{stuck}; unless it goes on, the watchdog ends the daemon");
            }
            was_stuck = stuck.is_some();
            match stuck {
                Some(stuck) => self.tell(&format!("STATUS={stuck}\n")).await,
                // The sign of life first: the status may take its time.
                None => {
                    if half.is_some() {
                        self.tell("WATCHDOG=1\n").await;
                    }
                    self.tell(&format!("STATUS={}\n", vitals.status().await)).await;
                }
            }
        }
    }

    /// Sends one message, if somebody wants it. Nothing waits long for a manager that does not take it.
    async fn tell(&self, message: &str) {
        let Some(socket) = &self.socket else { return };
        let sent = timeout(MANAGER_PATIENCE, socket.send(message.as_bytes())).await;
        if let Err(error) = sent.map_err(io::Error::from).flatten() {
            warn(&error);
        }
    }
}

/// A socket that sends there: to a path, or with `@` before it to a name in the abstract namespace.
fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let socket = net::UnixDatagram::unbound()?;
    match address.as_bytes() {
        [b'@', name @ ..] => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        _ => socket.connect(address)?,
    }
    socket.set_nonblocking(true)?;
    UnixDatagram::from_std(socket)
}

fn warn(error: &io::Error) {
    tracing::warn!(%error, "the service manager (NOTIFY_SOCKET) cannot be told how the daemon is");
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::metrics::Recent;
    use crate::store::Pause;

    fn name(name: &str) -> SinkName {
        SinkName::new(name)
    }

    fn delivery(breaker: Breaker) -> DeliveryStatus {
        DeliveryStatus {
            breaker,
            paused: None,
            in_flight: 0,
            applied: 0,
            recent: Recent::default(),
            retried: 0,
            dead: 0,
            last_applied: None,
        }
    }

    fn down() -> DeliveryStatus {
        let at = Timestamp::UNIX_EPOCH;
        delivery(Breaker::Open { since: at, reason: "refused".into(), next_probe: at })
    }

    #[test]
    fn the_line_says_which_sinks_are_down_and_what_waits() {
        let deliveries = BTreeMap::from([(name("app"), delivery(Breaker::Closed)), (name("ldap"), down())]);
        let queue = |waiting, dead| SinkState { waiting, dead, ..SinkState::default() };
        let queues = BTreeMap::from([(name("app"), queue(1, 2)), (name("ldap"), queue(40, 0))]);
        let line = status_line(&deliveries, Ok(queues));
        assert_eq!(line, "1 of 2 sinks up, down: ldap; 41 waiting; 2 dead letters");
    }

    #[test]
    fn the_line_says_what_waits_for_a_person() {
        let pause = Pause { since: Timestamp::UNIX_EPOCH, reason: None, by: None };
        let paused = DeliveryStatus { paused: Some(pause), ..delivery(Breaker::Closed) };
        let deliveries = BTreeMap::from([(name("app"), paused), (name("ldap"), delivery(Breaker::Closed))]);
        let queues = BTreeMap::from([(name("ldap"), SinkState { held: 150, ..SinkState::default() })]);
        let line = status_line(&deliveries, Ok(queues));
        let expected = "2 of 2 sinks up, 1 paused; 0 waiting; 0 dead letters; 150 held: rolecall holds list";
        assert_eq!(line, expected);
    }

    #[test]
    fn the_line_stays_short_and_says_when_the_store_does_not_answer() {
        let deliveries = (1..=9).map(|number| (name(&format!("s{number}")), down())).collect();
        let line = status_line(&deliveries, Err("the store is slow to answer".into()));
        assert_eq!(line, "0 of 9 sinks up, down: s1, s2, s3 and 6 more; the store is slow to answer");
    }
}
