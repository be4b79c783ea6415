//! Whose things somebody may see: those of every portal, or those of some. Reads nothing.
//!
//! Handles that read (`Journal`, `Directory`, `Queue`, `Reports`) carry one, and every query for
//! people is bounded by it. A handler gets handles that are bounded by its caller's.

use std::sync::Arc;

use axum::http::StatusCode;
use uuid::Uuid;

use crate::http::Problem;

/// The portals whose things somebody may see. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortalScope {
    /// Every portal, and what belongs to none.
    All,
    /// These, by id, each once. What belongs to no portal is not theirs.
    Only(Arc<[Uuid]>),
}

impl PortalScope {
    /// These portals; every one where there is no list.
    pub fn of(portals: Option<&[Uuid]>) -> Self {
        let Some(portals) = portals else {
            return Self::All;
        };
        let mut portals = portals.to_vec();
        portals.sort_unstable();
        portals.dedup();
        Self::Only(portals.into())
    }

    /// Whether there is no bound.
    pub fn is_all(&self) -> bool {
        *self == Self::All
    }

    /// Whether a portal is among them.
    pub fn has(&self, portal: Uuid) -> bool {
        match self {
            Self::All => true,
            Self::Only(portals) => portals.contains(&portal),
        }
    }

    /// Those of them that are asked for: one, or all where none is named. One that is not among
    /// them leaves none, as one that does not exist would.
    #[must_use]
    pub fn narrowed(&self, asked: Option<Uuid>) -> Self {
        match asked {
            None => self.clone(),
            Some(portal) if self.has(portal) => Self::Only([portal].into()),
            Some(_) => Self::Only([].into()),
        }
    }

    /// All of them; none where there is no bound.
    pub fn ids(&self) -> Option<&[Uuid]> {
        match self {
            Self::All => None,
            Self::Only(portals) => Some(portals),
        }
    }

    /// The same as text, as entries name portals.
    pub fn texts(&self) -> Option<Vec<String>> {
        let ids = self.ids()?;
        Some(ids.iter().map(Uuid::to_string).collect())
    }

    /// The only one of them. A query compares it by `=`, for which the planner knows better ways
    /// than for a list; [`others`](Self::others) is the rest of the condition.
    pub fn one(&self) -> Option<Uuid> {
        match self.ids() {
            Some(&[one]) => Some(one),
            _ => None,
        }
    }

    /// All of them where they are not exactly one.
    pub fn others(&self) -> Option<&[Uuid]> {
        self.ids().filter(|ids| ids.len() != 1)
    }

    /// Whether something that is for these portals, or for all, is for one of them.
    pub fn meets(&self, portals: Option<&[Uuid]>) -> bool {
        portals.is_none_or(|portals| portals.iter().any(|portal| self.has(*portal)))
            || self.is_all()
    }

    /// Those of a list that may be seen; none where there is no list.
    pub fn listed(&self, portals: Option<&[Uuid]>) -> Option<Vec<Uuid>> {
        let portals = portals?.iter().copied();
        Some(portals.filter(|portal| self.has(*portal)).collect())
    }

    /// Refuses what belongs to no portal to whoever may see some portals only.
    ///
    /// # Errors
    /// 403, in words that say nothing of what is there.
    pub fn require_all(&self) -> Result<(), Problem> {
        if self.is_all() {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "this is about all portals, and your token is for some of them: it takes one without portals",
        ))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::PortalScope;

    #[test]
    fn what_is_asked_for_never_widens_what_may_be_seen() {
        let (one, other, third) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let only = |portals: &[Uuid]| PortalScope::of(Some(portals));
        let both = only(&[other, one, other]);
        for (scope, asked, narrowed) in [
            (PortalScope::All, None, PortalScope::All),
            (PortalScope::All, Some(third), only(&[third])),
            (both.clone(), None, only(&[one, other])),
            (both.clone(), Some(other), only(&[other])),
            (both.clone(), Some(third), only(&[])),
            (only(&[]), Some(third), only(&[])),
        ] {
            assert_eq!(scope.narrowed(asked), narrowed, "{scope:?} {asked:?}");
        }
        assert!(PortalScope::All.has(third) && both.has(one) && !both.has(third));
        assert!(both.require_all().is_err() && PortalScope::All.require_all().is_ok());
    }

    #[test]
    fn one_is_told_from_others_and_none_is_no_bound_left_out() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        for (portals, single, rest) in [
            (None, None, None),
            (Some(&[one][..]), Some(one), None),
            (Some(&[one, other]), None, Some(2)),
            (Some(&[]), None, Some(0)),
        ] {
            let scope = PortalScope::of(portals);
            assert_eq!(scope.one(), single, "{portals:?}");
            assert_eq!(scope.others().map(<[Uuid]>::len), rest, "{portals:?}");
        }
    }
}
