//! What the rule sets of the last week listen to: whoever reads the outbox keeps that, whatever its own rules are.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::act::Queue;
use crate::journal::JournalError;

/// The signals that a person may wait with: whoever is pending is decided about again.
const WAITED_WITH: [&str; 2] = ["developer.signed_up", "registration.requested"];

/// What is listened to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignalSubscriptions {
    signals: BTreeSet<String>,
    max_age: Option<Duration>,
}

impl SignalSubscriptions {
    /// What one set of rules listens to, and the oldest event that it answers as its own evidence.
    pub fn new(signals: impl IntoIterator<Item = String>, max_age: Option<Duration>) -> Self {
        Self {
            signals: signals.into_iter().collect(),
            max_age,
        }
    }

    /// Whether a signal of this kind is answered.
    pub fn includes(&self, kind: &str) -> bool {
        self.signals.contains(kind)
    }

    /// Whether those who are pending are decided about.
    pub fn hears_who_waits(&self) -> bool {
        WAITED_WITH.iter().any(|kind| self.includes(kind))
    }

    /// The oldest event that may still be answered as its own evidence.
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age
    }

    /// The kinds, and the age in seconds.
    pub(super) fn columns(&self) -> (Vec<String>, Option<f64>) {
        let max_age = self.max_age.map(|age| age.as_secs_f64());
        (self.signals.iter().cloned().collect(), max_age)
    }
}

impl Queue {
    /// What is listened to, by `own` rules and by those of other instances.
    pub async fn listened(
        &self,
        own: &SignalSubscriptions,
    ) -> Result<SignalSubscriptions, JournalError> {
        let row = sqlx::query!(
            r#"
            SELECT
                COALESCE(array_agg(DISTINCT signal) FILTER (WHERE signal IS NOT NULL), '{}')
                    AS "signals!",
                EXTRACT(EPOCH FROM max(max_age))::float8 AS max_age
            FROM rule_sets
            LEFT JOIN LATERAL UNNEST(signals) AS signal ON true
            "#,
        )
        .fetch_one(self.pool())
        .await?;
        let max_age = row
            .max_age
            .and_then(|age| Duration::try_from_secs_f64(age).ok());
        Ok(SignalSubscriptions {
            signals: own.signals.iter().cloned().chain(row.signals).collect(),
            max_age: own.max_age.max(max_age),
        })
    }
}
