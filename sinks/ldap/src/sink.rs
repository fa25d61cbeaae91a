//! The sink: the contract of `rolecall-sink-api`, kept on a server or a file.

use std::path::Path;

use async_trait::async_trait;
use rolecall_sink_api::{Change, ConfigError, Findings, ObservedStream, Outcome, Sink, SinkDown, SinkName};

use crate::access::{Access, Credentials};
use crate::batch;
use crate::check;
use crate::config::{Bind, BindMethod, Config};
use crate::directory::Directory;
use crate::ldif::LdifTarget;
use crate::mapping::Mapping;
use crate::mappings::Mappings;
use crate::observe;
use crate::pool::Pool;
use crate::url::{Scheme, ServerUrl};
use crate::work::Work;

/// Keeps people, groups and roles in an LDAP directory, or writes LDIF change records for one.
pub struct LdapSink {
    target: Target,
    in_flight: usize,
}

enum Target {
    Server(Box<Pool>),
    File(LdifTarget, Box<Mapping>),
}

impl LdapSink {
    /// Builds the sink; nothing is connected or opened yet. Of an LDIF file only the directory must be there.
    ///
    /// # Errors
    /// What in the configuration cannot be used, with its path relative to the sink's section.
    pub fn new(name: &SinkName, config: Config) -> Result<Self, ConfigError> {
        let in_flight = usize::from(config.in_flight);
        if !(1..=256).contains(&in_flight) {
            return Err(ConfigError::new("in_flight", "must be between 1 and 256"));
        }
        let mappings = Mappings::new(config.clone())?;
        let target = match &config.ldif {
            Some(ldif) => {
                let mapping = mappings.for_file()?;
                Target::File(ldif_target(&ldif.path, &config, &mapping)?, Box::new(mapping))
            }
            None => Target::Server(Box::new(Pool::new(access(&config)?, mappings, hops(&config)?))),
        };
        tracing::debug!(sink = %name, "LDAP sink configured");
        Ok(Self { target, in_flight })
    }

    /// Applies the batch to the server, or to the one that this refers to. What the first has done by then the second
    /// finds done or does again: either does no harm.
    async fn apply_to_server(&self, pool: &Pool, changes: &[Change]) -> Result<Vec<Outcome>, SinkDown> {
        let mut server = pool.lend().await?;
        loop {
            match self.apply_on(server.mapping(), Directory::Server(&server), changes).await {
                Ok(outcomes) => {
                    server.finish();
                    return Ok(outcomes);
                }
                Err(_) if server.was_stale() => {
                    drop(server);
                    server = pool.lend().await?;
                }
                Err(down) => match server.follow().await {
                    Some(followed) => server = followed?,
                    None => return Err(down),
                },
            }
        }
    }

    async fn apply_on(
        &self,
        mapping: &Mapping,
        directory: Directory<'_>,
        changes: &[Change],
    ) -> Result<Vec<Outcome>, SinkDown> {
        batch::apply(&Work::new(mapping, directory, self.in_flight), changes).await
    }
}

#[async_trait]
impl Sink for LdapSink {
    async fn apply(&self, changes: &[Change]) -> Result<Vec<Outcome>, SinkDown> {
        match &self.target {
            Target::Server(pool) => self.apply_to_server(pool, changes).await,
            Target::File(target, mapping) => {
                let file = target.open().await?;
                file.recall(mapping, changes);
                let outcomes = self.apply_on(mapping, Directory::File(&file), changes).await?;
                file.commit().await?;
                Ok(outcomes)
            }
        }
    }

    async fn probe(&self) -> Result<(), SinkDown> {
        match &self.target {
            Target::Server(pool) => pool.access().connect().await.map(|_| ()),
            Target::File(target, _) => target.open().await?.commit().await,
        }
    }

    async fn check(&self) -> Result<Findings, SinkDown> {
        match &self.target {
            Target::Server(pool) => {
                let (connection, mapping) = pool.extra().await?;
                check::check(&connection, &mapping).await
            }
            Target::File(target, _) => target.check().await.map(Findings::from),
        }
    }

    fn batch(&self) -> u32 {
        // Each group is modified once in a batch, however many come and go: the more at once, the fewer requests.
        500
    }

    fn reads_target(&self) -> bool {
        // A file is read back when it is opened, and remembers after that.
        true
    }

    fn observe(&self) -> Option<ObservedStream<'_>> {
        match &self.target {
            Target::Server(pool) => Some(observe::observe(pool)),
            // What became of the records is not known here.
            Target::File(..) => None,
        }
    }
}

fn ldif_target(path: &Path, config: &Config, mapping: &Mapping) -> Result<LdifTarget, ConfigError> {
    if config.url.is_some() || !config.urls.is_empty() {
        return Err(ConfigError::new("ldif", "give either a server (url) or a file (ldif), not both"));
    }
    if let Some(key) = mapping.password_key() {
        return Err(ConfigError::new(key, "a file would show the passwords to whoever reads it: set none"));
    }
    LdifTarget::new(path, mapping.marks.attribute.clone())
}

fn access(config: &Config) -> Result<Access, ConfigError> {
    let (key, urls) = match (&config.url, config.urls.as_slice()) {
        (Some(url), []) => ("url", vec![ServerUrl::parse(url).map_err(|e| ConfigError::new("url", e))?]),
        (None, []) => {
            return Err(ConfigError::new("url", "is missing: name the server (url, urls) or a file (ldif)"));
        }
        (None, urls) => ("urls", parse_urls("urls", urls)?),
        (Some(_), _) => return Err(ConfigError::new("urls", "give either url or urls, not both")),
    };
    let referrals = parse_urls(REFERRALS, &config.referrals.follow_to)?;
    let credentials = credentials(config.bind.as_ref())?;
    let keyed = urls.iter().map(|url| (key, url));
    for (key, url) in keyed.chain(referrals.iter().map(|url| (REFERRALS, url))) {
        check_url(config, &credentials, key, url)?;
    }
    let mut all = urls.iter().chain(&referrals);
    let wants_tls = config.start_tls || all.any(|url| matches!(url.scheme, Scheme::Ldaps { .. }));
    Ok(Access {
        urls,
        start_tls: config.start_tls,
        tls: if wants_tls { Some(config.tls.client_config()?) } else { None },
        credentials,
        connect_timeout: config.connect_timeout.get(),
        operation_timeout: config.operation_timeout.get(),
        referrals,
    })
}

const REFERRALS: &str = "referrals.follow_to";

fn parse_urls(key: &str, urls: &[String]) -> Result<Vec<ServerUrl>, ConfigError> {
    let parse = |(at, url): (usize, &String)| {
        ServerUrl::parse(url).map_err(|e| ConfigError::new(format!("{key}.{at}"), e))
    };
    urls.iter().enumerate().map(parse).collect()
}

/// What must not be on the way to a server.
fn check_url(
    config: &Config,
    credentials: &Credentials,
    key: &str,
    url: &ServerUrl,
) -> Result<(), ConfigError> {
    match &url.scheme {
        Scheme::Ldap { .. } => {}
        _ if config.start_tls && key != REFERRALS => {
            let message = format!("{url} has no use for it: only ldap:// starts without TLS");
            return Err(ConfigError::new("start_tls", message));
        }
        Scheme::Ldaps { .. } | Scheme::Ldapi { .. } => return Ok(()),
    }
    let readable = !config.start_tls && !config.allow_plaintext_password;
    if readable && matches!(credentials, Credentials::Simple { .. }) {
        return Err(ConfigError::new(
            key,
            format!(
                "{url} would carry the bind password in the clear: use ldaps://, set start_tls: true, or, if \
                 everybody on the way may read it, allow_plaintext_password: true"
            ),
        ));
    }
    Ok(())
}

fn hops(config: &Config) -> Result<u8, ConfigError> {
    match config.referrals.hops {
        hops @ 1..=10 => Ok(hops),
        _ => Err(ConfigError::new("referrals.hops", "must be between 1 and 10")),
    }
}

fn credentials(bind: Option<&Bind>) -> Result<Credentials, ConfigError> {
    let Some(bind) = bind else { return Ok(Credentials::Anonymous) };
    match (bind.method, &bind.dn, &bind.password) {
        (BindMethod::Simple, Some(dn), Some(password)) => {
            // Active Directory also takes user@domain here, so this need not be a DN. A name without a password
            // would be an anonymous bind that looks like a successful one (RFC 4513 §5.1.2).
            password.read().map_err(|e| ConfigError::new("bind.password", e.to_string()))?;
            Ok(Credentials::Simple { dn: dn.clone(), password: password.clone() })
        }
        (BindMethod::Simple, None, _) => Err(ConfigError::new("bind.dn", "is missing")),
        (BindMethod::Simple, _, None) => Err(ConfigError::new("bind.password", "is missing")),
        (BindMethod::External, None, None) => Ok(Credentials::External),
        (BindMethod::External, _, _) => Err(ConfigError::new(
            "bind",
            "method external takes neither dn nor password: the connection tells",
        )),
    }
}
