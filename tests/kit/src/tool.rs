//! Running the servers' own command-line tools.

use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

/// No tool is asked for more than this; a server that hangs must not make the test hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `command`, gives it `input`, and returns what became of it.
pub(crate) async fn run(command: &mut Command, input: &str) -> Output {
    let what = format!("{:?}", command.as_std());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child =
        command.spawn().unwrap_or_else(|e| panic!("cannot run {what}: {e}; tests/run installs it"));
    let mut stdin = child.stdin.take().expect("stdin was asked for");
    let talk = async {
        // A tool that has seen enough closes its end; its exit status says whether that was right.
        let write = async {
            let _ = stdin.write_all(input.as_bytes()).await;
            drop(stdin);
        };
        let (_, output) = tokio::join!(write, child.wait_with_output());
        output.unwrap_or_else(|e| panic!("cannot read from {what}: {e}"))
    };
    timeout(PATIENCE, talk).await.unwrap_or_else(|_| panic!("no end within {PATIENCE:?}: {what}"))
}

/// Whether the tool succeeds; what it said, when it does not.
pub(crate) async fn answers(command: &mut Command, input: &str) -> Result<(), String> {
    let output = run(command, input).await;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The tool's standard output, when it succeeded.
///
/// # Panics
/// When it did not; the message has what it was given and what it said.
pub(crate) async fn succeed(command: &mut Command, input: &str) -> String {
    let output = run(command, input).await;
    if !output.status.success() {
        panic!(
            "{:?} failed with {}:\n{}{}\nits input was:\n{input}",
            command.as_std(),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
    }
    String::from_utf8(output.stdout).expect("the tool speaks UTF-8")
}
