//! The least that could acknowledge a webhook durably: warp, one HMAC, one row in SQLite, group commit.
//!
//! It does nothing with the event. What the daemon reaches is read as a share of what this reaches on the same machine.

use std::path::PathBuf;
use std::thread;

use anyhow::Context;
use bytes::Bytes;
use clap::Parser;
use rolecall_bench::signature::Key;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use warp::Filter;
use warp::http::StatusCode;

/// A skeleton to compare with.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    address: std::net::SocketAddr,
    /// The file with the signing secret (whsec_…).
    #[arg(long)]
    secret_file: PathBuf,
    /// The database file, made anew.
    #[arg(long)]
    store: PathBuf,
}

struct Write {
    id: String,
    body: Bytes,
    stored: oneshot::Sender<()>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let key = Key::from_secret(&std::fs::read_to_string(&arguments.secret_file)?)?;
    let store = Connection::open(&arguments.store).context("cannot open the store")?;
    store.pragma_update(None, "journal_mode", "WAL")?;
    store.pragma_update(None, "synchronous", "FULL")?;
    store.execute_batch("CREATE TABLE event (id TEXT PRIMARY KEY, body BLOB NOT NULL)")?;
    let (writes, waiting) = mpsc::channel(4096);
    // It ends with the process.
    thread::spawn(move || commit(&store, waiting));

    let receive = warp::post()
        .and(warp::path!("webhooks" / String))
        .and(warp::header::<String>("webhook-id"))
        .and(warp::header::<String>("webhook-timestamp"))
        .and(warp::header::<String>("webhook-signature"))
        .and(warp::body::content_length_limit(1024 * 1024))
        .and(warp::body::bytes())
        .then(move |_source, id: String, timestamp: String, signature: String, body: Bytes| {
            let (key, writes) = (key.clone(), writes.clone());
            async move {
                if !key.verifies(id.as_bytes(), timestamp.as_bytes(), &body, &signature) {
                    return StatusCode::BAD_REQUEST;
                }
                let (stored, waiting) = oneshot::channel();
                let sent = writes.send(Write { id, body, stored }).await.is_ok();
                if sent && waiting.await.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
            }
        });
    warp::serve(receive).run(arguments.address).await;
    Ok(())
}

/// Commits whatever arrived while the last batch was being synced. What fails is answered by its dropped sender.
fn commit(store: &Connection, mut waiting: mpsc::Receiver<Write>) {
    let mut batch = Vec::new();
    while waiting.blocking_recv_many(&mut batch, 1024) > 0 {
        if write(store, &batch).is_err() {
            batch.clear();
        }
        for write in batch.drain(..) {
            // Who waited may have hung up.
            let _ = write.stored.send(());
        }
    }
}

fn write(store: &Connection, batch: &[Write]) -> rusqlite::Result<()> {
    let transaction = store.unchecked_transaction()?;
    let mut insert = store.prepare_cached("INSERT OR IGNORE INTO event (id, body) VALUES (?1, ?2)")?;
    for write in batch {
        insert.execute((&write.id, &write.body[..]))?;
    }
    drop(insert);
    transaction.commit()
}
