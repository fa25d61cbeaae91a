//! A service manager, as systemd is one: it holds the webhooks' socket, and hears what the daemon tells.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::UnixDatagram;
use tokio::process::Command;
use tokio::time::timeout;

use super::PATIENCE;
use super::program::rolecall;
use super::site::Site;

/// Takes the socket from where a test can put it, and says whose it is.
const TAKE_SOCKET: &str = r#"exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@""#;

/// One daemon's service manager.
pub(crate) struct ServiceManager {
    listener: TcpListener,
    notifications: UnixDatagram,
    path: PathBuf,
}

impl ServiceManager {
    /// Listens for what this site's daemon tells, and for its webhooks.
    pub(crate) fn of(site: &Site) -> Self {
        let path = site.path("notify");
        Self {
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            notifications: UnixDatagram::bind(&path).unwrap(),
            path,
        }
    }

    /// Where webhooks arrive, whether the daemon runs or not.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// The built binary, with the socket and with the address to tell at; and with a watchdog that wants to hear of it
    /// that often.
    pub(crate) fn command(&self, watchdog: Duration) -> Command {
        let binary = rolecall();
        let binary = binary.as_std();
        let mut command = Command::new("sh");
        command.args(["-c", TAKE_SOCKET]).arg(binary.get_program()).args(binary.get_args());
        command
            .stdin(Stdio::from(OwnedFd::from(self.listener.try_clone().unwrap())))
            .env_remove("ROLECALL_CONFIG")
            .env("NOTIFY_SOCKET", &self.path)
            .env("WATCHDOG_USEC", watchdog.as_micros().to_string())
            .kill_on_drop(true);
        command
    }

    /// Puts this behind all that was told so far.
    pub(crate) fn tell_yourself(&self, what: &str) {
        let sender = std::os::unix::net::UnixDatagram::unbound().unwrap();
        sender.send_to(what.as_bytes(), &self.path).unwrap();
    }

    /// The next thing that the daemon tells, some lines.
    pub(crate) async fn told(&self) -> String {
        let mut message = [0; 4096];
        let length = timeout(PATIENCE, self.notifications.recv(&mut message)).await;
        let length = length.expect("the daemon tells something").unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    /// All that the daemon tells until it tells this, that included.
    pub(crate) async fn until_told(&self, what: &str) -> Vec<String> {
        let mut all = Vec::new();
        let found = timeout(PATIENCE, async {
            while !all.last().is_some_and(|last: &String| last.contains(what)) {
                all.push(self.told().await);
            }
        });
        assert!(found.await.is_ok(), "the daemon never told {what}");
        all
    }
}
