//! `rolecall plugin test`

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use clap::Args;
use rolecall_sink_api::Timespan;
use rolecall_sink_api::conformance::{self, CaseReport, Groups, Inactive, Report, Target as _, Verdict};
use serde::Serialize;
use tracing::level_filters::LevelFilter;

use crate::cli::output::{print, print_json};
use crate::cli::text::{BAD, FAINT, GOOD, HEADING, count, plain, styled};
use crate::cli::{Exit, Failure};
use crate::deliver::registry::exec::protocol::{Abilities, Hello};
use crate::deliver::registry::exec::suite::{PluginUnderTest, Untestable};
use crate::deliver::registry::exec::{Config, Value};

/// Show whether a plugin keeps the contract of a sink
///
/// Plays the daemon: sends changes, twice and in any order, kills the plugin and starts it again, sends names that mean
/// something to a database or a shell, and compares what the plugin observes with what should be there. Everything in the
/// plugin's target is deleted before each case, and at the end.
///
/// What the plugin writes to standard error is shown on standard error. The exit code is 0 when no case failed, 1 when one
/// did or the plugin does not run, and 2 when the command line is wrong or the target is not empty.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rolecall plugin test -- ./plugin.py people.json
  rolecall plugin test --case delete --reset 'rm -f people.json' -- ./plugin.py people.json")]
pub(in crate::cli) struct TestPlugin {
    /// The plugin: a program and its arguments. It runs in this directory, with no environment
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// Run only the cases with this in their name
    #[arg(long, value_name = "PART", default_value = "", hide_default_value = true)]
    case: String,
    /// Give the plugin an environment variable: NAME=VALUE, or NAME for the one that there is here
    #[arg(long, value_name = "NAME")]
    env: Vec<Variable>,
    /// A shell command that empties the target before each case [default: the plugin is told to delete all it observes]
    #[arg(long, value_name = "COMMAND")]
    reset: Option<String>,
    /// Delete what is in the target at the start, too
    #[arg(long)]
    erase: bool,
    /// How long the plugin may take for a request, for instance 5s
    #[arg(long, value_name = "TIME", default_value = "60s")]
    timeout: Timespan,
    /// How many changes the largest batch has: as many as `delivery.batch` in the configuration
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, value_parser = parse_batch)]
    large_batch: usize,
    /// Answer in JSON, for programs, when all is done
    #[arg(long)]
    json: bool,
}

/// An environment variable with its value.
#[derive(Clone, Debug)]
struct Variable {
    name: String,
    value: String,
}

impl FromStr for Variable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => (
                text,
                std::env::var(text).map_err(|_| format!("{text} is not set here; write {text}=VALUE"))?,
            ),
        };
        Ok(Self { name: name.to_owned(), value })
    }
}

fn parse_batch(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|batch| (1..=10_000).contains(batch))
        .ok_or_else(|| "must be from 1 to 10000".to_owned())
}

impl TestPlugin {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        // Only what the plugin says, and what is said of it.
        let log = tracing_subscriber::fmt().with_writer(io::stderr).without_time().with_target(false);
        // Whoever set up a log before this one keeps it.
        let _ = log.with_max_level(LevelFilter::INFO).try_init();
        tokio::select! {
            tested = self.test() => tested,
            _ = tokio::signal::ctrl_c() => Err(Failure::Failed(anyhow!("interrupted; the plugin was killed"))),
        }
    }

    async fn test(&self) -> Result<Exit, Failure> {
        let plugin = PluginUnderTest::start(self.config()?, self.reset.clone(), self.large_batch)
            .await
            .map_err(untestable)?;
        let held = plugin.holds().await.map_err(|down| Failure::Failed(anyhow!("{down}")))?;
        if held > 0 && !self.erase && self.reset.is_none() {
            let held = count(held as u64, "user or group", "users and groups");
            return Err(Failure::Usage(anyhow!(
                "the plugin observes {held} in its target, and the test deletes everything in it; let the plugin work \
                 on one that nobody needs, or say --erase"
            )));
        }
        if !self.json {
            print(&opening(plugin.hello(), &self.command))?;
        }
        let started = Instant::now();
        let mut written = Ok(());
        let report = conformance::run_telling(&plugin, &self.case, |case| {
            if !self.json && written.is_ok() {
                written = print(&shown(case));
            }
        })
        .await;
        written?;
        // So that it can run again. What stays all the same is told then.
        let _ = plugin.empty().await;
        if report.cases.is_empty() {
            return Err(Failure::Usage(anyhow!("no case has {} in its name", self.case)));
        }
        let took = started.elapsed();
        if self.json {
            print_json(&Answer::new(plugin.hello(), &report, took))?;
        } else {
            print(&closing(&report, took))?;
        }
        Ok(if report.failures().next().is_none() { Exit::Done } else { Exit::Problems })
    }

    fn config(&self) -> Result<Config, Failure> {
        let directory = std::env::current_dir().context("cannot tell the current directory")?;
        let mut command = self.command.clone();
        if let Some(program) = command.first_mut() {
            *program = find(program, &directory).map_err(Failure::Usage)?.display().to_string();
        }
        let variables = self.env.iter().map(|variable| {
            let value = Value::Plain(variable.value.clone());
            (variable.name.clone(), value)
        });
        let environment = variables.collect();
        Ok(Config { environment, directory, timeout: self.timeout, ..Config::of(command) })
    }
}

/// Where the program is, as a shell finds it.
fn find(program: &str, directory: &Path) -> Result<PathBuf, anyhow::Error> {
    if program.contains('/') {
        return Ok(directory.join(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|folder| directory.join(folder).join(program));
    found
        .find(|file| file.is_file())
        .ok_or_else(|| anyhow!("{program} is not in PATH; write ./{program} for one in this directory"))
}

fn untestable(why: Untestable) -> Failure {
    match why {
        Untestable::Config(error) => Failure::Usage(anyhow!("the plugin cannot be run: {error}")),
        Untestable::Down(down) => Failure::Failed(anyhow!("{down}")),
        Untestable::CannotObserve(hello) => Failure::Failed(anyhow!(
            "{} cannot observe what its target holds, so nobody can see what it does; to be tested it must answer \
             `observe`, and say so with `can.observe` in its answer to `hello`",
            plain(&hello.to_string())
        )),
    }
}

/// Who is tested, and what is expected of them.
fn opening(hello: &Hello, command: &[String]) -> String {
    let title = plain(&format!("{hello}, protocol {}: {}", hello.protocol, command.join(" ")));
    let Abilities { groups, roles, inactive, ref profile, .. } = hello.can;
    let groups = match groups {
        Groups::Entities => "groups with an id and a name",
        Groups::OnUsers => "groups only as a list with each user",
        Groups::None => "no groups",
    };
    let roles = if roles { "roles" } else { "no roles" };
    let inactive = match inactive {
        Inactive::Kept => "who is inactive stays there without access",
        Inactive::Removed => "who is inactive is removed",
    };
    let profile: Vec<String> = profile.iter().map(|attribute| attribute.to_string()).collect();
    let profile = match profile.as_slice() {
        [] => "no attributes, so that none can be compared".to_owned(),
        names => names.join(", "),
    };
    format!(
        "{}\n  its target keeps  {groups}; {roles}; {inactive}\n  it observes       {profile}\n\n",
        styled(HEADING, &title)
    )
}

/// One case, with what was found when it failed.
fn shown(case: &CaseReport) -> String {
    let text = case.to_string();
    let (word, rest) = text.split_at(text.find(' ').unwrap_or(text.len()));
    let style = match case.verdict {
        Verdict::Passed => GOOD,
        Verdict::Failed(_) => BAD,
        Verdict::Skipped(_) => FAINT,
    };
    let mut out = styled(style, word);
    for line in rest.lines() {
        let _ = writeln!(out, "{}", plain(line));
    }
    out
}

fn closing(report: &Report, took: Duration) -> String {
    let summary = format!("{} in {:.1} s", report.summary(), took.as_secs_f64());
    let failed: Vec<&str> = report.failures().map(|case| case.name).collect();
    match failed.first() {
        None => format!("\n{}\n", styled(GOOD, &summary)),
        Some(first) => format!(
            "\n{}\nWhile you mend it, run one case at a time: rolecall plugin test --case {first} -- …\n",
            styled(BAD, &summary)
        ),
    }
}

/// The report for programs.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    plugin: &'a Hello,
    passed: usize,
    failed: usize,
    skipped: usize,
    millis: u128,
    cases: Vec<Case<'a>>,
}

#[derive(Debug, Serialize)]
struct Case<'a> {
    name: &'a str,
    promise: &'a str,
    verdict: &'static str,
    /// What was found, or why it was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    millis: u128,
}

impl<'a> Answer<'a> {
    fn new(plugin: &'a Hello, report: &'a Report, took: Duration) -> Self {
        let cases = report.cases.iter().map(|case| {
            let (verdict, why) = match &case.verdict {
                Verdict::Passed => ("passed", None),
                Verdict::Failed(what) => ("failed", Some(what.as_str())),
                Verdict::Skipped(why) => ("skipped", Some(why.as_str())),
            };
            let CaseReport { name, promise, took, .. } = case;
            Case { name, promise, verdict, why, millis: took.as_millis() }
        });
        let cases: Vec<Case<'_>> = cases.collect();
        let number = |verdict: &str| cases.iter().filter(|case| case.verdict == verdict).count();
        let (passed, failed, skipped) = (number("passed"), number("failed"), number("skipped"));
        Self { plugin, passed, failed, skipped, millis: took.as_millis(), cases }
    }
}
