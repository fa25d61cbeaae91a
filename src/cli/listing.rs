//! How every listing is asked for and shown.

use clap::Args;
use serde::Serialize;

use super::daemon::Daemon;
use super::output::{answer, width};
use super::pages::up_to;
use super::whom::Whom;
use super::{Exit, Failure};
use crate::admin::api::{LARGEST_PAGE, Page, PageToken};
use crate::admin::{AdminClient, ClientError};

/// How much to list, and how to show it.
#[derive(Args, Debug)]
pub(super) struct Listing {
    /// Most lines to list
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Show the last column in full, however wide the terminal is
    #[arg(long)]
    wide: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl Listing {
    /// Lists what `ask` answers, as `render` shows it in so many columns. `ask` is given how many items a page may have, and
    /// where the page before ended.
    pub(super) async fn run<T: Serialize>(
        self,
        whom: &Whom,
        ask: impl AsyncFn(&AdminClient, u32, Option<PageToken>) -> Result<Page<T>, ClientError>,
        render: impl FnOnce(&Page<T>, Option<usize>) -> String,
    ) -> Result<Exit, Failure> {
        let client = self.daemon.client(whom)?;
        let listed =
            up_to(self.limit, LARGEST_PAGE, async |limit, after| ask(&client, limit, after).await).await?;
        let width = if self.wide { None } else { width() };
        answer(self.daemon.json, &listed, |listed| render(listed, width))?;
        Ok(Exit::Done)
    }
}
