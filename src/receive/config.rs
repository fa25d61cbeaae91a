//! The `listen` section of the configuration.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};

use rolecall_sink_api::{ConfigError, Timespan};
use schemars::JsonSchema;
use serde::Deserialize;

use super::client::Network;
use crate::tls::ServerTls;

/// Where webhooks arrive, and what a sender may use up.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListenConfig {
    /// The address and port to listen on. Default: `127.0.0.1:8080`. A socket that systemd passes (socket
    /// activation) takes its place.
    pub address: SocketAddr,
    /// The certificate to speak HTTPS with. Default: none, plain HTTP, for a reverse proxy on the same host.
    pub tls: Option<ServerTls>,
    /// The addresses and networks of reverse proxies, which are believed when they say in `X-Forwarded-For` whom they
    /// forward: the log then names that client. Default: none, and the header means nothing.
    pub trusted_proxies: Vec<Network>,
    /// The largest message, in bytes. Default: `1048576` (1 MiB). A larger one is answered 413.
    pub max_body_bytes: NonZeroUsize,
    /// How many bytes of messages may be held at a time, of all senders together: those that are being read,
    /// and those that wait for the store, also after the answer timed out. Default: `67108864` (64 MiB). A
    /// message beyond it is answered 503.
    pub max_held_bytes: NonZeroUsize,
    /// How many connections may be open. Default: `1024`. More wait until one is closed; meanwhile those are closed on which
    /// nothing happens for two seconds. Each takes one file descriptor.
    pub max_connections: NonZeroU32,
    /// How long a TLS handshake may take. Default: `10s`.
    pub handshake_timeout: Timespan,
    /// How long a connection may be open without a whole request head arriving. Default: `30s`. It is also
    /// how long an idle connection is kept.
    pub header_timeout: Timespan,
    /// How long a message's body may take to arrive. Default: `10s`.
    pub body_timeout: Timespan,
    /// How long storing a message may take before the sender is asked to send it again (503). Default: `8s`;
    /// Scalekit waits 10 seconds for an answer.
    pub answer_timeout: Timespan,
    /// How long requests that are under way may take to finish when the daemon stops. Default: `20s`.
    pub drain_timeout: Timespan,
}

impl Default for ListenConfig {
    fn default() -> Self {
        const fn bytes(bytes: usize) -> NonZeroUsize {
            NonZeroUsize::MIN.saturating_add(bytes - 1)
        }
        Self {
            address: (Ipv4Addr::LOCALHOST, 8080).into(),
            tls: None,
            trusted_proxies: Vec::new(),
            max_body_bytes: bytes(1024 * 1024),
            max_held_bytes: bytes(64 * 1024 * 1024),
            max_connections: NonZeroU32::MIN.saturating_add(1023),
            handshake_timeout: Timespan::from_secs(10),
            header_timeout: Timespan::from_secs(30),
            body_timeout: Timespan::from_secs(10),
            answer_timeout: Timespan::from_secs(8),
            drain_timeout: Timespan::from_secs(20),
        }
    }
}

impl ListenConfig {
    /// Checks what the types cannot, and that the certificate can be used.
    ///
    /// # Errors
    /// At the first key that cannot be right.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (key, timeout) in [
            ("handshake_timeout", self.handshake_timeout),
            ("header_timeout", self.header_timeout),
            ("body_timeout", self.body_timeout),
            ("answer_timeout", self.answer_timeout),
        ] {
            if timeout.get().is_zero() || timeout > Timespan::from_days(1) {
                return Err(ConfigError::new(key, "must be longer than nothing and at most a day"));
            }
        }
        if self.max_held_bytes < self.max_body_bytes {
            return Err(ConfigError::new(
                "max_held_bytes",
                format!(
                    "must be at least max_body_bytes ({}), or such a message never fits",
                    self.max_body_bytes
                ),
            ));
        }
        self.tls.as_ref().map(ServerTls::check).transpose()?;
        Ok(())
    }
}
