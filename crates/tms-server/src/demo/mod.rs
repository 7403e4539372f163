//! `tms-server demo`: a live estate from nothing. A demo authority, certificates, a database and
//! a signed image are made in a folder; the server of this process and a process of simulated
//! terminals talk over mutual TLS on loopback; a tour carries every function out on every
//! terminal and tells how it went.

mod estate;
mod fleet;
mod memory;
mod progress;
mod summary;
mod tour;

use std::{path::PathBuf, time::Duration};

use anyhow::Context;

use crate::{server, service};

pub use fleet::run_child as run_fleet;

/// Sessions get this long to end.
const DRAIN: Duration = Duration::from_secs(10);
/// Most terminals that one demo takes: their ports, files and memory have to fit one machine.
pub const MAX_TERMINALS: u32 = 20_000;

/// What `tms-server demo` is asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Simulated terminals.
    pub terminals: u32,
    /// Folder for the estate; a temporary one, removed at the end, if `None`.
    pub data: Option<PathBuf>,
    /// End after the tour instead of staying up.
    pub once: bool,
    /// Print the summary as one JSON line on standard output.
    pub json: bool,
}

/// Runs the demo. Answers whether every terminal finished every step.
///
/// # Errors
/// When the estate cannot be set up: the sentence says what is wrong and what to do.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let began = std::time::Instant::now();
    let progress = progress::Progress::new();
    let folder = estate::Folder::new(options.data.as_deref())?;

    let step = progress.step("estate", "folder, authority, certificates, database");
    let config = estate::prepare(folder.path()).await?;
    let running = server::start(&config).await?;
    let estate = estate::populate(&running, &config, folder.path(), options.terminals, &step).await?;
    step.done(format!("{} terminals enrolled, image {} signed", options.terminals, estate.version));

    let idle_before = memory::resident_kib();
    let mut fleet = fleet::Fleet::start(&estate.terminals_folder, options.terminals).await?;
    let tour = tour::Tour::new(&running.app, &estate, &progress, idle_before);
    let outcome = tokio::select! {
        outcome = tour.run(&mut fleet) => outcome,
        () = crate::signal::stop() => Err(anyhow::anyhow!("it was stopped")),
    };

    let summary = match outcome {
        Ok(outcome) => summary::Summary::new(options.terminals, &outcome, began.elapsed()),
        Err(error) => {
            fleet.stop().await;
            running.drain(DRAIN).await;
            return Err(error.context("the tour could not go on"));
        }
    };
    progress.finish();
    eprint!("{}", summary.table());
    if options.json {
        println!("{}", serde_json::to_string(&summary)?);
    }
    if !options.once {
        stay_up(&running, folder.path()).await?;
    }
    fleet.stop().await;
    running.drain(DRAIN).await;
    folder.close()?;
    Ok(summary.is_complete())
}

async fn stay_up(running: &server::Running, folder: &std::path::Path) -> anyhow::Result<()> {
    let role = Some(tms_core::UserRole::Administrator);
    let password =
        service::issue_one_time_password(&running.app, "admin", role).await.context("one-time password")?;
    eprintln!();
    eprintln!("The estate stays up until Ctrl-C.");
    eprintln!("  REST interface     http://{}", running.api);
    eprintln!("  user               admin");
    eprintln!("  one-time password  {}", password.as_str());
    eprintln!("  data folder        {}", folder.display());
    eprintln!();
    eprintln!("In another window:");
    eprintln!("  cargo run --bin tmsctl -- login --server http://{} --user admin", running.api);
    eprintln!("  cargo run --bin tmsctl -- terminal list");
    crate::signal::stop().await;
    eprintln!("Stopping …");
    Ok(())
}
