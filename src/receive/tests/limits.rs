//! What a sender cannot use up: time, size, connections.

use std::num::{NonZeroU32, NonZeroUsize};

use serde_json::json;

use super::*;

fn max_body(bytes: usize) -> ListenConfig {
    ListenConfig { max_body_bytes: NonZeroUsize::new(bytes).unwrap(), ..config() }
}

#[tokio::test]
async fn a_message_of_the_largest_size_is_taken_and_a_byte_more_is_not() {
    let daemon = Daemon::start(max_body(USER.len())).await;
    assert_eq!(daemon.send(USER).await.status, 200);
    let heard = daemon.send(format!("{USER} ")).await;
    assert_eq!((heard.status, heard.body), (413, json!({"status": "too_large"})));
    assert_eq!(daemon.counts.of(Answer::TooLarge), 1);
}

#[tokio::test]
async fn a_sender_of_far_too_much_still_hears_why() {
    // More than the buffers between the two hold, so that it is still sending when it is judged.
    let daemon = Daemon::start(max_body(5_000_000)).await;
    let body = "a".repeat(20_000_000);
    let mut stream = daemon.connect().await;
    write(&mut stream, &wire(&key().sign("msg_1", now(), body.as_bytes()), &body)).await;
    let mut said = [0; 13];
    in_time(stream.read_exact(&mut said)).await.unwrap();
    assert_eq!(&said, b"HTTP/1.1 413 ");
}

#[tokio::test]
async fn a_body_without_a_length_is_bounded_too() {
    let daemon = Daemon::start(max_body(200)).await;
    let chunked = |chunks: &str| {
        let head = wire(&key().sign("msg_1", now(), USER.as_bytes()), "");
        head.replace("content-length: 0", "connection: close\r\ntransfer-encoding: chunked") + chunks
    };
    let (front, back) = USER.split_at(20);
    let whole = format!("{:x}\r\n{front}\r\n{:x}\r\n{back}\r\n0\r\n\r\n", front.len(), back.len());
    let mut stream = daemon.connect().await;
    write(&mut stream, &chunked(&whole)).await;
    assert!(until_closed(&mut stream).await.starts_with("HTTP/1.1 200 OK\r\n"));

    let mut stream = daemon.connect().await;
    write(&mut stream, &chunked(&format!("12c\r\n{}\r\n0\r\n\r\n", "a".repeat(300)))).await;
    assert!(until_closed(&mut stream).await.starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn messages_beyond_the_memory_for_all_are_to_be_sent_again() {
    let bytes = NonZeroUsize::new(USER.len()).unwrap();
    let config = ListenConfig { max_held_bytes: bytes, ..max_body(USER.len()) };
    let (daemon, mut store) = Daemon::with_store(config).await;
    let full = async {
        let held = in_time(store.recv()).await.unwrap();
        let heard = daemon.send(USER).await;
        held.answer.send(Ok(Receipt::Committed)).unwrap();
        heard
    };
    let (first, second) = tokio::join!(daemon.send(USER), full);
    assert_eq!((first.status, second.status), (200, 503));
}

#[tokio::test]
async fn a_message_that_waits_for_the_store_is_held_also_after_its_sender_was_answered() {
    let bytes = NonZeroUsize::new(USER.len()).unwrap();
    let config = ListenConfig { max_held_bytes: bytes, answer_timeout: millis(50), ..max_body(USER.len()) };
    let (daemon, mut store) = Daemon::with_store(config).await;
    assert_eq!(daemon.send(USER).await.status, 503);
    assert_eq!(daemon.send(USER).await.status, 503);
    drop(in_time(store.recv()).await.unwrap());
    assert!(store.try_recv().is_err(), "a second message waits beside the one that takes all the memory");
    assert_eq!(daemon.send(USER).await.status, 503);
    assert!(store.try_recv().is_ok(), "the memory was not given back");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    let daemon = Daemon::start(ListenConfig { body_timeout: millis(50), ..config() }).await;
    let request = wire(&key().sign("msg_1", now(), USER.as_bytes()), USER);
    let mut stream = daemon.connect().await;
    write(&mut stream, &request[..request.len() - 1]).await;
    assert!(until_closed(&mut stream).await.starts_with("HTTP/1.1 408 "));
    assert_eq!(daemon.counts.of(Answer::Incomplete), 1);
}

#[tokio::test]
async fn a_connection_without_a_whole_request_head_is_closed() {
    let daemon = Daemon::start(ListenConfig { header_timeout: millis(100), ..config() }).await;
    for opening in ["", "P", "PRI * HTTP/2.0\r\n", "POST /webhooks/scalekit HTTP/1.1\r\nhost: ro"] {
        let mut stream = daemon.connect().await;
        write(&mut stream, opening).await;
        assert_eq!(until_closed(&mut stream).await, "", "{opening:?}");
    }
    // An HTTP/2 connection that never asks anything: its own settings and a farewell are all it hears.
    let mut stream = daemon.connect().await;
    write(&mut stream, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0").await;
    let mut said = Vec::new();
    let _ = in_time(stream.read_to_end(&mut said)).await;
    assert_eq!(said[3], 4, "not HTTP/2's settings: {said:?}");
}

#[tokio::test]
async fn a_connection_that_idles_after_its_answer_is_closed() {
    let daemon = Daemon::start(ListenConfig { header_timeout: millis(300), ..config() }).await;
    let mut stream = daemon.connect().await;
    write(&mut stream, &wire(&key().sign("msg_1", now(), USER.as_bytes()), USER)).await;
    let said = until_closed(&mut stream).await;
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.ends_with(r#""evt_7"}"#), "{said}");
}

#[tokio::test]
async fn a_request_that_waits_for_the_store_does_not_idle() {
    let (daemon, mut store) =
        Daemon::with_store(ListenConfig { header_timeout: millis(200), ..config() }).await;
    let mut stream = daemon.connect().await;
    write(&mut stream, &wire(&key().sign("msg_1", now(), USER.as_bytes()), USER)).await;
    let held = in_time(store.recv()).await.unwrap();
    // Two others are opened and given up meanwhile.
    for _ in 0..2 {
        until_closed(&mut daemon.connect().await).await;
    }
    held.answer.send(Ok(Receipt::Committed)).unwrap();
    let said = until_closed(&mut stream).await;
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
    assert!(!said.contains("connection: close"), "it was about to be given up: {said}");
}

#[tokio::test]
async fn a_connection_too_many_waits_for_its_turn() {
    let config = ListenConfig { max_connections: NonZeroU32::MIN, ..config() };
    let daemon = Daemon::start(config).await;
    let mut first = daemon.connect().await;
    let mut second = daemon.connect().await;
    write(&mut second, &wire(&key().sign("msg_2", now(), USER.as_bytes()), USER)).await;
    write(&mut first, &wire(&key().sign("msg_1", now(), USER.as_bytes()), USER)).await;
    let mut byte = [0];
    in_time(first.read_exact(&mut byte)).await.unwrap();
    let waits = second.try_read(&mut byte).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    assert!(waits, "it was served beside the first");
    assert_eq!(daemon.counts.of(Answer::Committed), 1);
    drop(first);
    in_time(second.read_exact(&mut byte)).await.unwrap();
    assert_eq!(daemon.counts.of(Answer::Committed), 2);
}

#[tokio::test]
async fn whoever_says_nothing_makes_room_for_those_who_wait() {
    let one =
        ListenConfig { max_connections: NonZeroU32::MIN, header_timeout: Timespan::from_days(1), ..config() };
    for opening in ["", "POST /webhooks/scalekit HTTP/1.1\r\nhost: ro"] {
        let daemon = Daemon::start(one.clone()).await;
        let mut silent = daemon.connect().await;
        write(&mut silent, opening).await;
        assert_eq!(daemon.send(USER).await.status, 200, "{opening:?}");
        assert_eq!(until_closed(&mut silent).await, "");
    }
}

#[tokio::test]
async fn a_body_that_does_not_arrive_makes_room_for_those_who_wait() {
    let body_timeout = Timespan::from_days(1);
    let one = ListenConfig { max_connections: NonZeroU32::MIN, body_timeout, ..config() };
    let daemon = Daemon::start(one).await;
    let request = wire(&key().sign("msg_1", now(), USER.as_bytes()), USER);
    let mut slow = daemon.connect().await;
    write(&mut slow, &request[..request.len() - 1]).await;
    assert_eq!(daemon.send(USER).await.status, 200);
    let said = until_closed(&mut slow).await;
    assert!(said.starts_with("HTTP/1.1 503 "), "it may be sent again: {said}");
}

#[tokio::test]
async fn a_request_head_is_bounded() {
    let daemon = Daemon::start(config()).await;
    let mut stream = daemon.connect().await;
    write(&mut stream, &format!("GET /healthz HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(65))).await;
    assert!(until_closed(&mut stream).await.starts_with("HTTP/1.1 431 "));

    // One that is cut off while it still sends may not hear why.
    let mut stream = daemon.connect().await;
    let head = format!("GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(100_000));
    let _ = stream.write_all(head.as_bytes()).await;
    let said = until_closed(&mut stream).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 431 "), "{said}");
}

#[test]
fn limits_that_let_nothing_through_are_refused() {
    let refused = |config: ListenConfig| config.check().unwrap_err().path;
    assert_eq!(refused(ListenConfig { body_timeout: millis(0), ..config() }), "body_timeout");
    assert_eq!(
        refused(ListenConfig { header_timeout: Timespan::from_days(2), ..config() }),
        "header_timeout"
    );
    let held = NonZeroUsize::new(1000).unwrap();
    assert_eq!(refused(ListenConfig { max_held_bytes: held, ..config() }), "max_held_bytes");
    assert_eq!(ListenConfig::default().check(), Ok(()));
}
