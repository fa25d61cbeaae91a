//! A server of which a test has one to itself: started, stopped, brought back, made to hang.

use std::ffi::OsString;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{NotStarted, Process};

/// How often a server is made anew on another port, because somebody took the one it was to have.
const TRIES: u32 = 5;

/// What runs as a [`Server`]: its ports, and whatever else it needs to be run again as before.
pub trait Program: Send + Sync {
    /// The name, for messages.
    const NAME: &'static str;
    /// The signal that ends it in good order.
    const STOP: Signal = Signal::TERM;
    /// The signal that ends it at once, without care for its data but with care for its children.
    const QUIT: Signal = Signal::KILL;

    /// The words that run it in the foreground, with its data in `directory`.
    fn command(&self, directory: &Path) -> Vec<OsString>;

    /// Asks it something that it answers once it is ready; or what came instead.
    fn answers(&self, directory: &Path) -> impl Future<Output = Result<(), String>> + Send;
}

/// How a [`Server`] shall be.
pub(crate) trait Setup: Sync {
    /// What is set up.
    type Program: Program;

    /// Fills the directory, which is empty, with what the program needs.
    fn set_up(&self, directory: &Path) -> impl Future<Output = Self::Program> + Send;
}

/// A server in a temporary directory of its own, which goes with this value.
pub struct Server<P> {
    pub(crate) program: P,
    // Before the directory: it ends while its files are still there.
    process: Option<Process>,
    directory: TempDir,
}

impl<P: Program> Server<P> {
    /// Sets one up and starts it; again, when it finds its port taken.
    pub(crate) async fn make(setup: &impl Setup<Program = P>) -> Self {
        for _ in 0..TRIES {
            let directory = tempfile::Builder::new().prefix(&format!("rolecall-{}-", P::NAME)).tempdir();
            let directory = directory.unwrap_or_else(|e| panic!("cannot make a temporary directory: {e}"));
            let program = setup.set_up(directory.path()).await;
            let mut server = Self { program, process: None, directory };
            match server.run().await {
                Ok(()) => return server,
                Err(NotStarted::PortTaken) => {}
                Err(NotStarted::Broken(what)) => panic!("{what}"),
            }
        }
        panic!("{} found its port taken {TRIES} times", P::NAME)
    }

    /// Ends it in good order, cutting its connections. Its ports, its data and its URLs stay as they are for
    /// [`restart`](Self::restart).
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop(P::STOP).await;
        }
    }

    /// Ends it as a power cut would end it for its clients: at once, with whatever it was doing half done.
    pub async fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop(P::QUIT).await;
        }
    }

    /// Stops it if it runs, and brings it back, on the same ports with the same data.
    pub async fn restart(&mut self) {
        self.stop().await;
        match self.run().await {
            Ok(()) => {}
            Err(NotStarted::PortTaken) => panic!("somebody took {}'s port while it was stopped", P::NAME),
            Err(NotStarted::Broken(what)) => panic!("{what}"),
        }
    }

    /// Makes it hang: connections are accepted and nothing is answered.
    pub fn pause(&self) {
        self.running().pause();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.running().resume();
    }

    /// The process id, while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory().join("log")).unwrap_or_default()
    }

    /// The authority that signed its certificate, in PEM, where it was
    /// [equipped](crate::CertificateAuthority::equip) with one.
    pub fn ca_path(&self) -> PathBuf {
        self.directory().join("ca.pem")
    }

    /// Where its files are.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn running(&self) -> &Process {
        self.process.as_ref().unwrap_or_else(|| panic!("{} does not run", P::NAME))
    }

    async fn run(&mut self) -> Result<(), NotStarted> {
        let directory = self.directory.path();
        let mut process = Process::spawn(P::NAME, directory, P::QUIT, self.program.command(directory));
        process.ready(|| self.program.answers(directory)).await?;
        self.process = Some(process);
        Ok(())
    }
}
