//! Where terminals stand: one, those that a selector means, and whole files of them.

use std::fs::File;
use std::io;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::cli::{Connection, Edit, EstateCommand, Format, LifeCycle};
use crate::client::{Client, escaped, path};
use crate::failure::Failure;
use crate::group::{attributes, pairs, words};
use crate::output::{self, text_at};

/// Runs `tmsctl terminal edit`.
pub(crate) fn edit(client: &Client, terminal: &str, edit: &Edit, json: bool) -> Result<(), Failure> {
    let answer = client.patch(&path(&["terminals", terminal, "place"]), &change(edit)?)?;
    if json { output::json(&answer) } else { show(&answer) }
}

/// Runs `tmsctl terminal replace`.
pub(crate) fn replace(client: &Client, old: &str, new: &str, json: bool) -> Result<(), Failure> {
    let answer = client.post(&path(&["terminals", old, "replace"]), Some(&json!({ "by": new })))?;
    if json { output::json(&answer) } else { show(&answer) }
}

/// Runs `tmsctl terminal bulk`.
pub(crate) fn bulk(
    client: &Client,
    selector: &str,
    edit: &Edit,
    dry_run: bool,
    json: bool,
) -> Result<(), Failure> {
    let asked = json!({ "selector": selector, "change": change(edit)?, "dry_run": dry_run });
    let answer = client.post("/estate/bulk", Some(&asked))?;
    if json {
        return output::json(&answer);
    }
    let refusals = answer.pointer("/refusals").and_then(Value::as_array).cloned().unwrap_or_default();
    if !refusals.is_empty() {
        let mut table = output::table(&["terminal", "why not"]);
        for refusal in &refusals {
            table.add_row(["/terminal", "/reason"].map(|key| text_at(refusal, key)));
        }
        output::line(&table.to_string())?;
    }
    let would = if dry_run { "would be changed" } else { "are changed" };
    output::line(&format!(
        "{} terminals are meant: {} {would}, {} cannot be.",
        text_at(&answer, "/selected"),
        text_at(&answer, "/changed"),
        text_at(&answer, "/refused")
    ))
}

fn change(edit: &Edit) -> Result<Value, Failure> {
    let mut change = Map::new();
    let mut put = |name: &str, value: Value| drop(change.insert(name.to_owned(), value));
    let texts = [
        ("group", &edit.group),
        ("vendor", &edit.vendor),
        ("time_zone", &edit.time_zone),
        ("merchant", &edit.merchant),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            put(name, text.as_str().into());
        }
    }
    if edit.no_group {
        put("group", Value::Null);
    }
    if let Some(state) = edit.life_cycle {
        put("life_cycle", life_cycle(state).into());
    }
    for (name, tags) in [("add_tags", &edit.tag), ("remove_tags", &edit.untag)] {
        if !tags.is_empty() {
            put(name, json!(tags));
        }
    }
    let attributes = attributes(&edit.attribute, &edit.unset_attribute)?;
    if !attributes.is_empty() {
        put("attributes", json!(attributes));
    }
    Ok(Value::Object(change))
}

fn life_cycle(state: LifeCycle) -> &'static str {
    match state {
        LifeCycle::Registered => "registered",
        LifeCycle::Active => "active",
        LifeCycle::Locked => "locked",
        LifeCycle::Suspended => "suspended",
        LifeCycle::Retired => "retired",
    }
}

fn show(place: &Value) -> Result<(), Failure> {
    let mut table = output::table(&["terminal", &text_at(place, "/terminal")]);
    rows(&mut table, place, "");
    output::line(&table.to_string())
}

/// What people know a terminal by.
pub(crate) fn rows(table: &mut comfy_table::Table, value: &Value, at: &str) {
    for (name, key) in [
        ("group", "group"),
        ("life cycle", "life_cycle"),
        ("vendor", "vendor"),
        ("time zone", "time_zone"),
        ("replaced by", "replaced_by"),
    ] {
        table.add_row([name.to_owned(), text_at(value, &format!("{at}/{key}"))]);
    }
    table.add_row(["tags".to_owned(), words(value, &format!("{at}/tags"), " ")]);
    table.add_row(["attributes".to_owned(), pairs(value, &format!("{at}/attributes"))]);
}

/// Runs `tmsctl estate …`.
pub(crate) fn estate(connection: &Connection, command: &EstateCommand) -> Result<(), Failure> {
    let client = Client::logged_in(connection)?;
    match command {
        EstateCommand::Import { file, format, dry_run, partial, json } => {
            let answer = import(&client, file, *format, *dry_run, *partial)?;
            if *json {
                output::json(&answer)?
            } else {
                report(&answer)?
            }
            let refused = answer.pointer("/refused").and_then(Value::as_u64).unwrap_or_default();
            if refused == 0 || *partial {
                return Ok(());
            }
            let sentence = format!("{refused} rows cannot be, and nothing was imported");
            Err(Failure::new(sentence).next("correct the rows, or import the others with --partial"))
        }
        EstateCommand::Export { selector, format, out } => {
            let mut query = format!("format={}", format_name(*format));
            if let Some(selector) = selector {
                query = format!("{query}&selector={}", escaped(selector));
            }
            let mut file = client.download(&format!("/estate/export?{query}"))?;
            match out {
                Some(path) => save(&mut file, path),
                None => print(&mut file),
            }
        }
    }
}

fn import(
    client: &Client,
    path: &Path,
    format: Option<Format>,
    dry_run: bool,
    partial: bool,
) -> Result<Value, Failure> {
    let by_name = || match path.extension().and_then(|end| end.to_str()) {
        Some("csv") => Ok(Format::Csv),
        Some("json") => Ok(Format::Json),
        _ => Err(Failure::new(format!("the name of {} does not say how it is written", path.display()))
            .next("give --format csv or --format json")),
    };
    let kind = match format.map_or_else(by_name, Ok)? {
        Format::Csv => "text/csv",
        Format::Json => "application/json",
    };
    let unreadable = |error: io::Error| Failure::new(format!("{} cannot be read: {error}", path.display()));
    let mut file = File::open(path).map_err(unreadable)?;
    let size_bytes = file.metadata().map_err(unreadable)?.len();
    let place = format!("/estate/import?dry_run={dry_run}&partial={partial}");
    client.upload_as(&place, kind, size_bytes, &mut file)
}

fn report(answer: &Value) -> Result<(), Failure> {
    let problems = answer.pointer("/problems").and_then(Value::as_array).cloned().unwrap_or_default();
    if !problems.is_empty() {
        let mut table = output::table(&["row", "terminal", "why not"]);
        for problem in &problems {
            table.add_row(["/row", "/terminal", "/reason"].map(|key| text_at(problem, key)));
        }
        output::line(&table.to_string())?;
    }
    let applied = answer.pointer("/applied").and_then(Value::as_bool) == Some(true);
    output::line(&format!(
        "{} rows: {} new, {} changed, {} as they were, {} refused; {}.",
        text_at(answer, "/rows"),
        text_at(answer, "/added"),
        text_at(answer, "/changed"),
        text_at(answer, "/same"),
        text_at(answer, "/refused"),
        if applied { "imported" } else { "nothing was changed" }
    ))
}

fn format_name(format: Format) -> &'static str {
    match format {
        Format::Csv => "csv",
        Format::Json => "json",
    }
}

fn save(file: &mut impl io::Read, path: &Path) -> Result<(), Failure> {
    let unwritable = |error: io::Error| {
        Failure::new(format!("{} cannot be written: {error}", path.display()))
            .next("the export is not whole; give --out another file, or export again")
    };
    let mut out = File::create(path).map_err(unwritable)?;
    let bytes =
        io::copy(file, &mut out).and_then(|bytes| out.sync_all().map(|()| bytes)).map_err(unwritable)?;
    output::line(&format!("{bytes} bytes are in {}", path.display()))
}

fn print(file: &mut impl io::Read) -> Result<(), Failure> {
    match io::copy(file, &mut io::stdout().lock()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("the export broke off: {error}")).next("export again"))
        }
        _ => Ok(()),
    }
}
