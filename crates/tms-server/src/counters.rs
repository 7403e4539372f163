//! What happened, in numbers: rendered at `/metrics` and in the demo's summary.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
};

macro_rules! counters {
    ($($name:ident: $help:literal,)*) => {
        /// Events since the server started. Each is a Prometheus counter `tms_<name>_total`.
        #[derive(Debug, Default)]
        pub struct Counters {
            $(#[doc = $help] pub $name: Counter,)*
        }

        impl Counters {
            /// Prometheus text format.
            #[must_use]
            pub fn render(&self) -> String {
                let mut out = String::with_capacity(4096);
                $(
                    // Writing to a String cannot fail.
                    let _ = writeln!(
                        out,
                        concat!(
                            "# HELP tms_", stringify!($name), "_total ", $help,
                            "\n# TYPE tms_", stringify!($name), "_total counter\ntms_", stringify!($name), "_total {}"
                        ),
                        self.$name.get()
                    );
                )*
                out
            }
        }
    };
}

counters! {
    connections: "Connections accepted",
    connections_refused: "Connections refused by a limit",
    handshakes_failed: "TLS handshakes that failed, for any reason",
    handshakes_certificate: "TLS handshakes that failed for the client's certificate",
    handshakes_not_tls: "Connections whose first bytes were not TLS",
    handshakes_timed_out: "TLS handshakes that took too long",
    terminals_unknown: "Sessions of certificates that belong to no enrolled terminal",
    sessions: "Sessions started",
    sign_ons: "Sign-ons approved",
    messages: "Messages received",
    messages_refused: "Messages refused, for any reason",
    messages_malformed: "Messages that could not be read or lacked a field",
    frames_too_large: "Frames larger than the limit",
    frames_broken: "Frames or trailing bytes that were not a frame, and frames cut off by the end of the connection",
    reads_out_of_range: "File reads past the end of the file",
    blocks_sent: "File blocks sent",
    block_bytes: "Bytes of file blocks sent",
    transfers_resumed: "File transfers resumed after a break",
    operations_done: "Operations that ended well",
    operations_failed: "Operations that failed",
    credentials_rotated: "Administrator credentials rotated and verified",
    log_bundles: "Log bundles collected",
    alarms: "Alarms of terminals",
    api_connections_refused: "Connections to the REST interface refused by the limit",
    firmware_refused: "Firmware packages refused at publishing",
    store_errors: "Calls to the store that failed",
}

/// One counter.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The value now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_render_as_prometheus_text() {
        let counters = Counters::default();
        counters.sign_ons.add(3);
        let text = counters.render();
        assert!(text.contains("# TYPE tms_sign_ons_total counter\ntms_sign_ons_total 3\n"), "{text}");
    }
}
