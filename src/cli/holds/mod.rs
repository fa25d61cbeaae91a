//! `rolecall holds`

mod decide;
mod list;
mod show;

use clap::Subcommand;

use super::whom::Whom;
use super::{Exit, Failure};
use crate::store::{Hold, Withdrawal};

/// See which waves of removals are held, let them go or drop them
///
/// A sink's safeguard lets so many users go within a time, and holds the rest until a person says what becomes of it.
#[derive(Subcommand, Debug)]
pub(super) enum Holds {
    List(list::List),
    Show(show::Show),
    Approve(decide::Approve),
    Reject(decide::Reject),
}

impl Holds {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        match self {
            Holds::List(list) => list.run(whom).await,
            Holds::Show(show) => show.run(whom).await,
            Holds::Approve(approve) => approve.run(whom).await,
            Holds::Reject(reject) => reject.run(whom).await,
        }
    }
}

/// What would be done to how many.
fn what(hold: &Hold) -> &'static str {
    match hold.withdrawal {
        Withdrawal::Removal => "users removed",
        Withdrawal::Revocation => "users losing a role",
    }
}

/// How it stands with a hold, in a word.
fn state(hold: &Hold) -> &'static str {
    match (&hold.decided, hold.closed_at) {
        (Some(decided), _) => decided.decision.as_str(),
        (None, Some(_)) => "over",
        (None, None) => "held",
    }
}

/// What was behind the change that came into it last.
fn cause(hold: &Hold) -> String {
    match (&hold.event, hold.rules_version) {
        (Some(event), _) => format!("event {event}"),
        (None, Some(version)) => format!("rules version {version}"),
        (None, None) => "the rules".into(),
    }
}

/// A hold as a program knows it.
#[cfg(test)]
const GOLDEN: &str = r#"{
    "id": 3, "sink": "ldap", "withdrawal": "removal", "since": "2026-11-24T09:48:00Z", "changes": 150,
    "allowed": 50, "of_users": 300, "within_seconds": 3600, "event": "evt_9", "rules_version": 7}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_keeps_its_shape() {
        let golden: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
        let hold: Hold = serde_json::from_str(GOLDEN).unwrap();
        assert_eq!(serde_json::to_value(&hold).unwrap(), golden);
    }
}
