//! What the application says of itself (RFC 7644 §4): what it can do, which resources it has, and what they are
//! made of. One that does not say is taken at SCIM's word: PATCH and filters, no bulk and no ETags.

use std::sync::atomic::{AtomicUsize, Ordering};

use rolecall_sink_api::SinkDown;
use rolecall_sink_http::{Application, Meaning, NoAnswer};
use serde_json::Value;

use crate::attribute::{Attributes, get, text};
use crate::request;
use crate::schema::Schemas;
use crate::urn;

/// The most resources that are asked for at once, if the application does not want fewer.
const LARGEST_PAGE: u64 = 200;
/// The most operations in one bulk request, whatever the application allows: its answer comes in one timeout.
const MOST_OPERATIONS: u64 = 100;

/// The application's capabilities.
#[derive(Debug)]
pub(crate) struct Service {
    /// Whether it said anything.
    pub(crate) described: bool,
    pub(crate) patch: bool,
    pub(crate) bulk: Option<BulkLimits>,
    pub(crate) filter: bool,
    pub(crate) etag: bool,
    /// How many resources are asked for at once.
    pub(crate) page: u64,
    pub(crate) users: ResourceType,
    /// `None` when the application has no groups.
    pub(crate) groups: Option<ResourceType>,
}

/// How much one bulk request may hold.
#[derive(Debug)]
pub(crate) struct BulkLimits {
    /// Fewer than the application named, once it did not cope with so many; with one there is no bulk.
    operations: AtomicUsize,
    /// Of the body, in bytes.
    pub(crate) bytes: usize,
}

impl BulkLimits {
    pub(crate) fn new(operations: usize, bytes: usize) -> Self {
        Self { operations: AtomicUsize::new(operations), bytes }
    }

    /// The most operations in one request.
    pub(crate) fn operations(&self) -> usize {
        self.operations.load(Ordering::Relaxed)
    }

    /// From now on there are no more operations in one request than this.
    pub(crate) fn at_most(&self, operations: usize) {
        self.operations.fetch_min(operations.max(1), Ordering::Relaxed);
    }
}

/// A type of resource that the application has (RFC 7643 §6).
#[derive(Clone, Debug)]
pub(crate) struct ResourceType {
    /// The path below the base URL, with its `/`.
    pub(crate) endpoint: String,
    /// The core schema's URN.
    pub(crate) schema: &'static str,
    pub(crate) schemas: Schemas,
}

impl Service {
    /// Asks the application.
    ///
    /// # Errors
    /// When it is not there, refuses the credentials, or answers with something that is not SCIM.
    pub(crate) async fn read(application: &Application) -> Result<Self, SinkDown> {
        let config = ask(application, "/ServiceProviderConfig").await?;
        let types = ask(application, "/ResourceTypes").await?.map(|list| resources(&list));
        let schemas = ask(application, "/Schemas").await?.map(|list| resources(&list)).unwrap_or_default();
        let described = config.is_some();
        let config = config.unwrap_or_default();
        let supports = |feature: &str, otherwise: bool| {
            let stated = get(&config, feature).and_then(Value::as_object);
            stated.and_then(|feature| get(feature, "supported")).and_then(Value::as_bool).unwrap_or(otherwise)
        };
        let limit = |feature: &str, name: &str| {
            let stated = get(&config, feature).and_then(Value::as_object);
            stated.and_then(|feature| get(feature, name)).and_then(Value::as_u64).filter(|limit| *limit > 0)
        };
        let bulk = supports("bulk", false).then(|| {
            let operations = limit("bulk", "maxOperations").unwrap_or(MOST_OPERATIONS).min(MOST_OPERATIONS);
            let bytes = limit("bulk", "maxPayloadSize").unwrap_or(u64::MAX);
            BulkLimits::new(operations as usize, usize::try_from(bytes).unwrap_or(usize::MAX))
        });
        let of = |urn, endpoint: &str| resource_type(types.as_deref(), &schemas, urn, endpoint);
        let Some(users) = of(urn::USER, "/Users") else {
            return Err(
                application.down("its ResourceTypes have no User, so there is nobody to keep in step")
            );
        };
        Ok(Self {
            described,
            patch: supports("patch", true),
            bulk,
            filter: supports("filter", true),
            etag: supports("etag", false),
            page: limit("filter", "maxResults").unwrap_or(LARGEST_PAGE).min(LARGEST_PAGE),
            users,
            groups: of(urn::GROUP, "/Groups"),
        })
    }
}

fn resource_type(
    types: Option<&[Attributes]>,
    schemas: &[Attributes],
    schema: &'static str,
    endpoint: &str,
) -> Option<ResourceType> {
    let Some(types) = types.filter(|types| !types.is_empty()) else {
        return Some(ResourceType {
            endpoint: endpoint.to_owned(),
            schema,
            schemas: Schemas::of(schemas, schema, None),
        });
    };
    let is = |found: &&Attributes| text(found, "schema").is_some_and(|urn| urn.eq_ignore_ascii_case(schema));
    let found = types.iter().find(is)?;
    let endpoint = text(found, "endpoint").unwrap_or(endpoint);
    let extensions = get(found, "schemaExtensions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let extensions: Vec<String> = extensions
        .iter()
        .filter_map(|extension| text(extension.as_object()?, "schema").map(str::to_owned))
        .collect();
    Some(ResourceType {
        endpoint: format!("/{}", endpoint.trim_matches('/')),
        schema,
        schemas: Schemas::of(schemas, schema, Some(&extensions)),
    })
}

/// A description; `None` when the application does not give it.
async fn ask(application: &Application, path: &str) -> Result<Option<Attributes>, SinkDown> {
    let answer = application.send(&request::get(path)).await.map_err(|no_answer| match no_answer {
        NoAnswer::Unreachable(why) | NoAnswer::Lost(why) | NoAnswer::Unsendable(why) => {
            application.down(&format!("GET {path}: {why}"))
        }
    })?;
    let said = || format!("GET {path} was answered {}", answer.excerpt(&application.secrets()));
    match answer.meaning() {
        Meaning::Done => {}
        // Some applications guard these more than the users: what they cannot do will show.
        Meaning::Refused if answer.status == http::StatusCode::FORBIDDEN => return Ok(None),
        Meaning::Refused if answer.status.is_redirection() => {
            let hint = "redirects are not followed: set base_url to where the SCIM interface is";
            return Err(application.down(&format!("{}; {hint}", said())));
        }
        Meaning::Refused => {
            return Err(application.down(&format!("{}; check the credentials in auth", said())));
        }
        Meaning::Busy | Meaning::Later if answer.status != http::StatusCode::NOT_IMPLEMENTED => {
            let mut down = application.down(&said());
            down.after = answer.retry_after(jiff::Timestamp::now());
            return Err(down);
        }
        Meaning::Missing | Meaning::Exists | Meaning::Wrong | Meaning::Busy | Meaning::Later => {
            return Ok(None);
        }
    }
    match serde_json::from_slice(&answer.body) {
        Ok(Value::Object(description)) => Ok(Some(description)),
        // A list by itself is what some give for a ListResponse.
        Ok(list @ Value::Array(_)) => Ok(Some(Attributes::from_iter([("Resources".to_owned(), list)]))),
        _ => Err(application.down(&format!("{}, which is not SCIM; check base_url", said()))),
    }
}

/// The resources of a ListResponse (RFC 7644 §3.4.2).
pub(crate) fn resources(list: &Attributes) -> Vec<Attributes> {
    let listed = get(list, "Resources").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    listed.iter().filter_map(|resource| resource.as_object().cloned()).collect()
}
