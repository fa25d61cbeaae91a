//! What a listener accepts connections with.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rolecall_sink_api::{ConfigError, Moment};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{error, info};

use super::certificate::Certificate;
use super::config::ServerTls;
use super::files::{Files, Usable};
use super::listener::Listener;

/// The server's side of TLS: the certificate in force, and how another takes its place. Cheap to clone.
#[derive(Clone)]
pub struct TlsServer(Arc<Shared>);

struct Shared {
    tls: ServerTls,
    listener: Listener,
    clock: fn() -> Timestamp,
    /// Held while the files are read and what they hold is put into force, so that an older look never comes last.
    looking: Mutex<()>,
    state: Mutex<State>,
}

struct State {
    usable: Usable,
    digest: [u8; 32],
    since: Timestamp,
    rejected: Option<RejectedFiles>,
}

/// Files that were not put into force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RejectedFiles {
    /// When they were first found so.
    #[schemars(with = "Moment")]
    pub at: Timestamp,
    /// What is wrong with them.
    pub error: String,
}

/// Which certificate is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TlsStatus {
    /// The certificate.
    pub certificate: Certificate,
    /// Since when it is served, by this process.
    #[schemars(with = "Moment")]
    pub since: Timestamp,
    /// The files as they are now cannot be used; the certificate is that of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<RejectedFiles>,
}

impl TlsServer {
    /// Reads the files.
    ///
    /// # Errors
    /// When a file cannot be read, holds no certificate or key, or they do not belong together. Paths begin with `tls`.
    pub fn load(tls: ServerTls, listener: Listener, clock: fn() -> Timestamp) -> Result<Self, ConfigError> {
        let files = Files::read(&tls)?;
        let digest = files.digest();
        let usable = files.use_for(&tls, listener)?;
        let state = Mutex::new(State { usable, digest, since: clock(), rejected: None });
        Ok(Self(Arc::new(Shared { tls, listener, clock, looking: Mutex::new(()), state })))
    }

    /// Shakes hands with whoever has just connected. Not bounded in time.
    ///
    /// # Errors
    /// When no TLS connection comes about, for whatever reason.
    pub async fn accept<I>(&self, io: I) -> io::Result<TlsStream<I>>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let config = Arc::clone(&self.state().usable.config);
        TlsAcceptor::from(config).accept(io).await
    }

    /// Looks at the files, and serves what they hold now from the next connection on. What is wrong is told to the log
    /// and to whoever asks for the status; then everything stays as it is.
    pub async fn reload(&self) {
        let server = self.clone();
        // The files may be on a disk that hangs. A panic is in the log, and there is a next time.
        let _ = tokio::task::spawn_blocking(move || server.look()).await;
    }

    /// Whose it is.
    pub fn listener(&self) -> Listener {
        self.0.listener
    }

    /// Which certificate is served.
    pub fn status(&self) -> TlsStatus {
        let state = self.state();
        TlsStatus {
            certificate: state.usable.certificate.clone(),
            since: state.since,
            rejected: state.rejected.clone(),
        }
    }

    /// The time by which certificates are judged.
    pub(super) fn now(&self) -> Timestamp {
        (self.0.clock)()
    }

    /// [`TlsServer::reload`], where waiting for a disk is no harm.
    pub(super) fn look(&self) {
        let _looking = self.0.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let in_force = self.state().digest;
        let found = Files::read(&self.0.tls).and_then(|files| {
            let digest = files.digest();
            let is_new = digest != in_force;
            let usable = is_new.then(|| files.use_for(&self.0.tls, self.0.listener)).transpose()?;
            Ok(usable.map(|usable| (usable, digest)))
        });
        let now = self.now();
        let mut state = self.state();
        match found {
            Ok(Some((usable, digest))) => {
                info!(
                    listener = self.0.listener.as_str(),
                    "{} is served from now on, in place of {}", usable.certificate, state.usable.certificate
                );
                *state = State { usable, digest, since: now, rejected: None };
            }
            Ok(None) => state.rejected = None,
            Err(error) => {
                let error = error.to_string();
                if state.rejected.as_ref().is_none_or(|rejected| rejected.error != error) {
                    error!(
                        listener = self.0.listener.as_str(),
                        "{} stays: {error}; the files are tried again", state.usable.certificate
                    );
                }
                let at = state.rejected.take().map_or(now, |rejected| rejected.at);
                state.rejected = Some(RejectedFiles { at, error });
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsServer").field(&self.0.listener).field(&self.0.tls).finish_non_exhaustive()
    }
}
