//! The `rolecall` command.

use std::process::ExitCode;

use clap::Parser as _;
use rolecall::cli::{self, Cli};
use rolecall::receive::InheritedSockets;

/// Every message is some hundred small allocations on one thread that are freed on another, which the system's
/// allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let inherited = InheritedSockets::from_environment();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(cli::run(cli, inherited)).into())
}
