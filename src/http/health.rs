//! Whether the process is alive, and whether deliveries can be accepted.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

/// Where there are both, one of them is enough to accept deliveries.
const EITHER: [&str; 2] = ["database", "spool"];

/// The condition of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It works.
    Ok,
    /// It does not work, but deliveries can be accepted.
    Degraded,
    /// It does not work, and no delivery can be accepted.
    Down,
}

impl Condition {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// One part, to be shown to somebody who may know the reason of its condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartShown {
    /// Its name.
    pub name: String,
    /// How it is.
    pub condition: Condition,
    /// Why it is so, or how far it is; often empty.
    pub detail: String,
}

/// One part with its condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    status: Condition,
    /// The reason; only for clients that may know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// The last condition of every part. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health {
    parts: Arc<RwLock<BTreeMap<Cow<'static, str>, Part>>>,
    behind: Arc<RwLock<BTreeMap<String, String>>>,
}

#[derive(Debug, Serialize)]
struct Readiness {
    status: Condition,
    parts: BTreeMap<Cow<'static, str>, Part>,
}

impl Health {
    /// Sets the condition of `part`. `detail` contains no secret, and no address but the host of an
    /// endpoint of `forward`.
    pub fn set(
        &self,
        part: impl Into<Cow<'static, str>>,
        status: Condition,
        detail: impl Into<String>,
    ) {
        let part_now = Part {
            status,
            detail: Some(detail.into()),
        };
        self.parts
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(part.into(), part_now);
    }

    /// Sets which parts are behind with their work, each with how far; all others are not. Such a
    /// part is degraded while it reports nothing worse itself.
    pub fn set_behind(&self, behind: BTreeMap<String, String>) {
        *self.behind.write().unwrap_or_else(PoisonError::into_inner) = behind;
    }

    /// Whether deliveries can be accepted.
    pub fn is_ready(&self) -> bool {
        self.readiness().status != Condition::Down
    }

    /// The condition of all parts together, and each of them by name.
    pub fn shown(&self) -> (Condition, Vec<PartShown>) {
        let Readiness { status, parts } = self.readiness();
        let parts = parts.into_iter().map(|(name, part)| PartShown {
            name: name.into_owned(),
            condition: part.status,
            detail: part.detail.unwrap_or_default(),
        });
        (status, parts.collect())
    }

    fn readiness(&self) -> Readiness {
        let mut parts = self
            .parts
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        self.show_behind(&mut parts);
        let stands_in = EITHER.iter().any(|part| {
            parts
                .get(*part)
                .is_some_and(|part| part.status != Condition::Down)
        });
        for part in EITHER.iter().filter(|_| stands_in) {
            if let Some(part) = parts.get_mut(*part)
                && part.status == Condition::Down
            {
                part.status = Condition::Degraded;
            }
        }
        let has = |condition| parts.values().any(|part| part.status == condition);
        let status = if has(Condition::Down) {
            Condition::Down
        } else if has(Condition::Degraded) {
            Condition::Degraded
        } else {
            Condition::Ok
        };
        Readiness { status, parts }
    }

    fn show_behind(&self, parts: &mut BTreeMap<Cow<'static, str>, Part>) {
        let behind = self.behind.read().unwrap_or_else(PoisonError::into_inner);
        for (name, detail) in behind.iter() {
            let is_told = parts
                .get(name.as_str())
                .is_some_and(|part| part.status != Condition::Ok);
            if !is_told {
                let part = Part {
                    status: Condition::Degraded,
                    detail: Some(detail.clone()),
                };
                parts.insert(Cow::Owned(name.clone()), part);
            }
        }
    }
}

/// `/healthz` and `/readyz`; neither needs a token. The reason of a condition is shown only where
/// `may_know` says so.
pub fn router(
    health: Health,
    may_know: impl Fn(&HeaderMap) -> bool + Clone + Send + Sync + 'static,
) -> Router {
    let readyz = async move |State(health): State<Health>, headers: HeaderMap| {
        get_readiness(&health, may_know(&headers))
    };
    Router::new()
        .route(
            "/healthz",
            get(|| async { Json(serde_json::json!({ "status": "ok" })) }),
        )
        .route("/readyz", get(readyz))
        .with_state(health)
}

fn get_readiness(health: &Health, with_detail: bool) -> (StatusCode, Json<Readiness>) {
    let mut readiness = health.readiness();
    if !with_detail {
        readiness
            .parts
            .values_mut()
            .for_each(|part| part.detail = None);
    }
    let status = match readiness.status {
        Condition::Ok | Condition::Degraded => StatusCode::OK,
        Condition::Down => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(readiness))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_part_that_is_down_makes_deliveries_impossible() {
        let health = Health::default();
        health.set("database", Condition::Ok, "");
        health.set("kafka", Condition::Degraded, "no broker answers");
        assert!(health.is_ready());
        health.set("database", Condition::Down, "does not answer");
        assert!(!health.is_ready());
        let (condition, parts) = health.shown();
        assert_eq!(condition, Condition::Down);
        let told: Vec<_> = parts
            .iter()
            .map(|part| format!("{} {}: {}", part.name, part.condition.as_str(), part.detail))
            .collect();
        assert_eq!(
            told,
            [
                "database down: does not answer",
                "kafka degraded: no broker answers"
            ]
        );
    }

    #[test]
    fn a_part_that_is_behind_is_degraded_until_it_is_not() {
        let health = Health::default();
        health.set("react", Condition::Ok, "");
        let late = BTreeMap::from([("react".to_owned(), "14 min behind".to_owned())]);
        let told = |health: &Health| {
            let (_, parts) = health.shown();
            format!("{} {}", parts[0].condition.as_str(), parts[0].detail)
        };
        health.set_behind(late);
        assert!(health.is_ready());
        assert_eq!(told(&health), "degraded 14 min behind");
        // What the part says of itself changes nothing, unless it is worse.
        health.set("react", Condition::Ok, "");
        assert_eq!(told(&health), "degraded 14 min behind");
        health.set("react", Condition::Degraded, "a right is missing");
        assert_eq!(told(&health), "degraded a right is missing");
        health.set("react", Condition::Ok, "");
        health.set_behind(BTreeMap::new());
        assert_eq!(told(&health), "ok ");
    }

    #[test]
    fn one_of_database_and_spool_is_enough() {
        let health = Health::default();
        health.set("database", Condition::Down, "does not answer");
        assert!(!health.is_ready());
        for (database, spool, expected) in [
            (Condition::Ok, Condition::Ok, Condition::Ok),
            (Condition::Ok, Condition::Down, Condition::Degraded),
            (Condition::Down, Condition::Ok, Condition::Degraded),
            (Condition::Down, Condition::Degraded, Condition::Degraded),
            (Condition::Down, Condition::Down, Condition::Down),
        ] {
            health.set("database", database, "");
            health.set("spool", spool, "");
            assert_eq!(
                health.readiness().status,
                expected,
                "database {database:?}, spool {spool:?}"
            );
        }
    }
}
