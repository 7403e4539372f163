//! Faults on the connection, as the scenario asks for them.

use std::time::Duration;

use crate::scenario;

/// Counts over the life of the process, so that "once" means once and not once for each connection.
#[derive(Debug)]
pub(crate) struct LineFaults {
    drop_after: Option<u64>,
    drops_left: u32,
    passed: u64,
    delay: Duration,
    corrupt_every: Option<u64>,
    sent: u64,
}

impl LineFaults {
    pub(crate) fn new(faults: &scenario::Faults) -> Self {
        Self {
            drop_after: faults.drop_after_bytes,
            drops_left: faults.drop_count.unwrap_or(1),
            passed: 0,
            delay: Duration::from_millis(faults.delay_ms),
            corrupt_every: faults.corrupt_every,
            sent: 0,
        }
    }

    /// A new connection begins.
    pub(crate) fn connected(&mut self) {
        self.passed = 0;
    }

    /// How long to wait before sending.
    pub(crate) fn delay(&self) -> Duration {
        self.delay
    }

    /// Bytes about to be sent: spoils some of them.
    pub(crate) fn outgoing(&mut self, bytes: &mut [u8]) {
        let Some(every) = self.corrupt_every else { return };
        for byte in bytes {
            self.sent = self.sent.saturating_add(1);
            if self.sent.is_multiple_of(every) {
                *byte ^= 0x10;
            }
        }
    }

    /// Bytes have passed in either direction. Gives whether the connection breaks now.
    pub(crate) fn passed(&mut self, bytes: usize) -> bool {
        self.passed = self.passed.saturating_add(bytes as u64);
        let breaks = self.drops_left > 0 && self.drop_after.is_some_and(|limit| self.passed >= limit);
        if breaks {
            self.drops_left = self.drops_left.saturating_sub(1);
        }
        breaks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(faults: scenario::Faults) -> LineFaults {
        LineFaults::new(&faults)
    }

    #[test]
    fn without_faults_nothing_happens() {
        let mut line = faults(scenario::Faults::default());
        let mut bytes = [7; 100];
        line.outgoing(&mut bytes);
        assert_eq!(bytes, [7; 100]);
        assert!(!line.passed(usize::MAX));
    }

    #[test]
    fn the_connection_breaks_after_so_many_bytes_as_often_as_asked() {
        let mut line = faults(scenario::Faults {
            drop_after_bytes: Some(10),
            drop_count: Some(2),
            ..Default::default()
        });
        for _ in 0..2 {
            line.connected();
            assert!(!line.passed(9));
            assert!(line.passed(1));
        }
        line.connected();
        assert!(!line.passed(1000));
    }

    #[test]
    fn every_so_manyth_byte_is_changed_across_messages() {
        let mut line = faults(scenario::Faults { corrupt_every: Some(3), ..Default::default() });
        let mut first = [0; 4];
        let mut second = [0; 4];
        line.outgoing(&mut first);
        line.outgoing(&mut second);
        assert_eq!((first, second), ([0, 0, 0x10, 0], [0, 0x10, 0, 0]));
    }
}
