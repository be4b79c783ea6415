//! Which decisions are stored already, for many at once: pending people are decided again and
//! again, almost always with the same result.

use std::collections::HashSet;

use uuid::Uuid;

use crate::act::{NewChain, NewStep, Queue};
use crate::journal::JournalError;
use crate::rules::{Deed, Mode};

/// The rule that owns the deed, the key of the deed, its target, and the key of the signal.
type Wanted = (String, String, Uuid, String);

fn wanted(chain: &NewChain, step: &NewStep) -> Wanted {
    (
        chain.doer(step).to_owned(),
        step.deed.key(),
        step.target.id(),
        chain.signal_key.clone(),
    )
}

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
            .map(|(chain, step)| chain.doer(step).to_owned())
            .collect();
        let keys: Vec<String> = steps().map(|(chain, _)| chain.signal_key.clone()).collect();
        let shadows: Vec<bool> = steps()
            .map(|(chain, _)| chain.mode == Mode::Shadow)
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
                        -- What is in hand may be ended by what was known before: it is asked for again.
                        (NOT t.shadow AND a.state IN ('planned', 'parked'))
                        OR (
                            a.rule = t.rule AND a.signal_key = t.signal_key
                            AND CASE WHEN t.shadow
                                THEN a.state = 'shadow'
                                ELSE a.state IN ('done', 'refused')
                                    OR (a.state = 'cancelled' AND usher_no_holds(a.id)) END
                        )
                    )
            )
                AND (
                    t.shadow
                    OR NOT EXISTS (
                        SELECT
                        FROM vetoes v
                        WHERE v.portal_id = $1 AND v.target_id = t.target_id
                            AND v.deed_key = t.deed_key AND v.lifted_at IS NULL
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

    /// Removes notices that failed recently, with their followers: a receiver that is wrong or down
    /// is not called with every new decision about somebody. The wait is an hour, and then as long
    /// as it has failed so far. All chains are of one portal, one list a signal.
    pub async fn leave_out_failing(
        &self,
        decided: &mut [Vec<NewChain>],
    ) -> Result<(), JournalError> {
        let chains = || decided.iter().flatten();
        let notices: Vec<Wanted> = chains()
            .filter(|chain| chain.mode == Mode::Live)
            .flat_map(|chain| chain.steps.iter().map(move |step| (chain, step)))
            .filter(|(_, step)| matches!(step.deed, Deed::Notify { .. }))
            .map(|(chain, step)| wanted(chain, step))
            .collect();
        let (Some(portal), false) = (
            chains().next().map(|chain| chain.portal_id),
            notices.is_empty(),
        ) else {
            return Ok(());
        };
        let failing = self.failing(portal, notices).await?;
        if failing.is_empty() {
            return Ok(());
        }
        for chains in decided {
            for chain in chains.iter_mut() {
                let is_failing = |step: &NewStep| failing.contains(&wanted(chain, step));
                if let Some(first) = chain.steps.iter().position(is_failing) {
                    chain.steps.truncate(first);
                }
            }
            chains.retain(|chain| !chain.steps.is_empty());
        }
        Ok(())
    }

    async fn failing(
        &self,
        portal: Uuid,
        notices: Vec<Wanted>,
    ) -> Result<HashSet<Wanted>, JournalError> {
        let (mut rules, mut deeds) = (Vec::new(), Vec::new());
        let (mut targets, mut keys) = (Vec::new(), Vec::new());
        for (rule, deed, target, key) in notices {
            rules.push(rule);
            deeds.push(deed);
            targets.push(target);
            keys.push(key);
        }
        let failing = sqlx::query!(
            r#"
            SELECT a.rule, a.deed_key, a.target_id, a.signal_key
            FROM UNNEST($2::text[], $3::text[], $4::uuid[], $5::text[])
                AS t (rule, deed_key, target_id, signal_key)
            JOIN actions a ON a.portal_id = $1 AND a.target_id = t.target_id
                AND a.deed_key = t.deed_key AND a.rule = t.rule AND a.signal_key = t.signal_key
            GROUP BY a.rule, a.deed_key, a.target_id, a.signal_key
            HAVING NOT bool_or(a.state IN ('planned', 'running', 'parked', 'done'))
                -- A little less than the hour after which everybody is decided again.
                AND max(a.updated_at) FILTER (WHERE a.state = 'failed')
                    + GREATEST(
                        interval '50 minutes',
                        max(a.updated_at) FILTER (WHERE a.state = 'failed')
                            - min(a.created_at) FILTER (WHERE a.state = 'failed')
                    ) > now()
            "#,
            portal,
            &rules,
            &deeds,
            &targets,
            &keys,
        )
        .fetch_all(self.pool())
        .await?;
        Ok(failing
            .into_iter()
            .map(|row| (row.rule, row.deed_key, row.target_id, row.signal_key))
            .collect())
    }
}
