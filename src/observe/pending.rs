//! A pending sweep: the newest pages of the pending lists until one shows nothing new. Now and then
//! it reads all pages, which shows what is no longer pending. However many wait, new ones are found
//! in a few calls.

use konnect::{
    Client, Developer, DeveloperId, DeveloperStatus, Identified, ListDevelopers, ListRegistrations,
    NewestFirst, PortalId, Registration, RegistrationId, RegistrationStatus,
};

use crate::directory::{Directory, Part, Scope, Snapshot};
use crate::observe::ObserveError;
use crate::observe::snapshot::{read, readable};

/// Empty pages in a list that has become shorter since it said its length.
const MAX_EMPTY: usize = 3;

/// How much of the lists is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of them.
    Whole,
    /// The newest, until a page shows nobody new.
    Newest,
}

/// Reads what is pending at a portal.
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

/// Reads the newest; none where a list does not say its length, or says a wrong one.
async fn newest(
    client: &Client,
    directory: &Directory,
    portal: PortalId,
) -> Result<Option<Snapshot>, ObserveError> {
    let mut snapshot = Snapshot::empty(portal, Scope::Pending);
    let requests = ListRegistrations {
        status: Some(RegistrationStatus::Pending.into()),
        ..ListRegistrations::default()
    };
    let people = ListDevelopers {
        status: Some(DeveloperStatus::Pending.into()),
        ..ListDevelopers::default()
    };
    let pages = client
        .portal(portal)
        .registrations()
        .newest_first(&requests)
        .await?;
    let Some((registrations, all)) = newest_of(pages, directory, &mut snapshot).await? else {
        return Ok(None);
    };
    let pages = client
        .portal(portal)
        .developers()
        .newest_first(&people)
        .await?;
    let Some((developers, too)) = newest_of(pages, directory, &mut snapshot).await? else {
        return Ok(None);
    };
    snapshot.registrations = registrations;
    snapshot.developers = developers;
    snapshot.is_whole = all && too;
    Ok(Some(snapshot))
}

/// The newest of a list, and whether that is all of it; none as above. What cannot be read goes to
/// the snapshot.
async fn newest_of<T: PendingObject>(
    pages: Option<NewestFirst<'_, T>>,
    directory: &Directory,
    snapshot: &mut Snapshot,
) -> Result<Option<(Vec<T>, bool)>, ObserveError> {
    let Some(mut pages) = pages else {
        return Ok(None);
    };
    let mut all = Vec::new();
    let mut progress = Progress::default();
    while let Some(page) = pages.next().await? {
        let read = readable(page, T::PART, &mut snapshot.unread);
        let (developers, registrations) = T::ids(&read);
        let is_known = directory.know_pending(snapshot.portal_id, &developers, &registrations);
        let next = progress.goes_on(read.len(), is_known.await?);
        all.extend(read);
        match next {
            Next::Page => {}
            Next::Enough => break,
            Next::Wrong => return Ok(None),
        }
    }
    Ok(Some((all, pages.is_whole())))
}

/// A developer or registration that waits for an answer.
trait PendingObject: Identified + Send + Sized {
    const PART: Part;

    /// Their ids, as those of developers or of registrations.
    fn ids(read: &[Self]) -> (Vec<DeveloperId>, Vec<RegistrationId>);
}

impl PendingObject for Developer {
    const PART: Part = Part::Developer;

    fn ids(read: &[Self]) -> (Vec<DeveloperId>, Vec<RegistrationId>) {
        (read.iter().map(|one| one.id).collect(), Vec::new())
    }
}

impl PendingObject for Registration {
    const PART: Part = Part::Registration;

    fn ids(read: &[Self]) -> (Vec<DeveloperId>, Vec<RegistrationId>) {
        (Vec::new(), read.iter().map(|one| one.id).collect())
    }
}

/// How far a list was read.
#[derive(Debug, Default)]
struct Progress {
    pages: usize,
    empty: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    Page,
    Enough,
    Wrong,
}

impl Progress {
    /// What follows a page of so many entries. That the first page is stored already proves
    /// nothing; nor does an empty page, which the list may have lost meanwhile.
    fn goes_on(&mut self, entries: usize, is_known: bool) -> Next {
        self.pages += 1;
        if entries == 0 && self.pages > 1 {
            self.empty += 1;
            return if self.empty > MAX_EMPTY {
                Next::Wrong
            } else {
                Next::Page
            };
        }
        if is_known && self.pages > 1 {
            Next::Enough
        } else {
            Next::Page
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Next, Progress};

    #[test]
    fn goes_on_until_a_page_of_the_end_is_known() {
        let mut read = Progress::default();
        for (entries, is_known, next) in [
            (100, true, Next::Page),
            (0, true, Next::Page),
            (7, false, Next::Page),
            (100, true, Next::Enough),
        ] {
            assert_eq!(read.goes_on(entries, is_known), next);
        }
        let mut lied_to = Progress::default();
        let next: Vec<Next> = (0..6).map(|_| lied_to.goes_on(0, true)).collect();
        assert_eq!(next.last(), Some(&Next::Wrong));
    }
}
