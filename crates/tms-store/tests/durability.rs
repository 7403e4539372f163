//! What was acknowledged is there after `kill -9`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests are tests too")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tms_core::{NewOperation, OperationId, OperationKind, TerminalId};
use tms_store::Store;
use tms_store::conformance::{self, postgres::Scratch};

/// Tells the child which database to write to, and in which round.
const DATABASE: &str = "TMS_DURABILITY_DATABASE";
const ROUND: &str = "TMS_DURABILITY_ROUND";

const ROUNDS: u32 = 3;
const WRITERS: u32 = 32;

/// Acknowledgements after which the child is killed in the middle of its work.
const ENOUGH: usize = 1500;

#[test]
fn every_acknowledged_write_to_a_file_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    survives(&format!("sqlite:{}", folder.path().join("estate.db").display()));
}

#[test]
fn every_acknowledged_write_to_a_server_survives_kill_9() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Some(scratch) = runtime.block_on(Scratch::new()) {
        survives(&scratch.url());
    }
}

fn survives(database: &str) {
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let mut child = start(database, round);
        let mut lines =
            BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap_or_default());
        acknowledged.extend(lines.by_ref().filter_map(id).take(ENOUGH));
        child.kill().unwrap();
        child.wait().unwrap();
        // What was in the pipe was acknowledged too; a line that was cut off is no id.
        acknowledged.extend(lines.filter_map(id));
    }
    assert!(acknowledged.len() >= ENOUGH * ROUNDS as usize);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = tms_store::open(database).await.unwrap();
        for id in &acknowledged {
            assert!(store.operation(*id).await.unwrap().is_some(), "{id} was acknowledged and is lost");
        }
    });
}

/// Not a test: what the child does until it is killed.
#[test]
#[ignore = "the child process of the tests above"]
fn write_until_killed() {
    let (Ok(database), Ok(round)) = (std::env::var(DATABASE), std::env::var(ROUND)) else {
        return;
    };
    let round: u32 = round.parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = tms_store::open(&database).await.unwrap();
        let tid: TerminalId = format!("ROUND{round}").parse().unwrap();
        store.add_terminal(conformance::terminal(tid.as_str())).await.unwrap();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(write(Arc::clone(&store), tid.clone(), round * WRITERS + writer)))
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

async fn write(store: Arc<dyn Store>, terminal: TerminalId, writer: u32) {
    // An end in case that nobody kills us.
    for number in 0..100_000_u32 {
        let mut random = [0; 10];
        random[..4].copy_from_slice(&writer.to_be_bytes());
        random[4..8].copy_from_slice(&number.to_be_bytes());
        let now = Timestamp::UNIX_EPOCH;
        let operation = NewOperation {
            id: OperationId::new(now, random),
            terminal: terminal.clone(),
            kind: OperationKind::Reboot,
            expires_at: now + SignedDuration::from_hours(1),
            terms: tms_core::Terms::default(),
        };
        let id = store.enqueue(operation, now).await.unwrap().id;
        // One write for the whole line, so that only the last one can be cut off.
        std::io::stdout().lock().write_all(format!("ack {id}\n").as_bytes()).unwrap();
    }
}

fn start(database: &str, round: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "write_until_killed"])
        .env(DATABASE, database)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn id(line: String) -> Option<OperationId> {
    // The test harness has lines of its own, and may begin one before ours.
    let (_, id) = line.split_once("ack ")?;
    id.parse().ok()
}
