//! The terminal's own log: a ring of two files, and a generator of lines such as a POS writes.
//!
//! The newer file takes lines until it has as many as the log shall hold; then it becomes the older
//! one. So the log never holds less than asked for, nor more than twice that.

use std::{io, sync::Arc};

use jiff::{SignedDuration, Timestamp};

use crate::storage::Storage;

const NEWER: &str = "terminal.log";
const OLDER: &str = "terminal.log.1";

/// The log.
#[derive(Debug)]
pub struct Log {
    storage: Arc<dyn Storage>,
    max_lines: usize,
    lines_in_newer: usize,
    activity: Activity,
}

impl Log {
    /// Opens the log of a storage. A new one begins with invented history of `max_lines` lines; with
    /// none, nothing is ever kept.
    ///
    /// # Errors
    /// When the files cannot be read or made.
    pub fn open(storage: Arc<dyn Storage>, max_lines: usize, seed: &str, now: Timestamp) -> io::Result<Self> {
        let mut activity = Activity::new(seed);
        if max_lines > 0 && storage.len(NEWER)?.is_none() && storage.len(OLDER)?.is_none() {
            let mut history = String::new();
            for line in (1..=max_lines).rev() {
                let ago =
                    SignedDuration::from_secs(i64::try_from(line).unwrap_or(i64::MAX).saturating_mul(47));
                activity.write_line(&mut history, now.saturating_sub(ago).unwrap_or(now));
            }
            storage.replace(OLDER, history.as_bytes())?;
        }
        let lines_in_newer = count_lines(&storage.read(NEWER)?.unwrap_or_default());
        Ok(Self { storage, max_lines, lines_in_newer, activity })
    }

    /// Removes the log of a storage.
    ///
    /// # Errors
    /// When the files cannot be removed.
    pub fn forget(storage: &dyn Storage) -> io::Result<()> {
        storage.remove(NEWER)?;
        storage.remove(OLDER)
    }

    /// Adds a line: time, level, part, text.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn line(&mut self, now: Timestamp, level: char, part: &str, text: &str) -> io::Result<()> {
        if self.max_lines == 0 {
            return Ok(());
        }
        self.append(&format_line(now, level, part, text))
    }

    /// Adds what happens at a counter.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn activity(&mut self, now: Timestamp) -> io::Result<()> {
        if self.max_lines == 0 {
            return Ok(());
        }
        let mut line = String::new();
        self.activity.write_line(&mut line, now);
        self.append(&line)
    }

    /// The newest part of the log, whole lines, at most `max_bytes`.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn tail(&self, max_bytes: u64) -> io::Result<Vec<u8>> {
        let mut bytes = self.storage.read(OLDER)?.unwrap_or_default();
        bytes.extend(self.storage.read(NEWER)?.unwrap_or_default());
        Ok(newest_lines(bytes, max_bytes))
    }

    fn append(&mut self, line: &str) -> io::Result<()> {
        if self.lines_in_newer >= self.max_lines {
            self.storage.rename(NEWER, OLDER)?;
            self.lines_in_newer = 0;
        }
        self.storage.append(NEWER, line.as_bytes())?;
        self.lines_in_newer = self.lines_in_newer.saturating_add(1);
        Ok(())
    }
}

/// The newest whole lines of a text that fit into `max_bytes`.
pub(crate) fn newest_lines(mut bytes: Vec<u8>, max_bytes: u64) -> Vec<u8> {
    let max = usize::try_from(max_bytes).unwrap_or(usize::MAX);
    let Some(cut) = bytes.len().checked_sub(max).filter(|cut| *cut > 0) else { return bytes };
    // A line that does not fit as a whole is left out.
    let boundary = bytes.iter().skip(cut.saturating_sub(1)).position(|byte| *byte == b'\n');
    boundary.map_or_else(Vec::new, |at| bytes.split_off(cut.saturating_add(at)))
}

fn format_line(now: Timestamp, level: char, part: &str, text: &str) -> String {
    let printable: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("{now:.3} {level} {part:<6} {printable}\n")
}

fn count_lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// Invents what happens at a counter. Card numbers appear as a terminal logs them: masked.
#[derive(Debug)]
struct Activity {
    random: u64,
    trace: u64,
}

impl Activity {
    fn new(seed: &str) -> Self {
        // FNV-1a: the same terminal tells the same story.
        let random = seed.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        Self { random, trace: random % 900_000 }
    }

    fn below(&mut self, bound: u64) -> u64 {
        // Knuth's MMIX generator; good enough to look like a shop.
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % bound.max(1)
    }

    fn write_line(&mut self, out: &mut String, now: Timestamp) {
        self.trace = (self.trace % 999_999).saturating_add(1);
        let trace = self.trace;
        let (yuan, fen) = (self.below(900), self.below(100));
        let (last, amount) = (self.below(10_000), format!("{yuan}.{fen:02}"));
        let (level, part, text) = match self.below(16) {
            0..=8 => (
                'I',
                "txn",
                format!("sale approved stan={trace:06} amount={amount} CNY card=622848******{last:04}"),
            ),
            9 => (
                'W',
                "txn",
                format!(
                    "sale declined code=51 stan={trace:06} amount={amount} CNY card=621700******{last:04}"
                ),
            ),
            10 => ('I', "txn", format!("sale void approved stan={trace:06} amount={amount} CNY")),
            11 => ('I', "print", format!("receipt printed lines={}", 18_u64.saturating_add(self.below(8)))),
            12 => ('I', "card", "contactless card presented".to_owned()),
            13 => ('W', "card", "chip read failed, fallback offered".to_owned()),
            14 => ('I', "pinpad", "PIN entered, block formed".to_owned()),
            _ => ('I', "power", format!("battery {} percent", 40_u64.saturating_add(self.below(60)))),
        };
        out.push_str(&format_line(now, level, part, &text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn storage() -> Arc<dyn Storage> {
        Arc::new(MemoryStorage::default())
    }

    fn lines(bytes: &[u8]) -> Vec<String> {
        String::from_utf8(bytes.to_vec()).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_new_log_begins_with_history_and_a_reopened_one_does_not_again() {
        let storage = storage();
        for _ in 0..2 {
            let log = Log::open(Arc::clone(&storage), 50, "10000001", now()).unwrap();
            assert_eq!(lines(&log.tail(u64::MAX).unwrap()).len(), 50);
        }
    }

    #[test]
    fn lines_have_time_level_part_and_text_on_one_line() {
        let storage = storage();
        let mut log = Log::open(Arc::clone(&storage), 1, "x", now()).unwrap();
        log.line(now(), 'I', "boot", "started\nversion 1.0.0").unwrap();
        assert_eq!(
            lines(&log.tail(u64::MAX).unwrap()).last().unwrap(),
            "2027-01-15T08:00:00.000Z I boot   started version 1.0.0"
        );
    }

    #[test]
    fn the_ring_keeps_the_newest_lines_and_stays_bounded() {
        let storage = storage();
        let mut log = Log::open(Arc::clone(&storage), 10, "x", now()).unwrap();
        for n in 0..1000 {
            log.line(now(), 'I', "test", &format!("line {n}")).unwrap();
            if n % 97 == 0 {
                log = Log::open(Arc::clone(&storage), 10, "x", now()).unwrap();
            }
        }
        let kept = lines(&log.tail(u64::MAX).unwrap());
        assert!((10..=20).contains(&kept.len()), "{}", kept.len());
        assert!(kept.last().unwrap().ends_with("line 999"));
    }

    #[test]
    fn a_terminal_without_a_log_keeps_no_line() {
        let storage = storage();
        let mut log = Log::open(Arc::clone(&storage), 0, "x", now()).unwrap();
        log.line(now(), 'I', "test", "line").unwrap();
        log.activity(now()).unwrap();
        assert!(log.tail(u64::MAX).unwrap().is_empty());
    }

    #[test]
    fn a_tail_is_the_newest_whole_lines_that_fit() {
        let storage = storage();
        let mut log = Log::open(Arc::clone(&storage), 100, "x", now()).unwrap();
        for n in 0..5 {
            log.line(now(), 'I', "test", &format!("line {n}")).unwrap();
        }
        let whole = log.tail(u64::MAX).unwrap();
        for max in 0..whole.len() {
            let tail = log.tail(max as u64).unwrap();
            assert!(tail.len() <= max && whole.ends_with(&tail));
            assert!(tail.is_empty() || whole[..whole.len() - tail.len()].ends_with(b"\n"));
        }
        assert_eq!(log.tail(whole.len() as u64).unwrap(), whole);
    }

    #[test]
    fn invented_card_numbers_are_masked() {
        let storage = storage();
        let log = Log::open(Arc::clone(&storage), 2000, "x", now()).unwrap();
        let text = String::from_utf8(log.tail(u64::MAX).unwrap()).unwrap();
        assert!(text.contains("card=622848******"));
        let digits_in_a_row = text.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap();
        assert!(digits_in_a_row < 12, "{digits_in_a_row}");
    }
}
