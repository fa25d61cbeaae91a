//! Ports that nobody else takes.

use std::fs::{self, File, OpenOptions, Permissions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;

/// A loopback port held for this value's life, also while nothing listens on it.
///
/// Binding port 0 and letting go again would leave a gap in which another test, or anybody's outgoing connection,
/// could take the port; and a server that is stopped for a while must find its port free when it comes back. So the
/// port is taken from outside the range of outgoing connections, and held against other kits by a lock on a file
/// that the kernel lets go of when the process ends.
pub(crate) struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Finds and holds a free port.
    pub(crate) fn take() -> Self {
        let locks = std::env::temp_dir().join("rolecall-testkit-ports");
        fs::create_dir_all(&locks).unwrap_or_else(|e| panic!("cannot make {}: {e}", locks.display()));
        // Other users' tests draw from the same ports. It fails for them, who find it done.
        let _ = fs::set_permissions(&locks, Permissions::from_mode(0o777));

        let candidates = outside_outgoing();
        let start = RandomState::new().build_hasher().finish() as usize % candidates.len();
        for number in candidates[start..].iter().chain(&candidates[..start]).copied() {
            // Another user's lock file cannot be opened: then the port may be theirs.
            let path = locks.join(number.to_string());
            let Ok(lock) = OpenOptions::new().create(true).append(true).open(path) else { continue };
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Self { number, _lock: lock };
            }
        }
        panic!("no free port outside the range of outgoing connections");
    }

    /// The port's number.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}

/// The unprivileged ports that the kernel does not give to outgoing connections.
fn outside_outgoing() -> Vec<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ends = range.split_whitespace().map_while(|end| end.parse::<u16>().ok());
    let (low, high) = (ends.next().unwrap_or(32768), ends.next().unwrap_or(60999));
    let outside: Vec<u16> = (10_000..65_000).filter(|port| !(low..=high).contains(port)).collect();
    if outside.is_empty() { (10_000..65_000).collect() } else { outside }
}
