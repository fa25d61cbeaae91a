//! Who asks, and what they may do. On the Unix socket that is whoever may write to it; over the network, whoever
//! presents a token or shows a certificate.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use rolecall_sink_api::{ConfigError, Secret};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};
use tokio::sync::Mutex as Turn;

use super::refusal::Refusal;
use crate::config::{Access, ClientConfig, TokenConfig};

/// For how long an address has to wait after each wrong token that comes from there.
const AFTER_A_WRONG_TOKEN: Duration = Duration::from_millis(500);

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// By what they are known.
    pub by: Credential,
    /// The token's or the certificate's name, or the user's number.
    pub name: String,
    /// What they may do.
    pub access: Access,
}

/// What somebody is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// They may write to the Unix socket.
    Socket,
    /// They have a token.
    Token,
    /// They have a certificate.
    Certificate,
}

impl Who {
    /// Who may write to the socket may do everything.
    fn by_socket(uid: Option<u32>) -> Self {
        let name = uid.map_or("unknown".to_owned(), |uid| uid.to_string());
        Self { by: Credential::Socket, name, access: Access::Full }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.by {
            Credential::Socket => write!(f, "socket, user {}", self.name),
            Credential::Token => write!(f, "token {}", self.name),
            Credential::Certificate => write!(f, "certificate {}", self.name),
        }
    }
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub enum Peer {
    /// A process of this host, with the number of its user where the kernel says it.
    Process {
        /// The user's number.
        uid: Option<u32>,
    },
    /// Somebody on the network.
    Network {
        /// From where.
        address: SocketAddr,
        /// What the certificate is for that they showed; it verified. None where none was shown.
        certificate: Option<Arc<[String]>>,
    },
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Process { .. } => f.write_str("the socket"),
            Peer::Network { address, .. } => address.fmt(f),
        }
    }
}

/// A token that somebody may present. Only its digest is kept, so that neither its length nor how much of it is right
/// shows in the time that a comparison takes.
struct Token {
    name: String,
    access: Access,
    digest: [u8; 32],
}

impl Token {
    fn new(name: &str, access: Access, secret: &Secret) -> Self {
        Self { name: name.to_owned(), access, digest: Sha256::digest(secret.expose()).into() }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("name", &self.name)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

/// The tokens that are let in.
#[derive(Debug, Default)]
pub struct Tokens(Vec<Token>);

impl Tokens {
    /// Reads the tokens' secrets.
    ///
    /// # Errors
    /// At the first that cannot be read.
    pub fn read(tokens: &[TokenConfig]) -> Result<Self, ConfigError> {
        let read = |(index, token): (usize, &TokenConfig)| {
            let secret = token.secret.read().map_err(|error| {
                ConfigError::new(format!("listen.tokens[{index}].secret"), error.to_string())
            })?;
            Ok(Token::new(&token.name, token.access, &secret))
        };
        tokens.iter().enumerate().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whose token this is. It takes as long whichever it is, and if it is nobody's.
    pub fn verify(&self, presented: &str) -> Option<Who> {
        let presented: [u8; 32] = Sha256::digest(presented).into();
        let mut found = 0;
        for (number, token) in (1..).zip(&self.0) {
            let is_it: Choice = token.digest.ct_eq(&presented);
            found.conditional_assign(&number, is_it);
        }
        let token = self.0.get(usize::try_from(found).ok()?.checked_sub(1)?)?;
        Some(Who { by: Credential::Token, name: token.name.clone(), access: token.access })
    }
}

/// Decides who is let in.
#[derive(Debug, Default)]
pub struct Gate {
    tokens: Tokens,
    clients: Vec<ClientConfig>,
    turns: Turns,
}

impl Gate {
    /// Lets in who has one of these tokens, or a certificate for one of these names.
    pub fn new(tokens: Tokens, clients: Vec<ClientConfig>) -> Self {
        Self { tokens, clients, turns: Turns::default() }
    }

    /// Who it is, where the connection alone says so.
    pub(super) fn known(&self, peer: &Peer) -> Option<Who> {
        match peer {
            Peer::Process { uid } => Some(Who::by_socket(*uid)),
            Peer::Network { certificate: Some(names), .. } => {
                let client = self.clients.iter().find(|client| names.contains(&client.name))?;
                let (by, name) = (Credential::Certificate, client.name.clone());
                Some(Who { by, name, access: client.access })
            }
            Peer::Network { certificate: None, .. } => None,
        }
    }

    /// Who asks from there with these headers. A token that comes with a request counts before the connection's certificate.
    ///
    /// # Errors
    /// When it is nobody who is let in.
    pub(super) async fn admit(&self, peer: &Peer, headers: &HeaderMap) -> Result<Who, Refusal> {
        let (address, certificate) = match peer {
            Peer::Process { uid } => return Ok(Who::by_socket(*uid)),
            Peer::Network { address, certificate } => (address.ip(), certificate),
        };
        let Some(presented) = headers.get(header::AUTHORIZATION) else {
            return self.known(peer).ok_or_else(|| match certificate {
                None => unauthorized("a token is needed: send it as Authorization: Bearer TOKEN"),
                Some(names) => {
                    tracing::warn!(%peer, ?names, "a certificate of none of admin.listen.clients was shown");
                    unauthorized(&format!(
                        "this certificate is for {names:?}: none of admin.listen.clients; a token may be sent as \
                         Authorization: Bearer TOKEN"
                    ))
                }
            });
        };
        let token = presented.to_str().ok().and_then(bearer);
        let Some(token) = token else {
            return Err(unauthorized("the Authorization header must be: Bearer TOKEN"));
        };
        self.verify(address, token)
            .await
            .ok_or_else(|| unauthorized("this token is none of admin.listen.tokens"))
    }

    /// Whose token this is that came from `address`. After a wrong one, whoever asks from there with a token waits for
    /// half a second.
    pub async fn verify(&self, address: IpAddr, token: &str) -> Option<Who> {
        self.turns.verify(address, AFTER_A_WRONG_TOKEN, || self.tokens.verify(token)).await
    }
}

/// Who asked without being let in learns nothing but how to ask.
fn unauthorized(message: &str) -> Refusal {
    let scheme = HeaderValue::from_static("Bearer realm=\"rolecall\"");
    Refusal::new(StatusCode::UNAUTHORIZED, message).with_header(header::WWW_AUTHENTICATE, scheme)
}

/// The token in `Bearer TOKEN` (RFC 6750 §2.1); the scheme in upper or lower case (RFC 9110 §11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Lets each address try one token at a time, and keeps its turn for a while after a wrong one. There is one for each
/// address with a request under way, and each whose last token was wrong, for as long as it waits.
#[derive(Debug, Default)]
struct Turns(Mutex<HashMap<IpAddr, Arc<Turn<()>>>>);

impl Turns {
    async fn verify(
        &self,
        address: IpAddr,
        pause: Duration,
        verify: impl FnOnce() -> Option<Who>,
    ) -> Option<Who> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody has and nobody waits for.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(address).or_default())
        };
        let held = turn.lock_owned().await;
        let who = verify();
        if who.is_none() {
            tracing::warn!(%address, "a wrong token was presented to the admin API");
            // On its own: for a client that hangs up at once it takes no less.
            let waited = tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                drop(held);
            });
            let _ = waited.await;
        }
        who
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::poll;

    use super::*;

    fn tokens() -> Tokens {
        let secret = |text: &str| Secret::new(text);
        Tokens(vec![
            Token::new("grafana", Access::Read, &secret("read-me-read-me-read")),
            Token::new("ops", Access::Full, &secret("do-all-do-all-do-all")),
        ])
    }

    #[test]
    fn a_token_says_who_it_is_and_what_they_may_do() {
        let tokens = tokens();
        let who = tokens.verify("do-all-do-all-do-all").unwrap();
        assert_eq!((who.name.as_str(), who.access), ("ops", Access::Full));
        assert_eq!(tokens.verify("read-me-read-me-read").unwrap().access, Access::Read);
        for wrong in ["", "do-all-do-all-do-al", "do-all-do-all-do-all ", "DO-ALL-DO-ALL-DO-ALL"] {
            assert_eq!(tokens.verify(wrong), None, "{wrong:?}");
        }
        assert_eq!(Tokens::default().verify(""), None);
    }

    #[test]
    fn a_token_does_not_print() {
        assert!(!format!("{:?}", tokens()).contains("digest"));
    }

    #[test]
    fn the_scheme_may_be_written_in_any_case() {
        assert_eq!(bearer("bearer abc"), Some("abc"));
        assert_eq!((bearer("Basic abc"), bearer("abc")), (None, None));
    }

    #[tokio::test]
    async fn after_a_wrong_token_its_address_waits_and_no_other() {
        let turns = Turns::default();
        let [here, elsewhere] = [1, 2].map(|last| IpAddr::from(Ipv4Addr::new(10, 0, 0, last)));
        let never = Duration::from_secs(3600);
        let ops = || tokens().verify("do-all-do-all-do-all");

        let mut wrong = Box::pin(turns.verify(here, never, || None));
        assert!(poll!(&mut wrong).is_pending());
        // It hangs up.
        drop(wrong);

        let mut right = Box::pin(turns.verify(here, never, ops));
        assert!(poll!(&mut right).is_pending());
        assert_eq!(turns.verify(elsewhere, never, ops).await, ops());
    }

    #[tokio::test]
    async fn who_waited_is_let_in_and_nothing_is_kept_of_them() {
        let turns = Turns::default();
        let here = IpAddr::from(Ipv4Addr::LOCALHOST);
        assert_eq!(turns.verify(here, Duration::ZERO, || None).await, None);
        let ops = || tokens().verify("do-all-do-all-do-all");
        assert_eq!(turns.verify(here, Duration::ZERO, ops).await, ops());
        turns.verify(Ipv4Addr::BROADCAST.into(), Duration::ZERO, ops).await;
        assert!(!turns.0.lock().unwrap().contains_key(&here));
    }
}
