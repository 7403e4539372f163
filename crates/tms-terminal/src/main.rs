//! `tms-terminal`: runs simulated terminals until it is told to stop.

use std::{io::IsTerminal, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use tms_terminal::{Fleet, Handle, Scenario, console, scenario};
use tokio::io::{AsyncBufReadExt, BufReader};
use tracing_subscriber::EnvFilter;

/// Simulated POS terminals.
#[derive(Parser)]
#[command(name = "tms-terminal", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run terminals until Ctrl-C; they sign off before they end.
    Run {
        /// A terminal.toml, or a folder with TID/terminal.toml in it (`tms-server enrol` writes them).
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Run only the first so many of the terminals found.
        #[arg(long)]
        count: Option<usize>,
        /// Read what a person does at the terminal from standard input, a line each; `help` says what there
        /// is. For one terminal.
        #[arg(long)]
        keypad: bool,
        /// What to tell: error, warn, info, debug or trace.
        #[arg(long, env = "TMS_LOG", default_value = "info")]
        log: String,
    },
}

fn main() -> ExitCode {
    let Command::Run { paths, count, keypad, log } = Arguments::parse().command;
    let filter = EnvFilter::try_new(&log).unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tms-terminal: no threads can be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(run(&paths, count, keypad));
    // A read of standard input has no end of its own.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("tms-terminal: {message}");
            ExitCode::from(2)
        }
    }
}

async fn run(paths: &[PathBuf], count: Option<usize>, keypad: bool) -> Result<(), String> {
    let mut files = Vec::new();
    for path in paths {
        files.extend(scenario::find(path).map_err(|error| error.to_string())?);
    }
    if let Some(count) = count {
        if files.len() < count {
            return Err(format!(
                "--count {count} asks for more than the {} terminals found; enrol more, or ask for fewer",
                files.len()
            ));
        }
        files.truncate(count);
    }
    if keypad && files.len() != 1 {
        return Err(format!(
            "--keypad is for one terminal, not for {}; name one, or give --count 1",
            files.len()
        ));
    }
    let fleet = Fleet::new();
    let mut terminals = Vec::with_capacity(files.len());
    for file in &files {
        let scenario = Scenario::load(file).map_err(|error| error.to_string())?;
        let tid = scenario.identity.tid.clone();
        terminals.push(fleet.start(scenario).map_err(|error| format!("terminal {tid}: {error}"))?);
    }
    tracing::info!(terminals = terminals.len(), "running, Ctrl-C stops");
    match terminals.first().filter(|_| keypad) {
        Some(terminal) => tokio::select! {
            watched = watch(&terminals) => watched?,
            () = person(terminal) => {}
        },
        None => watch(&terminals).await?,
    }
    tracing::info!("signing off");
    let stops: Vec<_> = terminals.into_iter().map(|terminal| tokio::spawn(terminal.stop())).collect();
    for stop in stops {
        let _ = stop.await;
    }
    Ok(())
}

/// Says what changes until a signal comes, or until no terminal can go on.
async fn watch(terminals: &[Handle]) -> Result<(), String> {
    let mut stopped = std::pin::pin!(signal());
    let mut told = String::new();
    loop {
        tokio::select! {
            () = &mut stopped => return Ok(()),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
        let links: Vec<_> = terminals.iter().map(|terminal| terminal.snapshot().link).collect();
        let halted: Vec<_> = links.iter().filter_map(|link| link.halted.clone()).collect();
        if let (Some(first), true) = (halted.first(), halted.len() == links.len()) {
            return Err(format!("no terminal can go on: {first}"));
        }
        let signed_on = links.iter().filter(|link| link.signed_on).count();
        let now = format!("{signed_on} of {} terminals signed on", links.len());
        if now != told {
            tracing::info!("{now}");
            told = now;
        }
    }
}

/// Does what is typed until `quit`. The end of the input ends nothing.
async fn person(terminal: &Handle) {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        let Ok(Some(line)) = lines.next_line().await else { return std::future::pending().await };
        if line.trim() == "quit" {
            return;
        }
        match console::line(terminal, &line) {
            Ok(shown) if shown.is_empty() => {}
            Ok(shown) => println!("{shown}"),
            Err(reason) => println!("{reason}"),
        }
    }
}

async fn signal() {
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}
