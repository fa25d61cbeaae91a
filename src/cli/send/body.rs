//! What is sent: a file or a sample, with values put in.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::cli::Failure;
use crate::source::{SAMPLES, Sample};

/// The largest file that is sent, in bytes: more than any receiver takes.
const MOST_BODY: u64 = 64 * 1024 * 1024;

/// A body to sign and send.
#[derive(Debug)]
pub(super) struct Body {
    /// The id of the message, new each time, as a sender's.
    pub(super) message_id: String,
    pub(super) bytes: Vec<u8>,
}

impl Body {
    fn new(bytes: Vec<u8>, now: Timestamp) -> Self {
        Self { message_id: format!("msg_{}", now.as_nanosecond()), bytes }
    }

    /// What is in a file, byte for byte.
    pub(super) fn of_file(path: &Path, now: Timestamp) -> Result<Self, Failure> {
        let read = if path == Path::new("-") { read(io::stdin()) } else { File::open(path).and_then(read) };
        let bytes =
            read.with_context(|| format!("cannot read {}", path.display())).map_err(Failure::Usage)?;
        Ok(Self::new(bytes, now))
    }

    /// A sample under its own id and time.
    pub(super) fn of_sample(name: &str, now: Timestamp) -> Result<Self, Failure> {
        Ok(Self::new(sample(name)?.body.into(), now))
    }

    /// A sample as an event that nobody has seen, of now.
    pub(super) fn of_new_sample(name: &str, now: Timestamp) -> Result<Self, Failure> {
        let id = format!("evt_{}", now.as_nanosecond());
        Ok(Self::new(sample(name)?.as_of(&id, now).into(), now))
    }

    /// The body with values put in; as it is where there are none.
    pub(super) fn with(mut self, settings: &[Setting]) -> Result<Self, Failure> {
        if settings.is_empty() {
            return Ok(self);
        }
        let mut event: Value = serde_json::from_slice(&self.bytes)
            .context("--set needs an event that is JSON")
            .map_err(Failure::Usage)?;
        for setting in settings {
            setting.put_into(&mut event).map_err(Failure::Usage)?;
        }
        self.bytes = event.to_string().into();
        Ok(self)
    }
}

fn read(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MOST_BODY).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn sample(name: &str) -> Result<&'static Sample, Failure> {
    Sample::named(name).ok_or_else(|| {
        let names: Vec<&str> = SAMPLES.iter().map(|sample| sample.name).collect();
        Failure::Usage(anyhow!("no sample is named {name:?}; there are: {}", names.join(", ")))
    })
}

/// A value to put into an event: `data.email=ada@example.com`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setting {
    path: Vec<String>,
    value: Value,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, value) =
            text.split_once('=').ok_or("write KEY=VALUE, such as data.email=ada@example.com")?;
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err("a key is empty: write a path such as data.email".into());
        }
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.into()));
        Ok(Self { path, value })
    }
}

impl Setting {
    /// Puts the value in its place. Maps on the way are made where there are none; lists go by position.
    fn put_into(&self, event: &mut Value) -> anyhow::Result<()> {
        let mut place = event;
        for key in &self.path {
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
            let nowhere = || anyhow!("--set {}: nothing can be put at {key}", self.path.join("."));
            place = match place {
                Value::Object(map) => map.entry(key).or_insert(Value::Null),
                Value::Array(list) => {
                    key.parse::<usize>().ok().and_then(|at| list.get_mut(at)).ok_or_else(nowhere)?
                }
                _ => return Err(nowhere()),
            };
        }
        *place = self.value.clone();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-24T10:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_sample_is_a_new_event_each_time_unless_it_is_sent_as_it_is() {
        let id = |body: Body| serde_json::from_slice::<Value>(&body.bytes).unwrap()["id"].clone();
        let later = now() + jiff::SignedDuration::from_micros(1);
        let new = |at| id(Body::of_new_sample("user_created", at).unwrap());
        let own = |at| id(Body::of_sample("user_created", at).unwrap());
        assert_ne!(new(now()), new(later));
        assert_eq!(own(now()), own(later));
    }

    #[test]
    fn values_are_put_where_their_path_leads() {
        let settings =
            ["data.email=ada@example.com", "data.groups.0.id=7", "data.new.deep=[1]", "data.n=null"];
        let settings: Vec<Setting> = settings.iter().map(|text| text.parse().unwrap()).collect();
        let event = json!({"data": {"email": "x", "groups": [{"id": 1}], "n": 1}}).to_string();
        let body = Body::new(event.into(), now()).with(&settings).unwrap();
        let expected = json!({"data": {
            "email": "ada@example.com", "groups": [{"id": 7}], "new": {"deep": [1]}, "n": null
        }});
        assert_eq!(serde_json::from_slice::<Value>(&body.bytes).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_set_is_refused() {
        assert!("data.email".parse::<Setting>().is_err());
        assert!("data..email=1".parse::<Setting>().is_err());
        let setting: Setting = "id.part=1".parse().unwrap();
        let error = Body::new(br#"{"id": "x"}"#.into(), now()).with(&[setting]).unwrap_err();
        assert_eq!(error.to_string(), "--set id.part: nothing can be put at part");
    }

    #[test]
    fn a_file_is_sent_byte_for_byte() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"{ \"id\":\"e\" }\n\xff").unwrap();
        let body = Body::of_file(file.path(), now()).unwrap().with(&[]).unwrap();
        assert_eq!(body.bytes, b"{ \"id\":\"e\" }\n\xff");
    }
}
