//! `tmsctl message doctor`: which framing and which dialect unknown bytes are in.

use iso8583::Dialect;
use iso8583::doctor::{Diagnosis, Doctor as Library};

use super::input;
use crate::cli::Doctor;
use crate::failure::Failure;
use crate::output;

/// Diagnoses that are shown without --all.
const SHOWN: usize = 3;

pub(super) fn run(options: &Doctor) -> Result<(), Failure> {
    let own = options.dialect.iter().map(|name| super::dialect(name)).collect::<Result<Vec<Dialect>, _>>()?;
    let mut doctor: Library<'_> = Library::default();
    for dialect in own.iter().rev() {
        doctor = doctor.with_dialect(dialect);
    }
    for framing in &options.framing {
        doctor = doctor.with_framing(*framing);
    }
    // A file of digits may be a message in hexadecimal or a message of text.
    let mut best: Vec<Diagnosis> = Vec::new();
    let (read, refused): (Vec<_>, Vec<_>) =
        input::readings(&options.given)?.into_iter().partition(Result::is_ok);
    if let (true, Some(Err(failure))) = (read.is_empty(), refused.into_iter().next()) {
        return Err(failure);
    }
    for bytes in read.iter().flatten() {
        let found = doctor.examine(bytes);
        let score = |found: &[Diagnosis]| found.first().map(|first| (first.fits, first.score));
        if score(&found) > score(&best) {
            best = found;
        }
    }
    if options.json {
        return output::json(&best);
    }
    if best.is_empty() {
        return Err(Failure::new("no dialect finds as much as a message type and a bitmap in the input")
            .next("check that the bytes begin where a frame begins, and are not encrypted"));
    }
    let colour = output::coloured(options.color);
    let shown = if options.all { best.len() } else { SHOWN.min(best.len()) };
    for (rank, diagnosis) in (1..).zip(&best).take(shown) {
        print(rank, diagnosis, colour)?;
    }
    if shown < best.len() {
        output::line(&format!("{} more are shown with --all.", best.len() - shown))?;
    }
    Ok(())
}

fn print(rank: usize, diagnosis: &Diagnosis, colour: bool) -> Result<(), Failure> {
    let Diagnosis { score, fits, framing, dialect, .. } = diagnosis;
    let verdict = if *fits { "fits" } else { "does not fit fully" };
    let heading = format!("{rank}. framing {framing}, dialect {dialect}: {verdict} (score {score} of 100)");
    output::line(&output::strong(&heading, colour))?;
    for reason in &diagnosis.reasons {
        output::line(&format!("   - {reason}"))?;
    }
    if !diagnosis.changes.is_empty() {
        output::line("   a dialect file for it:")?;
        output::line(&format!("     name = \"mine\"\n     extends = \"{dialect}\""))?;
        for line in diagnosis.changes.lines() {
            output::line(&format!("     {line}"))?;
        }
    }
    Ok(())
}
