//! Which of the daemon's listeners, and what that means for its connections.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A listener of the daemon's that may speak TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Listener {
    /// The receiver's. Where clients are asked for a certificate, there is no other way to say who they are.
    Webhooks,
    /// The admin API's. Whoever shows no certificate may have a token; one that is shown must be good.
    Admin,
}

impl Listener {
    /// What metrics call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Listener::Webhooks => "webhooks",
            Listener::Admin => "admin",
        }
    }

    /// Whether `client_ca` keeps out who shows no certificate.
    pub(super) fn needs_certificates(self) -> bool {
        match self {
            Listener::Webhooks => true,
            Listener::Admin => false,
        }
    }

    /// What is offered by ALPN (RFC 7301), the best first. The few who ask the admin API gain nothing by HTTP/2, under which
    /// one connection could carry any number of requests at a time.
    pub(super) fn protocols(self) -> Vec<Vec<u8>> {
        match self {
            Listener::Webhooks => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Listener::Admin => vec![b"http/1.1".to_vec()],
        }
    }
}

/// Where it is met, in the middle of a sentence.
impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Listener::Webhooks => "the webhooks' address",
            Listener::Admin => "the admin API's address",
        })
    }
}
