//! A host session in every profile, with MACs and without: true messages, changed ones, made-up ones, every
//! function both ways with the machines behind it, time, new connections. Never a panic, never more answers
//! than questions, nothing grows without bound, and where everything has a MAC nothing is acted on that the
//! other end did not send.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tms_fuzz::sessions::{Script, Victim, run};

fuzz_target!(|script: Script| run(Victim::Host, &script));
