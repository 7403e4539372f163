//! Measures all codecs in interleaved rounds and prints the table.
//!
//! `cargo run --release -- [--rounds N] [--only TEXT]... [--check]`

use std::process::ExitCode;

use iso8583_peers::{codec, messages, python, rounds, table};

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<ExitCode, String> {
    let (mut count, mut only, mut check) = (200, Vec::new(), false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--rounds" => {
                let given = arguments.next().and_then(|count| count.parse().ok()).filter(|count| *count > 0);
                count = given.ok_or("--rounds needs a number")?;
            }
            "--only" => only.push(arguments.next().ok_or("--only needs a part of a case's name")?),
            "--check" => check = true,
            other => return Err(format!("unknown argument {other}: --rounds N, --only TEXT, --check")),
        }
    }
    let mut cases = codec::cases(&messages::benchmark()?, &messages::sign_on()?)?;
    cases.retain(|case| only.iter().all(|part| case.name().contains(part.as_str())));
    let times = rounds::measure(&mut cases, count);
    let (foreign, absent) = match python::measure(&messages::folder()) {
        _ if !only.is_empty() => (Vec::new(), None),
        Ok(foreign) => (foreign, None),
        Err(reason) => (Vec::new(), Some(reason)),
    };
    let kept = table::print(&cases, &times, &foreign);
    println!("\n{count} rounds; ratio: time divided by that of {} on the same fields", codec::FASTEST_PEER);
    if let Some(reason) = absent {
        println!("pyiso8583 was not measured: {reason}");
    }
    Ok(if check && !kept { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
