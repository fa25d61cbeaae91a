//! The conversation with one process: a request, its answer, and nothing else.

use std::borrow::Cow;
use std::time::Duration;

use rolecall_sink_api::{Change, Outcome, SinkDown, SinkName, Timespan, printable};
use tokio::time::{Instant, timeout_at};

use crate::config::Config;
use crate::lines::Line;
use crate::process::{MAX_ANSWER, Process};
use crate::protocol::{Answer, Ask, Hello, Item, Reply, Request, VERSION, millis};

/// How much of a line that is not what it should be is shown, in characters.
const EXCERPT: usize = 200;
/// How long a plugin that closed its standard output may take to end by itself.
const LAST_STEPS: Duration = Duration::from_secs(1);

/// A plugin that said hello.
pub(crate) struct Session {
    process: Process,
    last_id: u64,
    hello: Hello,
}

/// Why a request brought nothing.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The plugin says that its target is down. It goes on well itself.
    Down(SinkDown),
    /// The plugin did what it must not. It cannot be talked to any more.
    Broken(Broken),
}

/// What a plugin did that it must not.
#[derive(Debug)]
pub(crate) struct Broken {
    /// What was expected and what came, without the program's name.
    pub(crate) what: String,
    /// Whether it closed its standard output, and so is about to end.
    pub(crate) closed: bool,
}

fn broken(what: impl Into<String>) -> Trouble {
    Trouble::Broken(Broken { what: what.into(), closed: false })
}

/// A request that waits for its answer.
struct Asked {
    id: u64,
    title: String,
    deadline: Instant,
    /// The time it has, and the key that says so.
    limit: (Duration, &'static str),
}

impl Session {
    /// Starts the plugin and lets it introduce itself.
    pub(crate) async fn start(config: &Config, sink: &SinkName) -> Result<Self, Trouble> {
        let process = Process::start(config, sink).map_err(broken)?;
        let unknown = Hello { protocol: 0, name: String::new(), version: None, can: Default::default() };
        let mut session = Self { process, last_id: 0, hello: unknown };
        let ask = Ask::Hello { protocol: VERSION, sink: sink.clone() };
        let limit = (config.start_timeout.get(), "start_timeout");
        match session.greet(ask, limit).await {
            Ok(hello) => {
                session.hello = hello;
                Ok(session)
            }
            Err(Trouble::Broken(what)) => Err(Trouble::Broken(session.end(what).await)),
            Err(down) => Err(down),
        }
    }

    async fn greet(&mut self, ask: Ask<'_>, limit: (Duration, &'static str)) -> Result<Hello, Trouble> {
        match self.ask(ask, limit).await? {
            (Reply::Hello(hello), _) if hello.protocol == VERSION => Ok(hello),
            (Reply::Hello(hello), _) => Err(broken(format!(
                "speaks version {} of the protocol, and this rolecall version {VERSION}; use a plugin and a rolecall \
                 that belong together",
                hello.protocol
            ))),
            (reply, line) => Err(unexpected("hello", &reply, &line)),
        }
    }

    pub(crate) fn hello(&self) -> &Hello {
        &self.hello
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.process.has_ended()
    }

    pub(crate) async fn probe(&mut self, config: &Config) -> Result<(), Trouble> {
        match self.ask(Ask::Probe, (config.timeout.get(), "timeout")).await? {
            (Reply::Ready, _) => Ok(()),
            (reply, line) => Err(unexpected("ready", &reply, &line)),
        }
    }

    pub(crate) async fn apply(
        &mut self,
        config: &Config,
        changes: &[Change],
    ) -> Result<Vec<Outcome>, Trouble> {
        let ask = Ask::Apply { changes: Cow::Borrowed(changes) };
        match self.ask(ask, (config.timeout.get(), "timeout")).await? {
            (Reply::Outcomes { outcomes }, _) if outcomes.len() == changes.len() => Ok(outcomes),
            (Reply::Outcomes { outcomes }, line) => Err(broken(format!(
                "expected as many outcomes as changes, {}, and {} came: {}",
                changes.len(),
                outcomes.len(),
                excerpt(&line)
            ))),
            (reply, line) => Err(unexpected("outcomes", &reply, &line)),
        }
    }

    /// Asks for what the target holds; [`Session::observed`] gets it.
    pub(crate) async fn observe(&mut self, config: &Config) -> Result<Observing, Trouble> {
        let (asked, line) = self.send(Ask::Observe, (config.timeout.get(), "timeout")).await?;
        let end = Instant::now() + config.observe_timeout.get();
        let limit = config.observe_timeout;
        Ok(Observing { asked, first: Some(line), end, limit })
    }

    /// More of what the target holds; `None` at the end.
    pub(crate) async fn observed(&mut self, under_way: &mut Observing) -> Result<Option<Vec<Item>>, Trouble> {
        if Instant::now() > under_way.end {
            return Err(broken(format!(
                "was not done with observe within {} (`observe_timeout`)",
                under_way.limit
            )));
        }
        let line = match under_way.first.take() {
            Some(line) => line,
            None => {
                under_way.asked.deadline = Instant::now() + under_way.asked.limit.0;
                self.receive(&under_way.asked).await?
            }
        };
        match under_way.asked.read(&line)? {
            Reply::Observed { items } => Ok(Some(items)),
            Reply::End => Ok(None),
            reply => Err(unexpected("observed` or `end", &reply, &line)),
        }
    }

    /// One request and its one answer, with the answer's line.
    async fn ask(
        &mut self,
        ask: Ask<'_>,
        limit: (Duration, &'static str),
    ) -> Result<(Reply, Vec<u8>), Trouble> {
        let (asked, line) = self.send(ask, limit).await?;
        Ok((asked.read(&line)?, line))
    }

    /// Sends a request, and receives the first line that comes after it.
    async fn send(
        &mut self,
        ask: Ask<'_>,
        limit: (Duration, &'static str),
    ) -> Result<(Asked, Vec<u8>), Trouble> {
        self.last_id += 1;
        let asked = Asked { id: self.last_id, title: ask.title(), deadline: Instant::now() + limit.0, limit };
        let mut line = serde_json::to_vec(&Request { id: asked.id, ask })
            .map_err(|error| broken(format!("the request cannot be written as JSON: {error}")))?;
        line.push(b'\n');
        let line = match timeout_at(asked.deadline, self.process.write(&line)).await {
            Ok(Ok(None)) => self.receive(&asked).await?,
            Ok(Ok(Some(early))) => {
                let early = asked.line(Ok(Ok(early)))?;
                return Err(broken(format!(
                    "spoke before it had read all of the request {}: {}",
                    asked.title,
                    excerpt(&early)
                )));
            }
            Ok(Err(error)) => asked.line(Ok(Err(error)))?,
            Err(elapsed) => asked.line(Err(elapsed))?,
        };
        Ok((asked, line))
    }

    async fn receive(&mut self, asked: &Asked) -> Result<Vec<u8>, Trouble> {
        let came = timeout_at(asked.deadline, self.process.next_line()).await;
        asked.line(came)
    }

    /// Stops the plugin, which has done nothing wrong.
    pub(crate) async fn stop(self, grace: Duration) {
        self.process.stop(grace).await;
    }

    /// Ends a plugin that cannot be talked to any more, and adds to what it did how it ended.
    pub(crate) async fn end(self, broken: Broken) -> Broken {
        let grace = if broken.closed { LAST_STEPS } else { Duration::ZERO };
        let ended = self.process.end(grace).await;
        let mut what = broken.what;
        match ended.status {
            Some(status) => what.push_str(&format!("; it ended with {status}")),
            None => what.push_str("; it was killed"),
        }
        if let Some(words) = ended.last_words {
            what.push_str(&format!("; the last on its standard error: {}", printable(&words, EXCERPT)));
        }
        Broken { what, ..broken }
    }
}

/// An `observe` that is not at its end.
pub(crate) struct Observing {
    asked: Asked,
    first: Option<Vec<u8>>,
    end: Instant,
    limit: Timespan,
}

impl Asked {
    /// The line, when one came in time and whole.
    fn line(
        &self,
        came: Result<std::io::Result<Line>, tokio::time::error::Elapsed>,
    ) -> Result<Vec<u8>, Trouble> {
        let Self { title, limit: (limit, key), .. } = self;
        let closed = |what: String| Trouble::Broken(Broken { what, closed: true });
        match came {
            Ok(Ok(Line::Whole(line))) => Ok(line),
            Ok(Ok(Line::TooLong(line))) => Err(broken(format!(
                "expected the answer to {title}, and a line of more than {MAX_ANSWER} bytes came: {}",
                excerpt(&line)
            ))),
            Ok(Ok(Line::End(line))) if line.is_empty() => {
                Err(closed(format!("expected the answer to {title}, and its standard output was closed")))
            }
            Ok(Ok(Line::End(line))) => Err(closed(format!(
                "expected the answer to {title}, and its standard output was closed in the middle of it: {}",
                excerpt(&line)
            ))),
            Ok(Err(error)) => {
                Err(closed(format!("expected the answer to {title}, which cannot be read: {error}")))
            }
            Err(_) => Err(broken(format!(
                "expected the answer to {title} within {limit:?} (`{key}`), and none came"
            ))),
        }
    }

    /// The answer in a line, when it is one to this request.
    fn read(&self, line: &[u8]) -> Result<Reply, Trouble> {
        let Self { id, title, .. } = self;
        let answer: Answer = serde_json::from_slice(line).map_err(|error| {
            broken(format!(
                "expected the answer to {title} as one line of JSON, and this came: {} ({error})",
                excerpt(line)
            ))
        })?;
        if answer.id != *id {
            return Err(broken(format!(
                "expected the answer to request {id} ({title}), and one to request {} came: {}",
                answer.id,
                excerpt(line)
            )));
        }
        match answer.reply {
            Reply::Down { reason, after } => Err(Trouble::Down(SinkDown { reason, after: millis(after) })),
            reply => Ok(reply),
        }
    }
}

fn unexpected(expected: &str, reply: &Reply, line: &[u8]) -> Trouble {
    broken(format!("expected `{expected}`, and `{}` came: {}", reply.word(), excerpt(line)))
}

fn excerpt(line: &[u8]) -> String {
    // Whatever is cut off is more than is shown.
    let beginning = &line[..line.len().min(EXCERPT * 4)];
    let text = String::from_utf8_lossy(beginning);
    if text.trim().is_empty() { "an empty line".into() } else { printable(&text, EXCERPT) }
}
