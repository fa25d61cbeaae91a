//! The process as the operating system sees it, under the names that every Prometheus client gives these numbers.

use std::fs;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::Page;

/// What the operating system says of this process. What it does not say is not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// Processor time that was used, in seconds.
    pub cpu_seconds: f64,
    /// Memory in RAM, in bytes.
    pub resident_bytes: Option<u64>,
    /// Memory that is mapped, in bytes.
    pub virtual_bytes: Option<u64>,
    /// File descriptors in use.
    pub open_descriptors: Option<u64>,
    /// The most file descriptors there may be.
    pub most_descriptors: Option<u64>,
}

impl Process {
    /// The process now.
    pub fn now() -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        // The descriptor that the directory is read through is not one that is in use.
        let open = fs::read_dir("/proc/self/fd").map(|entries| (entries.count() as u64).saturating_sub(1));
        Self {
            cpu_seconds: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            resident_bytes: kilobytes(&status, "VmRSS:"),
            virtual_bytes: kilobytes(&status, "VmSize:"),
            open_descriptors: open.ok(),
            most_descriptors: getrlimit(Resource::Nofile).current,
        }
    }

    /// Puts it on the page. `started_at` is when the process started, in seconds since 1970.
    pub fn show(&self, page: &mut Page, started_at: f64) {
        page.counter(
            "process_cpu_seconds",
            "Processor time, in user and system mode together",
            self.cpu_seconds,
        );
        page.gauge(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970",
            started_at,
        );
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Memory in RAM", self.resident_bytes),
            ("process_virtual_memory_bytes", "Memory that is mapped", self.virtual_bytes),
            ("process_open_fds", "File descriptors in use", self.open_descriptors),
            ("process_max_fds", "The most file descriptors there may be", self.most_descriptors),
        ] {
            if let Some(value) = value {
                page.gauge(name, help, value as f64);
            }
        }
    }
}

/// A line of `/proc/self/status` (proc_pid_status(5)), in bytes.
fn kilobytes(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_of_this_process_is_read() {
        let file = tempfile::tempfile().unwrap();
        let before = Process::now();
        drop(file);
        let after = Process::now();
        assert!(before.cpu_seconds > 0.0 && after.cpu_seconds >= before.cpu_seconds);
        // Other tests run in this process too, so that only what is always so can be said.
        assert!(after.resident_bytes.unwrap() > 1024 * 1024, "{after:?}");
        assert!(after.virtual_bytes >= after.resident_bytes, "{after:?}");
        assert!(after.open_descriptors.unwrap() >= 3, "{after:?}");
        assert!(
            after.most_descriptors.is_none_or(|most| most >= after.open_descriptors.unwrap()),
            "{after:?}"
        );
    }

    #[test]
    fn a_line_that_is_not_there_or_reads_otherwise_is_not_shown() {
        assert_eq!(kilobytes("Name:\tx\nVmRSS:\t    12 kB\n", "VmRSS:"), Some(12 * 1024));
        assert_eq!(kilobytes("Name:\tx\n", "VmRSS:"), None);
        assert_eq!(kilobytes("VmRSS:\tmuch\n", "VmRSS:"), None);
    }
}
