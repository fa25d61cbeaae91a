//! The commands as a person runs them: the built binary against a daemon of its own, by their exit codes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in a test a panic is the report")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const OTHER_SECRET: &str = "whsec_YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODk=";

/// A configuration in a directory of its own: one sink that works, and one that nobody answers for.
struct Host {
    directory: TempDir,
}

impl Host {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(at("secret"), SECRET).unwrap();
        std::fs::write(at("other-secret"), OTHER_SECRET).unwrap();
        std::fs::write(at("rules.yaml"), "default: member\n").unwrap();
        let config = format!(
            "listen: {{ address: \"127.0.0.1:0\" }}
admin: {{ socket: {socket} }}
store: {{ path: {store} }}
sources:
  scalekit: {{ type: scalekit, secrets: [{{ file: {secret} }}] }}
rules: {rules}
sinks:
  app: {{ type: sqlite, path: {app} }}
  warehouse: {{ type: postgres, url: \"postgresql://nobody@127.0.0.1:1/none\" }}
",
            socket = at("admin.sock"),
            store = at("rolecall.db"),
            secret = at("secret"),
            rules = at("rules.yaml"),
            app = at("app.db"),
        );
        std::fs::write(at("rolecall.yaml"), config).unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rolecall"));
        command.arg("--config").arg(self.path("rolecall.yaml")).args(arguments).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command, and hands its output back when it ended as expected.
    fn ends(&self, exit: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (stdout, stderr) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}\n{stdout}\n{stderr}");
        stdout + &stderr
    }
}

/// A daemon that runs.
struct Serving {
    process: Child,
    url: String,
}

impl Serving {
    /// Returns once it receives and answers on its socket: the log says so.
    fn start(host: &Host) -> Self {
        let mut process = host.command(&["serve"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = log
            .by_ref()
            .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap())
            .find_map(|line| line["address"].as_str().map(str::to_owned))
            .expect("the daemon ended before it listened");
        std::thread::spawn(move || log.for_each(drop));
        let socket = host.path("admin.sock");
        while !Path::new(&socket).exists() {
            assert!(process.try_wait().unwrap().is_none(), "the daemon ended");
            std::thread::yield_now();
        }
        Self { process, url: format!("http://{address}/webhooks/scalekit") }
    }

    fn stop(mut self) -> Option<i32> {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        self.process.wait().unwrap().code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn without_a_daemon_the_commands_say_so() {
    let host = Host::new();
    for command in [&["status"][..], &["explain", "ada"], &["queue", "list"], &["queue", "drop", "--all"]] {
        let said = host.ends(3, command);
        assert!(said.contains(&host.path("admin.sock")), "{said}");
    }
    assert!(host.ends(0, &["check"]).contains("is right"));
    assert!(host.ends(1, &["check", "--connect"]).contains("warehouse (postgres): wrong"));
}

#[test]
fn what_is_asked_wrongly_is_told_from_what_went_wrong() {
    let host = Host::new();
    host.ends(2, &["stauts"]);
    host.ends(2, &["queue", "drop"]);
    host.ends(2, &["send", "--sample", "no_such_sample", "--url", "http://127.0.0.1:1"]);
    std::fs::write(host.path("rules.yaml"), "deflaut: member\n").unwrap();
    for command in [&["check"][..], &["serve"], &["send", "--sample", "user_created"]] {
        let said = host.ends(2, command);
        assert!(said.contains("rules.yaml:1:1"), "{said}");
    }
}

#[test]
fn an_event_that_is_sent_can_be_followed_until_the_daemon_stops() {
    let host = Host::new();
    let serving = Serving::start(&host);
    let send =
        |exit, arguments: &[&str]| host.ends(exit, &[&["send", "--url", &serving.url], arguments].concat());

    assert!(send(0, &["--sample", "user_created"]).contains("committed"));
    assert!(send(0, &["--sample", "user_created", "--as-is"]).contains("committed"));
    assert!(send(0, &["--sample", "user_created", "--as-is"]).contains("duplicate"));
    send(1, &["--sample", "user_created", "--secret-file", &host.path("other-secret")]);

    let explained = host.ends(0, &["explain", "maria.lopez@example.com"]);
    assert!(explained.contains("rule default"), "{explained}");
    host.ends(1, &["explain", "nobody@example.com"]);

    let waits: Value =
        serde_json::from_str(&host.ends(0, &["queue", "list", "--sink", "warehouse", "--json"])).unwrap();
    assert_eq!(waits["items"].as_array().unwrap().len(), 3, "{waits}");
    assert!(host.ends(0, &["queue", "drop", "--sink", "warehouse"]).starts_with("3 items"));
    assert_eq!(host.ends(0, &["queue", "list", "--sink", "warehouse"]), "nothing\n");
    assert!(host.ends(1, &["queue", "retry", "--dead"]).starts_with("nothing matches"));

    let second = host.ends(1, &["serve"]);
    assert!(second.contains("in use"), "{second}");
    assert_eq!(serving.stop(), Some(0));
    host.ends(3, &["status"]);
}
