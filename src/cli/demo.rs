//! `rolecall demo`
//!
//! `day` is the story, `company` its cast and `event` what they send; `stage` has everything that takes
//! part: the real daemon, a small `application`, the `sender`. `tables` and `ldif` read what the sinks
//! wrote, `checks` says whether it is right, and `show` shows it all.

mod application;
mod checks;
mod company;
mod day;
mod event;
mod files;
mod ldif;
mod sender;
mod show;
mod stage;
mod tables;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use self::checks::{Evidence, Stores, findings};
use self::company::{OMAR, ZOE};
use self::files::Files;
use self::ldif::Directory;
use self::show::Narrator;
use self::stage::Stage;
use super::{Exit, Failure, explain};
use crate::receive::InheritedSockets;

/// See it work: a day in the life of two companies, on this machine alone
///
/// Starts the real daemon on a free port of this host, with its store, an SQLite sink, an LDAP sink that
/// writes LDIF, and a REST sink for a small application; sends it a day's events as signed webhooks, shows
/// what happens in each store, and checks the end. Everything lies in one directory, which stays.
///
/// The exit code is 0 when everything ended as it has to, and 1 when not.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  rolecall demo\n  rolecall demo --dir ./demo --keep-running")]
pub(super) struct Demo {
    /// The directory to work in, new or empty [default: a new temporary one]
    #[arg(long, value_name = "PATH")]
    dir: Option<PathBuf>,
    /// Keep daemon and application running at the end, to try other commands on, until Ctrl-C
    #[arg(long)]
    keep_running: bool,
    /// Leave no time to read between the acts; there is none anyway where the output is no terminal
    #[arg(long)]
    no_pause: bool,
}

impl Demo {
    pub(super) async fn run(self, inherited: InheritedSockets) -> Result<Exit, Failure> {
        let files = Files::new(self.dir.as_deref()).map_err(Failure::Usage)?;
        let mut stage = Stage::set(files, Narrator::new(!self.no_pause), inherited).await?;
        let ended = self.perform(&mut stage).await;
        if ended.is_ok() && self.keep_running {
            keep_running(&stage).await?;
        }
        let (files, narrator) = stage.strike().await;
        match &ended {
            Ok(_) if self.keep_running => {}
            Ok(_) => afterwards(&files, &narrator)?,
            Err(_) => what_lies_where(&files, &narrator)?,
        }
        ended
    }

    async fn perform(&self, stage: &mut Stage) -> Result<Exit, Failure> {
        opening(stage)?;
        let after_outage = day::play(stage).await?;
        let stores = Stores {
            tables: stage.tables()?,
            ldap: Directory::after(&stage.records()?)?,
            application: stage.application.state(),
        };
        closing(stage, &stores).await?;
        let evidence = Evidence::new(&stores, after_outage, &stage.status().await?);
        judgement(&stage.narrator, &evidence)
    }
}

fn opening(stage: &Stage) -> Result<(), Failure> {
    let narrator = &stage.narrator;
    narrator.heading("rolecall demo: a day in the life of two companies")?;
    narrator.paragraph(&format!(
        "This is the real daemon, started in this process. It takes signed webhooks from Scalekit, turns \
         groups into roles by rules, and keeps three stores in step. The day is yesterday, {}, in UTC; the \
         messages are sent now.",
        stage.journal.day()
    ))?;
    let (webhooks, directory) = (stage.webhooks(), stage.files.directory().display().to_string());
    let application = stage.application.url();
    narrator.say(&format!(
        "  webhooks    {webhooks}
  files       {directory}
  tables      an SQLite sink: tables.db, for an application to read
  ldap        an LDAP sink that writes what it would do to directory.ldif
  app         a REST sink: a small application, served by the demo at {application};
              it is told of users, and does not know groups

  Below, → is a webhook with its answer, and under it stands what changed in each store."
    ))
}

async fn closing(stage: &Stage, stores: &Stores) -> Result<(), Failure> {
    let narrator = &stage.narrator;
    let text = "These are the tables that an application would read.";
    narrator.act("17:00", "The day is over", text).await?;
    narrator.say(stores.tables.render(narrator.width()).trim_end())?;
    let ldif = stage.ldif()?;
    narrator.heading("The LDIF: what names Omar, from joining to leaving")?;
    let shown = ldif::naming(&ldif, &format!("uid={},ou=people", OMAR.email));
    shown.lines().try_for_each(|line| narrator.say(format!("  {line}").trim_end()))?;
    let (shown, all) = (ldif::records(&shown)?.len(), ldif::records(&ldif)?.len());
    narrator.say(&format!("\n  {shown} of {all} records; all are in {}", stage.files.ldif().display()))?;
    narrator.heading("What the application was asked, and how it answered")?;
    let requests = show::requests(&stores.application.requests);
    requests.iter().try_for_each(|line| narrator.line(2, line))?;
    narrator.heading("Why Zoë has her roles")?;
    let found = stage.admin.users(ZOE.email).await?;
    let shown = explain::render(ZOE.email, &found, Some(narrator.width() - 4));
    narrator.command(&format!("rolecall explain {}", ZOE.email), &shown)
}

/// Says plainly whether all is as it has to be.
fn judgement(narrator: &Narrator, evidence: &Evidence) -> Result<Exit, Failure> {
    narrator.heading("Is everything as it has to be?")?;
    let findings = findings(evidence);
    for finding in &findings {
        narrator.finding(&finding.promise, &finding.found)?;
    }
    let exit = checks::exit(&findings);
    let said = if exit == Exit::Done { "Yes: all of it." } else { "No: see above what differs." };
    narrator.say(&format!("\n  {said}"))?;
    Ok(exit)
}

/// Waits for Ctrl-C, with everything up.
async fn keep_running(stage: &Stage) -> Result<(), Failure> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let narrator = &stage.narrator;
    let (command, config) = (this_command(), stage.files.configuration());
    let config = for_shell(&config);
    narrator.heading("Everything keeps running until Ctrl-C. Try, in another terminal:")?;
    narrator.say(&format!(
        "  export ROLECALL_CONFIG={config}
  {command} status
  {command} explain {email}
  {command} send --sample user_created --set data.email=ada@example.com
  {command} explain ada@example.com",
        email = ZOE.email
    ))?;
    what_lies_where(&stage.files, narrator)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    narrator.say("\n  Stopped. The files stay.")
}

/// What to do with the files, once daemon and application have ended.
fn afterwards(files: &Files, narrator: &Narrator) -> Result<(), Failure> {
    what_lies_where(files, narrator)?;
    let (command, config, tables) = (this_command(), files.configuration(), files.tables());
    let (config, tables) = (for_shell(&config), for_shell(&tables));
    narrator.heading("Daemon and application have ended. Try:")?;
    narrator.say(&format!(
        "  {command} check --config {config}
  sqlite3 {tables} 'SELECT * FROM user_roles'

  The same again, and then daemon and application stay up to try other commands on:
  {command} demo --keep-running"
    ))
}

fn what_lies_where(files: &Files, narrator: &Narrator) -> Result<(), Failure> {
    narrator.heading(&format!("Everything lies in {}", files.directory().display()))?;
    narrator.say(
        "  rolecall.yaml, rules.yaml           the configuration and the rules
  webhook-secret, application-token   the secrets
  rolecall.db                         the daemon's store: journal, directory, queues
  tables.db, directory.ldif           what the sinks wrote
  daemon.log                          what the daemon logged",
    )
}

/// How this program was called, to be called again.
fn this_command() -> String {
    std::env::args_os().next().map_or_else(|| "rolecall".into(), |name| for_shell(Path::new(&name)))
}

/// The path as it is written in a shell.
fn for_shell(path: &Path) -> String {
    let path = path.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    if path.chars().all(plain) { path.into_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}
