//! `rolecall-bench`: sends signed events as fast as they are acknowledged, and says how fast that was.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use rolecall_bench::drive::Load;
use rolecall_bench::signature::Key;
use rolecall_bench::target::Target;

/// Sends distinct signed Scalekit events over keep-alive connections for a given time, and prints rate and latencies.
#[derive(Parser)]
struct Arguments {
    /// Where to: http://HOST:PORT/webhooks/SOURCE.
    url: Target,
    /// The file with the signing secret (whsec_…).
    #[arg(long)]
    secret_file: PathBuf,
    /// How many connections, each with one request under way at a time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// How many seconds to measure.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// How many seconds to drive before measuring.
    #[arg(long, default_value_t = 1)]
    warm_up: u32,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let path = &arguments.secret_file;
    let secret = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let load = Load {
        target: arguments.url,
        key: Key::from_secret(&secret).with_context(|| format!("in {}", path.display()))?,
        connections: arguments.connections.into(),
        warm_up: Duration::from_secs(arguments.warm_up.into()),
        measure: Duration::from_secs(arguments.seconds.into()),
    };
    let report = load.drive().await?;
    if arguments.json {
        println!("{}", report.json());
    } else {
        println!("{report}");
    }
    Ok(())
}
