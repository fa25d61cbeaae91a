//! The process that a plugin is: what it is given, and how it ends.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rolecall_sink_api::{Outcome, SecretSource, Sink as _, Timespan};
use rolecall_sink_exec::Value;

use crate::fixture::{PATIENCE, Program, down, gone, group, user};

async fn until_gone(pid: &str) {
    let process = format!("/proc/{}/stat", pid.trim());
    let ends = async {
        // One that ended and was not waited for is as good as gone.
        while std::fs::read_to_string(&process).is_ok_and(|stat| !stat.contains(") Z ")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ends).await.unwrap_or_else(|_| panic!("process {pid} is still there"));
}

/// A plugin that has a child and applies whatever comes.
const WITH_A_CHILD: &str = "
child = subprocess.Popen(['/bin/sleep', '3600'])
note('child', child.pid)
note('plugin', os.getpid())
hello()
while True:
    applied(read())
";

#[tokio::test]
async fn it_is_started_once_and_kept() {
    let program = Program::new("times('starts')\nhello()\nwhile True:\n    applied(read())");
    let sink = program.sink();
    for _ in 0..5 {
        sink.apply(&[user("ada"), group("staff"), gone("bob")]).await.unwrap();
    }
    assert_eq!(std::fs::read_to_string(program.path("starts")).unwrap(), "x");
}

#[tokio::test]
async fn one_that_was_killed_between_two_requests_is_started_again_and_nobody_notices() {
    let program = Program::new(WITH_A_CHILD);
    let sink = program.sink();
    sink.apply(&[user("ada")]).await.unwrap();
    let (pid, child) = (program.written("plugin").await, program.written("child").await);
    let raw = pid.trim().parse().unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(raw).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    until_gone(&pid).await;
    sink.apply(&[user("ada")]).await.unwrap();
    assert_ne!(program.written("plugin").await, pid);
    until_gone(&child).await;
}

#[tokio::test]
async fn when_the_daemon_stops_it_ends_with_its_children() {
    let program = Program::new(WITH_A_CHILD);
    let sink = program.sink();
    sink.apply(&[user("ada")]).await.unwrap();
    sink.close().await;
    until_gone(&program.written("plugin").await).await;
    until_gone(&program.written("child").await).await;
}

#[tokio::test]
async fn it_may_end_by_itself_when_the_daemon_stops() {
    // The end of its standard input comes first, and says nothing to this one: only SIGTERM does.
    let program = Program::new(
        "def bye(*_):\n    note('bye', 'all is written')\n    sys.exit(0)\nsignal.signal(signal.SIGTERM, bye)\n\
         hello()\nfor line in sys.stdin.buffer:\n    applied(json.loads(line))\nwhile True:\n    time.sleep(0.01)",
    );
    let sink = program.sink();
    sink.apply(&[user("ada")]).await.unwrap();
    sink.close().await;
    assert_eq!(program.written("bye").await, "all is written\n");
}

#[tokio::test]
async fn one_that_does_not_want_to_end_is_killed() {
    let mut program = Program::new(&format!("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{WITH_A_CHILD}"));
    program.config.command.push("x".into());
    program.config.stop_timeout = Timespan::from_millis(50);
    let sink = program.sink();
    // It goes on without its standard input too.
    let script = program.path("plugin.py");
    let text = std::fs::read_to_string(&script).unwrap();
    std::fs::write(&script, text.replace("sys.exit(0)", "time.sleep(3600)")).unwrap();
    sink.apply(&[user("ada")]).await.unwrap();
    sink.close().await;
    until_gone(&program.written("plugin").await).await;
    until_gone(&program.written("child").await).await;
}

#[tokio::test]
async fn a_call_that_is_dropped_leaves_no_process_behind() {
    let program = Program::new(
        &WITH_A_CHILD.replace("applied(read())", "read()\n    note('asked', 1)\n    time.sleep(3600)"),
    );
    let sink = program.sink();
    let changes = [user("ada")];
    let mut call = Box::pin(sink.apply(&changes));
    tokio::select! {
        _ = &mut call => panic!("it does not answer"),
        _ = program.written("asked") => {}
    }
    drop(call);
    until_gone(&program.written("plugin").await).await;
    until_gone(&program.written("child").await).await;
}

#[tokio::test]
async fn one_whose_daemon_is_gone_sees_the_end_of_its_standard_input() {
    // No signal tells it.
    let program = Program::new(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nhello()\nif not sys.stdin.buffer.readline():\n    note('bye', 1)",
    );
    let sink = program.sink();
    sink.hello().await.unwrap();
    sink.close().await;
    assert_eq!(program.written("bye").await, "1\n");
}

#[tokio::test]
async fn it_has_no_environment_but_what_is_configured() {
    let mut program = Program::new("note('environment', json.dumps(dict(os.environ)))\nhello()\nread()");
    std::fs::write(program.path("token"), "hunter2\n").unwrap();
    let token = SecretSource::File(program.path("token"));
    program.config.environment.insert("TOKEN".into(), Value::Secret(token));
    program.config.environment.insert("MODE".into(), Value::Plain("fast".into()));
    program.sink().hello().await.unwrap();
    let mut found: BTreeMap<String, String> =
        serde_json::from_str(&program.written("environment").await).unwrap();
    // Python itself may set this one, for the sake of a locale that it misses.
    found.remove("LC_CTYPE");
    let wanted = [("DIRECTORY", program.path("").display().to_string().trim_end_matches('/').to_owned())];
    let wanted = wanted.into_iter().chain([("MODE", "fast".to_owned()), ("TOKEN", "hunter2".to_owned())]);
    assert_eq!(found, wanted.map(|(name, value)| (name.to_owned(), value)).collect());
}

#[tokio::test]
async fn a_secret_is_read_again_when_the_plugin_is_started_again() {
    let mut program = Program::new("note('token', os.environ['TOKEN'])\nhello()\nwhile True:\n    read()");
    std::fs::write(program.path("secret"), "old\n").unwrap();
    let source = SecretSource::File(program.path("secret"));
    program.config.environment.insert("TOKEN".into(), Value::Secret(source));
    let sink = program.sink();
    sink.hello().await.unwrap();
    sink.close().await;
    std::fs::write(program.path("secret"), "new\n").unwrap();
    sink.hello().await.unwrap();
    assert_eq!(program.written("token").await, "new\n");
}

/// The descriptors of this process that it was given by whoever started it, and told to hand on: what Rust opens is not.
fn handed_on() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/fdinfo").unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    // O_CLOEXEC, in octal.
    let is_closed = |flags: &str| u32::from_str_radix(flags.trim(), 8).unwrap() & 0o2_000_000 != 0;
    let handed_on = names.filter(|name| {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{name}")).unwrap_or_default();
        info.lines().find_map(|line| line.strip_prefix("flags:")).is_some_and(|flags| !is_closed(flags))
    });
    handed_on.collect()
}

#[tokio::test]
async fn it_inherits_no_descriptor() {
    let program = Program::new(
        "links = {}\nfor fd in os.listdir('/proc/self/fd'):\n    try:\n        links[fd] = os.readlink('/proc/self/fd/' + fd)\n\
        \x20   except FileNotFoundError:\n        pass\nnote('descriptors', json.dumps(links))\nhello()\nread()",
    );
    // Some of ours are open meanwhile.
    let _file = std::fs::File::open(program.path("plugin.py")).unwrap();
    let _socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    program.sink().hello().await.unwrap();
    let mut links: BTreeMap<String, String> =
        serde_json::from_str(&program.written("descriptors").await).unwrap();
    for talk in ["0", "1", "2"] {
        let link = links.remove(talk).unwrap();
        assert!(link.starts_with("pipe:") || link.starts_with("socket:"), "{talk} is {link}");
    }
    handed_on().iter().for_each(|descriptor| drop(links.remove(descriptor)));
    assert_eq!(links, BTreeMap::new());
}

#[tokio::test]
async fn it_runs_in_its_directory_and_its_own_process_group() {
    let program =
        Program::new("note('where', f'{os.getcwd()} {os.getpgid(0) == os.getpid()}')\nhello()\nread()");
    program.sink().hello().await.unwrap();
    let directory = std::fs::canonicalize(program.path("")).unwrap();
    assert_eq!(program.written("where").await, format!("{} True\n", directory.display()));
}

#[tokio::test]
async fn it_runs_as_another_user_where_the_daemon_is_root() {
    let mut program = Program::new(
        "request = read()\nnote_ = json.dumps([os.getuid(), os.getgid(), os.getgroups()])\n\
         say(request, 'hello', protocol=1, name=note_)\nread()",
    );
    // That user must be able to read the script.
    let open = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::set_permissions(program.path(""), open).unwrap();
    program.config.user = Some("65534".into());
    program.config.group = Some("65534".into());
    let sink = program.sink();
    if rustix::process::geteuid().is_root() {
        assert_eq!(sink.hello().await.unwrap().name, "[65534, 65534, []]");
    } else {
        let reason = down(&sink).await.reason;
        assert!(reason.contains("cannot be started as user 65534: only root may do that"), "{reason}");
    }
}

#[tokio::test]
async fn what_is_handed_over_and_answered_comes_through_whole() {
    let program = Program::new(
        "hello()\nrequest = read()\nnote('request', json.dumps(request))\n\
         say(request, 'outcomes', outcomes=[\n\
         \x20   {'outcome': 'applied', 'action': 'updated', 'remote': 'r1'},\n\
         \x20   {'outcome': 'retry', 'reason': 'busy', 'after': 1500},\n\
         \x20   {'outcome': 'reject', 'reason': 'no such department'}])\nread()",
    );
    let changes = [user("ada"), group("staff"), gone("bob")];
    let outcomes = program.sink().apply(&changes).await.unwrap();
    let [applied, retry, reject] = outcomes.try_into().unwrap();
    assert_eq!(applied, Outcome::applied_as("r1", rolecall_sink_api::Action::Updated));
    let after = Some(Duration::from_millis(1500));
    assert_eq!(retry, Outcome::Retry { reason: "busy".into(), after, remote: None });
    assert_eq!(reject, Outcome::reject("no such department"));
    let request: serde_json::Value = serde_json::from_str(&program.written("request").await).unwrap();
    assert_eq!(request["changes"], serde_json::to_value(changes).unwrap());
}

#[tokio::test]
async fn a_batch_larger_than_every_pipe_goes_through_in_both_directions() {
    let program = Program::new(
        "hello()\nrequest = read()\nreason = 'x' * 1000\n\
         say(request, 'outcomes', outcomes=[{'outcome': 'reject', 'reason': reason} for _ in request['changes']])\nread()",
    );
    let changes: Vec<_> = (0..5000).map(|n| user(&format!("user{n}"))).collect();
    assert_eq!(program.sink().apply(&changes).await.unwrap().len(), 5000);
}

#[test]
fn what_cannot_be_run_is_told_with_its_key() {
    let program = Program::new("");
    let refused = |change: &dyn Fn(&mut rolecall_sink_exec::Config)| {
        let mut config = program.config.clone();
        change(&mut config);
        let sink = rolecall_sink_exec::ExecSink::new(&rolecall_sink_api::SinkName::new("hr"), config);
        sink.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let script = program.path("plugin.py").display().to_string();
    let nothing = Path::new("/no/such/thing");
    for (said, wrong) in [
        ("command: names no program", refused(&|config| config.command.clear())),
        ("command: python3 is no absolute path", refused(&|config| config.command[0] = "python3".into())),
        (
            "command: /no/such/thing: No such file",
            refused(&|config| config.command[0] = nothing.display().to_string()),
        ),
        ("is not executable; chmod +x", refused(&|config| config.command[0] = script.clone())),
        ("directory: /no/such/thing is no directory", refused(&|config| config.directory = nothing.into())),
        (
            "environment.A=B: cannot be the name",
            refused(&|config| {
                config.environment.insert("A=B".into(), Value::Plain("c".into()));
            }),
        ),
        (
            "environment.KEY: /no/such/thing: cannot read the secret",
            refused(&|config| {
                config.environment.insert("KEY".into(), Value::Secret(SecretSource::File(nothing.into())));
            }),
        ),
        ("timeout: must be more than 0s", refused(&|config| config.timeout = Timespan::from_millis(0))),
        (
            "user: nobody-of-that-name: no such user",
            refused(&|config| {
                config.user = Some("nobody-of-that-name".into());
            }),
        ),
    ] {
        assert!(wrong.contains(said), "{said}\n{wrong}");
    }
}
