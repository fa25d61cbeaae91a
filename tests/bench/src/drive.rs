//! Driving load: each connection sends its next event when the last is answered.
//!
//! The loop is closed, so a slow server is asked less often, and a pause shows in at most one latency for each
//! connection: compare rates and percentiles of runs with equal connections only.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout_at};

use crate::event::{Numbers, Requests};
use crate::report::Report;
use crate::response::Responses;
use crate::signature::Key;
use crate::target::Target;

/// How long a server that is just starting may take until it listens.
const STARTING: Duration = Duration::from_secs(10);

/// How to drive.
#[derive(Clone)]
pub struct Load {
    /// Where to.
    pub target: Target,
    /// What signs the events.
    pub key: Key,
    /// How many connections.
    pub connections: usize,
    /// How long to drive before measuring.
    pub warm_up: Duration,
    /// How long to measure.
    pub measure: Duration,
}

/// When measuring begins and ends.
#[derive(Clone, Copy)]
struct Span {
    begin: Instant,
    end: Instant,
}

impl Load {
    /// Drives, on the calling thread alone: the other cores are the server's.
    ///
    /// # Errors
    /// When the server cannot be connected to within ten seconds.
    pub async fn drive(&self) -> anyhow::Result<Report> {
        self.connect_when_listening().await?;
        let begin = Instant::now() + self.warm_up;
        let span = Span { begin, end: begin + self.measure };
        let report = Rc::new(RefCell::new(Report {
            measured: self.measure,
            connections: self.connections,
            ..Report::default()
        }));
        let numbers = Rc::new(Numbers::from_now());
        let tasks = LocalSet::new();
        for _ in 0..self.connections {
            let (load, report, numbers) = (self.clone(), Rc::clone(&report), Rc::clone(&numbers));
            tasks.spawn_local(async move { load.connection(span, &numbers, &report).await });
        }
        tasks.await;
        Ok(Rc::try_unwrap(report).map(RefCell::into_inner).unwrap_or_default())
    }

    async fn connect_when_listening(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + STARTING;
        loop {
            match TcpStream::connect(&self.target.address).await {
                Ok(_) => return Ok(()),
                Err(_) if Instant::now() < deadline => sleep(Duration::from_millis(20)).await,
                Err(e) => {
                    return Err(e).with_context(|| format!("cannot connect to {}", self.target.address));
                }
            }
        }
    }

    /// One connection after another until the end, a new one whenever the last one broke.
    async fn connection(&self, span: Span, numbers: &Numbers, report: &RefCell<Report>) {
        let mut requests = Requests::new(&self.target, self.key.clone(), numbers);
        while Instant::now() < span.end {
            // At the end, requests that are under way are cut off, and not counted.
            let Ok(Err(error)) = timeout_at(span.end, self.converse(span, &mut requests, report)).await
            else {
                continue;
            };
            if Instant::now() > span.begin {
                let mut report = report.borrow_mut();
                report.errors += 1;
                report.last_error = Some(format!("{error:#}"));
            }
            // A server that refuses connections is not asked in a busy loop.
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn converse(
        &self,
        span: Span,
        requests: &mut Requests<'_>,
        report: &RefCell<Report>,
    ) -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(&self.target.address).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        let mut responses = Responses::default();
        loop {
            let request = requests.next_request();
            let sent = Instant::now();
            stream.write_all(request).await.context("cannot send")?;
            let response = responses.next_response(&mut stream).await?;
            let answered = Instant::now();
            if sent >= span.begin {
                let mut report = report.borrow_mut();
                *report.statuses.entry(response.status).or_default() += 1;
                report.latencies.record(answered - sent);
            }
            if !response.keep_alive {
                return Ok(());
            }
        }
    }
}
