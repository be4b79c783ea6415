//! Objects that the directory has and a complete list lacks: their ids. Reads nothing itself.

use std::collections::BTreeSet;

use konnect::{ApplicationId, DeveloperId, RegistrationId, TeamId};
use uuid::Uuid;

use crate::directory::unread::{Part, Unread};

/// What a complete list lacks though it is stored: it is read directly before it counts as gone.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Unlisted {
    /// Developers.
    pub developers: Vec<DeveloperId>,
    /// Teams.
    pub teams: Vec<TeamId>,
    /// Memberships.
    pub memberships: Vec<(TeamId, DeveloperId)>,
    /// Applications.
    pub applications: Vec<ApplicationId>,
    /// Registrations with their applications, without which they cannot be read.
    pub registrations: Vec<(ApplicationId, RegistrationId)>,
}

impl Unlisted {
    /// How many objects there are in all.
    pub fn len(&self) -> usize {
        self.developers.len()
            + self.teams.len()
            + self.memberships.len()
            + self.applications.len()
            + self.registrations.len()
    }

    /// Whether nothing is missing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes what `of` contains as well, and returns it.
    #[must_use]
    pub fn take(&mut self, of: &Self) -> Self {
        fn taken<T: Copy + Ord>(list: &mut Vec<T>, of: &[T]) -> Vec<T> {
            let of: BTreeSet<T> = of.iter().copied().collect();
            let (taken, left) = list.drain(..).partition(|it| of.contains(it));
            *list = left;
            taken
        }
        Self {
            developers: taken(&mut self.developers, &of.developers),
            teams: taken(&mut self.teams, &of.teams),
            memberships: taken(&mut self.memberships, &of.memberships),
            applications: taken(&mut self.applications, &of.applications),
            registrations: taken(&mut self.registrations, &of.registrations),
        }
    }

    /// Adds what `other` contains.
    pub fn add(&mut self, other: Self) {
        self.developers.extend(other.developers);
        self.teams.extend(other.teams);
        self.memberships.extend(other.memberships);
        self.applications.extend(other.applications);
        self.registrations.extend(other.registrations);
    }

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
