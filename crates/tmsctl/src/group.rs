//! `tmsctl group` and `tmsctl selector`: the tree that terminals stand in, and which of them are meant.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::cli::{Connection, GroupCommand, GroupContent, Kind, SelectorCommand};
use crate::client::{Client, escaped, path};
use crate::failure::Failure;
use crate::output::{self, printable, text_at};

/// Runs `tmsctl group …`.
pub(crate) fn run(connection: &Connection, command: &GroupCommand) -> Result<(), Failure> {
    let client = Client::logged_in(connection)?;
    match command {
        GroupCommand::List { under, json } => list(&client, under.as_deref(), *json),
        GroupCommand::Show { group, json } => show(&client, group, *json),
        GroupCommand::Create { group, name, kind, under, has, json } => {
            let attributes = attributes(&has.attribute, &[])?;
            let new = json!({
                "id": group, "name": name.as_ref().unwrap_or(group), "kind": kind_name(*kind), "parent": under,
                "templates": has.template, "attributes": attributes,
            });
            let answer = client.post("/groups", Some(&new))?;
            done(&answer, *json, "is there")
        }
        GroupCommand::Rename { group, name, json } => {
            let answer = client.patch(&path(&["groups", group]), &json!({ "name": name }))?;
            done(&answer, *json, "is renamed")
        }
        GroupCommand::Move { group, under, top: _, json } => {
            let answer = client.patch(&path(&["groups", group]), &json!({ "parent": under }))?;
            done(&answer, *json, "has moved")
        }
        GroupCommand::Edit { group, kind, has, unset_attribute, no_templates, json } => {
            let change = edited(*kind, has, unset_attribute, *no_templates)?;
            let answer = client.patch(&path(&["groups", group]), &change)?;
            done(&answer, *json, "is changed")
        }
        GroupCommand::Delete { group } => {
            client.delete(&path(&["groups", group]))?;
            output::line(&format!("Group {} is gone.", printable(group)))
        }
    }
}

fn edited(
    kind: Option<Kind>,
    has: &GroupContent,
    unset: &[String],
    no_templates: bool,
) -> Result<Value, Failure> {
    let mut change = Map::new();
    if let Some(kind) = kind {
        change.insert("kind".to_owned(), kind_name(kind).into());
    }
    if no_templates || !has.template.is_empty() {
        change.insert("templates".to_owned(), json!(has.template));
    }
    let attributes = attributes(&has.attribute, unset)?;
    if !attributes.is_empty() {
        change.insert("attributes".to_owned(), json!(attributes));
    }
    Ok(Value::Object(change))
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Acquirer => "acquirer",
        Kind::Branch => "branch",
        Kind::Merchant => "merchant",
        Kind::Store => "store",
        Kind::Other => "other",
    }
}

/// Attributes as they are in JSON; those to take away are `null`.
pub(crate) fn attributes(
    set: &[(String, String)],
    unset: &[String],
) -> Result<BTreeMap<String, Value>, Failure> {
    let set = set.iter().map(|(name, text)| (name, value(text)));
    let mut all = BTreeMap::new();
    for (name, value) in set.chain(unset.iter().map(|name| (name, Value::Null))) {
        if all.insert(name.clone(), value).is_some() {
            let twice = Failure::new(format!("attribute {} is given twice", printable(name)));
            return Err(twice.next("give each attribute once"));
        }
    }
    Ok(all)
}

/// A whole number, `true`, `false`, or text; text in quotes is text whatever it says.
fn value(text: &str) -> Value {
    match (text.parse::<i64>(), text.parse::<bool>(), serde_json::from_str::<String>(text)) {
        (Ok(number), ..) => number.into(),
        (_, Ok(flag), _) => flag.into(),
        (.., Ok(quoted)) => quoted.into(),
        _ => text.into(),
    }
}

fn done(group: &Value, json: bool, what: &str) -> Result<(), Failure> {
    if json {
        return output::json(group);
    }
    let under = match text_at(group, "/parent") {
        parent if parent.is_empty() => "at the top".to_owned(),
        parent => format!("under {parent}"),
    };
    output::line(&format!("Group {} ({}) {what}, {under}.", text_at(group, "/id"), text_at(group, "/name")))
}

fn list(client: &Client, under: Option<&str>, json: bool) -> Result<(), Failure> {
    let query = under.map(|under| format!("?under={}", escaped(under))).unwrap_or_default();
    let groups = client.all_pages(&format!("/groups{query}"))?;
    if json {
        return output::json(&json!({ "items": groups }));
    }
    let mut table = output::table(&["group", "kind", "name", "templates", "attributes"]);
    // They come each before what stands under it.
    let mut depths: BTreeMap<String, usize> = BTreeMap::new();
    for group in &groups {
        let depth = depths.get(&text_at(group, "/parent")).map_or(0, |above| above.saturating_add(1));
        depths.insert(text_at(group, "/id"), depth);
        table.add_row([
            format!("{}{}", "  ".repeat(depth), text_at(group, "/id")),
            text_at(group, "/kind"),
            text_at(group, "/name"),
            words(group, "/templates", " "),
            pairs(group, "/attributes"),
        ]);
    }
    output::line(&table.to_string())
}

fn show(client: &Client, group: &str, json: bool) -> Result<(), Failure> {
    let group = client.get(&path(&["groups", group]))?;
    if json {
        return output::json(&group);
    }
    let mut table = output::table(&["group", &text_at(&group, "/id")]);
    for (name, text) in [
        ("name", text_at(&group, "/name")),
        ("kind", text_at(&group, "/kind")),
        ("stands", words(&group, "/path", " / ")),
        ("directly under it", words(&group, "/children", " ")),
        ("templates", words(&group, "/templates", " ")),
        ("attributes", pairs(&group, "/attributes")),
        ("terminals of its own", text_at(&group, "/terminals")),
        ("terminals with those below", text_at(&group, "/terminals_below")),
    ] {
        table.add_row([name.to_owned(), text]);
    }
    output::line(&table.to_string())
}

/// The texts of an array.
pub(crate) fn words(value: &Value, pointer: &str, between: &str) -> String {
    let words = value.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    words.map(|word| text_at(word, "")).collect::<Vec<_>>().join(between)
}

/// The members of an object, as `name=value`.
pub(crate) fn pairs(value: &Value, pointer: &str) -> String {
    let members = value.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
    members
        .map(|(name, value)| format!("{}={}", printable(name), text_at(value, "")))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs `tmsctl selector …`.
pub(crate) fn selector(connection: &Connection, command: &SelectorCommand) -> Result<(), Failure> {
    let client = Client::logged_in(connection)?;
    match command {
        SelectorCommand::List { json } => {
            let saved = client.all_pages("/selectors")?;
            if *json {
                return output::json(&json!({ "items": saved }));
            }
            let mut table = output::table(&["name", "selector", "description", "by"]);
            for saved in &saved {
                table.add_row(
                    ["/name", "/selector", "/description", "/author"].map(|key| text_at(saved, key)),
                );
            }
            output::line(&table.to_string())
        }
        SelectorCommand::Save { name, selector, description, json } => {
            let content = json!({ "selector": selector, "description": description });
            let saved = client.replace(&path(&["selectors", name]), &content)?;
            if *json {
                return output::json(&saved);
            }
            output::line(&format!("@{} is: {}", text_at(&saved, "/name"), text_at(&saved, "/selector")))
        }
        SelectorCommand::Delete { name } => {
            client.delete(&path(&["selectors", name]))?;
            output::line(&format!("@{} is gone.", printable(name)))
        }
        SelectorCommand::Check { selector, json } => {
            let checked = client.post("/selectors/check", Some(&json!({ "selector": selector })))?;
            if *json {
                return output::json(&checked);
            }
            output::line(&text_at(&checked, "/selector"))?;
            output::line(&format!("means {} terminals", text_at(&checked, "/count")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_what_it_looks_like_and_text_when_quoted() {
        for (text, expected) in [
            ("3", json!(3)),
            ("true", json!(true)),
            ("\"3\"", json!("3")),
            ("2024/17", json!("2024/17")),
            ("", json!("")),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
        let set = [("floor".to_owned(), "3".to_owned())];
        assert!(attributes(&set, &["floor".to_owned()]).is_err());
    }
}
