//! The example keeps the contract, and the suite sees when a plugin does not.

use rolecall_sink_api::conformance::{self, Verdict};
use rolecall_sink_exec::suite::{PluginUnderTest, Untestable};

use crate::fixture::Program;

/// What cannot be shown of a plugin from outside.
const SKIPPED: [&str; 2] = ["unmanaged_is_untouched", "down_and_up_again"];

#[tokio::test(flavor = "multi_thread")]
async fn the_example_keeps_the_contract() {
    let program = Program::example();
    let plugin = PluginUnderTest::start(program.config.clone(), None, 10_000).await.unwrap();
    let report = conformance::run(&plugin).await;
    assert!(report.passed(), "{report}");
    let skipped = report.cases.iter().filter(|case| matches!(case.verdict, Verdict::Skipped(_)));
    assert_eq!(skipped.map(|case| case.name).collect::<Vec<_>>(), SKIPPED, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_breaks_the_contract_is_caught() {
    for (right, wrong, case) in [
        // It keeps what it holds in memory.
        ("        self.target.save()\n", "", "the_same_change_after_a_restart"),
        ("self.users.pop(user_id, None) is None", "True", "delete"),
        (
            "if user[\"active\"] else []",
            "or (before or {\"roles\": []})[\"roles\"]",
            "observe_equals_applied",
        ),
        ("\"email\": user.get(\"email\")", "\"email\": None", "update"),
        (
            "for change in request[\"changes\"]]",
            "for change in request[\"changes\"]][::-1]",
            "outcomes_in_order",
        ),
        (
            "        if before is None:\n            return \"created\"\n        if before[\"active\"]",
            "        if before is not None:\n            del self.users[user[\"id\"]]\n            return \"updated\"\n        return \"created\"\n        if before[\"active\"]",
            "the_same_change_twice",
        ),
    ] {
        let program = Program::example();
        let path = program.path("plugin.py");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(right), "the example has no {right}");
        std::fs::write(&path, text.replace(right, wrong)).unwrap();
        let plugin = PluginUnderTest::start(program.config.clone(), None, 200).await.unwrap();
        let report = conformance::run_matching(&plugin, case).await;
        assert!(report.failures().any(|failed| failed.name == case), "{wrong}\n{report}");
    }
}

#[tokio::test]
async fn a_target_that_the_plugin_cannot_empty_is_said_to_be_that() {
    let program = Program::example();
    let path = program.path("plugin.py");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("self.users.pop(user_id, None) is None", "True")).unwrap();
    let plugin = PluginUnderTest::start(program.config.clone(), None, 200).await.unwrap();
    conformance::run_matching(&plugin, "update").await;
    let report = conformance::run_matching(&plugin, "create_inactive").await.to_string();
    assert!(report.contains("it must be empty before each case, but"), "{report}");
    assert!(report.contains("user "), "{report}");

    let reset = format!("rm -f '{}'", program.path("people.json").display());
    let plugin = PluginUnderTest::start(program.config.clone(), Some(reset), 200).await.unwrap();
    let report = conformance::run_matching(&plugin, "create_inactive").await;
    assert!(report.passed(), "{report}");
}

#[tokio::test]
async fn a_plugin_that_cannot_observe_cannot_be_tested() {
    let program = Program::new("hello()\nread()");
    match PluginUnderTest::start(program.config.clone(), None, 200).await {
        Err(Untestable::CannotObserve(hello)) => assert_eq!(hello.name, "test"),
        _ => panic!("it can be tested"),
    }
}
