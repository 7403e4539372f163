//! What came out, as a Markdown table.

use crate::codec::{FASTEST_PEER, OURS};
use crate::python::Foreign;
use crate::rounds::Times;
use crate::{Case, Operation};

/// The ratio to the fastest peer that this project has set itself, for an operation on a message
/// that is written in some way.
fn limit(wire: &str, operation: Operation) -> Option<f64> {
    match (wire, operation) {
        ("ascii", Operation::Parse | Operation::ParseAndRead) => Some(0.6),
        ("ascii", Operation::Build) => Some(0.5),
        (_, Operation::Parse) => Some(0.8),
        _ => None,
    }
}

/// Prints the table; whether every limit was kept.
#[must_use]
pub fn print(cases: &[Case], times: &[Times], foreign: &[Foreign]) -> bool {
    let mut kept = true;
    println!("| message | operation | codec | wire | least ns | median ns | ratio | limit | |");
    println!("|---|---|---|---|---:|---:|---:|---:|---|");
    for (case, time) in cases.iter().zip(times) {
        let peer = cases.iter().zip(times).find(|(other, _)| {
            other.codec == FASTEST_PEER && (other.message, other.operation) == (case.message, case.operation)
        });
        let ratio = peer.map(|(_, peer)| time.ratio(peer)).unwrap_or(f64::NAN);
        let limit = limit(case.wire, case.operation).filter(|_| case.codec == OURS);
        let verdict = limit.map_or("", |limit| if ratio <= limit { "kept" } else { "**missed**" });
        kept &= verdict != "**missed**";
        println!(
            "| {} | {} | {} | {} | {:.1} | {:.1} | {ratio:.2} | {} | {verdict} |",
            case.message,
            case.operation,
            case.codec,
            case.wire,
            time.least_ns(),
            time.median_ns(),
            limit.map(|limit| format!("≤ {limit}")).unwrap_or_default(),
        );
    }
    for foreign in foreign {
        let peer = cases.iter().zip(times).find(|(other, _)| {
            other.codec == FASTEST_PEER
                && other.message == foreign.message
                && other.operation.to_string() == foreign.operation
        });
        let ratio = peer.map(|(_, peer)| foreign.least_ns / peer.least_ns()).unwrap_or(f64::NAN);
        println!(
            "| {} | {} | pyiso8583 | ascii | {:.0} | | {ratio:.0} | | |",
            foreign.message, foreign.operation, foreign.least_ns
        );
    }
    beside_longer_messages(cases, times);
    kept
}

/// The sign-on has few fields; beside the peer's time for the benchmark messages, too.
fn beside_longer_messages(cases: &[Case], times: &[Times]) {
    let parses = || cases.iter().zip(times).filter(|(case, _)| case.operation == Operation::Parse);
    for (case, time) in parses().filter(|(case, _)| case.codec == OURS && case.wire == "unionpay") {
        for (peer, other) in parses().filter(|(peer, _)| peer.codec == FASTEST_PEER) {
            if peer.message != case.message {
                let ratio = time.ratio(other);
                println!(
                    "\nparse of {} beside {FASTEST_PEER} with {}: {ratio:.2}",
                    case.message, peer.message
                );
            }
        }
    }
}
