//! A daemon that is asked over the network, and as whom.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use reqwest::Url;
use rolecall_sink_api::tls::Tls;
use rolecall_sink_api::{ConfigError, Secret};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::endpoint::Address;
use super::error::ClientError;

/// How long it may take to connect and shake hands.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// The address of an admin API: `https://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminUrl {
    is_encrypted: bool,
    host: String,
    port: u16,
}

impl AdminUrl {
    /// The host as it is connected to: an IPv6 address without brackets.
    fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Whether the host is this one, by its name.
    fn is_local(&self) -> bool {
        let address: Option<IpAddr> = self.bare_host().parse().ok();
        self.host == "localhost" || address.is_some_and(|address| address.is_loopback())
    }
}

impl FromStr for AdminUrl {
    type Err = String;

    /// What is wrong is told without what was given: it may hold a password.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| Err(format!("{what}; an address reads https://host:port"));
        let Ok(url) = Url::parse(text) else { return wrong("this is no URL") };
        let is_encrypted = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return wrong("this is neither https:// nor http://"),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("others can read a command line: a token is given by ROLECALL_ADMIN_TOKEN");
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return wrong("the admin API is at the root of its address");
        }
        match (url.host_str(), url.port_or_known_default()) {
            (Some(host), Some(port)) => Ok(Self { is_encrypted, host: host.to_owned(), port }),
            _ => wrong("this names no host"),
        }
    }
}

impl fmt::Display for AdminUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// Where a token and what is known of people may go over plain HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plaintext {
    /// Nowhere but on this host.
    OnThisHost,
    /// Anywhere: something else protects it.
    Anywhere,
}

/// It cannot be asked so.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Others could read along.
    #[error(
        "{0} is plain HTTP: what is sent and answered could be read on the way; ask by https://, or say \
         --admin-allow-plaintext where something else protects it"
    )]
    Plaintext(AdminUrl),
    /// Certificates, keys or authorities cannot be used.
    #[error(transparent)]
    Tls(#[from] ConfigError),
    /// The host cannot be one that a certificate is for.
    #[error("{0}: no certificate is for such a host")]
    Host(AdminUrl),
    /// It is no token.
    #[error("the token for {0} has characters that no token has, or is empty")]
    Token(AdminUrl),
}

/// A daemon on the network, and who asks it. Cheap to clone.
#[derive(Clone)]
pub struct Remote {
    url: AdminUrl,
    plaintext: Plaintext,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    host: HeaderValue,
    token: Option<HeaderValue>,
}

/// A connection to it.
pub(super) enum Connected {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Remote {
    /// The daemon at this address, whose certificate is verified by `tls`, asked by whoever has the token, or the
    /// certificate in `tls`.
    ///
    /// # Errors
    /// When it may not be asked so, or the files of `tls` cannot be used.
    pub fn new(
        url: AdminUrl,
        tls: &Tls,
        token: Option<&Secret>,
        plaintext: Plaintext,
    ) -> Result<Self, RemoteError> {
        if !url.is_encrypted && !url.is_local() && plaintext == Plaintext::OnThisHost {
            return Err(RemoteError::Plaintext(url));
        }
        let unnamed = |_| RemoteError::Host(url.clone());
        let host = HeaderValue::from_str(&format!("{}:{}", url.host, url.port)).map_err(|_| unnamed(()))?;
        let token = token.map(|token| bearer(token).ok_or_else(|| RemoteError::Token(url.clone())));
        let tls = if url.is_encrypted {
            let mut config = Arc::unwrap_or_clone(tls.client_config()?);
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            let name = ServerName::try_from(url.bare_host().to_owned()).map_err(|_| unnamed(()))?;
            Some((Arc::new(config), name))
        } else {
            None
        };
        Ok(Self { token: token.transpose()?, host, tls, plaintext, url })
    }

    /// Where it is.
    pub fn url(&self) -> &AdminUrl {
        &self.url
    }

    /// Adds to a request to whom it goes, and from whom it is.
    pub(super) fn say_who_asks(&self, headers: &mut HeaderMap) {
        headers.insert(header::HOST, self.host.clone());
        if let Some(token) = &self.token {
            headers.insert(header::AUTHORIZATION, token.clone());
        }
    }

    /// Opens a connection to it, on which nothing was said yet.
    pub(super) async fn connect(&self) -> Result<Connected, ClientError> {
        let connected = tokio::time::timeout(CONNECT_WITHIN, async {
            let stream = TcpStream::connect((self.url.bare_host(), self.url.port)).await?;
            let Some((config, name)) = &self.tls else {
                // A name leads where others say.
                let is_local = stream.peer_addr()?.ip().is_loopback();
                return if is_local || self.plaintext == Plaintext::Anywhere {
                    Ok(Connected::Plain(stream))
                } else {
                    Err(io::Error::other("it is not on this host, and http:// is plain HTTP"))
                };
            };
            let stream = TlsConnector::from(Arc::clone(config)).connect(name.clone(), stream).await?;
            Ok(Connected::Tls(Box::new(stream)))
        });
        let late = || format!("no connection within {} s", CONNECT_WITHIN.as_secs());
        let connected = connected.await.unwrap_or_else(|_| Err(io::Error::new(ErrorKind::TimedOut, late())));
        connected.map_err(|error| {
            let at = Address::Url(self.url.clone());
            ClientError::of_tls(at.clone(), &error).unwrap_or(ClientError::Unreachable { at, error })
        })
    }
}

/// It has no token in it.
impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What a token is sent as (RFC 6750 §2.1).
fn bearer(token: &Secret) -> Option<HeaderValue> {
    let token = token.expose();
    let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    let mut header = is_token.then(|| HeaderValue::from_str(&format!("Bearer {token}")).ok())??;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<AdminUrl, String> {
        text.parse()
    }

    #[test]
    fn an_address_is_a_scheme_a_host_and_a_port() {
        for (text, shown) in [
            ("https://rolecall.example", "https://rolecall.example:443"),
            ("https://rolecall.example:8443/", "https://rolecall.example:8443"),
            ("http://[::1]:8081", "http://[::1]:8081"),
        ] {
            assert_eq!(url(text).unwrap().to_string(), shown);
        }
        for (text, word) in [
            ("rolecall.example:8443", "https://"),
            ("ftp://rolecall.example", "https://"),
            ("https://rolecall.example/console", "root"),
            ("https://rolecall.example/?token=secret", "root"),
            ("https://ops:secret@rolecall.example", "ROLECALL_ADMIN_TOKEN"),
        ] {
            let wrong = url(text).unwrap_err();
            assert!(wrong.contains(word) && !wrong.contains("secret"), "{text}: {wrong}");
        }
    }

    #[test]
    fn in_the_clear_nobody_is_asked_but_on_this_host_unless_it_is_said() {
        let ask = |text: &str, plaintext| Remote::new(url(text).unwrap(), &Tls::default(), None, plaintext);
        for local in ["http://localhost:8081", "http://127.0.0.1:8081", "http://[::1]:8081"] {
            assert!(ask(local, Plaintext::OnThisHost).is_ok(), "{local}");
        }
        for other in ["http://rolecall.example:8081", "http://192.0.2.7:8081", "http://localhost.example"] {
            let refused = ask(other, Plaintext::OnThisHost).unwrap_err().to_string();
            assert!(refused.contains("--admin-allow-plaintext"), "{refused}");
            assert!(ask(other, Plaintext::Anywhere).is_ok(), "{other}");
        }
    }

    #[test]
    fn what_is_no_token_is_not_sent_and_none_is_shown() {
        let ask = |token: &str| {
            let url = url("https://rolecall.example").unwrap();
            Remote::new(url, &Tls::default(), Some(&Secret::new(token)), Plaintext::OnThisHost)
        };
        for wrong in ["", "two words", "line\nbreak", "pässword"] {
            assert!(matches!(ask(wrong), Err(RemoteError::Token(_))), "{wrong:?}");
        }
        let remote = ask("do-all-do-all-do-all").unwrap();
        let mut headers = HeaderMap::new();
        remote.say_who_asks(&mut headers);
        assert_eq!(headers[header::AUTHORIZATION], "Bearer do-all-do-all-do-all");
        assert!(!format!("{remote:?} {headers:?}").contains("do-all"));
    }
}
