//! The handle on the queue for other modules. Its SQL is in `enqueue`, `claim`, `outcome`, `list`,
//! `parked`, `detail`, `intervene`, `asked`, `vetoes`, `call_off`, `cancel_unwanted` and
//! `pause_switch`.

use std::sync::Arc;

use crate::journal::Pool;
use tokio::sync::Notify;

use crate::clock::{Clock, Ids};
use crate::http::PortalScope;
use crate::journal::Journal;

/// The actions in Postgres. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(super) journal: Journal,
    pub(super) clock: Clock,
    pub(super) ids: Ids,
    woken: Arc<Notify>,
}

impl Queue {
    /// The queue in the journal's database.
    pub fn new(journal: Journal, clock: Clock, ids: Ids) -> Self {
        Self {
            journal,
            clock,
            ids,
            woken: Arc::new(Notify::new()),
        }
    }

    /// The same, for somebody who may see these portals only.
    #[must_use]
    pub fn seen_by(&self, portals: &PortalScope) -> Self {
        Self {
            journal: self.journal.seen_by(portals),
            ..self.clone()
        }
    }

    /// The portals that may be seen by this handle.
    pub(super) fn portals(&self) -> &PortalScope {
        self.journal.portals()
    }

    /// Wakes the workers of this process: to be called after a transaction that enqueued.
    pub fn wake(&self) {
        self.woken.notify_waiters();
    }

    /// Completes when this process enqueued something after the call. Other instances enqueue too:
    /// polling is the truth, and this only shortens the wait.
    pub(super) fn woken(&self) -> impl Future<Output = ()> {
        self.woken.notified()
    }

    pub(super) fn pool(&self) -> &Pool {
        self.journal.pool()
    }
}
