//! Whole files of terminals come in: all rows, or none.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use tms_core::TerminalId;
use tms_store::{ImportRow, StoreError, Verdict};

use crate::app::App;
use crate::service::ServiceError;

/// Most refused rows that a report names; the others are counted.
pub const MAX_PROBLEMS: usize = 1_000;

/// How often the rows that were not refused are tried again without those that were.
const TRIES: u32 = 3;

/// A row of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where it stands: the line of a CSV file, the place in a JSON array; both from 1.
    pub number: u64,
    /// What it says, or what is wrong with it.
    pub content: Result<ImportRow, RowProblem>,
}

/// Why a row cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowProblem {
    /// The terminal, if the row says one.
    pub terminal: Option<TerminalId>,
    /// What is wrong, a sentence.
    pub reason: String,
}

/// How a file is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Only say what would come of it.
    pub dry_run: bool,
    /// Take the rows that can be although others cannot.
    pub partial: bool,
}

/// What became of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Rows of the file.
    pub rows: u64,
    /// Terminals that are new.
    pub added: u64,
    /// Terminals that are changed.
    pub changed: u64,
    /// Terminals that were so already.
    pub same: u64,
    /// Rows that cannot be.
    pub refused: u64,
    /// Whether anything was done: not by a trial, and not when a row was refused, unless it was to be partial.
    pub applied: bool,
    /// Refused rows in their order, at most [`MAX_PROBLEMS`].
    pub problems: Vec<(u64, RowProblem)>,
}

/// Adds and changes terminals as the rows say. New ones are `registered` and have no keys until they are enrolled.
/// When a row is refused nothing is changed, unless it is to be partial; the report says what would have come of
/// the others.
///
/// # Errors
/// `Invalid` if there are no rows; `Store` if the estate changes all the time, or the database says no.
pub async fn import(app: &App, rows: Vec<Row>, options: ImportOptions) -> Result<ImportReport, ServiceError> {
    if rows.is_empty() {
        return Err(ServiceError::Invalid("there is no row to import".to_owned()));
    }
    let mut report = ImportReport { rows: count(rows.len()), ..ImportReport::default() };
    let mut good = sorted_out(rows, &mut report);
    let ImportOptions { dry_run, partial } = options;
    for _ in 0..TRIES {
        if good.is_empty() {
            return Ok(report.ended());
        }
        let applies = !dry_run && (partial || report.problems.is_empty());
        let rows = good.iter().map(|(_, row)| row.clone()).collect();
        let done = app.store.import_terminals(rows, !applies, app.now()).await?;
        let mut rest = Vec::with_capacity(good.len());
        let (mut added, mut changed, mut same) = (0_u64, 0_u64, 0_u64);
        for ((number, row), verdict) in good.into_iter().zip(done.verdicts) {
            let slot = match verdict {
                Verdict::Added => &mut added,
                Verdict::Changed => &mut changed,
                Verdict::Same => &mut same,
                Verdict::Refused(reason) => {
                    report.problems.push((number, RowProblem { terminal: Some(row.id), reason }));
                    continue;
                }
            };
            *slot = slot.saturating_add(1);
            rest.push((number, row));
        }
        if applies && partial && !done.is_applied {
            good = rest;
            continue;
        }
        report = ImportReport { added, changed, same, applied: done.is_applied, ..report };
        if report.applied {
            // A terminal that takes work again may have some waiting.
            app.wake.everybody();
        }
        return Ok(report.ended());
    }
    Err(ServiceError::Store(StoreError::Conflict {
        reason:
            "the estate changed again and again while the rows were taken; nothing was imported, try again"
                .to_owned(),
    }))
}

/// The rows that say something and are the first of their terminals.
fn sorted_out(rows: Vec<Row>, report: &mut ImportReport) -> Vec<(u64, ImportRow)> {
    let mut first: HashMap<TerminalId, u64> = HashMap::new();
    let mut good = Vec::with_capacity(rows.len());
    for Row { number, content } in rows {
        let id = match &content {
            Ok(row) => Some(&row.id),
            Err(problem) => problem.terminal.as_ref(),
        };
        let earlier = id.and_then(|id| match first.entry(id.clone()) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(slot) => {
                slot.insert(number);
                None
            }
        });
        match (content, earlier) {
            (Ok(row), None) => good.push((number, row)),
            (Ok(row), Some(earlier)) => {
                let reason = format!("terminal {} is in row {earlier} too", row.id);
                report.problems.push((number, RowProblem { terminal: Some(row.id), reason }));
            }
            (Err(problem), _) => report.problems.push((number, problem)),
        }
    }
    good
}

impl ImportReport {
    fn ended(mut self) -> Self {
        self.refused = count(self.problems.len());
        self.problems.sort_by_key(|(row, _)| *row);
        self.problems.truncate(MAX_PROBLEMS);
        self
    }
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
