//! A server's process, from its start to its certain end.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::future::Future;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};
use tokio::time::{Instant, sleep, timeout_at};

/// A server must answer, or be gone, within this.
const PATIENCE: Duration = Duration::from_secs(20);

/// Becomes the server, after leaving a watchdog behind in the same process group.
///
/// The watchdog reads from a pipe whose other end is open in the test process only. When that ends, even by
/// SIGKILL, the read ends too, and the watchdog ends the server and removes its directory. (The kernel's parent
/// death signal would not do: it is sent when the *thread* ends that started the server, and each test has its own.)
const WATCHED: &str = r#"
quit=$1 directory=$2
shift 2
exec 3<&0 </dev/null
{
    read -r _ <&3
    kill -"$quit" $$
    kill -CONT $$
    tries=0
    while kill -0 $$ && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
    rm -rf "$directory"
    kill -KILL 0
} 2>/dev/null &
exec "$@" 3<&-
"#;

/// Why a server did not start.
pub(crate) enum NotStarted {
    /// Somebody else has its port: another one may be free.
    PortTaken,
    /// Anything else, with the server's log.
    Broken(String),
}

/// A running server.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    exit: Arc<OwnedFd>,
    quit: Signal,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, which must stay in the foreground, with its output in `directory/log`. `quit` is the
    /// signal that ends it at once, without care for its data but with care for its children.
    pub(crate) fn spawn<S: AsRef<OsStr>>(
        name: &'static str,
        directory: &Path,
        quit: Signal,
        command: impl IntoIterator<Item = S>,
    ) -> Self {
        let log = directory.join("log");
        let output = File::options().create(true).append(true).open(&log);
        let output = output.unwrap_or_else(|e| panic!("cannot write {}: {e}", log.display()));
        let errors = output.try_clone().expect("a file handle can be doubled");
        let child = Command::new("/bin/sh")
            .args(["-c", WATCHED, name, &quit.as_raw().to_string()])
            .arg(directory)
            .args(command)
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot run /bin/sh: {e}"));
        let exit = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).expect("the child is ours");
        Self { name, child, exit: Arc::new(exit), quit, log }
    }

    /// Waits until `probe` gets an answer from the server.
    pub(crate) async fn ready<Probe, Probing>(&mut self, mut probe: Probe) -> Result<(), NotStarted>
    where
        Probe: FnMut() -> Probing,
        Probing: Future<Output = Result<(), String>>,
    {
        let deadline = Instant::now() + PATIENCE;
        let mut last = "nothing yet".to_owned();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                let log = self.log();
                return Err(if log.contains("Address already in use") {
                    NotStarted::PortTaken
                } else {
                    NotStarted::Broken(format!("{} ended with {status}; its log:\n{log}", self.name))
                });
            }
            match timeout_at(deadline, probe()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(said)) if Instant::now() < deadline => last = said,
                _ => {
                    let log = self.log();
                    let name = self.name;
                    let what =
                        format!("{name} does not answer within {PATIENCE:?}; last: {last}; its log:\n{log}");
                    return Err(NotStarted::Broken(what));
                }
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks the server to end in good order, and waits until it has.
    pub(crate) async fn stop(mut self, signal: Signal) {
        self.signal(signal);
        let exit = Arc::clone(&self.exit);
        let gone = tokio::task::spawn_blocking(move || exits_within(&exit, PATIENCE)).await;
        if !gone.expect("waiting does not panic") {
            panic!("{} does not stop within {PATIENCE:?}; its log:\n{}", self.name, self.log());
        }
        self.end();
    }

    /// Freezes the server with all its processes, as a machine does that has lost its disk: connections stay open,
    /// new ones are accepted by the kernel, and nothing answers.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
        for pid in self.children() {
            let _ = kill_process(pid, Signal::STOP);
        }
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        for pid in self.children() {
            let _ = kill_process(pid, Signal::CONT);
        }
        self.signal(Signal::CONT);
    }

    /// What the server wrote.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_else(|e| format!("(no log: {e})"))
    }

    /// The server's process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, signal: Signal) {
        // Fails only when the server has ended, which is then found out by whoever waits for something.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// The processes that the server started itself. PostgreSQL's are each in a session of their own, so a signal to
    /// the process group would not reach them.
    fn children(&self) -> Vec<Pid> {
        let path = format!("/proc/{0}/task/{0}/children", self.child.id());
        let list = fs::read_to_string(path).unwrap_or_default();
        list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
    }

    fn end(&mut self) {
        let group = Pid::from_child(&self.child);
        if matches!(self.child.try_wait(), Ok(None)) {
            self.resume();
            self.signal(self.quit);
            exits_within(&self.exit, Duration::from_secs(5));
            for pid in self.children() {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        // The watchdog is still there, so the group's id cannot have been given to anybody else.
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether the process behind `exit` ends in time.
fn exits_within(exit: &OwnedFd, patience: Duration) -> bool {
    let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: i64::from(patience.subsec_nanos()) };
    let fd = exit.as_fd();
    matches!(poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)), Ok(1))
}
