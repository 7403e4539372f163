//! `tmsctl dialect`: dialect files checked, shown and made, without a server.

mod import;
mod show;

use std::fs;
use std::path::{Path, PathBuf};

use iso8583::{Dialect, DialectError};

use crate::cli::DialectCommand;
use crate::failure::Failure;
use crate::output;

/// The largest dialect file, in bytes; the library takes no longer one.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Runs `tmsctl dialect …`.
///
/// # Errors
///
/// A file that cannot be read or has something wrong in it.
pub fn run(command: &DialectCommand) -> Result<(), Failure> {
    match command {
        DialectCommand::List => list(),
        DialectCommand::Check(options) => check(&options.file),
        DialectCommand::Show(options) => show::run(&by_name_or_file(&options.dialect)?, options),
        DialectCommand::Schema => output::line(Dialect::json_schema().trim_end()),
        DialectCommand::Import(options) => import::run(options),
    }
}

/// A built-in dialect by name, or one from a file, which may extend files beside it.
///
/// # Errors
///
/// There is neither, or the file is wrong.
pub fn by_name_or_file(name_or_file: &str) -> Result<Dialect, Failure> {
    if let Some(builtin) = Dialect::builtin(name_or_file) {
        return Ok(builtin.clone());
    }
    let path = Path::new(name_or_file);
    if !path.exists() {
        let known = Dialect::builtin_names().join(", ");
        return Err(Failure::new(format!("`{name_or_file}` is neither a built-in dialect nor a file"))
            .next(format!("give one of {known}, or the path of a dialect file")));
    }
    let text = read_file(path, MAX_FILE_BYTES)?;
    Dialect::from_toml_with(&text, bases(path))
        .map_err(|error| Failure::new(format!("dialect file {name_or_file}: {error}")))
}

fn list() -> Result<(), Failure> {
    let mut table = output::table(&["name", "framing", "version", "fields 11, 39, 41"]);
    for dialect in Dialect::builtin_names().iter().filter_map(|name| Dialect::builtin(name)) {
        let notation = |number| dialect.field(number).map(|field| field.notation()).unwrap_or_default();
        let shapes = [11, 39, 41].map(notation).join(", ");
        // The local time tells the versions apart: hhmmss, then with the date, then with the century.
        let version = match notation(12).as_str() {
            "n6" => "1987",
            "n12" => "1993",
            _ => "2003",
        };
        table.add_row([dialect.name(), &dialect.framing().to_string(), version, &shapes]);
    }
    output::line(&table.to_string())
}

fn check(path: &Path) -> Result<(), Failure> {
    let text = read_file(path, MAX_FILE_BYTES)?;
    match Dialect::check_toml(&text, bases(path)) {
        Ok(dialect) => {
            let fields = dialect.fields().count();
            output::line(&format!("{}: dialect {} with {fields} fields", path.display(), dialect.name()))
        }
        Err(errors) => {
            let told: Vec<_> = errors.iter().map(DialectError::to_string).collect();
            let count = if told.len() == 1 {
                "one thing is".to_owned()
            } else {
                format!("{} things are", told.len())
            };
            Err(Failure::new(format!("{}: {count} wrong\n{}", path.display(), told.join("\n"))))
        }
    }
}

/// The texts of the files that a file extends, one after the other. Each name is a path from the file
/// that says it.
fn bases(file: &Path) -> impl FnMut(&str) -> Option<String> {
    let mut folder: PathBuf = file.parent().unwrap_or(Path::new("")).to_owned();
    move |name| {
        let path = folder.join(name);
        let text = read_file(&path, MAX_FILE_BYTES).ok();
        path.parent().unwrap_or(Path::new("")).clone_into(&mut folder);
        text
    }
}

/// The text of a file that is not longer than it may be.
fn read_file(path: &Path, most: u64) -> Result<String, Failure> {
    let failed = |reason: String| Failure::new(format!("{} cannot be read: {reason}", path.display()));
    let size = fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if size > most {
        return Err(failed(format!("it has {size} bytes and may have {most}")));
    }
    fs::read_to_string(path).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests;
