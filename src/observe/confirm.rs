//! Objects that are missing. One counts as gone once a complete list lacks it and two direct reads
//! that are long enough apart did not find it. None does while too many are missing at once.

use std::collections::{BTreeMap, BTreeSet};

use konnect::{Client, DeveloperId, PortalId, TeamId};
use tracing::info;

use crate::directory::{Part, Scope, Snapshot, Stored, Sweep, Unlisted};
use crate::observe::snapshot::{DirectRead, one, present};
use crate::observe::{ObserveError, Observer, Parts};

/// Objects of each kind whose absence one sweep confirms; the next one continues with the rest.
const MAX_CONFIRMED: usize = 200;
/// So many of a kind, or one in a hundred, may be missing at once: with more, the token may have
/// been narrowed.
const MAX_MISSING: usize = 100;

impl Observer {
    /// Reads directly what complete lists lack, and adds what is there after all. Returns why none
    /// of it counts as missing, if too much is.
    pub(super) async fn confirm(
        &self,
        snapshot: &mut Snapshot,
        missing: Unlisted,
    ) -> Result<Option<String>, ObserveError> {
        let withheld = too_much(snapshot, &missing);
        if withheld.is_none() {
            let not_found = read_missing(&self.parts.client, snapshot, capped(missing)).await?;
            self.judge(snapshot, not_found).await?;
        }
        Ok(withheld)
    }

    /// Reads again what complete lists lack and was first missed long enough ago.
    pub(super) async fn recheck(&self, snapshot: &mut Snapshot) -> Result<(), ObserveError> {
        let Parts {
            client, directory, ..
        } = &*self.parts;
        let after = self.timings.gone_after;
        let due = directory.missed(snapshot.portal_id, after, true).await?;
        let mut due = capped(due);
        let absent = read_missing(client, snapshot, due.clone()).await?;
        snapshot.absent = due.take(&absent);
        // What was found is in the snapshot, which settles it; the rest could not be read.
        snapshot.unsure = due;
        Ok(())
    }

    /// An object that a direct read did not find is gone if it was first missed long enough ago,
    /// else missed.
    pub(super) async fn judge(
        &self,
        snapshot: &mut Snapshot,
        mut not_found: Unlisted,
    ) -> Result<(), ObserveError> {
        if not_found.is_empty() {
            return Ok(());
        }
        let after = self.timings.gone_after;
        let gone = if after.is_zero() {
            std::mem::take(&mut not_found)
        } else {
            let directory = &self.parts.directory;
            let missed = directory.missed(snapshot.portal_id, after, false).await?;
            not_found.take(&missed)
        };
        snapshot.absent.add(gone);
        snapshot.missed.add(not_found);
        Ok(())
    }

    /// A portal whose lists are missing: gone when direct reads long enough apart do not find it
    /// either.
    pub(super) async fn portal_is_missing(
        &self,
        sweep: Sweep,
        portal: PortalId,
        error: konnect::Error,
    ) -> Result<Stored, ObserveError> {
        let Parts {
            client, directory, ..
        } = &*self.parts;
        if present(client.portal(portal).get().await)?.is_some() {
            directory.portal_is_there(portal).await?;
            return Err(error.into());
        }
        if directory.miss_portal(portal).await? < self.timings.portal_gone_after {
            return Err(ObserveError::PortalMissing);
        }
        let mut snapshot = Snapshot::empty(portal, Scope::Direct);
        snapshot.is_portal_gone = true;
        directory.store(sweep, &snapshot).await?;
        Err(ObserveError::PortalGone)
    }
}

/// The reason, where more of a kind is missing than disappears at once. An object whose parent is
/// missing too does not count.
fn too_much(snapshot: &Snapshot, missing: &Unlisted) -> Option<String> {
    let teams: BTreeSet<TeamId> = missing.teams.iter().copied().collect();
    let people: BTreeSet<DeveloperId> = missing.developers.iter().copied().collect();
    let memberships = missing.memberships.iter();
    let by_themselves = |(team, developer): &&(TeamId, DeveloperId)| {
        !teams.contains(team) && !people.contains(developer)
    };
    let memberships = memberships.filter(by_themselves).count();
    let shown = snapshot.shown();
    let kinds = [
        (
            "developers",
            missing.developers.len(),
            shown.developers.len(),
        ),
        ("teams", missing.teams.len(), shown.teams.len()),
        ("memberships", memberships, shown.memberships.len()),
        (
            "applications",
            missing.applications.len(),
            shown.applications.len(),
        ),
        (
            "registrations",
            missing.registrations.len(),
            shown.registrations.len(),
        ),
    ];
    let (kind, missing, known) = kinds
        .into_iter()
        .map(|(kind, missing, there)| (kind, missing, there + missing))
        .find(|(_, missing, known)| *missing > MAX_MISSING && missing * 100 > *known)?;
    Some(format!(
        "{missing} of {known} {kind} are missing at once, so nothing counts as gone: may the token see less?"
    ))
}

/// At most [`MAX_CONFIRMED`] objects of each kind.
fn capped(mut missing: Unlisted) -> Unlisted {
    let all = missing.len();
    missing.developers.truncate(MAX_CONFIRMED);
    missing.teams.truncate(MAX_CONFIRMED);
    missing.memberships.truncate(MAX_CONFIRMED);
    missing.applications.truncate(MAX_CONFIRMED);
    missing.registrations.truncate(MAX_CONFIRMED);
    let left = all - missing.len();
    if left > 0 {
        info!(
            left,
            "more is missing than one sweep confirms; the next one goes on"
        );
    }
    missing
}

/// Reads each missing object; adds to the snapshot what is there, returns what is not.
pub(super) async fn read_missing(
    client: &Client,
    snapshot: &mut Snapshot,
    missing: Unlisted,
) -> Result<Unlisted, ObserveError> {
    let portal = snapshot.portal_id;
    let mut absent = Unlisted::default();
    for id in missing.registrations {
        let read = client.portal(portal).registrations().get(id.0, id.1).await;
        match one(read, Part::Registration, id.1.0, &mut snapshot.unread)? {
            DirectRead::There(read) => snapshot.registrations.push(read),
            DirectRead::Absent => absent.registrations.push(id),
            DirectRead::Unread => {}
        }
    }
    for id in missing.applications {
        let read = client.portal(portal).applications().get(id).await;
        match one(read, Part::Application, id.0, &mut snapshot.unread)? {
            DirectRead::There(read) => snapshot.applications.push(read),
            DirectRead::Absent => absent.applications.push(id),
            DirectRead::Unread => {}
        }
    }
    for id in missing.developers {
        let read = client.portal(portal).developers().get(id).await;
        match one(read, Part::Developer, id.0, &mut snapshot.unread)? {
            DirectRead::There(read) => snapshot.developers.push(read),
            DirectRead::Absent => absent.developers.push(id),
            DirectRead::Unread => {}
        }
    }
    for id in missing.teams {
        let read = client.portal(portal).teams().get(id).await;
        match one(read, Part::Team, id.0, &mut snapshot.unread)? {
            DirectRead::There(read) => snapshot.teams.push(read),
            DirectRead::Absent => absent.teams.push(id),
            DirectRead::Unread => {}
        }
    }
    absent.memberships = read_memberships(client, snapshot, missing.memberships).await?;
    Ok(absent)
}

/// Reads the teams of each developer whose membership a list lacked. A developer that is not there
/// (404) has no teams.
async fn read_memberships(
    client: &Client,
    snapshot: &mut Snapshot,
    missing: Vec<(TeamId, DeveloperId)>,
) -> Result<Vec<(TeamId, DeveloperId)>, ObserveError> {
    let mut by_developer: BTreeMap<DeveloperId, Vec<TeamId>> = BTreeMap::new();
    for (team, developer) in missing {
        by_developer.entry(developer).or_default().push(team);
    }
    let mut absent = Vec::new();
    for (developer, teams) in by_developer {
        let of_developer = client.portal(snapshot.portal_id).teams();
        let read = of_developer.of_developer(developer).await;
        let part = Part::TeamsOfDeveloper;
        let there: BTreeSet<TeamId> = match one(read, part, developer.0, &mut snapshot.unread)? {
            DirectRead::There(teams) => teams.iter().map(|team| team.id).collect(),
            DirectRead::Absent => BTreeSet::new(),
            DirectRead::Unread => continue,
        };
        for team in teams {
            let list = if there.contains(&team) {
                &mut snapshot.memberships
            } else {
                &mut absent
            };
            list.push((team, developer));
        }
    }
    Ok(absent)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn people(number: u128) -> Vec<DeveloperId> {
        (0..number)
            .map(|id| DeveloperId(Uuid::from_u128(id)))
            .collect()
    }

    #[test]
    fn more_than_a_hundred_and_more_than_one_in_a_hundred_are_held_back() {
        let team = TeamId(Uuid::from_u128(1));
        for (there, gone, expected) in [
            (0, 100, false),
            (0, 101, true),
            (9_899, 101, true),
            (9_999, 101, false),
            (0, 0, false),
        ] {
            let mut snapshot = Snapshot::empty(PortalId(Uuid::nil()), Scope::All);
            snapshot.memberships = people(there).into_iter().map(|id| (team, id)).collect();
            let memberships = people(gone).into_iter().map(|id| (team, id)).collect();
            let mut missing = Unlisted {
                memberships,
                ..Unlisted::default()
            };
            let withheld = too_much(&snapshot, &missing);
            assert_eq!(withheld.is_some(), expected, "{there} {gone}");
            // A missing team explains its members.
            missing.teams.push(team);
            assert_eq!(too_much(&snapshot, &missing), None);
        }
    }
}
