//! The signals that the rule sets of the last week use. The reactor makes work items for them,
//! whatever its instance's own rules are.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::act::Queue;
use crate::journal::JournalError;

/// The signals with which a person may wait: pending people are decided again.
const WAITED_WITH: [&str; 2] = ["developer.signed_up", "registration.requested"];

/// The subscriptions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignalSubscriptions {
    signals: BTreeSet<String>,
    max_age: Option<Duration>,
}

impl SignalSubscriptions {
    /// The subscriptions of one rule set: the signals it uses, and the greatest age of an event
    /// that is its own evidence.
    pub fn new(signals: impl IntoIterator<Item = String>, max_age: Option<Duration>) -> Self {
        Self {
            signals: signals.into_iter().collect(),
            max_age,
        }
    }

    /// Whether a rule set uses signals of this kind.
    pub fn includes(&self, kind: &str) -> bool {
        self.signals.contains(kind)
    }

    /// Whether pending people are decided about.
    pub fn hears_who_waits(&self) -> bool {
        WAITED_WITH.iter().any(|kind| self.includes(kind))
    }

    /// The greatest age of an event that may still be answered as its own evidence.
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
    /// The subscriptions of `own` rules and of other instances.
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
