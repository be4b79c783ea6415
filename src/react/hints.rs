//! Passes hints on to `observe`, which decides when it reads. An entry may name anything: only
//! portals that usher observes cost a query.

use std::collections::{BTreeMap, BTreeSet};

use konnect::{DeveloperId, PortalId};

use crate::directory::RefreshRequests;
use crate::journal::JournalError;
use crate::react::Reactor;
use crate::react::interpretation::Hint;
use crate::react::paths::ChangedObject;

impl Reactor {
    /// Requests sweeps and refreshes for `hints`.
    pub(super) async fn give(&self, hints: &BTreeSet<Hint>) -> Result<(), JournalError> {
        if hints.is_empty() {
            return Ok(());
        }
        let portals = self.directory.portals().await?;
        let known: BTreeSet<PortalId> = portals.into_iter().map(|portal| portal.id).collect();
        let mut wanted: BTreeSet<PortalId> = BTreeSet::new();
        let mut changed: BTreeMap<PortalId, RefreshRequests> = BTreeMap::new();
        for hint in hints {
            match *hint {
                Hint::Portal(id) => {
                    wanted.insert(PortalId(id));
                }
                Hint::EveryPortal => wanted.extend(&known),
                Hint::Changed { portal_id, object } => {
                    let touched = changed.entry(PortalId(portal_id)).or_default();
                    match object {
                        ChangedObject::Developer(id) => touched.developers.push(id),
                        ChangedObject::Members(id) => touched.teams.push(id),
                        ChangedObject::Application(id) => touched.applications.push(id),
                    }
                }
                Hint::Newcomer {
                    portal_id,
                    developer_id,
                } => {
                    let portal = PortalId(portal_id);
                    let developer = DeveloperId(developer_id);
                    if known.contains(&portal)
                        && self
                            .directory
                            .find_developer(portal, developer)
                            .await?
                            .is_none()
                    {
                        self.directory
                            .request_refresh_of_unknown(portal, developer)
                            .await?;
                    }
                }
            }
        }
        for (portal, touched) in changed {
            if known.contains(&portal) {
                self.directory
                    .request_refresh_of_known(portal, &touched)
                    .await?;
            }
        }
        for portal in wanted.intersection(&known) {
            self.directory.hint(*portal).await?;
        }
        Ok(())
    }
}
