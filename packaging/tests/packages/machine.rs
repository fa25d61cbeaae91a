//! A machine to install packages on.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rolecall_testkit::until;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// Booting, and whatever is waited for there, on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Where `packaging/build` puts packages.
pub(crate) fn packages() -> PathBuf {
    workspace().join("target/packages")
}

/// A kind of package, with the program that installs it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Deb,
    Rpm,
}

/// A machine with systemd as PID 1, on the clean root that `tests/run` makes. It ends with this value, or with the test
/// process, however that ends.
pub(crate) struct Machine {
    /// The machine ends when this does.
    _stays: ChildStdin,
    _boot: Child,
    init: String,
}

/// What a command did.
pub(crate) struct Ran {
    pub(crate) succeeded: bool,
    pub(crate) output: String,
}

impl Machine {
    /// Boots it, and waits until it is up.
    pub(crate) async fn boot() -> Self {
        let root = workspace().join("target/clean-root");
        assert!(
            root.join("usr/lib/systemd/systemd").exists(),
            "`tests/run packages` makes {}",
            root.display()
        );
        let mut boot = Command::new(workspace().join("packaging/tests/packages/boot"))
            .arg(&root)
            .arg(packages())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stays = boot.stdin.take().unwrap();
        let mut lines = BufReader::new(boot.stdout.take().unwrap()).lines();
        let init = lines.next_line().await.unwrap().expect("it needs root, and says above what failed");
        let machine = Self { _stays: stays, _boot: boot, init };
        until(PATIENCE, "the machine is up", async || {
            let ran = machine.run("systemctl is-system-running --wait").await;
            if ran.succeeded { Ok(()) } else { Err(ran) }
        })
        .await;
        machine
    }

    /// Installs the package of this version, over an older or a newer one too.
    pub(crate) async fn install(&self, kind: Kind, version: &str) {
        self.done(&match kind {
            Kind::Deb => format!(
                "DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --allow-downgrades \
                 /packages/rolecall_{version}-1_*.deb"
            ),
            // What is there was not installed by rpm, so it knows nothing of what the package needs.
            Kind::Rpm => format!("rpm --upgrade --oldpackage --nodeps /packages/rolecall-{version}-1.*.rpm"),
        })
        .await;
    }

    /// The version of the package that is installed.
    pub(crate) async fn installed(&self, kind: Kind) -> String {
        self.done(match kind {
            Kind::Deb => "dpkg-query --show --showformat='${Version}' rolecall",
            Kind::Rpm => "rpm --query --queryformat='%{VERSION}-%{RELEASE}' rolecall 2>/dev/null",
        })
        .await
    }

    /// Runs a shell's command as root.
    pub(crate) async fn run(&self, command: &str) -> Ran {
        let output = Command::new("nsenter")
            .args(["--all", "--target", &self.init])
            .args(["env", "-i", "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
            .args(["sh", "-c", command])
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        Ran { succeeded: output.status.success(), output: String::from_utf8_lossy(&text).trim().to_owned() }
    }

    /// Runs a command that must succeed, and returns what it wrote.
    pub(crate) async fn done(&self, command: &str) -> String {
        let ran = self.run(command).await;
        if !ran.succeeded {
            let journal = self.run("journalctl --no-pager --lines=30").await;
            panic!("{command}\n{ran:?}\n\nthe journal:\n{}", journal.output);
        }
        ran.output
    }

    /// A file there, to be read and written from here.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init))
    }
}

impl fmt::Debug for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", if self.succeeded { "succeeded" } else { "failed" }, self.output)
    }
}
