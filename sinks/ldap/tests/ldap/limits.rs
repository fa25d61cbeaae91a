//! Servers that return only so many entries at once.

use futures_util::TryStreamExt as _;
use rolecall_sink_api::{Action, Observed, Sink as _, SinkDown};
use rolecall_testkit::Slapd;

use crate::fixture::{Daemon, Directory, action, user};

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_found_a_few_at_a_time_when_the_server_returns_no_more() {
    let directory = Directory::with(Slapd::options().size_limit(3).start().await);
    let (sink, mut daemon) = (directory.sink(), Daemon::default());
    let people = || (0..20).map(|n| user(&format!("u{n}")).into());
    daemon.deliver(&sink, people()).await;
    // Without its memory, the daemon's sink looks for all of them by their marks.
    daemon.forget();
    for outcome in daemon.deliver(&sink, people()).await {
        assert_eq!(action(&outcome), Action::Unchanged);
    }
    let read: Result<Vec<Observed>, SinkDown> = sink.observe().unwrap().try_collect().await;
    let reason = read.unwrap_err().reason;
    assert!(reason.contains("sizeLimitExceeded (4)") && reason.contains("raise the limits"), "{reason}");
}
