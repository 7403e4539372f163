//! Terminals in rows: a CSV file or a JSON array, read and written. What is written reads back as the same.
//!
//! In CSV an empty cell leaves what is there, and `-` takes away (a group, all tags, an attribute). Text that
//! would be something else otherwise, or that a spreadsheet would take for a formula, stands as a JSON string.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use tms_core::{
    AttributeName, AttributeValue, Attributes, GroupId, LifeCycle, MerchantId, Profile, Tag, Terminal,
    TerminalId, Zone,
};
use tms_store::estate::MAX_TERMINALS_AT_ONCE;
use tms_store::{ImportRow, TerminalChange};

use super::import::{Row, RowProblem};
use super::{AttributeChange, given};
use crate::service::ServiceError;

/// How terminals are written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values in UTF-8 with a line of column names.
    Csv,
    /// An array of objects.
    Json,
}

/// The columns that have one name; attributes come behind them, as `attr.NAME`.
pub(super) const COLUMNS: [&str; 11] = [
    "id",
    "merchant",
    "profile",
    "group",
    "vendor",
    "model",
    "hardware_revision",
    "serial",
    "time_zone",
    "life_cycle",
    "tags",
];
const ATTRIBUTE: &str = "attr.";
/// Most columns of a file.
pub(super) const MAX_COLUMNS: usize = 512;
/// What takes away what is there.
const NOTHING: &str = "-";

/// Reads a file. Rows that cannot be read are rows with a problem.
///
/// # Errors
/// `Invalid` if it is no such file, its columns cannot be, or it has more rows than are taken at once.
pub fn read(format: Format, file: &[u8]) -> Result<Vec<Row>, ServiceError> {
    match format {
        Format::Csv => read_csv(file),
        Format::Json => match serde_json::from_slice::<JsonRows>(file) {
            Ok(rows) => Ok(rows.0),
            Err(error) => Err(ServiceError::Invalid(format!("this is no JSON array of terminals: {error}"))),
        },
    }
}

fn too_many() -> String {
    format!("there are more than {MAX_TERMINALS_AT_ONCE} rows; import them in several files")
}

fn read_csv(file: &[u8]) -> Result<Vec<Row>, ServiceError> {
    // Spreadsheets begin a file in UTF-8 with a mark.
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
    let unreadable = |error: csv::Error| ServiceError::Invalid(format!("this is no CSV: {error}"));
    let header = reader.headers().map_err(unreadable)?;
    let columns = columns(header).map_err(ServiceError::Invalid)?;
    let mut rows = Vec::new();
    let mut record = csv::ByteRecord::new();
    let mut lines = Lines { file, counted: 0, line: 1 };
    while reader.read_byte_record(&mut record).map_err(unreadable)? {
        if rows.len() >= MAX_TERMINALS_AT_ONCE {
            return Err(ServiceError::Invalid(too_many()));
        }
        let begin = record.position().and_then(|at| usize::try_from(at.byte()).ok()).unwrap_or_default();
        let number = lines.at(begin);
        // Spreadsheets leave rows of nothing at the end.
        if record.iter().all(|cell| cell.trim_ascii().is_empty()) {
            continue;
        }
        rows.push(Row { number, content: csv_row(&columns, &record) });
    }
    Ok(rows)
}

/// Which line of a file a place is in; places are asked for in their order.
struct Lines<'a> {
    file: &'a [u8],
    counted: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the record that begins here, perhaps after empty lines or the rest of a line's end.
    fn at(&mut self, begin: usize) -> u64 {
        let rest = self.file.get(begin..).unwrap_or_default();
        let skipped = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let begin = begin.saturating_add(skipped);
        let passed = self.file.get(self.counted..begin).unwrap_or_default();
        let ends = passed.iter().filter(|byte| **byte == b'\n').count();
        self.counted = begin;
        self.line = self.line.saturating_add(u64::try_from(ends).unwrap_or_default());
        self.line
    }
}

/// What a column is of.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Column {
    Named(&'static str),
    Attribute(AttributeName),
}

fn columns(header: &csv::StringRecord) -> Result<Vec<Column>, String> {
    if header.len() > MAX_COLUMNS {
        return Err(format!("the file has {} columns; it has at most {MAX_COLUMNS}", header.len()));
    }
    let mut columns = Vec::with_capacity(header.len());
    for name in header.iter().map(str::trim) {
        let column = match (COLUMNS.into_iter().find(|known| *known == name), name.strip_prefix(ATTRIBUTE)) {
            (Some(known), _) => Column::Named(known),
            (None, Some(attribute)) => {
                Column::Attribute(attribute.parse().map_err(|error: tms_core::IdError| error.to_string())?)
            }
            (None, None) => {
                let known = COLUMNS.join(", ");
                let shown: String = name.chars().take(40).collect();
                return Err(format!("there is no column {shown:?}; the columns are {known} and attr.NAME"));
            }
        };
        if columns.contains(&column) {
            return Err(format!("the column {name} is there twice"));
        }
        columns.push(column);
    }
    match columns.contains(&Column::Named("id")) {
        true => Ok(columns),
        false => Err("the file has no column id in its first line".to_owned()),
    }
}

fn csv_row(columns: &[Column], record: &csv::ByteRecord) -> Result<ImportRow, RowProblem> {
    let mut reasons = Vec::new();
    let mut id = None;
    let (mut profile, mut change) = (None, TerminalChange::default());
    if record.len() != columns.len() {
        reasons.push(format!("the row has {} cells and the file {} columns", record.len(), columns.len()));
    }
    for (column, cell) in columns.iter().zip(record) {
        let cell = match std::str::from_utf8(cell) {
            Ok(cell) => cell.trim(),
            Err(_) => {
                reasons.push("the row is not in UTF-8; save the file as CSV in UTF-8".to_owned());
                break;
            }
        };
        if cell.is_empty() {
            continue;
        }
        let read = match column {
            Column::Named("id") => word(cell).map(|word| id = Some(word)),
            Column::Named("profile") => word(cell).map(|word| profile = Some(word)),
            Column::Named(name) => put(name, cell, &mut change),
            Column::Attribute(name) => {
                attribute(cell).map(|value| drop(change.attributes.insert(name.clone(), value)))
            }
        };
        if let Err(reason) = read {
            reasons.push(reason);
        }
    }
    if id.is_none() && reasons.is_empty() {
        reasons.push("the row has no id".to_owned());
    }
    match (id, reasons.is_empty()) {
        (Some(id), true) => Ok(ImportRow { id, profile, change }),
        (terminal, _) => Err(RowProblem { terminal, reason: reasons.join("; ") }),
    }
}

fn put(column: &str, cell: &str, change: &mut TerminalChange) -> Result<(), String> {
    match column {
        "merchant" => change.merchant = Some(text(cell)?.parse::<MerchantId>().map_err(|e| e.to_string())?),
        "group" if cell == NOTHING => change.group = Some(None),
        "group" => change.group = Some(Some(word(cell)?)),
        "vendor" => change.vendor = Some(text(cell)?),
        "model" => change.model = Some(text(cell)?),
        "hardware_revision" => change.hardware_revision = Some(text(cell)?),
        "serial" => change.serial = Some(text(cell)?),
        "time_zone" => change.time_zone = Some(word(cell)?),
        "life_cycle" => change.life_cycle = Some(word(cell)?),
        "tags" if cell == NOTHING => change.tags = Some(BTreeSet::new()),
        "tags" => change.tags = Some(cell.split_whitespace().map(word).collect::<Result<_, _>>()?),
        other => return Err(format!("there is no column {other}")),
    }
    Ok(())
}

fn word<T: FromStr<Err = tms_core::IdError>>(cell: &str) -> Result<T, String> {
    cell.parse().map_err(|error: tms_core::IdError| error.to_string())
}

/// Text as it is, or as a JSON string.
fn text(cell: &str) -> Result<String, String> {
    if !cell.starts_with('"') {
        return Ok(cell.to_owned());
    }
    let shown = || cell.chars().take(40).collect::<String>();
    serde_json::from_str(cell).map_err(|_| format!("{} begins with a quote and is no JSON string", shown()))
}

fn attribute(cell: &str) -> Result<Option<AttributeValue>, String> {
    if cell == NOTHING {
        return Ok(None);
    }
    let value = match (cell.parse::<bool>(), cell.parse::<i64>()) {
        (Ok(flag), _) => AttributeValue::Flag(flag),
        (_, Ok(number)) => AttributeValue::Integer(number),
        _ => AttributeValue::text(text(cell)?).map_err(|error| error.to_string())?,
    };
    Ok(Some(value))
}

/// The first line of a file with these attributes.
pub(super) fn header<'a>(
    attributes: impl IntoIterator<Item = &'a AttributeName>,
) -> Result<Vec<u8>, csv::Error> {
    let named = COLUMNS.into_iter().map(str::to_owned);
    line(named.chain(attributes.into_iter().map(|name| format!("{ATTRIBUTE}{name}"))))
}

/// A terminal as a line of CSV.
pub(super) fn csv_line<'a>(
    terminal: &Terminal,
    attributes: impl IntoIterator<Item = &'a AttributeName>,
) -> Result<Vec<u8>, csv::Error> {
    let place = &terminal.place;
    let tags: Vec<_> = place.tags.iter().map(Tag::as_str).collect();
    let named = [
        terminal.id.to_string(),
        cell(terminal.merchant.as_str()),
        terminal.profile.to_string(),
        place.group.as_ref().map(GroupId::to_string).unwrap_or_default(),
        cell(&place.vendor),
        cell(&terminal.model),
        cell(&terminal.hardware_revision),
        cell(&terminal.serial),
        place.time_zone.to_string(),
        place.life_cycle.to_string(),
        tags.join(" "),
    ];
    let values = attributes.into_iter().map(|name| match place.attributes.get(name) {
        None => String::new(),
        Some(AttributeValue::Text(text)) => match attribute(text) {
            Ok(Some(AttributeValue::Text(read))) if read == *text && !text.is_empty() => cell(text),
            _ => quoted(text),
        },
        Some(value) => value.to_string(),
    });
    line(named.into_iter().chain(values))
}

fn line(cells: impl Iterator<Item = String>) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells.map(String::into_bytes))?;
    writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

fn cell(text: &str) -> String {
    let begins_badly = text.starts_with(['"', '=', '+', '-', '@']);
    if begins_badly || text.trim() != text { quoted(text) } else { text.to_owned() }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The rows of a JSON array, read one after the other.
struct JsonRows(Vec<Row>);

impl<'de> Deserialize<'de> for JsonRows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rows;
        impl<'de> Visitor<'de> for Rows {
            type Value = JsonRows;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of terminals")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<JsonRows, A::Error> {
                let mut rows = Vec::new();
                while let Some(value) = seq.next_element::<Value>()? {
                    if rows.len() >= MAX_TERMINALS_AT_ONCE {
                        return Err(de::Error::custom(too_many()));
                    }
                    let number = u64::try_from(rows.len()).unwrap_or(u64::MAX).saturating_add(1);
                    rows.push(Row { number, content: json_row(value) });
                }
                Ok(JsonRows(rows))
            }
        }
        deserializer.deserialize_seq(Rows)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRow {
    id: TerminalId,
    profile: Option<Profile>,
    merchant: Option<MerchantId>,
    #[serde(default, deserialize_with = "given")]
    group: Option<Option<GroupId>>,
    vendor: Option<String>,
    model: Option<String>,
    hardware_revision: Option<String>,
    serial: Option<String>,
    time_zone: Option<Zone>,
    life_cycle: Option<LifeCycle>,
    tags: Option<BTreeSet<Tag>>,
    #[serde(default)]
    attributes: AttributeChange,
}

fn json_row(value: Value) -> Result<ImportRow, RowProblem> {
    let terminal = value.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
    let row: JsonRow =
        serde_json::from_value(value).map_err(|error| RowProblem { terminal, reason: error.to_string() })?;
    let change = TerminalChange {
        merchant: row.merchant,
        model: row.model,
        hardware_revision: row.hardware_revision,
        serial: row.serial,
        vendor: row.vendor,
        time_zone: row.time_zone,
        life_cycle: row.life_cycle,
        group: row.group,
        tags: row.tags,
        attributes: row.attributes,
        ..TerminalChange::default()
    };
    Ok(ImportRow { id: row.id, profile: row.profile, change })
}

/// A terminal as an object of a JSON array.
#[derive(Serialize)]
struct JsonLine<'a> {
    id: &'a TerminalId,
    merchant: &'a MerchantId,
    profile: &'a Profile,
    group: &'a Option<GroupId>,
    vendor: &'a str,
    model: &'a str,
    hardware_revision: &'a str,
    serial: &'a str,
    time_zone: &'a Zone,
    life_cycle: LifeCycle,
    tags: &'a BTreeSet<Tag>,
    attributes: &'a BTreeMap<AttributeName, AttributeValue>,
}

pub(super) fn json_line(terminal: &Terminal) -> Result<Vec<u8>, serde_json::Error> {
    let place = &terminal.place;
    let attributes: &Attributes = &place.attributes;
    serde_json::to_vec(&JsonLine {
        id: &terminal.id,
        merchant: &terminal.merchant,
        profile: &terminal.profile,
        group: &place.group,
        vendor: &place.vendor,
        model: &terminal.model,
        hardware_revision: &terminal.hardware_revision,
        serial: &terminal.serial,
        time_zone: &place.time_zone,
        life_cycle: place.life_cycle,
        tags: &place.tags,
        attributes,
    })
}
