//! The sink: the contract of `rolecall-sink-api`, kept on a server or a file.

use std::path::Path;

use async_trait::async_trait;
use rolecall_sink_api::{Change, ConfigError, ObservedStream, Outcome, Sink, SinkDown, SinkName};

use crate::access::{Access, Credentials};
use crate::batch;
use crate::check;
use crate::config::{Bind, BindMethod, Config};
use crate::directory::Directory;
use crate::ldif::LdifTarget;
use crate::mapping::Mapping;
use crate::observe;
use crate::pool::Pool;
use crate::template;
use crate::url::{Scheme, ServerUrl};
use crate::work::Work;

/// Keeps people, groups and roles in an LDAP directory, or writes LDIF change records for one.
pub struct LdapSink {
    mapping: Mapping,
    target: Target,
    in_flight: usize,
}

enum Target {
    Server(Box<Pool>),
    File(LdifTarget),
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
        let mapping = Mapping::compile(&config)?;
        let target = match &config.ldif {
            Some(ldif) => Target::File(ldif_target(&ldif.path, &config, &mapping)?),
            None => Target::Server(Box::new(Pool::new(access(&config)?))),
        };
        tracing::debug!(sink = %name, base = %mapping.people.base, "LDAP sink configured");
        Ok(Self { mapping, target, in_flight })
    }

    async fn apply_on(&self, directory: Directory<'_>, changes: &[Change]) -> Result<Vec<Outcome>, SinkDown> {
        let work = Work::new(&self.mapping, directory, self.in_flight);
        batch::apply(&work, changes).await
    }
}

#[async_trait]
impl Sink for LdapSink {
    async fn apply(&self, changes: &[Change]) -> Result<Vec<Outcome>, SinkDown> {
        match &self.target {
            Target::Server(pool) => {
                let connection = pool.lend().await?;
                let outcomes = self.apply_on(Directory::Server(&connection), changes).await?;
                connection.finish();
                Ok(outcomes)
            }
            Target::File(target) => {
                let file = target.open().await?;
                file.recall(&self.mapping, changes);
                let outcomes = self.apply_on(Directory::File(&file), changes).await?;
                file.commit().await?;
                Ok(outcomes)
            }
        }
    }

    async fn probe(&self) -> Result<(), SinkDown> {
        match &self.target {
            Target::Server(pool) => pool.access().connect().await.map(|_| ()),
            Target::File(target) => target.open().await?.commit().await,
        }
    }

    async fn check(&self) -> Result<Vec<String>, SinkDown> {
        match &self.target {
            Target::Server(pool) => check::check(&pool.access().connect().await?, &self.mapping).await,
            Target::File(target) => target.check().await,
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
            Target::Server(pool) => Some(observe::observe(pool.access(), &self.mapping)),
            // What became of the records is not known here.
            Target::File(_) => None,
        }
    }
}

fn ldif_target(path: &Path, config: &Config, mapping: &Mapping) -> Result<LdifTarget, ConfigError> {
    if config.url.is_some() || !config.urls.is_empty() {
        return Err(ConfigError::new("ldif", "give either a server (url) or a file (ldif), not both"));
    }
    LdifTarget::new(path, mapping.marks.attribute.clone())
}

fn access(config: &Config) -> Result<Access, ConfigError> {
    let urls = match (&config.url, config.urls.as_slice()) {
        (Some(url), []) => vec![ServerUrl::parse(url).map_err(|e| ConfigError::new("url", e))?],
        (None, []) => {
            return Err(ConfigError::new("url", "is missing: name the server (url, urls) or a file (ldif)"));
        }
        (None, urls) => urls
            .iter()
            .enumerate()
            .map(|(at, url)| ServerUrl::parse(url).map_err(|e| ConfigError::new(format!("urls.{at}"), e)))
            .collect::<Result<_, _>>()?,
        (Some(_), _) => return Err(ConfigError::new("urls", "give either url or urls, not both")),
    };
    let credentials = credentials(config.bind.as_ref())?;
    for url in &urls {
        let key = if config.url.is_some() { "url" } else { "urls" };
        match &url.scheme {
            Scheme::Ldap { .. } => {}
            _ if config.start_tls => {
                let message = format!("{url} has no use for it: only ldap:// starts without TLS");
                return Err(ConfigError::new("start_tls", message));
            }
            Scheme::Ldaps { .. } | Scheme::Ldapi { .. } => continue,
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
    }
    let wants_tls = config.start_tls || urls.iter().any(|url| matches!(url.scheme, Scheme::Ldaps { .. }));
    Ok(Access {
        urls,
        start_tls: config.start_tls,
        tls: if wants_tls { Some(config.tls.client_config()?) } else { None },
        credentials,
        connect_timeout: config.connect_timeout.get(),
        operation_timeout: config.operation_timeout.get(),
        id_attribute: template::attribute_name(&config.id_attribute, "id_attribute")?,
    })
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
