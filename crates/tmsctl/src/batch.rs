//! One command for many terminals at once.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::cli::{BatchCommand, BatchWait, Connection, Run};
use crate::client::{Client, path};
use crate::failure::Failure;
use crate::output::{self, text_at};
use crate::wait::{self, Look};

/// Commands that destroy something.
const DESTROYING: [&str; 3] = ["factory_reset", "clear_reversal", "clear_batch"];

/// Runs `tmsctl run`.
pub(crate) fn start(connection: &Connection, options: &Run) -> Result<(), Failure> {
    let command = kind(&options.kind, &options.details)?;
    let name = text_at(&command, "/type");
    if DESTROYING.contains(&name.as_str()) && !options.yes && !options.dry_run {
        return Err(Failure::new(format!("{name} destroys something on every terminal that is selected"))
            .next("see how many they are with --dry-run, and give --yes to do it"));
    }
    let mut terms = json!({ "priority": options.priority });
    if let Some(terms) = terms.as_object_mut() {
        let given = [("not_before", &options.not_before), ("window", &options.window)];
        let given =
            given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))));
        terms.extend(given);
        if options.after_settlement {
            terms.insert("trigger".to_owned(), json!("after_settlement"));
        }
    }
    let body = json!({
        "selector": options.selector,
        "command": command,
        "terms": terms,
        "expires_at": options.expires_at,
    });
    let client = Client::logged_in(connection)?;
    let trial = if options.dry_run { "?dry_run=true" } else { "" };
    let made = client.post(&format!("/batches{trial}"), Some(&body))?;
    if options.dry_run || !options.wait.wait {
        return match options.wait.json {
            true => output::json(&made),
            false => output::line(&described(&made, options.dry_run)),
        };
    }
    if !options.wait.json {
        output::line(&described(&made, false))?;
    }
    let id = text_at(&made, "/id");
    let counts = client.get(&path(&["batches", &id]))?;
    finish(&client, &id, counts, &options.wait)
}

/// Runs `tmsctl batch …`.
pub(crate) fn run(connection: &Connection, command: &BatchCommand) -> Result<(), Failure> {
    let client = Client::logged_in(connection)?;
    match command {
        BatchCommand::Show { batch, wait } => {
            let counts = client.get(&path(&["batches", batch]))?;
            finish(&client, batch, counts, wait)
        }
        BatchCommand::Cancel { batch, json } => {
            let answer = client.post(&path(&["batches", batch, "cancel"]), None)?;
            if *json {
                return output::json(&answer);
            }
            output::line(&format!(
                "{} operations are withdrawn; {} terminals may have begun and are told to give it up",
                text_at(&answer, "/cancelled"),
                text_at(&answer, "/told")
            ))
        }
    }
}

/// A command: a name with details, or JSON.
pub(crate) fn kind(text: &str, details: &[String]) -> Result<Value, Failure> {
    let advice = "write a name such as self-test with its details, or JSON such as {\"type\": \"self_test\"}";
    let mut members = if text.trim_start().starts_with('{') {
        serde_json::from_str::<Map<String, Value>>(text)
            .map_err(|error| Failure::new(format!("the command is no JSON object: {error}")).next(advice))?
    } else {
        Map::from_iter([("type".to_owned(), json!(text.replace('-', "_")))])
    };
    for detail in details {
        let wrong = |why: &str| {
            Failure::new(format!("the detail {detail:?} {why}"))
                .next("write NAME=TEXT, or NAME:=JSON for what is no text")
        };
        let (name, value) = detail.split_once('=').ok_or_else(|| wrong("has no value"))?;
        let (name, value) = match name.strip_suffix(':') {
            Some(name) => {
                (name, serde_json::from_str(value).map_err(|_| wrong("has a value that is no JSON"))?)
            }
            None => (name, json!(value)),
        };
        if members.insert(name.to_owned(), value).is_some() {
            return Err(wrong("is given twice"));
        }
    }
    Ok(Value::Object(members))
}

/// For which terminals a batch is, in sentences.
fn described(made: &Value, dry_run: bool) -> String {
    let mut text = match dry_run {
        true => format!("{} terminals would be given this", text_at(made, "/matched")),
        false => {
            format!("batch {} is queued for {} terminals", text_at(made, "/id"), text_at(made, "/matched"))
        }
    };
    text.push_str(&format!(", of {} that the selector means", text_at(made, "/selected")));
    let told = [
        ("/out_of_use", "are out of use and left out"),
        ("/other_model", "are of a model that the package is not for, and left out"),
        ("/without_opening", "have no time before it expires at which they may begin"),
    ];
    for (key, what) in told {
        let count = text_at(made, key);
        if !["", "0"].contains(&count.as_str()) {
            text.push_str(&format!("\n{count} {what}"));
        }
    }
    let sample = made.get("sample").and_then(Value::as_array).into_iter().flatten();
    let sample: Vec<_> = sample.filter_map(Value::as_str).map(output::printable).collect();
    if dry_run && !sample.is_empty() {
        text.push_str(&format!("\nthe first are {}", sample.join(" ")));
    }
    text
}

/// Shows what has become of a batch, after waiting for its end when asked to.
fn finish(client: &Client, id: &str, counts: Value, wait: &BatchWait) -> Result<(), Failure> {
    let place = path(&["batches", id]);
    let (counts, is_over) = match wait.wait {
        true => wait::until_over(client, &place, counts, Duration::from_secs(wait.timeout_s), look)?,
        false => (counts, true),
    };
    if wait.json {
        output::json(&counts)?;
    } else {
        let mut table = output::table(&["state", "operations"]);
        for count in counts.get("states").and_then(Value::as_array).into_iter().flatten() {
            table.add_row(["/state", "/operations"].map(|key| text_at(count, key)));
        }
        output::line(&table.to_string())?;
    }
    if !is_over {
        let open = text_at(&counts, "/open");
        return Err(Failure::new(format!("{open} operations are still open after {} s", wait.timeout_s))
            .next(format!("they go on without you; see them with `tmsctl batch show {id} --wait`")));
    }
    let (total, done) = (number(&counts, "/total"), state(&counts, "done"));
    if wait.wait && done != total {
        return Err(Failure::new(format!(
            "{} of {total} terminals did not do it",
            total.saturating_sub(done)
        )));
    }
    Ok(())
}

fn look(counts: &Value) -> Look {
    let (total, open) = (number(counts, "/total"), number(counts, "/open"));
    let states = counts.get("states").and_then(Value::as_array).into_iter().flatten();
    let text = states.map(|count| format!("{} {}", text_at(count, "/operations"), text_at(count, "/state")));
    Look {
        done: total.saturating_sub(open),
        total,
        text: text.collect::<Vec<_>>().join(", "),
        is_over: open == 0,
    }
}

fn state(counts: &Value, name: &str) -> u64 {
    let mut states = counts.get("states").and_then(Value::as_array).into_iter().flatten();
    states.find(|count| text_at(count, "/state") == name).map_or(0, |count| number(count, "/operations"))
}

/// A number at a JSON pointer; 0 when there is none.
pub(crate) fn number(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}
