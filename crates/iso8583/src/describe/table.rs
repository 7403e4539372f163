//! A description in aligned columns.

use std::fmt;

use crate::paint::{Paint, Style, widest};

use super::Describe;

impl fmt::Display for Describe<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows();
        let paint = Paint { colour: self.colour };
        let paths: Vec<String> =
            rows.iter().map(|row| format!("{:1$}{2}", "", row.depth * 2, row.path)).collect();
        let bytes: Vec<String> = rows.iter().map(|row| format!("{}..{}", row.start, row.end)).collect();
        let path_width = widest(paths.iter().map(String::as_str));
        let bytes_width = widest(bytes.iter().map(String::as_str));
        let name_width = widest(rows.iter().map(|row| row.name.as_str()));
        let notation_width = widest(rows.iter().map(|row| row.notation.as_str()));
        for (row, (path, bytes)) in rows.iter().zip(paths.iter().zip(&bytes)) {
            paint.cell(f, Style::Strong, path, path_width)?;
            paint.cell(f, Style::Faint, bytes, bytes_width)?;
            paint.cell(f, Style::Plain, &row.name, name_width)?;
            if row.value.is_empty() {
                paint.text(f, Style::Faint, &row.notation)?;
            } else {
                paint.cell(f, Style::Faint, &row.notation, notation_width)?;
                paint.text(f, if row.masked { Style::Hidden } else { Style::Plain }, &row.value)?;
            }
            f.write_str("\n")?;
            for problem in &row.problems {
                write!(f, "{:path_width$}  ", "")?;
                paint.text(f, Style::Wrong, &format!("^ byte {}: {}", problem.offset, problem.reason))?;
                f.write_str("\n")?;
            }
        }
        Ok(())
    }
}
