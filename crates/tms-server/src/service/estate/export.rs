//! Terminals go out as a file, a piece at a time, however many there are.

use std::collections::BTreeSet;
use std::sync::Arc;

use tms_core::{AttributeName, Selector, Terminal, TerminalId};

use super::table::{self, COLUMNS, Format, MAX_COLUMNS};
use crate::app::App;
use crate::service::ServiceError;

/// Terminals in one piece.
const PAGE: u32 = 500;

/// An export under way. It gives terminals as they are when their piece is read.
#[derive(Debug)]
pub struct Export {
    app: Arc<App>,
    selector: Selector,
    format: Format,
    /// The attributes that have a column, in CSV.
    attributes: BTreeSet<AttributeName>,
    /// What the next piece begins with.
    opening: Option<Vec<u8>>,
    after: Option<TerminalId>,
    ended: bool,
}

impl Export {
    /// Begins to write the terminals that a selector means.
    ///
    /// # Errors
    /// `Invalid` if they have more attributes than a CSV file has columns; `Store`.
    pub async fn begin(app: Arc<App>, selector: Selector, format: Format) -> Result<Self, ServiceError> {
        let mut export = Self {
            app,
            selector,
            format,
            attributes: BTreeSet::new(),
            opening: None,
            after: None,
            ended: false,
        };
        export.opening = Some(match format {
            Format::Json => b"[".to_vec(),
            Format::Csv => {
                export.find_attributes().await?;
                table::header(&export.attributes)
                    .map_err(|error| ServiceError::Internal(error.to_string()))?
            }
        });
        Ok(export)
    }

    async fn find_attributes(&mut self) -> Result<(), ServiceError> {
        let mut after = None;
        loop {
            let page = self.page(after.as_ref()).await?;
            for name in page.iter().flat_map(|terminal| terminal.place.attributes.keys()) {
                if !self.attributes.contains(name) {
                    self.attributes.insert(name.clone());
                }
            }
            if self.attributes.len().saturating_add(COLUMNS.len()) > MAX_COLUMNS {
                return Err(ServiceError::Invalid(format!(
                    "these terminals have more attributes than a CSV file has columns ({MAX_COLUMNS}); export JSON, \
                     or fewer terminals"
                )));
            }
            after = match page.last() {
                Some(last) => Some(last.id.clone()),
                None => return Ok(()),
            };
        }
    }

    async fn page(&self, after: Option<&TerminalId>) -> Result<Vec<Terminal>, ServiceError> {
        Ok(self.app.store.find(&self.selector, after, PAGE, self.app.now()).await?)
    }

    /// The next piece of the file; `None` at its end.
    ///
    /// # Errors
    /// `Invalid` if a terminal got an attribute that has no column, and `Store`: the file is not whole then.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ServiceError> {
        if self.ended {
            return Ok(None);
        }
        let page = self.page(self.after.as_ref()).await?;
        let is_first = self.opening.is_some();
        let mut piece = self.opening.take().unwrap_or_default();
        for (at, terminal) in page.iter().enumerate() {
            match self.format {
                Format::Csv => piece.extend(self.csv_line(terminal)?),
                Format::Json => {
                    let separator: &[u8] = if is_first && at == 0 { b"\n" } else { b",\n" };
                    piece.extend(separator);
                    let line = table::json_line(terminal);
                    piece.extend(line.map_err(|error| ServiceError::Internal(error.to_string()))?);
                }
            }
        }
        match page.last() {
            Some(last) => self.after = Some(last.id.clone()),
            None => {
                self.ended = true;
                if self.format == Format::Json {
                    piece.extend(b"\n]\n");
                }
            }
        }
        Ok(Some(piece))
    }

    fn csv_line(&self, terminal: &Terminal) -> Result<Vec<u8>, ServiceError> {
        if let Some(new) = terminal.place.attributes.keys().find(|name| !self.attributes.contains(*name)) {
            return Err(ServiceError::Invalid(format!(
                "terminal {} got the attribute {new} while it was exported; export again",
                terminal.id
            )));
        }
        table::csv_line(terminal, &self.attributes).map_err(|error| ServiceError::Internal(error.to_string()))
    }
}
