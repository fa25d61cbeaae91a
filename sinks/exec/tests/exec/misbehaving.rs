//! Programs that do what a plugin must not. Each costs its own sink a request and says what was wrong; nothing waits for
//! it, nothing grows with what it writes, and what it is next time is as good as new.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use rolecall_sink_api::{Action, Observed, Outcome, Sink as _, Timespan};

use crate::fixture::{PATIENCE, Program, down, group, user};

/// Runs the script as what the plugin does with its first `apply`; a second process does well.
async fn first_time(script: &str) -> String {
    first_time_within(60_000, script).await
}

async fn first_time_within(millis: u64, script: &str) -> String {
    let program =
        Program::new(&format!(
            "hello()\nrequest = read()\nif times('starts') == 1:\n{}\nwhile True:\n    applied(request)\n    request = read()",
            script.lines().map(|line| format!("    {line}\n")).collect::<String>()
        ))
        .within(millis);
    let sink = program.sink();
    let reason = down(&sink).await.reason;
    // The next request finds a plugin that does well.
    let outcomes = sink.apply(&[user("ada"), group("staff")]).await.unwrap();
    assert_eq!(outcomes, [Outcome::applied(Action::Created), Outcome::applied(Action::Created)]);
    assert!(reason.contains("python3 expected") || reason.contains("python3 spoke"), "{reason}");
    assert!(!reason.contains('\n') && reason.chars().count() < 900, "{reason}");
    reason
}

#[track_caller]
fn says(reason: &str, parts: &[&str]) {
    for part in parts {
        assert!(reason.contains(part), "{part:?} is not in: {reason}");
    }
}

#[tokio::test]
async fn one_that_hangs() {
    let reason = first_time_within(3_000, "time.sleep(3600)").await;
    says(&reason, &["the answer to apply, 1 change within 3s (`timeout`), and none came", "it was killed"]);
}

#[tokio::test]
async fn one_that_stops_in_the_middle_of_a_line() {
    let reason = first_time_within(3_000, "put('{\"id\": 2, \"answer\"')\ntime.sleep(3600)").await;
    says(&reason, &["within 3s (`timeout`)"]);
}

#[tokio::test]
async fn one_that_dies_and_says_why_on_its_standard_error() {
    let reason = first_time("raise RuntimeError('no license')").await;
    says(&reason, &["its standard output was closed", "exit status: 1", "RuntimeError: no license"]);
}

#[tokio::test]
async fn one_that_dies_in_the_middle_of_its_answer() {
    let reason = first_time("put('{\"id\": 2, \"ans')\nos.kill(os.getpid(), signal.SIGKILL)").await;
    says(&reason, &["closed in the middle of it: {\"id\": 2, \"ans", "signal: 9"]);
}

#[tokio::test]
async fn one_that_dies_while_what_it_started_goes_on() {
    let reason = first_time(
        "subprocess.Popen(['/bin/sleep', '3600'])\nput('{\"id\": 2, \"ans')\nos.kill(os.getpid(), signal.SIGKILL)",
    )
    .await;
    says(&reason, &["closed in the middle of it: {\"id\": 2, \"ans", "signal: 9"]);
}

#[tokio::test]
async fn one_that_closes_its_standard_output_and_lives_on() {
    let reason = first_time("os.close(1)\ntime.sleep(3600)").await;
    says(&reason, &["its standard output was closed", "it was killed"]);
}

#[tokio::test]
async fn one_that_writes_what_is_no_json() {
    let reason = first_time("put('Connecting to \\x1b[31mserver…\\n')\ntime.sleep(3600)").await;
    says(&reason, &["as one line of JSON, and this came: Connecting to \\u{1b}[31mserver…"]);
}

#[tokio::test]
async fn one_that_writes_an_empty_line() {
    says(&first_time("put('\\n')\ntime.sleep(3600)").await, &["this came: an empty line"]);
}

#[tokio::test]
async fn one_that_writes_bytes_that_are_no_text() {
    let reason =
        first_time("sys.stdout.buffer.write(b'\\xff\\xfe\\x00\\n')\nsys.stdout.flush()\ntime.sleep(9)").await;
    says(&reason, &["as one line of JSON"]);
}

#[tokio::test]
async fn one_that_answers_something_else() {
    let reason = first_time("say(request, 'ready')").await;
    says(&reason, &["expected `outcomes`, and `ready` came: {\"id\": 2, \"answer\": \"ready\"}"]);
}

#[tokio::test]
async fn one_that_gives_an_answer_that_does_not_exist() {
    let reason = first_time("say(request, 'okay')").await;
    says(&reason, &["unknown variant `okay`"]);
}

#[tokio::test]
async fn one_that_answers_another_request() {
    let reason = first_time("say({'id': 7}, 'outcomes', outcomes=[])").await;
    says(&reason, &["expected the answer to request 2 (apply, 1 change), and one to request 7 came"]);
}

#[tokio::test]
async fn one_that_gives_too_few_outcomes() {
    let reason = first_time("say(request, 'outcomes', outcomes=[])").await;
    says(&reason, &["expected as many outcomes as changes, 1, and 0 came"]);
}

#[tokio::test]
async fn one_that_answers_before_it_has_read() {
    // More than fits into a pipe, so that it cannot have been read when the answer comes.
    let program = Program::new("hello()\nput('{\"id\": 2, \"answer\": \"ready\"}\\n')\ntime.sleep(3600)");
    let sink = program.sink();
    sink.hello().await.unwrap();
    let changes: Vec<_> = (0..2000).map(|n| user(&format!("user{n}"))).collect();
    let reason = sink.apply(&changes).await.unwrap_err().reason;
    says(&reason, &["spoke before it had read all of the request apply, 2000 changes: {\"id\": 2"]);
}

#[tokio::test]
async fn one_that_answers_twice_is_found_out_at_the_next_request() {
    let program = Program::new(
        "hello()\nwhile True:\n    request = read()\n    applied(request)\n    applied(request)",
    );
    let sink = program.sink();
    assert_eq!(sink.apply(&[user("ada")]).await.unwrap().len(), 1);
    says(
        &down(&sink).await.reason,
        &["expected the answer to request 3 (apply, 1 change), and one to request 2 came"],
    );
    assert_eq!(sink.apply(&[user("ada")]).await.unwrap().len(), 1, "a new process begins anew");
}

#[tokio::test]
async fn one_that_floods_a_line_without_an_end() {
    let reason = first_time("while True:\n    put('x' * 1000000)").await;
    says(&reason, &["a line of more than 16777216 bytes came: xxx"]);
}

#[tokio::test]
async fn one_that_floods_lines_without_being_asked() {
    let reason = first_time("while True:\n    put('hello again\\n' * 10000)").await;
    says(&reason, &["this came: hello again"]);
}

#[tokio::test]
async fn one_that_floods_its_standard_error_is_answered_all_the_same() {
    let program = Program::new(
        "hello()\nrequest = read()\nfor _ in range(300):\n    os.write(2, b'x' * 100000 + b'\\n')\napplied(request)\nread()",
    );
    let outcomes = program.sink().apply(&[user("ada")]).await.unwrap();
    assert_eq!(outcomes, [Outcome::applied(Action::Created)]);
}

#[tokio::test]
async fn one_that_observes_without_an_end() {
    let mut program = Program::new(
        "hello(observe=True)\nrequest = read()\nwhile True:\n    say(request, 'observed', items=[])",
    );
    program.config.observe_timeout = Timespan::from_millis(300);
    let sink = program.sink();
    sink.hello().await.unwrap();
    let observed = sink.observe().unwrap().try_collect::<Vec<Observed>>();
    let down = tokio::time::timeout(PATIENCE, observed).await.unwrap().unwrap_err();
    says(&down.reason, &["was not done with observe within 300ms (`observe_timeout`)"]);
}

#[tokio::test]
async fn one_that_stops_in_the_middle_of_observe() {
    let program =
        Program::new("hello(observe=True)\nsay(read(), 'observed', items=[])\ntime.sleep(3600)").within(500);
    let sink = program.sink();
    sink.hello().await.unwrap();
    let down = sink.observe().unwrap().try_collect::<Vec<Observed>>().await.unwrap_err();
    says(&down.reason, &["the answer to observe within 500ms"]);
}

#[tokio::test]
async fn who_observes_and_does_not_go_on_holds_up_a_delivery_no_longer_than_an_answer_may_take() {
    let program = Program::new(
        "hello(observe=True)\nwhile True:\n    request = read()\n    if request['request'] == 'apply':\n        applied(request)\n\
         \x20   else:\n        group = {'kind': 'group', 'remote': 'g', 'name': 'Staff'}\n\
         \x20       say(request, 'observed', items=[group])\n        say(request, 'end')",
    )
    .within(3_000);
    let sink = program.sink();
    let mut observed = sink.observe().unwrap();
    observed.try_next().await.unwrap();
    says(&down(&sink).await.reason, &["is still busy with an `observe`"]);
    drop(observed);
    assert_eq!(sink.apply(&[user("ada")]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn one_that_speaks_another_version() {
    let program = Program::new("say(read(), 'hello', protocol=2, name='newer')\nread()");
    says(
        &down(&program.sink()).await.reason,
        &["speaks version 2 of the protocol, and this rolecall version 1"],
    );
}

#[tokio::test]
async fn one_that_does_not_say_hello() {
    let mut program = Program::new("time.sleep(3600)");
    program.config.start_timeout = Timespan::from_millis(300);
    let reason = down(&program.sink()).await.reason;
    says(&reason, &["the answer to hello within 300ms (`start_timeout`), and none came"]);
}

#[tokio::test]
async fn one_that_cannot_be_started() {
    let mut program = Program::new("");
    let path = program.path("plugin");
    std::fs::write(&path, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    program.config.command = vec![path.display().to_string()];
    says(
        &down(&program.sink()).await.reason,
        &["cannot be started: No such file", "what its first line names"],
    );
}

#[tokio::test]
async fn one_that_does_nothing_right_is_left_alone_for_longer_and_longer() {
    let program = Program::new("times('starts')\nsys.exit(3)");
    let sink = program.sink();
    down(&sink).await;
    down(&sink).await;
    let waits = down(&sink).await;
    says(&waits.reason, &["failed 2 times in a row and is started again in"]);
    assert!(waits.after.is_some_and(|after| after <= Duration::from_millis(250)), "{waits:?}");
    assert_eq!(std::fs::read_to_string(program.path("starts")).unwrap(), "xx", "it was not started again");
}

#[tokio::test]
async fn one_whose_target_is_down_is_left_running() {
    let program = Program::new(
        "times('starts')\nhello()\nwhile True:\n    say(read(), 'down', reason='the server\\nsays no', after=1500)",
    );
    let sink = program.sink();
    for _ in 0..4 {
        let down = down(&sink).await;
        says(&down.reason, &["is down: the server says no"]);
        assert_eq!(down.after, Some(Duration::from_millis(1500)));
    }
    assert_eq!(std::fs::read_to_string(program.path("starts")).unwrap(), "x", "it was started once");
}
