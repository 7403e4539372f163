//! The terminal management server, as a library and as the binary `tms-server`.
//!
//! ```no_run
//! use std::{path::Path, time::Duration};
//! use tms_server::{config::Config, server, signal};
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::load(Path::new("estate/tms.toml"))?;
//! let running = server::start(&config).await?;
//! println!("REST on http://{}", running.api);
//! signal::stop().await;
//! running.drain(Duration::from_secs(config.drain_deadline_s)).await;
//! # Ok(())
//! # }
//! ```
//!
//! Reading order: [`server`] (what runs), [`listener`] and [`session`] (a terminal's way in),
//! [`service`] (what people can have done) and [`api`] (the same over REST), [`app`] (what all of
//! them share: [`dispatch`], [`contacts`], [`counters`], [`secret`]), [`config`], and the commands
//! [`init`] and [`enrol`] with [`pki`] behind them. `demo` is the simulated estate, behind the
//! feature of that name.

pub mod api;
pub mod app;
pub mod config;
pub mod contacts;
pub mod counters;
#[cfg(feature = "demo")]
pub mod demo;
pub mod dispatch;
pub mod enrol;
pub mod init;
pub mod listener;
pub mod pki;
pub mod secret;
pub mod server;
pub mod service;
pub mod session;
pub mod signal;

#[cfg(test)]
mod testing;
