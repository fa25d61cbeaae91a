//! Spans on their way to a collector, which the test plays.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use rolecall_sink_api::tls::Tls;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use warp::Filter as _;

use super::{Ending, EventTrace, Kind, Span, Traces, TracesConfig, WAITING};

/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes requests, and answers each with the next of these codes; with 200 when there are no more.
struct Collector {
    endpoint: String,
    requests: mpsc::Receiver<Value>,
}

impl Collector {
    async fn start(answers: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = mpsc::channel(16);
        let answers: Arc<Mutex<Vec<u16>>> = Arc::new(Mutex::new(answers.iter().rev().copied().collect()));
        let posted =
            warp::path!("v1" / "traces").and(warp::post()).and(warp::body::json()).then(move |body| {
                let (sender, answers) = (sender.clone(), Arc::clone(&answers));
                async move {
                    let code = answers.lock().unwrap().pop().unwrap_or(200);
                    sender.send(body).await.unwrap();
                    let reply = warp::reply::with_header("{}", "retry-after", "0");
                    warp::reply::with_status(reply, StatusCode::from_u16(code).unwrap())
                }
            });
        tokio::spawn(warp::serve(posted).incoming(listener).run());
        Self { endpoint, requests }
    }

    async fn next(&mut self) -> Value {
        tokio::time::timeout(PATIENCE, self.requests.recv()).await.expect("a request comes").unwrap()
    }
}

fn started(endpoint: &str) -> (Traces, CancellationToken, JoinHandle<()>) {
    let config = TracesConfig { endpoint: endpoint.to_owned(), tls: Tls::default() };
    let (traces, exporter) = Traces::to(&config).unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(exporter.run(stop.clone()));
    (traces, stop, running)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

fn spans() -> [Span; 2] {
    let trace = EventTrace::of("evt_1");
    let received = trace.root("receive", at(0), at(1)).kind(Kind::Server).with("rolecall.source", "scalekit");
    let applied = trace.child("apply", at(3600), at(3601)).kind(Kind::Client).ending(Ending::Failed);
    [received, applied.with("rolecall.attempts", 2)]
}

#[tokio::test]
async fn spans_arrive_as_otlp_has_them() {
    let mut collector = Collector::start(&[]).await;
    let (traces, stop, running) = started(&collector.endpoint);
    traces.record(spans);
    let request = collector.next().await;
    let resource = &request["resourceSpans"][0];
    assert_eq!(
        resource["resource"]["attributes"][0],
        json!({"key": "service.name", "value": {"stringValue": "rolecall"}})
    );
    let [received, applied] = resource["scopeSpans"][0]["spans"].as_array().unwrap().as_slice() else {
        panic!("{request}");
    };
    assert_eq!(
        *received,
        json!({
            // Digests of the event's id; whoever changes them cuts traces that have begun in two.
            "traceId": "5aba6ad2a2732b775f83c36a57aba2a6",
            "spanId": "1a820c6be0c6e19e",
            "name": "receive",
            "kind": 2,
            "startTimeUnixNano": "1767225600000000000",
            "endTimeUnixNano": "1767225601000000000",
            "attributes": [{"key": "rolecall.source", "value": {"stringValue": "scalekit"}}],
            "flags": 0x101,
        })
    );
    assert_eq!((&applied["traceId"], &applied["parentSpanId"]), (&received["traceId"], &received["spanId"]));
    assert_ne!(applied["spanId"], received["spanId"]);
    assert_eq!((&applied["kind"], &applied["status"]), (&json!(3), &json!({"code": 2})));
    assert_eq!(applied["attributes"][0], json!({"key": "rolecall.attempts", "value": {"intValue": "2"}}));

    stop.cancel();
    drop(traces);
    running.await.unwrap();
}

#[test]
fn a_span_can_lead_to_the_trace_of_another_event() {
    let other = EventTrace::of("evt_2");
    let overtaken = EventTrace::of("evt_1").child("superseded", at(0), at(1)).linked(other);
    let request = super::otlp::request(&[overtaken, other.root("receive", at(0), at(1))]);
    let [overtaken, received] =
        request["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().as_slice()
    else {
        panic!("{request}");
    };
    assert_eq!(overtaken["links"], json!([{"traceId": received["traceId"], "spanId": received["spanId"]}]));
    assert_eq!(received["links"], Value::Null);
}

#[tokio::test]
async fn a_collector_that_is_busy_is_sent_the_same_again() {
    let mut collector = Collector::start(&[503]).await;
    let (traces, stop, running) = started(&collector.endpoint);
    traces.record(spans);
    assert_eq!(collector.next().await, collector.next().await);
    let read = traces.clone();
    stop.cancel();
    drop(traces);
    while read.sent() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!((read.sent(), read.dropped()), (2, 0));
    drop(read);
    running.await.unwrap();
}

#[tokio::test]
async fn what_a_collector_refuses_is_counted_and_not_sent_again() {
    let mut collector = Collector::start(&[400]).await;
    let (traces, _stop, _running) = started(&collector.endpoint);
    traces.record(spans);
    let refused = collector.next().await;
    while traces.dropped() == 0 {
        tokio::task::yield_now().await;
    }
    traces.record(|| [EventTrace::of("evt_2").root("receive", at(0), at(1))]);
    assert_ne!(collector.next().await, refused);
    assert_eq!(traces.dropped(), 2);
}

#[tokio::test]
async fn who_records_never_waits_for_a_collector() {
    let config = TracesConfig { endpoint: "http://127.0.0.1:9".into(), tls: Tls::default() };
    // Nobody takes anything out.
    let (traces, _exporter) = Traces::to(&config).unwrap();
    for _ in 0..WAITING {
        traces.record(spans);
    }
    assert_eq!(traces.dropped(), WAITING as u64);
}

#[tokio::test]
async fn what_is_recorded_while_the_daemon_stops_is_sent_too() {
    let mut collector = Collector::start(&[]).await;
    let (traces, stop, running) = started(&collector.endpoint);
    stop.cancel();
    tokio::task::yield_now().await;
    traces.record(spans);
    drop(traces);
    running.await.unwrap();
    assert_eq!(
        collector.next().await["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().len(),
        2
    );
}

#[test]
fn without_a_collector_no_span_is_made() {
    let traces = Traces::default();
    traces.record(|| -> [Span; 0] { panic!("nobody wants it") });
    assert_eq!((traces.sent(), traces.dropped()), (0, 0));
}

#[test]
fn every_event_has_a_trace_of_its_own() {
    let root = |event: &str| EventTrace::of(event).root("receive", at(0), at(0));
    let (one, two) = (root("evt_1"), root("evt_2"));
    assert!(one.trace != two.trace && one.id != two.id);
    assert_eq!(one, root("evt_1"));
}
