//! How looking goes, for `/readyz`: kept in memory, readable at any time without waiting.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use konnect::PortalId;

/// How looking at one portal goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortalHealth {
    /// When a look was last stored.
    pub succeeded_at: Option<DateTime<Utc>>,
    /// Why the last look failed, without secrets; none after a good one.
    pub error: Option<String>,
    /// When it failed.
    pub failed_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Default)]
struct State {
    portals: BTreeMap<PortalId, PortalHealth>,
    /// Why the portals could not be listed.
    discovery: Option<String>,
}

/// How looking at all portals goes. Cheap to clone; clones share the state.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<State>>);

impl Health {
    /// What is wrong, in one line: the first portal that could not be looked at, or why there is
    /// none to look at. None when the last look at every portal was good.
    pub fn problem(&self) -> Option<String> {
        let state = self.lock();
        let failing = |(id, health): (&PortalId, &PortalHealth)| {
            health
                .error
                .as_ref()
                .map(|error| format!("portal {id}: {error}"))
        };
        state
            .discovery
            .clone()
            .or_else(|| state.portals.iter().find_map(failing))
    }

    /// How looking at one portal goes.
    pub fn portal(&self, portal: PortalId) -> PortalHealth {
        self.lock()
            .portals
            .get(&portal)
            .cloned()
            .unwrap_or_default()
    }

    pub(super) fn succeeded(&self, portal: PortalId, at: DateTime<Utc>) {
        let health = PortalHealth {
            succeeded_at: Some(at),
            ..PortalHealth::default()
        };
        self.lock().portals.insert(portal, health);
    }

    pub(super) fn failed(&self, portal: PortalId, error: String, at: DateTime<Utc>) {
        let mut state = self.lock();
        let health = state.portals.entry(portal).or_default();
        health.error = Some(error);
        health.failed_at = Some(at);
    }

    /// Another instance looks at the portal now, and reports by itself, or nobody has to any more.
    pub(super) fn passed_on(&self, portal: PortalId) {
        self.lock().portals.remove(&portal);
    }

    pub(super) fn discovered(&self, outcome: Result<(), String>) {
        self.lock().discovery = outcome.err();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use konnect::PortalId;
    use uuid::Uuid;

    use super::Health;

    #[test]
    fn names_what_fails_until_it_succeeds() {
        let (health, portal) = (Health::default(), PortalId(Uuid::from_u128(7)));
        assert_eq!(health.problem(), None);
        health.failed(portal, "no answer".to_owned(), DateTime::UNIX_EPOCH);
        assert_eq!(
            health.problem(),
            Some(format!("portal {portal}: no answer"))
        );
        health.succeeded(portal, DateTime::UNIX_EPOCH);
        assert_eq!(health.problem(), None);
        assert_eq!(
            health.portal(portal).succeeded_at,
            Some(DateTime::UNIX_EPOCH)
        );
        health.discovered(Err("token refused".to_owned()));
        assert_eq!(health.problem().as_deref(), Some("token refused"));
    }
}
