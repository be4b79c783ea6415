//! Check (f): no more deeds of a rule started than its limit allows.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::model::checks::Account;

impl Account<'_> {
    /// (f) No more deeds of a rule started than its limit allows, but for what a person let
    /// through.
    pub(in crate::model) fn over_limits(&self, started: &[Started]) -> Vec<String> {
        let mut found = Vec::new();
        for last in started {
            let Some((limit, since)) = self.world.limit(last.at) else {
                continue;
            };
            let of_hour = started
                .iter()
                .filter(|one| since <= one.at && one.at <= last.at);
            let count = of_hour.count();
            if count > usize::try_from(limit).unwrap_or(usize::MAX) {
                let at = last.at.format("%H:%M:%S%.3f");
                found.push(format!(
                    "{at}: {count} deeds of the clubs since {since}, of {limit}"
                ));
            }
        }
        found
    }
}

/// When a deed of the clubs took its place within their limit.
#[derive(Debug, Clone, Copy)]
pub(in crate::model) struct Started {
    at: DateTime<Utc>,
}

impl Started {
    pub(in crate::model) async fn all(pool: &PgPool) -> Vec<Self> {
        let started: Vec<DateTime<Utc>> = sqlx::query_scalar(
            "SELECT started_at
             FROM actions
             WHERE rule = 'clubs' AND deed <> 'park' AND started_at IS NOT NULL AND limit_per_hour > 0
                 AND NOT usher_let_through(id, chain_id)
             ORDER BY started_at",
        )
        .fetch_all(pool)
        .await
        .unwrap();
        started.into_iter().map(|at| Self { at }).collect()
    }
}
