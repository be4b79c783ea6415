//! A full sweep of a portal of any size. A page is compared and stored while the next ones are
//! still to be read. Only differences stay in memory until everything is read.

use konnect::Client;

use crate::directory::{Directory, Scope, Snapshot, Sweep, Unread};
use crate::observe::ObserveError;
use crate::observe::snapshot::{PageSink, read_all};

/// Objects that are compared at once, unless one page has more.
const AT_ONCE: usize = 1_000;

/// Reads everything; returns what is left to be stored, and the ids of the rest.
pub(super) async fn full_sweep(
    client: &Client,
    directory: &Directory,
    sweep: Sweep,
) -> Result<Snapshot, ObserveError> {
    let portal = sweep.portal_id;
    let mut sweep = FullSweep {
        directory,
        sweep,
        pages: Snapshot::empty(portal, Scope::All),
        rest: Snapshot::empty(portal, Scope::All),
    };
    read_all(client, portal, &mut sweep).await?;
    sweep.store().await?;
    Ok(sweep.rest)
}

struct FullSweep<'a> {
    directory: &'a Directory,
    sweep: Sweep,
    /// Pages that are not compared yet.
    pages: Snapshot,
    rest: Snapshot,
}

impl FullSweep<'_> {
    async fn store(&mut self) -> Result<(), ObserveError> {
        let empty = Snapshot::empty(self.pages.portal_id, Scope::All);
        let pages = std::mem::replace(&mut self.pages, empty);
        let mut listed = pages.shown();
        let news = self.directory.store_page(self.sweep, pages).await?;
        // Differences are in the rest, whole.
        drop(listed.take(&news.shown()));
        self.rest.listed.add(listed);
        self.rest.add(news);
        Ok(())
    }
}

impl PageSink for FullSweep<'_> {
    type Error = ObserveError;

    async fn keep(&mut self, page: Snapshot) -> Result<(), ObserveError> {
        if self.pages.len() + page.len() > AT_ONCE {
            self.store().await?;
        }
        self.pages.add(page);
        Ok(())
    }

    fn unread(&mut self) -> &mut Vec<Unread> {
        &mut self.rest.unread
    }
}
