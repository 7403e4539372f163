//! `tms-server`: the terminal management server, and the demo of it.

use std::{io::IsTerminal, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use tms_core::UserRole;
#[cfg(feature = "demo")]
use tms_server::demo;
use tms_server::{backup, config::Config, enrol, init, server, service, signal};
use tms_store::Location;
use tracing_subscriber::EnvFilter;

#[derive(Debug, Parser)]
#[command(name = "tms-server", version, about = "Terminal management for POS terminals over ISO 8583", long_about = None)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// What to log: a level, or a filter such as `tms_server=debug`.
    #[arg(long, global = true, display_order = 900, env = "TMS_LOG", value_name = "FILTER", value_parser = log_filter)]
    log: Option<String>,
    /// Log as JSON lines.
    #[arg(long, global = true, display_order = 901)]
    log_json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "demo")]
    /// Bring up a live estate: server, certificates and simulated terminals, and show every function.
    Demo(DemoArguments),
    /// Make the configuration, keys and database of a new server in a folder.
    Init(init::Arguments),
    /// Serve terminals and the REST interface until told to stop.
    Serve {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Enrol a terminal: make its certificate, keys and first credentials.
    Enrol(enrol::Arguments),
    /// Give a person a new one-time password for the REST interface.
    Password {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Who.
        #[arg(long, default_value = init::FIRST_USER)]
        user: String,
        /// What this user may do: `administrator`, `operator` or `read-only` [default: what it is].
        #[arg(long, value_name = "ROLE")]
        role: Option<UserRole>,
    },
    /// Write store and objects of one moment to a file, also while the server runs.
    Backup {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The new file.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Put a backup into the empty store and the object folder of a server that does not run.
    Restore {
        /// The configuration file.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The backup.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
    },
    /// Work on stores as a whole.
    #[command(subcommand)]
    Store(StoreCommand),
    /// The process of simulated terminals that `demo` starts.
    #[cfg(feature = "demo")]
    #[command(hide = true)]
    DemoFleet { folder: PathBuf, count: usize },
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Copy everything from one store into another, empty one; stop the server first.
    ///
    /// A password for PostgreSQL comes from PGPASSWORD or ~/.pgpass: on the command line others could read it.
    Copy {
        /// The store that has the estate.
        #[arg(long, value_name = "URL")]
        from: Location,
        /// The store that gets it.
        #[arg(long, value_name = "URL")]
        to: Location,
    },
}

#[cfg(feature = "demo")]
#[derive(Debug, clap::Args)]
struct DemoArguments {
    /// Simulated terminals; half speak UnionPay's profile, half ISO 8583:1987.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=i64::from(demo::MAX_TERMINALS)))]
    terminals: u32,
    /// Keep the estate in this folder, which must be empty [default: a temporary folder].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// End after the tour: exit code 0 only if every terminal finished every step.
    #[arg(long)]
    once: bool,
    /// Print the summary as one JSON line on standard output.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_log(&arguments);
    match run(arguments.command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tms-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        #[cfg(feature = "demo")]
        Command::Demo(DemoArguments { terminals, data, once, json }) => {
            let complete = demo::run(demo::Options { terminals, data, once, json }).await?;
            return Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        #[cfg(feature = "demo")]
        Command::DemoFleet { folder, count } => demo::run_fleet(folder, count).await?,
        Command::Init(arguments) => {
            let made = init::init(&arguments, jiff::Timestamp::now).await?;
            print!("{}", made.next_steps());
        }
        Command::Serve { config } => {
            let config = Config::load(&config)?;
            let running = server::start(&config).await?;
            signal::stop().await;
            running.drain(Duration::from_secs(config.drain_deadline_s)).await;
        }
        Command::Enrol(arguments) => {
            let config = Config::load(&arguments.config)?;
            let app = tms_server::config::open(&config, jiff::Timestamp::now).await?;
            let enrolled = enrol::run(&app, &config, &arguments).await?;
            print!("{}", enrolled.handover().as_str());
            app.store.close().await;
        }
        Command::Password { config, user, role } => {
            let config = Config::load(&config)?;
            let app = tms_server::config::open(&config, jiff::Timestamp::now).await?;
            let password = service::issue_one_time_password(&app, &user, role).await?;
            println!("{}", password.as_str());
            app.store.close().await;
        }
        Command::Backup { config, to } => {
            let config = Config::load(&config)?;
            let written = backup::write(&config, &to, jiff::Timestamp::now()).await?;
            let backup::Written { rows, objects, missing, size_bytes } = written;
            println!("{}: {rows} rows and {objects} objects in {size_bytes} bytes", to.display());
            for name in missing {
                eprintln!(
                    "tms-server: the store names the object {name}, which the object folder does not have"
                );
            }
            println!(
                "The key of the vault is not in it; keep a copy of {} elsewhere.",
                config.vault_key_file.display()
            );
        }
        Command::Restore { config, from } => {
            let config = Config::load(&config)?;
            let backup::Restored { rows, objects, server, made_at } = backup::restore(&config, &from).await?;
            println!("{rows} rows and {objects} objects of {server} as it was at {made_at:.0}");
        }
        Command::Store(StoreCommand::Copy { from, to }) => {
            let backup::Copied { rows, tables } = backup::copy(&from, &to).await?;
            println!("{rows} rows of {tables} tables from {from} are in {to}, and both are alike.");
            println!("Objects stay where they are. Now name the new store in the configuration.");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks a log filter, so that a wrong one is not silently another.
fn log_filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}; use a level (error, warn, info, debug, trace) or TARGET=LEVEL")),
    }
}

/// A server tells what it does; a demo has its own display and shows only what goes wrong.
fn start_log(arguments: &Arguments) {
    let standard = match arguments.command {
        Command::Serve { .. } => "info",
        // The demo breaks connections on purpose.
        #[cfg(feature = "demo")]
        Command::Demo(_) | Command::DemoFleet { .. } => "error",
        _ => "warn",
    };
    let filter = EnvFilter::new(arguments.log.as_deref().unwrap_or(standard));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if arguments.log_json {
        log.json().init();
    } else {
        log.init();
    }
}
