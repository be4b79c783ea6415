//! A look at the pending ones: the newest pages of their lists until one shows nobody new, and now and then all of
//! them, by which it is seen who is no longer pending. However many wait, newcomers are found in a few calls.

use konnect::{
    Client, DeveloperId, DeveloperStatus, ListDevelopers, ListRegistrations, PortalId,
    RegistrationId, RegistrationStatus,
};

use crate::directory::{Directory, Part, Scope, Snapshot};
use crate::observe::ObserveError;
use crate::observe::snapshot::{read, readable};

/// How much of the lists is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of them.
    Whole,
    /// The newest, until a page shows nobody new.
    Newest,
}

/// Reads the pending ones of a portal.
pub(super) async fn pending(
    client: &Client,
    directory: &Directory,
    portal: PortalId,
    extent: Extent,
) -> Result<Snapshot, ObserveError> {
    if extent == Extent::Newest
        && let Some(snapshot) = newest(client, directory, portal).await?
    {
        return Ok(snapshot);
    }
    Ok(read(client, portal, Scope::Pending).await?)
}

/// Reads the newest; none where a list does not say how long it is.
async fn newest(
    client: &Client,
    directory: &Directory,
    portal: PortalId,
) -> Result<Option<Snapshot>, ObserveError> {
    let mut snapshot = Snapshot::empty(portal, Scope::Pending);
    let options = ListRegistrations {
        status: Some(RegistrationStatus::Pending),
        ..ListRegistrations::default()
    };
    let registrations = client.registrations(portal);
    let Some(mut pages) = registrations.newest_first(&options).await? else {
        return Ok(None);
    };
    while let Some(page) = pages.next().await? {
        let read = readable(page, Part::Registration, &mut snapshot.unread);
        let ids: Vec<RegistrationId> = read.iter().map(|read| read.id).collect();
        snapshot.registrations.extend(read);
        if directory.know_pending(portal, &[], &ids).await? {
            break;
        }
    }
    snapshot.is_whole = pages.is_whole();
    let options = ListDevelopers {
        status: Some(DeveloperStatus::Pending),
        ..ListDevelopers::default()
    };
    let developers = client.developers(portal);
    let Some(mut pages) = developers.newest_first(&options).await? else {
        return Ok(None);
    };
    while let Some(page) = pages.next().await? {
        let read = readable(page, Part::Developer, &mut snapshot.unread);
        let ids: Vec<DeveloperId> = read.iter().map(|read| read.id).collect();
        snapshot.developers.extend(read);
        if directory.know_pending(portal, &ids, &[]).await? {
            break;
        }
    }
    snapshot.is_whole &= pages.is_whole();
    Ok(Some(snapshot))
}
