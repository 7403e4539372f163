//! Rollouts: one change for many terminals, in waves.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::batch::{kind, number};
use crate::cli::{Connection, CreateRollout, RolloutCommand, Told, Watch};
use crate::client::{Client, escaped, path};
use crate::failure::Failure;
use crate::output::{self, text_at};
use crate::wait::{self, Look};

/// Where a terminal of a rollout can stand, in the order in which a table has them.
const STATES: [&str; 7] = ["waiting", "queued", "soaking", "succeeded", "failed", "skipped", "cancelled"];

/// Runs `tmsctl rollout …`.
pub(crate) fn run(connection: &Connection, command: &RolloutCommand) -> Result<(), Failure> {
    match command {
        RolloutCommand::Create(options) => create(connection, options),
        RolloutCommand::List { under_way, json } => list(&Client::logged_in(connection)?, *under_way, *json),
        RolloutCommand::Show(watch) => {
            let client = Client::logged_in(connection)?;
            let rollout = client.get(&path(&["rollouts", &watch.rollout]))?;
            finish(&client, rollout, watch)
        }
        RolloutCommand::Targets { rollout, wave, state, json } => {
            targets(&Client::logged_in(connection)?, rollout, *wave, state.as_deref(), *json)
        }
        RolloutCommand::Start(watch) => {
            let client = Client::logged_in(connection)?;
            let rollout = client.post(&path(&["rollouts", &watch.rollout, "start"]), None)?;
            finish(&client, rollout, watch)
        }
        RolloutCommand::Pause(told) => tell(&Client::logged_in(connection)?, told, "pause", None),
        RolloutCommand::Resume(told) => tell(&Client::logged_in(connection)?, told, "resume", None),
        RolloutCommand::Approve { told, wave } => approve(&Client::logged_in(connection)?, told, *wave),
        RolloutCommand::Abort(told) => tell(&Client::logged_in(connection)?, told, "abort", None),
        RolloutCommand::Finish(told) => tell(&Client::logged_in(connection)?, told, "finish", None),
    }
}

fn create(connection: &Connection, options: &CreateRollout) -> Result<(), Failure> {
    let action = match (&options.action.firmware, &options.action.command) {
        (Some(firmware), _) => json!({ "type": "firmware", "firmware": firmware }),
        (None, Some(command)) => json!({ "type": "command", "command": kind(command, &[])? }),
        (None, None) => json!({ "type": "configuration" }),
    };
    let mut body = json!({
        "name": options.name,
        "action": action,
        "selector": options.selector,
        "waves": waves(options)?,
        "caps": { "per_minute": options.per_minute, "concurrent": options.concurrent },
        "answer_within_s": seconds(&options.answer_within)?,
    });
    if let Some(body) = body.as_object_mut() {
        let given = [("id", &options.id), ("window", &options.window)];
        let given =
            given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))));
        body.extend(given);
    }
    let client = Client::logged_in(connection)?;
    let trial = if options.dry_run { "?dry_run=true" } else { "" };
    let answer = client.post(&format!("/rollouts{trial}"), Some(&body))?;
    if options.json {
        return output::json(&answer);
    }
    if !options.dry_run {
        output::line(&table(&answer))?;
        return output::line(&format!("start it with `tmsctl rollout start {}`", text_at(&answer, "/id")));
    }
    let mut table = output::table(&["wave", "terminals"]);
    let sizes = answer.get("waves").and_then(Value::as_array).into_iter().flatten();
    for (size, wave) in sizes.zip(1_u32..) {
        table.add_row([wave.to_string(), size.to_string()]);
    }
    output::line(&table.to_string())?;
    output::line(&format!("{} terminals in all", text_at(&answer, "/selected")))
}

/// The waves as they are given, with the rest as the last one.
fn waves(options: &CreateRollout) -> Result<Vec<Value>, Failure> {
    let mut waves = Vec::new();
    let rest = match options.waves.last().map(|wave| wave.split(',').next().unwrap_or_default()) {
        Some("rest") => None,
        _ => Some("rest"),
    };
    for text in options.waves.iter().map(String::as_str).chain(rest) {
        let needs_approval = options.approve && !waves.is_empty();
        waves.push(wave(text, options, needs_approval)?);
    }
    Ok(waves)
}

fn wave(text: &str, options: &CreateRollout, needs_approval: bool) -> Result<Value, Failure> {
    let wrong = |what: &str| {
        Failure::new(format!("the wave {text:?} {what}"))
            .next("see `tmsctl rollout create --help` for examples")
    };
    let mut parts = text.split(',').map(str::trim);
    let size = parts.next().unwrap_or_default();
    let size = match (size.strip_prefix("tag:"), size.strip_suffix('%')) {
        (Some(tag), _) => json!({ "tagged": tag }),
        (None, Some(percent)) => {
            json!({ "percent": percent.parse::<u8>().map_err(|_| wrong("has no share from 1% to 100%"))? })
        }
        (None, None) if size == "rest" => json!("rest"),
        (None, None) => json!({
            "count": size.parse::<u32>().map_err(|_| wrong("begins with no count, share, tag:NAME or rest"))?
        }),
    };
    let mut wave = Map::from_iter([
        ("size".to_owned(), size),
        ("soak_s".to_owned(), json!(seconds(&options.soak)?)),
        ("min_success_percent".to_owned(), json!(options.success)),
        ("max_failure_percent".to_owned(), json!(options.failure)),
        ("needs_approval".to_owned(), json!(needs_approval)),
    ]);
    for part in parts {
        let percent =
            |value: &str| value.parse::<u8>().map_err(|_| wrong("has a share that is from 0 to 100"));
        let (name, value) = match part.split_once('=') {
            Some(("soak", value)) => ("soak_s", json!(seconds(value)?)),
            Some(("success", value)) => ("min_success_percent", json!(percent(value)?)),
            Some(("failure", value)) => ("max_failure_percent", json!(percent(value)?)),
            None if part == "approve" => ("needs_approval", json!(true)),
            _ => return Err(wrong(&format!("has the option {part:?}, which is none"))),
        };
        wave.insert(name.to_owned(), value);
    }
    Ok(Value::Object(wave))
}

/// A time in seconds: 90, 90s, 30m, 2h or 1d.
fn seconds(text: &str) -> Result<u32, Failure> {
    let units = [('s', 1_u32), ('m', 60), ('h', 3_600), ('d', 86_400)];
    let unit = units.into_iter().find_map(|(letter, factor)| Some((text.strip_suffix(letter)?, factor)));
    let (number, factor) = unit.unwrap_or((text, 1));
    number.parse::<u32>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(|| {
        Failure::new(format!("{text:?} is no time")).next("write seconds, or a unit: 90s, 30m, 2h, 1d")
    })
}

fn list(client: &Client, under_way: bool, json: bool) -> Result<(), Failure> {
    let rollouts = pages(client, &format!("{}?limit=500&under_way={under_way}", path(&["rollouts"])))?;
    if json {
        return output::json(&json!({ "items": rollouts }));
    }
    let mut table = output::table(&["rollout", "name", "what", "state", "wave", "started", "why"]);
    for rollout in &rollouts {
        let at = |key| text_at(rollout, key);
        let (what, wave) = (what(rollout), current(rollout));
        table.add_row([at("/id"), at("/name"), what, at("/state"), wave, at("/started_at"), at("/reason")]);
    }
    output::line(&table.to_string())
}

fn targets(
    client: &Client,
    rollout: &str,
    wave: Option<u32>,
    state: Option<&str>,
    json: bool,
) -> Result<(), Failure> {
    let place = path(&["rollouts", rollout, "targets"]);
    let mut query = String::from("limit=500");
    if let Some(wave) = wave {
        query.push_str(&format!("&wave={}", wave.saturating_sub(1)));
    }
    if let Some(state) = state {
        query.push_str(&format!("&state={}", escaped(state)));
    }
    let targets = pages(client, &format!("{place}?{query}"))?;
    if json {
        return output::json(&json!({ "items": targets }));
    }
    let mut table = output::table(&["terminal", "wave", "state", "operation", "started", "why"]);
    for target in &targets {
        let at = |key| text_at(target, key);
        let wave = number(target, "/wave").saturating_add(1).to_string();
        table.add_row([
            at("/terminal"),
            wave,
            at("/state"),
            at("/operation"),
            at("/started_at"),
            at("/reason"),
        ]);
    }
    output::line(&table.to_string())
}

/// All entries of a list that is asked for with a query.
fn pages(client: &Client, place: &str) -> Result<Vec<Value>, Failure> {
    let mut items = Vec::new();
    let mut after = String::new();
    loop {
        let mut page = client.get(&format!("{place}{after}"))?;
        if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
            items.extend(more);
        }
        match page.get("next").and_then(Value::as_str).map(|next| format!("&after={}", escaped(next))) {
            // A page that points to itself would never end.
            Some(next) if next != after => after = next,
            _ => return Ok(items),
        }
    }
}

fn approve(client: &Client, told: &Told, wave: Option<u32>) -> Result<(), Failure> {
    let wave = match wave {
        Some(wave) => u64::from(wave.saturating_sub(1)),
        None => {
            let rollout = client.get(&path(&["rollouts", &told.rollout]))?;
            let state = text_at(&rollout, "/state");
            if state != "awaiting_approval" {
                return Err(Failure::new(format!(
                    "no wave of rollout {} waits for approval: it is {state}",
                    told.rollout
                ))
                .next("name the wave with --wave to approve it before its turn"));
            }
            number(&rollout, "/wave")
        }
    };
    tell(client, told, "approve", Some(&json!({ "wave": wave })))
}

fn tell(client: &Client, told: &Told, word: &str, body: Option<&Value>) -> Result<(), Failure> {
    let rollout = client.post(&path(&["rollouts", &told.rollout, word]), body)?;
    if told.json { output::json(&rollout) } else { output::line(&table(&rollout)) }
}

/// Shows a rollout, after waiting for its end when asked to.
fn finish(client: &Client, rollout: Value, watch: &Watch) -> Result<(), Failure> {
    let place = path(&["rollouts", &watch.rollout]);
    let (rollout, is_over) = match watch.wait {
        true => wait::until_over(client, &place, rollout, Duration::from_secs(watch.timeout_s), look)?,
        false => (rollout, true),
    };
    match watch.json {
        true => output::json(&rollout)?,
        false => output::line(&table(&rollout))?,
    }
    if !watch.wait {
        return Ok(());
    }
    let (id, state, reason) = (&watch.rollout, text_at(&rollout, "/state"), text_at(&rollout, "/reason"));
    let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let failure = Failure::new(format!("rollout {id} is {state}{why}"));
    Err(match state.as_str() {
        "finished" => return Ok(()),
        _ if !is_over => Failure::new(format!("rollout {id} is still {state} after {} s", watch.timeout_s))
            .next(format!("it goes on without you; see it with `tmsctl rollout show {id} --wait`")),
        "awaiting_approval" => failure.next(format!("let its wave begin with `tmsctl rollout approve {id}`")),
        "paused" => failure.next(format!(
            "see what failed with `tmsctl rollout targets {id} --state failed`, then resume, finish or abort it"
        )),
        "draft" => failure.next(format!("start it with `tmsctl rollout start {id}`")),
        _ => failure,
    })
}

fn look(rollout: &Value) -> Look {
    let (state, eta) = (text_at(rollout, "/state"), text_at(rollout, "/progress/eta"));
    let by = if eta.is_empty() { String::new() } else { format!(", until about {eta}") };
    Look {
        done: number(rollout, "/progress/ended"),
        total: number(rollout, "/progress/total"),
        text: format!("wave {}: {}{by}", current(rollout), state.replace('_', " ")),
        // Nothing happens in the other states until a person says so.
        is_over: !["running", "finishing", "aborting"].contains(&state.as_str()),
    }
}

/// What a rollout does, in a few words.
fn what(rollout: &Value) -> String {
    match text_at(rollout, "/action/type").as_str() {
        "firmware" => format!("firmware {}", text_at(rollout, "/action/firmware")),
        "command" => text_at(rollout, "/action/command/type").replace('_', " "),
        other => other.to_owned(),
    }
}

/// The current wave and how many there are, counted from 1.
fn current(rollout: &Value) -> String {
    let waves = rollout.get("waves").and_then(Value::as_array).map_or(0, Vec::len);
    let waves = u64::try_from(waves).unwrap_or(u64::MAX);
    format!("{} of {waves}", number(rollout, "/wave").saturating_add(1).min(waves))
}

fn table(rollout: &Value) -> String {
    let mut table = output::table(&["rollout", &text_at(rollout, "/id")]);
    for (name, key) in
        [("name", "/name"), ("terminals", "/selector"), ("state", "/state"), ("why", "/reason")]
    {
        table.add_row([name.to_owned(), text_at(rollout, key)]);
    }
    table.add_row(["what".to_owned(), what(rollout)]);
    table.add_row(["wave".to_owned(), current(rollout)]);
    if rollout.get("progress").is_some() {
        let at = |key| text_at(rollout, key);
        let ended =
            format!("{} of {} ({} %)", at("/progress/ended"), at("/progress/total"), at("/progress/percent"));
        table.add_row(["ended".to_owned(), ended]);
        table.add_row(["over at about".to_owned(), at("/progress/eta")]);
    }
    for (name, key) in [("window", "/window"), ("started", "/started_at"), ("written by", "/author")] {
        table.add_row([name.to_owned(), text_at(rollout, key)]);
    }
    let columns: Vec<&str> = ["wave", "size"].into_iter().chain(STATES).collect();
    let mut counts = output::table(&columns);
    for (wave, place) in rollout.get("waves").and_then(Value::as_array).into_iter().flatten().zip(1_u32..) {
        let size = match (
            wave.pointer("/size/count"),
            wave.pointer("/size/percent"),
            wave.pointer("/size/tagged"),
        ) {
            (Some(count), _, _) => count.to_string(),
            (_, Some(percent), _) => format!("{percent} %"),
            (_, _, Some(_)) => format!("tag {}", text_at(wave, "/size/tagged")),
            _ => text_at(wave, "/size"),
        };
        let states = STATES.map(|state| text_at(wave, &format!("/targets/{state}")));
        counts.add_row([place.to_string(), size].into_iter().chain(states));
    }
    format!("{table}\n{counts}")
}
