//! Sockets that the service manager opened for us (`sd_listen_fds(3)`): while the daemon restarts, they stay
//! open and connections wait in them.

use std::fmt;
use std::io;
use std::net::TcpListener;

use listenfd::ListenFd;

/// The sockets that were passed to this process.
pub struct InheritedSockets(ListenFd);

impl InheritedSockets {
    /// Takes the sockets from the environment (`LISTEN_FDS`, `LISTEN_PID`), where they are meant for this
    /// process, and removes them from it, so that no child takes them for its own. Call it once, before
    /// there are other threads.
    pub fn from_environment() -> Self {
        // Without it, the variables were set for another process that forgot to remove them.
        match std::env::var_os("LISTEN_PID") {
            Some(_) => Self(ListenFd::from_env()),
            None => Self(ListenFd::empty()),
        }
    }

    /// No sockets: whatever is listened on is opened by this process.
    pub fn none() -> Self {
        Self(ListenFd::empty())
    }

    /// The first TCP socket that was not taken yet, if there is one.
    ///
    /// # Errors
    /// When sockets were passed, none was taken, and none is for TCP.
    pub fn tcp_listener(&mut self) -> io::Result<Option<TcpListener>> {
        let mut failure = None;
        for index in 0..self.0.len() {
            match self.0.take_tcp_listener(index) {
                Ok(Some(listener)) => return Ok(Some(listener)),
                Ok(None) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(None), Err)
    }
}

impl fmt::Debug for InheritedSockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InheritedSockets({})", self.0.len())
    }
}
