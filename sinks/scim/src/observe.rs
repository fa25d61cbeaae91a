//! What the application holds and this sink manages, page by page (RFC 7644 §3.4.2.4).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use rolecall_sink_api::{
    GroupId, Observed, ObservedGroup, ObservedStream, ObservedUser, RemoteId, RoleName, SinkDown, UserId,
};
use rolecall_sink_http::{Meaning, NoAnswer};
use serde_json::Value;

use crate::attribute::{Attributes, Path, get, text};
use crate::request;
use crate::resource::Resource;
use crate::service::{ResourceType, Service, resources};
use crate::sink::ScimSink;
use crate::uri;

/// Where the reading is.
struct Reading<'a> {
    sink: &'a ScimSink,
    service: Arc<Service>,
    part: Part,
    /// The index of the next resource, from 1.
    next: u64,
    /// The first resource of the page before.
    previous: Option<String>,
    /// The groups of each user, both by the application's id. Users are not told with their groups by every
    /// application, so the groups' members are kept until the users come.
    groups: HashMap<String, BTreeSet<RemoteId>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Groups,
    Users,
    End,
}

impl ScimSink {
    /// Groups, then users: those that have an `externalId`. One that is not ours has one that nobody knows.
    pub(crate) fn observed(&self) -> ObservedStream<'_> {
        let pages = stream::once(async {
            let service = self.service().await?;
            let part = if self.mapping.has_groups() { Part::Groups } else { Part::Users };
            let groups = HashMap::new();
            Ok(Reading { sink: self, service, part, next: 1, previous: None, groups })
        });
        let items = pages.flat_map(|reading| match reading {
            Ok(reading) => stream::try_unfold(reading, |reading| reading.page()).left_stream(),
            Err(down) => stream::iter([Err(down)]).right_stream(),
        });
        items
            .flat_map(|page: Result<Vec<Observed>, SinkDown>| match page {
                Ok(items) => stream::iter(items.into_iter().map(Ok).collect::<Vec<_>>()),
                Err(down) => stream::iter(vec![Err(down)]),
            })
            .boxed()
    }
}

impl Reading<'_> {
    /// The next page, and where the reading is after it.
    async fn page(mut self) -> Result<Option<(Vec<Observed>, Self)>, SinkDown> {
        loop {
            let of = match self.part {
                Part::Groups => self.service.groups.clone(),
                Part::Users => Some(self.service.users.clone()),
                Part::End => return Ok(None),
            };
            let page = match &of {
                Some(of) => self.read(of).await?,
                None => Vec::new(),
            };
            if page.is_empty() {
                self.part = if self.part == Part::Groups { Part::Users } else { Part::End };
                (self.next, self.previous) = (1, None);
                continue;
            }
            let items = page.iter().filter_map(|found| match self.part {
                Part::Groups => self.group(found),
                Part::Users | Part::End => self.user(found),
            });
            let items = items.collect();
            if self.part == Part::Groups {
                page.iter().for_each(|found| self.note_members(found));
            }
            return Ok(Some((items, self)));
        }
    }

    async fn read(&mut self, of: &ResourceType) -> Result<Vec<Resource>, SinkDown> {
        let application = &self.sink.application;
        let (start, count) = (self.next.to_string(), self.service.page.to_string());
        let path = uri::query(&of.endpoint, &[("startIndex", &start), ("count", &count)]);
        let answer = application.send(&request::get(path)).await.map_err(|no_answer| match no_answer {
            NoAnswer::Unreachable(why) | NoAnswer::Lost(why) | NoAnswer::Unsendable(why) => {
                application.down(&format!("GET {}: {why}", of.endpoint))
            }
        })?;
        if answer.cut {
            let what = format!("GET {}: a page is longer than max_response_bytes", of.endpoint);
            return Err(application.down(&what));
        }
        let said = || format!("GET {} was answered {}", of.endpoint, answer.excerpt(&application.secrets()));
        if answer.meaning() != Meaning::Done {
            let mut down = application.down(&said());
            down.after = answer.retry_after(jiff::Timestamp::now());
            return Err(down);
        }
        let list: Attributes = serde_json::from_slice(&answer.body)
            .map_err(|_| application.down(&format!("{}, which is no list", said())))?;
        let total = get(&list, "totalResults").and_then(Value::as_u64).unwrap_or(0);
        if self.next > total.max(1) {
            return Ok(Vec::new());
        }
        let page = resources(&list);
        self.next += page.len() as u64;
        let page: Vec<Resource> = page.into_iter().filter_map(Resource::new).collect();
        let first = page.first().map(|found| found.id.clone());
        if first.is_some() && first == self.previous {
            let what = format!("GET {}: it gives the same page again, whatever the startIndex", of.endpoint);
            return Err(application.down(&what));
        }
        self.previous = first;
        Ok(page)
    }

    fn group(&self, found: &Resource) -> Option<Observed> {
        Some(Observed::Group(ObservedGroup {
            remote: RemoteId::new(&found.id),
            id: Some(GroupId::new(found.external_id()?)),
            name: text(&found.attributes, "displayName").unwrap_or_default().to_owned(),
        }))
    }

    fn note_members(&mut self, group: &Resource) {
        if group.external_id().is_none() {
            return;
        }
        let members = Path::new(None, "members").items(&group.attributes).iter();
        for member in members.filter_map(|member| text(member.as_object()?, "value")) {
            self.groups.entry(member.to_owned()).or_default().insert(RemoteId::new(&group.id));
        }
    }

    fn user(&self, found: &Resource) -> Option<Observed> {
        let external_id = found.external_id()?;
        let mapping = &self.sink.mapping;
        let roles = mapping
            .roles_attribute
            .iter()
            .flat_map(|attribute| Path::new(None, attribute).items(&found.attributes));
        let roles = roles.filter_map(|item| item.as_str().or_else(|| text(item.as_object()?, "value")));
        Some(Observed::User(ObservedUser {
            remote: RemoteId::new(&found.id),
            id: mapping.keeps_the_id().then(|| UserId::new(external_id)),
            active: found.active(),
            groups: self.groups.get(&found.id).cloned().unwrap_or_default(),
            roles: roles.map(RoleName::new).collect(),
        }))
    }
}
