//! The health of all sweeps, for `/readyz`: in memory, readable at any time without waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use konnect::PortalId;

use crate::directory::Scope;

/// At most so many problems are shown; more would not make the line clearer.
const MAX_TOLD: usize = 5;

/// The health of one portal's sweeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortalHealth {
    /// When a sweep was last stored.
    pub succeeded_at: Option<DateTime<Utc>>,
    /// Why the last sweep failed, without secrets; none after a good one.
    pub error: Option<String>,
    /// When it failed.
    pub failed_at: Option<DateTime<Utc>>,
    /// Whether it failed since Konnect refuses the token.
    pub is_refused: bool,
}

/// Why something failed, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// In words.
    pub(super) told: String,
    /// Whether Konnect refuses the token.
    pub(super) is_refused: bool,
}

#[derive(Debug, Default)]
struct State {
    /// By the loops of each portal.
    portals: BTreeMap<PortalId, BTreeMap<&'static str, PortalHealth>>,
    /// What the last sweeps of each kind could not read, or withheld.
    notes: BTreeMap<PortalId, BTreeMap<Scope, BTreeSet<String>>>,
    /// Why the portals could not be listed.
    discovery: Option<Failure>,
}

/// The health of the sweeps of all portals. Cheap to clone; clones share the state.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<State>>);

impl Health {
    /// What is wrong, in one line: why there are no portals, which loops of which portals failed
    /// last, what was unread or withheld. None when all is well.
    pub fn problem(&self) -> Option<String> {
        let state = self.lock();
        let loops = state.portals.iter().flat_map(|(portal, loops)| {
            loops.iter().filter_map(move |(name, health)| {
                let error = health.error.as_ref()?;
                Some(format!("portal {portal}, {name}: {error}"))
            })
        });
        let notes = state.notes.iter().flat_map(|(portal, looks)| {
            let lines: BTreeSet<&String> = looks.values().flatten().collect();
            lines
                .into_iter()
                .map(move |line| format!("portal {portal}: {line}"))
        });
        let discovery = state.discovery.iter().map(|failure| failure.told.clone());
        let problems = discovery.chain(loops).chain(notes);
        let mut problems: Vec<String> = problems.collect();
        if problems.len() > MAX_TOLD {
            let more = format!("and {} more", problems.len() - MAX_TOLD);
            problems.truncate(MAX_TOLD);
            problems.push(more);
        }
        (!problems.is_empty()).then(|| problems.join("; "))
    }

    /// Whether Konnect refused the token the last time that something was asked with it.
    pub fn is_token_refused(&self) -> bool {
        let state = self.lock();
        let mut loops = state.portals.values().flat_map(BTreeMap::values);
        let listing = state.discovery.as_ref();
        listing.is_some_and(|failure| failure.is_refused) || loops.any(|health| health.is_refused)
    }

    /// What the last sweeps of each portal could not read, or withheld, where there is anything.
    pub fn partly_read(&self) -> BTreeMap<PortalId, BTreeSet<String>> {
        let state = self.lock();
        let portals = state.notes.iter();
        let lines =
            portals.map(|(portal, looks)| (*portal, looks.values().flatten().cloned().collect()));
        lines
            .filter(|(_, lines): &(_, BTreeSet<String>)| !lines.is_empty())
            .collect()
    }

    /// The health of one portal: its last good sweep, and what failed last.
    pub fn portal(&self, portal: PortalId) -> PortalHealth {
        let state = self.lock();
        let loops = state.portals.get(&portal);
        let all = || loops.into_iter().flat_map(BTreeMap::values);
        let failing = all().filter(|health| health.error.is_some());
        let failing = failing.max_by_key(|health| health.failed_at).cloned();
        PortalHealth {
            succeeded_at: all().filter_map(|health| health.succeeded_at).max(),
            ..failing.unwrap_or_default()
        }
    }

    pub(super) fn succeeded(&self, portal: PortalId, name: &'static str, at: DateTime<Utc>) {
        let health = PortalHealth {
            succeeded_at: Some(at),
            ..PortalHealth::default()
        };
        self.of(portal, name, |it| *it = health);
    }

    pub(super) fn failed(
        &self,
        portal: PortalId,
        name: &'static str,
        failure: Failure,
        at: DateTime<Utc>,
    ) {
        self.of(portal, name, |health| {
            health.error = Some(failure.told);
            health.is_refused = failure.is_refused;
            health.failed_at = Some(at);
        });
    }

    /// What failed at the portal works again.
    pub(super) fn mended(&self, portal: PortalId, name: &'static str) {
        self.of(portal, name, |health| {
            health.error = None;
            health.is_refused = false;
        });
    }

    /// Another instance sweeps the portal now and reports by itself, or none has to any more.
    pub(super) fn passed_on(&self, portal: PortalId) {
        let mut state = self.lock();
        state.portals.remove(&portal);
        state.notes.remove(&portal);
    }

    /// Replaces what the last sweep of this kind could not read or withheld; returns what is new. A
    /// full sweep replaces the notes of all kinds.
    pub(super) fn notes(
        &self,
        portal: PortalId,
        scope: Scope,
        lines: BTreeSet<String>,
    ) -> Vec<String> {
        let mut state = self.lock();
        let looks = state.notes.entry(portal).or_default();
        let was_told = |line: &&String| looks.values().any(|told| told.contains(*line));
        let news = lines
            .iter()
            .filter(|line| !was_told(line))
            .cloned()
            .collect();
        if scope == Scope::All {
            looks.clear();
        }
        looks.insert(scope, lines);
        news
    }

    fn of(&self, portal: PortalId, name: &'static str, change: impl FnOnce(&mut PortalHealth)) {
        let mut state = self.lock();
        change(
            state
                .portals
                .entry(portal)
                .or_default()
                .entry(name)
                .or_default(),
        );
    }

    pub(super) fn discovered(&self, outcome: Result<(), Failure>) {
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

    use super::{Failure, Health};

    #[test]
    fn names_what_fails_until_it_succeeds() {
        let (health, portal) = (Health::default(), PortalId(Uuid::from_u128(7)));
        let at = DateTime::UNIX_EPOCH;
        assert_eq!(health.problem(), None);
        let failure = |told: &str, is_refused| Failure {
            told: told.to_owned(),
            is_refused,
        };
        health.failed(portal, "sweep", failure("no answer", false), at);
        health.succeeded(portal, "pending", at);
        let problem = Some(format!("portal {portal}, sweep: no answer"));
        assert_eq!(
            health.problem(),
            problem,
            "one loop says nothing of another"
        );
        let told = health.portal(portal);
        assert_eq!(told.error.as_deref(), Some("no answer"));
        assert_eq!(told.succeeded_at, Some(at));
        health.succeeded(portal, "sweep", at);
        assert_eq!(health.problem(), None);
        assert!(!health.is_token_refused());
        health.discovered(Err(failure("token refused", true)));
        assert_eq!(health.problem().as_deref(), Some("token refused"));
        assert!(health.is_token_refused());
        health.discovered(Ok(()));
        health.failed(portal, "sweep", failure("token refused", true), at);
        assert!(health.is_token_refused());
        health.succeeded(portal, "sweep", at);
        assert!(!health.is_token_refused());
    }

    #[test]
    fn tells_a_bounded_number_of_problems() {
        let health = Health::default();
        for number in 0..7 {
            let portal = PortalId(Uuid::from_u128(number));
            health.failed(
                portal,
                "sweep",
                Failure {
                    told: "no answer".to_owned(),
                    is_refused: false,
                },
                DateTime::UNIX_EPOCH,
            );
        }
        assert!(
            health
                .problem()
                .is_some_and(|text| text.ends_with("; and 2 more"))
        );
    }
}
