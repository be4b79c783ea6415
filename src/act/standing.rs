//! The standing of a deed before it is decided: whether it was done already, and what would delay
//! it. Reads only.

use std::time::Duration;

use chrono::TimeDelta;
use konnect::{DeveloperId, PortalId, TeamId};
use uuid::Uuid;

use crate::act::list::ActionRow;
use crate::act::{Action, NewChain, NewStep, Queue};
use crate::directory::Directory;
use crate::event::MembershipChange;
use crate::journal::JournalError;
use crate::rules::{Deed, TeamRef};

/// A change found this long after a write of usher is taken for its effect: the full sweep comes
/// every hour.
pub const OWN_WITHIN: Duration = Duration::from_hours(2);
/// The database's clock and that of this process may differ by this much.
const SKEW: TimeDelta = TimeDelta::minutes(1);

impl Queue {
    /// The action because of which this step would not be enqueued again. It is open and for the
    /// same deed, or it ended, also by a veto, and answered the same signal.
    pub async fn standing(
        &self,
        chain: &NewChain,
        step: &NewStep,
    ) -> Result<Option<Action>, JournalError> {
        let row = sqlx::query_as!(
            ActionRow,
            r"
            SELECT
                id, rule, deed, target_kind, target_id, application_id, state, attempts, causes,
                reason, report, portal_id, created_at, updated_at
            FROM actions
            WHERE deed_key = $1 AND portal_id = $2 AND target_id = $3
                AND (deed <> 'notify' OR (rule = $4 AND signal_key = $5))
                AND (
                    state IN ('planned', 'running', 'parked')
                    OR (state IN ('done', 'refused') AND rule = $4 AND signal_key = $5)
                    OR (
                        state = 'cancelled' AND rule = $4 AND signal_key = $5 AND usher_no_holds(id)
                    )
                )
            -- The rule's own action first, then the open one of another rule.
            ORDER BY (rule = $4 AND signal_key = $5) DESC, id DESC
            LIMIT 1
            ",
            step.deed.key(),
            chain.portal_id,
            step.target.id(),
            chain.doer(step),
            chain.signal_key,
        )
        .fetch_optional(self.pool())
        .await?;
        row.map(TryInto::try_into).transpose()
    }

    /// How many deeds of a rule count against its limit now.
    pub async fn started_within_the_hour(&self, rule: &str) -> Result<i64, JournalError> {
        Ok(sqlx::query_scalar!(
            r#"
            SELECT count(*) AS "count!"
            FROM actions
            WHERE rule = $1 AND deed <> 'park' AND started_at > now() - interval '1 hour'
            "#,
            rule,
        )
        .fetch_one(self.pool())
        .await?)
    }

    /// Whether sweeps found that `developer` left `team` and no deed of usher explains it: the
    /// membership is not to be made again, whoever made it.
    pub async fn ended_by_somebody(
        &self,
        directory: &Directory,
        (portal, developer): (PortalId, DeveloperId),
        team: TeamId,
    ) -> Result<bool, JournalError> {
        let end = directory.membership_end(portal, team, developer).await?;
        let Some(end) = end.filter(|end| !end.by_deed) else {
            return Ok(false);
        };
        // A deed may have stopped between its write and the note in the directory.
        let whose = (portal.0, developer.0);
        let left = MembershipChange::Left(team.0);
        let lately = (OWN_WITHIN, Some(end.at + SKEW));
        let explained = self.changed_membership_lately(whose, left, lately);
        Ok(!explained.await?)
    }

    /// Whether usher made `developer` a member of `team` by any action but `except`, and did not
    /// end that itself since. If so, a developer who is no member any more was removed by a person.
    /// One team may be named in two ways, so the reports of actions say which one they found.
    pub async fn made_member(
        &self,
        portal_id: Uuid,
        developer: Uuid,
        team: Uuid,
        (deed, except): (&Deed, Uuid),
    ) -> Result<bool, JournalError> {
        let by_id = Deed::AddToTeam {
            team: TeamRef::Id(team),
            create: false,
        };
        Ok(sqlx::query_scalar!(
            r#"
            SELECT EXISTS (
                SELECT
                FROM actions a
                WHERE a.portal_id = $1 AND a.target_id = $2 AND a.deed = 'add_to_team'
                    AND a.state = 'done' AND a.id <> $5
                    -- Those of an older usher do not say which team they found.
                    AND COALESCE(a.report ->> 'team_id' = $3, a.deed_key = ANY($4))
                    AND NOT EXISTS (
                        SELECT
                        FROM actions undone
                        WHERE undone.portal_id = $1 AND undone.target_id = $2
                            AND (
                                undone.deed = 'revoke_developer'
                                OR (
                                    undone.deed = 'remove_from_team'
                                    AND COALESCE(undone.report ->> 'team_id' = $3, true)
                                )
                            )
                            AND undone.state = 'done'
                            AND undone.updated_at > a.updated_at
                    )
            ) AS "exists!"
            "#,
            portal_id,
            developer,
            team.to_string(),
            &[deed.key(), by_id.key()],
            except,
        )
        .fetch_one(self.pool())
        .await?)
    }
}
