//! Ends a developer's membership of a team. A developer who is no member needs no write.

use serde_json::json;

use crate::act::decide::not_one;
use crate::act::deeds::{Completion, DeedContext, Outcome, team};
use crate::act::trouble::Trouble;
use crate::rules::TeamRef;

pub(super) async fn carry_out(
    context: &DeedContext<'_>,
    team: &TeamRef,
) -> Result<Outcome, Trouble> {
    let developer = team::developer(context)?;
    let found = team::find(context, team).await?;
    let [id] = found[..] else {
        let why = not_one(team, false, |_| found.len());
        return Ok(Outcome::Parked(why.unwrap_or_default()));
    };
    if !team::is_member(context, id, developer).await? {
        if context.claimed.row.write_sent {
            team::left(context, id, developer).await?;
        }
        return Ok(context.already_true("no member"));
    }
    context.note_write_with(&json!({ "team_id": id })).await?;
    let teams = context.client.portal(context.portal()).teams();
    teams
        .remove_member(id, developer)
        .await
        .map_err(Trouble::Api)?;
    team::left(context, id, developer).await?;
    Ok(Outcome::Done(Completion::Written))
}
