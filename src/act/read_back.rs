//! What the API answered while deeds were done, on its way to the directory. A person who was just
//! approved is stored as such before the next sweep.

use std::collections::BTreeSet;

use konnect::{
    Application, Developer, DeveloperId, PortalId, Registration, RegistrationId, Team, TeamId,
};
use tokio::sync::mpsc;
use tracing::warn;

use crate::directory::{Directory, Scope, Snapshot, Sweep};
use crate::journal::JournalError;

/// Read-backs that are stored in one transaction, and that wait for it.
pub(super) const AT_ONCE: usize = 128;

/// What one attempt read.
#[derive(Debug, Clone, Default)]
pub(super) struct ReadBack {
    /// In the order of the answers, so that the last one of a developer is the newest.
    pub(super) developers: Vec<Developer>,
    /// In the same order.
    pub(super) registrations: Vec<Registration>,
    /// In the same order.
    pub(super) applications: Vec<Application>,
    /// All teams of one developer.
    pub(super) teams_of: Option<(DeveloperId, Vec<Team>)>,
    /// Teams that were found by name.
    pub(super) teams: Vec<Team>,
    /// Memberships that are certain.
    pub(super) memberships: Vec<(TeamId, DeveloperId)>,
}

impl ReadBack {
    /// The developer as last read.
    pub(super) fn developer(&self, id: DeveloperId) -> Option<&Developer> {
        self.developers.iter().rev().find(|read| read.id == id)
    }

    /// The registration as last read.
    pub(super) fn registration(&self, id: RegistrationId) -> Option<&Registration> {
        self.registrations.iter().rev().find(|read| read.id == id)
    }

    /// The teams of somebody, where they were read.
    pub(super) fn teams_of(&self, id: DeveloperId) -> Option<&[Team]> {
        let (whose, teams) = self.teams_of.as_ref()?;
        (*whose == id).then_some(teams)
    }

    /// Adds the teams of the developer as memberships to be stored; only a sweep shows which ones
    /// ended.
    pub(super) fn keep_teams(&mut self) {
        if let Some((developer, teams)) = &self.teams_of {
            let memberships = teams.iter().map(|team| (team.id, *developer));
            self.memberships.extend(memberships);
            self.teams.extend(teams.iter().cloned());
        }
    }

    /// Whether there is nothing to store.
    pub(super) fn is_empty(&self) -> bool {
        self.developers.is_empty()
            && self.registrations.is_empty()
            && self.applications.is_empty()
            && self.memberships.is_empty()
    }
}

/// Stores read-backs, each with a sweep that was begun before its first read, until no sender is
/// left.
pub(super) async fn keep_read_backs(
    mut queue: mpsc::Receiver<(Sweep, ReadBack)>,
    directory: &Directory,
) {
    let mut told = Vec::with_capacity(AT_ONCE);
    while queue.recv_many(&mut told, AT_ONCE).await > 0 {
        told.sort_by_key(|(sweep, _)| (sweep.portal_id, *sweep));
        let mut told = told.drain(..).peekable();
        while let Some((sweep, read_back)) = told.next() {
            let mut snapshot = Snapshot::empty(sweep.portal_id, Scope::Direct);
            add(&mut snapshot, read_back);
            while let Some((_, more)) = told.next_if(|(other, _)| *other == sweep) {
                add(&mut snapshot, more);
            }
            keep(directory, sweep, snapshot).await;
        }
    }
}

fn add(snapshot: &mut Snapshot, read_back: ReadBack) {
    snapshot.developers.extend(read_back.developers);
    snapshot.registrations.extend(read_back.registrations);
    snapshot.applications.extend(read_back.applications);
    snapshot.teams.extend(read_back.teams);
    snapshot.memberships.extend(read_back.memberships);
}

/// Stores it, or requests a refresh.
async fn keep(directory: &Directory, sweep: Sweep, snapshot: Snapshot) {
    let portal = sweep.portal_id;
    let kept = async {
        directory.store(sweep, &snapshot).await?;
        touch_strange_teams(directory, &snapshot).await
    };
    let Err(error) = kept.await else {
        return;
    };
    warn!(
        portal.id = %portal,
        error = error.chain(),
        "could not store what deeds read, a refresh follows"
    );
    if let Err(error) = directory.hint(portal).await {
        warn!(error = error.chain(), "could not request a refresh");
    }
}

/// Requests a refresh of the people who joined a team that the directory does not have, which a
/// rule may name by its id.
async fn touch_strange_teams(
    directory: &Directory,
    snapshot: &Snapshot,
) -> Result<(), JournalError> {
    let portal: PortalId = snapshot.portal_id;
    let read: BTreeSet<TeamId> = snapshot.teams.iter().map(|team| team.id).collect();
    let named: BTreeSet<TeamId> = snapshot.memberships.iter().map(|(team, _)| *team).collect();
    for team in named.difference(&read) {
        if directory.team(portal, *team).await?.is_some() {
            continue;
        }
        for (_, developer) in snapshot.memberships.iter().filter(|(id, _)| id == team) {
            directory.request_refresh(portal, *developer).await?;
        }
    }
    Ok(())
}
