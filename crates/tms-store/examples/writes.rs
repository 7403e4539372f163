//! Measures durable writes per second with many callers at once.
//!
//! ```text
//! cargo run --release -p tms-store --example writes [PLACE [CALLERS [SECONDS]]]
//! ```
//!
//! The place is a folder, or the `postgres://` URL of an empty database that may keep what is written.
//!
//! Each caller is one terminal that goes through the life of one operation after another: queued,
//! leased, sent, accepted, progress, done, and a status report in between: seven writes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tms_core::{NewOperation, OperationId, OperationKind, OperationState, Progress, Reported, TerminalId};
use tms_store::{Store, conformance};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let place = arguments.next().unwrap_or_else(|| std::env::temp_dir().display().to_string());
    let callers: u32 = arguments.next().map_or(Ok(500), |text| text.parse())?;
    let seconds: u64 = arguments.next().map_or(Ok(5), |text| text.parse())?;

    let (_folder, url) = if place.starts_with("postgres") {
        (None, place)
    } else {
        let folder = tempfile::tempdir_in(place)?;
        let url = format!("sqlite:{}", folder.path().join("estate.db").display());
        (Some(folder), url)
    };
    let store = tms_store::open(&url).await?;
    let started = Instant::now();
    let enrolments = (0..callers).map(|caller| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.add_terminal(conformance::terminal(&format!("T{caller}"))).await })
    });
    for enrolment in enrolments.collect::<Vec<_>>() {
        enrolment.await??;
    }
    println!("{callers} terminals enrolled in {:.2?}", started.elapsed());

    let started = Instant::now();
    let until = started + Duration::from_secs(seconds);
    let tasks: Vec<_> =
        (0..callers).map(|caller| tokio::spawn(live(Arc::clone(&store), caller, until))).collect();
    let mut latencies_us = Vec::new();
    for task in tasks {
        latencies_us.extend(task.await??);
    }
    let elapsed = started.elapsed().as_secs_f64();
    latencies_us.sort_unstable();
    let percentile = |percent: usize| {
        let index = (latencies_us.len() * percent / 100).min(latencies_us.len().saturating_sub(1));
        latencies_us.get(index).copied().unwrap_or_default() as f64 / 1000.0
    };
    println!(
        "{} writes in {elapsed:.2} s: {:.0} writes/s; latency p50 {:.1} ms, p99 {:.1} ms, greatest {:.1} ms",
        latencies_us.len(),
        latencies_us.len() as f64 / elapsed,
        percentile(50),
        percentile(99),
        percentile(100),
    );
    store.close().await;
    Ok(())
}

async fn live(store: Arc<dyn Store>, caller: u32, until: Instant) -> Result<Vec<u64>, Failure> {
    let terminal: TerminalId = format!("T{caller}").parse()?;
    let mut latencies_us = Vec::new();
    let mut round: u32 = 0;
    while Instant::now() < until {
        round += 1;
        let now = Timestamp::now();
        let later = now + SignedDuration::from_mins(5);
        let mut random = [0; 10];
        random[..4].copy_from_slice(&caller.to_be_bytes());
        random[4..8].copy_from_slice(&round.to_be_bytes());
        let operation = NewOperation {
            id: OperationId::new(now, random),
            terminal: terminal.clone(),
            kind: OperationKind::CollectLogs { max_bytes: 65_536 },
            expires_at: later,
            terms: tms_core::Terms::default(),
        };
        let id = operation.id;
        let report = Reported { boot_count: Some(round), ..Reported::default() };
        let mut mark = Instant::now();
        let mut lap = || {
            latencies_us.push(u64::try_from(mark.elapsed().as_micros()).unwrap_or(u64::MAX));
            mark = Instant::now();
        };
        store.enqueue(operation, now).await?;
        lap();
        store.lease_next(&terminal, "node/session", later, now).await?;
        lap();
        store.transition(id, OperationState::Sent, None, now).await?;
        lap();
        store.transition(id, OperationState::Accepted, None, now).await?;
        lap();
        store.set_progress(id, Progress { done: 1, total: 2 }).await?;
        lap();
        store.record_report(&terminal, report, now).await?;
        lap();
        store.transition(id, OperationState::Done, None, now).await?;
        lap();
    }
    Ok(latencies_us)
}
