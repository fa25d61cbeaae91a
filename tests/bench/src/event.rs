//! Distinct, signed events, made as they are needed.
//!
//! A request is one buffer in which only digits change: the ids, the times, the signature. Making the next one is a
//! few copies and one HMAC over a kilobyte, about two microseconds with the CPU's SHA instructions, so it is done on
//! the fly: events signed beforehand would take 1.5 KB each, for a minute at full speed some gigabytes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::signature::{Key, SIGNATURE};
use crate::target::Target;

/// How many groups the users are spread over.
const GROUPS: u64 = 200;

/// Numbers that no event of this run or of an earlier one has.
pub struct Numbers {
    next: AtomicU64,
    first: u64,
    second: String,
}

impl Numbers {
    /// Begins after every number of a run that began earlier: a hundred for each microsecond since 1970, which are
    /// 18 digits, as Scalekit's own ids have.
    pub fn from_now() -> Self {
        let first = since_1970().as_micros() as u64 * 100;
        let second = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S").to_string();
        Self { next: AtomicU64::new(first), first, second }
    }

    fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

/// A buffer that holds one request after another.
pub struct Requests<'a> {
    numbers: &'a Numbers,
    key: Key,
    buffer: Vec<u8>,
    body: usize,
    places: Places,
}

/// Where in the buffer the digits stand that change.
struct Places {
    /// The 18 digits of the event, its message, its user.
    number: Vec<usize>,
    /// The nine digits after the second in which it occurred.
    fraction: usize,
    /// The three digits of each group.
    groups: [Vec<usize>; 2],
    message: usize,
    timestamp: usize,
    signature: usize,
}

const NUMBER: &str = "NNNNNNNNNNNNNNNNNN";
const FRACTION: &str = "FFFFFFFFF";
const GROUP: [&str; 2] = ["AAA", "BBB"];
const TIMESTAMP: &str = "TTTTTTTTTT";

/// A user as Okta hands them on, `groups` included: about a kilobyte.
fn body(second: &str) -> String {
    let [a, b] = GROUP;
    format!(
        r#"{{"spec_version":"1","id":"evt_{NUMBER}","type":"organization.directory.user_created","occurred_at":"{second}.{FRACTION}Z","environment_id":"env_111951842212053263","organization_id":"org_111960706403795990","object":"DirectoryUser","data":{{"active":true,"dp_id":"00u{NUMBER}","email":"u{NUMBER}@example.com","family_name":"Shines","given_name":"Saif","groups":[{{"id":"dirgroup_100000000000000{a}","name":"Team {a}"}},{{"id":"dirgroup_200000000000000{b}","name":"Project {b}"}}],"id":"diruser_{NUMBER}","locale":"en-US","name":"Saif Shines","organization_id":"org_111960706403795990","preferred_username":"u{NUMBER}@example.com","raw_attributes":{{"active":true,"displayName":"Saif Shines","emails":[{{"primary":true,"type":"work","value":"u{NUMBER}@example.com"}}],"externalId":"00u{NUMBER}","groups":[],"locale":"en-US","name":{{"familyName":"Shines","givenName":"Saif"}},"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"u{NUMBER}@example.com"}},"roles":[{{"role_name":"member"}}]}},"display_name":""}}"#
    )
}

impl<'a> Requests<'a> {
    /// Requests to `target`, signed with `key`. Each connection has its own.
    pub fn new(target: &Target, key: Key, numbers: &'a Numbers) -> Self {
        let body = body(&numbers.second);
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nwebhook-id: msg_{NUMBER}\r\n\
             webhook-timestamp: {TIMESTAMP}\r\nwebhook-signature: v1,{}\r\nContent-Length: {}\r\n\r\n",
            target.path,
            target.address,
            "S".repeat(SIGNATURE),
            body.len()
        );
        let buffer = format!("{head}{body}");
        let all = |pattern| buffer.match_indices(pattern).map(|(at, _)| at).collect::<Vec<_>>();
        let first = |pattern: &str| buffer.find(pattern).unwrap_or_default();
        let places = Places {
            number: all(NUMBER),
            fraction: first(FRACTION),
            groups: GROUP.map(all),
            message: first("msg_"),
            timestamp: first(TIMESTAMP),
            signature: first("v1,") + 3,
        };
        Self { numbers, key, body: head.len(), buffer: buffer.into_bytes(), places }
    }

    /// The next request, as it goes over the wire.
    pub fn next_request(&mut self) -> &[u8] {
        let number = self.numbers.next();
        let nth = number - self.numbers.first;
        for &at in &self.places.number {
            write_digits(&mut self.buffer[at..at + 18], number);
        }
        let fraction = self.places.fraction;
        write_digits(&mut self.buffer[fraction..fraction + 9], nth);
        for (places, group) in self.places.groups.iter().zip([nth % GROUPS, nth / GROUPS % GROUPS]) {
            for &at in places {
                write_digits(&mut self.buffer[at..at + 3], group);
            }
        }
        let timestamp = self.places.timestamp;
        write_digits(&mut self.buffer[timestamp..timestamp + 10], since_1970().as_secs());

        let message = self.places.message;
        let signature = self.key.sign(
            &self.buffer[message..message + 4 + 18],
            &self.buffer[timestamp..timestamp + 10],
            &self.buffer[self.body..],
        );
        self.buffer[self.places.signature..][..SIGNATURE].copy_from_slice(&signature);
        &self.buffer
    }
}

/// Fills `place` with the last digits of `number`.
fn write_digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

fn since_1970() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn parts(request: &[u8]) -> (String, Vec<u8>) {
        let at = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        (String::from_utf8(request[..at].to_vec()).unwrap(), request[at..].to_vec())
    }

    #[test]
    fn every_request_is_a_distinct_event_that_the_public_library_accepts() {
        let target = "http://127.0.0.1:1/webhooks/scalekit".parse().unwrap();
        let numbers = Numbers::from_now();
        let key = Key::from_secret(SECRET).unwrap();
        let webhook = standardwebhooks::Webhook::new(SECRET).unwrap();
        let mut requests =
            [Requests::new(&target, key.clone(), &numbers), Requests::new(&target, key, &numbers)];
        let (mut events, mut users) = (BTreeSet::new(), BTreeSet::new());
        for nth in 0..1000 {
            let (head, body) = parts(requests[nth % 2].next_request());
            let mut headers = http::HeaderMap::new();
            for line in head.lines().skip(1).filter(|line| !line.is_empty()) {
                let (name, value) = line.split_once(": ").unwrap();
                headers
                    .insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
            }
            webhook.verify(&body, &headers).unwrap();
            assert_eq!(headers["content-length"], body.len().to_string());
            let event: Value = serde_json::from_slice(&body).unwrap();
            event["occurred_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
            assert_eq!(event["data"]["groups"].as_array().unwrap().len(), 2);
            events.insert(event["id"].to_string());
            users.insert(event["data"]["id"].to_string());
        }
        assert_eq!((events.len(), users.len()), (1000, 1000));
    }
}
