//! What one sweep of a portal read, in the API's own types. Pure data: `observe` reads it,
//! [`Directory::store`](crate::directory::Directory::store) stores it.

use konnect::{Application, Developer, DeveloperId, Portal, PortalId, Registration, Team, TeamId};

use crate::directory::{RefreshRequests, Unlisted, Unread};

/// How much a sweep covers, which decides what absence from it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everything: the lists are complete.
    All,
    /// What waits for an answer: the lists of pending developers and registrations are complete.
    Pending,
    /// Single objects, read by id: it says nothing about any other.
    Direct,
}

impl Scope {
    /// The word in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Pending => "pending",
            Self::Direct => "direct",
        }
    }
}

/// What one sweep of a portal read.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The portal that was swept.
    pub portal_id: PortalId,
    /// How much the sweep covers.
    pub scope: Scope,
    /// The portal, if it was read.
    pub portal: Option<Portal>,
    /// Developers that were read.
    pub developers: Vec<Developer>,
    /// Teams that were read.
    pub teams: Vec<Team>,
    /// Memberships that were read.
    pub memberships: Vec<(TeamId, DeveloperId)>,
    /// Applications that were read.
    pub applications: Vec<Application>,
    /// Registrations that were read.
    pub registrations: Vec<Registration>,
    /// What the lists showed besides: it is stored already, and unchanged.
    pub listed: Unlisted,
    /// The refresh requests that were read by id.
    pub touched: RefreshRequests,
    /// Whether its lists are complete, so that what they lack is missing.
    pub is_whole: bool,
    /// Whether the sweep left something for the next one, so that it answers no hint.
    pub is_partial: bool,
    /// What could not be read, and counts neither as there nor as missing.
    pub unread: Vec<Unread>,
    /// Whether the portal itself is certainly gone.
    pub is_portal_gone: bool,
    /// What is certainly gone: a complete list lacks it, and two direct reads that are long enough
    /// apart did not find it.
    pub absent: Unlisted,
    /// What a direct read did not find, and counts as there until a later one does not either.
    pub missed: Unlisted,
    /// What was missed and could not be read again.
    pub unsure: Unlisted,
}

impl Snapshot {
    /// A snapshot that contains nothing yet; fill in what was read.
    pub fn empty(portal_id: PortalId, scope: Scope) -> Self {
        Self {
            portal_id,
            scope,
            portal: None,
            developers: Vec::new(),
            teams: Vec::new(),
            memberships: Vec::new(),
            applications: Vec::new(),
            registrations: Vec::new(),
            listed: Unlisted::default(),
            touched: RefreshRequests::default(),
            is_whole: true,
            is_partial: false,
            unread: Vec::new(),
            is_portal_gone: false,
            absent: Unlisted::default(),
            missed: Unlisted::default(),
            unsure: Unlisted::default(),
        }
    }

    /// How many objects it contains.
    pub fn len(&self) -> usize {
        usize::from(self.portal.is_some())
            + self.developers.len()
            + self.teams.len()
            + self.memberships.len()
            + self.applications.len()
            + self.registrations.len()
    }

    /// Whether it contains no object.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the objects that `other` contains.
    pub fn add(&mut self, other: Self) {
        self.portal = other.portal.or_else(|| self.portal.take());
        self.developers.extend(other.developers);
        self.teams.extend(other.teams);
        self.memberships.extend(other.memberships);
        self.applications.extend(other.applications);
        self.registrations.extend(other.registrations);
    }

    /// The ids of what was read or listed.
    pub fn shown(&self) -> Unlisted {
        let mut shown = self.listed.clone();
        shown.add(Unlisted {
            developers: self.developers.iter().map(|read| read.id).collect(),
            teams: self.teams.iter().map(|read| read.id).collect(),
            memberships: self.memberships.clone(),
            applications: self.applications.iter().map(|read| read.id).collect(),
            registrations: self
                .registrations
                .iter()
                .map(|read| (read.application.id, read.id))
                .collect(),
        });
        shown
    }
}
