//! Which framing and which dialect unknown bytes are in.
//!
//! ```
//! use iso8583::doctor::Doctor;
//!
//! let bytes = *b"\0\x11\x60\0\x03\0\0\x08\x00\x00\x20\0\0\0\0\0\0\0\x00\x42";
//! let best = Doctor::default().examine(&bytes).into_iter().next().ok_or("nothing fits")?;
//! assert_eq!(best.framing.to_string(), "len2-tpdu");
//! assert_eq!(best.reasons[0], "the first two bytes say 17, but 18 bytes follow");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cut;
mod reading;

use std::borrow::Cow;

use serde::Serialize;

use crate::bitmap::{BitmapLayout, SecondBitmap};
use crate::dialect::{BitmapEncoding, Dialect};
use crate::framing::Framing;

/// Bytes of the input that are looked at; what is longer is cut off there.
pub const MAX_INPUT_BYTES: usize = 64 * 1024;

/// Diagnoses that are returned at most.
const MAX_DIAGNOSES: usize = 12;

/// Tries framings and dialects on unknown bytes.
///
/// By default these are [`Framing::COMMON`] and all built-in dialects, each also with the other
/// ways of writing a bitmap. The work is bounded: at most [`MAX_INPUT_BYTES`] and the first few
/// frames are looked at.
#[derive(Clone, Debug)]
pub struct Doctor<'d> {
    dialects: Vec<&'d Dialect>,
    framings: Vec<Framing>,
}

/// One framing and dialect that the bytes may be in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// How well they fit, 0 to 100. Meant for comparing diagnoses of the same bytes.
    pub score: u8,
    /// Whether every message reads strictly and the frames use up all bytes.
    pub fits: bool,
    /// How the messages are delimited.
    pub framing: Framing,
    /// The name of the dialect.
    pub dialect: String,
    /// What a dialect file that extends this dialect must change, in its own form; empty when the
    /// dialect fits as it is.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub changes: String,
    /// Frames found, the last one possibly incomplete.
    pub frames: usize,
    /// What speaks for the diagnosis and against it, as sentences without sensitive values.
    pub reasons: Vec<String>,
}

impl Default for Doctor<'static> {
    fn default() -> Self {
        let dialects = Dialect::builtin_names().iter().filter_map(|name| Dialect::builtin(name)).collect();
        Self { dialects, framings: Framing::COMMON.to_vec() }
    }
}

impl<'d> Doctor<'d> {
    /// The same with one more dialect, which is tried before the others.
    #[must_use]
    pub fn with_dialect<'e>(self, dialect: &'e Dialect) -> Doctor<'e>
    where
        'd: 'e,
    {
        let mut dialects: Vec<&'e Dialect> = vec![dialect];
        dialects.extend(self.dialects);
        let mut doctor = Doctor { dialects, framings: self.framings };
        if !doctor.framings.contains(&dialect.framing()) {
            doctor.framings.push(dialect.framing());
        }
        doctor
    }

    /// The same with one more framing.
    #[must_use]
    pub fn with_framing(mut self, framing: Framing) -> Self {
        if !self.framings.contains(&framing) {
            self.framings.push(framing);
        }
        self
    }

    /// What the bytes may be: one message, or frames one after the other as on a stream. The best
    /// diagnosis comes first; there is none when no dialect reads as much as a type and a bitmap.
    #[must_use]
    pub fn examine(&self, input: &[u8]) -> Vec<Diagnosis> {
        let seen = input.get(..MAX_INPUT_BYTES).unwrap_or(input);
        let candidates = self.candidates();
        let mut diagnoses = Vec::new();
        for framing in &self.framings {
            let Some(cut) = cut::cut(*framing, seen) else { continue };
            for candidate in &candidates {
                diagnoses.extend(diagnose(&cut, candidate, input.len() > seen.len()));
            }
        }
        // Stable: what is more usual stays before what is as good.
        diagnoses.sort_by_key(|(points, _): &(i32, Diagnosis)| std::cmp::Reverse(*points));
        let mut told: Vec<Diagnosis> = Vec::new();
        for (_, diagnosis) in diagnoses {
            let same =
                |other: &Diagnosis| other.framing == diagnosis.framing && other.dialect == diagnosis.dialect;
            if told.len() < MAX_DIAGNOSES && !told.iter().any(same) {
                told.push(diagnosis);
            }
        }
        told
    }

    fn candidates(&self) -> Vec<Candidate<'d>> {
        let mut candidates: Vec<Candidate<'d>> = Vec::new();
        for dialect in &self.dialects {
            candidates.push(Candidate { dialect: Cow::Borrowed(*dialect), changes: String::new() });
        }
        for dialect in &self.dialects {
            candidates.extend(variants(dialect));
        }
        candidates
    }
}

/// A dialect to try, possibly one that nobody has written down yet.
struct Candidate<'d> {
    dialect: Cow<'d, Dialect>,
    changes: String,
}

/// The dialect with its bitmap written in the other ways.
fn variants<'d>(dialect: &Dialect) -> Vec<Candidate<'d>> {
    let encodings = [BitmapEncoding::Binary, BitmapEncoding::Hex];
    let seconds = [SecondBitmap::Chained, SecondBitmap::AlwaysClear, SecondBitmap::AlwaysSet];
    let layouts = encodings.into_iter().flat_map(move |encoding| seconds.map(|second| (encoding, second)));
    let changed = layouts.filter_map(|(encoding, second)| {
        let own = dialect.bitmap;
        let mut changes = Vec::new();
        if encoding != own.encoding {
            let name = if encoding == BitmapEncoding::Binary { "binary" } else { "hex" };
            changes.push(format!("bitmap = \"{name}\""));
        }
        if second != own.second {
            let name = match second {
                SecondBitmap::AlwaysClear => "always-16",
                SecondBitmap::AlwaysSet => "always-16-set",
                _ => "chained",
            };
            changes.push(format!("bitmaps = \"{name}\""));
        }
        let mut changed = dialect.clone();
        changed.bitmap = BitmapLayout { encoding, second, ..own };
        let changes = changes.join("\n");
        (!changes.is_empty())
            .then(|| Candidate { dialect: Cow::Owned(changed), changes: format!("[encoding]\n{changes}\n") })
    });
    changed.collect()
}

fn diagnose(cut: &cut::Cut<'_>, candidate: &Candidate<'_>, longer: bool) -> Option<(i32, Diagnosis)> {
    let dialect: &Dialect = &candidate.dialect;
    let reading = reading::read(dialect, &cut.pieces)?;
    let mut points = cut.points + reading.points;
    let mut reasons = cut.reasons.clone();
    if dialect.framing() == cut.framing {
        points += 4;
        reasons.push(format!("{} is how dialect {} usually travels", cut.framing, dialect.name()));
    } else if dialect.framing().has_tpdu() && !cut.framing.has_tpdu() {
        points -= 2;
    }
    reasons.extend(reading.reasons);
    if !candidate.changes.is_empty() {
        points -= 8;
        let changes = candidate.changes.replace('\n', " ").replace("[encoding] ", "");
        reasons.push(format!("the dialect needs a change for this: {}", changes.trim_end()));
    }
    if longer {
        reasons.push(format!("the input is longer than the {MAX_INPUT_BYTES} bytes that were looked at"));
    }
    let diagnosis = Diagnosis {
        score: u8::try_from(points.clamp(0, 100)).unwrap_or_default(),
        fits: reading.strict && cut.exact && !longer,
        framing: cut.framing,
        dialect: dialect.name().to_owned(),
        changes: candidate.changes.clone(),
        frames: cut.pieces.len(),
        reasons,
    };
    Some((points, diagnosis))
}
