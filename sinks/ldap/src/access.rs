//! The way to a connection: reached, protected and bound.

use std::sync::Arc;
use std::time::Duration;

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, StdStream};
use rolecall_sink_api::{SecretSource, SinkDown};
use rustls::ClientConfig;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::connection::{Connection, explain, reply_of};
use crate::outcome::{self, Operation, Verdict};
use crate::root_dse::RootDse;
use crate::url::{Scheme, ServerUrl};

/// How to reach a server and prove who we are.
pub(crate) struct Access {
    pub(crate) urls: Vec<ServerUrl>,
    pub(crate) start_tls: bool,
    /// Set when a URL or `start_tls` asks for TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) credentials: Credentials,
    pub(crate) connect_timeout: Duration,
    pub(crate) operation_timeout: Duration,
    /// The servers that referrals may be followed to.
    pub(crate) referrals: Vec<ServerUrl>,
}

/// As whom to bind.
pub(crate) enum Credentials {
    /// Not at all.
    Anonymous,
    /// DN and password; the password is read for every connection.
    Simple { dn: String, password: SecretSource },
    /// By certificate or Unix user.
    External,
}

impl Access {
    /// Connects to the first server that lets us in.
    pub(crate) async fn connect(&self) -> Result<Connection, SinkDown> {
        self.connect_to_one_of(&self.urls).await
    }

    /// Connects to a server that `referrals` name, of those that may be followed to; `None` when none of them is.
    pub(crate) async fn follow(&self, referrals: &[String]) -> Option<Result<Connection, SinkDown>> {
        let allowed = |url: &&ServerUrl| referrals.iter().any(|referral| url.is_host_of(referral));
        let urls: Vec<ServerUrl> = self.referrals.iter().filter(allowed).cloned().collect();
        if urls.is_empty() { None } else { Some(self.connect_to_one_of(&urls).await) }
    }

    async fn connect_to_one_of(&self, urls: &[ServerUrl]) -> Result<Connection, SinkDown> {
        let mut reasons = Vec::new();
        for url in urls {
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
        // Servers that are referred to may be spoken to in another way.
        let start_tls = self.start_tls && matches!(url.scheme, Scheme::Ldap { .. });
        let protected = matches!(url.scheme, Scheme::Ldaps { .. }) || start_tls;
        let mut settings = LdapConnSettings::new().set_std_stream(open(url).await?).set_starttls(start_tls);
        if let Some(tls) = &self.tls {
            settings = settings.set_config(tls.clone());
        }
        let (driver, ldap) = LdapConnAsync::with_settings(settings, url.as_str())
            .await
            .map_err(|error| if protected { explain_tls(&error) } else { explain(&error) })?;
        let is_private = protected || matches!(url.scheme, Scheme::Ldapi { .. });
        let mut connection =
            Connection::new(driver, ldap, url.to_string(), self.operation_timeout, is_private);
        self.bind(&mut connection.handle()).await?;
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

/// The stream is made here and not by ldap3, so that "cannot connect" and "TLS failed" stay apart.
async fn open(url: &ServerUrl) -> Result<StdStream, String> {
    match &url.scheme {
        Scheme::Ldapi { path } => {
            let stream = UnixStream::connect(path).await.and_then(UnixStream::into_std);
            stream.map(StdStream::Unix).map_err(|e| format!("cannot connect to {}: {e}", path.display()))
        }
        Scheme::Ldap { address } | Scheme::Ldaps { address } => {
            let stream = TcpStream::connect(address.as_str()).await.and_then(|stream| {
                // Small requests one after the other: waiting to fill a packet would cost 40 ms each.
                stream.set_nodelay(true)?;
                stream.into_std()
            });
            stream.map(StdStream::Tcp).map_err(|e| format!("cannot connect to {address}: {e}"))
        }
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
        BadEncoding, BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext,
        UnknownIssuer,
    };
    match error {
        rustls::Error::InvalidCertificate(UnknownIssuer | BadSignature) => {
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
