//! An HTTP application that records what it is asked, and can be told to fail.

mod fault;
mod recorded;
mod resources;
mod serve;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::authority::CertificateAuthority;
use crate::port::Port;

pub use fault::Fault;
pub use recorded::Recorded;
use resources::Resources;
pub(crate) use serve::listen;

/// How long [`HttpApplication::wait_for`] waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// A small application with users and groups, as a REST interface of somebody else's making.
///
/// `POST /users` makes a user, with an id of the application's own choice, and answers 201 with it; 409 when there is
/// one already with the same `external_id`, in the body the one that is there. `GET`, `PUT` (replace), `PATCH` (merge,
/// RFC 7396) and `DELETE /users/{id}` answer 404 for an id that it never gave or gave up. `GET /users?external_id=…` is
/// a JSON array. The same under `/groups`. HTTP/1.1, on a port of 127.0.0.1.
///
/// It runs in the test's own tokio runtime.
pub struct HttpApplication {
    port: Port,
    tls: Option<(TlsAcceptor, TempDir)>,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

/// How a [`HttpApplication`] shall be; made by [`HttpApplication::options`].
#[derive(Default)]
pub struct HttpApplicationOptions {
    authority: Option<CertificateAuthority>,
    client_certificates: bool,
    bearer: Option<String>,
    most_per_second: Option<usize>,
}

/// What the connections share with the one who holds the application.
struct Shared {
    bearer: Option<String>,
    most_per_second: Option<usize>,
    state: Mutex<State>,
    requests: watch::Sender<Vec<Recorded>>,
}

#[derive(Default)]
struct State {
    /// For the next requests, one each.
    next: VecDeque<Fault>,
    /// For all requests after those.
    always: Option<Fault>,
    /// When the last requests came, where there is a limit.
    came: VecDeque<Instant>,
    resources: Resources,
}

impl HttpApplicationOptions {
    /// Speaks TLS only, with a certificate that this authority signs.
    pub fn tls(mut self, authority: CertificateAuthority) -> Self {
        self.authority = Some(authority);
        self
    }

    /// Takes connections only from whoever shows a certificate that the authority signed; needs [`tls`](Self::tls).
    pub fn client_certificates(mut self) -> Self {
        self.client_certificates = true;
        self
    }

    /// Answers 429 when more requests than this come within a second.
    pub fn most_per_second(mut self, requests: usize) -> Self {
        self.most_per_second = Some(requests);
        self
    }

    /// Answers 401 to whoever does not show this token.
    pub fn bearer(mut self, token: &str) -> Self {
        self.bearer = Some(token.to_owned());
        self
    }

    /// Starts it.
    pub async fn start(self) -> HttpApplication {
        let tls = self.authority.map(|authority| {
            let directory = tempfile::Builder::new().prefix("rolecall-application-").tempdir();
            let directory = directory.unwrap_or_else(|e| panic!("cannot make a temporary directory: {e}"));
            authority.equip(directory.path());
            (serve::acceptor(directory.path(), self.client_certificates), directory)
        });
        let shared = Shared {
            bearer: self.bearer,
            most_per_second: self.most_per_second,
            state: Mutex::default(),
            requests: watch::Sender::new(Vec::new()),
        };
        let mut application =
            HttpApplication { port: Port::take(), tls, shared: Arc::new(shared), listener: None };
        application.restart().await;
        application
    }
}

impl HttpApplication {
    /// Starts one as most tests want it.
    pub async fn start() -> Self {
        Self::options().start().await
    }

    /// How it shall be, if not as most tests want it.
    pub fn options() -> HttpApplicationOptions {
        HttpApplicationOptions::default()
    }

    /// `http://127.0.0.1:PORT`, or `https://…` with TLS.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port.number())
    }

    /// The authority that signed its certificate, in PEM.
    ///
    /// # Panics
    /// When it does not speak TLS.
    pub fn ca_path(&self) -> PathBuf {
        self.tls.as_ref().expect("the application speaks TLS").1.path().join("ca.pem")
    }

    /// All requests so far, in the order in which they were complete.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.requests.borrow().clone()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.shared.requests.send_modify(Vec::clear);
    }

    /// Waits until the requests are as `wanted` says, and returns them.
    ///
    /// # Panics
    /// When they are not within a minute; the message has `what` and the requests.
    pub async fn wait_for(&self, what: &str, mut wanted: impl FnMut(&[Recorded]) -> bool) -> Vec<Recorded> {
        let mut requests = self.shared.requests.subscribe();
        let found = tokio::time::timeout(PATIENCE, requests.wait_for(|all| wanted(all))).await;
        match found {
            Ok(found) => found.expect("the application holds the sender").clone(),
            Err(_) => panic!("not within {PATIENCE:?}: {what}; the requests were {:#?}", self.requests()),
        }
    }

    /// The requests, for who wants to see each as it comes.
    pub fn subscribe(&self) -> watch::Receiver<Vec<Recorded>> {
        self.shared.requests.subscribe()
    }

    /// Lets the next `count` requests fail, after those that are to fail already.
    pub fn fail_next(&self, count: usize, fault: Fault) {
        self.state().next.extend(std::iter::repeat_n(fault, count));
    }

    /// Lets every request fail until [`recover`](Self::recover).
    pub fn fail(&self, fault: Fault) {
        self.state().always = Some(fault);
    }

    /// Ends all failing. Requests that hang already go on hanging.
    pub fn recover(&self) {
        let mut state = self.state();
        state.always = None;
        state.next.clear();
    }

    /// The users that the application has, by its own ids.
    pub fn users(&self) -> BTreeMap<String, Value> {
        self.state().resources.users().clone()
    }

    /// The groups that the application has, by its own ids.
    pub fn groups(&self) -> BTreeMap<String, Value> {
        self.state().resources.groups().clone()
    }

    /// Puts a user into the application behind everybody's back, and returns its id.
    ///
    /// # Panics
    /// When `user` is not an object, or its `external_id` is taken.
    pub fn insert_user(&self, user: Value) -> String {
        let answer = self.state().resources.handle("POST", "/users", Some(&user));
        let id = answer.body.as_ref().and_then(|body| body["id"].as_str());
        assert_eq!(answer.status, 201, "not a user that could be made: {user}");
        id.expect("a user that was made has an id").to_owned()
    }

    /// Stops listening, and cuts every connection: new ones are refused.
    pub async fn stop(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.abort();
            // It is an error that says that it was cancelled, which is the point.
            let _ = listener.await;
        }
    }

    /// Listens again, on the same port; users, groups and recorded requests are as they were.
    pub async fn restart(&mut self) {
        self.stop().await;
        let tls = self.tls.as_ref().map(|(acceptor, _)| acceptor.clone());
        let listener = serve::listen(self.port.number()).await;
        self.listener = Some(tokio::spawn(serve::serve(listener, tls, Arc::clone(&self.shared))));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

impl Drop for HttpApplication {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding the state")
    }

    /// Whether this is one request too many within a second.
    fn is_too_fast(&self) -> bool {
        let Some(most) = self.most_per_second else { return false };
        let came = &mut self.state().came;
        came.push_back(Instant::now());
        while came.len() > most + 1 {
            came.pop_front();
        }
        came.len() > most && came.front().is_some_and(|first| first.elapsed() < Duration::from_secs(1))
    }

    /// The fault that the next request meets.
    fn take_fault(&self) -> Option<Fault> {
        let mut state = self.state();
        state.next.pop_front().or_else(|| state.always.clone())
    }
}
