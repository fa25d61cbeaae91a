//! A connection to a directory server: each request and each search on it has its deadline.

mod search;

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ldap3::controls::{Control, ControlType, PostRead, PostReadResp, RawControl};
use ldap3::exop::PasswordModify;
use ldap3::result::ExopResult;
use ldap3::{Ldap, LdapConnAsync, LdapError, LdapResult, Mod};
use rolecall_sink_api::{Secret, SinkDown};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::dn::Dn;
use crate::entry::{AttributeName, Attributes};
use crate::outcome;
use crate::request::{Modification, ModificationKind, Reply, Request, Tolerance};
use crate::right::NO_OP;
use crate::root_dse::RootDse;

/// A connection that was not used for so long is tried out before it is trusted: firewalls cut idle ones without
/// telling either side.
const IDLE: Duration = Duration::from_secs(30);
/// The control that makes a modification of a value that is there already, or gone already, a success.
pub(crate) const PERMISSIVE_MODIFY: &str = "1.2.840.113556.1.4.1413";
/// The control that returns an added entry's own id with the answer (RFC 4527).
const POST_READ: &str = "1.3.6.1.1.13.2";

/// One bound connection. Dropping it closes it.
pub(crate) struct Connection {
    ldap: Ldap,
    driver: JoinHandle<()>,
    url: String,
    operation_timeout: Duration,
    /// The attribute that comes back with an added entry, when the server can do that.
    id_attribute: Option<AttributeName>,
    /// Whether nobody on the way can read what is sent.
    pub(crate) is_private: bool,
    /// Where the server last referred us to.
    referred: Mutex<Vec<String>>,
    /// What the server says about itself.
    pub(crate) server: RootDse,
    used: Instant,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Takes over a connection that ldap3 made, as yet without knowing the server.
    pub(crate) fn new(
        driver: LdapConnAsync,
        ldap: Ldap,
        url: String,
        operation_timeout: Duration,
        is_private: bool,
    ) -> Self {
        let driver = tokio::spawn(async move {
            // Whoever waits for an answer learns that the connection is gone; why is of use in the log alone.
            if let Err(error) = driver.drive().await {
                tracing::debug!(%error, "the LDAP connection ended");
            }
        });
        let (server, used) = (RootDse::default(), Instant::now());
        let (id_attribute, referred) = (None, Mutex::default());
        Self { ldap, driver, url, operation_timeout, id_attribute, is_private, referred, server, used }
    }

    /// Lets an add also return the new entry's id, in one round trip where the server can (RFC 4527).
    pub(crate) fn return_ids(&mut self, attribute: &AttributeName) {
        self.id_attribute = self.server.has_control(POST_READ).then(|| attribute.clone());
    }

    /// Where the server referred to last; none when it did not.
    pub(crate) fn referred_to(&self) -> Vec<String> {
        self.referred.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The handle, for the bind.
    pub(crate) fn handle(&self) -> Ldap {
        self.ldap.clone()
    }

    /// Whether the connection may be used again, found out by a round trip when it idled.
    pub(crate) async fn still_works(&self) -> bool {
        if self.is_closed() {
            return false;
        }
        self.used.elapsed() < IDLE || self.ping().await.is_ok()
    }

    /// Whether it has ended, as far as is known on this side.
    pub(crate) fn is_closed(&self) -> bool {
        self.ldap.clone().is_closed()
    }

    /// Unbinds, and waits until the server has closed the connection: what was sent on it is done with then.
    pub(crate) async fn drain(mut self, within: Duration) -> Result<(), SinkDown> {
        // An error means that it is closed already.
        let _ = self.ldap.with_timeout(within).unbind().await;
        match timeout(within, &mut self.driver).await {
            Ok(_) => Ok(()),
            Err(_) => Err(SinkDown::new(format!(
                "{}: the server has not ended its work on an earlier batch within operation_timeout",
                self.url
            ))),
        }
    }

    /// Notes that the connection has just answered.
    pub(crate) fn used_now(&mut self) {
        self.used = Instant::now();
    }

    /// One round trip.
    pub(crate) async fn ping(&self) -> Result<(), SinkDown> {
        RootDse::read(self).await.map(|_| ())
    }

    /// The server's URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn broken(&self, what: &str, error: &LdapError) -> SinkDown {
        SinkDown::new(format!("{}: {what}: {}", self.url, explain(error)))
    }

    /// Sends one request and waits for its answer, whatever it is.
    ///
    /// # Errors
    /// When no answer came: the connection broke or the time ran out. Whether the request was carried out is
    /// unknown then.
    pub(crate) async fn write(&self, request: &Request) -> Result<Reply, SinkDown> {
        let mut ldap = self.ldap.clone();
        ldap.with_timeout(self.operation_timeout);
        let result = match request {
            Request::Add { dn, attributes } => {
                if let Some(id) = &self.id_attribute {
                    ldap.with_controls(PostRead::new(vec![id.as_str()]));
                }
                ldap.add(dn.as_str(), add_list(attributes)).await
            }
            Request::Modify { dn, modifications, tolerance } => {
                if *tolerance == Tolerance::Permissive && self.server.has_control(PERMISSIVE_MODIFY) {
                    ldap.with_controls(RawControl {
                        ctype: PERMISSIVE_MODIFY.to_owned(),
                        crit: false,
                        val: None,
                    });
                }
                ldap.modify(dn.as_str(), modifications.iter().map(modification).collect()).await
            }
            Request::Rename { dn, to, keep_old } => {
                let (old, new) = (dn.parent(), to.parent());
                let superior = new.as_ref().filter(|_| old != new).map(Dn::as_str);
                ldap.modifydn(dn.as_str(), to.rdn(), !keep_old, superior).await
            }
            Request::Delete { dn } => ldap.delete(dn.as_str()).await,
        };
        let result = result.map_err(|e| self.broken(&format!("{} {}", request.verb(), request.dn()), &e))?;
        let id = self.id_attribute.as_ref().and_then(|attribute| new_id(&result, attribute));
        Ok(Reply { id, ..self.answer(result) })
    }

    /// Gives an account a password by the operation for that (RFC 3062), and waits for the answer, whatever it is.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(crate) async fn set_password(&self, dn: &Dn, password: &Secret) -> Result<Reply, SinkDown> {
        let mut ldap = self.ldap.clone();
        ldap.with_timeout(self.operation_timeout);
        let request =
            PasswordModify { user_id: Some(dn.as_str()), old_pass: None, new_pass: Some(password.expose()) };
        let result = ldap.extended(request).await;
        let ExopResult(_, result) =
            result.map_err(|e| self.broken(&format!("set the password of {dn}"), &e))?;
        Ok(self.answer(result))
    }

    /// What would become of a new entry, without any effect (the control for that is critical).
    pub(crate) async fn try_add(&self, dn: &str, attributes: &Attributes) -> Result<Reply, SinkDown> {
        let mut ldap = self.ldap.clone();
        ldap.with_timeout(self.operation_timeout);
        ldap.with_controls(RawControl { ctype: NO_OP.to_owned(), crit: true, val: None });
        let result = ldap.add(dn, add_list(attributes)).await;
        Ok(self.answer(result.map_err(|e| self.broken(&format!("try to add {dn}"), &e))?))
    }

    /// An answer, and a note of where it refers to.
    fn answer(&self, result: LdapResult) -> Reply {
        let reply = reply_of(result);
        if reply.code == outcome::REFERRAL {
            self.referred.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&reply.referrals);
        }
        reply
    }
}

/// An answer as ldap3 has it, as ours.
pub(crate) fn reply_of(result: LdapResult) -> Reply {
    Reply { code: result.rc, text: result.text, matched: result.matched, referrals: result.refs, id: None }
}

/// The id that came back with an add, by the control for it.
fn new_id(result: &LdapResult, attribute: &AttributeName) -> Option<String> {
    let control = result.ctrls.iter().find_map(|control| match control {
        Control(Some(ControlType::PostReadResp), raw) => Some(raw),
        _ => None,
    })?;
    let read: PostReadResp = control.parse();
    read.attrs
        .into_iter()
        .find(|(name, _)| AttributeName::new(name.as_str()) == *attribute)?
        .1
        .into_iter()
        .next()
}

fn add_list(attributes: &Attributes) -> Vec<(Vec<u8>, HashSet<Vec<u8>>)> {
    attributes
        .iter()
        .map(|(name, values)| {
            (name.as_str().as_bytes().to_vec(), values.iter().map(|v| v.as_bytes().to_vec()).collect())
        })
        .collect()
}

fn modification(modification: &Modification) -> Mod<Vec<u8>> {
    let name = modification.attribute.as_str().as_bytes().to_vec();
    let values = modification.values.iter().map(|v| v.as_bytes().to_vec()).collect();
    match modification.kind {
        ModificationKind::Add => Mod::Add(name, values),
        ModificationKind::Delete => Mod::Delete(name, values),
        ModificationKind::Replace => Mod::Replace(name, values),
    }
}

/// What went wrong below LDAP itself.
pub(crate) fn explain(error: &LdapError) -> String {
    match error {
        LdapError::Timeout { .. } => {
            "no answer within operation_timeout: the server hangs, or the connection was cut on the way"
                .into()
        }
        LdapError::OpSend { .. } | LdapError::ResultRecv { .. } | LdapError::EndOfStream => {
            "the connection was closed before the answer came".into()
        }
        LdapError::Io { source } => source.to_string(),
        other => other.to_string(),
    }
}
