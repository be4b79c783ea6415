//! Decisions in: one row per deed, unique by (rule, deed, target, signal key), in the caller's
//! transaction.

use std::collections::{HashMap, HashSet};

use crate::journal::Connection;
use metrics::counter;
use serde_json::Value;
use uuid::Uuid;

use crate::act::Queue;
use crate::act::chain::{NewChain, NewStep};
use crate::act::vetoes;
use crate::journal::JournalError;
use crate::telemetry::metrics as names;

/// Times that a row may vanish between the attempt to insert it and the search for its twin.
const TRIES: usize = 4;
/// Further causes are stored up to this number; a sweep that decides the same every hour must not
/// let a row grow for ever.
const MAX_CAUSES: i32 = 50;

/// The result of enqueuing one step.
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

/// A chain on its way into the queue.
struct Run<'a> {
    chain: &'a NewChain,
    chain_id: Uuid,
    /// The ids of its steps, in the order in which the steps start.
    ids: Vec<Uuid>,
    enqueued: Vec<Enqueued>,
    /// Whether a person decided otherwise before: followers would wait for ever.
    is_over: bool,
}

/// A step that is about to be written.
struct Row<'a> {
    id: Uuid,
    /// The position of its chain among those that are enqueued.
    run: usize,
    chain: &'a NewChain,
    chain_id: Uuid,
    index: usize,
    step: &'a NewStep,
    waits_for: Option<Uuid>,
}

impl Queue {
    /// Writes chains in the caller's transaction, as if one after the other; [`Queue::wake`]
    /// belongs after its commit.
    ///
    /// A step that is stored already (open, done, refused, parked or cancelled by a person) gets
    /// the causes added and is not repeated. Its followers wait for it all the same, and are left
    /// out where it was refused or cancelled.
    pub async fn enqueue(
        &self,
        tx: &mut Connection,
        chains: &[NewChain],
    ) -> Result<Vec<Enqueued>, JournalError> {
        // Ids of one millisecond are in no order yet.
        let count = chains.iter().map(|chain| chain.steps.len()).sum();
        let mut ids: Vec<Uuid> = (0..count).map(|_| self.ids.next()).collect();
        ids.sort_unstable();
        let mut ids = ids.into_iter();
        let mut runs = Vec::with_capacity(chains.len());
        for chain in chains {
            runs.push(Run {
                chain,
                chain_id: self.ids.next(),
                ids: ids.by_ref().take(chain.steps.len()).collect(),
                enqueued: Vec::new(),
                is_over: false,
            });
        }
        for wave in waves(chains) {
            let longest = wave.iter().map(|run| runs[*run].chain.steps.len()).max();
            for index in 0..longest.unwrap_or_default() {
                let rows: Vec<Row<'_>> = wave
                    .iter()
                    .filter_map(|run| row(*run, &runs[*run], index))
                    .collect();
                self.place(&mut *tx, &rows, &mut runs).await?;
            }
        }
        Ok(runs.into_iter().flat_map(|run| run.enqueued).collect())
    }

    /// Inserts steps of different chains, or finds their twins.
    async fn place(
        &self,
        tx: &mut Connection,
        rows: &[Row<'_>],
        runs: &mut [Run<'_>],
    ) -> Result<(), JournalError> {
        let new = insert(&mut *tx, rows).await?;
        for row in rows {
            let (enqueued, is_over) = if new.contains(&row.id) {
                (Enqueued::New(row.id), false)
            } else {
                find_twin(&mut *tx, row).await?
            };
            if matches!(enqueued, Enqueued::New(_)) {
                counter!(
                    names::ACTIONS,
                    "deed" => row.step.deed.name(),
                    "state" => row.chain.state().as_str(),
                )
                .increment(1);
            }
            runs[row.run].enqueued.push(enqueued);
            runs[row.run].is_over = is_over;
        }
        Ok(())
    }
}

/// The step of a chain, if the chain goes on so far.
fn row<'a>(place: usize, run: &Run<'a>, index: usize) -> Option<Row<'a>> {
    let step = run.chain.steps.get(index).filter(|_| !run.is_over)?;
    Some(Row {
        id: run.ids[index],
        run: place,
        chain: run.chain,
        chain_id: run.chain_id,
        index,
        step,
        waits_for: run.enqueued.last().map(|before| before.id()),
    })
}

/// Chains that can be written side by side, by their positions: of those about one target the
/// earlier one comes first.
fn waves(chains: &[NewChain]) -> Vec<Vec<usize>> {
    let mut waves: Vec<Vec<usize>> = Vec::new();
    let mut next: HashMap<(Uuid, Uuid), usize> = HashMap::new();
    for (place, chain) in chains.iter().enumerate() {
        let targets = || {
            let steps = chain.steps.iter();
            steps.map(|step| (chain.portal_id, step.target.id()))
        };
        let wave = targets().filter_map(|target| next.get(&target)).max();
        let wave = wave.copied().unwrap_or_default();
        next.extend(targets().map(|target| (target, wave + 1)));
        if waves.len() == wave {
            waves.push(Vec::new());
        }
        waves[wave].push(place);
    }
    waves
}

/// The action because of which a step was not inserted, and whether a person decided otherwise.
async fn find_twin(tx: &mut Connection, row: &Row<'_>) -> Result<(Enqueued, bool), JournalError> {
    for _ in 0..TRIES {
        if let Some((id, was_refused)) = add_causes(&mut *tx, row).await? {
            return Ok((Enqueued::Known(id), was_refused));
        }
        let portal = row.chain.portal_id;
        if let Some(id) = vetoes::stands_in_the_way(&mut *tx, portal, row.step).await? {
            return Ok((Enqueued::Known(id), true));
        }
        if !insert(&mut *tx, std::slice::from_ref(row))
            .await?
            .is_empty()
        {
            return Ok((Enqueued::New(row.id), false));
        }
    }
    // Its twins came and went during this transaction: the caller's next try will do.
    Err(JournalError::Repeat(sqlx::Error::RowNotFound))
}

/// Inserts steps, except those that a twin or a veto excludes; returns the ids of the inserted
/// ones.
async fn insert(tx: &mut Connection, rows: &[Row<'_>]) -> Result<HashSet<Uuid>, JournalError> {
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let text = |of: fn(&Row<'_>) -> String| rows.iter().map(of).collect::<Vec<String>>();
    let ids = |of: fn(&Row<'_>) -> Uuid| rows.iter().map(of).collect::<Vec<Uuid>>();
    let maybe = |of: fn(&Row<'_>) -> Option<Uuid>| rows.iter().map(of).collect::<Vec<_>>();
    let inserted = sqlx::query_file_scalar!(
        "src/act/enqueue.sql",
        &ids(|row| row.id),
        &text(|row| row.chain.doer(row.step).to_owned()),
        &text(|row| row.step.deed.name().to_owned()),
        &text(|row| row.step.deed.key()),
        &rows.iter().map(spec).collect::<Vec<_>>(),
        &text(|row| row.step.target.kind().to_owned()),
        &ids(|row| row.step.target.id()),
        &ids(|row| row.chain.portal_id),
        &maybe(|row| row.step.target.parent()) as &[Option<Uuid>],
        &text(|row| row.chain.signal.clone()),
        &text(|row| row.chain.signal_key.clone()),
        &text(|row| row.chain.state().as_str().to_owned()),
        &text(causes),
        &rows
            .iter()
            .map(|row| row.chain.facts.clone())
            .collect::<Vec<_>>(),
        &ids(|row| row.chain_id),
        &rows
            .iter()
            .map(|row| i16::try_from(row.index).unwrap_or(i16::MAX))
            .collect::<Vec<_>>(),
        &maybe(|row| row.waits_for) as &[Option<Uuid>],
        &rows
            .iter()
            .map(|row| i32::try_from(row.chain.limit_per_hour).unwrap_or(i32::MAX))
            .collect::<Vec<_>>(),
        &text(|row| row.chain.on_limit.name().to_owned()),
    )
    .fetch_all(tx)
    .await?;
    Ok(inserted.into_iter().collect())
}

fn spec(row: &Row<'_>) -> Value {
    serde_json::to_value(&row.step.deed).expect("a deed has only string keys")
}

/// The causes as Postgres writes an array: the rows have different numbers of them.
fn causes(row: &Row<'_>) -> String {
    let causes: Vec<String> = row.chain.causes.iter().map(Uuid::to_string).collect();
    format!("{{{}}}", causes.join(","))
}

/// Adds the causes to the action that excludes an insert, and returns whether that action was
/// refused.
async fn add_causes(
    tx: &mut Connection,
    Row { chain, step, .. }: &Row<'_>,
) -> Result<Option<(Uuid, bool)>, JournalError> {
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
        chain.doer(step),
        chain.signal_key,
        chain.state().as_str(),
        &chain.causes,
        MAX_CAUSES,
    )
    .fetch_optional(tx)
    .await?;
    Ok(known.map(|known| (known.id, known.was_refused)))
}
