//! What an OpenTelemetry collector is sent of one event.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use warp::Filter as _;

use crate::support::{Application, PATIENCE, Person, Site};

/// Takes spans.
struct Collector {
    endpoint: String,
    requests: mpsc::Receiver<Value>,
    arrived: Vec<Value>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = mpsc::channel(64);
        let posted =
            warp::path!("v1" / "traces").and(warp::post()).and(warp::body::json()).then(move |body| {
                let sender = sender.clone();
                async move {
                    sender.send(body).await.unwrap();
                    "{}"
                }
            });
        tokio::spawn(warp::serve(posted).incoming(listener).run());
        Self { endpoint, requests, arrived: Vec::new() }
    }

    /// Every span of that name that has arrived, once there is one.
    async fn spans(&mut self, name: &str) -> Vec<Value> {
        loop {
            let found: Vec<Value> =
                self.arrived.iter().filter(|span| span["name"] == name).cloned().collect();
            if !found.is_empty() {
                return found;
            }
            let request = tokio::time::timeout(PATIENCE, self.requests.recv()).await;
            let request = request.unwrap_or_else(|_| panic!("no {name}: {:#?}", self.arrived)).unwrap();
            let spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
            self.arrived.extend(spans.iter().cloned());
        }
    }
}

fn attributes(span: &Value) -> BTreeMap<&str, String> {
    let pairs = span["attributes"].as_array().unwrap().iter();
    let text =
        |value: &Value| value["stringValue"].as_str().or(value["intValue"].as_str()).unwrap().to_owned();
    pairs.map(|pair| (pair["key"].as_str().unwrap(), text(&pair["value"]))).collect()
}

#[tokio::test]
async fn an_event_is_one_trace_from_its_webhook_to_the_sink_also_over_a_restart() {
    let mut collector = Collector::start().await;
    let mut app = Application::start().await;
    let site = Site::new().sink("app", &app.section());
    let site = site.section(&format!("traces: {{endpoint: '{}'}}", collector.endpoint));
    let daemon = site.start().await;
    app.0.stop().await;
    let ada = Person::new("ada");
    let event = ada.created();
    daemon.send([&event]).await;
    // What was recorded is sent before the end.
    daemon.stop().await;
    let received = collector.spans("receive").await.remove(0);
    let expected = [
        ("rolecall.event.id", event.id.as_str()),
        ("rolecall.outcome", "committed"),
        ("rolecall.source", "scalekit"),
    ];
    assert_eq!(attributes(&received), expected.map(|(key, value)| (key, value.to_owned())).into());
    for name in ["verify", "commit"] {
        let part = collector.spans(name).await.remove(0);
        assert_eq!(part["traceId"], received["traceId"]);
        assert_eq!(part["parentSpanId"], received["spanId"]);
    }

    app.0.restart().await;
    let daemon = site.start().await;
    site.settled().await;
    let applied = collector.spans("apply").await.remove(0);
    assert_eq!((&applied["traceId"], &applied["parentSpanId"]), (&received["traceId"], &received["spanId"]));
    let told = attributes(&applied);
    let told = ["sink", "entity.id", "outcome", "action"]
        .map(|key| told[format!("rolecall.{key}").as_str()].as_str());
    assert_eq!(told, ["app", ada.id.as_str(), "applied", "created"]);
    let spans = collector.arrived.iter().map(Value::to_string).collect::<String>();
    assert!(!spans.contains("example.com") && !spans.contains("Ada"), "spans say who somebody is: {spans}");
    daemon.stop().await;
}

#[tokio::test]
async fn an_event_that_was_overtaken_while_it_waited_says_by_which() {
    let mut collector = Collector::start().await;
    let mut app = Application::start().await;
    let site = Site::new().sink("app", &app.section());
    let site = site.section(&format!("traces: {{endpoint: '{}'}}", collector.endpoint));
    let daemon = site.start().await;
    app.0.stop().await;
    let ada = Person::new("ada");
    let (created, renamed) = (ada.created(), ada.clone().with("title", "Countess").updated());
    daemon.send([&created]).await;
    daemon.send([&renamed]).await;
    app.0.restart().await;
    let superseded = collector.spans("superseded").await;
    let [superseded] = superseded.as_slice() else { panic!("{superseded:#?}") };
    let told = attributes(superseded);
    assert_eq!((&*told["rolecall.sink"], &*told["rolecall.superseded_by"]), ("app", renamed.id.as_str()));
    let received = collector.spans("receive").await;
    let of =
        |event: &str| received.iter().find(|span| attributes(span)["rolecall.event.id"] == event).unwrap();
    let (first, second) = (of(&created.id), of(&renamed.id));
    assert_eq!((&superseded["traceId"], &superseded["parentSpanId"]), (&first["traceId"], &first["spanId"]));
    let link = &superseded["links"][0];
    assert_eq!((&link["traceId"], &link["spanId"]), (&second["traceId"], &second["spanId"]));
    let applied = collector.spans("apply").await;
    assert!(applied.iter().any(|span| span["traceId"] == second["traceId"]), "{applied:#?}");
    daemon.stop().await;
}
