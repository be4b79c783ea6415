//! Reads the API: what one sweep of a portal shows. Stores nothing and does not use the stored
//! state, so that a dry run needs only a token.

use std::collections::BTreeSet;

use konnect::{
    Client, DeveloperId, DeveloperStatus, Error, ListApplications, ListDevelopers,
    ListRegistrations, ListTeamMembers, ListTeams, Listing, PortalId, RegistrationStatus, TeamId,
};
use uuid::Uuid;

use crate::directory::{Part, Scope, Snapshot, Unread};

/// The API may fail at so many objects for reasons of their own; with more, the API itself has
/// trouble.
const MAX_UNANSWERED: usize = 20;

/// Reads everything that `scope` covers; nothing for [`Scope::Direct`]. An object that cannot be
/// read is unread and does not fail the others.
///
/// # Errors
/// A list that is missing (404) means the portal is.
pub async fn read(client: &Client, portal: PortalId, scope: Scope) -> Result<Snapshot, Error> {
    let mut snapshot = Snapshot::empty(portal, scope);
    match scope {
        Scope::Direct => {}
        Scope::Pending => {
            let registrations = ListRegistrations {
                status: Some(RegistrationStatus::Pending.into()),
                ..ListRegistrations::default()
            };
            let developers = ListDevelopers {
                status: Some(DeveloperStatus::Pending.into()),
                ..ListDevelopers::default()
            };
            let of = client.portal(portal).registrations();
            let listing = of.list_lenient(&registrations).await?;
            snapshot.registrations = readable(listing, Part::Registration, &mut snapshot.unread);
            let listing = client
                .portal(portal)
                .developers()
                .list_lenient(&developers)
                .await?;
            snapshot.developers = readable(listing, Part::Developer, &mut snapshot.unread);
        }
        Scope::All => read_all(client, portal, &mut snapshot).await?,
    }
    Ok(snapshot)
}

/// Takes the pages of a full sweep.
pub(super) trait PageSink: Send {
    /// Errors other than those of reading.
    type Error: From<Error>;

    /// Keeps what a page shows.
    fn keep(&mut self, page: Snapshot) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// What could not be read so far.
    fn unread(&mut self) -> &mut Vec<Unread>;
}

impl PageSink for Snapshot {
    type Error = Error;

    async fn keep(&mut self, page: Snapshot) -> Result<(), Error> {
        self.add(page);
        Ok(())
    }

    fn unread(&mut self) -> &mut Vec<Unread> {
        &mut self.unread
    }
}

/// Reads everything of a portal, page by page.
///
/// An object is read before the object that it refers to: a registration made during the sweep has
/// its application, and an application its owner.
pub(super) async fn read_all<K: PageSink>(
    client: &Client,
    portal: PortalId,
    keeper: &mut K,
) -> Result<(), K::Error> {
    let empty = || Snapshot::empty(portal, Scope::All);
    let options = ListRegistrations::default();
    let mut pages = client.portal(portal).registrations().pages(&options);
    while let Some(page) = pages.next().await? {
        let mut read = empty();
        read.registrations = readable(page, Part::Registration, keeper.unread());
        keeper.keep(read).await?;
    }
    let options = ListApplications::default();
    let mut pages = client.portal(portal).applications().pages(&options);
    while let Some(page) = pages.next().await? {
        let mut read = empty();
        read.applications = readable(page, Part::Application, keeper.unread());
        keeper.keep(read).await?;
    }
    let options = ListTeams::default();
    let mut pages = client.portal(portal).teams().pages(&options);
    let mut teams = BTreeSet::new();
    while let Some(page) = pages.next().await? {
        let mut read = empty();
        read.teams = readable(page, Part::Team, keeper.unread());
        teams.extend(read.teams.iter().map(|team| team.id));
        keeper.keep(read).await?;
    }
    for team in teams {
        memberships(client, portal, team, keeper).await?;
    }
    let options = ListDevelopers::default();
    let mut pages = client.portal(portal).developers().pages(&options);
    while let Some(page) = pages.next().await? {
        let mut read = empty();
        read.developers = readable(page, Part::Developer, keeper.unread());
        keeper.keep(read).await?;
    }
    let mut read = empty();
    read.portal = Some(client.portal(portal).get().await?);
    keeper.keep(read).await
}

async fn memberships<K: PageSink>(
    client: &Client,
    portal: PortalId,
    team: TeamId,
    keeper: &mut K,
) -> Result<(), K::Error> {
    let options = ListTeamMembers::default();
    let mut pages = client.portal(portal).teams().member_pages(team, &options);
    // A team that was deleted since it was listed has no members.
    while let DirectRead::There(Some(members)) =
        one(pages.next().await, Part::Members, team.0, keeper.unread())?
    {
        let members = members_of(team, members, keeper.unread());
        let mut read = Snapshot::empty(portal, Scope::All);
        read.memberships = members.into_iter().map(|member| (team, member)).collect();
        keeper.keep(read).await?;
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

/// The result of a direct read.
#[derive(Debug)]
pub(super) enum DirectRead<T> {
    /// The object.
    There(T),
    /// It is not there (404).
    Absent,
    /// It cannot be read, for a reason of its own.
    Unread,
}

/// The result of a direct read of one object, which is unread where it cannot be read for a reason
/// of its own.
pub(super) fn one<T>(
    read: Result<T, Error>,
    part: Part,
    id: Uuid,
    unread: &mut Vec<Unread>,
) -> Result<DirectRead<T>, Error> {
    let error = match read {
        Ok(object) => return Ok(DirectRead::There(object)),
        Err(error) if error.is_not_found() => return Ok(DirectRead::Absent),
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
    Ok(DirectRead::Unread)
}

/// The result of a direct read of the portal: none for 404.
pub(super) fn present<T>(read: Result<T, Error>) -> Result<Option<T>, Error> {
    match read {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
