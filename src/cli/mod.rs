//! The command line: one file for each command, and what they share.
//!
//! `text` and `table` make answers readable, `output` writes them, `whom` is what every command is told, `daemon` finds
//! the daemon to ask, `pages` asks on, `listing` is what all listings share, `span` a stretch of time, `standing` how
//! somebody stands in the sinks, `progress` shows how long work gets on, `reasons` says why somebody has a role, `exit` how
//! a command ended.

mod activity;
mod alerts;
mod check;
mod daemon;
mod demo;
mod events;
mod exit;
mod explain;
mod export;
mod groups;
mod holds;
mod listing;
mod output;
mod pages;
mod plugin;
mod progress;
mod queue;
mod reasons;
mod rules;
mod send;
mod serve;
mod sinks;
mod span;
mod standing;
mod status;
mod store;
mod table;
mod text;
mod users;
mod whom;

use clap::{Parser, Subcommand};

pub use exit::{Exit, Failure};
use whom::Whom;

use crate::config::Config;
use crate::receive::InheritedSockets;

/// Where the configuration is when nobody says.
const DEFAULT_CONFIG: &str = "/etc/rolecall/rolecall.yaml";

/// Keeps LDAP, Postgres, REST and other identity stores in step with directory webhooks
///
/// The daemon receives signed webhooks about the users and groups of a company's identity provider, turns
/// groups into roles by a rules file, and keeps every configured sink in step.
#[derive(Parser, Debug)]
#[command(name = "rolecall", version, after_help = exit::HELP, after_long_help = exit::HELP)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    whom: Whom,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Serve(serve::Serve),
    Check(check::Check),
    Send(send::SendEvent),
    Status(status::Status),
    #[command(subcommand)]
    Queue(queue::Queue),
    #[command(subcommand)]
    Holds(holds::Holds),
    #[command(subcommand)]
    Sinks(sinks::Sinks),
    #[command(subcommand)]
    Events(events::Events),
    Explain(explain::Explain),
    Export(export::Export),
    #[command(subcommand)]
    Store(store::Store),
    #[command(subcommand)]
    Users(users::Users),
    #[command(subcommand)]
    Groups(groups::Groups),
    Activity(activity::Activity),
    #[command(subcommand)]
    Rules(rules::Rules),
    #[command(subcommand)]
    Alerts(alerts::Alerts),
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    Demo(demo::Demo),
}

/// Does what the command line asks, and says how it ended. What went wrong has been told by then. `inherited` is
/// for the daemon.
pub async fn run(cli: Cli, inherited: InheritedSockets) -> Exit {
    let ended = answer(cli.command, &cli.whom, inherited).await;
    ended.unwrap_or_else(|failure| {
        output::complain(&failure);
        failure.exit()
    })
}

async fn answer(command: Command, whom: &Whom, inherited: InheritedSockets) -> Result<Exit, Failure> {
    match command {
        Command::Serve(serve) => serve.run(whom.here()?, inherited).await,
        Command::Check(check) => check.run(whom.here()?).await,
        Command::Send(send) => send.run(whom.here()?).await,
        Command::Status(status) => status.run(whom).await,
        Command::Queue(queue) => queue.run(whom).await,
        Command::Holds(holds) => holds.run(whom).await,
        Command::Sinks(sinks) => sinks.run(whom).await,
        Command::Events(events) => events.run(whom).await,
        Command::Explain(explain) => explain.run(whom).await,
        Command::Export(export) => export.run(whom).await,
        Command::Store(store) => store.run(whom).await,
        Command::Users(users) => users.run(whom).await,
        Command::Groups(groups) => groups.run(whom).await,
        Command::Activity(activity) => activity.run(whom).await,
        Command::Rules(rules) => rules.run(whom).await,
        Command::Alerts(alerts) => alerts.run(whom).await,
        Command::Plugin(plugin) => {
            whom.here()?;
            plugin.run().await
        }
        Command::Demo(demo) => {
            whom.here()?;
            demo.run(inherited).await
        }
    }
}

/// The whole configuration, checked.
fn load(path: &std::path::Path) -> Result<Config, Failure> {
    Config::load(path)
        .map_err(|errors| Failure::Usage(anyhow::anyhow!("the configuration is wrong\n\n{errors}")))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_how_it_is_used() {
        fn examples(command: &clap::Command) {
            if command.has_subcommands() {
                return command.get_subcommands().for_each(examples);
            }
            let name = command.get_name();
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "{name} has no example");
            assert!(help.contains("rolecall "), "{name} has no example");
        }
        examples(&Cli::command());
    }
}
