//! A connection to a directory server: made, protected and bound; then requests and searches, each with its
//! deadline.

use std::collections::HashSet;
use std::net::TcpStream as StdTcpStream;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::controls::{Control, ControlType, PostRead, PostReadResp, RawControl};
use ldap3::{
    Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Mod, Scope, SearchEntry, StdStream,
};
use rolecall_sink_api::SinkDown;
use rustls::ClientConfig;
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::dn::Dn;
use crate::entry::{AttributeName, Attributes, Entry};
use crate::outcome::{self, Operation, Verdict};
use crate::query::Query;
use crate::request::{Modification, ModificationKind, Reply, Request, Tolerance};
use crate::root_dse::RootDse;
use crate::url::{Scheme, ServerUrl};

/// Entries per page of a search.
const PAGE: i32 = 500;
/// A connection that was not used for so long is tried out before it is trusted: firewalls cut idle ones without
/// telling either side.
const IDLE: Duration = Duration::from_secs(30);
/// The control that makes a modification of a value that is there already, or gone already, a success.
pub(crate) const PERMISSIVE_MODIFY: &str = "1.2.840.113556.1.4.1413";
/// The control that returns an added entry's own id with the answer (RFC 4527).
const POST_READ: &str = "1.3.6.1.1.13.2";

/// How to reach a server and prove who we are.
pub(crate) struct Access {
    pub(crate) urls: Vec<ServerUrl>,
    pub(crate) start_tls: bool,
    /// Set when a URL or `start_tls` asks for TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) credentials: Credentials,
    pub(crate) connect_timeout: Duration,
    pub(crate) operation_timeout: Duration,
    pub(crate) id_attribute: AttributeName,
}

/// As whom to bind.
pub(crate) enum Credentials {
    /// Not at all.
    Anonymous,
    /// DN and password; the password is read for every connection.
    Simple { dn: String, password: rolecall_sink_api::SecretSource },
    /// By certificate or Unix user.
    External,
}

/// One bound connection. Dropping it closes it.
pub(crate) struct Connection {
    ldap: Ldap,
    driver: JoinHandle<()>,
    url: String,
    operation_timeout: Duration,
    id_attribute: AttributeName,
    /// What the server says about itself.
    pub(crate) server: RootDse,
    used: Instant,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Access {
    /// Connects to the first server that lets us in.
    pub(crate) async fn connect(&self) -> Result<Connection, SinkDown> {
        let mut reasons = Vec::new();
        for url in &self.urls {
            match timeout(self.connect_timeout, self.connect_to(url)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(reason)) => reasons.push(format!("{url}: {reason}")),
                Err(_) => reasons.push(format!(
                    "{url}: no connection within connect_timeout ({:?}): the server does not answer, or something \
                     on the way drops packets",
                    self.connect_timeout
                )),
            }
        }
        Err(SinkDown::new(reasons.join("; ")))
    }

    async fn connect_to(&self, url: &ServerUrl) -> Result<Connection, String> {
        // The stream is made here and not by ldap3, so that "cannot connect" and "TLS failed" stay apart.
        let stream = match &url.scheme {
            Scheme::Ldapi { path } => {
                let stream = UnixStream::connect(path).await.map_err(|e| format!("cannot connect: {e}"))?;
                StdStream::Unix(stream.into_std().map_err(|e: std::io::Error| e.to_string())? as StdUnixStream)
            }
            Scheme::Ldap { address } | Scheme::Ldaps { address } => {
                let stream = TcpStream::connect(address.as_str())
                    .await
                    .map_err(|e| format!("cannot connect to {address}: {e}"))?;
                // Small requests one after the other: waiting to fill a packet would cost 40 ms each.
                stream.set_nodelay(true).map_err(|e| e.to_string())?;
                StdStream::Tcp(stream.into_std().map_err(|e: std::io::Error| e.to_string())? as StdTcpStream)
            }
        };
        let protected = matches!(url.scheme, Scheme::Ldaps { .. }) || self.start_tls;
        let mut settings = LdapConnSettings::new().set_std_stream(stream).set_starttls(self.start_tls);
        if let Some(tls) = &self.tls {
            settings = settings.set_config(tls.clone());
        }
        let (driver, mut ldap) = LdapConnAsync::with_settings(settings, url.as_str())
            .await
            .map_err(|error| if protected { explain_tls(&error) } else { explain(&error) })?;
        let driver = tokio::spawn(async move {
            // Whoever waits for an answer learns that the connection is gone; why is of use in the log alone.
            if let Err(error) = driver.drive().await {
                tracing::debug!(%error, "the LDAP connection ended");
            }
        });
        let mut connection = Connection {
            ldap: ldap.clone(),
            driver,
            url: url.to_string(),
            operation_timeout: self.operation_timeout,
            id_attribute: self.id_attribute.clone(),
            server: RootDse::default(),
            used: Instant::now(),
        };
        self.bind(&mut ldap).await?;
        connection.server = RootDse::read(&connection).await.map_err(|down| down.reason)?;
        Ok(connection)
    }

    async fn bind(&self, ldap: &mut Ldap) -> Result<(), String> {
        let (who, result) = match &self.credentials {
            Credentials::Anonymous => return Ok(()),
            Credentials::Simple { dn, password } => {
                let password = password.read().map_err(|e| format!("bind.password: {e}"))?;
                (format!("as {dn}"), ldap.simple_bind(dn, password.expose()).await)
            }
            Credentials::External => ("with SASL EXTERNAL".to_owned(), ldap.sasl_external_bind().await),
        };
        let reply = reply_of(result.map_err(|e| format!("bind {who}: {}", explain(&e)))?);
        match outcome::verdict(reply.code, Operation::Bind, &reply.text) {
            Verdict::Done => Ok(()),
            _ => Err(format!("bind {who} refused: {}", outcome::describe(&reply))),
        }
    }
}

impl Connection {
    /// Whether the connection may be used again, found out by a round trip when it idled.
    pub(crate) async fn still_works(&self) -> bool {
        if self.ldap.clone().is_closed() {
            return false;
        }
        self.used.elapsed() < IDLE || self.ping().await.is_ok()
    }

    /// Unbinds, and waits until the server has closed the connection: what was sent on it is done with then.
    pub(crate) async fn drain(mut self, within: Duration) -> Result<(), SinkDown> {
        // An error means that it is closed already.
        let _ = self.ldap.with_timeout(within).unbind().await;
        match timeout(within, &mut self.driver).await {
            Ok(_) => Ok(()),
            Err(_) => Err(SinkDown::new(format!(
                "{}: the server has not ended its work on an earlier batch within operation_timeout",
                self.url
            ))),
        }
    }

    /// Notes that the connection has just answered.
    pub(crate) fn used_now(&mut self) {
        self.used = Instant::now();
    }

    /// One round trip.
    pub(crate) async fn ping(&self) -> Result<(), SinkDown> {
        RootDse::read(self).await.map(|_| ())
    }

    /// The server's URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The entry `dn`, or `None` when there is none.
    pub(crate) async fn read(
        &self,
        dn: &Dn,
        attributes: &[AttributeName],
    ) -> Result<Option<Entry>, SinkDown> {
        let names: Vec<&str> = attributes.iter().map(AttributeName::as_str).collect();
        let found = self.search_raw(dn.as_str(), Scope::Base, "(objectClass=*)", names).await?;
        Ok(found.into_iter().next())
    }

    /// All entries that `query` finds.
    pub(crate) async fn search(&self, query: &Query) -> Result<Vec<Entry>, SinkDown> {
        let names: Vec<&str> = query.attributes.iter().map(AttributeName::as_str).collect();
        self.search_raw(query.base.as_str(), Scope::Subtree, &query.filter(), names).await
    }

    /// A search with the filter and attributes as given, page by page. A base that does not exist has no entries.
    pub(crate) async fn search_raw(
        &self,
        base: &str,
        scope: Scope,
        filter: &str,
        attributes: Vec<&str>,
    ) -> Result<Vec<Entry>, SinkDown> {
        let what = || format!("{}: search {base:?} for {filter}", self.url);
        let down = |error: LdapError| SinkDown::new(format!("{}: {}", what(), explain(&error)));
        let mut ldap = self.ldap.clone();
        ldap.with_timeout(self.operation_timeout);
        let mut adapters: Vec<Box<dyn Adapter<'_, &str, Vec<&str>>>> = vec![Box::new(EntriesOnly::new())];
        if scope != Scope::Base {
            adapters.push(Box::new(PagedResults::new(PAGE)));
        }
        let mut stream =
            ldap.streaming_search_with(adapters, base, scope, filter, attributes).await.map_err(down)?;
        let mut entries = Vec::new();
        while let Some(found) = stream.next().await.map_err(down)? {
            let entry = Entry::try_from(SearchEntry::construct(found))
                .map_err(|e| SinkDown::new(format!("{}: {e}", what())))?;
            entries.push(entry);
        }
        let reply = reply_of(stream.finish().await);
        match outcome::verdict(reply.code, Operation::Search, &reply.text) {
            Verdict::Done => Ok(entries),
            _ => Err(SinkDown::new(format!("{}: {}", what(), outcome::describe(&reply)))),
        }
    }

    /// Sends one request and waits for its answer, whatever it is.
    ///
    /// # Errors
    /// When no answer came: the connection broke or the time ran out. Whether the request was carried out is
    /// unknown then.
    pub(crate) async fn write(&self, request: &Request) -> Result<Reply, SinkDown> {
        let mut ldap = self.ldap.clone();
        ldap.with_timeout(self.operation_timeout);
        let result = match request {
            Request::Add { dn, attributes } => {
                if self.server.has_control(POST_READ) {
                    ldap.with_controls(PostRead::new(vec![self.id_attribute.as_str()]));
                }
                ldap.add(dn.as_str(), add_list(attributes)).await
            }
            Request::Modify { dn, modifications, tolerance } => {
                if *tolerance == Tolerance::Permissive && self.is_permissive() {
                    ldap.with_controls(RawControl {
                        ctype: PERMISSIVE_MODIFY.to_owned(),
                        crit: false,
                        val: None,
                    });
                }
                ldap.modify(dn.as_str(), modifications.iter().map(modification).collect()).await
            }
            Request::Rename { dn, to } => {
                let (old, new) = (dn.parent(), to.parent());
                let superior = new.as_ref().filter(|_| old != new).map(Dn::as_str);
                ldap.modifydn(dn.as_str(), to.rdn(), true, superior).await
            }
            Request::Delete { dn } => ldap.delete(dn.as_str()).await,
        };
        let result = result.map_err(|error| {
            SinkDown::new(format!("{}: {} {}: {}", self.url, request.verb(), request.dn(), explain(&error)))
        })?;
        let id = new_id(&result, &self.id_attribute);
        Ok(Reply { id, ..reply_of(result) })
    }

    /// Whether the server knows the control that tolerates values that are there, or gone, already.
    pub(crate) fn is_permissive(&self) -> bool {
        self.server.has_control(PERMISSIVE_MODIFY)
    }
}

fn reply_of(result: LdapResult) -> Reply {
    Reply { code: result.rc, text: result.text, matched: result.matched, referrals: result.refs, id: None }
}

/// The id that came back with an add, by the control for it.
fn new_id(result: &LdapResult, attribute: &AttributeName) -> Option<String> {
    let control = result.ctrls.iter().find_map(|control| match control {
        Control(Some(ControlType::PostReadResp), raw) => Some(raw),
        _ => None,
    })?;
    let read: PostReadResp = control.parse();
    read.attrs
        .into_iter()
        .find(|(name, _)| AttributeName::new(name.as_str()) == *attribute)?
        .1
        .into_iter()
        .next()
}

fn add_list(attributes: &Attributes) -> Vec<(Vec<u8>, HashSet<Vec<u8>>)> {
    attributes
        .iter()
        .map(|(name, values)| {
            (name.as_str().as_bytes().to_vec(), values.iter().map(|v| v.as_bytes().to_vec()).collect())
        })
        .collect()
}

fn modification(modification: &Modification) -> Mod<Vec<u8>> {
    let name = modification.attribute.as_str().as_bytes().to_vec();
    let values = modification.values.iter().map(|v| v.as_bytes().to_vec()).collect();
    match modification.kind {
        ModificationKind::Add => Mod::Add(name, values),
        ModificationKind::Delete => Mod::Delete(name, values),
        ModificationKind::Replace => Mod::Replace(name, values),
    }
}

/// What went wrong below LDAP itself.
fn explain(error: &LdapError) -> String {
    match error {
        LdapError::Timeout { .. } => {
            "no answer within operation_timeout: the server hangs, or the connection was cut on the way"
                .into()
        }
        LdapError::OpSend { .. } | LdapError::ResultRecv { .. } | LdapError::EndOfStream => {
            "the connection was closed before the answer came".into()
        }
        LdapError::Io { source } => source.to_string(),
        other => other.to_string(),
    }
}

/// What went wrong while TLS was set up, so that nobody looks for a network fault.
fn explain_tls(error: &LdapError) -> String {
    let hint = match error {
        LdapError::Io { source } => {
            source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).map_or("", hint_for)
        }
        LdapError::LdapResult { result } => {
            let reply = reply_of(result.clone());
            return format!("TLS: the server refused StartTLS: {}", outcome::describe(&reply));
        }
        _ => "",
    };
    format!("TLS: {}{hint}", explain(error))
}

fn hint_for(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError::{
        BadEncoding, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, UnknownIssuer,
    };
    match error {
        rustls::Error::InvalidCertificate(UnknownIssuer) => {
            ": the server's certificate is not signed by a trusted authority; name the right one in tls.ca"
        }
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            ": the server's certificate is for another name than the one in url"
        }
        rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. }) => {
            ": the server's certificate has expired"
        }
        rustls::Error::InvalidCertificate(BadEncoding) => ": the server's certificate is malformed",
        rustls::Error::InvalidMessage(_) => ": the port does not speak TLS; try ldap:// with start_tls",
        _ => "",
    }
}
