//! Completes the lists of a sweep by direct reads: of what is no longer pending, of objects related
//! to new requests, of refresh requests.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use konnect::{ApplicationId, DeveloperId, ListDevelopers, ListTeams, TeamId};

use crate::directory::{Part, Scope, Snapshot, Sweep, Unlisted};
use crate::observe::confirm::read_missing;
use crate::observe::snapshot::{DirectRead, members_of, one, readable};
use crate::observe::{ObserveError, Observer, Parts};

/// Objects that a pending sweep reads directly, the newest first; the next one continues with the
/// rest.
const MAX_PENDING_READS: usize = 20;
/// People of refresh requests that one refresh reads; the next one continues with the rest.
const MAX_TOUCHED: i64 = 20;
/// Teams and applications of refresh requests: each is a list or more.
const MAX_TOUCHED_LISTS: i64 = 5;

impl Observer {
    /// Completes what the lists showed. Also returns why nothing counts as missing, if too much is.
    pub(super) async fn complete(
        &self,
        sweep: Sweep,
        mut snapshot: Snapshot,
    ) -> Result<(Snapshot, Option<String>), ObserveError> {
        let directory = &self.parts.directory;
        match snapshot.scope {
            Scope::All => {
                let missing = directory.missing(sweep, &snapshot).await?;
                let withheld = self.confirm(&mut snapshot, missing).await?;
                return Ok((snapshot, withheld));
            }
            Scope::Pending => {
                let mut missing = directory.missing(sweep, &snapshot).await?;
                let missed = directory.missed(sweep.portal_id, Duration::ZERO, false);
                // An object that was not found before comes last: its absence is no news.
                let mut missed = missing.take(&missed.await?);
                snapshot.is_partial |= shortened(&mut missing.developers);
                snapshot.is_partial |= shortened(&mut missing.registrations);
                shortened(&mut missed.developers);
                shortened(&mut missed.registrations);
                missing.add(missed);
                // What is not there at all is left to a full sweep.
                let absent = read_missing(&self.parts.client, &mut snapshot, missing).await?;
                snapshot.missed.add(absent);
            }
            Scope::Direct => {
                let touched = directory.touched(sweep, MAX_TOUCHED, MAX_TOUCHED_LISTS);
                snapshot.touched = touched.await?;
                self.read_applications(&mut snapshot).await?;
                self.recheck(&mut snapshot).await?;
            }
        }
        self.surround(&mut snapshot).await?;
        Ok((snapshot, None))
    }

    /// Adds what rules need about new requests: the portal, its teams, the application, its owner
    /// and the owner's teams. They may have changed since the last full sweep. Also adds the people
    /// of refresh requests and new team members, with their teams.
    async fn surround(&self, snapshot: &mut Snapshot) -> Result<(), ObserveError> {
        let Parts {
            client, directory, ..
        } = &*self.parts;
        let portal = snapshot.portal_id;
        if directory.portal(portal).await?.is_none() {
            snapshot.portal = Some(client.portal(portal).get().await?);
        }
        if directory.teams(portal).await?.is_empty() {
            let teams = client
                .portal(portal)
                .teams()
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
            // The owner of an application can change, so it is read even when it is stored.
            let read = client.portal(portal).applications().get(application).await;
            let read = one(read, Part::Application, application.0, &mut snapshot.unread)?;
            let read = match read {
                DirectRead::There(read) => read,
                DirectRead::Absent => continue,
                // Without it the owner of the request is unknown: the difference waits until it can
                // be read.
                DirectRead::Unread => {
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
                let read = client.portal(portal).developers().get(person).await;
                match one(read, Part::Developer, person.0, &mut snapshot.unread)? {
                    DirectRead::There(developer) => snapshot.developers.push(developer),
                    DirectRead::Absent => continue,
                    DirectRead::Unread => {
                        snapshot.touched.defer(person.0);
                        continue;
                    }
                }
            }
            self.read_teams(snapshot, person).await?;
        }
        Ok(())
    }

    /// Reads the applications of refresh requests, with their registrations. One that is gone is
    /// left to a full sweep.
    async fn read_applications(&self, snapshot: &mut Snapshot) -> Result<(), ObserveError> {
        let Parts { client, .. } = &*self.parts;
        let portal = snapshot.portal_id;
        for id in snapshot.touched.applications.clone() {
            let read = client.portal(portal).applications().get(id).await;
            let read = match one(read, Part::Application, id.0, &mut snapshot.unread)? {
                DirectRead::There(read) => read,
                DirectRead::Absent => continue,
                DirectRead::Unread => {
                    snapshot.touched.defer(id.0);
                    continue;
                }
            };
            snapshot.applications.push(read);
            let read = client
                .portal(portal)
                .registrations()
                .of_application(id)
                .await;
            let part = Part::RegistrationsOfApplication;
            match one(read, part, id.0, &mut snapshot.unread)? {
                DirectRead::There(registrations) => snapshot.registrations.extend(registrations),
                DirectRead::Absent => {}
                DirectRead::Unread => snapshot.touched.defer(id.0),
            }
        }
        Ok(())
    }

    /// Reads the people, of any status, with an address that a trusted sender reported. The address
    /// of a forgotten person is no longer stored.
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
                email: Some((&email).into()),
                ..ListDevelopers::default()
            };
            let read = client
                .portal(portal)
                .developers()
                .list_lenient(&options)
                .await;
            let read = match one(read, Part::Address, subject, &mut snapshot.unread)? {
                DirectRead::There(read) => readable(read, Part::Developer, &mut snapshot.unread),
                DirectRead::Absent => continue,
                DirectRead::Unread => {
                    snapshot.touched.defer(subject);
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

    /// Members that the directory does not have of a team with a refresh request. Where they are
    /// many, the next refreshes read the rest.
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
            let read = client.portal(portal).teams().members_lenient(team).await;
            let members = match one(read, Part::Members, team.0, &mut snapshot.unread)? {
                DirectRead::There(members) => members_of(team, members, &mut snapshot.unread),
                DirectRead::Absent => continue,
                DirectRead::Unread => {
                    snapshot.touched.defer(team.0);
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

    /// Reads the teams of one developer. Only a second read shows that a membership ended.
    async fn read_teams(
        &self,
        snapshot: &mut Snapshot,
        developer: DeveloperId,
    ) -> Result<(), ObserveError> {
        let Parts {
            client, directory, ..
        } = &*self.parts;
        let portal = snapshot.portal_id;
        let read = client.portal(portal).teams().of_developer(developer).await;
        let part = Part::TeamsOfDeveloper;
        let teams = match one(read, part, developer.0, &mut snapshot.unread)? {
            DirectRead::There(teams) => teams,
            DirectRead::Absent => return Ok(()),
            DirectRead::Unread => {
                snapshot.touched.defer(developer.0);
                return Ok(());
            }
        };
        let read: BTreeSet<TeamId> = teams.iter().map(|team| team.id).collect();
        let known = directory.teams_of(portal, developer).await?;
        let ended = known.iter().filter(|team| !read.contains(&team.id));
        let ended = Unlisted {
            memberships: ended.map(|team| (team.id, developer)).collect(),
            ..Unlisted::default()
        };
        snapshot
            .memberships
            .extend(read.iter().map(|team| (*team, developer)));
        snapshot.teams.extend(teams);
        self.judge(snapshot, ended).await
    }
}

/// Leaves at most [`MAX_PENDING_READS`] of what is to be read; `true` when there was more.
fn shortened<T>(list: &mut Vec<T>) -> bool {
    let is_longer = list.len() > MAX_PENDING_READS;
    list.truncate(MAX_PENDING_READS);
    is_longer
}

/// The applications of the newest requests that are `unseen`. Older requests are left out of the
/// snapshot until their applications are read, without which the owners are unknown.
fn newest_requests(
    snapshot: &mut Snapshot,
    unseen: &BTreeSet<ApplicationId>,
) -> BTreeSet<ApplicationId> {
    let registrations = &mut snapshot.registrations;
    registrations.sort_by_key(|read| Reverse(read.created_at));
    // Of a partial list the oldest are read, or the page that ends it would be stored before the
    // rest of them are.
    if !snapshot.is_whole {
        registrations.reverse();
    }
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
