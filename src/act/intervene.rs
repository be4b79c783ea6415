//! What a person may ask of one action: approve or reject a parked one, cancel an open one, try a
//! failed one again. Each is one transaction with the note of who asked.

use std::fmt;
use std::str::FromStr;

use crate::journal::Connection;
use serde_json::Value;
use uuid::Uuid;

use crate::act::action_event::ActionEvent;
use crate::act::end::{ActionEnd, end};
use crate::act::followers::cancel_followers;
use crate::act::outcome::TRIES;
use crate::act::person::Person;
use crate::act::vetoes;
use crate::act::{ActionState, Queue, Target, UnknownState};
use crate::http::PortalScope;
use crate::journal::JournalError;
use crate::rules::Deed;

/// What is asked of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Carry out what is parked, whatever the limit of its rule. Where a rule parked the target
    /// itself: approve the target. Where Konnect has no approval of it, such as of an application,
    /// the action is done.
    Approve,
    /// Do not carry out what is parked. Where a rule parked the target itself: reject the target.
    Reject,
    /// Decide again what failed, was cancelled, or was refused for a person's decision, with its
    /// followers.
    Retry,
    /// Cancel what is planned or parked, with its followers.
    Cancel,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 4] = [Self::Approve, Self::Reject, Self::Retry, Self::Cancel];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Retry => "retry",
            Self::Cancel => "cancel",
        }
    }

    /// The states from which it can be done; the first is what it is for.
    pub const fn starting_states(self) -> &'static [ActionState] {
        match self {
            Self::Approve | Self::Reject => &[ActionState::Parked],
            Self::Retry => &[
                ActionState::Failed,
                ActionState::Cancelled,
                ActionState::Refused,
            ],
            Self::Cancel => &[ActionState::Planned, ActionState::Parked],
        }
    }

    /// The deed that is done in answer to a rule which parked the target itself: there the deed was
    /// to ask.
    pub fn answer(self, deed: &str, target: Target) -> Option<Deed> {
        if deed != "park" {
            return None;
        }
        match (self, target) {
            (Self::Approve, Target::Developer { .. }) => Some(Deed::ApproveDeveloper),
            (Self::Approve, Target::Registration { .. }) => Some(Deed::ApproveRegistration),
            (Self::Reject, Target::Developer { .. }) => Some(Deed::RejectDeveloper),
            (Self::Reject, Target::Registration { .. }) => Some(Deed::RejectRegistration),
            (
                Self::Approve | Self::Reject,
                Target::Application { .. }
                | Target::Invitee { .. }
                | Target::Portal { .. }
                | Target::Usher,
            )
            | (Self::Retry | Self::Cancel, _) => None,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Verb {
    type Err = UnknownState;

    fn from_str(word: &str) -> Result<Self, UnknownState> {
        let found = Self::ALL.into_iter().find(|verb| verb.as_str() == word);
        found.ok_or(UnknownState)
    }
}

/// The result of an intervention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intervened {
    /// It was done; with the action that replaces this one, which a retry and an approved parking
    /// make anew.
    Done(Uuid),
    /// There is no such action.
    Unknown,
    /// The action is in a state in which that cannot be done.
    WrongState(ActionState),
    /// Another action for the same is open, or was carried out.
    Taken,
    /// What it waits for was not done.
    Blocked,
}

impl Intervened {
    /// Why `verb` was not done, for a person; empty where it was.
    pub fn refusal(self, verb: Verb) -> String {
        match self {
            Self::WrongState(state) => {
                let from: Vec<&str> = verb.starting_states().iter().map(|s| s.as_str()).collect();
                let instead = match (verb, state) {
                    (Verb::Reject, ActionState::Planned) => ": cancel is for this one",
                    _ => "",
                };
                format!(
                    "the action is {state}, and {verb} is for one that is {}{instead}",
                    from.join(" or ")
                )
            }
            Self::Taken => {
                "another action for the same is open or was carried out already".to_owned()
            }
            Self::Blocked => {
                "what it waits for was not done: retry that action, this one follows".to_owned()
            }
            Self::Unknown => "there is no action with this id".to_owned(),
            Self::Done(_) => String::new(),
        }
    }
}

struct LockedAction {
    state: ActionState,
    deed: String,
    target: Target,
    waits_in_vain: bool,
}

impl Queue {
    /// Does `verb` to the action, in the name of `person`.
    pub async fn intervene(
        &self,
        id: Uuid,
        verb: Verb,
        person: &Person,
    ) -> Result<Intervened, JournalError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_intervene(id, verb, person).await {
                Err(JournalError::Repeat(_)) if tries < TRIES => {}
                outcome => return outcome,
            }
        }
    }

    async fn try_intervene(
        &self,
        id: Uuid,
        verb: Verb,
        person: &Person,
    ) -> Result<Intervened, JournalError> {
        let now = self.clock.now();
        self.journal.ensure_partitions([now]).await?;
        let mut tx = self.pool().begin().await?;
        let Some(standing) = lock(&mut tx, id, self.portals()).await? else {
            return Ok(Intervened::Unknown);
        };
        if !verb.starting_states().contains(&standing.state) {
            return Ok(Intervened::WrongState(standing.state));
        }
        let mut action_events = Vec::new();
        let mut successor = None;
        match (verb, verb.answer(&standing.deed, standing.target)) {
            (Verb::Retry, _) if standing.waits_in_vain => return Ok(Intervened::Blocked),
            (Verb::Retry, _) => {
                vetoes::lift(&mut tx, id, person).await?;
                if standing.state == ActionState::Refused {
                    // A refusal excludes every other action for the same.
                    let reason = by_hand(verb, person);
                    action_events
                        .push(end_one(&mut tx, id, ActionState::Cancelled, &reason).await?);
                }
                successor = self.decide_again(&mut tx, id).await?;
                if successor.is_none() {
                    return Ok(Intervened::Taken);
                }
            }
            (_, Some(deed)) => {
                let made = self.ids.next();
                if !copy(&mut tx, id, &Copy::of(made, &deed)).await? {
                    return Ok(Intervened::Taken);
                }
                vetoes::lift(&mut tx, made, person).await?;
                successor = Some(made);
                action_events
                    .push(end_one(&mut tx, id, ActionState::Done, &by_hand(verb, person)).await?);
            }
            (Verb::Approve, None) if standing.deed == "park" => {
                // A person's attention was all that was asked; to release it would only park it
                // again.
                let reason = format!("{}; nothing was to be done", by_hand(verb, person));
                action_events.push(end_one(&mut tx, id, ActionState::Done, &reason).await?);
            }
            (Verb::Approve, None) => {
                vetoes::lift(&mut tx, id, person).await?;
                release(&mut tx, id).await?;
            }
            (Verb::Reject | Verb::Cancel, None) => {
                let reason = by_hand(verb, person);
                action_events.extend(self.say_no(&mut tx, (id, &reason), person).await?);
            }
        }
        self.note_intervention(&mut tx, (id, verb.as_str()), person, successor)
            .await?;
        self.commit_with_events(tx, &action_events, now).await?;
        Ok(Intervened::Done(successor.unwrap_or(id)))
    }

    /// Cancels an action that the caller has locked, because the person asked for its opposite.
    pub(super) async fn cancel_by_hand(
        &self,
        tx: &mut Connection,
        id: Uuid,
        person: &Person,
    ) -> Result<Vec<ActionEvent>, JournalError> {
        let reason = by_hand(Verb::Cancel, person);
        let action_events = self.say_no(&mut *tx, (id, &reason), person).await?;
        self.note_intervention(&mut *tx, (id, Verb::Cancel.as_str()), person, None)
            .await?;
        Ok(action_events)
    }

    /// Cancels an action with its followers; a veto where its deed gives something.
    async fn say_no(
        &self,
        tx: &mut Connection,
        (id, reason): (Uuid, &str),
        person: &Person,
    ) -> Result<Vec<ActionEvent>, JournalError> {
        let mut action_events = vec![end_one(&mut *tx, id, ActionState::Cancelled, reason).await?];
        action_events.extend(cancel_followers(&mut *tx, &action_events[0]).await?);
        self.veto(&mut *tx, id, None, person).await?;
        Ok(action_events)
    }

    /// Stores what a person did about an action, by its word.
    pub(super) async fn note_intervention(
        &self,
        tx: &mut Connection,
        (action, verb): (Uuid, &str),
        person: &Person,
        successor: Option<Uuid>,
    ) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            INSERT INTO interventions (id, action, verb, by_whom, reason, successor)
            VALUES ($1, $2, $3, $4, $5, $6)
            ",
            self.ids.next(),
            action,
            verb,
            person.name,
            person.reason,
            successor,
        )
        .execute(tx)
        .await?;
        Ok(())
    }

    /// Makes new actions for `id` and for the followers cancelled with it; returns the first of
    /// them, or none where another action excludes it.
    async fn decide_again(
        &self,
        tx: &mut Connection,
        id: Uuid,
    ) -> Result<Option<Uuid>, JournalError> {
        let chain = sqlx::query_scalar!(
            r#"
            WITH RECURSIVE chain AS (
                SELECT id, 0 AS place
                FROM actions
                WHERE id = $1
                UNION ALL
                SELECT a.id, chain.place + 1
                FROM actions a
                JOIN chain ON a.waits_for = chain.id
                WHERE a.state = 'cancelled'
            )
            SELECT id AS "id!"
            FROM chain
            ORDER BY place, id
            "#,
            id,
        )
        .fetch_all(&mut *tx)
        .await?;
        let chain_id = self.ids.next();
        let mut first = None;
        let mut last = None;
        for old in chain {
            let made = self.ids.next();
            let step = Copy {
                id: made,
                deed: None,
                chain: Some((chain_id, last)),
            };
            if copy(&mut *tx, old, &step).await? {
                first = first.or(Some(made));
                last = Some(made);
            } else if first.is_none() {
                return Ok(None);
            }
        }
        Ok(first)
    }
}

/// The reason that is stored with the action and reported in its event: without a name.
fn by_hand(verb: Verb, person: &Person) -> String {
    let done = match verb {
        Verb::Approve => "approved by hand",
        Verb::Reject => "rejected by hand",
        Verb::Retry => "tried again by hand",
        Verb::Cancel => "called off by hand",
    };
    match &person.reason {
        Some(reason) => format!("{done}: {reason}"),
        None => done.to_owned(),
    }
}

/// Locks the action, so that no worker claims it meanwhile; none where it is of another portal.
async fn lock(
    tx: &mut Connection,
    id: Uuid,
    portals: &PortalScope,
) -> Result<Option<LockedAction>, JournalError> {
    let row = sqlx::query!(
        r#"
        SELECT
            a.state, a.deed, a.target_kind, a.target_id, a.application_id,
            before.id IS NOT NULL
                AND NOT usher_lets_go_on(before.state, before.deed) AS "waits_in_vain!"
        FROM actions a
        LEFT JOIN actions before ON before.id = a.waits_for
        WHERE a.id = $1 AND ($2::uuid[] IS NULL OR a.portal_id = ANY($2))
        FOR UPDATE OF a
        "#,
        id,
        portals.ids(),
    )
    .fetch_optional(tx)
    .await?;
    let inconsistent = |column| JournalError::Inconsistent {
        table: "actions",
        column,
    };
    row.map(|row| {
        Ok(LockedAction {
            state: row.state.parse().map_err(|_| inconsistent("state"))?,
            deed: row.deed,
            target: Target::from_columns(&row.target_kind, row.target_id, row.application_id)
                .ok_or_else(|| inconsistent("target_kind"))?,
            waits_in_vain: row.waits_in_vain,
        })
    })
    .transpose()
}

/// Lets a parked action be claimed, whatever the limit of its rule.
async fn release(tx: &mut Connection, id: Uuid) -> Result<(), JournalError> {
    sqlx::query!(
        r"
        UPDATE actions
        SET
            state = 'planned',
            reason = NULL,
            waits_on = NULL,
            next_attempt_at = now(),
            -- A human let it through: the limit counts it, but does not hold it up.
            started_at = COALESCE(started_at, now()),
            updated_at = now()
        WHERE id = $1
        ",
        id,
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn end_one(
    tx: &mut Connection,
    id: Uuid,
    state: ActionState,
    reason: &str,
) -> Result<ActionEvent, JournalError> {
    let ended = end(tx, &[(id, ActionEnd::new(state, reason.to_owned()))]).await?;
    // It is locked, so it is there.
    let action_events = ended.into_iter().next();
    action_events.ok_or_else(|| sqlx::Error::RowNotFound.into())
}

/// How a new action differs from its original.
struct Copy {
    id: Uuid,
    /// The word, the key and the whole of another deed.
    deed: Option<(&'static str, String, Value)>,
    /// Another chain, and the action to wait for in it.
    chain: Option<(Uuid, Option<Uuid>)>,
}

impl Copy {
    fn of(id: Uuid, deed: &Deed) -> Self {
        let spec = serde_json::to_value(deed).expect("a deed has only string keys");
        Self {
            id,
            deed: Some((deed.name(), deed.key(), spec)),
            chain: None,
        }
    }
}

/// Makes a new action of an old one; `false` where one for the same is open or was carried out.
async fn copy(tx: &mut Connection, old: Uuid, step: &Copy) -> Result<bool, JournalError> {
    let deed = step.deed.as_ref();
    let waits_for = step.chain.and_then(|(_, waits_for)| waits_for);
    let done = sqlx::query!(
        r"
        INSERT INTO actions (
            id, rule, deed, deed_key, spec, target_kind, target_id, portal_id, application_id,
            signal, signal_key, state, causes, facts, chain_id, step, waits_for,
            limit_per_hour, on_limit, next_attempt_at, started_at
        )
        SELECT
            $2, rule, COALESCE($3, deed), COALESCE($4, deed_key), COALESCE($5, spec), target_kind,
            target_id, portal_id, application_id, signal, signal_key, 'planned', causes, facts,
            COALESCE($6, chain_id), step, COALESCE($7, waits_for), limit_per_hour, on_limit, now(),
            -- A human let it through: the limit counts it, but does not hold it up.
            now()
        FROM actions
        WHERE id = $1
        ON CONFLICT DO NOTHING
        ",
        old,
        step.id,
        deed.map(|(name, _, _)| *name),
        deed.map(|(_, key, _)| key.as_str()),
        deed.map(|(_, _, spec)| spec),
        step.chain.map(|(chain, _)| chain),
        waits_for,
    )
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

#[cfg(test)]
mod tests {
    use super::Verb;

    #[test]
    fn every_verb_reads_back() {
        for verb in Verb::ALL {
            assert_eq!(verb.as_str().parse(), Ok(verb));
        }
    }
}
