//! Puts what a person asks for into the queue: one action without a rule, with the note of who
//! asked. The worker carries it out like any other, past limits and `park`.

use uuid::Uuid;

use crate::act::action_event::ActionEvent;
use crate::act::ask::{Ask, Askable, Asked};
use crate::act::outcome::TRIES;
use crate::act::person::Person;
use crate::act::vetoes;
use crate::act::{ActionState, Queue};
use crate::directory::Directory;
use crate::journal::{Connection, JournalError};
use crate::rules::{BY_HAND, Deed};

/// What such an action answers instead of a signal. No rule can be on it, so that no rule judges
/// the action.
const SIGNAL: &str = "person.asked";
/// The word for the intervention.
const VERB: &str = "ask";

impl Queue {
    /// Asks for a deed in the name of `person`, where the directory has its target in the right
    /// status. An action for the same that is open is let through instead. Open actions for the
    /// opposite are cancelled as if the person had cancelled them.
    pub async fn ask(
        &self,
        directory: &Directory,
        ask: &Ask,
        person: &Person,
    ) -> Result<Asked, JournalError> {
        let found = match ask.find(directory).await? {
            Ok(found) => found,
            Err(why) => return Ok(Asked::Refused(why)),
        };
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_ask(ask, &found, person).await {
                Err(JournalError::Repeat(_)) if tries < TRIES => {}
                outcome => return outcome,
            }
        }
    }

    async fn try_ask(
        &self,
        ask: &Ask,
        found: &Askable,
        person: &Person,
    ) -> Result<Asked, JournalError> {
        let now = self.clock.now();
        self.journal.ensure_partitions([now]).await?;
        let new = new_action(self.ids.next(), ask, found, person);
        // What the person asked is the event that leads to the action.
        let cause = new.event(now).event.id.as_uuid();
        let mut tx = self.pool().begin().await?;
        let mut action_events = self.cancel_opposites(&mut tx, ask, person).await?;
        let is_new = insert(&mut tx, &new, ask, (found, cause)).await?;
        let id = if is_new {
            new.id
        } else {
            let_through(&mut tx, ask).await?
        };
        action_events.extend(Some(new).filter(|_| is_new));
        vetoes::lift(&mut tx, id, person).await?;
        if let Deed::RemoveFromTeam { team } = &ask.deed {
            // Else the rule that made the membership would make it again.
            let join = Deed::AddToTeam {
                team: team.clone(),
                create: false,
            };
            self.veto(&mut tx, id, Some(&join), person).await?;
        }
        self.note_intervention(&mut tx, (id, VERB), person, None)
            .await?;
        self.commit_with_events(tx, &action_events, now).await?;
        Ok(if is_new {
            Asked::New(id)
        } else {
            Asked::Open(id)
        })
    }

    /// Cancels what is open for the opposite and was never written, so that the two do not meet.
    async fn cancel_opposites(
        &self,
        tx: &mut Connection,
        ask: &Ask,
        person: &Person,
    ) -> Result<Vec<ActionEvent>, JournalError> {
        let opposites: Vec<String> = ask.deed.opposites().iter().map(Deed::key).collect();
        let open = sqlx::query_scalar!(
            r"
            SELECT id
            FROM actions
            WHERE portal_id = $1 AND target_id = $2 AND deed_key = ANY($3)
                AND state IN ('planned', 'parked') AND write_sent_at IS NULL
            ORDER BY id
            FOR UPDATE
            ",
            ask.portal_id,
            ask.target_id,
            &opposites,
        )
        .fetch_all(&mut *tx)
        .await?;
        let mut action_events = Vec::new();
        for id in open {
            action_events.extend(self.cancel_by_hand(&mut *tx, id, person).await?);
        }
        Ok(action_events)
    }
}

/// The new action, as its event reports it.
fn new_action(id: Uuid, ask: &Ask, found: &Askable, person: &Person) -> ActionEvent {
    let reason = match &person.reason {
        Some(reason) => format!("asked for by hand: {reason}"),
        None => "asked for by hand".to_owned(),
    };
    ActionEvent {
        id,
        rule: BY_HAND.to_owned(),
        deed: ask.deed.name().to_owned(),
        target: found.target,
        portal_id: ask.portal_id,
        signal: SIGNAL.to_owned(),
        state: ActionState::Planned,
        reason: Some(reason),
        attempts: 0,
        causes: Vec::new(),
        revision: 0,
        report: None,
    }
}

/// Inserts the action; `false` where one for the same is open. Each asking is a signal of its own,
/// so that what was done once can be asked for again.
async fn insert(
    tx: &mut Connection,
    new: &ActionEvent,
    ask: &Ask,
    (found, cause): (&Askable, Uuid),
) -> Result<bool, JournalError> {
    let spec = serde_json::to_value(&ask.deed).expect("a deed has only string keys");
    let done = sqlx::query!(
        r"
        INSERT INTO actions (
            id, rule, deed, deed_key, spec, target_kind, target_id, portal_id, application_id,
            signal, signal_key, state, reason, causes, facts, chain_id, step,
            limit_per_hour, on_limit, next_attempt_at, started_at
        )
        VALUES (
            $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'planned', $12, $13, $14, $1, 0,
            0, 'delay', now(), now()
        )
        ON CONFLICT DO NOTHING
        ",
        new.id,
        new.rule,
        new.deed,
        ask.deed.key(),
        spec,
        found.target.kind(),
        found.target.id(),
        new.portal_id,
        found.target.parent(),
        new.signal,
        new.id.to_string(),
        new.reason,
        &[cause],
        found.facts,
    )
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Lets the open action for the same be claimed, whatever the limit of its rule; what waits for an
/// earlier deed goes on waiting for that.
async fn let_through(tx: &mut Connection, ask: &Ask) -> Result<Uuid, JournalError> {
    let open = sqlx::query_scalar!(
        r"
        UPDATE actions
        SET
            state = CASE WHEN state = 'running' THEN state ELSE 'planned' END,
            reason = CASE WHEN state = 'running' THEN reason END,
            waits_on = CASE WHEN waits_on = 'step' THEN waits_on END,
            next_attempt_at = CASE
                WHEN state = 'running' OR waits_on = 'step' THEN next_attempt_at
                ELSE now()
            END,
            started_at = COALESCE(started_at, now()),
            -- Whoever has it in hand and ends it as unwanted judges it again.
            wanted = wanted + (state = 'running')::integer,
            updated_at = now()
        WHERE portal_id = $1 AND target_id = $2 AND deed_key = $3
            AND state IN ('planned', 'running', 'parked')
        RETURNING id
        ",
        ask.portal_id,
        ask.target_id,
        ask.deed.key(),
    )
    .fetch_optional(tx)
    .await?;
    // It ended since: the next try makes a new one.
    open.ok_or(JournalError::Repeat(sqlx::Error::RowNotFound))
}

#[cfg(test)]
mod tests {
    use super::SIGNAL;
    use crate::event::SignalKind;

    #[test]
    fn no_rule_is_on_what_people_ask_for() {
        assert!(SIGNAL.parse::<SignalKind>().is_err());
    }
}
