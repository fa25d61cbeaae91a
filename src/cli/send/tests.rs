use clap::Parser as _;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;
use crate::cli::{Cli, Command};
use crate::directory::Fact;
use crate::receive::{NamedSource, Receiver};
use crate::source::{Reading, Sample};
use crate::store::{Intake, Message, Receipt};
use crate::traces::Traces;

fn refused(arguments: &str) -> bool {
    Cli::try_parse_from(format!("rolecall send {arguments}").split_whitespace()).is_err()
}

#[test]
fn what_is_sent_is_said_and_said_once() {
    assert!(refused(""));
    assert!(refused("event.json --sample user_created"));
    assert!(refused("event.json --as-is"));
    assert!(refused("--sample user_created --secret-file a --secret-env b"));
    assert!(!refused("--list"));
    assert!(!refused("- --url http://localhost/x --secret-env SECRET"));
}

#[test]
fn a_receiver_that_listens_everywhere_is_reached_here() {
    let source = SourceName::try_from("scalekit".to_owned()).unwrap();
    for (listens, expected) in [
        ("0.0.0.0:8080", "http://127.0.0.1:8080/webhooks/scalekit"),
        ("[::]:8080", "http://[::1]:8080/webhooks/scalekit"),
        ("192.0.2.1:443", "http://192.0.2.1:443/webhooks/scalekit"),
    ] {
        let listen = ListenConfig { address: listens.parse().unwrap(), ..ListenConfig::default() };
        assert_eq!(address(&listen, &source).unwrap().as_str(), expected);
    }
}

#[test]
fn a_refusal_is_shown_with_where_to_look() {
    let answer = Answer {
        url: "http://h/webhooks/x".into(),
        message_id: "msg_1".into(),
        status: 404,
        body: "{\"status\":\"not_found\"}".into(),
    };
    let shown = anstream::adapter::strip_str(&answer.render()).to_string();
    assert_eq!(
        shown,
        "404 Not Found from http://h/webhooks/x\n{\"status\":\"not_found\"}\nThere is no such source there: \
         the address ends in /webhooks/ and the source's name.\n"
    );
}

/// A real receiver whose store says yes to everything.
struct Receiving {
    url: String,
    received: mpsc::UnboundedReceiver<Message>,
    directory: TempDir,
    _stop: DropGuard,
}

impl Receiving {
    async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let secret = directory.path().join("secret");
        std::fs::write(&secret, "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n").unwrap();
        let source = serde_json::json!({"type": "scalekit", "secrets": [{"file": secret}]});
        let name = SourceName::try_from("scalekit".to_owned()).unwrap();
        let source = NamedSource::new(name, &serde_json::from_value(source).unwrap()).unwrap();
        let listen = ListenConfig { address: "127.0.0.1:0".parse().unwrap(), ..ListenConfig::default() };
        let (intake, mut inbox) = Intake::new(4);
        let bound = Receiver::new(listen, vec![source], intake, Timestamp::now, Traces::default()).unwrap();
        let bound = bound.bind(None).await.unwrap();
        let url = format!("http://{}/webhooks/scalekit", bound.local_addr());
        let stop = CancellationToken::new();
        tokio::spawn(bound.serve(stop.clone()));
        let (sender, received) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(submission) = inbox.recv().await {
                sender.send(submission.message).unwrap();
                submission.answer.send(Ok(Receipt::Committed)).unwrap();
            }
        });
        Self { url, received, directory, _stop: stop.drop_guard() }
    }

    async fn send(&self, arguments: &[&str]) -> Result<Answer, Failure> {
        let command = [&["rolecall", "send", "--url", &self.url], arguments].concat();
        let Command::Send(send) = Cli::try_parse_from(command).unwrap().command else { unreachable!() };
        send.send(Path::new("/nowhere/rolecall.yaml")).await
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_sample_arrives_signed_as_a_new_event_with_the_values_set() {
    let mut receiving = Receiving::start().await;
    let secret = receiving.directory.path().join("secret");
    let arguments = ["--sample", "user_created", "--set", "data.email=ada@example.com", "--secret-file"];
    let answer = receiving.send(&[&arguments[..], &[secret.to_str().unwrap()]].concat()).await.unwrap();

    assert!(answer.is_success(), "{answer:?}");
    let message = receiving.received.recv().await.unwrap();
    assert_eq!(message.message_id, answer.message_id);
    let Reading::Event { event, kind } = message.reading else { panic!("{message:?}") };
    assert_eq!(kind, "organization.directory.user_created");
    assert!(answer.body.contains(event.stamp.event.as_str()), "{answer:?}");
    assert!(!Sample::named("user_created").unwrap().body.contains(event.stamp.event.as_str()));
    let emails = event.facts.iter().filter_map(|fact| match fact {
        Fact::UserProfile { profile, .. } => profile.email.as_deref(),
        _ => None,
    });
    assert_eq!(emails.collect::<Vec<_>>(), ["ada@example.com"]);
}

#[tokio::test]
async fn a_file_signed_with_another_secret_is_refused() {
    let receiving = Receiving::start().await;
    let event = receiving.file("event.json", Sample::named("group_created").unwrap().body);
    let other = receiving.file("other", "whsec_YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODk=");
    let answer = receiving.send(&[&event, "--secret-file", &other]).await.unwrap();
    assert_eq!((answer.status, answer.is_success()), (400, false));
}

#[tokio::test]
async fn what_goes_wrong_before_an_answer_is_told_apart() {
    let receiving = Receiving::start().await;
    let secret = receiving.directory.path().join("secret");
    let secret = ["--secret-file", secret.to_str().unwrap()];
    let no_sample = receiving.send(&[&["--sample", "user_craeted"][..], &secret].concat()).await.unwrap_err();
    assert_eq!(no_sample.exit(), Exit::Usage, "{no_sample}");
    let no_secret = ["--sample", "user_created", "--secret-env", "ROLECALL_TEST_NO_SUCH_VARIABLE"];
    let no_secret = receiving.send(&no_secret).await.unwrap_err();
    assert_eq!(no_secret.exit(), Exit::Usage, "{no_secret}");
    let no_config = receiving.send(&["--sample", "user_created"]).await.unwrap_err();
    assert_eq!(no_config.exit(), Exit::Usage, "{no_config}");

    let mut receiving = receiving;
    // Bound, so that it is nobody else's, and not listening.
    let silent = tokio::net::TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    receiving.url = format!("http://{}/webhooks/scalekit", silent.local_addr().unwrap());
    let unanswered =
        receiving.send(&[&["--sample", "user_created"][..], &secret].concat()).await.unwrap_err();
    assert_eq!(unanswered.exit(), Exit::Unreachable, "{unanswered}");
    assert!(unanswered.to_string().starts_with("nobody answered at http://127.0.0.1:"), "{unanswered}");
}
