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
//! # As a library, with its own sockets and its own store
//!
//! A program that has its sockets already, or its own database behind [`tms_store::Store`], takes the
//! session alone. It knows no socket, file or timer: whole frames go in and come out, and its only
//! waits are calls to the store and for [objects]. With both in memory nothing ever waits, so
//! a simulation runs it on a clock of its own ([`app::App::clock`]), on one thread, without a runtime.
//!
//! ```
//! use std::sync::Arc;
//! use tms_crypto::vault::Vault;
//! use tms_server::{
//!     app::{App, Limits, Objects},
//!     session::{Ended, Endpoint, PeerIdentity, Session},
//! };
//!
//! # use testkit::MemoryStore;
//! # async fn serve(request: &[u8]) -> Result<Vec<Vec<u8>>, Ended> {
//! let (store, vault) = (Arc::new(MemoryStore::new()), Vault::with_key(&[7; 32]));
//! let clock = jiff::Timestamp::now;
//! let app = Arc::new(App::new(store, vault, Objects::memory(), None, Limits::default(), clock));
//! let profile = Arc::new(tms_proto::Profile::builtin("unionpay").unwrap());
//! let endpoint = Endpoint { framing: profile.framing(), profile, mac_key: None };
//! let sha256 = "ab".repeat(32); // of the certificate that the transport has checked
//! let address = ([192, 0, 2, 1], 40_000).into();
//! let connection = app.wake.next_connection();
//! let peer = PeerIdentity { common_name: "10000001".into(), sha256, address, connection };
//!
//! let mut session = Session::open(app, endpoint, peer).await?;
//! session.frame(request).await?; // a whole frame, with its length prefix
//! session.tick().await?; // due at session.next_due(), and when session.roused() is ready
//! let replies = std::iter::from_fn(|| session.poll_transmit()).collect(); // to be written in order
//! session.close(Ended::Closed).await;
//! # Ok(replies)
//! # }
//! # use futures::FutureExt;
//! # let echo = [&[0, 50, 0x60, 0, 0, 0, 0, 0x61, 0x31, 0, 0x31, 0, 0, 0][..], &[0; 38]].concat();
//! # let replies = serve(&echo).now_or_never().expect("nothing waits").expect("a session");
//! # assert!(replies.len() <= 1);
//! ```
//!
//! Operators' work comes through [`service`], as it does for the REST interface.
//!
//! Reading order: [`server`] (what runs), [`listener`] and [`session`] (a terminal's way in),
//! [`service`] (what people can have done) and [`api`] (the same over REST), [`app`] (what all of
//! them share: [`dispatch`], [`rollouts`], [`contacts`], [`counters`], [`downloads`], [`events`], [`objects`],
//! [`secret`], [`source`]), [`config`], and the commands
//! [`init`], [`enrol`] with [`pki`] behind them, and [`backup`]. `demo` is the simulated estate, behind the
//! feature of that name.

pub mod api;
pub mod app;
pub mod backup;
pub mod config;
pub mod contacts;
pub mod counters;
#[cfg(feature = "demo")]
pub mod demo;
pub mod dispatch;
pub mod downloads;
pub mod enrol;
pub mod events;
pub mod init;
pub mod listener;
pub mod objects;
pub mod pki;
pub mod rollouts;
pub mod secret;
pub mod server;
pub mod service;
pub mod session;
pub mod signal;
pub mod source;

#[cfg(test)]
mod testing;
