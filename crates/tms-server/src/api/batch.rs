//! The batches of a terminal, as its messages of settlement told them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tms_core::TerminalId;
use tms_proto::settlement::{Balance, BatchLedger, Closed, CurrencyTotals, Sum, Totals};
use utoipa::ToSchema;

use super::input::{Place, name};
use super::problem::Problem;
use super::terminals::existing;
use crate::app::App;
use crate::session::settlement;

/// A terminal's batches.
#[derive(Serialize, ToSchema)]
pub(super) struct BatchView {
    /// The batch in hand; `null` if the terminal has said nothing since the last one ended.
    batch: Option<u32>,
    /// Its details so far.
    details: usize,
    /// How the one before ended.
    closed: Option<ClosedView>,
}

/// How a batch ended.
#[derive(Serialize, ToSchema)]
struct ClosedView {
    /// Its number.
    batch: u32,
    /// The totals that the terminal told, if it did.
    totals: Option<TotalsView>,
    /// Details that the terminal says it sent.
    announced: u16,
    /// Details that the host has.
    received: u16,
    /// Numbers that came with another transaction too.
    conflicts: u32,
    /// Whether the totals were agreed on when they were told.
    agreed: bool,
    /// Whether the details make up the totals; `null` when not all details were wanted.
    details_match: Option<bool>,
    /// Whether nothing is missing and everything adds up.
    complete: bool,
}

/// Totals of a batch.
#[derive(Serialize, ToSchema)]
struct TotalsView {
    /// ISO 4217: 156 for renminbi.
    currency: u16,
    /// Cards issued in the country.
    domestic: CardsView,
    /// Foreign cards; `null` where the acquirer's layout has none.
    foreign: Option<CardsView>,
}

/// Totals of one kind of cards.
#[derive(Serialize, ToSchema)]
struct CardsView {
    /// Sales and the like.
    debit: SumView,
    /// Refunds and the like.
    credit: SumView,
    /// The host's word on them.
    balance: BalanceView,
}

/// A sum of transactions.
#[derive(Serialize, ToSchema)]
struct SumView {
    /// In minor units (fen, cents).
    amount: u64,
    /// How many.
    count: u16,
}

/// What the host said of totals.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum BalanceView {
    /// Nothing yet.
    Unsaid,
    /// Both sides have the same.
    Balanced,
    /// They do not.
    Unbalanced,
    /// The host could not compare.
    Error,
    /// A digit without a known meaning.
    Unknown,
}

/// The batches of a terminal.
#[utoipa::path(get, path = "/api/v1/terminals/{tid}/batch", operation_id = "show_batch", tag = "terminals",
    params(("tid" = TerminalId, Path, description = "The terminal")),
    responses((status = 200, description = "The batch in hand and how the one before ended", body = BatchView)))]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Place(tid): Place<String>,
) -> Result<Json<BatchView>, Problem> {
    let tid: TerminalId = name(&tid)?;
    existing(&app, &tid).await?;
    let document = app.store.document(&tid, settlement::DOCUMENT).await?;
    let ledger: BatchLedger = document.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let closed = ledger.closed().map(ClosedView::from);
    Ok(Json(BatchView { batch: ledger.batch(), details: ledger.received(), closed }))
}

impl From<&Closed> for ClosedView {
    fn from(closed: &Closed) -> Self {
        Self {
            batch: closed.batch,
            totals: closed.totals.map(TotalsView::from),
            announced: closed.announced,
            received: closed.received,
            conflicts: closed.conflicts,
            agreed: closed.agreed,
            details_match: closed.details_match,
            complete: closed.is_complete(),
        }
    }
}

impl From<Totals> for TotalsView {
    fn from(totals: Totals) -> Self {
        Self {
            currency: totals.currency,
            domestic: totals.domestic.into(),
            foreign: totals.foreign.map(CardsView::from),
        }
    }
}

impl From<CurrencyTotals> for CardsView {
    fn from(totals: CurrencyTotals) -> Self {
        let sum = |sum: Sum| SumView { amount: sum.amount, count: sum.count };
        let balance = match totals.balance {
            Balance::Unsaid => BalanceView::Unsaid,
            Balance::Balanced => BalanceView::Balanced,
            Balance::Unbalanced => BalanceView::Unbalanced,
            Balance::Error => BalanceView::Error,
            Balance::Other(_) => BalanceView::Unknown,
        };
        Self { debit: sum(totals.debit), credit: sum(totals.credit), balance }
    }
}
