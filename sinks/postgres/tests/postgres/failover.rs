//! Several hosts in one url: the one that takes writes is found, whichever it is by now.

use std::time::Duration;

use rolecall_sink_api::conformance::people::{put_user, user};
use rolecall_sink_api::{Action, Sink as _};
use rolecall_sink_postgres::PostgresSink;
use rolecall_testkit::{Postgres, until};
use serde_json::json;

use crate::fixture::{Fixture, apply};

/// A primary and a standby that streams from it.
struct Pair {
    primary: Fixture,
    standby: Postgres,
}

impl Pair {
    async fn start() -> Self {
        let primary = Fixture::start().await;
        let standby = Postgres::options().standby_of(&primary.server).start().await;
        Self { primary, standby }
    }

    /// A sink that knows both; `first` is tried first.
    fn sink(&self, first: &Postgres, second: &Postgres) -> PostgresSink {
        let url = format!(
            "postgresql://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
            first.port(),
            second.port()
        );
        // Each has an authority of its own.
        let both = [&self.primary.server, &self.standby]
            .map(|server| std::fs::read_to_string(server.ca_path()).unwrap())
            .concat();
        let ca = self.primary.file("both.pem", &both);
        self.primary.sink_with(json!({"url": url, "tls": {"ca": ca}, "connect_timeout": "2s"}))
    }

    /// Until the standby holds what the primary holds now.
    async fn has_streamed(&self) {
        let written = self.primary.value("SELECT pg_current_wal_lsn()").await;
        let sql = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
        until(Duration::from_secs(20), "the standby has what the primary wrote", async || {
            let rows = self.standby.query(&sql).await;
            if rows[0][0].as_deref() == Some("t") { Ok(()) } else { Err(rows) }
        })
        .await;
    }
}

#[tokio::test]
async fn the_host_that_takes_writes_is_found_whatever_the_order() {
    let pair = Pair::start().await;
    let (primary, standby) = (&pair.primary.server, &pair.standby);
    apply(&pair.sink(standby, primary), &[put_user(user("ada"), 1)]).await;
    apply(&pair.sink(primary, standby), &[put_user(user("bob"), 1)]).await;
    pair.has_streamed().await;
    let held = standby.query("SELECT id FROM rolecall.users ORDER BY id").await;
    assert_eq!(held, ["ada", "bob"].map(|id| [Some(id.to_owned())]));
}

#[tokio::test]
async fn a_promoted_standby_goes_on_where_the_primary_ended() {
    let mut pair = Pair::start().await;
    let sink = pair.sink(&pair.primary.server, &pair.standby);
    apply(&sink, &[put_user(user("ada"), 1)]).await;
    pair.has_streamed().await;

    pair.primary.server.stop().await;
    let down = sink.apply(&[put_user(user("ada"), 2)]).await.unwrap_err();
    let (first, second) = (pair.primary.server.port(), pair.standby.port());
    assert!(down.reason.contains(&format!("127.0.0.1:{first}: ")), "{down}");
    assert!(down.reason.contains(&format!("127.0.0.1:{second}: ")), "{down}");
    assert!(down.reason.contains("does not allow writes"), "{down}");
    sink.probe().await.unwrap_err();

    pair.standby.promote().await;
    sink.probe().await.unwrap();
    assert_eq!(apply(&sink, &[put_user(user("ada"), 2)]).await, [Action::Unchanged]);
    let held = pair.standby.query("SELECT id, generation FROM rolecall.users").await;
    assert_eq!(held, [[Some("ada".to_owned()), Some("2".to_owned())]]);
}

#[tokio::test]
async fn a_first_host_that_hangs_leaves_time_for_the_second() {
    let pair = Pair::start().await;
    let sink = pair.sink(&pair.primary.server, &pair.standby);
    pair.standby.promote().await;
    pair.primary.server.pause();
    sink.probe().await.unwrap();
    apply(&sink, &[put_user(user("ada"), 1)]).await;
    let held = pair.standby.query("SELECT id FROM rolecall.users").await;
    assert_eq!(held, [[Some("ada".to_owned())]]);
}
