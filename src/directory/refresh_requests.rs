//! Objects that a deed or a person changed, until a refresh has read them. Ids alone: only the API
//! says how they are now.

use konnect::{ApplicationId, DeveloperId, TeamId};
use uuid::Uuid;

/// What must be read again by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefreshRequests {
    /// Developers, with their teams.
    pub developers: Vec<DeveloperId>,
    /// Teams whose members may have changed.
    pub teams: Vec<TeamId>,
    /// Applications, with their registrations.
    pub applications: Vec<ApplicationId>,
    /// People with an address that a trusted sender reported: rows of `subjects` that have it.
    pub addresses: Vec<Uuid>,
    /// Of all these, what could not be read: it is tried again after a while.
    pub later: Vec<Uuid>,
}

impl RefreshRequests {
    /// Defers what could not be read.
    pub fn defer(&mut self, id: Uuid) {
        self.developers.retain(|it| it.0 != id);
        self.teams.retain(|it| it.0 != id);
        self.applications.retain(|it| it.0 != id);
        self.addresses.retain(|it| *it != id);
        self.later.push(id);
    }
}
