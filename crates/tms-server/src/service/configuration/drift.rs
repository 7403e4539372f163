//! Which terminals are not as they are configured.

use std::collections::BTreeMap;

use tms_core::configuration::Drift;
use tms_core::{Selector, Terminal, TerminalId};
use tms_proto::parameters::content_hash;

use super::wanted;
use crate::app::App;
use crate::service::ServiceError;

/// Name of the reported detail with the hash of the parameters in force.
pub(crate) const HASH: &str = "parameters_sha256";

/// Terminals that are looked at in one call; what is left is for the next one.
const LOOKED_AT: u32 = 5_000;
/// Terminals that are read at once.
const PAGE: u32 = 500;

/// A terminal that is not as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drifted {
    /// The terminal.
    pub terminal: TerminalId,
    /// In which values.
    pub drift: Drift,
    /// Whether it says that it has the desired revision, and the hash of what it has says otherwise.
    pub hash_differs: bool,
    /// Why what it should have cannot be put together; `drift` then says only what is not in force.
    pub problem: Option<String>,
    /// The revision that it should have.
    pub desired_revision: u64,
    /// The revision that it says it has.
    pub reported_revision: Option<u64>,
}

/// Some of the terminals that are not as they are configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DriftPage {
    /// They, in the order of their ids.
    pub drifted: Vec<Drifted>,
    /// How many terminals were looked at for them.
    pub looked_at: u64,
    /// What to give as `after` for the next ones; `None` when these were the last.
    pub next: Option<TerminalId>,
}

/// At most `limit` terminals that a selector means and that are not as they are configured, in the order of their
/// ids, those after `after` if it is given. A page may have few or none and not be the last: a call looks at no
/// more than five thousand terminals.
///
/// # Errors
/// `Store` when the store fails.
pub async fn drift(
    app: &App,
    selector: &Selector,
    after: Option<TerminalId>,
    limit: u32,
) -> Result<DriftPage, ServiceError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut found = DriftPage { next: after, ..DriftPage::default() };
    while found.looked_at < u64::from(LOOKED_AT) {
        let page = app.store.find(selector, found.next.as_ref(), PAGE, app.now()).await?;
        if page.is_empty() {
            found.next = None;
            break;
        }
        let ids: Vec<TerminalId> = page.into_iter().map(|terminal| terminal.id).collect();
        let inputs = app.store.configuration(&ids).await?;
        let known: BTreeMap<_, _> = inputs.terminals.iter().map(|known| (&known.id, known)).collect();
        for id in &ids {
            if found.drifted.len() >= limit {
                return Ok(found);
            }
            found.looked_at = found.looked_at.saturating_add(1);
            found.next = Some(id.clone());
            let Some(terminal) = known.get(id) else { continue };
            let drifted = match wanted(terminal, &inputs) {
                Ok(effective) => of(terminal, &effective.values(), None),
                Err(error) => of(terminal, &terminal.desired.parameters, Some(error.to_string())),
            };
            found.drifted.extend(drifted);
        }
    }
    Ok(found)
}

fn of(
    terminal: &Terminal,
    effective: &tms_core::configuration::Values,
    problem: Option<String>,
) -> Option<Drifted> {
    let Terminal { desired, reported, .. } = terminal;
    let drift = Drift::of(effective, &desired.parameters, &reported.parameters);
    let has_revision = reported.parameters_revision == Some(desired.parameters_revision);
    let hash = reported.details.get(HASH).filter(|_| has_revision);
    let hash_differs = hash.is_some_and(|hash| *hash != hex::encode(content_hash(&desired.parameters)));
    let is_as_configured = drift.is_none() && !hash_differs && problem.is_none();
    (!is_as_configured).then(|| Drifted {
        terminal: terminal.id.clone(),
        drift,
        hash_differs,
        problem,
        desired_revision: desired.parameters_revision,
        reported_revision: reported.parameters_revision,
    })
}
