//! What a sweep could not read: the sweep says nothing about it, neither that it is there nor that
//! it is not.

use std::fmt;

use uuid::Uuid;

/// What may be unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A developer.
    Developer,
    /// The teams of a developer.
    TeamsOfDeveloper,
    /// A team.
    Team,
    /// The members of a team.
    Members,
    /// An application.
    Application,
    /// The registrations of an application.
    RegistrationsOfApplication,
    /// A registration.
    Registration,
    /// The person with an address, by its row of `subjects`.
    Address,
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Developer => "developer",
            Self::TeamsOfDeveloper => "teams of developer",
            Self::Team => "team",
            Self::Members => "members of team",
            Self::Application => "application",
            Self::RegistrationsOfApplication => "registrations of application",
            Self::Registration => "registration",
            Self::Address => "whoever has the address of subject",
        })
    }
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unread {
    /// What it is.
    pub part: Part,
    /// Its id; none where even that cannot be read.
    pub id: Option<Uuid>,
    /// Why, without values and secrets.
    pub reason: String,
}

impl fmt::Display for Unread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, id, reason } = self;
        match id {
            Some(id) => write!(formatter, "{part} {id} cannot be read: {reason}"),
            None => write!(formatter, "one {part} cannot be read: {reason}"),
        }
    }
}
