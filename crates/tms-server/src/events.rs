//! What happens, as it happens: sessions and services say it here, and whoever listens hears it.
//!
//! An event is a hint for those who watch. It may be missed, so that nothing may depend on one: the store
//! has the truth, and an event says where to look.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};
use tms_core::{Alarm, Operation, TerminalId};
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Events that are remembered for who comes back.
const REMEMBERED: usize = 4_096;

/// Events that a listener may be behind before it is given up.
const BEHIND: usize = 1_024;

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// A terminal signed on.
    SignedOn,
    /// The session of a terminal that had signed on ended, however it did.
    SignedOff,
    /// A terminal reported what it is.
    Reported,
    /// A terminal raised an alarm.
    AlarmRaised,
    /// An operation was made, or its state changed.
    OperationChanged,
    /// The time of some operations ran out.
    OperationsExpired,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::SignedOn,
        Self::SignedOff,
        Self::Reported,
        Self::AlarmRaised,
        Self::OperationChanged,
        Self::OperationsExpired,
    ];

    /// The name, for example `terminal.signed_on`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignedOn => "terminal.signed_on",
            Self::SignedOff => "terminal.signed_off",
            Self::Reported => "terminal.reported",
            Self::AlarmRaised => "alarm.raised",
            Self::OperationChanged => "operation.changed",
            Self::OperationsExpired => "operations.expired",
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its place among the events of this run of the server, from 1.
    pub sequence: u64,
    /// What kind of thing.
    pub kind: EventKind,
    /// To which terminal, if to one.
    pub terminal: Option<TerminalId>,
    /// When.
    pub at: Timestamp,
    /// The details, a JSON object.
    pub data: Value,
}

/// Where events are told and heard.
#[derive(Debug)]
pub struct Events {
    /// Another one in each run, so that places of two runs are not taken for each other.
    run: Uuid,
    ring: Mutex<Ring>,
    sender: Sender<Arc<Event>>,
    closed: CancellationToken,
}

#[derive(Debug, Default)]
struct Ring {
    last: u64,
    events: VecDeque<Arc<Event>>,
}

/// What a listener gets.
#[derive(Debug)]
pub struct Listener {
    /// Remembered events after the place that it had come to.
    pub before: VecDeque<Arc<Event>>,
    /// Whether events after that place are remembered no more, or the place is none of this run.
    pub missed: bool,
    /// What happens from now on.
    pub live: Receiver<Arc<Event>>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            run: Uuid::now_v7(),
            ring: Mutex::default(),
            sender: broadcast::channel(BEHIND).0,
            closed: CancellationToken::new(),
        }
    }
}

impl Events {
    /// Tells that something happened.
    pub fn publish(&self, kind: EventKind, terminal: Option<&TerminalId>, at: Timestamp, data: Value) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.last = ring.last.saturating_add(1);
        let event = Arc::new(Event { sequence: ring.last, kind, terminal: terminal.cloned(), at, data });
        if ring.events.len() >= REMEMBERED {
            ring.events.pop_front();
        }
        ring.events.push_back(Arc::clone(&event));
        // Inside the lock, so that who subscribes gets each event once. Nobody listening is no error.
        let _ = self.sender.send(event);
    }

    /// Tells where an operation stands now.
    pub fn operation(&self, operation: &Operation) {
        let data = json!({
            "id": operation.id,
            "kind": operation.kind.name(),
            "state": operation.state,
            "attempts": operation.attempts,
            "detail": operation.detail,
        });
        self.publish(EventKind::OperationChanged, Some(&operation.terminal), operation.updated_at, data);
    }

    /// Tells of an alarm.
    pub fn alarm(&self, alarm: &Alarm) {
        let data = json!({
            "sequence": alarm.sequence,
            "kind": alarm.kind,
            "severity": tms_proto::alarm::Severity(alarm.severity).to_string(),
            "text": alarm.text,
            "noticed_at": alarm.at,
        });
        self.publish(EventKind::AlarmRaised, Some(&alarm.terminal), alarm.received_at, data);
    }

    /// Listens from now on, or from a place that [`Events::place`] gave.
    #[must_use]
    pub fn listen(&self, after: Option<&str>) -> Listener {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let live = self.sender.subscribe();
        let Some(after) = after else {
            return Listener { before: VecDeque::new(), missed: false, live };
        };
        let place = after.rsplit_once('.').filter(|(run, _)| *run == self.run.simple().to_string());
        let place: Option<u64> = place.and_then(|(_, sequence)| sequence.parse().ok());
        let place = place.filter(|place| *place <= ring.last);
        let oldest = ring.events.front().map_or(1, |event| event.sequence);
        let missed = place.is_none_or(|place| place.saturating_add(1) < oldest);
        let seen = place.unwrap_or(0);
        let before = ring.events.iter().filter(|event| event.sequence > seen).cloned().collect();
        Listener { before, missed, live }
    }

    /// The place of an event, from which a listener can go on.
    #[must_use]
    pub fn place(&self, event: &Event) -> String {
        format!("{}.{}", self.run.simple(), event.sequence)
    }

    /// How many listen.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Ends every listener, for the end of the server.
    pub fn close(&self) {
        self.closed.cancel();
    }

    /// Waits until [`Events::close`].
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(events: &Events, count: usize) {
        for _ in 0..count {
            events.publish(EventKind::Reported, None, Timestamp::UNIX_EPOCH, Value::Null);
        }
    }

    fn sequences(events: &VecDeque<Arc<Event>>) -> Vec<u64> {
        events.iter().map(|event| event.sequence).collect()
    }

    #[test]
    fn who_comes_back_hears_what_happened_meanwhile_and_nothing_twice() {
        let events = Events::default();
        publish(&events, 2);
        let mut first = events.listen(None);
        assert!(first.before.is_empty());
        publish(&events, 3);
        let place = events.place(&first.live.try_recv().unwrap());
        let mut second = events.listen(Some(&place));
        assert_eq!((sequences(&second.before), second.missed), (vec![4, 5], false));
        publish(&events, 1);
        assert_eq!(second.live.try_recv().unwrap().sequence, 6);
    }

    #[test]
    fn what_is_remembered_no_more_is_said_to_be_missed() {
        let events = Events::default();
        publish(&events, 1);
        let mut listener = events.listen(None);
        publish(&events, 1);
        let place = events.place(&listener.live.try_recv().unwrap());
        publish(&events, REMEMBERED);
        assert!(!events.listen(Some(&place)).missed, "the very next one is there");
        publish(&events, 1);
        let late = events.listen(Some(&place));
        assert!(late.missed && late.before.len() == REMEMBERED);
        for strange in
            ["", "7", &format!("{}.7", Uuid::nil().simple()), &format!("{}.999999", events.run.simple())]
        {
            assert!(events.listen(Some(strange)).missed, "{strange}");
        }
    }
}
