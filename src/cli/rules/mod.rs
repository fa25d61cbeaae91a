//! `rolecall rules`

mod change;
mod explain;
mod history;
mod plan;
mod test;

use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Subcommand;

pub(super) use history::by;

use super::whom::Whom;
use super::{Exit, Failure};
use crate::yaml::{self, Report, Source};

/// The variable that stands for the key `rules`, as for every key of the configuration.
const RULES_VARIABLE: &str = "ROLECALL__RULES";

/// Try rules out, put them into force, go back
#[derive(Subcommand, Debug)]
pub(super) enum Rules {
    Test(test::Test),
    Explain(explain::Explain),
    Plan(plan::Plan),
    Apply(change::Apply),
    Reload(change::Reload),
    History(history::History),
    Show(history::Show),
    Rollback(change::Rollback),
}

impl Rules {
    pub(super) async fn run(self, whom: &Whom) -> Result<Exit, Failure> {
        match self {
            Rules::Test(test) => test.run(whom.here()?),
            Rules::Explain(explain) => explain.run(whom.here()?),
            Rules::Plan(plan) => plan.run(whom).await,
            Rules::Apply(apply) => apply.run(whom).await,
            Rules::Reload(reload) => reload.run(whom).await,
            Rules::History(history) => history.run(whom).await,
            Rules::Show(show) => show.run(whom).await,
            Rules::Rollback(rollback) => rollback.run(whom).await,
        }
    }
}

/// The rules file that is named, or that of the configuration, and its text. Nothing else of the configuration is
/// looked at: whoever writes rules need not be able to read its secrets.
fn read_rules(named: Option<PathBuf>, config: &Path) -> Result<(String, String), Failure> {
    let path = match named {
        Some(path) => path,
        None => configured(config).map_err(Failure::Usage)?,
    };
    let name = path.display().to_string();
    let text =
        read(&path).with_context(|| format!("cannot read the rules {name}")).map_err(Failure::Usage)?;
    Ok((name, text))
}

fn configured(config: &Path) -> anyhow::Result<PathBuf> {
    if let Some(rules) = std::env::var_os(RULES_VARIABLE).filter(|rules| !rules.is_empty()) {
        return Ok(rules.into());
    }
    let name = config.display().to_string();
    let text = read(config).with_context(|| {
        format!("cannot read {name}; name the rules file, or its configuration with --config")
    })?;
    let source = Source { name: &name, text: &text };
    let rules = yaml::parse(&text).and_then(|root| match root.entry("rules") {
        Some(entry) => yaml::decode::<Option<PathBuf>>(&entry.value),
        None => Ok(None),
    });
    let rules = rules.map_err(|fault| anyhow!("{}\nname the rules file", Report::new(source, fault)))?;
    rules.ok_or_else(|| anyhow!("{name} names no rules file (rules); name one"))
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let most = yaml::MAX_BYTES as u64;
    std::fs::File::open(path)?.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it is longer than {most} bytes")));
    }
    Ok(text)
}
