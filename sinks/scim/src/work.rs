//! The requests that settling a change is made of.

use http::{Method, StatusCode};
use rolecall_sink_api::{Action, Entity, Outcome, RemoteId};
use rolecall_sink_http::{Answer, Batch, Halt, Meaning};
use serde_json::Value;

use crate::attribute::{Attributes, text};
use crate::edit::Edit;
use crate::patch;
use crate::request::{self, Write};
use crate::resource::Resource;
use crate::service::{ResourceType, Service, resources};
use crate::sink::ScimSink;
use crate::uri;
use crate::urn::is_extension;
use crate::writer::Writer;

/// What is read is read anew when others changed it meanwhile. An application where that happens more often than
/// this in a row contradicts itself.
pub(crate) const ROUNDS: u32 = 4;

/// Pages that are read to find one resource, where the application has no filters.
const MOST_PAGES: u64 = 10_000;
/// How many resources with one name are looked at: an application that ignores case may give others first.
const LOOKED_AT: u64 = 20;

/// What became of a write that others may have got in the way of.
#[derive(Debug)]
pub(crate) enum Written {
    Done(Answer),
    /// There is no such resource.
    Missing(String),
    /// Somebody changed it meanwhile (412).
    Stale(String),
    /// A value belongs to another resource (409).
    Taken(String),
}

/// How it ended to read what is there and to put it right.
#[derive(Debug)]
pub(crate) enum Round {
    /// It is as it should be.
    Settled(Outcome),
    /// Something else is there by now. The outcome, if there is no other round.
    Again(Outcome),
}

/// Settles one change, with what all of the batch share.
pub(crate) struct Work<'a> {
    pub(crate) sink: &'a ScimSink,
    pub(crate) service: &'a Service,
    pub(crate) batch: &'a Batch,
    pub(crate) writer: &'a Writer<'a>,
    pub(crate) entity: &'a Entity,
}

impl Work<'_> {
    /// The resource that is ours: by the application's own id if that is known, or else by `externalId`.
    pub(crate) async fn locate(
        &self,
        of: &ResourceType,
        remote: Option<&RemoteId>,
        external_id: Option<&str>,
    ) -> Result<Option<Resource>, Halt> {
        if let Some(remote) = remote
            && let Some(found) = self.get(of, remote.as_str()).await?
        {
            return Ok(Some(found));
        }
        match external_id {
            Some(external_id) => self.find(of, "externalId", external_id).await,
            None => Ok(None),
        }
    }

    /// The resource with this id of the application's.
    pub(crate) async fn get(&self, of: &ResourceType, id: &str) -> Result<Option<Resource>, Halt> {
        let Some(path) = uri::resource(&of.endpoint, id) else { return Ok(None) };
        let path = if self.without_members(of) { format!("{path}?excludedAttributes=members") } else { path };
        let what = format!("GET {}/{{id}}", of.endpoint);
        let answer = self.read(&what, path).await?;
        match answer.meaning() {
            Meaning::Done => match Resource::from_answer(&answer) {
                Some(resource) => Ok(Some(resource)),
                None => Err(rejected(format!("{}, which is no resource", self.said(&what, &answer)))),
            },
            Meaning::Missing => Ok(None),
            _ => Err(rejected(self.said(&what, &answer))),
        }
    }

    /// The resource whose `attribute` has this value.
    pub(crate) async fn find(
        &self,
        of: &ResourceType,
        attribute: &str,
        value: &str,
    ) -> Result<Option<Resource>, Halt> {
        let found = if self.service.filter {
            self.filtered(of, attribute, value).await?
        } else {
            self.paged(of, attribute, value).await?
        };
        let mut found = found.into_iter();
        let first = found.next();
        if let (Some(first), Some(second)) = (&first, found.next())
            && attribute == "externalId"
        {
            let reason = format!(
                "two have its externalId, {} and {}: remove one, or the externalId of one",
                first.id, second.id
            );
            return Err(self.reject(&reason));
        }
        Ok(first)
    }

    async fn filtered(&self, of: &ResourceType, attribute: &str, value: &str) -> Result<Vec<Resource>, Halt> {
        let (filter, count) = (uri::equals(attribute, value), LOOKED_AT.to_string());
        let mut parameters = vec![("filter", filter.as_str()), ("count", &count)];
        if self.without_members(of) {
            parameters.push(("excludedAttributes", "members"));
        }
        let what = format!("GET {}?filter={attribute} eq …", of.endpoint);
        let answer = self.read(&what, uri::query(&of.endpoint, &parameters)).await?;
        match answer.meaning() {
            Meaning::Done => {
                // Some applications ignore a filter that they do not understand, and give everything.
                Ok(self
                    .list(&what, &answer)?
                    .into_iter()
                    .filter(|found| found.has(attribute, value))
                    .collect())
            }
            Meaning::Missing => Ok(Vec::new()),
            _ => Err(rejected(self.said(&what, &answer))),
        }
    }

    async fn paged(&self, of: &ResourceType, attribute: &str, value: &str) -> Result<Vec<Resource>, Halt> {
        let what = format!("GET {}", of.endpoint);
        let mut found = Vec::new();
        let mut previous = None;
        let mut start = 1;
        for _ in 0..MOST_PAGES {
            let (index, count) = (start.to_string(), self.service.page.to_string());
            let mut parameters = vec![("startIndex", index.as_str()), ("count", &count)];
            if self.without_members(of) {
                parameters.push(("excludedAttributes", "members"));
            }
            let answer = self.read(&what, uri::query(&of.endpoint, &parameters)).await?;
            if answer.meaning() != Meaning::Done {
                return Err(rejected(self.said(&what, &answer)));
            }
            let page = self.list(&what, &answer)?;
            let first = page.first().map(|first| first.id.clone());
            // Some applications ignore the startIndex, and give the same again without an end.
            if first.is_none() || first == previous {
                return Ok(found);
            }
            previous = first;
            start += page.len();
            found.extend(page.into_iter().filter(|found| found.has(attribute, value)));
        }
        Err(self.reject(&format!("{what}: there is no end of resources")))
    }

    fn list(&self, what: &str, answer: &Answer) -> Result<Vec<Resource>, Halt> {
        if answer.cut {
            let reason = format!("{what}: the answer is longer than max_response_bytes");
            return Err(self.reject(&reason));
        }
        match serde_json::from_slice(&answer.body) {
            Ok(Value::Object(list)) => Ok(resources(&list).into_iter().filter_map(Resource::new).collect()),
            _ => Err(rejected(format!("{}, which is no list", self.said(what, answer)))),
        }
    }

    /// Makes a resource, and returns the application's id for it.
    pub(crate) async fn make(
        &self,
        of: &ResourceType,
        desired: &Attributes,
    ) -> Result<Result<String, Round>, Halt> {
        let body = with_schemas(desired.clone(), of.schema);
        let what = format!("POST {}", of.endpoint);
        let write = Write::new(Method::POST, of.endpoint.clone(), Some(Value::Object(body)));
        match self.written(&what, write).await? {
            Written::Done(answer) => match Resource::from_answer(&answer) {
                Some(made) => Ok(Ok(made.id)),
                None => Err(self.reject(&format!("{what}: it was made, but the answer has no id"))),
            },
            // Perhaps an attempt of ours that was cut off made it just now.
            Written::Taken(said) => Ok(Err(Round::Again(Outcome::reject(said)))),
            Written::Stale(said) => Ok(Err(Round::Again(Outcome::retry(said)))),
            Written::Missing(said) => Err(rejected(said)),
        }
    }

    /// Makes the edits, if there are any; how the round ends when that did not go through.
    pub(crate) async fn put_right(
        &self,
        of: &ResourceType,
        found: &Resource,
        edits: &[Edit],
    ) -> Result<Option<Round>, Halt> {
        if edits.is_empty() {
            return Ok(None);
        }
        match self.modify(of, found, edits).await? {
            Written::Done(_) => Ok(None),
            Written::Stale(said) | Written::Missing(said) => Ok(Some(Round::Again(Outcome::retry(said)))),
            Written::Taken(said) => Err(rejected(said)),
        }
    }

    /// Makes the edits to a resource: by PATCH, or by PUT where the application has no PATCH.
    pub(crate) async fn modify(
        &self,
        of: &ResourceType,
        resource: &Resource,
        edits: &[Edit],
    ) -> Result<Written, Halt> {
        let version = resource.version.clone().filter(|_| self.service.etag);
        let (method, body) = if self.service.patch {
            (Method::PATCH, patch::patch(edits))
        } else {
            let replacement = patch::replacement(resource.attributes.clone(), edits);
            (Method::PUT, Value::Object(with_schemas(replacement, of.schema)))
        };
        let what = format!("{method} {}/{{id}}", of.endpoint);
        let Some(path) = uri::resource(&of.endpoint, &resource.id) else {
            return Err(self.reject(&format!("{what}: the application's id for it fits no URL")));
        };
        let shared = of.schema == crate::urn::GROUP && matches!(self.entity, Entity::User(_));
        self.written(&what, Write { version, shared, ..Write::new(method, path, Some(body)) }).await
    }

    /// Removes a resource.
    pub(crate) async fn delete(&self, of: &ResourceType, id: &str) -> Result<Written, Halt> {
        let what = format!("DELETE {}/{{id}}", of.endpoint);
        match uri::resource(&of.endpoint, id) {
            Some(path) => self.written(&what, Write::new(Method::DELETE, path, None)).await,
            None => Ok(Written::Missing(self.about(&what))),
        }
    }

    async fn written(&self, what: &str, write: Write) -> Result<Written, Halt> {
        let answer = self.writer.write(self.entity, what, write).await?;
        let said = || self.said(what, &answer);
        match answer.meaning() {
            Meaning::Done => Ok(Written::Done(answer)),
            // "The specified path did not yield an attribute that could be operated on": what was to go is gone.
            Meaning::Wrong if scim_type(&answer).as_deref() == Some("noTarget") => Ok(Written::Stale(said())),
            Meaning::Wrong if answer.status == StatusCode::PRECONDITION_FAILED => Ok(Written::Stale(said())),
            Meaning::Missing => Ok(Written::Missing(said())),
            Meaning::Exists => Ok(Written::Taken(said())),
            _ => Err(rejected(said())),
        }
    }

    async fn read(&self, what: &str, path: String) -> Result<Answer, Halt> {
        // Closed only when the sink is gone, and this with it.
        let _permit = self.sink.reading.acquire().await.map_err(|_| Halt::Closed)?;
        self.sink.application.exchange(self.entity, what, &request::get(path), self.batch).await
    }

    /// A group's members can be many, and only a PUT has to repeat them.
    fn without_members(&self, of: &ResourceType) -> bool {
        self.service.patch && of.schema == crate::urn::GROUP
    }

    pub(crate) fn reject(&self, what: &str) -> Halt {
        rejected(self.about(what))
    }

    fn said(&self, what: &str, answer: &Answer) -> String {
        self.sink.application.said(self.entity, what, answer)
    }

    pub(crate) fn about(&self, what: &str) -> String {
        self.sink.application.about(self.entity, what)
    }
}

/// The resource with this id is as it should be.
pub(crate) fn applied(id: String, action: Action) -> Outcome {
    Outcome::Applied { remote: Some(RemoteId::new(id)), action, again: None }
}

/// Refused, for a reason that says what it is about.
pub(crate) fn rejected(reason: String) -> Halt {
    Halt::Settled(Outcome::Reject { reason })
}

/// The detail error keyword of an error response (RFC 7644 §3.12).
fn scim_type(answer: &Answer) -> Option<String> {
    let error: Attributes = serde_json::from_slice(&answer.body).ok()?;
    text(&error, "scimType").map(str::to_owned)
}

/// The resource with the URNs of all schemas that it has attributes of (RFC 7643 §3).
fn with_schemas(mut resource: Attributes, core: &str) -> Attributes {
    let extensions = resource.keys().filter(|key| is_extension(key)).map(String::as_str);
    let schemas: Vec<Value> = std::iter::once(core).chain(extensions).map(Value::from).collect();
    resource.retain(|name, _| !name.eq_ignore_ascii_case("schemas"));
    resource.insert("schemas".into(), schemas.into());
    resource
}
