//! How long it takes to decide the roles of a million users with twenty groups each, on one core.
//!
//! `cargo bench -p rolecall --bench rules [-- USERS]`. Each user is in twenty of ten thousand groups, five of which some rule
//! names, however many rules there are: what is compared is the cost of the rules that do not concern a user.
#![allow(clippy::expect_used, reason = "a benchmark that cannot run says why by its panic")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rolecall::rules::{Rules, Subject, SubjectGroup};
use rolecall_sink_api::{GroupId, Profile};

const GROUPS: usize = 10_000;
const GROUPS_OF_A_USER: usize = 20;
/// How many of a user's groups some rule names.
const NAMED: usize = 5;
const USERS: u32 = 1_000_000;

/// Rules that each name one group exactly, and as many again by patterns.
fn rules(exact: usize, patterns: usize) -> Rules {
    let mut text = "default: member\nrules:\n".to_owned();
    for n in 0..exact {
        // Writing to a string does not fail.
        let _ = writeln!(text, "- {{name: rule {n}, when: {{group: Team {n}}}, grant: role-{n}}}");
    }
    for n in 0..patterns {
        let _ =
            writeln!(text, "- {{name: glob {n}, when: {{group: {{glob: 'app-{n}-*'}}}}, grant: app-{n}}}");
        let _ = writeln!(
            text,
            "- {{name: regex {n}, when: {{group: {{regex: 'prj{n}-(?<p>[a-z]+)'}}}}, grant: 'p{n}-{{p}}'}}"
        );
    }
    Rules::parse("rules.yaml", &text).expect("the rules are right")
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound
    }
}

/// How long it takes to decide the roles of all users, and how many roles they have together.
fn decide(rules: &Rules, named: usize, users: u32) -> (Duration, usize) {
    let groups: Vec<(GroupId, String)> =
        (0..GROUPS).map(|n| (GroupId::new(format!("dirgroup_{n}")), format!("Team {n}"))).collect();
    let (profile, provider_roles) = (Profile::default(), BTreeSet::new());
    let mut numbers = Numbers(42);
    let now = Timestamp::UNIX_EPOCH;
    let mut roles = 0;
    let began = Instant::now();
    for _ in 0..users {
        let groups: [SubjectGroup<'_>; GROUPS_OF_A_USER] = std::array::from_fn(|at| {
            let n = if at < NAMED { numbers.below(named) } else { named + numbers.below(GROUPS - named) };
            let (id, name) = &groups[n];
            SubjectGroup { id, name, organization: None }
        });
        let subject = Subject {
            active: true,
            organization: None,
            directory: None,
            source: None,
            profile: &profile,
            provider_roles: &provider_roles,
            groups: &groups,
        };
        roles += black_box(rules.decide(black_box(&subject), now)).roles.len();
    }
    (began.elapsed(), roles)
}

fn main() {
    let users = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(USERS);
    let mut first = None;
    for (exact, patterns) in [(10, 0), (100, 0), (1000, 0), (1000, 50)] {
        let (took, roles) = decide(&rules(exact, patterns), exact, users);
        let seconds = took.as_secs_f64();
        let ratio = seconds / *first.get_or_insert(seconds);
        println!(
            "{exact:>5} exact rules, {:>3} patterns: {seconds:>6.2} s for {users} users, {:.2} µs each, {ratio:.2} times the first; {roles} roles",
            2 * patterns,
            seconds * 1e6 / f64::from(users),
        );
    }
}
