//! What a person does at the terminal, typed as one line each: `tms-terminal run --keypad`.

use std::fmt::Write;

use crate::{Handle, keypad::Login};

/// What can be typed.
pub const HELP: &str = "\
login ROLE SECRET   try an administrator's secret
sell [N]            sell N times, 1 if not given
settle              settle the batch
action ID           set off an action of the plan that waits for a hand
paper on|off        fill or empty the printer
battery PERCENT     charge or drain the battery
tamper on|off       open or close the case
show                what the display says, and what there is to know
quit                sign off and end";

/// Does what one line says. Gives what the display shows, or what is wrong with the line.
///
/// # Errors
/// A sentence: what cannot be done, or what could have been typed.
pub fn line(terminal: &Handle, line: &str) -> Result<String, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        [] => Ok(String::new()),
        ["login", role, secret] => {
            let login = terminal.try_login(role, secret).map_err(|error| error.to_string())?;
            Ok(match login {
                Login::Accepted { generation } => format!("open, generation {generation}"),
                Login::Refused { tries_left } => format!("refused, {tries_left} tries left"),
                Login::Locked { until } => format!("locked until {until:.0}"),
            })
        }
        ["sell"] => sell(terminal, 1),
        ["sell", times] => sell(terminal, number(times)?),
        ["settle"] => {
            terminal.device().settle().map_err(|error| error.to_string())?;
            Ok(format!("batch {} will be settled", terminal.device().state(|state| state.trade.open.number)))
        }
        ["action", id] => {
            terminal.device().by_hand(number(id)?);
            Ok(format!("action {id} asked for"))
        }
        ["paper", word] => change(terminal, |health| health.paper = word == &"on"),
        ["tamper", word] => change(terminal, |health| health.tampered = word == &"on"),
        ["battery", percent] => {
            let percent = number(percent)?.min(100);
            change(terminal, |health| health.battery_percent = u8::try_from(percent).unwrap_or(100))
        }
        ["show"] => Ok(show(terminal)),
        ["help"] => Ok(HELP.to_owned()),
        _ => Err(format!("there is no such thing to do; there are:\n{HELP}")),
    }
}

fn number(word: &str) -> Result<u32, String> {
    word.parse().map_err(|_| format!("{word:?} is no number"))
}

fn sell(terminal: &Handle, times: u32) -> Result<String, String> {
    for _ in 0..times.min(crate::trade::MAX_BATCH) {
        terminal.trade().map_err(|error| error.to_string())?;
    }
    Ok(terminal.device().state(|state| {
        let batch = &state.trade.open;
        format!("batch {} has {} transactions", batch.number, batch.count())
    }))
}

fn change(terminal: &Handle, change: impl FnOnce(&mut tms_proto::report::Health)) -> Result<String, String> {
    let mut health = terminal.snapshot().health;
    change(&mut health);
    terminal.set_health(health);
    Ok("done".to_owned())
}

fn show(terminal: &Handle) -> String {
    let snapshot = terminal.snapshot();
    let mut out = format!(
        "{} version {} slot {}, {}",
        snapshot.tid,
        snapshot.firmware_version,
        snapshot.slot,
        if snapshot.link.signed_on { "signed on" } else { "not signed on" }
    );
    terminal.device().state(|state| {
        if let Some(lock) = &state.lock {
            let _ = write!(out, "\nlocked: {lock}");
        }
        if let Some(message) = &state.message {
            let _ = write!(out, "\nmessage: {}", message.text);
        }
        let trade = &state.trade;
        let _ = write!(out, "\nbatch {}: {} transactions", trade.open.number, trade.open.count());
        if trade.reversal.is_some() {
            out.push_str(", a reversal waits");
        }
        if let Some(plan) = state.plan.status() {
            let _ = write!(out, "\nplan {}", plan.version);
            for action in plan.actions {
                let _ = write!(out, "\n  action {}: {}", action.id, action.outcome);
            }
        }
    });
    out
}
