//! Why the daemon did not do what it was asked.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use rustls::CertificateError;

use super::endpoint::Address;

/// Why the daemon did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens, or this user may not ask.
    #[error("cannot reach the daemon at {at}: {}", unreachable(at, error))]
    Unreachable {
        /// Where it was asked.
        at: Address,
        /// What the operating system said.
        error: io::Error,
    },
    /// Whoever answers does not show that they are the daemon that was asked for.
    #[error("{at} shows a certificate that is not trusted, so nothing was asked: {}", untrusted(error))]
    Untrusted {
        /// Where it was asked.
        at: Address,
        /// What is wrong with the certificate.
        error: CertificateError,
    },
    /// It listens and does not answer.
    #[error("the daemon at {at} did not answer within {} s; its log says what it is doing", within.as_secs())]
    Slow {
        /// Where it was asked.
        at: Address,
        /// How long it was waited for.
        within: Duration,
    },
    /// It does not know who asks.
    #[error(
        "the daemon at {at} does not let in who asks: {why} (a token is given by ROLECALL_ADMIN_TOKEN or \
         --admin-token-file, a certificate by --admin-certificate and --admin-key)"
    )]
    Unknown {
        /// Where it was asked.
        at: Address,
        /// What it said.
        why: String,
    },
    /// It says no, and why.
    #[error("{0}")]
    Refused(String),
    /// What answers does not speak this API.
    #[error(
        "what answers at {at} is not this version of rolecall: {what}; restart the daemon after an upgrade, or {}",
        elsewhere(at)
    )]
    Odd {
        /// Where it was asked.
        at: Address,
        /// What it said.
        what: String,
    },
}

impl ClientError {
    /// What was wrong about TLS when a connection was made or a request was sent, if it was that.
    pub(super) fn of_tls(at: Address, error: &(dyn Error + 'static)) -> Option<Self> {
        Some(match tls_error(error)? {
            rustls::Error::InvalidCertificate(error) => Self::Untrusted { at, error: error.clone() },
            rustls::Error::AlertReceived(alert) => {
                Self::Unknown { at, why: format!("it ended the TLS handshake with {alert:?}") }
            }
            rustls::Error::InvalidMessage(_) => Self::Odd { at, what: "it does not speak TLS".into() },
            error => Self::Odd { at, what: error.to_string() },
        })
    }
}

/// The error of TLS that is behind another one.
fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // Its source is that of the error within, which would be skipped.
        let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match within {
            Some(within) => Some(within),
            None => error.source(),
        };
    }
    None
}

fn unreachable(at: &Address, error: &io::Error) -> String {
    match at {
        Address::Socket(socket) => unreachable_socket(socket, error),
        Address::Url(_) if error.kind() == ErrorKind::ConnectionRefused => {
            "nobody listens there: it is not running, or not configured to (admin.listen)".into()
        }
        Address::Url(_) => error.to_string(),
    }
}

fn unreachable_socket(socket: &Path, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            let why = if error.kind() == ErrorKind::NotFound {
                "there is no such socket"
            } else {
                "nobody listens there any more"
            };
            format!(
                "{why}, so it is not running, or listens elsewhere; start it with `systemctl start rolecall` or \
                 `rolecall serve`, or name its socket with --socket or its configuration with --config"
            )
        }
        ErrorKind::PermissionDenied => {
            format!(
                "permission denied; run this as root, or as a member of the group that owns {}",
                socket.display()
            )
        }
        _ => error.to_string(),
    }
}

fn untrusted(error: &CertificateError) -> String {
    match error {
        // An authority of the same name that is another one makes a signature that is wrong.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its issuer is not known; name the authority that issued it with --admin-ca".into()
        }
        error => error.to_string(),
    }
}

fn elsewhere(at: &Address) -> &'static str {
    match at {
        Address::Socket(_) => "name its socket with --socket",
        Address::Url(_) => {
            "name with --admin the address of its admin.listen, by https:// where it has a certificate"
        }
    }
}
