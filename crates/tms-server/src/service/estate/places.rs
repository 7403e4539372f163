//! Where terminals stand and what people know them by: of one, and of all that a selector means.

use tms_core::{Selector, Terminal, TerminalId};
use tms_store::estate::MAX_TERMINALS_AT_ONCE;
use tms_store::{BulkChange, TerminalChange};

use crate::app::App;
use crate::service::{ServiceError, not_found};

/// Terminals that a trial looks at in one go.
const PAGE: u32 = 500;

/// Changes a terminal as people want it. With `version` only if that is the version of its place.
///
/// # Errors
/// `Invalid` if nothing is to be changed; `Store` if there is no such terminal or group, it has another version,
/// or it cannot be so.
pub async fn change_place(
    app: &App,
    terminal: &TerminalId,
    change: TerminalChange,
    version: Option<u64>,
) -> Result<Terminal, ServiceError> {
    something(&change)?;
    let changed = app.store.change_terminal(terminal, change, version).await?;
    // One that takes work again may have some waiting.
    app.wake.terminal(terminal);
    Ok(changed)
}

/// Changes every terminal that a selector means; those that cannot be so are passed over, counted, and the first
/// of them named. A trial (`dry_run`) answers what would come of it, and changes nothing.
///
/// # Errors
/// `Invalid` if nothing is to be changed; `Store` if there is no such group, or the selector means more
/// terminals than are changed at once.
pub async fn change_many(
    app: &App,
    selector: &Selector,
    change: TerminalChange,
    dry_run: bool,
) -> Result<BulkChange, ServiceError> {
    something(&change)?;
    if dry_run {
        return trial(app, selector, &change).await;
    }
    let takes_work = change.life_cycle.is_some_and(tms_core::LifeCycle::takes_work);
    let done = app.store.change_terminals(selector, change, app.now()).await?;
    if takes_work {
        app.wake.everybody();
    }
    Ok(done)
}

async fn trial(app: &App, selector: &Selector, change: &TerminalChange) -> Result<BulkChange, ServiceError> {
    if let Some(Some(group)) = &change.group {
        app.store.group(group).await?.ok_or_else(|| not_found("group", group))?;
    }
    let now = app.now();
    let mut done = BulkChange::default();
    let mut after: Option<TerminalId> = None;
    loop {
        let page = app.store.find(selector, after.as_ref(), PAGE, now).await?;
        for terminal in &page {
            done.count(&terminal.id, &change.of(terminal));
        }
        if usize::try_from(done.selected).is_ok_and(|selected| selected > MAX_TERMINALS_AT_ONCE) {
            return Err(ServiceError::Invalid(format!(
                "the selector means more than {MAX_TERMINALS_AT_ONCE} terminals, which are not changed at once"
            )));
        }
        after = match page.last() {
            Some(last) => Some(last.id.clone()),
            None => return Ok(done),
        };
    }
}

fn something(change: &TerminalChange) -> Result<(), ServiceError> {
    match *change == TerminalChange::default() {
        true => {
            Err(ServiceError::Invalid("nothing to change: give at least one member to change".to_owned()))
        }
        false => Ok(()),
    }
}

/// Puts a terminal into the place of another one, which is retired; what is open for that is cancelled. Answers
/// both as they are now, the old one first.
///
/// # Errors
/// `Store` if one of them does not exist, the old one was replaced before, or the new one is retired.
pub async fn replace(
    app: &App,
    old: &TerminalId,
    new: &TerminalId,
) -> Result<(Terminal, Terminal), ServiceError> {
    let both = app.store.replace_terminal(old, new, app.now()).await?;
    app.wake.terminal(old);
    app.wake.terminal(new);
    Ok(both)
}
