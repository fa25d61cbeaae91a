//! `rolecall check`

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use futures_util::future::join_all;
use jiff::Timestamp;
use rolecall_sink_api::{Findings, Sink, SinkDown, Timespan};
use serde::Serialize;

use super::output::answer;
use super::text::{BAD, GOOD, HEADING, exact, plain, styled};
use super::{Exit, Failure};
use crate::config::Config;
use crate::tls::{Certificate, ServerTls, Validity};

/// Check the configuration and the rules, and with --connect every sink
///
/// The exit code is 2 when the configuration or the rules are wrong, and 1 when a sink is, or a certificate is not valid
/// now.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  rolecall check --connect")]
pub(super) struct Check {
    /// Connect to every sink: is it reachable, are the credentials right, may it do what it will have to
    #[arg(long)]
    connect: bool,
    /// How long each sink may take, for instance 30s
    #[arg(long, value_name = "TIME", default_value = "10s", requires = "connect")]
    timeout: Timespan,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) async fn run(self, path: &Path) -> Result<Exit, Failure> {
        let report = match Config::load(path) {
            Ok(config) => self.report(path, config).await,
            Err(errors) => Report::wrong(path, errors.as_slice().iter().map(ToString::to_string).collect()),
        };
        answer(self.json, &report, |report| report.render())?;
        Ok(report.exit())
    }

    async fn report(&self, path: &Path, config: Config) -> Report {
        let sources = config.sources.iter().map(|(name, source)| SourceReport {
            name: name.to_string(),
            path: format!("/webhooks/{name}"),
            secrets: source.secrets.len(),
        });
        let sinks = config.sinks.into_iter().map(async |(name, entry)| SinkReport {
            name: name.to_string(),
            kind: entry.kind,
            finding: if self.connect { self.ask(entry.sink).await } else { Finding::NotAsked },
        });
        let (now, admin) = (Timestamp::now(), config.admin.listen.as_ref());
        Report {
            config: path.to_owned(),
            errors: Vec::new(),
            listen: Some(ListenReport::of(config.listen.address, config.listen.tls.as_ref(), now)),
            admin: admin.map(|admin| ListenReport::of(admin.address, admin.tls.as_ref(), now)),
            sources: sources.collect(),
            tests: config.rules.tests(),
            rules: config.rules_file,
            sinks: join_all(sinks).await,
        }
    }

    async fn ask(&self, sink: Arc<dyn Sink>) -> Finding {
        match tokio::time::timeout(self.timeout.get(), sink.check()).await {
            Ok(Ok(Findings { found, faults })) if faults.is_empty() => Finding::Fine { found },
            Ok(Ok(Findings { found, faults })) => Finding::Faulty { found, faults },
            Ok(Err(SinkDown { reason, .. })) => Finding::Wrong { error: reason },
            Err(_) => Finding::Wrong {
                error: format!("no answer within {}: is it reachable from this host?", self.timeout),
            },
        }
    }
}

/// What was found.
#[derive(Debug, Serialize)]
struct Report {
    config: PathBuf,
    /// What is wrong with the configuration and the rules; with any, nothing else was looked at.
    errors: Vec<String>,
    /// Where webhooks are received.
    listen: Option<ListenReport>,
    /// Where the admin API is served beside its socket.
    admin: Option<ListenReport>,
    sources: Vec<SourceReport>,
    rules: Option<PathBuf>,
    /// How many tests of their own the rules passed.
    tests: usize,
    sinks: Vec<SinkReport>,
}

#[derive(Debug, Serialize)]
struct ListenReport {
    address: SocketAddr,
    /// None: plain HTTP.
    certificate: Option<Certificate>,
    validity: Option<Validity>,
}

impl ListenReport {
    fn of(address: SocketAddr, tls: Option<&ServerTls>, now: Timestamp) -> Self {
        // One that cannot be used is an error of the configuration, told by now.
        let certificate = tls.and_then(|tls| tls.check().ok());
        let validity = certificate.as_ref().map(|certificate| certificate.validity(now));
        Self { address, certificate, validity }
    }

    /// Nobody who checks the certificate takes it now.
    fn is_wrong(&self) -> bool {
        matches!(self.validity, Some(Validity::Expired | Validity::NotYetValid))
    }

    fn render(&self, what: &str, out: &mut String) {
        let (Some(certificate), Some(validity)) = (&self.certificate, self.validity) else {
            let _ = writeln!(out, "  {}, plain HTTP: {what}", self.address);
            return;
        };
        let _ = writeln!(out, "  {}, HTTPS: {what}", self.address);
        let names = plain(&certificate.names.join(", "));
        let said = match validity {
            Validity::Valid => format!("valid until {}", exact(certificate.not_after)),
            Validity::EndsSoon => styled(BAD, &format!("ends soon: {}", exact(certificate.not_after))),
            Validity::Expired => styled(BAD, &format!("expired {}", exact(certificate.not_after))),
            Validity::NotYetValid => {
                styled(BAD, &format!("not valid before {}", exact(certificate.not_before)))
            }
        };
        let _ = writeln!(out, "    certificate for {names}, {said}");
    }
}

#[derive(Debug, Serialize)]
struct SourceReport {
    name: String,
    path: String,
    secrets: usize,
}

#[derive(Debug, Serialize)]
struct SinkReport {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    finding: Finding,
}

/// What a sink says of itself.
#[derive(Debug, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
enum Finding {
    /// Only its configuration was looked at.
    NotAsked,
    Fine {
        found: Vec<String>,
    },
    /// It can be worked with, and something will not go through.
    Faulty {
        found: Vec<String>,
        faults: Vec<String>,
    },
    Wrong {
        error: String,
    },
}

impl Report {
    fn wrong(config: &Path, errors: Vec<String>) -> Self {
        Self {
            config: config.to_owned(),
            errors,
            listen: None,
            admin: None,
            sources: Vec::new(),
            rules: None,
            tests: 0,
            sinks: Vec::new(),
        }
    }

    fn exit(&self) -> Exit {
        if !self.errors.is_empty() {
            return Exit::Usage;
        }
        let wrong = self
            .sinks
            .iter()
            .any(|sink| matches!(sink.finding, Finding::Wrong { .. } | Finding::Faulty { .. }));
        let certificate = [&self.listen, &self.admin].into_iter().flatten().any(ListenReport::is_wrong);
        if wrong || certificate { Exit::Problems } else { Exit::Done }
    }

    fn render(&self) -> String {
        let config = self.config.display();
        if !self.errors.is_empty() {
            let title = styled(BAD, &format!("{config} is wrong"));
            // A report has lines that point at one another: it was made harmless where it was made.
            return format!("{title}\n\n{}\n", self.errors.join("\n\n").trim_end());
        }
        let mut out = format!("{}\n", styled(GOOD, &format!("{config} is right")));
        let heading = |out: &mut String, title| {
            let _ = writeln!(out, "\n{}", styled(HEADING, title));
        };
        if let Some(listen) = &self.listen {
            heading(&mut out, "Listens");
            listen.render("webhooks", &mut out);
        }
        if let Some(admin) = &self.admin {
            admin.render("admin API", &mut out);
        }
        heading(&mut out, "Sources");
        for source in &self.sources {
            let secrets = super::text::count(source.secrets as u64, "secret", "secrets");
            let _ = writeln!(out, "  {}: POST {}, {secrets}", source.name, source.path);
        }
        heading(&mut out, "Rules");
        let _ = match &self.rules {
            Some(file) if self.tests == 0 => writeln!(out, "  {}, without tests of its own", file.display()),
            Some(file) => {
                let tests = super::text::count(self.tests as u64, "test passed", "tests passed");
                writeln!(out, "  {}, {tests}", file.display())
            }
            None => writeln!(out, "  none: nobody gets a role"),
        };
        heading(&mut out, "Sinks");
        if self.sinks.is_empty() {
            out.push_str("  none: nothing is kept in step\n");
        }
        for sink in &self.sinks {
            sink.render(&mut out);
        }
        if self.sinks.iter().any(|sink| matches!(sink.finding, Finding::NotAsked)) {
            out.push_str("\nNo sink was connected to; --connect does that.\n");
        }
        out
    }
}

impl SinkReport {
    fn render(&self, out: &mut String) {
        let (name, kind) = (&self.name, self.kind);
        let wrong = || format!(": {}", styled(BAD, "wrong"));
        let (word, lines, faults) = match &self.finding {
            Finding::NotAsked => (String::new(), &[][..], &[][..]),
            Finding::Fine { found } => (format!(": {}", styled(GOOD, "fine")), found.as_slice(), &[][..]),
            Finding::Faulty { found, faults } => (wrong(), found.as_slice(), faults.as_slice()),
            Finding::Wrong { error } => (wrong(), &[][..], std::slice::from_ref(error)),
        };
        let _ = writeln!(out, "  {name} ({kind}){word}");
        for line in lines {
            let _ = writeln!(out, "    {}", plain(line));
        }
        for fault in faults {
            let _ = writeln!(out, "    {}", styled(BAD, &plain(fault)));
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use rolecall_sink_api::{Change, ObservedStream, Outcome};

    use super::*;

    /// Answers `check` as it is told to.
    enum Told {
        Fine,
        Faulty,
        Wrong,
        Nothing,
    }

    #[async_trait]
    impl Sink for Told {
        async fn apply(&self, _: &[Change]) -> Result<Vec<Outcome>, SinkDown> {
            unreachable!("a check changes nothing")
        }

        async fn probe(&self) -> Result<(), SinkDown> {
            Ok(())
        }

        async fn check(&self) -> Result<Findings, SinkDown> {
            match self {
                Told::Fine => Ok(vec!["OpenLDAP at ldap://a".into(), "may write to ou=people".into()].into()),
                Told::Faulty => Ok(Findings {
                    found: vec!["OpenLDAP at ldap://c".into()],
                    faults: vec!["the schema has no attribute x".into()],
                }),
                Told::Wrong => Err(SinkDown::new("cannot connect to https://b:\nconnection refused")),
                Told::Nothing => std::future::pending().await,
            }
        }

        fn observe(&self) -> Option<ObservedStream<'_>> {
            None
        }
    }

    fn check() -> Check {
        Check { connect: true, timeout: Timespan::from_millis(10), json: false }
    }

    fn report(sinks: Vec<SinkReport>) -> Report {
        Report {
            config: "/etc/rolecall.yaml".into(),
            errors: Vec::new(),
            listen: Some(ListenReport {
                address: "0.0.0.0:443".parse().unwrap(),
                certificate: Some(certificate()),
                validity: Some(Validity::Valid),
            }),
            admin: Some(ListenReport {
                address: "127.0.0.1:8081".parse().unwrap(),
                certificate: None,
                validity: None,
            }),
            sources: vec![SourceReport {
                name: "scalekit".into(),
                path: "/webhooks/scalekit".into(),
                secrets: 2,
            }],
            rules: Some("/etc/rules.yaml".into()),
            tests: 2,
            sinks,
        }
    }

    fn certificate() -> Certificate {
        Certificate {
            names: vec!["hooks.example".into()],
            serial: "01".into(),
            not_before: Timestamp::UNIX_EPOCH,
            not_after: "2026-11-24T10:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_certificate_that_nobody_takes_is_a_problem() {
        let mut report = report(Vec::new());
        assert_eq!(report.exit(), Exit::Done);
        report.listen.as_mut().unwrap().validity = Some(Validity::Expired);
        assert_eq!(report.exit(), Exit::Problems);
        assert!(
            shown(&report).contains("certificate for hooks.example, expired 2026-11-24"),
            "{}",
            shown(&report)
        );
    }

    fn shown(report: &Report) -> String {
        anstream::adapter::strip_str(&report.render()).to_string()
    }

    #[tokio::test]
    async fn a_report_has_each_sink_and_a_sink_that_hangs_holds_up_nothing() {
        let told =
            [("crm", Told::Wrong), ("ldap", Told::Fine), ("old", Told::Faulty), ("slow", Told::Nothing)];
        let sinks = told.map(async |(name, told)| SinkReport {
            name: name.into(),
            kind: "rest",
            finding: check().ask(Arc::new(told)).await,
        });
        let report = report(join_all(sinks).await);
        let expected = "\
/etc/rolecall.yaml is right

Listens
  0.0.0.0:443, HTTPS: webhooks
    certificate for hooks.example, valid until 2026-11-24T10:00:00Z
  127.0.0.1:8081, plain HTTP: admin API

Sources
  scalekit: POST /webhooks/scalekit, 2 secrets

Rules
  /etc/rules.yaml, 2 tests passed

Sinks
  crm (rest): wrong
    cannot connect to https://b: connection refused
  ldap (rest): fine
    OpenLDAP at ldap://a
    may write to ou=people
  old (rest): wrong
    OpenLDAP at ldap://c
    the schema has no attribute x
  slow (rest): wrong
    no answer within 10ms: is it reachable from this host?
";
        assert_eq!(shown(&report), expected);
        assert_eq!(report.exit(), Exit::Problems);
    }

    #[test]
    fn sinks_that_were_not_asked_are_said_not_to_be() {
        let sink = SinkReport { name: "ldap".into(), kind: "ldap", finding: Finding::NotAsked };
        let report = report(vec![sink]);
        assert!(
            shown(&report).ends_with("  ldap (ldap)\n\nNo sink was connected to; --connect does that.\n")
        );
        assert_eq!(report.exit(), Exit::Done);
    }

    #[test]
    fn a_wrong_configuration_is_all_that_is_told() {
        let report =
            Report::wrong(Path::new("a.yaml"), vec!["a.yaml:1:1: no".into(), "a.yaml:2:1: no".into()]);
        assert_eq!(shown(&report), "a.yaml is wrong\n\na.yaml:1:1: no\n\na.yaml:2:1: no\n");
        assert_eq!(report.exit(), Exit::Usage);
    }
}
