//! `cargo run -p rolecall-testkit -- play`: the servers, to try rolecall against by hand.

mod play;

use clap::{Parser, Subcommand};

/// Throwaway real servers to try rolecall against.
#[derive(Parser)]
#[command(name = "rolecall-testkit")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Brings up OpenLDAP, PostgreSQL and an HTTP application, writes a configuration for rolecall that uses them,
    /// and shows the application's requests, until Ctrl-C; then everything is gone.
    Play,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    match Arguments::parse().command {
        Command::Play => play::play().await,
    }
}
