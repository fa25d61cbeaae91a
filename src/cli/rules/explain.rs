//! `rolecall rules explain`

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;
use jiff::Timestamp;
use rolecall_sink_api::{GroupId, OrganizationId, Profile};
use serde::Serialize;

use super::read_rules;
use crate::cli::output::answer;
use crate::cli::reasons::{NOT_IN_FORCE, Told, outranked, separated};
use crate::cli::text::{BAD, FAINT, GOOD, HEADING, exact, plain, styled};
use crate::cli::{Exit, Failure};
use crate::rules::{
    Grant, Moment, Objection, Reason, Rules, Subject, SubjectGroup, Withheld, attribute_names, set_attribute,
};
use crate::yaml::nearest;

/// Say which roles somebody would have, and why
///
/// The user is made up here; no daemon is asked. `rolecall explain` is about one who exists.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  rolecall rules explain --groups Engineering \"On call\" --attr department=Sales --attr custom.level=5"
)]
pub(in crate::cli) struct Explain {
    /// The groups that they are in, by their names
    #[arg(long, num_args = 1.., value_name = "NAME")]
    groups: Vec<String>,
    /// Groups that they are in, by their ids
    #[arg(long, num_args = 1.., value_name = "ID")]
    group_ids: Vec<String>,
    /// An attribute, by the name that conditions use
    #[arg(long = "attr", value_name = "NAME=VALUE")]
    attributes: Vec<String>,
    /// A role that the identity provider gives them
    #[arg(long = "provider-role", value_name = "ROLE")]
    provider_roles: Vec<String>,
    /// Their organization
    #[arg(long, value_name = "ID")]
    organization: Option<String>,
    /// The directory that they come from
    #[arg(long, value_name = "ID")]
    directory: Option<String>,
    /// The source that they come through
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// When: a day, or a time with its offset [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// The rules file [default: the one that the configuration names]
    #[arg(long, value_name = "PATH")]
    rules: Option<PathBuf>,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Answer {
    rules: String,
    at: Timestamp,
    roles: Vec<Grant>,
    withheld: Vec<Withheld>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_evaluation: Option<Timestamp>,
}

impl Explain {
    pub(super) fn run(self, config: &Path) -> Result<Exit, Failure> {
        let profile = profile(&self.attributes).map_err(Failure::Usage)?;
        let at = match &self.at {
            None => Timestamp::now(),
            Some(text) => Moment::read(text).map(|moment| moment.0).ok_or_else(|| {
                Failure::Usage(anyhow!(
                    "--at {text}: write a day such as 2026-03-31, or a time with its offset"
                ))
            })?,
        };
        let (name, text) = read_rules(self.rules, config)?;
        let rules = Rules::parse(&name, &text)
            .map_err(|errors| Failure::Usage(anyhow!("the rules are wrong\n\n{errors}")))?;
        let (organization, provider_roles) =
            (self.organization.map(OrganizationId::new), BTreeSet::from_iter(self.provider_roles));
        // A group that is given by its name has no other id, and the other way round.
        let groups: Vec<(GroupId, String)> = self
            .groups
            .iter()
            .chain(&self.group_ids)
            .map(|name| (GroupId::new(name), name.clone()))
            .collect();
        let groups: Vec<SubjectGroup<'_>> = groups
            .iter()
            .map(|(id, name)| SubjectGroup { id, name, organization: organization.as_ref() })
            .collect();
        let verdict = rules.explain(
            &Subject {
                active: true,
                organization: organization.as_ref(),
                directory: self.directory.as_deref(),
                source: self.source.as_deref(),
                profile: &profile,
                provider_roles: &provider_roles,
                groups: &groups,
            },
            at,
        );
        let found = Answer {
            rules: name,
            at,
            roles: verdict.grants,
            withheld: verdict.withheld,
            next_evaluation: verdict.next,
        };
        answer(self.json, &found, render)?;
        Ok(Exit::Done)
    }
}

/// A profile with these attributes, each as `name=value`. What looks like JSON is read as such.
fn profile(attributes: &[String]) -> anyhow::Result<Profile> {
    let mut profile = Profile::default();
    for attribute in attributes {
        let (name, value) =
            attribute.split_once('=').ok_or_else(|| anyhow!("--attr {attribute}: write it as name=value"))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        if !set_attribute(&mut profile, name, &value) {
            let names = attribute_names();
            let near = nearest(name, names.iter().copied());
            let help = near.map_or_else(
                || format!("there are {}", names.join(", ")),
                |near| format!("did you mean {near}?"),
            );
            return Err(anyhow!("--attr {attribute}: there is no such attribute: {help}"));
        }
    }
    Ok(profile)
}

fn render(found: &Answer) -> String {
    let mut out = String::new();
    let file = &found.rules;
    // Writing to a string does not fail.
    let _ = writeln!(out, "{}", styled(HEADING, "Roles"));
    if found.roles.is_empty() {
        out.push_str("  none\n");
    }
    for grant in &found.roles {
        let _ = writeln!(out, "  {}", styled(GOOD, &plain(grant.role.as_str())));
        reasons(&mut out, &grant.reasons, file);
    }
    if !found.withheld.is_empty() {
        let _ = writeln!(out, "\n{}", styled(HEADING, "Not held"));
    }
    for withheld in &found.withheld {
        let _ = writeln!(out, "  {}", styled(BAD, &plain(withheld.role.as_str())));
        reasons(&mut out, &withheld.reasons, file);
        for objection in &withheld.objections {
            let _ = writeln!(out, "    {}", styled(BAD, &self::objection(objection, file)));
        }
    }
    if let Some(next) = found.next_evaluation {
        let next = format!("this may change by itself at {}", exact(next));
        let _ = writeln!(out, "\n{}", styled(FAINT, &next));
    }
    out
}

fn reasons(out: &mut String, reasons: &[Reason], file: &str) {
    for reason in reasons {
        let _ = writeln!(out, "    {}", told(reason, file));
    }
}

fn told(reason: &Reason, file: &str) -> String {
    let Reason { line, rule, group, implied_by, from, until } = reason;
    let told =
        Told { rule, line: *line, implied_by: implied_by.as_ref(), from: *from, until: *until }.text(file);
    let group = group.as_ref().map_or(String::new(), |group| format!(" by group {}", plain(group.as_str())));
    told + &group
}

fn objection(objection: &Objection, file: &str) -> String {
    match objection {
        Objection::Denied(reason) => format!("denied by {}", told(reason, file)),
        Objection::Outranked { by, line } => outranked(by, file, *line),
        Objection::Separated { from, rule, line } => separated(from, rule, file, *line),
        Objection::NotInForce => NOT_IN_FORCE.into(),
    }
}
