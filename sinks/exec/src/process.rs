//! A plugin as a process: started with nothing of ours, and ended with all that it started.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rolecall_sink_api::SinkName;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::AsyncWriteExt as _;
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::account::Account;
use crate::config::{Config, Value};
use crate::lines::{Line, Lines};
use crate::stderr;

/// The longest answer, in bytes.
pub(crate) const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// How long what the process wrote last may take to come once it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A running plugin, the leader of a process group of its own. When this goes out of scope the whole group is killed.
pub(crate) struct Process {
    child: Child,
    group: Pid,
    /// Readable when the process has ended. As long as nobody waits for it, its id, and so its group's, is nobody else's.
    exit: AsyncFd<OwnedFd>,
    stdin: Option<ChildStdin>,
    stdout: Lines<ChildStdout>,
    stderr: JoinHandle<Option<String>>,
}

/// How a plugin ended.
pub(crate) struct Ended {
    /// How it ended by itself; `None` when it had to be killed.
    pub(crate) status: Option<ExitStatus>,
    /// The last line on its standard error.
    pub(crate) last_words: Option<String>,
}

impl Process {
    /// Starts the program.
    ///
    /// # Errors
    /// When it cannot be started: a reason for a person, without the program's name.
    pub(crate) fn start(config: &Config, sink: &SinkName) -> Result<Self, String> {
        let mut command = command(config)?;
        let refused = |error: io::Error| format!("cannot be started: {error}");
        let mut child = command.spawn().map_err(|error| {
            let place = config.directory.display();
            match config.user.as_ref() {
                Some(user) => format!(
                    "cannot be started: {error}; may user {user} execute it, and enter {place} (`directory`)?"
                ),
                None => format!(
                    "cannot be started: {error}; is it executable, and what its first line names there?"
                ),
            }
        })?;
        let missing = || refused(io::Error::from(io::ErrorKind::BrokenPipe));
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let id = child.id().and_then(|id| Pid::from_raw(id.cast_signed())).ok_or_else(missing)?;
        let exit = pidfd_open(id, PidfdFlags::empty()).map_err(io::Error::from).and_then(watch);
        Ok(Self {
            group: id,
            exit: exit.map_err(|error| format!("cannot be watched: {error}"))?,
            stdin: Some(stdin),
            stdout: Lines::new(stdout, MAX_ANSWER),
            stderr: tokio::spawn(stderr::log(stderr, sink.clone())),
            child,
        })
    }

    /// Writes all of `line`, unless the plugin says something before that; it is read meanwhile, so that neither side
    /// waits for the other when both have much to say. `Some` is what it said too early.
    ///
    /// # Errors
    /// When nothing can be read. That nothing can be written shows in what is read.
    pub(crate) async fn write(&mut self, line: &[u8]) -> io::Result<Option<Line>> {
        let Self { stdin, stdout, exit, .. } = self;
        let write = async {
            if let Some(stdin) = stdin {
                // A plugin that does not read any more has ended, or is about to say why.
                let _ = stdin.write_all(line).await;
            }
        };
        tokio::select! {
            // In this order: what is answered in turn comes when all is written.
            biased;
            () = write => Ok(None),
            came = stdout.next() => came.map(Some),
            // What it started may hold the other end open, and never read.
            _ = exit.readable() => Ok(None),
        }
    }

    /// The next line from the plugin. Nobody waits for what the plugin started, and what may go on without it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) async fn next_line(&mut self) -> io::Result<Line> {
        let Self { stdout, exit, .. } = self;
        tokio::select! {
            biased;
            came = stdout.next() => return came,
            _ = exit.readable() => {}
        }
        // What it wrote itself is in the pipe by now.
        timeout(LAST_WORDS, stdout.next()).await.unwrap_or_else(|_| Ok(stdout.give_up()))
    }

    /// Whether the process has ended.
    pub(crate) fn has_ended(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut exit = [PollFd::new(self.exit.get_ref(), PollFlags::IN)];
        poll(&mut exit, Some(&now)).is_ok_and(|ready| ready > 0)
    }

    /// Asks the plugin to end, by the end of its standard input and SIGTERM, and makes it after `grace`.
    pub(crate) async fn stop(mut self, grace: Duration) -> Ended {
        self.stdin = None;
        // That nobody is there any more is as well.
        let _ = kill_process_group(self.group, Signal::TERM);
        self.end(grace).await
    }

    /// Ends the plugin and all that it started, after giving it `grace` to end by itself.
    pub(crate) async fn end(mut self, grace: Duration) -> Ended {
        let by_itself = timeout(grace, self.exit.readable()).await.is_ok() || self.has_ended();
        let _ = kill_process_group(self.group, Signal::KILL);
        let status = self.child.wait().await.ok().filter(|_| by_itself);
        let last_words = timeout(LAST_WORDS, &mut self.stderr).await.ok().and_then(Result::ok).flatten();
        Ended { status, last_words }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Once it was waited for, the group's number may be somebody else's.
        if self.child.id().is_some() {
            let _ = kill_process_group(self.group, Signal::KILL);
        }
        self.stderr.abort();
    }
}

#[expect(
    deprecated,
    reason = "what replaces it is unsafe, for the sake of types that do not own a descriptor"
)]
fn watch(exit: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(exit)
}

fn command(config: &Config) -> Result<Command, String> {
    let (program, arguments) = config.command.split_first().ok_or("there is no command")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .current_dir(&config.directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    for (name, value) in &config.environment {
        match value {
            Value::Plain(text) => command.env(name, text),
            Value::Secret(source) => {
                let secret = source.read().map_err(|error| format!("environment.{name}: {error}"))?;
                command.env(name, secret.expose())
            }
        };
    }
    let account = Account::find(config.user.as_deref(), config.group.as_deref());
    let account = account.map_err(|error| error.to_string())?;
    if let Some(account) = account.filter(|account| !account.is_ours()) {
        if !rustix::process::geteuid().is_root() {
            return Err(format!(
                "cannot be started as user {}: only root may do that, and rolecall runs as user {}; run rolecall as \
                 root, or take `user` out",
                account.user,
                rustix::process::geteuid()
            ));
        }
        // This also gives up every other group.
        command.uid(account.user).gid(account.group);
    }
    Ok(command)
}
