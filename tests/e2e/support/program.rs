//! Running the built binary to its end.

use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::PATIENCE;

/// What became of a command.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; none when a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it answered.
    pub(crate) stdout: String,
    /// What it complained of.
    pub(crate) stderr: String,
}

impl Ended {
    /// The answer of a command that was asked for JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON: {error}: {self:?}"))
    }
}

/// The built binary. Whatever becomes of the test, it does not outlive the thread that started it. A write beyond the
/// limit for files fails and does not kill it: so a full disk can be played.
pub(crate) fn rolecall() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "sh", "-c", r#"trap "" XFSZ; exec "$0" "$@""#]);
    command.arg(env!("CARGO_BIN_EXE_rolecall"));
    for variable in ["ROLECALL_CONFIG", "ROLECALL_ADMIN", "ROLECALL_ADMIN_TOKEN"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs a command to its end.
pub(crate) async fn end(command: &mut Command) -> Ended {
    let output = timeout(PATIENCE, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("no end within {PATIENCE:?}: {command:?}")).unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("rolecall speaks UTF-8");
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}
