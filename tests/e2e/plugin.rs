//! A program as a sink: the example that `rolecall plugin new` writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rolecall_testkit::until;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{Daemon, Ended, Event, Group, PATIENCE, Person, Site, end, rolecall};

/// A site whose only sink is the example, with the file that it keeps.
struct Plugged {
    site: Site,
}

impl Plugged {
    async fn new() -> Self {
        let site = Site::new();
        let written =
            site.run(&["plugin", "new", &site.path("people").display().to_string(), "--json"]).await;
        assert_eq!(written.code, Some(0), "{written:?}");
        let section = std::fs::read_to_string(site.path("people/sink.yaml")).unwrap();
        let file = site.path("people.json").display().to_string();
        let section = section.replace("/var/lib/rolecall/people.json", &file);
        // As it stands in the file, without the name that the site gives it.
        let lines = section.lines().skip_while(|line| !line.starts_with("people:")).skip(1);
        let section: String =
            lines.map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line))).collect();
        Self { site: site.sink("people", &section) }
    }

    /// What the plugin keeps of everybody: by id, or nothing before it was told anything.
    fn people(&self) -> BTreeMap<String, Value> {
        let file =
            std::fs::read(self.site.path("people.json")).unwrap_or_else(|_| br#"{"users": {}}"#.to_vec());
        let kept: Value = serde_json::from_slice(&file).unwrap();
        serde_json::from_value(kept["users"].clone()).unwrap()
    }
}

/// The processes whose parent this is.
fn children(parent: Pid) -> Vec<Pid> {
    let is_child = |path: &Path| {
        let stat = std::fs::read_to_string(path.join("stat")).unwrap_or_default();
        // Behind the name, which may hold anything: the state, and the parent.
        let parent_of = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        parent_of == Some(parent.as_raw_nonzero().get())
    };
    let paths = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let ids = paths.filter(|path| is_child(path));
    ids.filter_map(|path: PathBuf| Pid::from_raw(path.file_name()?.to_str()?.parse().ok()?)).collect()
}

fn plugin(daemon: &Daemon) -> Pid {
    let [plugin] = children(daemon.pid()).try_into().unwrap();
    plugin
}

fn kept(person: &str, group: &str, roles: &[&str]) -> Value {
    json!({
        "active": true, "user_name": person, "email": format!("{person}@example.com"),
        "display_name": format!("{}{} Example", person[..1].to_uppercase(), &person[1..]),
        "groups": [group], "roles": roles,
    })
}

const RULES: &str = "rules:\n  - name: staff\n    when: {group: Staff}\n    grant: member\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_was_written_by_one_command_is_kept_in_step_also_when_it_is_killed() {
    let plugged = Plugged::new().await;
    plugged.site.rules(RULES);
    let checked = plugged.site.run(&["check", "--connect"]).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(
        checked.stdout.contains("people (exec): fine\n    json-file 1.0, protocol 1\n"),
        "{}",
        checked.stdout
    );

    let daemon = plugged.site.start().await;
    let staff = Group::new("Staff");
    daemon.send([&staff.created(), &Person::new("ada").groups([&staff]).created()]).await;
    plugged.site.settled().await;
    let ada = kept("ada", &staff.id, &["member"]);
    assert_eq!(plugged.people(), [("diruser_ada".to_owned(), ada.clone())].into());

    // Killed again and again while events come: nothing is lost.
    let people: Vec<String> = (0..40).map(|n| format!("user{n}")).collect();
    for (n, name) in people.iter().enumerate() {
        if n % 4 == 0
            && let Some(plugin) = children(daemon.pid()).first()
        {
            // It may be gone already.
            let _ = kill_process(*plugin, Signal::KILL);
        }
        daemon.send([&Person::new(name).groups([&staff]).created()]).await;
    }
    plugged.site.settled().await;
    let mut wanted: BTreeMap<String, Value> =
        people.iter().map(|name| (format!("diruser_{name}"), kept(name, &staff.id, &["member"]))).collect();
    wanted.insert("diruser_ada".into(), ada);
    assert_eq!(plugged.people(), wanted);
    let status = plugged.site.status().await;
    assert_eq!(status["sinks"]["people"]["dead_letters"], 0, "{status}");

    daemon.send([&Person::new("ada").deleted()]).await;
    plugged.site.settled().await;
    wanted.remove("diruser_ada");
    assert_eq!(plugged.people(), wanted);
    daemon.stop().await;
}

async fn gone(process: Pid) {
    let path = format!("/proc/{}/stat", process.as_raw_nonzero());
    until(PATIENCE, "the plugin has ended", async || match std::fs::read_to_string(&path) {
        Ok(stat) if !stat.contains(") Z ") => Err(stat),
        _ => Ok(()),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_does_not_outlive_the_daemon_however_that_ends() {
    let plugged = Plugged::new().await;
    let join = |name: &str| -> Event { Person::new(name).created() };
    let daemon = plugged.site.start().await;
    daemon.send([&join("ada")]).await;
    plugged.site.settled().await;
    let running = plugin(&daemon);
    daemon.stop().await;
    gone(running).await;

    let daemon = plugged.site.start().await;
    daemon.send([&join("ben")]).await;
    plugged.site.settled().await;
    let running = plugin(&daemon);
    daemon.kill().await;
    gone(running).await;
    assert_eq!(plugged.people().into_keys().collect::<Vec<_>>(), ["diruser_ada", "diruser_ben"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plugin_does_wrong_is_told_where_one_looks_and_delays_no_other_sink() {
    let site = Site::new();
    let script = site.file(
        "wrong.py",
        "import json, sys\nprint('the flux is low', file=sys.stderr, flush=True)\n\
         for line in sys.stdin:\n    request = json.loads(line)\n    hello = {'id': request['id'], 'answer': 'hello', 'protocol': 1, 'name': 'wrong'}\n\
        \x20   print(json.dumps(hello) if request['request'] == 'hello' else 'Traceback', flush=True)\n",
    );
    let program = format!("type: exec\ncommand: [/usr/bin/python3, {}]", script.display());
    let other = format!("type: sqlite\npath: {}", site.path("other.db").display());
    let site = site.sink("wrong", &program).sink("other", &other);
    let daemon = site.start().await;
    daemon.send([&Person::new("ada").created()]).await;
    until(PATIENCE, "one is told and the other has it", async || {
        let status = site.status().await;
        let (wrong, other) = (&status["sinks"]["wrong"], &status["sinks"]["other"]);
        let told = wrong.to_string().contains("as one line of JSON, and this came: Traceback");
        if told && other["waiting"] == 0 && wrong["waiting"] == 1 { Ok(()) } else { Err(status) }
    })
    .await;
    daemon.logs("plugin: the flux is low").await;
    let log = daemon.log();
    let line = log.lines().find(|line| line.contains("the flux is low")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(line).unwrap()["sink"], "wrong", "{line}");
    daemon.stop().await;
}

/// Runs `rolecall` in this directory.
async fn run_in(directory: &Path, arguments: &[&str]) -> Ended {
    end(rolecall().current_dir(directory).args(arguments)).await
}

#[tokio::test]
async fn a_new_plugin_passes_its_test_and_a_broken_one_is_told_what_it_broke() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let written = run_in(here, &["plugin", "new", "people"]).await;
    assert_eq!(written.code, Some(0), "{written:?}");
    let again = run_in(here, &["plugin", "new", "people"]).await;
    assert_eq!(again.code, Some(2), "{again:?}");
    assert!(again.stderr.contains("people/plugin.py exists, and nothing is overwritten"), "{again:?}");

    let people = here.join("people");
    let test = ["plugin", "test", "--case", "crash", "--", "./plugin.py", "people.json"];
    let tested = run_in(&people, &test).await;
    assert_eq!(tested.code, Some(0), "{tested:?}");
    assert!(tested.stdout.starts_with("json-file 1.0, protocol 1: ./plugin.py people.json\n"), "{tested:?}");
    assert!(tested.stdout.contains("\npass  the_same_change_after_a_crash ("), "{tested:?}");
    assert_eq!(
        run_in(&people, &test).await.code,
        Some(0),
        "it leaves nothing behind that it would stumble over"
    );

    let script = people.join("plugin.py");
    let right = std::fs::read_to_string(&script).unwrap();
    // It forgets who is inactive.
    std::fs::write(&script, right.replace("\"active\": user[\"active\"]", "\"active\": True")).unwrap();
    let test =
        ["plugin", "test", "--erase", "--large-batch", "100", "--json", "--", "./plugin.py", "people.json"];
    let tested = run_in(&people, &test).await;
    assert_eq!(tested.code, Some(1), "{tested:?}");
    let report = tested.json();
    let case = |name: &str| {
        let cases = report["cases"].as_array().unwrap();
        cases.iter().find(|case| case["name"] == name).cloned().unwrap_or_else(|| panic!("{name}: {report}"))
    };
    assert_eq!(case("create")["verdict"], "passed");
    assert_eq!(case("deactivate")["verdict"], "failed");
    assert!(case("deactivate")["why"].as_str().unwrap().contains("active should be false and is true"));
    assert_eq!(case("down_and_up_again")["verdict"], "skipped");
}

#[tokio::test]
async fn a_test_that_would_delete_what_somebody_needs_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    run_in(here, &["plugin", "new", "."]).await;
    std::fs::write(here.join("people.json"), r#"{"users": {}, "groups": {"g1": {"name": "Staff"}}}"#)
        .unwrap();
    let test = |more: &[&'static str]| {
        let test = [&["plugin", "test", "--case", "create"][..], more, &["--", "./plugin.py", "people.json"]]
            .concat();
        async { run_in(here, &{ test }).await }
    };
    let refused = test(&[]).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.stderr.contains("observes 1 user or group in its target, and the test deletes"),
        "{refused:?}"
    );
    assert!(std::fs::read_to_string(here.join("people.json")).unwrap().contains("Staff"));
    assert_eq!(test(&["--erase"]).await.code, Some(0));

    for (exit, arguments, said) in [
        (2, &["--case", "no-such", "--", "./plugin.py", "other.json"][..], "no case has no-such in its name"),
        (2, &["--", "./plugin"], "/plugin: No such file"),
        (2, &["--", "no-such-program"], "no-such-program is not in PATH"),
        (1, &["--", "/bin/echo", "hello"], "as one line of JSON, and this came: hello"),
        (1, &["--", "/bin/false"], "its standard output was closed; it ended with exit status: 1"),
    ] {
        let ended = run_in(here, &[&["plugin", "test"], arguments].concat()).await;
        assert_eq!(ended.code, Some(exit), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(said), "{arguments:?}: {ended:?}");
    }
}
