//! Looking after the certificate: it is renewed by whoever replaces its files, and said to end before it does.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::certificate::Validity;
use super::server::{TlsServer, TlsStatus};

/// How often the files are looked at. They are small, and looking at what they hold notices every way of replacing them.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How often it is said that a certificate ends, if nothing is done about it.
const REMIND_EVERY: SignedDuration = SignedDuration::from_hours(24);

impl TlsServer {
    /// Looks after the files until `stop` is cancelled, and says when the certificate comes to its end.
    pub async fn keep_renewed(self, stop: CancellationToken) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let listener = self.listener().as_str();
        info!(listener, "{} is served", self.status().certificate);
        let mut last = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = looks.tick() => {}
            }
            self.reload().await;
            let (status, now) = (self.status(), self.now());
            let validity = status.certificate.validity(now);
            if is_to_be_said(validity, now, last) {
                say(listener, &status, validity, now);
                last = Some((validity, now));
            }
        }
    }
}

/// Whether this is news, or so old that somebody is to be reminded.
fn is_to_be_said(validity: Validity, now: Timestamp, last: Option<(Validity, Timestamp)>) -> bool {
    match last {
        Some((said, at)) if said == validity => {
            validity != Validity::Valid && at.duration_until(now) >= REMIND_EVERY
        }
        Some(_) => true,
        None => validity != Validity::Valid,
    }
}

fn say(listener: &str, status: &TlsStatus, validity: Validity, now: Timestamp) {
    let certificate = &status.certificate;
    match validity {
        Validity::Valid => info!(listener, "{certificate} is good"),
        Validity::EndsSoon => {
            let days = now.duration_until(certificate.not_after).as_hours() / 24;
            warn!(listener, days, "{certificate} ends soon: whatever renews it should have done so");
        }
        Validity::Expired => {
            error!(listener, "{certificate} has expired: whoever checks it turns away; replace its files");
        }
        Validity::NotYetValid => {
            error!(
                listener,
                "{certificate} is not valid yet: is this host's clock right, or is it the wrong file?"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_when_it_comes_near_and_once_a_day_from_then_on() {
        let at = |hours: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours);
        assert!(!is_to_be_said(Validity::Valid, at(0), None));
        assert!(is_to_be_said(Validity::EndsSoon, at(0), None));
        let last = Some((Validity::EndsSoon, at(0)));
        assert!(!is_to_be_said(Validity::EndsSoon, at(23), last));
        assert!(is_to_be_said(Validity::EndsSoon, at(24), last));
        assert!(is_to_be_said(Validity::Expired, at(1), last));
        assert!(is_to_be_said(Validity::Valid, at(1), last), "that it was renewed is news");
        assert!(!is_to_be_said(Validity::Valid, at(99), Some((Validity::Valid, at(1)))));
    }
}
