//! What a sweep could not read: the sweep says nothing about it, neither that it is there nor that
//! it is not.

use std::fmt;

use uuid::Uuid;

use crate::directory::Unlisted;

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

impl Unlisted {
    /// Leaves out what may be among `unread`.
    pub(super) fn without(&mut self, unread: &[Unread]) {
        let is_unread = |part: Part, id: Uuid| {
            unread
                .iter()
                .any(|it| it.part == part && it.id.is_none_or(|unread| unread == id))
        };
        self.developers
            .retain(|id| !is_unread(Part::Developer, id.0));
        self.teams.retain(|id| !is_unread(Part::Team, id.0));
        self.memberships.retain(|(team, _)| {
            !is_unread(Part::Members, team.0) && !is_unread(Part::Team, team.0)
        });
        self.applications
            .retain(|id| !is_unread(Part::Application, id.0));
        self.registrations
            .retain(|(_, id)| !is_unread(Part::Registration, id.0));
    }
}

#[cfg(test)]
mod tests {
    use konnect::{ApplicationId, DeveloperId, RegistrationId, TeamId};

    use super::*;

    const ID: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    fn missing() -> Unlisted {
        let both = [ID, OTHER];
        Unlisted {
            developers: both.map(DeveloperId).to_vec(),
            teams: both.map(TeamId).to_vec(),
            memberships: both.map(|id| (TeamId(id), DeveloperId(ID))).to_vec(),
            applications: both.map(ApplicationId).to_vec(),
            registrations: both
                .map(|id| (ApplicationId(ID), RegistrationId(id)))
                .to_vec(),
        }
    }

    #[test]
    fn nothing_is_missing_that_may_be_what_could_not_be_read() {
        for (part, expected) in [
            (Part::Developer, [1, 2, 2, 2, 2]),
            (Part::Team, [2, 1, 1, 2, 2]),
            (Part::Members, [2, 2, 1, 2, 2]),
            (Part::Application, [2, 2, 2, 1, 2]),
            (Part::Registration, [2, 2, 2, 2, 1]),
            (Part::TeamsOfDeveloper, [2, 2, 2, 2, 2]),
        ] {
            for id in [Some(ID), None] {
                let reason = String::new();
                let mut left = missing();
                left.without(&[Unread { part, id, reason }]);
                let left = [
                    left.developers.len(),
                    left.teams.len(),
                    left.memberships.len(),
                    left.applications.len(),
                    left.registrations.len(),
                ];
                let all_or_one = |number| {
                    if number == 1 && id.is_none() {
                        0
                    } else {
                        number
                    }
                };
                assert_eq!(left, expected.map(all_or_one), "{part:?} {id:?}");
            }
        }
    }
}
