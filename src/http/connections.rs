//! The open connections: how many there may be, which of them waits for a request since when, and
//! which one gives way when all slots are taken. Knows nothing of their content.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The bounds of connections.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// From the first packet to the end of the first header, a TLS handshake included.
    pub header_time: Duration,
    /// From the end of one request to the end of the next one's header.
    pub idle_time: Duration,
    /// How many are open at once.
    pub connections: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            header_time: Duration::from_secs(10),
            idle_time: Duration::from_mins(1),
            // An idle one takes about 30 KiB, and twice that with TLS.
            connections: 2_048,
        }
    }
}

impl Bounds {
    /// The defaults, with no more connections than this process may have open files for.
    ///
    /// Raises the soft limit to the hard one first: many systems start a process with 1,024.
    pub fn of_this_process() -> Self {
        let limits = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limits.maximum,
            maximum: limits.maximum,
        };
        let descriptors = match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limits.maximum,
            Err(_) => limits.current,
        };
        let bounds = Self::default();
        let half = descriptors.map_or(usize::MAX, |most| {
            usize::try_from(most / 2).unwrap_or(usize::MAX)
        });
        Self {
            connections: bounds.connections.min(half).max(1),
            ..bounds
        }
    }
}

/// All connections of one listener. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    open: Arc<Mutex<Open>>,
    bounds: Bounds,
}

#[derive(Debug, Default)]
struct Open {
    count: usize,
    next: u64,
    /// Those that wait for a request, the one that waits longest first.
    waiting: BTreeMap<u64, CancellationToken>,
}

impl Connections {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            open: Arc::default(),
            bounds,
        }
    }

    /// A slot for one more connection. Where all are taken, the connection that has waited longest
    /// for a request gives way; none where every connection is busy with one.
    ///
    /// So a crowd of idle connections never keeps out a sender with a request. A header takes
    /// milliseconds, and as many new connections as there are slots would have to arrive meanwhile.
    pub(super) fn take_place(&self) -> Option<ConnectionSlot> {
        if self.lock().count >= self.bounds.connections && !self.give_way() {
            return None;
        }
        let mut open = self.lock();
        open.count += 1;
        let cut = CancellationToken::new();
        let number = open.wait(cut.clone());
        Some(ConnectionSlot {
            connections: self.clone(),
            cut,
            use_: Mutex::new(Use {
                requests: 0,
                served: false,
                since: Instant::now(),
                number,
            }),
        })
    }

    /// Cuts the connection that has waited longest; `false` when none waits.
    pub(super) fn give_way(&self) -> bool {
        let oldest = self.lock().waiting.pop_first();
        match oldest {
            Some((_, cut)) => {
                cut.cancel();
                true
            }
            None => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn wait(&mut self, cut: CancellationToken) -> u64 {
        let number = self.next;
        self.next += 1;
        self.waiting.insert(number, cut);
        number
    }
}

/// One connection's slot; free again when it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    connections: Connections,
    cut: CancellationToken,
    use_: Mutex<Use>,
}

#[derive(Debug)]
struct Use {
    /// Requests in work.
    requests: usize,
    served: bool,
    /// When the last work ended.
    since: Instant,
    /// Its number among those that wait.
    number: u64,
}

impl ConnectionSlot {
    /// Cancelled when the connection is to end at once.
    pub(super) fn cut(&self) -> &CancellationToken {
        &self.cut
    }

    /// Marks a request as in work until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        let mut used = self.lock();
        used.requests += 1;
        used.served = true;
        if used.requests == 1 {
            self.connections.lock().waiting.remove(&used.number);
        }
        Busy(Arc::clone(self))
    }

    /// Completes when the connection has waited for a request longer than it may.
    pub(super) async fn overdue(&self) {
        loop {
            let bounds = &self.connections.bounds;
            let now = Instant::now();
            let due = {
                let used = self.lock();
                match used.served {
                    // A busy connection is checked again no later than the earliest time at which
                    // it could be due.
                    true if used.requests > 0 => now + bounds.idle_time,
                    true => used.since + bounds.idle_time,
                    false => used.since + bounds.header_time,
                }
            };
            if due <= now {
                return;
            }
            sleep_until(due).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Use> {
        self.use_.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let number = self.lock().number;
        let mut open = self.connections.lock();
        open.count -= 1;
        open.waiting.remove(&number);
    }
}

/// One request in work, until it is dropped.
#[derive(Debug)]
pub struct Busy(Arc<ConnectionSlot>);

impl Drop for Busy {
    fn drop(&mut self) {
        let mut used = self.0.lock();
        used.requests -= 1;
        if used.requests == 0 {
            used.since = Instant::now();
            used.number = self.0.connections.lock().wait(self.0.cut.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(most: usize) -> Connections {
        Connections::new(Bounds {
            connections: most,
            ..Bounds::default()
        })
    }

    #[test]
    fn the_one_that_waits_longest_gives_way() {
        let connections = connections(2);
        let place = || Arc::new(connections.take_place().expect("a place"));
        let (first, second) = (place(), place());
        drop(first.begin());
        let third = place();
        assert!(!first.cut().is_cancelled(), "it was served last");
        assert!(second.cut().is_cancelled());
        assert!(!third.cut().is_cancelled());
    }

    #[test]
    fn a_busy_connection_never_gives_way() {
        let connections = connections(2);
        let place = || connections.take_place().map(Arc::new);
        let (first, second) = (place().expect("a place"), place().expect("a place"));
        let (busy, _other) = (first.begin(), second.begin());
        assert!(place().is_none());
        drop(busy);
        assert!(place().is_some());
        assert!(first.cut().is_cancelled());
    }

    #[test]
    fn a_place_is_free_once_its_connection_ended() {
        let connections = connections(1);
        let first = connections.take_place().expect("a place");
        let cut = first.cut().clone();
        drop(first);
        assert!(connections.take_place().is_some());
        assert!(!cut.is_cancelled());
    }
}
