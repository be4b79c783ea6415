//! Cuts a snapshot into slices that are stored one after the other. The objects of one person stay
//! in one slice as far as it takes them: a decision about the person finds all of them.

use std::collections::BTreeMap;

use konnect::{
    Application, ApplicationId, ApplicationOwner, Developer, DeveloperId, Portal, Registration,
    Team, TeamId,
};

use crate::directory::Snapshot;

/// Objects that are compared and stored in one transaction. So many delay a deed by tens of
/// milliseconds: it waits for one slice when it begins, and for another when its read-back is
/// stored.
pub(super) const SLICE: usize = 250;

/// The owner of an object, as far as the snapshot says. The portal's objects come first, for
/// anybody may be in a team. A team's objects, and those of an application that the snapshot lacks,
/// come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum OwnerKey {
    Portal,
    Developer(DeveloperId),
    Application(ApplicationId),
}

#[derive(Debug, Clone, Copy)]
enum Object<'a> {
    Portal(&'a Portal),
    Team(&'a Team),
    Developer(&'a Developer),
    Membership((TeamId, DeveloperId)),
    Application(&'a Application),
    Registration(&'a Registration),
}

/// The slices of a snapshot: only of the objects that it shows.
#[derive(Debug)]
pub(super) struct Slices<'a> {
    snapshot: &'a Snapshot,
    objects: Vec<(OwnerKey, Object<'a>)>,
    /// How many are in earlier slices.
    taken: usize,
}

impl<'a> Slices<'a> {
    pub(super) fn of(snapshot: &'a Snapshot) -> Self {
        let owner = |read: &Application| read.owner.as_ref().and_then(ApplicationOwner::developer);
        let owners: BTreeMap<ApplicationId, DeveloperId> = snapshot
            .applications
            .iter()
            .filter_map(|read| Some((read.id, owner(read)?)))
            .collect();
        let whose = |id: ApplicationId| {
            let owner = owners.get(&id);
            owner.map_or(OwnerKey::Application(id), |owner| {
                OwnerKey::Developer(*owner)
            })
        };
        let mut objects = Vec::with_capacity(snapshot.len());
        let portal = snapshot.portal.iter();
        objects.extend(portal.map(|read| (OwnerKey::Portal, Object::Portal(read))));
        let teams = snapshot.teams.iter();
        objects.extend(teams.map(|read| (OwnerKey::Portal, Object::Team(read))));
        let people = snapshot.developers.iter();
        objects.extend(people.map(|read| (OwnerKey::Developer(read.id), Object::Developer(read))));
        let memberships = snapshot.memberships.iter();
        let memberships =
            memberships.map(|it| (OwnerKey::Developer(it.1), Object::Membership(*it)));
        objects.extend(memberships);
        let applications = snapshot.applications.iter();
        objects.extend(applications.map(|read| (whose(read.id), Object::Application(read))));
        for read in &snapshot.registrations {
            objects.push((whose(read.application.id), Object::Registration(read)));
        }
        // Stable: of duplicates the last one read stays the last.
        objects.sort_by_key(|(whose, _)| *whose);
        Self {
            snapshot,
            objects,
            taken: 0,
        }
    }
}

impl Iterator for Slices<'_> {
    type Item = Snapshot;

    fn next(&mut self) -> Option<Snapshot> {
        let left = self.objects.get(self.taken..)?;
        let taken = left.get(..fitting(left))?;
        if taken.is_empty() {
            return None;
        }
        self.taken += taken.len();
        let mut slice = Snapshot::empty(self.snapshot.portal_id, self.snapshot.scope);
        for (_, object) in taken {
            match *object {
                Object::Portal(read) => slice.portal = Some(read.clone()),
                Object::Team(read) => slice.teams.push(read.clone()),
                Object::Developer(read) => slice.developers.push(read.clone()),
                Object::Membership(read) => slice.memberships.push(read),
                Object::Application(read) => slice.applications.push(read.clone()),
                Object::Registration(read) => slice.registrations.push(read.clone()),
            }
        }
        Some(slice)
    }
}

/// How many of these objects the next slice takes: whole owners that fit, or a part of one that
/// fits into no slice.
fn fitting(objects: &[(OwnerKey, Object<'_>)]) -> usize {
    let Some((cut, _)) = objects.get(SLICE) else {
        return objects.len();
    };
    let whole = objects.partition_point(|(whose, _)| whose < cut);
    if whole == 0 { SLICE } else { whole }
}

#[cfg(test)]
mod tests {
    use konnect::PortalId;
    use uuid::Uuid;

    use super::*;
    use crate::directory::Scope;

    fn memberships(people: &[u128]) -> Snapshot {
        let mut snapshot = Snapshot::empty(PortalId(Uuid::nil()), Scope::All);
        for (person, teams) in people.iter().enumerate() {
            let person = DeveloperId(Uuid::from_u128(person as u128));
            let teams = 0..*teams;
            let memberships = teams.map(|team| (TeamId(Uuid::from_u128(team)), person));
            snapshot.memberships.extend(memberships);
        }
        snapshot
    }

    #[test]
    fn who_fits_into_a_slice_is_not_cut() {
        for (people, expected) in [
            (vec![], vec![]),
            (vec![250], vec![250]),
            (vec![100, 150, 1], vec![250, 1]),
            (vec![100, 151, 1], vec![100, 152]),
            (vec![1, 600, 2], vec![1, 250, 250, 102]),
        ] {
            let snapshot = memberships(&people);
            let slices: Vec<usize> = Slices::of(&snapshot).map(|slice| slice.len()).collect();
            assert_eq!(slices, expected, "{people:?}");
        }
    }
}
