//! Reads the API: what one look at a portal shows. Stores nothing and knows nothing of what was
//! seen before, so that a dry run needs a token and nothing else.

use konnect::{
    Client, DeveloperId, DeveloperStatus, Error, ListApplications, ListDevelopers,
    ListRegistrations, ListTeams, PortalId, RegistrationStatus, TeamId,
};

use crate::directory::{Scope, Snapshot};

/// Reads everything that `scope` covers; nothing for [`Scope::Direct`].
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
            snapshot.registrations = client.registrations(portal).list(&registrations).await?;
            snapshot.developers = client.developers(portal).list(&developers).await?;
        }
        Scope::All => {
            let registrations = ListRegistrations::default();
            snapshot.registrations = client.registrations(portal).list(&registrations).await?;
            let applications = ListApplications::default();
            snapshot.applications = client.applications(portal).list(&applications).await?;
            snapshot.teams = client.teams(portal).list(&ListTeams::default()).await?;
            let teams: Vec<TeamId> = snapshot.teams.iter().map(|team| team.id).collect();
            snapshot.memberships = memberships(client, portal, &teams).await?;
            let developers = ListDevelopers::default();
            snapshot.developers = client.developers(portal).list(&developers).await?;
            snapshot.portal = Some(client.portals().get(portal).await?);
        }
    }
    Ok(snapshot)
}

async fn memberships(
    client: &Client,
    portal: PortalId,
    teams: &[TeamId],
) -> Result<Vec<(TeamId, DeveloperId)>, Error> {
    let mut memberships = Vec::new();
    for team in teams {
        // A team that was deleted since it was listed has no members.
        let members = present(client.teams(portal).members(*team).await)?.unwrap_or_default();
        memberships.extend(members.into_iter().map(|member| (*team, member.id)));
    }
    Ok(memberships)
}

/// What a direct read says: none for 404.
pub(super) fn present<T>(read: Result<T, Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
