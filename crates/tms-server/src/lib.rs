//! The terminal management server: listeners, sessions, dispatch, REST; library and binary

pub mod api;
pub mod app;
pub mod config;
pub mod contacts;
pub mod counters;
pub mod dispatch;
pub mod enrol;
pub mod init;
pub mod service;
pub mod pki;
pub mod secret;
pub mod listener;
pub mod session;

#[cfg(test)]
mod testing;
pub mod demo;
pub mod server;
pub mod signal;
