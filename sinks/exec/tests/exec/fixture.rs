//! Programs to be sinks, and changes to hand them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rolecall_sink_api::conformance::people::{put_group, put_user, remove_user};
use rolecall_sink_api::{
    Change, Group, GroupId, Profile, RoleName, Sink, SinkDown, SinkName, Timespan, User, UserId,
};
use rolecall_sink_exec::{Config, ExecSink, Value, example};
use tempfile::TempDir;

/// Longer than anything here takes on a machine that has other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn python() -> String {
    let places = ["/usr/bin/python3", "/usr/local/bin/python3"];
    let found = places.into_iter().find(|path| Path::new(path).exists());
    found.expect("these tests need python3").to_owned()
}

/// A plugin in Python, in a directory of its own.
pub(crate) struct Program {
    directory: TempDir,
    pub(crate) config: Config,
}

impl Program {
    /// A program that is all of its own: `script` stands behind a few words that every plugin needs.
    pub(crate) fn new(script: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plugin.py");
        std::fs::write(&path, format!("{PRELUDE}\n{script}\n")).unwrap();
        Self::at(directory, &[&path.display().to_string()])
    }

    /// The example that `rolecall plugin new` writes, with its file.
    pub(crate) fn example() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for file in example::files(directory.path()) {
            std::fs::write(directory.path().join(file.name), file.text).unwrap();
        }
        let path = |name: &str| directory.path().join(name).display().to_string();
        let (program, file) = (path("plugin.py"), path("people.json"));
        Self::at(directory, &[&program, &file])
    }

    fn at(directory: TempDir, arguments: &[&str]) -> Self {
        let command = [python().as_str()].iter().chain(arguments).map(ToString::to_string).collect();
        let mut config = Config::of(command);
        config.directory = directory.path().to_owned();
        config.environment.insert("DIRECTORY".into(), Value::Plain(directory.path().display().to_string()));
        Self { directory, config }
    }

    /// The same, with this much time for a request.
    pub(crate) fn within(mut self, millis: u64) -> Self {
        self.config.timeout = Timespan::from_millis(millis);
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn sink(&self) -> ExecSink {
        ExecSink::new(&SinkName::new("hr"), self.config.clone()).unwrap()
    }

    /// A file that the program writes, once it is there and ends with a newline.
    pub(crate) async fn written(&self, name: &str) -> String {
        let path = self.path(name);
        let writing = async {
            loop {
                match std::fs::read_to_string(&path) {
                    Ok(text) if text.ends_with('\n') => return text,
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        tokio::time::timeout(PATIENCE, writing).await.unwrap_or_else(|_| panic!("{name} is not written"))
    }
}

/// `read()` gets the next request, `say()` answers one, `put()` writes a line as it is, and `note()` a file.
const PRELUDE: &str = r#"
import json, os, signal, subprocess, sys, time

def read():
    line = sys.stdin.buffer.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)

def put(text):
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()

def say(request, answer, **more):
    put(json.dumps({"id": request["id"], "answer": answer, **more}) + "\n")

def hello(**can):
    say(read(), "hello", protocol=1, name="test", can=can)

def applied(request):
    outcome = {"outcome": "applied", "action": "created"}
    say(request, "outcomes", outcomes=[outcome for _ in request["changes"]])

def note(name, text):
    with open(os.path.join(os.environ["DIRECTORY"], name), "w") as file:
        file.write(f"{text}\n")

def times(name):
    path = os.path.join(os.environ["DIRECTORY"], name)
    with open(path, "a") as file:
        file.write("x")
    return os.path.getsize(path)
"#;

pub(crate) fn user(id: &str) -> Change {
    put_user(
        User {
            id: UserId::new(id),
            organization: None,
            active: true,
            profile: Profile { user_name: Some(id.to_owned()), ..Profile::default() },
            groups: [(GroupId::new("staff"), "Staff".to_owned())].into(),
            roles: [RoleName::new("reader")].into(),
        },
        1,
    )
}

pub(crate) fn group(id: &str) -> Change {
    put_group(Group { id: GroupId::new(id), organization: None, name: "Staff".into(), external_id: None }, 1)
}

pub(crate) fn gone(id: &str) -> Change {
    remove_user(id, 1)
}

/// Why the sink is down when it is handed one user.
pub(crate) async fn down(sink: &ExecSink) -> SinkDown {
    match tokio::time::timeout(PATIENCE, sink.apply(&[user("ada")])).await {
        Ok(result) => result.expect_err("the plugin did what it must not"),
        Err(_) => panic!("apply does not come back"),
    }
}
