//! The same cases under criterion, for its statistics and its comparison with an earlier run.

use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use iso8583_peers::{codec, messages};

fn peers(criterion: &mut Criterion) {
    let samples = messages::benchmark().and_then(|benchmark| Ok((benchmark, messages::sign_on()?)));
    let (benchmark, sign_on) = samples.unwrap_or_else(|error| panic!("{error}"));
    for case in &mut codec::cases(&benchmark, &sign_on).unwrap_or_else(|error| panic!("{error}")) {
        criterion.bench_function(&case.name(), |bencher| {
            bencher.iter_custom(|times| {
                let began = Instant::now();
                (case.run)(times);
                began.elapsed()
            });
        });
    }
}

criterion_group!(benches, peers);
criterion_main!(benches);
