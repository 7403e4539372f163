//! A file pulled by the terminal in blocks: several requests in flight, resumed after any break
//! from the last byte that is durable.
//!
//! The machine holds no connection and no file. Its driver
//! 1. sends its [requests](Transfer::next_requests),
//! 2. hands it [blocks](Transfer::on_block), and what came instead of one
//!    ([`Transfer::on_missing`], [`Transfer::on_refused`]),
//! 3. writes what [`Transfer::take_ready`] yields, and when [`Transfer::wants_durable`] says so makes
//!    the writing safe and tells it with [`Transfer::on_durable`],
//! 4. measures the whole file when [`Transfer::verify_now`] asks for it, and tells it with
//!    [`Transfer::on_measured`]: only then is the file believed.
//!
//! The number of requests in flight follows the link. No request reaches further than one window
//! beyond what is durable, so that a break at any moment costs at most one window, and so that a
//! transfer holds at most one window in memory: [`MAX_WINDOW`] blocks, which is 1 MiB with blocks of
//! 4 KiB, or less if [`TransferSpec::window`] says so.

mod flights;
#[cfg(test)]
mod model;
mod state;
#[cfg(test)]
mod tests;
mod window;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use crate::{
    backoff::{Backoff, Jitter},
    file::{Block, BlockRequest},
    mutation::{Mutation, without},
    profile::Refusal,
};

pub use state::{Saved, State, TransferError};

use flights::{Flights, Wanted};
use window::Window;

/// Most requests in flight, and most blocks in memory or not yet durable.
pub const MAX_WINDOW: usize = 256;
/// Useless answers in a row that are asked again at once; from then on the backoff decides.
const ASKED_AGAIN_AT_ONCE: u32 = 3;
/// Useless answers in a row after which the transfer is given up on this connection.
const MOST_USELESS: u32 = 24;
const SHORTEST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What to fetch, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferSpec {
    /// Name of the file.
    pub file: String,
    /// Exact size, from a source that was announced with the task.
    pub size_bytes: u64,
    /// SHA-256 of the whole file, from the same source.
    pub sha256: [u8; 32],
    /// Bytes of one block.
    pub block_bytes: u32,
    /// Most requests in flight and most blocks kept; [`MAX_WINDOW`] unless memory is short.
    pub window: usize,
}

/// A transfer in progress.
#[derive(Debug)]
pub struct Transfer {
    spec: TransferSpec,
    state: State,
    /// Everything before this offset is safe on the terminal.
    durable: u64,
    /// Everything before this offset has been handed out by `take_ready`.
    delivered: u64,
    /// Next offset to request.
    next: u64,
    flights: Flights,
    /// Blocks that arrived before their predecessors. Bounded by the window.
    early: BTreeMap<u64, Vec<u8>>,
    /// Requests made on this connection.
    requests: u64,
    window: Window,
    backoff: Backoff,
    jitter: Jitter,
    useless_in_a_row: u32,
    paused_until: Option<Timestamp>,
}

impl Transfer {
    /// Starts a transfer, or takes one up of which only the durable offset is known. `jitter_seed` is
    /// the terminal's own, so that its waits are not those of all others.
    #[must_use]
    pub fn new(spec: TransferSpec, durable: u64, jitter_seed: u64) -> Self {
        let durable = durable.min(spec.size_bytes);
        let state = if durable == spec.size_bytes { State::Finishing } else { State::Fetching };
        let cap = spec.window.clamp(1, MAX_WINDOW);
        Self {
            spec,
            state,
            durable,
            delivered: durable,
            next: durable,
            flights: Flights::default(),
            early: BTreeMap::new(),
            requests: 0,
            window: Window::new(cap),
            backoff: Backoff::new(SHORTEST_WAIT, LONGEST_WAIT),
            jitter: Jitter::new(jitter_seed),
            useless_in_a_row: 0,
            paused_until: None,
        }
    }

    /// Takes up a transfer where its record left it; a record of another file counts for nothing.
    ///
    /// # Errors
    /// When this very transfer has ended: a cancelled one does not go on.
    pub fn resume(spec: TransferSpec, saved: &Saved, jitter_seed: u64) -> Result<Self, TransferError> {
        if !saved.is_of(&spec) {
            return Ok(Self::new(spec, 0, jitter_seed));
        }
        match saved.state {
            State::Cancelled if without(Mutation::ResumeCancelled) => {}
            State::Fetching | State::Finishing => {}
            state => return Err(TransferError::IllegalState { state, action: "resume" }),
        }
        Ok(Self::new(spec, saved.durable_bytes, jitter_seed))
    }

    /// What to keep through a restart. Save it whenever what it says has changed.
    #[must_use]
    pub fn saved(&self) -> Saved {
        Saved {
            file: self.spec.file.clone(),
            size_bytes: self.spec.size_bytes,
            sha256: self.spec.sha256,
            durable_bytes: self.durable,
            state: self.state,
        }
    }

    /// Requests to send now, to fill the window.
    pub fn next_requests(&mut self, now: Timestamp) -> Vec<BlockRequest> {
        let mut requests = Vec::new();
        // After a clock was set back, the wait would else take as long as it was ahead.
        let latest = now.saturating_add(LONGEST_WAIT).unwrap_or(Timestamp::MAX);
        self.paused_until = self.paused_until.map(|until| until.min(latest));
        if self.paused_until.is_some_and(|until| until > now) {
            return requests;
        }
        self.paused_until = None;
        while self.state == State::Fetching && self.has_room() {
            let Some((offset, wanted)) = self.next_wanted() else { break };
            let number = self.requests;
            self.requests = number.saturating_add(1);
            self.flights.depart(offset, &wanted, self.window.sent(number, now));
            requests.push(BlockRequest { file: self.spec.file.clone(), offset, length: wanted.length });
        }
        requests
    }

    /// When [`Transfer::next_requests`] will have something without an answer having come.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.paused_until.filter(|_| self.state == State::Fetching)
    }

    /// Takes a block in any order. One that was not asked for, or came twice, is ignored.
    ///
    /// # Errors
    /// When the file's size or the block's length differs from what was announced: the transfer
    /// has failed.
    pub fn on_block(&mut self, block: Block, now: Timestamp) -> Result<(), TransferError> {
        if self.state != State::Fetching {
            return Ok(());
        }
        if block.total_bytes != self.spec.size_bytes && !without(Mutation::AnySize) {
            let (actual, announced) = (block.total_bytes, self.spec.size_bytes);
            return Err(self.fail(TransferError::SizeChanged { actual, announced }));
        }
        let offset = block.offset;
        let Some(expected) = self.flights.expected(offset) else {
            self.flights.note_superfluous();
            return Ok(());
        };
        if block.data.len() as u64 != u64::from(expected) && !without(Mutation::AnyLength) {
            let actual = block.data.len();
            return Err(self.fail(TransferError::WrongLength { offset, actual, expected }));
        }
        let landed = self.flights.land(offset);
        if landed.was_in_flight {
            self.window.answered(landed.sent, self.requests, now);
        }
        self.early.insert(offset, block.data);
        self.useless_in_a_row = 0;
        self.backoff.reset();
        Ok(())
    }

    /// The next bytes in file order, with their offset; call until `None` and write each.
    pub fn take_ready(&mut self) -> Option<(u64, Vec<u8>)> {
        let (offset, data) = if without(Mutation::AnyOrder) {
            self.early.pop_first()?
        } else {
            (self.delivered, self.early.remove(&self.delivered)?)
        };
        self.delivered = self.delivered.saturating_add(data.len() as u64);
        if without(Mutation::WrittenIsDurable) {
            self.on_durable(self.delivered);
        }
        Some((offset, data))
    }

    /// How far the writing should be made safe now: whenever a quarter of the window is not, and at the
    /// end.
    #[must_use]
    pub fn wants_durable(&self) -> Option<u64> {
        let quarter = self.window_bytes() / 4;
        let unsafe_bytes = self.delivered.saturating_sub(self.durable);
        let due = unsafe_bytes > 0 && (unsafe_bytes >= quarter || self.is_complete());
        (due && self.state == State::Fetching).then_some(self.delivered)
    }

    /// Notes that everything before `offset` is safe.
    pub fn on_durable(&mut self, offset: u64) {
        self.durable = self.durable.max(offset.min(self.delivered));
        if self.state == State::Fetching && self.durable == self.spec.size_bytes {
            self.state = State::Finishing;
        }
    }

    /// A block was not answered, or its answer could not be used: it is asked for again, at once or
    /// after a while.
    ///
    /// # Errors
    /// When too many answers in a row were of no use. The transfer itself has not failed: another
    /// connection may serve it.
    pub fn on_missing(&mut self, offset: u64, now: Timestamp) -> Result<(), TransferError> {
        if !self.flights.give_up(offset) {
            return Ok(());
        }
        if self.useless_in_a_row >= ASKED_AGAIN_AT_ONCE {
            self.pause(now);
        }
        self.note_useless()
    }

    /// The host refused a block.
    ///
    /// # Errors
    /// When asking again cannot help, by [`Refusal::may_retry`]: the transfer has failed. Also as
    /// [`Transfer::on_missing`].
    pub fn on_refused(&mut self, offset: u64, refusal: Refusal, now: Timestamp) -> Result<(), TransferError> {
        if self.state != State::Fetching {
            return Ok(());
        }
        if !refusal.may_retry() {
            return Err(self.fail(TransferError::Refused(refusal)));
        }
        if self.flights.give_up(offset) {
            self.pause(now);
            self.note_useless()?;
        }
        Ok(())
    }

    /// The connection broke: nothing is in flight, and what was not written is asked for again. Nothing
    /// is known of the next link.
    pub fn on_disconnect(&mut self) {
        self.flights = Flights::default();
        self.early.clear();
        self.next = self.delivered;
        self.window = Window::new(self.cap());
        self.useless_in_a_row = 0;
        self.paused_until = None;
    }

    /// The hash that the whole file must have, once every byte is durable: measure the file as it lies
    /// there, not as it came.
    #[must_use]
    pub fn verify_now(&self) -> Option<&[u8; 32]> {
        (self.state == State::Finishing).then_some(&self.spec.sha256)
    }

    /// Takes size and SHA-256 of the whole file as it lies on the terminal.
    ///
    /// # Errors
    /// When it is not the announced file, which fails the transfer; or when nothing was to be measured.
    pub fn on_measured(&mut self, size_bytes: u64, sha256: &[u8; 32]) -> Result<(), TransferError> {
        if self.state != State::Finishing {
            return Err(TransferError::IllegalState { state: self.state, action: "be verified" });
        }
        let same = size_bytes == self.spec.size_bytes && *sha256 == self.spec.sha256;
        if !same && !without(Mutation::NoHash) {
            return Err(self.fail(TransferError::HashMismatch));
        }
        self.state = State::Done;
        Ok(())
    }

    /// Calls the transfer off, for good.
    ///
    /// # Errors
    /// When it is done already.
    pub fn cancel(&mut self) -> Result<(), TransferError> {
        if self.state == State::Done {
            return Err(TransferError::IllegalState { state: self.state, action: "cancel" });
        }
        self.on_disconnect();
        self.state = State::Cancelled;
        Ok(())
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Bytes safe on the terminal: where a restart resumes.
    #[must_use]
    pub fn durable_bytes(&self) -> u64 {
        self.durable
    }

    /// Bytes handed out in order so far.
    #[must_use]
    pub fn delivered_bytes(&self) -> u64 {
        self.delivered
    }

    /// Whether every byte has been handed out.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.delivered >= self.spec.size_bytes
    }

    /// Bytes of blocks that came before their predecessors.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.early.values().map(Vec::len).fold(0, usize::saturating_add)
    }

    /// Requests that may be in flight now.
    #[must_use]
    pub fn window_blocks(&self) -> usize {
        self.window.blocks()
    }

    /// Bytes of the largest window: no request reaches further beyond what is durable.
    #[must_use]
    pub fn window_bytes(&self) -> u64 {
        u64::from(self.spec.block_bytes.max(1)).saturating_mul(self.cap() as u64)
    }

    /// What is being fetched.
    #[must_use]
    pub fn spec(&self) -> &TransferSpec {
        &self.spec
    }

    fn cap(&self) -> usize {
        self.spec.window.clamp(1, MAX_WINDOW)
    }

    fn has_room(&self) -> bool {
        // With one request in flight there is always an answer to come that makes room.
        let answers_to_come = self.flights.unanswered() < self.cap() || self.flights.is_empty();
        self.flights.len() < self.window.blocks() && answers_to_come
    }

    /// What to ask for next: what is missing first.
    fn next_wanted(&mut self) -> Option<(u64, Wanted)> {
        if let Some(missing) = self.flights.next_missing() {
            return Some(missing);
        }
        let offset = self.next;
        let left = self.spec.size_bytes.saturating_sub(offset);
        let length = u32::try_from(left).unwrap_or(u32::MAX).min(self.spec.block_bytes.max(1));
        let end = offset.saturating_add(u64::from(length));
        let reach = self.durable.saturating_add(self.window_bytes());
        if length == 0 || (end > reach && !without(Mutation::AheadOfDurable)) {
            return None;
        }
        self.next = end;
        Some((offset, Wanted { length, unanswered: 0 }))
    }

    fn pause(&mut self, now: Timestamp) {
        // What fails together is one failure.
        if self.paused_until.is_none_or(|until| until <= now) {
            let wait = self.backoff.next_wait(self.jitter.next_number());
            self.paused_until = Some(now.saturating_add(wait).unwrap_or(Timestamp::MAX));
            self.window.stalled();
        }
    }

    fn note_useless(&mut self) -> Result<(), TransferError> {
        self.useless_in_a_row = self.useless_in_a_row.saturating_add(1);
        if self.useless_in_a_row > MOST_USELESS {
            return Err(TransferError::NothingUseful(self.useless_in_a_row));
        }
        Ok(())
    }

    fn fail(&mut self, error: TransferError) -> TransferError {
        self.on_disconnect();
        self.state = State::Failed;
        error
    }
}
