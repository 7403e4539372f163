//! Measures what one node bears: the memory of a session, full mutual-TLS handshakes, heartbeats over
//! persistent sessions, and the time until everybody is back after a break.
//!
//! The server is the real program in a process of its own; this one is the terminals. Both share the
//! machine, so what is printed is what the machine does in all.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Parser;
use futures::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::time::Instant;

mod client;
mod estate;

use client::{Connection, Shared, Terminal};
use estate::Estate;

/// Handshakes under way at the same time.
const HANDSHAKES: usize = 64;
/// Connections under way at the same time when everybody comes back.
const STORM: usize = 1_024;

/// Measure what a server bears: sessions, handshakes and heartbeats over mutual TLS.
#[derive(Debug, Parser)]
#[command(name = "tms-load")]
struct Arguments {
    /// Persistent sessions.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    terminals: u32,
    /// How long heartbeats are counted, and handshakes, in seconds.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// The server's program; without it the `tms-server` beside this one.
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// An empty database, such as `postgres://…`; without it SQLite in a temporary folder.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Print the figures as one JSON object.
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Figures {
    sessions: usize,
    /// Memory that the server's process took for each session, in KiB.
    kib_per_session: f64,
    /// Full mutual handshakes with the sign-on that proves them, in a second.
    handshakes_per_s: f64,
    /// Echoes with their answers, in a second.
    heartbeats_per_s: f64,
    /// How long a heartbeat takes when so many are under way: half of them, and 99 of 100, in milliseconds.
    heartbeat_median_ms: f64,
    heartbeat_p99_ms: f64,
    /// Until all sessions were back after all had been lost at once, in seconds.
    storm_s: f64,
    /// Attempts that failed in it.
    storm_failures: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(figures) => {
            print(&figures, arguments.json);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<Figures> {
    rlimit::increase_nofile_limit(u64::MAX).context("the limit of open files cannot be raised")?;
    let beside = || Some(std::env::current_exe().ok()?.parent()?.join("tms-server"));
    let program = arguments.server.clone().or_else(beside).context("name the server with --server FILE")?;
    let folder = tempfile::Builder::new().prefix("tms-load-").tempdir()?;
    let progress = bar("enrolling", u64::from(arguments.terminals));
    let store = arguments.store.as_deref();
    let estate = Estate::start(folder.path(), &program, store, arguments.terminals, &progress).await?;
    progress.finish_and_clear();

    let shared = Arc::new(Shared::new(&estate.ca, estate.address)?);
    let terminals: Vec<Arc<Terminal>> = estate
        .terminals
        .iter()
        .map(|enrolled| Ok(Arc::new(Terminal::new(&shared, enrolled)?)))
        .collect::<anyhow::Result<_>>()?;
    // What the first connection makes the server allocate is not a session's.
    drop(terminals.first().context("no terminal")?.sign_on(&shared).await?);

    let handshakes_per_s = handshakes(&shared, &terminals, arguments.seconds).await?;
    let before = estate.resident_kib()?;
    let progress = bar("connecting", u64::from(arguments.terminals));
    let (sessions, _, _) = connect(&shared, &terminals, HANDSHAKES, &progress).await?;
    progress.finish_and_clear();
    let taken = estate.resident_kib()?.saturating_sub(before);
    let beats = heartbeats(sessions, arguments.seconds).await?;
    let count = terminals.len();
    // All at once: the sessions were dropped with the heartbeats' end.
    let progress = bar("everybody comes back", u64::from(arguments.terminals));
    let (back, storm, storm_failures) = connect(&shared, &terminals, STORM, &progress).await?;
    progress.finish_and_clear();
    Ok(Figures {
        sessions: back.len(),
        kib_per_session: as_f64(taken) / as_f64(count as u64),
        handshakes_per_s,
        heartbeats_per_s: beats.per_s,
        heartbeat_median_ms: beats.median_ms,
        heartbeat_p99_ms: beats.p99_ms,
        storm_s: storm.as_secs_f64(),
        storm_failures,
    })
}

/// Connects again and again; each time is a full handshake and a sign-on.
async fn handshakes(shared: &Arc<Shared>, terminals: &[Arc<Terminal>], seconds: u64) -> anyhow::Result<f64> {
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds);
    let tasks: Vec<_> = terminals
        .iter()
        .take(HANDSHAKES)
        .map(|terminal| {
            let (shared, terminal) = (Arc::clone(shared), Arc::clone(terminal));
            tokio::spawn(async move {
                let mut count = 0u64;
                while Instant::now() < until {
                    terminal.sign_on(&shared).await?;
                    count += 1;
                }
                anyhow::Ok(count)
            })
        })
        .collect();
    let mut count = 0;
    for task in tasks {
        count += task.await??;
    }
    Ok(as_f64(count) / began.elapsed().as_secs_f64())
}

/// Signs everybody on, so many at a time; gives the sessions, how long it took, and how many attempts failed.
async fn connect(
    shared: &Arc<Shared>,
    terminals: &[Arc<Terminal>],
    at_once: usize,
    progress: &ProgressBar,
) -> anyhow::Result<(Vec<Connection>, Duration, u64)> {
    /// Attempts of one terminal.
    const ATTEMPTS: u32 = 10;
    let began = Instant::now();
    let failures = AtomicU64::new(0);
    let sessions = stream::iter(terminals)
        .map(|terminal| {
            let (shared, terminal) = (Arc::clone(shared), Arc::clone(terminal));
            let failures = &failures;
            async move {
                let mut attempt = 0;
                loop {
                    let (shared, terminal) = (Arc::clone(&shared), Arc::clone(&terminal));
                    // A task of its own, so that both cores are used.
                    match tokio::spawn(async move { terminal.sign_on(&shared).await }).await? {
                        Ok(connection) => {
                            progress.inc(1);
                            return anyhow::Ok(connection);
                        }
                        Err(error) if attempt == ATTEMPTS => return Err(error),
                        Err(_) => {
                            failures.fetch_add(1, Ordering::Relaxed);
                            attempt += 1;
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                    }
                }
            }
        })
        .buffer_unordered(at_once)
        .try_collect()
        .await?;
    Ok((sessions, began.elapsed(), failures.into_inner()))
}

struct Beats {
    per_s: f64,
    median_ms: f64,
    p99_ms: f64,
}

/// Every session sends an echo, waits for its answer, and sends the next.
async fn heartbeats(sessions: Vec<Connection>, seconds: u64) -> anyhow::Result<Beats> {
    let stop = Arc::new(AtomicBool::new(false));
    let progress = bar("heartbeats", seconds);
    let began = Instant::now();
    let tasks: Vec<_> = sessions
        .into_iter()
        .map(|mut session| {
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                let (mut count, mut some) = (0u64, Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    let sent = Instant::now();
                    session.heartbeat().await?;
                    // Every eighth is enough to tell the middle, and little to keep.
                    if count.is_multiple_of(8) {
                        some.push(sent.elapsed());
                    }
                    count += 1;
                }
                anyhow::Ok((count, some))
            })
        })
        .collect();
    for _ in 0..seconds {
        tokio::time::sleep(Duration::from_secs(1)).await;
        progress.inc(1);
    }
    let measured = began.elapsed();
    stop.store(true, Ordering::Relaxed);
    let (mut count, mut taken) = (0, Vec::new());
    for task in tasks {
        let (one, some) = task.await??;
        count += one;
        taken.extend(some);
    }
    progress.finish_and_clear();
    taken.sort_unstable();
    let at = |share: usize| taken.get(taken.len().saturating_sub(1) * share / 100).copied();
    let (Some(median), Some(p99)) = (at(50), at(99)) else { bail!("no heartbeat was answered") };
    Ok(Beats {
        per_s: as_f64(count) / measured.as_secs_f64(),
        median_ms: median.as_secs_f64() * 1e3,
        p99_ms: p99.as_secs_f64() * 1e3,
    })
}

fn print(figures: &Figures, json: bool) {
    if json {
        println!("{}", serde_json::json!(figures));
        return;
    }
    println!("sessions                     {:>10}", figures.sessions);
    println!("server memory a session      {:>10.1} KiB", figures.kib_per_session);
    println!("full handshakes and sign-ons {:>10.0} /s", figures.handshakes_per_s);
    println!("heartbeats                   {:>10.0} /s", figures.heartbeats_per_s);
    println!(
        "  one takes                  {:>10.1} ms (median), {:.1} ms (99 of 100)",
        figures.heartbeat_median_ms, figures.heartbeat_p99_ms
    );
    println!(
        "all back after a break       {:>10.1} s, {} attempts failed",
        figures.storm_s, figures.storm_failures
    );
}

fn bar(what: &'static str, length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:22} {bar:40} {pos}/{len}").ok();
    let bar = ProgressBar::new(length).with_message(what);
    match style {
        Some(style) => bar.with_style(style),
        None => bar,
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of a few millions at most")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
