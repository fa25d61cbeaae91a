//! Ports, and loopback addresses, that nobody else takes.

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
        let candidates = outside_outgoing();
        let start = any_of(candidates.len());
        for number in candidates[start..].iter().chain(&candidates[..start]).copied() {
            let Some(lock) = lock(&number.to_string()) else { continue };
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
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

/// A loopback address held for this value's life, for a server whose ports cannot be chosen.
pub(crate) struct Address {
    address: Ipv4Addr,
    _lock: File,
}

impl Address {
    /// Finds and holds an address on which nothing listens on any of `ports`.
    pub(crate) fn take(ports: &[u16]) -> Self {
        // 127.77.0.1 to 127.77.255.254: as good as any other of the loopback network, and as unlikely to be used.
        let start = any_of(65_534);
        for at in (start..65_534).chain(0..start).take(100) {
            let [_, _, high, low] = (at as u32 + 1).to_be_bytes();
            let address = Ipv4Addr::new(127, 77, high, low);
            let Some(lock) = lock(&address.to_string()) else { continue };
            if ports.iter().all(|port| TcpListener::bind((address, *port)).is_ok()) {
                return Self { address, _lock: lock };
            }
        }
        panic!(
            "no loopback address has the ports {ports:?} free, or we may not listen there: run the tests as root"
        );
    }

    /// The address.
    pub(crate) fn get(&self) -> Ipv4Addr {
        self.address
    }
}

fn any_of(count: usize) -> usize {
    RandomState::new().build_hasher().finish() as usize % count
}

/// Holds `name` against other kits; `None` when somebody has it.
fn lock(name: &str) -> Option<File> {
    let locks = std::env::temp_dir().join("rolecall-testkit-ports");
    fs::create_dir_all(&locks).unwrap_or_else(|e| panic!("cannot make {}: {e}", locks.display()));
    // Other users' tests draw from the same names. It fails for them, who find it done.
    let _ = fs::set_permissions(&locks, Permissions::from_mode(0o777));
    // Another user's lock file cannot be opened: then the name may be theirs.
    let lock = OpenOptions::new().create(true).append(true).open(locks.join(name)).ok()?;
    lock.try_lock().is_ok().then_some(lock)
}

/// The unprivileged ports that the kernel does not give to outgoing connections.
fn outside_outgoing() -> Vec<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ends = range.split_whitespace().map_while(|end| end.parse::<u16>().ok());
    let (low, high) = (ends.next().unwrap_or(32768), ends.next().unwrap_or(60999));
    let outside: Vec<u16> = (10_000..65_000).filter(|port| !(low..=high).contains(port)).collect();
    if outside.is_empty() { (10_000..65_000).collect() } else { outside }
}
