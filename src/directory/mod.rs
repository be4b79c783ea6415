//! What the API last said, with revisions, and `subjects`, the only place of personal data.
//!
//! Owns all SQL about it. Never calls the API: `observe` looks, this room remembers and tells the
//! journal what differs.

mod absence;
mod around;
mod compare;
mod difference;
mod ended;
mod excerpt;
mod find;
mod gone;
mod invitees;
mod known;
mod list;
mod looks;
mod missed;
mod missing;
mod objects;
mod pages;
mod rows;
mod slices;
mod snapshot;
mod store;
mod subjects;
mod touched;
mod unread;
mod write;

use std::sync::Arc;

use tokio::sync::Notify;

use crate::clock::{Clock, Ids};
use crate::journal::Journal;

pub use around::Subjects;
pub use ended::MembershipEnd;
pub use excerpt::Excerpt;
pub use looks::{Look, LookState};
pub use missing::Missing;
pub use objects::{
    Api, Application, ApplicationRecord, Developer, DeveloperRecord, Membership, Owner,
    OwnerRecord, Portal, Registration, RegistrationRecord, Seen, Team,
};
pub use pages::{
    ApplicationFilter, DeveloperFilter, Gone, ListPage, MembershipFilter, RegistrationFilter,
};
pub use snapshot::{Scope, Snapshot};
pub use store::Stored;
pub use subjects::{Forgotten, Subject};
pub use touched::Touched;
pub use unread::{Part, Unread};

/// What the API last said. Cheap to clone; clones wake each other's waits for hints.
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
}
