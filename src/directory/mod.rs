//! What the API last returned, with revisions, and `subjects`, the only place of personal data.
//!
//! Has all SQL about it. Never calls the API: `observe` sweeps, this module stores and reports the
//! differences to the journal.

mod absence;
mod compare;
mod difference;
mod ended;
mod find;
mod find_unlisted;
mod gone;
mod invitees;
mod list;
mod load_related;
mod missed;
mod named;
mod objects;
mod pages;
mod portal_view;
mod refresh_queue;
mod refresh_requests;
mod rows;
mod slices;
mod snapshot;
mod store;
mod stored_state;
mod subjects;
mod sweeps;
mod unlisted;
mod unread;
mod write;

use std::sync::Arc;

use tokio::sync::Notify;
use uuid::Uuid;

use crate::clock::{Clock, Ids};
use crate::http::PortalScope;
use crate::journal::Journal;

pub use ended::MembershipEnd;
pub use load_related::Subjects;
pub use named::Named;
pub use objects::{
    Api, Application, ApplicationRecord, Developer, DeveloperRecord, Membership, Owner,
    OwnerRecord, Portal, Registration, RegistrationRecord, RowVersion, Team,
};
pub use pages::{
    ApplicationFilter, DeveloperFilter, Gone, ListPage, MOST_COUNTED, MembershipFilter,
    RegistrationCount, RegistrationFilter,
};
pub use portal_view::PortalView;
pub use refresh_requests::RefreshRequests;
pub use snapshot::{Scope, Snapshot};
pub use store::Stored;
pub use subjects::{Forgotten, Subject};
pub use sweeps::{Sweep, SweepState};
pub use unlisted::Unlisted;
pub use unread::{Part, Unread};

/// What the API last returned. Cheap to clone; clones wake each other's waits for hints.
#[derive(Clone, Debug)]
pub struct Directory {
    journal: Journal,
    clock: Clock,
    ids: Ids,
    hinted: Arc<Notify>,
}

impl Directory {
    /// The directory in the journal's database.
    pub fn new(journal: Journal, clock: Clock, ids: Ids) -> Self {
        Self {
            journal,
            clock,
            ids,
            hinted: Arc::new(Notify::new()),
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

    /// Whether a portal may be seen by this handle. What is asked for by portal and id looks here
    /// first.
    fn sees(&self, portal: impl Into<Uuid>) -> bool {
        self.journal.portals().has(portal.into())
    }

    /// Those of some ids, each with its portal, that may be seen.
    fn seen_of(&self, ids: &[(Uuid, Uuid)]) -> (Vec<Uuid>, Vec<Uuid>) {
        let seen = ids.iter().copied();
        seen.filter(|(portal, _)| self.sees(*portal)).unzip()
    }
}
