//! Which store a command is about.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::admin::{Address, AdminClient, ClientError};
use crate::cli::Failure;
use crate::cli::daemon::{Daemon, section};
use crate::cli::whom::Whom;
use crate::config::StoreConfig;
use crate::store::StoppedStore;

/// The variable that stands for `store.path`, as for every key of the configuration.
const PATH_VARIABLE: &str = "ROLECALL__STORE__PATH";

/// The daemon to ask, or the file to look at where none runs.
#[derive(Args, Clone, Debug)]
pub(super) struct Which {
    /// The store's file, which no daemon may have open [default: ask the daemon; when it does not run, what `store.path` is in
    /// the configuration]
    #[arg(long, value_name = "PATH", conflicts_with = "socket")]
    store: Option<PathBuf>,
    #[command(flatten)]
    pub(super) daemon: Daemon,
}

/// Where a store is.
pub(super) enum Place {
    /// A daemon has it open.
    Running(AdminClient),
    /// Nobody has, and none can open it now.
    Stopped(StoppedStore),
}

impl Which {
    /// The store that is meant.
    pub(super) async fn find(&self, whom: &Whom) -> Result<Place, Failure> {
        if let Some(path) = &self.store {
            whom.here()?;
            return Ok(Place::Stopped(StoppedStore::existing(path)?));
        }
        let client = self.daemon.client(whom)?;
        match client.health().await {
            Ok(_) => Ok(Place::Running(client)),
            Err(ClientError::Unreachable { at: Address::Socket(_), error })
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) =>
            {
                Ok(Place::Stopped(StoppedStore::existing(&configured(&whom.config)?.path)?))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The section `store` of the configuration. Nothing else of it is looked at: whoever looks after the store need not be able
/// to read the secrets.
pub(super) fn configured(config: &Path) -> Result<StoreConfig, Failure> {
    let mut store: StoreConfig =
        section(config, "store", "name the store's file with --store").map_err(Failure::Usage)?;
    if let Some(path) = std::env::var_os(PATH_VARIABLE).filter(|path| !path.is_empty()) {
        store.path = path.into();
    }
    Ok(store)
}
