//! `rolecall queue retry` and `rolecall queue drop`

use clap::{ArgGroup, Args};

use super::Filter;
use crate::admin::api::{Changed, Selection};
use crate::cli::daemon::Daemon;
use crate::cli::output::{print, print_json};
use crate::cli::progress::Bar;
use crate::cli::text::count;
use crate::cli::whom::Whom;
use crate::cli::{Exit, Failure};

/// Try items again now, with their attempts forgotten
///
/// Dead letters come to life again. Nothing is lost by it: a sink is handed what should be true now.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall queue retry --sink ldap --dead")]
pub(in crate::cli) struct RetryItems {
    #[command(flatten)]
    items: Items,
}

/// Give items up: they leave the queue until their user or group changes again
///
/// The sink then stays as it is for them, which may leave somebody with access that they should not have.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall queue drop --sink crm --id diruser_42")]
pub(in crate::cli) struct DropItems {
    #[command(flatten)]
    items: Items,
}

impl RetryItems {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let client = self.items.daemon.client(whom)?;
        let bar = Bar::of_unknown("making items due");
        let changed = client.retry(&self.items.selection()).await?;
        drop(bar);
        self.items.report(&changed, "due now")
    }
}

impl DropItems {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        let client = self.items.daemon.client(whom)?;
        let bar = Bar::of_unknown("dropping items");
        let changed = client.drop_items(&self.items.selection()).await?;
        drop(bar);
        self.items.report(&changed, "dropped")
    }
}

/// The items that are changed. Which ones is always said.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("which").required(true).multiple(true).args(["sink", "id", "dead", "waiting", "held", "all"]))]
struct Items {
    #[command(flatten)]
    filter: Filter,
    /// Every item of every sink
    #[arg(long, conflicts_with_all = ["sink", "id", "dead", "waiting", "held"])]
    all: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl Items {
    fn selection(&self) -> Selection {
        Selection {
            sink: self.filter.sink.clone(),
            id: self.filter.id.clone(),
            state: self.filter.state(),
            all: self.all,
        }
    }

    /// Nothing that matches is something that whoever asked should know.
    fn report(&self, changed: &Changed, what: &str) -> Result<Exit, Failure> {
        if self.daemon.json {
            print_json(changed)?;
        } else if changed.items == 0 {
            print("nothing matches: rolecall queue list shows what there is\n")?;
        } else {
            print(&format!("{} {what}\n", count(changed.items, "item is", "items are")))?;
        }
        Ok(if changed.items == 0 { Exit::Problems } else { Exit::Done })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::Cli;

    fn accepts(arguments: &str) -> bool {
        Cli::try_parse_from(format!("rolecall queue {arguments}").split(' ')).is_ok()
    }

    #[test]
    fn nothing_is_dropped_without_saying_what() {
        assert!(!accepts("drop"));
        assert!(!accepts("retry --json"));
        assert!(accepts("drop --all"));
        assert!(accepts("drop --sink crm --id u --dead"));
        assert!(!accepts("drop --all --sink crm"));
        assert!(!accepts("drop --dead --waiting"));
    }
}
