//! Results of actions: the state, the record of the attempt, the followers, and the event that
//! reports it, all in one transaction.

use std::collections::HashMap;
use std::time::Duration;

use crate::journal::Connection;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::act::action_event::ActionEvent;
use crate::act::calls::Call;
use crate::act::claim::{Claimed, give_back};
use crate::act::end::{ActionEnd, Ended, end_each};
use crate::act::followers::{cancel_followers, go_on};
use crate::act::{ActionState, Queue};
use crate::journal::{JournalError, Lane, NewBatch, Source, Transaction, append_in};

/// Attempts that are stored one by one; of later ones about one an hour is.
const KEPT_ONE_BY_ONE: i32 = 30;
const KEPT_OF_THE_REST: i32 = 12;
/// Tries of a transaction that Postgres asks to repeat.
pub(super) const TRIES: usize = 5;

/// One attempt, for the record.
#[derive(Debug, Clone)]
pub(super) struct AttemptRecord {
    pub(super) started_at: DateTime<Utc>,
    pub(super) call: Option<Call>,
    /// `ok` or the class of error.
    pub(super) outcome: &'static str,
    pub(super) detail: Option<String>,
}

/// What is stored about a claimed action that ended.
#[derive(Debug, Clone)]
pub(super) struct Settlement {
    pub(super) id: Uuid,
    pub(super) lease: Uuid,
    pub(super) ending: ActionEnd,
    pub(super) attempt: Option<AttemptRecord>,
    /// How often it had been requested by then, where it was not wanted: if it was requested once
    /// more since, it is judged again.
    pub(super) wanted: Option<i32>,
}

impl Settlement {
    pub(super) fn new(
        claimed: &Claimed,
        ending: ActionEnd,
        attempt: Option<AttemptRecord>,
    ) -> Self {
        Self {
            id: claimed.row.id,
            lease: claimed.row.lease,
            wanted: (ending.state == ActionState::Cancelled).then_some(claimed.row.wanted),
            ending,
            attempt,
        }
    }

    fn ended(&self) -> Ended<'_> {
        Ended {
            id: self.id,
            ending: &self.ending,
            lease: Some(self.lease),
            is_attempted: self.attempt.is_some(),
            wanted: self.wanted,
        }
    }
}

impl Queue {
    /// Stores how claimed actions ended; `false` for each that another worker has by now. Followers
    /// of one that ended badly are cancelled.
    pub(super) async fn settle(
        &self,
        settlements: &[Settlement],
    ) -> Result<Vec<bool>, JournalError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_settle(settlements).await {
                Err(JournalError::Repeat(_)) if tries < TRIES => {}
                outcome => return outcome,
            }
        }
    }

    async fn try_settle(&self, settlements: &[Settlement]) -> Result<Vec<bool>, JournalError> {
        let now = self.clock.now();
        self.journal.ensure_partitions([now]).await?;
        let mut tx = self.pool().begin().await?;
        let ends: Vec<Ended<'_>> = settlements.iter().map(Settlement::ended).collect();
        let mut action_events = end_each(&mut tx, &ends).await?;
        let ended: HashMap<Uuid, i32> = action_events
            .iter()
            .map(|event| (event.id, event.attempts))
            .collect();
        // They were not wanted by what a worker knew, and were requested meanwhile: judged again.
        let left = settlements
            .iter()
            .filter(|settled| !ended.contains_key(&settled.id) && settled.wanted.is_some());
        let left: Vec<(Uuid, Uuid)> = left.map(|settled| (settled.id, settled.lease)).collect();
        if !left.is_empty() {
            give_back(&mut tx, &left, Duration::ZERO).await?;
        }
        let attempts: Vec<_> = settlements
            .iter()
            .filter_map(|settled| Some(((settled.id, *ended.get(&settled.id)?), settled)))
            .filter_map(|(number, settled)| Some((number, settled.attempt.as_ref()?)))
            .collect();
        record(&mut tx, &attempts, now).await?;
        for index in 0..action_events.len() {
            if matches!(
                action_events[index].state,
                ActionState::Refused | ActionState::Failed | ActionState::Cancelled
            ) {
                let cancelled = cancel_followers(&mut tx, &action_events[index]).await?;
                action_events.extend(cancelled);
            }
        }
        let done = action_events.iter().filter(|event| {
            event.state == ActionState::Done
                || (event.state == ActionState::Parked && event.deed == "park")
        });
        go_on(&mut tx, &done.map(|event| event.id).collect::<Vec<_>>()).await?;
        self.commit_with_events(tx, &action_events, now).await?;
        let is_ours = |settled: &Settlement| ended.contains_key(&settled.id);
        Ok(settlements.iter().map(is_ours).collect())
    }

    /// Commits changes with the events that report them, and announces these.
    pub(super) async fn commit_with_events(
        &self,
        mut tx: Transaction<'_>,
        action_events: &[ActionEvent],
        now: DateTime<Utc>,
    ) -> Result<(), JournalError> {
        if !action_events.is_empty() {
            self.append_action_events(&mut tx, action_events, now)
                .await?;
        }
        tx.commit().await?;
        self.announce(action_events);
        Ok(())
    }

    /// Appends the events to the journal in the same transaction as the changes that they report.
    pub(super) async fn append_action_events(
        &self,
        tx: &mut Connection,
        action_events: &[ActionEvent],
        now: DateTime<Utc>,
    ) -> Result<(), JournalError> {
        let batch = NewBatch {
            id: self.ids.next(),
            source: Source::Act,
            lane: Lane::Live,
            part_of: None,
            received_at: now,
            requests: Vec::new(),
            events: action_events
                .iter()
                .map(|action| action.event(now))
                .collect(),
            quarantined: Vec::new(),
        };
        append_in(tx, &batch)
            .await?
            .map(drop)
            // A new id cannot be there already.
            .ok_or(JournalError::Inconsistent {
                table: "batches",
                column: "id",
            })
    }

    /// Logs and counts what was committed, and wakes the workers.
    pub(super) fn announce(&self, action_events: &[ActionEvent]) {
        for action in action_events {
            action.log();
        }
        self.journal.wake_readers();
        // The next of its chain may be due now.
        self.wake();
    }

    /// Gives a claim back because Konnect refuses the token or a call of the deed: it is stored,
    /// and counts as no attempt. The same refusal again and again is stored once.
    pub(super) async fn refused(
        &self,
        claimed: &Claimed,
        reason: &str,
        attempt: &AttemptRecord,
    ) -> Result<(), JournalError> {
        let mut tx = self.pool().begin().await?;
        let is_ours = sqlx::query_scalar!(
            r"
            UPDATE actions
            SET
                state = 'planned',
                reason = $3,
                lease = NULL,
                leased_until = NULL,
                next_attempt_at = now(),
                updated_at = now()
            WHERE id = $1 AND lease = $2
            RETURNING id
            ",
            claimed.row.id,
            claimed.row.lease,
            reason,
        )
        .fetch_optional(&mut *tx)
        .await?
        .is_some();
        let last = sqlx::query!(
            r#"
            SELECT
                (array_agg(outcome ORDER BY started_at DESC, ended_at DESC))[1] AS outcome,
                (array_agg(request ORDER BY started_at DESC, ended_at DESC))[1] AS request,
                COALESCE(LEAST(min(number), 0), 0) AS "lowest!"
            FROM attempts
            WHERE action = $1
            "#,
            claimed.row.id,
        )
        .fetch_one(&mut *tx)
        .await?;
        let request = attempt.call.map(Call::request);
        if is_ours && (last.outcome.as_deref() != Some(attempt.outcome) || last.request != request)
        {
            // Attempts that count have the numbers from 1.
            let number = last.lowest - 1;
            let now = self.clock.now();
            record(&mut tx, &[((claimed.row.id, number), attempt)], now).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Plans another attempt after `wait`, of which `trouble` has causes outside of the action.
    pub(super) async fn postpone(
        &self,
        claimed: &Claimed,
        (wait, trouble): (Duration, Duration),
        attempt: &AttemptRecord,
    ) -> Result<(), JournalError> {
        let mut tx = self.pool().begin().await?;
        let attempts = sqlx::query_scalar!(
            r"
            UPDATE actions
            SET
                state = 'planned',
                reason = $3,
                attempts = attempts + 1,
                lease = NULL,
                leased_until = NULL,
                next_attempt_at = now() + make_interval(secs => $4),
                trouble = trouble + make_interval(secs => $5),
                outlasted = outlasted + ($5 > 0)::integer,
                updated_at = now()
            WHERE id = $1 AND lease = $2
            RETURNING attempts
            ",
            claimed.row.id,
            claimed.row.lease,
            attempt.detail,
            wait.as_secs_f64(),
            trouble.as_secs_f64(),
        )
        .fetch_optional(&mut *tx)
        .await?;
        // A week of the same would be thousands of rows.
        let is_kept = |number: i32| number <= KEPT_ONE_BY_ONE || number % KEPT_OF_THE_REST == 0;
        if let Some(number) = attempts.filter(|number| is_kept(*number)) {
            record(
                &mut tx,
                &[((claimed.row.id, number), attempt)],
                self.clock.now(),
            )
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

/// Stores attempts, each with the id of its action and its number.
async fn record(
    tx: &mut Connection,
    attempts: &[((Uuid, i32), &AttemptRecord)],
    now: DateTime<Utc>,
) -> Result<(), JournalError> {
    let records = || attempts.iter().map(|(_, attempt)| attempt);
    let calls = || records().map(|attempt| attempt.call);
    sqlx::query!(
        r"
        INSERT INTO attempts (
            action, number, started_at, ended_at, request, status, outcome, detail
        )
        SELECT action, number, started_at, $3, request, status, outcome, detail
        FROM UNNEST(
            $1::uuid[], $2::integer[], $4::timestamptz[], $5::text[], $6::smallint[], $7::text[],
            $8::text[]
        ) AS t (action, number, started_at, request, status, outcome, detail)
        ",
        &attempts
            .iter()
            .map(|((action, _), _)| *action)
            .collect::<Vec<_>>(),
        &attempts
            .iter()
            .map(|((_, number), _)| *number)
            .collect::<Vec<_>>(),
        now,
        &records()
            .map(|attempt| attempt.started_at)
            .collect::<Vec<_>>(),
        &calls()
            .map(|call| call.map(Call::request))
            .collect::<Vec<_>>() as &[Option<String>],
        &calls()
            .map(|call| i16::try_from(call?.status?).ok())
            .collect::<Vec<_>>() as &[Option<i16>],
        &records()
            .map(|attempt| attempt.outcome.to_owned())
            .collect::<Vec<_>>(),
        &records()
            .map(|attempt| attempt.detail.clone())
            .collect::<Vec<_>>() as &[Option<String>],
    )
    .execute(tx)
    .await?;
    Ok(())
}
