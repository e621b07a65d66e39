//! The places for connections, and who gives one up when they are short.
//!
//! A client that comes is let in at the cost of one that makes the server wait: the one
//! that has been still for longest, of the address that has the most. So neither those
//! that never finish a request nor those that never read an answer keep anybody else
//! from one, wherever they come from.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout;

use super::progress::Progress;
use crate::export::neighbourhood::neighbourhood;

/// Connections at once: a bound on file descriptors, and on what they hold in memory.
const CONNECTIONS: usize = 256;
/// Those of one address, so that there are always places for others.
const OF_ONE_PEER: usize = 192;
/// Those beside them that are being closed, so that nobody waits for it.
const LEAVING: usize = 64;
/// Nobody is sent away who was still for less than this: a request may be on its way.
const GRACE: Duration = Duration::from_millis(50);
/// How often somebody is sent away is worth a word to the operator.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// All places.
#[derive(Default)]
pub(super) struct Places {
    open: Mutex<Open>,
    freed: Notify,
}

#[derive(Default)]
struct Open {
    next: u64,
    taken: HashMap<u64, Taken>,
    said: Option<Instant>,
}

struct Taken {
    peer: IpAddr,
    progress: Arc<Progress>,
    leave: Arc<Notify>,
    leaving: bool,
}

/// A place that is taken; free again when this is dropped.
pub(super) struct Place {
    number: u64,
    places: Arc<Places>,
    pub(super) progress: Arc<Progress>,
    /// Told when the place is needed for somebody else.
    pub(super) leave: Arc<Notify>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.open().taken.remove(&self.number);
        self.places.freed.notify_one();
    }
}

impl Places {
    fn open(&self) -> MutexGuard<'_, Open> {
        // Each change is one call: a panic elsewhere spoils nothing.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a client at `peer`. Where places are short it takes until another can
    /// be sent away: some [`GRACE`] at most, unless all of them are being served.
    pub(super) async fn take(self: &Arc<Self>, peer: IpAddr) -> Place {
        let peer = neighbourhood(peer);
        loop {
            if let Some(place) = self.try_take(peer) {
                return place;
            }
            let _ = timeout(GRACE / 4, self.freed.notified()).await;
        }
    }

    /// A place, if one is free or somebody can be sent away for it.
    fn try_take(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let mut open = self.open();
        if let Some(from) = open.short_of(peer)
            && !open.send_away(from)
        {
            return None;
        }
        let number = open.next;
        open.next += 1;
        let (progress, leave) = (Arc::new(Progress::new()), Arc::default());
        let taken = Taken {
            peer,
            progress: Arc::clone(&progress),
            leave: Arc::clone(&leave),
            leaving: false,
        };
        open.taken.insert(number, taken);
        Some(Place { number, places: Arc::clone(self), progress, leave })
    }
}

impl Open {
    /// The address that has to give up a place so that one at `peer` can have it; none
    /// where there is room.
    fn short_of(&self, peer: IpAddr) -> Option<IpAddr> {
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for taken in self.taken.values().filter(|taken| !taken.leaving) {
            *counts.entry(taken.peer).or_default() += 1;
        }
        let stay: usize = counts.values().sum();
        if counts.get(&peer).is_some_and(|count| *count >= OF_ONE_PEER) {
            return Some(peer);
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count).map(|(peer, _)| peer);
        most.filter(|_| stay >= CONNECTIONS)
    }

    /// Sends the stillest at `peer` away; whether there is one that may go.
    fn send_away(&mut self, peer: IpAddr) -> bool {
        if self.taken.values().filter(|taken| taken.leaving).count() >= LEAVING {
            return false;
        }
        let stay = self.taken.values_mut().filter(|taken| taken.peer == peer && !taken.leaving);
        let still = stay.filter_map(|taken| Some((taken.progress.still_since()?, taken)));
        let stillest = still.min_by_key(|(since, _)| *since);
        let Some((_, taken)) = stillest.filter(|(since, _)| since.elapsed() >= GRACE) else {
            return false;
        };
        taken.leaving = true;
        taken.leave.notify_one();
        if self.said.is_none_or(|said| said.elapsed() >= SAID_EVERY) {
            self.said = Some(Instant::now());
            tracing::warn!(
                %peer,
                "more connections than there are places: those that have been still for longest are closed; who opens so many?"
            );
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[tokio::test]
    async fn the_address_with_the_most_makes_room_by_its_stillest() {
        let places = Arc::new(Places::default());
        let mut many = Vec::new();
        for _ in 0..OF_ONE_PEER {
            many.push(places.take(peer("192.0.2.1")).await);
        }
        let mut few = Vec::new();
        for number in OF_ONE_PEER..CONNECTIONS {
            few.push(places.take(peer(&format!("192.0.2.{number}"))).await);
        }
        many[0].progress.asked();
        assert!(places.try_take(peer("192.0.2.1")).is_none());
        tokio::time::sleep(GRACE * 2).await;
        for newcomer in ["192.0.2.1", "198.51.100.1", "::ffff:192.0.2.1"] {
            few.push(places.try_take(peer(newcomer)).expect("a place"));
            let left = timeout(GRACE, many[1].leave.notified()).await;
            assert!(left.is_ok(), "for {newcomer}");
            drop(many.remove(1));
        }
        few.iter().for_each(|place| place.progress.asked());
        many.iter().for_each(|place| place.progress.asked());
        assert!(places.try_take(peer("192.0.2.1")).is_none(), "all are being served");
    }
}
