//! Which decisions are written down already, for many at once: people who wait are decided about
//! again and again, and almost always the same.

use std::collections::HashSet;

use uuid::Uuid;

use crate::act::{NewChain, Queue, Standing};
use crate::journal::JournalError;

impl Queue {
    /// The keys of the signals of which some step would be new. All chains are of one portal.
    pub async fn undecided(&self, chains: &[NewChain]) -> Result<HashSet<String>, JournalError> {
        let Some(portal) = chains.first().map(|chain| chain.portal_id) else {
            return Ok(HashSet::new());
        };
        let steps = || {
            chains
                .iter()
                .flat_map(|chain| chain.steps.iter().map(move |step| (chain, step)))
        };
        let deeds: Vec<String> = steps().map(|(_, step)| step.deed.key()).collect();
        let targets: Vec<Uuid> = steps().map(|(_, step)| step.target.id()).collect();
        let rules: Vec<String> = steps()
            .map(|(chain, step)| step.owned_by.clone().unwrap_or_else(|| chain.rule.clone()))
            .collect();
        let keys: Vec<String> = steps().map(|(chain, _)| chain.signal_key.clone()).collect();
        let shadows: Vec<bool> = steps()
            .map(|(chain, _)| chain.standing == Standing::Shadow)
            .collect();
        let undecided = sqlx::query_scalar!(
            r#"
            SELECT DISTINCT t.signal_key AS "signal_key!"
            FROM UNNEST($2::text[], $3::uuid[], $4::text[], $5::text[], $6::boolean[])
                AS t (deed_key, target_id, rule, signal_key, shadow)
            WHERE NOT EXISTS (
                SELECT
                FROM actions a
                WHERE a.portal_id = $1 AND a.target_id = t.target_id AND a.deed_key = t.deed_key
                    -- As the unique indexes have it.
                    AND (a.deed <> 'notify' OR (a.rule = t.rule AND a.signal_key = t.signal_key))
                    AND (
                        (NOT t.shadow AND a.state IN ('planned', 'running', 'parked'))
                        OR (
                            a.rule = t.rule AND a.signal_key = t.signal_key
                            AND CASE WHEN t.shadow
                                THEN a.state = 'shadow'
                                ELSE a.state IN ('done', 'refused') END
                        )
                    )
            )
            "#,
            portal,
            &deeds,
            &targets,
            &rules,
            &keys,
            &shadows,
        )
        .fetch_all(self.pool())
        .await?;
        Ok(undecided.into_iter().collect())
    }
}
