//! Decisions in: one row per deed, unique by (rule, deed, target, signal key), in the caller's
//! transaction.

use crate::journal::Connection;
use metrics::counter;
use serde_json::Value;
use uuid::Uuid;

use crate::act::vetoes;
use crate::act::{ActionState, DeedSpec, Queue, Target};
use crate::journal::JournalError;
use crate::telemetry::metrics as names;

/// Times that a row may vanish between the attempt to insert it and the look for its twin.
const TRIES: usize = 4;
/// Further causes are kept up to this many; a sweep that decides the same every hour must not
/// let a row grow for ever.
const MAX_CAUSES: i32 = 50;

/// Whether a rule acts or only watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its deeds are done.
    Live,
    /// Its deeds are written down as `shadow` and never done.
    Shadow,
}

/// What becomes of deeds over the limit of their rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLimit {
    /// They wait.
    Delay,
    /// They are left to a human.
    Park,
}

/// One run of a rule's deeds.
#[derive(Debug, Clone)]
pub struct NewChain {
    /// The portal.
    pub portal_id: Uuid,
    /// The rule that decided.
    pub rule: String,
    /// Whether it acts.
    pub standing: Standing,
    /// How many of its deeds may start in an hour; 0 means any number.
    pub limit_per_hour: u32,
    /// What becomes of the rest.
    pub on_limit: OnLimit,
    /// The kind of signal that is answered.
    pub signal: String,
    /// What makes a second signal the same as this one.
    pub signal_key: String,
    /// Ids of the events that led here.
    pub causes: Vec<Uuid>,
    /// What the rule saw. Must hold no name and no e-mail address, at most its domain.
    pub facts: Value,
    /// The deeds, in order.
    pub steps: Vec<NewStep>,
}

/// One deed of a chain.
#[derive(Debug, Clone)]
pub struct NewStep {
    /// What to do.
    pub deed: DeedSpec,
    /// To what.
    pub target: Target,
    /// The rule that does it, where a rule decided earlier wants the same.
    pub owned_by: Option<String>,
}

/// What became of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// A new action.
    New(Uuid),
    /// An action for the same was there; the causes were added to it.
    Known(Uuid),
}

impl Enqueued {
    /// The action.
    pub fn id(self) -> Uuid {
        match self {
            Self::New(id) | Self::Known(id) => id,
        }
    }
}

/// Where a step ended up.
struct Placed {
    enqueued: Enqueued,
    /// A human decided otherwise before: what follows would wait for ever.
    was_refused: bool,
}

/// What all steps of a chain share, in the form of their columns.
struct Shared<'a> {
    chain: &'a NewChain,
    chain_id: Uuid,
    state: ActionState,
    limit_per_hour: i32,
    on_limit: &'static str,
}

impl Queue {
    /// Writes the chain in the caller's transaction; [`Queue::wake`] belongs after its commit.
    ///
    /// A step that is known already (open, done, refused, parked or called off by a person) gets the
    /// causes added and is not repeated; what follows it waits for it all the same, and is left out
    /// where it was refused or called off.
    pub async fn enqueue(
        &self,
        tx: &mut Connection,
        chain: &NewChain,
    ) -> Result<Vec<Enqueued>, JournalError> {
        let shared = Shared {
            chain,
            chain_id: self.ids.next(),
            state: match chain.standing {
                Standing::Live => ActionState::Planned,
                Standing::Shadow => ActionState::Shadow,
            },
            limit_per_hour: i32::try_from(chain.limit_per_hour).unwrap_or(i32::MAX),
            on_limit: on_limit(chain.on_limit),
        };
        let mut enqueued: Vec<Enqueued> = Vec::with_capacity(chain.steps.len());
        for (index, step) in chain.steps.iter().enumerate() {
            let waits_for = enqueued.last().map(|before| before.id());
            let outcome = self
                .place(&mut *tx, &shared, (index, step), waits_for)
                .await?;
            enqueued.push(outcome.enqueued);
            if outcome.was_refused {
                break;
            }
        }
        Ok(enqueued)
    }

    /// Inserts a step or finds its twin.
    async fn place(
        &self,
        tx: &mut Connection,
        shared: &Shared<'_>,
        (index, step): (usize, &NewStep),
        waits_for: Option<Uuid>,
    ) -> Result<Placed, JournalError> {
        for _ in 0..TRIES {
            let id = self.ids.next();
            if insert(&mut *tx, shared, (index, step), (id, waits_for)).await? {
                counter!(
                    names::ACTIONS,
                    "deed" => step.deed.name(),
                    "state" => shared.state.as_str(),
                )
                .increment(1);
                return Ok(Placed {
                    enqueued: Enqueued::New(id),
                    was_refused: false,
                });
            }
            if let Some((id, was_refused)) = add_causes(&mut *tx, shared, step).await? {
                return Ok(Placed {
                    enqueued: Enqueued::Known(id),
                    was_refused,
                });
            }
            if let Some(id) = vetoes::stands_in_the_way(tx, shared.chain.portal_id, step).await? {
                return Ok(Placed {
                    enqueued: Enqueued::Known(id),
                    was_refused: true,
                });
            }
        }
        // Its twins came and went while this transaction looked: the caller's next try will do.
        Err(JournalError::Repeat(sqlx::Error::RowNotFound))
    }
}

/// The word of the column.
pub(super) fn on_limit(on_limit: OnLimit) -> &'static str {
    match on_limit {
        OnLimit::Delay => "delay",
        OnLimit::Park => "park",
    }
}

/// Inserts a step, unless its twin or a person's no stands in the way.
async fn insert(
    tx: &mut Connection,
    shared: &Shared<'_>,
    (index, step): (usize, &NewStep),
    (id, waits_for): (Uuid, Option<Uuid>),
) -> Result<bool, JournalError> {
    let chain = shared.chain;
    let spec = serde_json::to_value(&step.deed).expect("a deed has only string keys");
    let done = sqlx::query!(
        r"
        INSERT INTO actions (
            id, rule, deed, deed_key, spec, target_kind, target_id, portal_id, application_id,
            signal, signal_key, state, causes, facts, chain_id, step, waits_for,
            limit_per_hour, on_limit, waits_on, next_attempt_at
        )
        SELECT
            $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
            $18, $19, waits.what, CASE WHEN waits.what IS NULL THEN now() ELSE 'infinity' END
        FROM (
            SELECT CASE
                WHEN $12 = 'shadow' THEN NULL
                WHEN EXISTS (
                    SELECT
                    FROM actions before
                    WHERE before.id = $17 AND NOT usher_lets_go_on(before.state, before.deed)
                ) THEN 'step'
                -- Parking changes nothing at Konnect, so it needs no brake.
                WHEN $18 > 0 AND $3 <> 'park' THEN 'limit'
            END AS what
        ) AS waits
        WHERE $12 = 'shadow'
            OR NOT EXISTS (
                SELECT
                FROM actions a
                WHERE a.portal_id = $8 AND a.target_id = $7 AND a.deed_key = $4 AND a.rule = $2
                    AND a.signal_key = $11 AND a.state = 'cancelled' AND usher_no_holds(a.id)
                UNION ALL
                SELECT
                FROM vetoes v
                WHERE v.portal_id = $8 AND v.target_id = $7 AND v.deed_key = $4
                    AND v.lifted_at IS NULL
            )
        ON CONFLICT DO NOTHING
        ",
        id,
        step.owned_by.as_ref().unwrap_or(&chain.rule),
        step.deed.name(),
        step.deed.key(),
        spec,
        step.target.kind(),
        step.target.id(),
        chain.portal_id,
        step.target.parent(),
        chain.signal,
        chain.signal_key,
        shared.state.as_str(),
        &chain.causes,
        chain.facts,
        shared.chain_id,
        i16::try_from(index).unwrap_or(i16::MAX),
        waits_for,
        shared.limit_per_hour,
        shared.on_limit,
    )
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Adds the causes to the action that stands in the way of an insert, and says whether that was
/// refused.
async fn add_causes(
    tx: &mut Connection,
    shared: &Shared<'_>,
    step: &NewStep,
) -> Result<Option<(Uuid, bool)>, JournalError> {
    let chain = shared.chain;
    let known = sqlx::query!(
        r#"
        UPDATE actions
        SET
            causes = CASE WHEN cardinality(causes) < $8
                THEN causes || ARRAY(
                    SELECT cause FROM UNNEST($7::uuid[]) AS new (cause)
                    WHERE NOT cause = ANY(causes)
                )
                ELSE causes END,
            -- Whoever has it in hand may have judged by what was known before.
            wanted = wanted + (state = 'running')::integer,
            updated_at = CASE WHEN causes @> $7 THEN updated_at ELSE now() END
        WHERE id = (
            SELECT id
            FROM actions
            WHERE deed_key = $1 AND portal_id = $2 AND target_id = $3
                -- A notice tells of one decision: two are never one.
                AND (deed <> 'notify' OR (rule = $4 AND signal_key = $5))
                AND (
                    ($6 = 'shadow' AND state = 'shadow' AND rule = $4 AND signal_key = $5)
                    OR ($6 <> 'shadow' AND state IN ('planned', 'running', 'parked'))
                    OR (
                        $6 <> 'shadow' AND state IN ('done', 'refused')
                        AND rule = $4 AND signal_key = $5
                    )
                    OR (
                        $6 <> 'shadow' AND state = 'cancelled'
                        AND rule = $4 AND signal_key = $5 AND usher_no_holds(id)
                    )
                )
            -- The rule's own action first, then the open one of another rule.
            ORDER BY (rule = $4 AND signal_key = $5) DESC, id DESC
            LIMIT 1
        )
        RETURNING id, state IN ('refused', 'cancelled') AS "was_refused!"
        "#,
        step.deed.key(),
        chain.portal_id,
        step.target.id(),
        step.owned_by.as_ref().unwrap_or(&chain.rule),
        chain.signal_key,
        shared.state.as_str(),
        &chain.causes,
        MAX_CAUSES,
    )
    .fetch_optional(tx)
    .await?;
    Ok(known.map(|known| (known.id, known.was_refused)))
}
