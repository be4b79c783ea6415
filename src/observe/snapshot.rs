//! Reads the API: what one look at a portal shows. Stores nothing and knows nothing of what was
//! seen before, so that a dry run needs a token and nothing else.

use konnect::{
    Client, DeveloperId, DeveloperStatus, Error, ListApplications, ListDevelopers,
    ListRegistrations, ListTeams, Listing, PortalId, RegistrationStatus, TeamId,
};
use uuid::Uuid;

use crate::directory::{Part, Scope, Snapshot, Unread};

/// So many objects that the API fails at are theirs alone; more is trouble of the API.
const MAX_UNANSWERED: usize = 20;

/// Reads everything that `scope` covers; nothing for [`Scope::Direct`]. What cannot be read is set
/// aside for its object alone.
///
/// What refers is read before what it refers to, so that a registration made during the look has
/// its application, and an application its owner.
///
/// # Errors
/// A list that is missing (404) means the portal is.
pub async fn read(client: &Client, portal: PortalId, scope: Scope) -> Result<Snapshot, Error> {
    let mut snapshot = Snapshot::empty(portal, scope);
    match scope {
        Scope::Direct => {}
        Scope::Pending => {
            let registrations = ListRegistrations {
                status: Some(RegistrationStatus::Pending),
                ..ListRegistrations::default()
            };
            let developers = ListDevelopers {
                status: Some(DeveloperStatus::Pending),
                ..ListDevelopers::default()
            };
            let of = client.registrations(portal);
            let listing = of.list_lenient(&registrations).await?;
            snapshot.registrations = readable(listing, Part::Registration, &mut snapshot.unread);
            let listing = client.developers(portal).list_lenient(&developers).await?;
            snapshot.developers = readable(listing, Part::Developer, &mut snapshot.unread);
        }
        Scope::All => {
            let options = ListRegistrations::default();
            let listing = client.registrations(portal).list_lenient(&options).await?;
            snapshot.registrations = readable(listing, Part::Registration, &mut snapshot.unread);
            let options = ListApplications::default();
            let listing = client.applications(portal).list_lenient(&options).await?;
            snapshot.applications = readable(listing, Part::Application, &mut snapshot.unread);
            let options = ListTeams::default();
            let listing = client.teams(portal).list_lenient(&options).await?;
            snapshot.teams = readable(listing, Part::Team, &mut snapshot.unread);
            memberships(client, &mut snapshot).await?;
            let options = ListDevelopers::default();
            let listing = client.developers(portal).list_lenient(&options).await?;
            snapshot.developers = readable(listing, Part::Developer, &mut snapshot.unread);
            snapshot.portal = Some(client.portals().get(portal).await?);
        }
    }
    Ok(snapshot)
}

async fn memberships(client: &Client, snapshot: &mut Snapshot) -> Result<(), Error> {
    let portal = snapshot.portal_id;
    let teams: Vec<TeamId> = snapshot.teams.iter().map(|team| team.id).collect();
    for team in teams {
        let members = client.teams(portal).members_lenient(team).await;
        // A team that was deleted since it was listed has no members.
        let Read::There(members) = one(members, Part::Members, team.0, &mut snapshot.unread)?
        else {
            continue;
        };
        let members = members_of(team, members, &mut snapshot.unread);
        let memberships = members.into_iter().map(|developer| (team, developer));
        snapshot.memberships.extend(memberships);
    }
    Ok(())
}

/// The members of a team that can be read.
pub(super) fn members_of(
    team: TeamId,
    members: Listing<konnect::TeamMember>,
    unread: &mut Vec<Unread>,
) -> Vec<DeveloperId> {
    unread.extend(members.unreadable.first().map(|entry| Unread {
        part: Part::Members,
        id: Some(team.0),
        reason: entry.to_string(),
    }));
    members.items.into_iter().map(|member| member.id).collect()
}

/// The entries of a list that can be read.
pub(super) fn readable<T>(listing: Listing<T>, part: Part, unread: &mut Vec<Unread>) -> Vec<T> {
    unread.extend(listing.unreadable.iter().map(|entry| Unread {
        part,
        id: entry.id,
        reason: entry.to_string(),
    }));
    listing.items
}

/// What a direct read says.
#[derive(Debug)]
pub(super) enum Read<T> {
    /// What it is like.
    There(T),
    /// It is not there (404).
    Absent,
    /// It cannot be read, for a reason of its own.
    Unread,
}

/// What the direct read of one object says, which is set aside where it cannot be read for a reason
/// of its own.
pub(super) fn one<T>(
    read: Result<T, Error>,
    part: Part,
    id: Uuid,
    unread: &mut Vec<Unread>,
) -> Result<Read<T>, Error> {
    let error = match read {
        Ok(object) => return Ok(Read::There(object)),
        Err(error) if error.is_not_found() => return Ok(Read::Absent),
        Err(error) => error,
    };
    let is_its_own = match error.status() {
        Some(401 | 408 | 429) => false,
        Some(_) => true,
        None => matches!(
            error,
            Error::Decode { .. }
                | Error::TooLarge { .. }
                | Error::Paging { .. }
                | Error::Timeout { .. }
        ),
    };
    if !is_its_own || unread.len() >= MAX_UNANSWERED && error.is_transient() {
        return Err(error);
    }
    unread.push(Unread {
        part,
        id: Some(id),
        reason: error.to_string(),
    });
    Ok(Read::Unread)
}

/// What a direct read of the portal says: none for 404.
pub(super) fn present<T>(read: Result<T, Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
