//! Ends a developer's membership of a team. Who is no member needs no write.

use serde_json::json;

use crate::act::decide::not_one;
use crate::act::deeds::team::{self, Found};
use crate::act::deeds::{Bench, Doing, Outcome};
use crate::act::trouble::Trouble;
use crate::rules::TeamRef;

pub(super) async fn carry_out(bench: &Bench<'_>, team: &TeamRef) -> Result<Outcome, Trouble> {
    let developer = team::developer(bench)?;
    let found = team::find(bench, team).await?;
    let Found::One(id) = found else {
        let why = not_one(team, false, |_| found.count());
        return Ok(Outcome::Parked(why.unwrap_or_default()));
    };
    if !team::is_member(bench, id, developer).await? {
        if bench.claimed.write_sent {
            team::left(bench, id, developer).await?;
        }
        return Ok(bench.held("no member"));
    }
    bench.sending_with(&json!({ "team_id": id })).await?;
    let teams = bench.client.teams(bench.portal());
    teams
        .remove_member(id, developer)
        .await
        .map_err(Trouble::Api)?;
    team::left(bench, id, developer).await?;
    Ok(Outcome::Done(Doing::Written))
}
