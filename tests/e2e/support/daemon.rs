//! A running daemon, and the sender of webhooks.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder, Response};
use rolecall::receive::signature::{ID_HEADER, SIGNATURE_HEADER, SigningKey, TIMESTAMP_HEADER};
use rolecall_sink_api::tls::Tls;
use rolecall_testkit::until;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::PATIENCE;
use super::company::Event;
use super::site::secret;

/// The daemon as a process of its own. It is killed when this goes out of scope.
pub(crate) struct Daemon {
    child: Child,
    log: Log,
    reading: JoinHandle<()>,
    address: String,
    sender: Sender,
}

/// What the daemon has logged; shown when a test fails.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn push(&self, line: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }
}

impl Daemon {
    /// Runs the command, and returns when it says that it receives webhooks.
    pub(crate) async fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Log::default();
        let listening = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                let said: Value = serde_json::from_str(&line).unwrap_or_default();
                log.push(line);
                if said["message"] == "receiving webhooks" {
                    return said["address"].as_str().map(str::to_owned);
                }
            }
            None
        };
        let Ok(Some(address)) = timeout(PATIENCE, listening).await else {
            panic!("the daemon does not receive webhooks; it said:\n{}", log.text());
        };
        let more = log.clone();
        let reading = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                more.push(line);
            }
        });
        let sender = Sender::to(&format!("http://{address}/webhooks/scalekit"));
        Self { child, log, reading, address, sender }
    }

    /// Where it listens: address and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Where its admin API and its console are, beside the socket: address and port.
    pub(crate) async fn admin_address(&self) -> String {
        until(PATIENCE, "the admin API is served", async || {
            let log = self.log();
            let said = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let mut served = said.filter(|said| said["message"] == "the admin API is served");
            served.find_map(|said| said["address"].as_str().map(str::to_owned)).ok_or(log)
        })
        .await
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().expect("the daemon runs").cast_signed()).unwrap()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    /// Waits until it has logged this.
    pub(crate) async fn logs(&self, message: &str) {
        until(PATIENCE, message, async || {
            let log = self.log();
            if log.contains(message) { Ok(()) } else { Err(log) }
        })
        .await;
    }

    /// Whether it can write to files. A disk that is full looks alike: a write fails, and nothing else.
    pub(crate) fn may_write_files(&self, may: bool) {
        // It has the limits of this process.
        let ours = getrlimit(Resource::Fsize);
        let limit = if may { ours } else { Rlimit { current: Some(0), ..ours } };
        prlimit(Some(self.pid()), Resource::Fsize, limit).unwrap();
    }

    /// One who sends signed webhooks to it, over connections that are kept.
    pub(crate) fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Sends events, one after the other, as their sender does: each must be acknowledged.
    pub(crate) async fn send<'e>(&self, events: impl IntoIterator<Item = &'e Event>) {
        for event in events {
            let answer = self.sender.send(event).await.expect("the daemon answers");
            assert_eq!(answer.text(), "200 committed", "{event:?}");
        }
    }

    /// Kills it, as the kernel does when memory runs out.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
        let status = self.child.wait().await.unwrap();
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "the daemon ended by itself");
    }

    /// Asks it to stop, as systemd does.
    pub(crate) fn ask_to_stop(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }

    /// Asks it to read its rules file again, as `systemctl reload` does.
    pub(crate) fn ask_to_reload(&self) {
        kill_process(self.pid(), Signal::HUP).unwrap();
    }

    /// Waits for its end, and returns how it ended and all that it logged.
    pub(crate) async fn ended(mut self) -> (ExitStatus, String) {
        let status = timeout(PATIENCE, self.child.wait()).await;
        let status = status.unwrap_or_else(|_| panic!("the daemon does not end")).unwrap();
        // The rest of what it wrote is in the pipe.
        let _ = (&mut self.reading).await;
        (status, self.log.text())
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(self) {
        self.ask_to_stop();
        let (status, log) = self.ended().await;
        assert_eq!(status.code(), Some(0), "{log}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the daemon's log:\n{}", self.log.text());
        }
    }
}

/// Sends signed messages to one address.
#[derive(Clone)]
pub(crate) struct Sender {
    http: Client,
    url: String,
    key: SigningKey,
}

/// What the daemon answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: reqwest::header::HeaderMap,
    /// The body, as it came.
    pub(crate) body: String,
}

impl Sender {
    /// One who sends to this address and trusts the system's certificate authorities.
    pub(crate) fn to(url: &str) -> Self {
        Self::trusting(url, Tls::default())
    }

    /// One who sends to this address and trusts others.
    pub(crate) fn trusting(url: &str, tls: Tls) -> Self {
        let tls = (*tls.client_config().unwrap()).clone();
        let http = Client::builder().tls_backend_preconfigured(tls).timeout(PATIENCE).build().unwrap();
        Self { http, url: url.to_owned(), key: secret() }
    }

    /// Sends an event; an error is no answer.
    pub(crate) async fn send(&self, event: &Event) -> reqwest::Result<Answer> {
        self.send_body(&event.message_id, event.body.clone()).await
    }

    /// Signs a body and sends it as this message.
    pub(crate) async fn send_body(
        &self,
        message_id: &str,
        body: impl Into<Vec<u8>>,
    ) -> reqwest::Result<Answer> {
        let body = body.into();
        Answer::of(self.signed(message_id, Timestamp::now(), &body).body(body).send().await?).await
    }

    /// A request with the headers of a message that was signed then; without its body.
    pub(crate) fn signed(&self, message_id: &str, at: Timestamp, body: &[u8]) -> RequestBuilder {
        let headers = self.key.sign(message_id, at, body);
        self.http
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header(ID_HEADER, headers.id)
            .header(TIMESTAMP_HEADER, headers.timestamp)
            .header(SIGNATURE_HEADER, headers.signature)
    }

    /// The client, for requests of other kinds.
    pub(crate) fn http(&self) -> &Client {
        &self.http
    }
}

impl Answer {
    /// Reads an answer to its end.
    pub(crate) async fn of(response: Response) -> reqwest::Result<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, body: response.text().await? })
    }

    /// The body, which is JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON: {error}: {self:?}"))
    }

    /// The status code and what the body calls it: `200 committed`.
    pub(crate) fn text(&self) -> String {
        format!("{} {}", self.status, self.json()["status"].as_str().unwrap_or("?"))
    }
}
