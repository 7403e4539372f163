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
        let judged =
            beside_longer_messages(cases, times, case, time).map(|(_, ratio)| ratio).reduce(f64::max);
        let ratio = judged.filter(|_| case.wire == "unionpay").unwrap_or(ratio);
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
    for (case, time) in cases.iter().zip(times).filter(|(case, _)| case.wire == "unionpay") {
        for (peer, ratio) in beside_longer_messages(cases, times, case, time) {
            println!(
                "\n{} of {} beside {FASTEST_PEER} with {peer}: {ratio:.2}",
                case.operation, case.message
            );
        }
        if let Some((_, peer)) =
            same_fields(cases, times, case).filter(|_| case.operation == Operation::Parse)
        {
            let ratio = time.ratio(peer);
            println!(
                "\n{} of {} beside {FASTEST_PEER} with its fields in ASCII: {ratio:.2}",
                case.operation, case.message
            );
        }
    }
    kept
}

/// What the fastest peer takes for the same operation on the same fields.
fn same_fields<'c>(cases: &'c [Case], times: &'c [Times], case: &Case) -> Option<(&'c Case, &'c Times)> {
    let same = |other: &Case| (other.message, other.operation) == (case.message, case.operation);
    cases.iter().zip(times).find(|(other, _)| other.codec == FASTEST_PEER && same(other))
}

/// The fastest peer cannot read a message in packed digits at all. The limit for the sign-on is
/// held against its time for the benchmark messages, whichever is shorter.
fn beside_longer_messages<'c>(
    cases: &'c [Case],
    times: &'c [Times],
    case: &'c Case,
    time: &'c Times,
) -> impl Iterator<Item = (&'static str, f64)> + 'c {
    cases
        .iter()
        .zip(times)
        .filter(|(peer, _)| {
            case.codec == OURS && case.operation == Operation::Parse && peer.codec == FASTEST_PEER
        })
        .filter(|(peer, _)| peer.operation == case.operation && peer.message != case.message)
        .map(|(peer, other)| (peer.message, time.ratio(other)))
}
