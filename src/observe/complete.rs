//! Completes what the lists of a look showed by direct reads: what surrounds a new request, and
//! what became of what a list lacks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use konnect::{ApplicationId, Client, DeveloperId, ListDevelopers, ListTeams, PortalId, TeamId};
use tracing::info;

use crate::directory::{Look, Missing, Part, Scope, Snapshot, Stored};
use crate::observe::snapshot::{Read, members_of, one, present, readable};
use crate::observe::{ObserveError, Observer, Parts};

/// Objects that a look at the pending ones reads directly, the newest first; the next one goes on
/// with the rest.
const MAX_PENDING_READS: usize = 20;
/// People changed by somebody whom one look reads; the next one goes on with the rest.
const MAX_TOUCHED: i64 = 20;
/// Teams and applications of that kind: each is a list or more.
const MAX_TOUCHED_LISTS: i64 = 5;
/// Objects whose absence one look at everything confirms; the next one goes on with the rest.
const MAX_CONFIRMED: usize = 200;

impl Observer {
    /// Completes what the lists showed.
    pub(super) async fn complete(
        &self,
        look: Look,
        mut snapshot: Snapshot,
    ) -> Result<Snapshot, ObserveError> {
        let directory = &self.parts.directory;
        match snapshot.scope {
            Scope::All => {
                let missing = directory.missing(look, &snapshot).await?;
                self.confirm(&mut snapshot, missing).await?;
                return Ok(snapshot);
            }
            Scope::Pending => {
                let mut missing = directory.missing(look, &snapshot).await?;
                snapshot.is_partial |= shortened(&mut missing.developers);
                snapshot.is_partial |= shortened(&mut missing.registrations);
                self.read_again(&mut snapshot, &missing).await?;
            }
            Scope::Direct => {
                let touched = directory.touched(look, MAX_TOUCHED, MAX_TOUCHED_LISTS);
                snapshot.touched = touched.await?;
                self.read_applications(&mut snapshot).await?;
            }
        }
        self.surround(&mut snapshot).await?;
        Ok(snapshot)
    }

    /// Reads directly who is no longer pending. Who is not there at all is for a look at everything
    /// to settle.
    async fn read_again(
        &self,
        snapshot: &mut Snapshot,
        missing: &Missing,
    ) -> Result<(), ObserveError> {
        let Parts { client, .. } = &*self.parts;
        let portal = snapshot.portal_id;
        for id in &missing.developers {
            let read = client.developers(portal).get(*id).await;
            match one(read, Part::Developer, id.0, &mut snapshot.unread)? {
                Read::There(developer) => snapshot.developers.push(developer),
                Read::Absent | Read::Unread => {}
            }
        }
        for (application, id) in &missing.registrations {
            let read = client.registrations(portal).get(*application, *id).await;
            match one(read, Part::Registration, id.0, &mut snapshot.unread)? {
                Read::There(registration) => snapshot.registrations.push(registration),
                Read::Absent | Read::Unread => {}
            }
        }
        Ok(())
    }

    /// Adds what rules want to know about requests that are new: the portal, its teams, the
    /// application, its owner and the owner's teams, which may have changed since everything was
    /// last seen; and who was changed or has joined a team, with their teams.
    async fn surround(&self, snapshot: &mut Snapshot) -> Result<(), ObserveError> {
        let Parts {
            client, directory, ..
        } = &*self.parts;
        let portal = snapshot.portal_id;
        if directory.portal(portal).await?.is_none() {
            snapshot.portal = Some(client.portals().get(portal).await?);
        }
        if directory.teams(portal).await?.is_empty() {
            let teams = client
                .teams(portal)
                .list_lenient(&ListTeams::default())
                .await?;
            snapshot.teams = readable(teams, Part::Team, &mut snapshot.unread);
        }
        let unseen = directory.unseen_registrations(snapshot).await?;
        let unseen = newest_requests(snapshot, &unseen);
        let mut people = self.newcomers(snapshot).await?;
        people.extend(&snapshot.touched.developers);
        people.extend(self.read_addressed(snapshot).await?);
        for application in unseen {
            // The owner of an application can change, so it is read even when it is known.
            let read = client.applications(portal).get(application).await;
            let read = one(read, Part::Application, application.0, &mut snapshot.unread)?;
            let read = match read {
                Read::There(read) => read,
                Read::Absent => continue,
                // Without it nobody knows whose request it is: it is news once that is known.
                Read::Unread => {
                    let registrations = &mut snapshot.registrations;
                    registrations.retain(|read| read.application.id != application);
                    continue;
                }
            };
            people.extend(
                read.owner
                    .as_ref()
                    .and_then(konnect::ApplicationOwner::developer),
            );
            snapshot.applications.push(read);
        }
        for person in people {
            if !snapshot.developers.iter().any(|read| read.id == person) {
                let read = client.developers(portal).get(person).await;
                match one(read, Part::Developer, person.0, &mut snapshot.unread)? {
                    Read::There(developer) => snapshot.developers.push(developer),
                    Read::Absent => continue,
                    Read::Unread => {
                        snapshot.touched.put_off(person.0);
                        continue;
                    }
                }
            }
            self.read_teams(snapshot, person).await?;
        }
        Ok(())
    }

    /// Reads the applications that were changed by hand, with their registrations. One that is gone is
    /// for a look at everything to settle.
    async fn read_applications(&self, snapshot: &mut Snapshot) -> Result<(), ObserveError> {
        let Parts { client, .. } = &*self.parts;
        let portal = snapshot.portal_id;
        for id in snapshot.touched.applications.clone() {
            let read = client.applications(portal).get(id).await;
            let read = match one(read, Part::Application, id.0, &mut snapshot.unread)? {
                Read::There(read) => read,
                Read::Absent => continue,
                Read::Unread => {
                    snapshot.touched.put_off(id.0);
                    continue;
                }
            };
            snapshot.applications.push(read);
            let read = client.registrations(portal).of_application(id).await;
            let part = Part::RegistrationsOfApplication;
            match one(read, part, id.0, &mut snapshot.unread)? {
                Read::There(registrations) => snapshot.registrations.extend(registrations),
                Read::Absent => {}
                Read::Unread => snapshot.touched.put_off(id.0),
            }
        }
        Ok(())
    }

    /// Whoever has an address that a trusted sender told, of whatever status. Who was forgotten
    /// meanwhile has none.
    async fn read_addressed(
        &self,
        snapshot: &mut Snapshot,
    ) -> Result<Vec<DeveloperId>, ObserveError> {
        let Parts {
            client, directory, ..
        } = &*self.parts;
        let portal = snapshot.portal_id;
        let mut found = Vec::new();
        for subject in snapshot.touched.addresses.clone() {
            let Some(email) = directory.subject(portal, DeveloperId(subject)).await?.email else {
                continue;
            };
            let options = ListDevelopers {
                email: Some(email.clone()),
                ..ListDevelopers::default()
            };
            let read = client.developers(portal).list_lenient(&options).await;
            let read = match one(read, Part::Address, subject, &mut snapshot.unread)? {
                Read::There(read) => readable(read, Part::Developer, &mut snapshot.unread),
                Read::Absent => continue,
                Read::Unread => {
                    snapshot.touched.put_off(subject);
                    continue;
                }
            };
            // The filter may match more than was asked for.
            for developer in read {
                if developer.email.eq_ignore_ascii_case(&email) {
                    found.push(developer.id);
                    if !snapshot
                        .developers
                        .iter()
                        .any(|read| read.id == developer.id)
                    {
                        snapshot.developers.push(developer);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Who is in a team that was changed by hand and was not known to be. Of a crowd the next looks read
    /// the rest.
    async fn newcomers(
        &self,
        snapshot: &mut Snapshot,
    ) -> Result<BTreeSet<DeveloperId>, ObserveError> {
        let Parts {
            client, directory, ..
        } = &*self.parts;
        let portal = snapshot.portal_id;
        let mut newcomers = BTreeSet::new();
        for team in snapshot.touched.teams.clone() {
            let read = client.teams(portal).members_lenient(team).await;
            let members = match one(read, Part::Members, team.0, &mut snapshot.unread)? {
                Read::There(members) => members_of(team, members, &mut snapshot.unread),
                Read::Absent => continue,
                Read::Unread => {
                    snapshot.touched.put_off(team.0);
                    continue;
                }
            };
            let known = directory.members_of(portal, team).await?;
            let known: BTreeSet<_> = known.into_iter().collect();
            let new = members.into_iter().filter(|id| !known.contains(id));
            let mut new: Vec<DeveloperId> = new.collect();
            if shortened(&mut new) {
                snapshot.touched.teams.retain(|it| *it != team);
            }
            newcomers.extend(new);
        }
        Ok(newcomers)
    }

    /// Reads the teams of one developer; a membership that ended is confirmed by a second read.
    async fn read_teams(
        &self,
        snapshot: &mut Snapshot,
        developer: DeveloperId,
    ) -> Result<(), ObserveError> {
        let Parts {
            client, directory, ..
        } = &*self.parts;
        let portal = snapshot.portal_id;
        let read = client.teams(portal).of_developer(developer).await;
        let part = Part::TeamsOfDeveloper;
        let teams = match one(read, part, developer.0, &mut snapshot.unread)? {
            Read::There(teams) => teams,
            Read::Absent => return Ok(()),
            Read::Unread => {
                snapshot.touched.put_off(developer.0);
                return Ok(());
            }
        };
        let read: BTreeSet<TeamId> = teams.iter().map(|team| team.id).collect();
        let known = directory.teams_of(portal, developer).await?;
        let ended: Vec<(TeamId, DeveloperId)> = known
            .iter()
            .filter(|team| !read.contains(&team.id))
            .map(|team| (team.id, developer))
            .collect();
        snapshot
            .memberships
            .extend(read.iter().map(|team| (*team, developer)));
        snapshot.teams.extend(teams);
        confirm_memberships(client, snapshot, &ended).await
    }

    /// Reads directly, twice, what complete lists lack; what answers after all is added.
    async fn confirm(&self, snapshot: &mut Snapshot, missing: Missing) -> Result<(), ObserveError> {
        let Parts { client, .. } = &*self.parts;
        let missing = capped(missing);
        let first = read_missing(client, snapshot, missing).await?;
        let second = read_missing(client, snapshot, first).await?;
        snapshot.absent.developers = second.developers;
        snapshot.absent.teams = second.teams;
        snapshot.absent.applications = second.applications;
        snapshot.absent.registrations =
            second.registrations.into_iter().map(|(_, id)| id).collect();
        confirm_memberships(client, snapshot, &second.memberships).await
    }

    /// A portal whose lists are missing: gone when two direct reads say so too.
    pub(super) async fn portal_is_missing(
        &self,
        look: Look,
        portal: PortalId,
        error: konnect::Error,
    ) -> Result<Stored, ObserveError> {
        let Parts {
            client, directory, ..
        } = &*self.parts;
        for _ in 0..2 {
            if present(client.portals().get(portal).await)?.is_some() {
                return Err(error.into());
            }
        }
        let mut snapshot = Snapshot::empty(portal, Scope::Direct);
        snapshot.absent.portal = true;
        directory.store(look, &snapshot).await?;
        Err(ObserveError::PortalGone)
    }
}

/// Leaves at most [`MAX_PENDING_READS`] of what is to be read; `true` when there was more.
fn shortened<T>(list: &mut Vec<T>) -> bool {
    let is_longer = list.len() > MAX_PENDING_READS;
    list.truncate(MAX_PENDING_READS);
    is_longer
}

/// The applications of the newest requests, of those that are `unseen`. Older ones are left out of the
/// snapshot until they are read with their applications, without which nobody knows whose they are.
fn newest_requests(
    snapshot: &mut Snapshot,
    unseen: &BTreeSet<ApplicationId>,
) -> BTreeSet<ApplicationId> {
    let registrations = &mut snapshot.registrations;
    registrations.sort_by_key(|read| Reverse(read.created_at));
    let mut newest = BTreeSet::new();
    for read in registrations.iter() {
        if newest.len() < MAX_PENDING_READS && unseen.contains(&read.application.id) {
            newest.insert(read.application.id);
        }
    }
    let is_left = |id: &ApplicationId| unseen.contains(id) && !newest.contains(id);
    registrations.retain(|read| !is_left(&read.application.id));
    snapshot.is_partial |= newest.len() < unseen.len();
    newest
}

/// At most [`MAX_CONFIRMED`] objects of each kind.
fn capped(mut missing: Missing) -> Missing {
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
            "more is missing than one look confirms; the next one goes on"
        );
    }
    missing
}

/// Reads each missing object; adds to the snapshot what is there, returns what is not.
/// Memberships are returned as they are: they are read by developer.
async fn read_missing(
    client: &Client,
    snapshot: &mut Snapshot,
    missing: Missing,
) -> Result<Missing, konnect::Error> {
    let portal = snapshot.portal_id;
    let mut absent = Missing {
        memberships: missing.memberships,
        ..Missing::default()
    };
    for id in missing.registrations {
        let read = client.registrations(portal).get(id.0, id.1).await;
        match one(read, Part::Registration, id.1.0, &mut snapshot.unread)? {
            Read::There(read) => snapshot.registrations.push(read),
            Read::Absent => absent.registrations.push(id),
            Read::Unread => {}
        }
    }
    for id in missing.applications {
        let read = client.applications(portal).get(id).await;
        match one(read, Part::Application, id.0, &mut snapshot.unread)? {
            Read::There(read) => snapshot.applications.push(read),
            Read::Absent => absent.applications.push(id),
            Read::Unread => {}
        }
    }
    for id in missing.developers {
        let read = client.developers(portal).get(id).await;
        match one(read, Part::Developer, id.0, &mut snapshot.unread)? {
            Read::There(read) => snapshot.developers.push(read),
            Read::Absent => absent.developers.push(id),
            Read::Unread => {}
        }
    }
    for id in missing.teams {
        let read = client.teams(portal).get(id).await;
        match one(read, Part::Team, id.0, &mut snapshot.unread)? {
            Read::There(read) => snapshot.teams.push(read),
            Read::Absent => absent.teams.push(id),
            Read::Unread => {}
        }
    }
    Ok(absent)
}

/// Reads the teams of each developer whose membership a list lacked. A developer that is not
/// there (404) has no teams.
async fn confirm_memberships(
    client: &Client,
    snapshot: &mut Snapshot,
    ended: &[(TeamId, DeveloperId)],
) -> Result<(), ObserveError> {
    let mut by_developer: BTreeMap<DeveloperId, Vec<TeamId>> = BTreeMap::new();
    for (team, developer) in ended {
        by_developer.entry(*developer).or_default().push(*team);
    }
    for (developer, teams) in by_developer {
        let read = client
            .teams(snapshot.portal_id)
            .of_developer(developer)
            .await;
        let part = Part::TeamsOfDeveloper;
        let there: BTreeSet<TeamId> = match one(read, part, developer.0, &mut snapshot.unread)? {
            Read::There(teams) => teams.iter().map(|team| team.id).collect(),
            Read::Absent => BTreeSet::new(),
            Read::Unread => continue,
        };
        for team in teams {
            let list = if there.contains(&team) {
                &mut snapshot.memberships
            } else {
                &mut snapshot.absent.memberships
            };
            list.push((team, developer));
        }
    }
    Ok(())
}
