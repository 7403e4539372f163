//! Dialects from the XML of jPOS's `GenericPackager`.
//!
//! Each field names a Java class that says how it is written; [`classes`] tells what those classes do.

use std::collections::BTreeMap;

use roxmltree::{Document, Node, ParsingOptions};

use super::classes::{self, Kind};
use super::model::{Dialect, Field, Structure, Unknown, Unreadable};

/// Elements and texts of a file; the largest of jPOS's own has about 1000.
const MAX_NODES: u32 = 100_000;
/// Packagers within packagers.
const MAX_DEPTH: usize = 4;

/// Reads a packager file. Fields that cannot be converted are returned beside the dialect.
pub(super) fn read(xml: &str) -> Result<(Dialect, Vec<Unknown>), Unreadable> {
    let options = ParsingOptions { allow_dtd: true, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document =
        Document::parse_with_options(xml, options).map_err(|error| Unreadable(error.to_string()))?;
    let root = document.root_element();
    if root.tag_name().name() != "isopackager" {
        let found = root.tag_name().name();
        return Err(Unreadable(format!("the file is about <{found}>, and a packager is an <isopackager>")));
    }
    let mut dialect = Dialect { mti: "ascii", bitmap: "binary", ..Dialect::default() };
    let mut unknown = Vec::new();
    for node in root.children().filter(Node::is_element) {
        let Some(number) = attribute(node, "id").and_then(|id| id.parse::<u16>().ok()) else {
            return Err(Unreadable(format!("line {}: an element without a number as `id`", line(node))));
        };
        let class = simple_name(attribute(node, "class").unwrap_or_default());
        match number {
            0 => match classes::mti(class) {
                Some(mti) => dialect.mti = mti,
                None => unknown.push(Unknown { field: "0".to_owned(), what: no_class(node, class) }),
            },
            1 => match classes::bitmap(class) {
                Some(bitmap) => {
                    dialect.bitmap = bitmap;
                    if length(node) == Some(8) {
                        dialect.bitmaps = Some("one");
                    }
                }
                None => unknown.push(Unknown { field: "1".to_owned(), what: no_class(node, class) }),
            },
            2..=128 => match field(node, &number.to_string(), 0) {
                Ok(Some(field)) => {
                    dialect.fields.insert(number, field.numbered(number));
                }
                Ok(None) => {}
                Err(error) => {
                    dialect.lost.insert(number, error.what.clone());
                    unknown.push(error);
                }
            },
            _ => unknown.push(Unknown {
                field: number.to_string(),
                what: format!("line {}: messages end at field 128", line(node)),
            }),
        }
    }
    if dialect.fields.is_empty() && dialect.lost.is_empty() {
        return Err(Unreadable("the packager has no fields".to_owned()));
    }
    Ok((dialect, unknown))
}

/// One element; `None` for a field that the packager says is not used.
fn field(node: Node<'_, '_>, path: &str, depth: usize) -> Result<Option<Field>, Unknown> {
    let unknown = |what: String| Unknown { field: path.to_owned(), what };
    let class = simple_name(attribute(node, "class").unwrap_or_default());
    let Some(kind) = classes::kind(class) else {
        return Err(unknown(no_class(node, class)));
    };
    let Kind::Field(describe) = kind else {
        return Ok(None);
    };
    let length =
        length(node).ok_or_else(|| unknown(format!("line {}: `length` is no number", line(node))))?;
    let pad = attribute(node, "pad") == Some("true");
    let mut field =
        describe.field(length, pad).map_err(|what| unknown(format!("line {}: {what}", line(node))))?;
    field.name = attribute(node, "name").filter(|name| !name.trim().is_empty()).unwrap_or(path).to_owned();
    if node.tag_name().name() == "isofieldpackager" {
        inner(node, path, depth, &mut field)?;
    }
    Ok(Some(field))
}

/// What is inside a field. A packager with no equal leaves the field as bytes, with a note.
fn inner(node: Node<'_, '_>, path: &str, depth: usize, field: &mut Field) -> Result<(), Unknown> {
    if depth >= MAX_DEPTH {
        return Err(Unknown {
            field: path.to_owned(),
            what: format!("packagers more than {MAX_DEPTH} deep"),
        });
    }
    let packager = simple_name(attribute(node, "packager").unwrap_or_default());
    match packager {
        "ICCDataPackager" => field.structure = Structure::BerTlv,
        "GenericPackager" | "GenericSubFieldPackager" => {
            if attribute(node, "emitBitmap") == Some("false") {
                positional(node, path, depth, field)?;
            } else {
                bitmapped(node, path, depth, field)?;
            }
        }
        _ => field
            .notes
            .push(format!("Inside: packager {packager}, which has no equal; the field stays whole.")),
    }
    Ok(())
}

fn subfields(node: Node<'_, '_>, path: &str, depth: usize) -> Result<BTreeMap<u16, Field>, Unknown> {
    let mut fields = BTreeMap::new();
    for node in node.children().filter(Node::is_element) {
        let number = attribute(node, "id").and_then(|id| id.parse::<u16>().ok());
        let Some(number) = number else {
            let what = format!("line {}: an element without a number as `id`", line(node));
            return Err(Unknown { field: path.to_owned(), what });
        };
        let class = simple_name(attribute(node, "class").unwrap_or_default());
        if classes::bitmap(class).is_some() {
            continue;
        }
        if let Some(field) = field(node, &format!("{path}.{number}"), depth + 1)? {
            fields.insert(number, field);
        }
    }
    Ok(fields)
}

fn positional(node: Node<'_, '_>, path: &str, depth: usize, field: &mut Field) -> Result<(), Unknown> {
    let parts: Vec<_> = subfields(node, path, depth)?.into_values().collect();
    let last = parts.len().saturating_sub(1);
    if parts.iter().enumerate().any(|(at, part)| part.is_variable() && at != last) {
        field.notes.push(
            "Inside: subfields of variable length one behind another; the field stays whole.".to_owned(),
        );
        return Ok(());
    }
    field.divide(parts);
    if attribute(node, "firstField") == Some("0") && matches!(field.structure, Structure::Positional(_)) {
        field.notes.push("Subfields are counted from 0 in the original and from 1 here.".to_owned());
    }
    Ok(())
}

fn bitmapped(node: Node<'_, '_>, path: &str, depth: usize, field: &mut Field) -> Result<(), Unknown> {
    let place = attribute(node, "bitmapField").unwrap_or("1");
    let bitmap = node
        .children()
        .find(|child| child.is_element() && attribute(*child, "id") == Some(place))
        .and_then(|child| classes::bitmap(simple_name(attribute(child, "class").unwrap_or_default())));
    let fields = subfields(node, path, depth)?;
    match bitmap {
        Some(bitmap) if fields.keys().all(|number| (2..=128).contains(number)) => {
            field.class = "b";
            field.digits = None;
            field.text = None;
            field.binary = field.binary.or(Some("raw"));
            field.structure = Structure::Bitmapped { bitmap, fields };
        }
        Some(_) => {
            field.notes.push("Inside: a bitmap that counts from 1 or 0; the field stays whole.".to_owned())
        }
        None => field.notes.push("Inside: a bitmap of unknown kind; the field stays whole.".to_owned()),
    }
    Ok(())
}

fn no_class(node: Node<'_, '_>, class: &str) -> String {
    format!("line {}: the class `{class}` has no equal", line(node))
}

fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.attribute(name)
}

fn length(node: Node<'_, '_>) -> Option<usize> {
    attribute(node, "length")?.parse().ok()
}

/// `org.jpos.iso.IFB_LLNUM` without its package.
fn simple_name(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or(class)
}

fn line(node: Node<'_, '_>) -> u32 {
    node.document().text_pos_at(node.range().start).row
}
