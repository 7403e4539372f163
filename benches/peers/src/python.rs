//! The peer that is written in Python, measured by a script of its own.

use std::path::Path;
use std::process::Command;

/// One measurement made elsewhere.
pub struct Foreign {
    /// The message's name.
    pub message: String,
    /// The operation as [`crate::Operation`] prints it.
    pub operation: String,
    /// The shortest time for one operation, in nanoseconds.
    pub least_ns: f64,
}

/// Runs the script with `PYTHON` or `python3`.
///
/// # Errors
///
/// Why there are no figures: no Python, or not the package.
pub fn measure(vectors: &Path) -> Result<Vec<Foreign>, String> {
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let ran = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/pyiso8583_times.py"))
        .arg(vectors)
        .output()
        .map_err(|error| error.to_string())?;
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        return Err(said.lines().last().unwrap_or("failed").to_owned());
    }
    let said = String::from_utf8_lossy(&ran.stdout);
    said.lines()
        .map(|line| {
            let mut columns = line.split('\t');
            Some(Foreign {
                message: columns.next()?.to_owned(),
                operation: columns.next()?.to_owned(),
                least_ns: columns.next()?.parse().ok()?,
            })
        })
        .collect::<Option<_>>()
        .ok_or_else(|| "the script printed something else".to_owned())
}
