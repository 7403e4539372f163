//! How long calls take, as Prometheus histograms of each endpoint.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::endpoint::{self, ENDPOINTS};

/// Upper ends of the buckets, in microseconds.
const BUCKETS_US: [u64; 10] =
    [1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 10_000_000];

/// Classes of answers, by the first digit of the status.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// The time until an answer begins, of every endpoint. Its size is that of the table of endpoints.
#[derive(Debug)]
pub(super) struct Measures(Vec<[Histogram; CLASSES.len()]>);

/// Calls by how long they took.
#[derive(Debug, Default)]
struct Histogram {
    /// Those of each bucket, without those of the buckets before.
    counts: [AtomicU64; BUCKETS_US.len()],
    slower: AtomicU64,
    sum_us: AtomicU64,
}

/// Measures a call.
pub(super) async fn measure(State(measures): State<Arc<Measures>>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let place = path.and_then(|path| endpoint::place(request.method().as_str(), path));
    let began = Instant::now();
    let response = next.run(request).await;
    if let Some(place) = place {
        measures.note(place, response.status().as_u16(), began.elapsed());
    }
    response
}

impl Default for Measures {
    fn default() -> Self {
        Self(ENDPOINTS.iter().map(|_| Default::default()).collect())
    }
}

impl Measures {
    fn note(&self, place: usize, status: u16, took: Duration) {
        let class = usize::from(status / 100).saturating_sub(2).min(CLASSES.len() - 1);
        if let Some(histogram) = self.0.get(place).and_then(|classes| classes.get(class)) {
            histogram.note(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        }
    }

    /// Prometheus text format. What was never called is left out.
    pub(super) fn render(&self) -> String {
        let name = "tms_api_request_duration_seconds";
        let mut out =
            format!("# HELP {name} Time until the answer to a call begins\n# TYPE {name} histogram\n");
        for (endpoint, classes) in ENDPOINTS.iter().zip(&self.0) {
            for (class, histogram) in CLASSES.iter().zip(classes) {
                let labels =
                    format!("method=\"{}\",path=\"{}\",status=\"{class}\"", endpoint.method, endpoint.path);
                histogram.render(&mut out, name, &labels);
            }
        }
        out
    }
}

impl Histogram {
    fn note(&self, took_us: u64) {
        let bucket = BUCKETS_US.iter().zip(&self.counts).find(|(end, _)| took_us <= **end);
        bucket.map_or(&self.slower, |(_, count)| count).fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(took_us, Ordering::Relaxed);
    }

    fn render(&self, out: &mut String, name: &str, labels: &str) {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts: Vec<_> = self.counts.iter().map(load).collect();
        let all = counts.iter().sum::<u64>().saturating_add(load(&self.slower));
        if all == 0 {
            return;
        }
        let mut so_far: u64 = 0;
        for (end, count) in BUCKETS_US.iter().zip(counts) {
            so_far = so_far.saturating_add(count);
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{}\"}} {so_far}", seconds(*end));
        }
        let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {all}");
        let _ = writeln!(out, "{name}_sum{{{labels}}} {}", seconds(load(&self.sum_us)));
        let _ = writeln!(out, "{name}_count{{{labels}}} {all}");
    }
}

fn seconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_in_buckets_that_include_the_ones_before() {
        let measures = Measures::default();
        let place = endpoint::place("GET", "/api/v1/whoami").unwrap();
        for millis in [1, 2, 30, 20_000] {
            measures.note(place, 200, Duration::from_millis(millis));
        }
        measures.note(place, 404, Duration::from_millis(7));
        let text = measures.render();
        let series = "method=\"GET\",path=\"/api/v1/whoami\",status=\"2xx\"";
        for (end, count) in [("0.001", 1), ("0.0025", 2), ("0.025", 2), ("0.05", 3), ("10", 3), ("+Inf", 4)] {
            let line = format!("tms_api_request_duration_seconds_bucket{{{series},le=\"{end}\"}} {count}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
        assert!(text.contains(&format!("_sum{{{series}}} 20.033\n")), "{text}");
        assert_eq!(text.matches("_count{").count(), 2, "one for each class of answers that there were");
    }
}
