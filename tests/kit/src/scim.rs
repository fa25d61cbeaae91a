//! A SCIM server: the Python project scim2-server.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::{JoinHandle, JoinSet};

use crate::port::Port;
use crate::process::{NotStarted, Process};
use crate::tool;

/// Where `tests/run` says that the virtual environment's interpreter is; otherwise it is in `target/scim`.
const PYTHON: &str = "ROLECALL_SCIM_PYTHON";
const TOKEN: &str = "scim-secret";

/// A SCIM server in memory, that notes every request it gets.
///
/// It offers PATCH, filters, sorting, ETags and bulk, unless it is told to offer less. It answers 401 to whoever
/// does not show its token.
pub struct ScimServer {
    directory: TempDir,
    /// Where it is reached, and where it listens itself: so it can be out of reach without losing what it holds.
    front: Port,
    back: Port,
    _process: Process,
    bridge: Option<JoinHandle<()>>,
}

/// How a [`ScimServer`] shall be; made by [`ScimServer::options`].
#[derive(Default)]
pub struct ScimServerOptions {
    configuration: Option<Value>,
}

impl ScimServerOptions {
    /// Offers what this ServiceProviderConfig says (RFC 7643 §5), and no more.
    pub fn service_provider_config(mut self, configuration: Value) -> Self {
        self.configuration = Some(configuration);
        self
    }

    /// Starts it.
    pub async fn start(self) -> ScimServer {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_start().await {
                Ok(server) => return server,
                Err(NotStarted::PortTaken) if tries < 5 => {}
                Err(NotStarted::PortTaken) => panic!("scim2-server found its port taken {tries} times"),
                Err(NotStarted::Broken(what)) => panic!("{what}"),
            }
        }
    }

    async fn try_start(&self) -> Result<ScimServer, NotStarted> {
        let directory = tempfile::Builder::new().prefix("rolecall-scim-").tempdir();
        let directory = directory.unwrap_or_else(|e| panic!("cannot make a temporary directory: {e}"));
        fs::write(directory.path().join("token"), TOKEN).expect("the directory is ours");
        let (front, back) = (Port::take(), Port::take());
        let mut command: Vec<OsString> = vec![
            python().into(),
            program("serve.py").into(),
            directory.path().join("record").into(),
            "--port".into(),
            back.number().to_string().into(),
            "--bearer-token".into(),
            TOKEN.into(),
        ];
        if let Some(configuration) = &self.configuration {
            let path = directory.path().join("service-provider-config.json");
            fs::write(&path, configuration.to_string()).expect("the directory is ours");
            command.extend(["--service-provider-config".into(), path.into()]);
        }
        let mut process = Process::spawn("scim2-server", directory.path(), Signal::KILL, command);
        let address = ("127.0.0.1", back.number());
        process
            .ready(async || TcpStream::connect(address).await.map(drop).map_err(|e| e.to_string()))
            .await?;
        let mut server = ScimServer { directory, front, back, _process: process, bridge: None };
        server.restart().await;
        Ok(server)
    }
}

impl ScimServer {
    /// Starts one as most tests want it.
    pub async fn start() -> Self {
        Self::options().start().await
    }

    /// How it shall be, if not as most tests want it.
    pub fn options() -> ScimServerOptions {
        ScimServerOptions::default()
    }

    /// `http://127.0.0.1:PORT/v2`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v2", self.front.number())
    }

    /// A file with the bearer token that it wants.
    pub fn token_file(&self) -> PathBuf {
        self.directory.path().join("token")
    }

    /// Its users, by its own ids.
    pub async fn users(&self) -> BTreeMap<String, Value> {
        self.all("/Users").await
    }

    /// Its groups, by its own ids.
    pub async fn groups(&self) -> BTreeMap<String, Value> {
        self.all("/Groups").await
    }

    /// Makes a resource behind everybody's back, and returns its id.
    pub async fn insert(&self, collection: &str, resource: &Value) -> String {
        let (status, made) = self.ask(Method::POST, collection, Some(resource)).await;
        assert_eq!(status, StatusCode::CREATED, "{collection}: {made}");
        made["id"].as_str().expect("a resource has an id").to_owned()
    }

    /// Changes a resource behind everybody's back, by a PATCH.
    pub async fn patch(&self, path: &str, patch: &Value) {
        let (status, answer) = self.ask(Method::PATCH, path, Some(patch)).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
    }

    /// Deletes all users and groups.
    pub async fn empty(&self) {
        for collection in ["/Users", "/Groups"] {
            for id in self.all(collection).await.keys() {
                let (status, answer) = self.ask(Method::DELETE, &format!("{collection}/{id}"), None).await;
                assert!(status.is_success(), "{collection}/{id}: {status} {answer}");
            }
        }
    }

    /// The requests so far, those of the kit's own too: method, path, query, headers and body of each.
    pub fn requests(&self) -> Vec<Value> {
        let record = fs::read_to_string(self.record()).unwrap_or_default();
        record.lines().map(|line| serde_json::from_str(line).expect("serve.py writes JSON")).collect()
    }

    /// Lets scim2-models judge every request so far, and returns how many there were of each kind.
    ///
    /// # Panics
    /// When one of them is not as RFC 7643 and RFC 7644 have it.
    pub async fn judged(&self) -> Value {
        let mut command = Command::new(python());
        command.arg(program("validate.py")).arg(self.record());
        let output = tool::succeed(&mut command, "").await;
        serde_json::from_str(output.trim()).expect("validate.py prints JSON")
    }

    /// Cuts every connection and refuses new ones. What it holds stays.
    pub async fn stop(&mut self) {
        if let Some(bridge) = self.bridge.take() {
            bridge.abort();
            // It is an error that says that it was cancelled, which is the point.
            let _ = bridge.await;
        }
    }

    /// Lets it be reached again, on the same port.
    pub async fn restart(&mut self) {
        self.stop().await;
        let listener = crate::application::listen(self.front.number()).await;
        self.bridge = Some(tokio::spawn(bridge(listener, self.back.number())));
    }

    fn record(&self) -> PathBuf {
        self.directory.path().join("record")
    }

    async fn all(&self, collection: &str) -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        loop {
            let page = format!("{collection}?startIndex={}", all.len() + 1);
            let (status, list) = self.ask(Method::GET, &page, None).await;
            assert_eq!(status, StatusCode::OK, "{page}: {list}");
            let resources = list["Resources"].as_array().cloned().unwrap_or_default();
            let id = |resource: &Value| resource["id"].as_str().expect("a resource has an id").to_owned();
            all.extend(resources.into_iter().map(|resource| (id(&resource), resource)));
            if list["totalResults"] == all.len() {
                return all;
            }
        }
    }

    /// One request, past all that cuts connections: the status, and the answer's JSON or null.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> (StatusCode, Value) {
        let stream = TcpStream::connect(("127.0.0.1", self.back.number())).await.expect("scim2-server runs");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("it speaks HTTP");
        tokio::spawn(connection);
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("/v2{path}"))
            .header("Host", "127.0.0.1")
            .header("Authorization", format!("Bearer {TOKEN}"))
            .header("Content-Type", "application/scim+json")
            .header("Accept", "application/scim+json")
            .body(Full::new(Bytes::from(body)))
            .expect("the parts are those of a request");
        let response = sender.send_request(request).await.expect("scim2-server answers");
        let status = response.status();
        let body = response.into_body().collect().await.expect("the answer has an end").to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }
}

impl Drop for ScimServer {
    fn drop(&mut self) {
        if let Some(bridge) = &self.bridge {
            bridge.abort();
        }
    }
}

/// Joins every connection to one of the server's own, until it is dropped.
async fn bridge(listener: TcpListener, port: u16) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((mut client, _)) = accepted else { continue };
                connections.spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
                        // Either side may hang up.
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

fn python() -> PathBuf {
    let python = std::env::var_os(PYTHON)
        .map_or_else(|| manifest().join("../../target/scim/bin/python"), PathBuf::from);
    assert!(python.exists(), "{} is not there; tests/run scim makes it", python.display());
    python
}

fn program(name: &str) -> PathBuf {
    manifest().join("scim").join(name)
}

fn manifest() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
