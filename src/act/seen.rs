//! What the API said while deeds were done, on its way to the directory: whoever has just been let
//! in need not wait for the next look to be known as such.

use std::collections::BTreeSet;

use konnect::{
    Application, Developer, DeveloperId, PortalId, Registration, RegistrationId, Team, TeamId,
};
use tokio::sync::mpsc;
use tracing::warn;

use crate::directory::{Directory, Look, Scope, Snapshot};
use crate::journal::JournalError;

/// What attempts saw that is stored in one transaction.
const AT_ONCE: usize = 128;

/// What one attempt saw.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// In the order of the answers, so that the last one of a developer is the newest.
    pub(super) developers: Vec<Developer>,
    /// As above.
    pub(super) registrations: Vec<Registration>,
    /// As above.
    pub(super) applications: Vec<Application>,
    /// All teams of somebody.
    pub(super) teams_of: Option<(DeveloperId, Vec<Team>)>,
    /// Teams that were found by their name.
    pub(super) teams: Vec<Team>,
    /// Memberships that are certain.
    pub(super) memberships: Vec<(TeamId, DeveloperId)>,
}

impl Seen {
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

    /// Has the teams of somebody stored as far as they are members; what they lack is for a look to tell.
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

/// Hands what attempts saw to whoever stores it.
#[derive(Debug)]
pub(super) struct Witness {
    queue: mpsc::Sender<(Look, Seen)>,
}

/// What attempts saw and is not stored yet.
#[derive(Debug)]
pub(super) struct Testimony {
    queue: mpsc::Receiver<(Look, Seen)>,
}

/// Both ends.
pub(super) fn testimony() -> (Witness, Testimony) {
    let (sender, receiver) = mpsc::channel(AT_ONCE);
    (Witness { queue: sender }, Testimony { queue: receiver })
}

impl Witness {
    /// Has what was seen stored. `look` was begun before the first read.
    pub(super) async fn tell(&self, look: Look, seen: Seen) {
        // Whoever would store it is there as long as anybody works; else the next look tells.
        let _is_kept = self.queue.send((look, seen)).await;
    }
}

impl Testimony {
    /// Stores what is told until nobody is left who could tell.
    pub(super) async fn keep(mut self, directory: &Directory) {
        let mut told = Vec::with_capacity(AT_ONCE);
        while self.queue.recv_many(&mut told, AT_ONCE).await > 0 {
            told.sort_by_key(|(look, _)| (look.portal_id, *look));
            let mut told = told.drain(..).peekable();
            while let Some((look, seen)) = told.next() {
                let mut snapshot = Snapshot::empty(look.portal_id, Scope::Direct);
                add(&mut snapshot, seen);
                while let Some((_, more)) = told.next_if(|(other, _)| *other == look) {
                    add(&mut snapshot, more);
                }
                keep(directory, look, snapshot).await;
            }
        }
    }
}

fn add(snapshot: &mut Snapshot, seen: Seen) {
    snapshot.developers.extend(seen.developers);
    snapshot.registrations.extend(seen.registrations);
    snapshot.applications.extend(seen.applications);
    snapshot.teams.extend(seen.teams);
    snapshot.memberships.extend(seen.memberships);
}

/// Stores it, or sees to it that the next look reads it again.
async fn keep(directory: &Directory, look: Look, snapshot: Snapshot) {
    let portal = look.portal_id;
    let kept = async {
        directory.store(look, &snapshot).await?;
        touch_strange_teams(directory, &snapshot).await
    };
    let Err(error) = kept.await else {
        return;
    };
    warn!(
        portal.id = %portal,
        error = error.chain(),
        "could not keep what deeds saw, a look follows"
    );
    if let Err(error) = directory.hint(portal).await {
        warn!(error = error.chain(), "could not ask for a look");
    }
}

/// Has those read again who joined a team that the directory does not know, which a rule may name
/// by its id.
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
            directory.touch(portal, *developer).await?;
        }
    }
    Ok(())
}
