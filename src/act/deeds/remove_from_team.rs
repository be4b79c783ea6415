//! Ends a developer's membership of a team. Who is no member needs no write.

use serde_json::json;

use crate::act::TeamRef;
use crate::act::deeds::team::{self, Found};
use crate::act::deeds::{Bench, Doing, Outcome};
use crate::act::trouble::Trouble;

pub(super) async fn carry_out(bench: &Bench<'_>, team: &TeamRef) -> Result<Outcome, Trouble> {
    let developer = team::developer(bench)?;
    let id = match team::find(bench, team).await? {
        Found::One(id) => id,
        Found::None => {
            return Ok(Outcome::Parked(
                "the portal has no team of this name".into(),
            ));
        }
        Found::Many(count) => {
            return Ok(Outcome::Parked(format!(
                "the portal has {count} teams of this name"
            )));
        }
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
