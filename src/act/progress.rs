//! The progress of a run of usher: which actions of some portals ended since it began, and which of
//! the open ones can end soon.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use konnect::PortalId;
use uuid::Uuid;

use crate::act::list::ActionRow;
use crate::act::{Action, Forbidden, Queue};
use crate::journal::JournalError;

/// The start of a run: actions count from then, and those that were open then.
#[derive(Debug, Clone)]
pub struct RunStart {
    portals: Vec<Uuid>,
    /// By the database's clock.
    began: DateTime<Utc>,
    open: Vec<Uuid>,
}

/// The states of a run's actions.
#[derive(Debug, Default)]
pub struct ActionCounts {
    /// Those that ended and were not reported before.
    pub ended: Vec<Action>,
    /// Those that are being done, or due soon.
    pub moving: usize,
    /// Those of a kind that Konnect forbids.
    pub forbidden: usize,
    /// Those over the limit of their rule, which wait for their time.
    pub delayed: usize,
    /// Those that wait for one that is parked, delayed or forbidden.
    pub held_up: usize,
}

impl Queue {
    /// Begins to count the actions of `portals`: what is open now, and what is decided from now on.
    pub async fn mark(&self, portals: &[PortalId]) -> Result<RunStart, JournalError> {
        let portals: Vec<Uuid> = portals.iter().map(|portal| portal.0).collect();
        let began = sqlx::query_scalar!(r#"SELECT now() AS "now!""#)
            .fetch_one(self.pool())
            .await?;
        let open = sqlx::query_scalar!(
            r"
            SELECT id
            FROM actions
            WHERE state IN ('planned', 'running') AND portal_id = ANY($1)
            ",
            &portals,
        )
        .fetch_all(self.pool())
        .await?;
        Ok(RunStart {
            portals,
            began,
            open,
        })
    }

    /// The states of the actions since `mark`. `told` has the ids of those that were reported as
    /// ended, and is added to; deeds of the `forbidden` kinds cannot end soon.
    pub async fn standings(
        &self,
        mark: &RunStart,
        told: &mut BTreeSet<Uuid>,
        forbidden: &[Forbidden],
    ) -> Result<ActionCounts, JournalError> {
        // Asked first: an action that ends between the two queries is reported the next time.
        let mut standings = self.open(mark, forbidden).await?;
        let rows = sqlx::query_as!(
            ActionRow,
            r"
            SELECT
                id, rule, deed, target_kind, target_id, application_id, state, attempts, causes,
                reason, report, portal_id, created_at, updated_at
            FROM actions
            WHERE portal_id = ANY($1)
                AND state NOT IN ('planned', 'running')
                AND (created_at >= $2 OR id = ANY($3))
                AND NOT id = ANY($4)
            ORDER BY updated_at, id
            ",
            &mark.portals,
            mark.began,
            &mark.open,
            &told.iter().copied().collect::<Vec<_>>(),
        )
        .fetch_all(self.pool())
        .await?;
        for row in rows {
            let action = Action::try_from(row)?;
            told.insert(action.id);
            standings.ended.push(action);
        }
        Ok(standings)
    }

    async fn open(
        &self,
        mark: &RunStart,
        forbidden: &[Forbidden],
    ) -> Result<ActionCounts, JournalError> {
        let rows = sqlx::query!(
            r#"
            SELECT
                a.id, a.waits_for, a.deed, a.portal_id,
                -- The limit of a rule puts off who was told so, a far date anything.
                a.state = 'planned' AND CASE a.waits_on
                    WHEN 'limit' THEN a.reason IS NOT NULL
                    WHEN 'step' THEN false
                    ELSE a.next_attempt_at > now() + interval '2 minutes'
                END AS "delayed!",
                COALESCE(before.state = 'parked' AND before.deed <> 'park', false) AS "held_up!"
            FROM actions a
            LEFT JOIN actions before ON before.id = a.waits_for
            WHERE a.portal_id = ANY($1) AND a.state IN ('planned', 'running')
            "#,
            &mark.portals,
        )
        .fetch_all(self.pool())
        .await?;
        let mut standings = ActionCounts::default();
        let mut stuck: BTreeSet<Uuid> = BTreeSet::new();
        let mut waiting: BTreeMap<Uuid, Option<Uuid>> = BTreeMap::new();
        for row in rows {
            let is_forbidden = forbidden.iter().any(|Forbidden { kind, .. }| {
                kind.deed == row.deed && kind.portal_id == row.portal_id
            });
            if is_forbidden {
                standings.forbidden += 1;
                stuck.insert(row.id);
            } else if row.delayed || row.held_up {
                standings.delayed += usize::from(row.delayed);
                standings.held_up += usize::from(!row.delayed);
                stuck.insert(row.id);
            } else {
                waiting.insert(row.id, row.waits_for);
            }
        }
        loop {
            let before = waiting.len();
            waiting.retain(|id, waits_for| {
                let held_up = waits_for.is_some_and(|before| stuck.contains(&before));
                if held_up {
                    stuck.insert(*id);
                }
                !held_up
            });
            standings.held_up += before - waiting.len();
            if waiting.len() == before {
                break;
            }
        }
        standings.moving = waiting.len();
        Ok(standings)
    }
}
