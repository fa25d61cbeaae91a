//! Whether the day ended as it has to.

use std::collections::BTreeMap;

use super::application::{Exchange, State};
use super::company::{Access, MARIA, OMAR, PRIYA, Person, Standing, TOM, end_of_day};
use super::day::UPDATES;
use super::ldif::Directory;
use super::tables::Tables;
use crate::admin::api::DaemonStatus;
use crate::cli::Exit;

/// The three stores at the end.
pub(super) struct Stores {
    pub(super) tables: Tables,
    pub(super) ldap: Directory,
    pub(super) application: State,
}

/// Everything that is looked at.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    /// Of each person, by their address, how they stand in each store.
    standings: BTreeMap<&'static str, BTreeMap<&'static str, Standing>>,
    /// What the application was asked.
    requests: Vec<Exchange>,
    /// The part of it after the application had been down.
    after_outage: Vec<Exchange>,
    /// How often webhooks were answered in which way.
    received: BTreeMap<String, u64>,
    /// How many users and groups wait for each sink or were given up on.
    unsettled: BTreeMap<String, u64>,
}

/// Something that has to be true, and else what is true instead.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) promise: String,
    pub(super) found: Result<(), String>,
}

impl Evidence {
    pub(super) fn new(stores: &Stores, after_outage: Vec<Exchange>, status: &DaemonStatus) -> Self {
        let standings = |person: &Person| {
            BTreeMap::from([
                ("tables", stores.tables.standing(person.email)),
                ("ldap", stores.ldap.standing(person.email)),
                ("app", stores.application.standing(person.id)),
            ])
        };
        let people = end_of_day().into_iter().map(|(person, _)| (person.email, standings(person)));
        let sinks = status.sinks.iter();
        Self {
            standings: people.collect(),
            requests: stores.application.requests.clone(),
            after_outage,
            received: status.received.clone(),
            unsettled: sinks
                .map(|(name, sink)| (name.to_string(), sink.waiting + sink.dead_letters))
                .collect(),
        }
    }

    /// In which stores the people who are meant do not stand as they have to.
    fn differences(&self, meant: impl Fn(&Person, Access) -> bool) -> Vec<String> {
        let meant = end_of_day().into_iter().filter(|(person, standing)| meant(person, standing.access));
        let mut differ = Vec::new();
        for (person, expected) in meant {
            let stores = self.standings.get(person.email).into_iter().flatten();
            for (store, standing) in stores.filter(|(_, standing)| **standing != expected) {
                let name = person.given_name;
                differ.push(format!("{name} in {store} is {standing} and should be {expected}"));
            }
        }
        differ
    }

    fn answered(&self, answer: &str, expected: u64) -> Vec<String> {
        match self.received.get(answer).copied().unwrap_or_default() {
            times if times == expected => Vec::new(),
            times => vec![format!("{times} messages were answered as {answer}, and not {expected}")],
        }
    }
}

/// Looks at everything.
pub(super) fn findings(evidence: &Evidence) -> Vec<Finding> {
    let finding = |promise: &str, differ: Vec<String>| Finding {
        promise: promise.to_owned(),
        found: if differ.is_empty() { Ok(()) } else { Err(differ.join("; ")) },
    };
    let of = |who: &'static Person| evidence.differences(move |person, _| person == who);
    let others = evidence.differences(|_, access| access == Access::Active);
    vec![
        finding("Omar, who left, has no access and no role in any of the three", of(&OMAR)),
        finding("Tom, who was deleted, is gone from all three, in spite of the late update", of(&TOM)),
        finding("everybody else has exactly the roles that the rules give them, in all three", others),
        finding("the message that came twice was applied once", applied_once(evidence)),
        finding("the forged message was refused", evidence.answered("refused", 1)),
        finding("after the outage the leaver was delivered first", leaver_first(evidence)),
        finding(&format!("Maria's {UPDATES} updates were one request"), one_request(evidence)),
        finding("nothing waits, and there are no dead letters", unsettled(evidence)),
    ]
}

/// How the demo ends with these findings.
pub(super) fn exit(findings: &[Finding]) -> Exit {
    if findings.iter().all(|finding| finding.found.is_ok()) { Exit::Done } else { Exit::Problems }
}

/// The requests about somebody that the application did.
fn done<'e>(exchanges: &'e [Exchange], person: &Person) -> Vec<&'e Exchange> {
    exchanges.iter().filter(|it| it.user() == Some(person.id) && it.status.is_success()).collect()
}

fn applied_once(evidence: &Evidence) -> Vec<String> {
    let mut differ = evidence.answered("duplicate", 1);
    // She was made, changed teams, and got another desk.
    match done(&evidence.requests, &PRIYA).len() {
        3 => {}
        times => differ.push(format!("the application was told of Priya {times} times, and not 3 times")),
    }
    differ
}

fn leaver_first(evidence: &Evidence) -> Vec<String> {
    match evidence.after_outage.iter().find_map(Exchange::user) {
        Some(first) if first == OMAR.id => Vec::new(),
        Some(first) => vec![format!("{first} was first")],
        None => vec!["nobody was delivered".into()],
    }
}

fn one_request(evidence: &Evidence) -> Vec<String> {
    let last = format!("D-{:02}", UPDATES - 1);
    match done(&evidence.after_outage, &MARIA).as_slice() {
        [only] if only.body.as_ref().is_some_and(|body| body["desk"] == last.as_str()) => Vec::new(),
        [_] => vec!["the request does not say what the last update said".into()],
        others => vec![format!("they were {} requests", others.len())],
    }
}

fn unsettled(evidence: &Evidence) -> Vec<String> {
    let some = evidence.unsettled.iter().filter(|(_, count)| **count > 0);
    some.map(|(sink, count)| format!("{count} users or groups for {sink}")).collect()
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::json;

    use super::*;

    fn put(person: &Person, desk: &str) -> Exchange {
        Exchange {
            method: Method::PUT,
            path: format!("/users/{}", person.id),
            body: Some(json!({"desk": desk})),
            status: StatusCode::OK,
        }
    }

    /// A day that ended as it has to.
    fn good() -> Evidence {
        let people = end_of_day();
        let standings = people.into_iter().map(|(person, standing)| {
            (person.email, ["tables", "ldap", "app"].map(|store| (store, standing.clone())).into())
        });
        let after_outage = vec![put(&OMAR, "D-04"), put(&PRIYA, "D-33"), put(&MARIA, "D-99")];
        let before = [put(&PRIYA, "D-03"), put(&PRIYA, "D-03")];
        Evidence {
            standings: standings.collect(),
            requests: before.into_iter().chain(after_outage.clone()).collect(),
            after_outage,
            received: [("duplicate".to_owned(), 1), ("refused".to_owned(), 1)].into(),
            unsettled: ["tables", "ldap", "app"].map(|sink| (sink.to_owned(), 0)).into(),
        }
    }

    /// Which promises are broken once something of a good day is otherwise, and what is found.
    fn broken(otherwise: impl FnOnce(&mut Evidence)) -> Vec<(usize, String)> {
        let mut evidence = good();
        otherwise(&mut evidence);
        let findings = findings(&evidence).into_iter().enumerate();
        findings.filter_map(|(at, finding)| Some((at, finding.found.err()?))).collect()
    }

    fn stands(evidence: &mut Evidence, person: &Person, store: &'static str, standing: Standing) {
        evidence.standings.get_mut(person.email).unwrap().insert(store, standing);
    }

    #[test]
    fn a_good_day_breaks_no_promise() {
        assert_eq!(broken(|_| {}), []);
        assert_eq!(exit(&findings(&good())), Exit::Done);
    }

    #[test]
    fn one_broken_promise_fails_the_demo() {
        let mut evidence = good();
        stands(&mut evidence, &OMAR, "app", Standing::new(Access::Active, ["admin"]));
        assert_eq!(exit(&findings(&evidence)), Exit::Problems);
    }

    #[test]
    fn somebody_with_too_much_or_too_little_in_one_store_is_found() {
        let found = broken(|e| stands(e, &OMAR, "ldap", Standing::new(Access::Inactive, ["admin"])));
        assert_eq!(found, [(0, "Omar in ldap is inactive (admin) and should be inactive (no role)".into())]);
        let found = broken(|e| stands(e, &TOM, "tables", Standing::new(Access::Active, [])));
        assert_eq!(found, [(1, "Tom in tables is active (no role) and should be gone (no role)".into())]);
        let found = broken(|e| stands(e, &MARIA, "app", Standing::new(Access::Active, ["member"])));
        assert_eq!(found.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_duplicate_that_was_applied_is_found() {
        let found = broken(|e| e.requests.push(put(&PRIYA, "D-03")));
        assert_eq!(found, [(3, "the application was told of Priya 4 times, and not 3 times".into())]);
        let found = broken(|e| e.received.clear());
        assert_eq!(found.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn a_wrong_order_after_the_outage_is_found() {
        let found = broken(|e| e.after_outage.swap(0, 1));
        assert_eq!(found, [(5, format!("{} was first", PRIYA.id))]);
    }

    #[test]
    fn updates_that_were_not_made_one_or_not_the_last_one_are_found() {
        let found = broken(|e| e.after_outage.push(put(&MARIA, "D-99")));
        assert_eq!(found, [(6, "they were 2 requests".into())]);
        let found = broken(|e| e.after_outage[2] = put(&MARIA, "D-98"));
        assert_eq!(found, [(6, "the request does not say what the last update said".into())]);
    }

    #[test]
    fn what_still_waits_is_found() {
        let found = broken(|e| *e.unsettled.get_mut("app").unwrap() = 2);
        assert_eq!(found, [(7, "2 users or groups for app".into())]);
    }
}
