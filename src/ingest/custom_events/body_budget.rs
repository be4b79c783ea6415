//! The budget for bodies of trusted senders' requests, and which body gives way when it is used up.
//! A body must be read before usher knows who sent it, so a client without a key reserves bytes as
//! well. Bytes are reserved as they arrive, and the slowest body loses them. Knows nothing of HTTP.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const KIB: usize = 1024;
/// Bytes of all bodies at once, apart from those of the ingest endpoint: a client without a key
/// must not take budget from Konnect.
const ROOM_BYTES: usize = 8 * 1024 * KIB;
/// What a body reserves before its first byte arrives. So the budget also bounds the number of
/// bodies to 256, and they cannot take all connections.
const LEAST_BYTES: usize = 32 * KIB;
/// A peer with more than this in bodies under way gives way before others do. The largest body
/// fits.
const SHARE_BYTES: usize = ROOM_BYTES / 4;
/// How long a body waits for those that are being checked and stored.
const ROOM_TIME: Duration = Duration::from_secs(5);

/// The budget. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct BodyBudget(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    held: Mutex<BudgetState>,
    /// Notified whenever bytes are freed.
    freed: Notify,
}

#[derive(Debug, Default)]
struct BudgetState {
    /// Of bodies under way, and of those that arrived whole.
    bytes: usize,
    next: u64,
    /// Those under way, the oldest first.
    under_way: BTreeMap<u64, BodyInFlight>,
}

#[derive(Debug)]
struct BodyInFlight {
    peer: IpAddr,
    read: Vec<u8>,
    /// Its share of the reserved bytes.
    bytes: usize,
    cut: CancellationToken,
}

/// The answer to a request for more bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grant {
    Granted,
    /// This body had to give way.
    GaveWay,
    /// Whole bodies are being stored, and no body must give way for this one.
    Full,
}

impl BodyBudget {
    /// A slot for one more body from `peer`; none when the budget stays used up for too long.
    pub(super) async fn enter(&self, peer: IpAddr) -> Option<BodySlot> {
        let peer = neighbourhood(peer);
        let cut = CancellationToken::new();
        let enter = || {
            let mut held = self.0.lock();
            let number = held.next;
            held.next += 1;
            let body = BodyInFlight {
                peer,
                read: Vec::new(),
                bytes: 0,
                cut: cut.clone(),
            };
            held.under_way.insert(number, body);
            let grant = held.grow(number, LEAST_BYTES);
            if grant != Grant::Granted {
                held.end(number);
            }
            (grant, number)
        };
        let number = self.0.until_granted(enter).await?;
        Some(BodySlot {
            shared: Arc::clone(&self.0),
            number,
            cut,
        })
    }
}

/// The addresses that one person may have: over IPv6, one who has an address has all 2⁶⁴ of its
/// network.
fn neighbourhood(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        four @ IpAddr::V4(_) => four,
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BudgetState> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks again whenever bytes are freed; none when that took too long, or when the body gave
    /// way.
    async fn until_granted<T>(&self, mut ask: impl FnMut() -> (Grant, T)) -> Option<T> {
        let granted = async {
            loop {
                let freed = self.freed.notified();
                match ask() {
                    (Grant::Granted, what) => return Some(what),
                    (Grant::GaveWay, _) => return None,
                    (Grant::Full, _) => freed.await,
                }
            }
        };
        timeout(ROOM_TIME, granted).await.ok().flatten()
    }
}

impl BudgetState {
    /// Reserves `bytes` of a body in all. Others give way for it, one by one.
    fn grow(&mut self, number: u64, bytes: usize) -> Grant {
        loop {
            let Some(body) = self.under_way.get_mut(&number) else {
                return Grant::GaveWay;
            };
            let more = bytes.saturating_sub(body.bytes);
            if self.bytes + more <= ROOM_BYTES {
                self.bytes += more;
                body.bytes += more;
                return Grant::Granted;
            }
            let next = self.next_to_give_way(number, more);
            if next != number {
                self.end(next);
            } else if self.under_way.len() == 1 {
                return Grant::Full;
            } else {
                self.end(number);
                return Grant::GaveWay;
            }
        }
    }

    /// The body that has been under way longest: of a peer that would have more than its share, if
    /// there is one, else of all.
    ///
    /// A sender takes milliseconds for a body. So a body that only occupies bytes is older than a
    /// true sender's, and a flood from one place takes the budget from itself.
    fn next_to_give_way(&self, grows: u64, more: usize) -> u64 {
        let mut shares: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for (number, body) in &self.under_way {
            let more = if *number == grows { more } else { 0 };
            *shares.entry(body.peer).or_default() += body.bytes + more;
        }
        let oldest_of_greedy = self
            .under_way
            .iter()
            .find(|(_, body)| shares[&body.peer] > SHARE_BYTES);
        let oldest = oldest_of_greedy.or_else(|| self.under_way.iter().next());
        oldest.map_or(grows, |(number, _)| *number)
    }

    /// Ends a body that is under way, and frees its bytes.
    fn end(&mut self, number: u64) {
        if let Some(body) = self.under_way.remove(&number) {
            self.bytes -= body.bytes;
            body.cut.cancel();
        }
    }
}

/// The slot of a body that is under way. Dropping it frees the slot.
#[derive(Debug)]
pub(super) struct BodySlot {
    shared: Arc<Shared>,
    number: u64,
    cut: CancellationToken,
}

impl BodySlot {
    /// Cancelled once the body has given way: its bytes are gone.
    pub(super) fn cut(&self) -> CancellationToken {
        self.cut.clone()
    }

    /// Bytes read so far.
    pub(super) fn len(&self) -> usize {
        let held = self.shared.lock();
        held.under_way
            .get(&self.number)
            .map_or(0, |body| body.read.len())
    }

    /// Appends the next part; `false` when the budget does not allow it.
    pub(super) async fn keep(&self, data: &[u8]) -> bool {
        let keep = || {
            let mut held = self.shared.lock();
            // Counted as it is allocated.
            let bytes = (held.under_way.get(&self.number))
                .map_or(0, |body| (body.read.len() + data.len()).next_power_of_two());
            let grant = held.grow(self.number, bytes.max(LEAST_BYTES));
            if let (Grant::Granted, Some(body)) = (grant, held.under_way.get_mut(&self.number)) {
                body.read.reserve_exact(bytes - body.read.len());
                body.read.extend_from_slice(data);
            }
            (grant, ())
        };
        self.shared.until_granted(keep).await.is_some()
    }

    /// Drops what was read, and stays under way: the rest of the body is read and dropped.
    pub(super) fn forget(&self) {
        let mut held = self.shared.lock();
        let Some(body) = held.under_way.get_mut(&self.number) else {
            return;
        };
        let freed = body.bytes.saturating_sub(LEAST_BYTES);
        body.bytes -= freed;
        body.read = Vec::new();
        held.bytes -= freed;
        drop(held);
        self.shared.freed.notify_waiters();
    }

    /// The body, now that all of it arrived. From now on it never gives way. None when it already
    /// has.
    pub(super) fn whole(self) -> Option<(Vec<u8>, WholeBody)> {
        let body = self.shared.lock().under_way.remove(&self.number)?;
        let kept = WholeBody {
            shared: Arc::clone(&self.shared),
            bytes: body.bytes,
        };
        Some((body.read, kept))
    }
}

impl Drop for BodySlot {
    fn drop(&mut self) {
        self.shared.lock().end(self.number);
        self.shared.freed.notify_waiters();
    }
}

/// The reserved bytes of a body that arrived whole. Dropping it frees them.
#[derive(Debug)]
pub(super) struct WholeBody {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Drop for WholeBody {
    fn drop(&mut self) {
        self.shared.lock().bytes -= self.bytes;
        self.shared.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * KIB;

    fn peer(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    /// Bodies of so many bytes, each from a peer of its own.
    async fn strangers(budget: &BodyBudget, count: u8, bytes: usize) -> Vec<BodySlot> {
        let mut places = Vec::new();
        for number in 0..count {
            let place = budget.enter(peer(number)).await.expect("there is room");
            assert!(place.keep(&vec![0; bytes]).await);
            places.push(place);
        }
        places
    }

    fn gave_way(places: &[BodySlot]) -> Vec<bool> {
        places
            .iter()
            .map(|place| place.cut.is_cancelled())
            .collect()
    }

    #[tokio::test]
    async fn the_body_that_is_under_way_longest_gives_way() {
        let budget = BodyBudget::default();
        let slow = strangers(&budget, 4, 2 * MIB - 1).await;
        let sender = budget.enter(peer(9)).await.expect("somebody gives way");
        assert_eq!(gave_way(&slow), [true, false, false, false]);
        assert!(sender.keep(&vec![1; 2 * MIB]).await);
        assert_eq!(gave_way(&slow), [true, false, false, false]);
        let (read, _kept) = sender.whole().expect("it did not give way");
        assert!(read.len() == 2 * MIB && read.iter().all(|byte| *byte == 1));
        // A body that gave way gets that answer, and has nothing reserved.
        assert!(!slow[0].keep(&[0]).await && slow[0].len() == 0);
    }

    #[tokio::test]
    async fn whoever_takes_more_than_a_share_gives_way_to_whoever_does_not() {
        let budget = BodyBudget::default();
        let sender = budget.enter(peer(1)).await.expect("there is room");
        assert!(sender.keep(&vec![0; MIB]).await);
        // A flood from one place, younger than the sender's body all the time.
        let mut flood = Vec::new();
        for _ in 0..40 {
            let place = budget
                .enter(peer(2))
                .await
                .expect("one of its own gives way");
            assert!(place.keep(&vec![0; MIB]).await);
            flood.push(place);
        }
        assert!(sender.keep(&vec![0; MIB]).await);
        assert!(sender.whole().is_some());
        let alive = gave_way(&flood).iter().filter(|cut| !**cut).count();
        assert!((1..=6).contains(&alive), "{alive}");
    }

    #[tokio::test]
    async fn bodies_that_send_nothing_are_bounded_in_number() {
        let budget = BodyBudget::default();
        let mut silent = Vec::new();
        for _ in 0..300 {
            silent.push(budget.enter(peer(1)).await.expect("the oldest gives way"));
        }
        let cut = gave_way(&silent);
        assert_eq!(cut.iter().filter(|cut| **cut).count(), 300 - 256);
        assert!(cut[..44].iter().all(|cut| *cut), "the oldest ones");
    }

    #[tokio::test]
    async fn what_came_whole_gives_way_to_nobody_and_is_waited_for() {
        let budget = BodyBudget::default();
        let mut kept = Vec::new();
        for place in strangers(&budget, 4, 2 * MIB).await {
            kept.push(place.whole().expect("it came whole"));
        }
        let waits = timeout(Duration::from_millis(50), budget.enter(peer(9))).await;
        assert!(waits.is_err(), "there is no room yet");
        let done = async {
            tokio::task::yield_now().await;
            kept.pop();
        };
        let (place, ()) = tokio::join!(budget.enter(peer(9)), done);
        let place = place.expect("there is room now");
        assert!(place.keep(&vec![0; MIB]).await);
        drop((place, kept));
        assert_eq!(budget.0.lock().bytes, 0, "everything was given back");
    }

    #[tokio::test]
    async fn what_is_thrown_away_makes_room() {
        let budget = BodyBudget::default();
        let places = strangers(&budget, 4, 2 * MIB).await;
        for place in &places {
            place.forget();
        }
        assert_eq!(budget.0.lock().bytes, 4 * LEAST_BYTES);
        let sender = budget.enter(peer(9)).await.expect("there is room");
        assert!(sender.keep(&vec![0; 2 * MIB]).await);
        assert_eq!(gave_way(&places), [false; 4]);
    }

    #[test]
    fn one_network_of_version_six_is_one_peer() {
        let same = |a: &str, b: &str| {
            let of = |text: &str| neighbourhood(text.parse().unwrap());
            of(a) == of(b)
        };
        assert!(same("2001:db8::1", "2001:db8::ffff:1"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }
}
