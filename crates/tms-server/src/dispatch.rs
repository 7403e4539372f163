//! Who is connected, and how work reaches them: a wake-up for the session of a terminal.
//!
//! A wake-up carries nothing and may be lost: the operation it announces is durable before, and
//! every session looks for work when it starts and again from time to time. Work that has waited for its time, for
//! a window or for its next attempt has nobody who announces it: [`DueWork`] does.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use tms_core::TerminalId;
use tms_store::Store;
use tokio::sync::Notify;

/// Terminals woken one by one for work that has become due; if there are more, all are woken.
const WOKEN_ONE_BY_ONE: u32 = 1_000;

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
            session.rouse(&session.woken);
        }
    }

    /// Tells every session of every terminal to look for work.
    pub fn everybody(&self) {
        for session in self.lock().values().flatten() {
            session.rouse(&session.woken);
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
            older.rouse(&older.superseded);
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

/// Wakes terminals when work that has waited becomes due.
#[derive(Debug)]
pub struct DueWork {
    /// Work that was due by then has been seen to.
    seen: Timestamp,
}

impl DueWork {
    /// Sees to what becomes due from now on. Sessions that begin look for themselves.
    #[must_use]
    pub fn from(now: Timestamp) -> Self {
        Self { seen: now }
    }

    /// Wakes the terminals whose work has become due since the last call.
    ///
    /// # Errors
    /// When the store fails; the next call sees to the same work.
    pub async fn wake(&mut self, wake: &Wake, store: &dyn Store, now: Timestamp) -> tms_store::Result<()> {
        // A clock that was set back: what is due by it now may have been passed over.
        let seen = self.seen.min(now);
        let due = store.due(seen, now, WOKEN_ONE_BY_ONE).await?;
        if due.len() < usize::try_from(WOKEN_ONE_BY_ONE).unwrap_or(usize::MAX) {
            due.iter().for_each(|terminal| wake.terminal(terminal));
        } else {
            wake.everybody();
        }
        self.seen = now;
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Place {
    connection: u64,
    /// Some other flag was set.
    notify: Notify,
    woken: AtomicBool,
    superseded: AtomicBool,
    signed_on: AtomicBool,
}

impl Place {
    fn rouse(&self, flag: &AtomicBool) {
        flag.store(true, Ordering::Release);
        self.notify.notify_one();
    }
}

/// A session's place in [`Wake`].
#[derive(Debug)]
pub struct Subscription {
    wake: Arc<Wake>,
    terminal: TerminalId,
    place: Arc<Place>,
}

impl Subscription {
    /// Waits until there is a wake-up to take, or a newer session. What came before the call is not lost.
    pub async fn roused(&self) {
        while !self.is_roused() {
            self.place.notify.notified().await;
        }
    }

    /// Whether there is a wake-up to take, or a newer session.
    #[must_use]
    pub fn is_roused(&self) -> bool {
        self.place.woken.load(Ordering::Acquire) || self.is_superseded()
    }

    /// Takes the wake-up, if there is one: look for work after this.
    #[must_use]
    pub fn take_wake_up(&self) -> bool {
        self.place.woken.swap(false, Ordering::AcqRel)
    }

    /// Whether a newer session of the terminal has begun.
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        self.place.superseded.load(Ordering::Acquire)
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
        assert!(!session.is_roused());
        wake.terminal(&id);
        session.roused().await;
        assert!(session.take_wake_up());
        assert!(!session.is_roused() && !session.take_wake_up(), "taken once");
        assert_eq!(wake.connected(), 1);
    }

    #[test]
    fn an_older_session_learns_that_it_is_over() {
        let wake = Arc::new(Wake::default());
        let id: TerminalId = "10000001".parse().unwrap();
        let old = wake.subscribe(id.clone(), 1);
        let _new = wake.subscribe(id.clone(), 2);
        assert!(old.is_superseded());
    }

    #[test]
    fn a_session_that_began_late_does_not_end_the_one_of_a_newer_connection() {
        let wake = Arc::new(Wake::default());
        let id: TerminalId = "10000001".parse().unwrap();
        let (first, second) = (wake.next_connection(), wake.next_connection());
        let new = wake.subscribe(id.clone(), second);
        let old = wake.subscribe(id.clone(), first);
        assert!(old.is_superseded() && !new.is_superseded());
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
