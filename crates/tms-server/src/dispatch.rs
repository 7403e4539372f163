//! Who is connected, and how work reaches them: a wake-up for the session of a terminal.
//!
//! A wake-up carries nothing and may be lost: the operation it announces is durable before, and
//! every session looks for work when it starts and again from time to time.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tms_core::TerminalId;
use tokio::sync::Notify;

/// The connected terminals of this node.
#[derive(Debug, Default)]
pub struct Wake {
    connections: AtomicU64,
    sessions: Mutex<HashMap<TerminalId, Vec<Arc<Place>>>>,
}

impl Wake {
    /// Tells every session of a terminal to look for work.
    pub fn terminal(&self, terminal: &TerminalId) {
        for session in self.lock().get(terminal).into_iter().flatten() {
            session.notify.notify_one();
        }
    }

    /// The number of a connection that was accepted now; later ones have higher numbers.
    pub fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    /// Registers the session of a connection until the subscription is dropped. A terminal has one
    /// connection, and the newest is the live one: sessions of the others are told that they are
    /// over. Handshakes take their time, so the newest session need not be of the newest connection.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>, terminal: TerminalId, connection: u64) -> Subscription {
        let place = Arc::new(Place { connection, ..Place::default() });
        let mut sessions = self.lock();
        let places = sessions.entry(terminal.clone()).or_default();
        for other in places.iter() {
            let older = if other.connection > connection { &place } else { other };
            older.superseded.notify_one();
        }
        places.push(Arc::clone(&place));
        drop(sessions);
        Subscription { wake: Arc::clone(self), terminal, place }
    }

    /// How many terminals have a session.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.lock().len()
    }

    /// Whether a terminal has a session.
    #[must_use]
    pub fn is_connected(&self, terminal: &TerminalId) -> bool {
        self.lock().contains_key(terminal)
    }

    /// Whether a terminal has a session on which it signed on.
    #[must_use]
    pub fn is_signed_on(&self, terminal: &TerminalId) -> bool {
        let sessions = self.lock();
        sessions.get(terminal).into_iter().flatten().any(|p| p.signed_on.load(Ordering::Relaxed))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TerminalId, Vec<Arc<Place>>>> {
        // A panic elsewhere cannot leave the map half changed: every change is one call.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Place {
    connection: u64,
    notify: Notify,
    superseded: Notify,
    signed_on: AtomicBool,
}

/// A session's place in [`Wake`].
#[derive(Debug)]
pub struct Subscription {
    wake: Arc<Wake>,
    terminal: TerminalId,
    place: Arc<Place>,
}

impl Subscription {
    /// Waits for the next wake-up. One that came before the call is not lost.
    pub async fn woken(&self) {
        self.place.notify.notified().await;
    }

    /// Waits until a newer session of the terminal has begun.
    pub async fn superseded(&self) {
        self.place.superseded.notified().await;
    }

    /// Notes that the terminal signed on.
    pub fn signed_on(&self) {
        self.place.signed_on.store(true, Ordering::Relaxed);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut sessions = self.wake.lock();
        if let Some(list) = sessions.get_mut(&self.terminal) {
            list.retain(|p| !Arc::ptr_eq(p, &self.place));
            if list.is_empty() {
                sessions.remove(&self.terminal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wake_up_reaches_the_session_that_subscribed() {
        let wake = Arc::new(Wake::default());
        let id: TerminalId = "10000001".parse().unwrap();
        let session = wake.subscribe(id.clone(), wake.next_connection());
        wake.terminal(&id);
        session.woken().await;
        assert_eq!(wake.connected(), 1);
    }

    #[tokio::test]
    async fn an_older_session_learns_that_it_is_over() {
        let wake = Arc::new(Wake::default());
        let id: TerminalId = "10000001".parse().unwrap();
        let old = wake.subscribe(id.clone(), 1);
        let _new = wake.subscribe(id.clone(), 2);
        old.superseded().await;
    }

    #[tokio::test]
    async fn a_session_that_began_late_does_not_end_the_one_of_a_newer_connection() {
        let wake = Arc::new(Wake::default());
        let id: TerminalId = "10000001".parse().unwrap();
        let (first, second) = (wake.next_connection(), wake.next_connection());
        let new = wake.subscribe(id.clone(), second);
        let old = wake.subscribe(id.clone(), first);
        old.superseded().await;
        let ended = tokio::time::timeout(std::time::Duration::from_millis(10), new.superseded()).await;
        assert!(ended.is_err());
    }

    #[test]
    fn a_dropped_session_is_forgotten_and_its_successor_is_not() {
        let wake = Arc::new(Wake::default());
        let id: TerminalId = "10000001".parse().unwrap();
        let old = wake.subscribe(id.clone(), 1);
        let new = wake.subscribe(id.clone(), 2);
        drop(old);
        assert!(wake.is_connected(&id));
        drop(new);
        assert!(!wake.is_connected(&id));
    }
}
