//! Makes a developer a member of a team, and the team if asked to. A membership that a human ended
//! is not made again.

use std::time::Duration;

use konnect::{Membership, NewTeam, TeamId};
use serde_json::json;

use crate::act::decide::not_one;
use crate::act::deeds::team::{self, Found};
use crate::act::deeds::{Bench, Doing, Outcome};
use crate::act::trouble::Trouble;
use crate::journal::Lease;
use crate::rules::TeamRef;

/// How long nobody else makes a team of the same name: longer than it takes Konnect to list it.
const MAKING: Duration = Duration::from_secs(10);

pub(super) async fn carry_out(
    bench: &Bench<'_>,
    team: &TeamRef,
    create: bool,
) -> Result<Outcome, Trouble> {
    let developer = team::developer(bench)?;
    let found = team::find(bench, team).await?;
    if let Some(why) = not_one(team, create, |_| found.count()) {
        return Ok(Outcome::Parked(why));
    }
    let id = match (found, team) {
        (Found::One(id), _) => id,
        (_, TeamRef::Name(name)) => make(bench, name).await?,
        (_, TeamRef::Id(id)) => TeamId(*id),
    };
    let report = json!({ "team_id": id });
    let joined = || bench.saw(|seen| seen.memberships.push((id, developer)));
    if team::is_member(bench, id, developer).await? {
        joined();
        bench.found(&report).await?;
        return Ok(bench.held("member"));
    }
    let (portal, claimed) = (bench.portal().0, bench.claimed);
    let this = (&claimed.deed, claimed.id);
    let made = bench.queue.made_member(portal, developer.0, id.0, this);
    let whose = (bench.portal(), developer);
    let ended = bench.queue.ended_by_somebody(bench.directory, whose, id);
    if made.await? || ended.await? {
        return Ok(Outcome::Refused(
            "somebody else ended the membership".into(),
        ));
    }
    bench.sending_with(&report).await?;
    let teams = bench.client.teams(bench.portal());
    let added = teams.add_member(id, developer).await;
    let added = added.map_err(Trouble::Api)?;
    joined();
    match added {
        Membership::Added => Ok(Outcome::Done(Doing::Written)),
        Membership::AlreadyMember => Ok(bench.held("member")),
    }
}

/// Makes the team. Names need not be unique in Konnect, so only one worker at a time does; the
/// others find the team when they look again.
async fn make(bench: &Bench<'_>, name: &str) -> Result<TeamId, Trouble> {
    let lease = Lease {
        name: format!("team/{}/{name}", bench.claimed.portal_id),
        holder: bench.claimed.lease,
        ttl: MAKING,
    };
    if !bench.queue.journal.hold(&lease).await? {
        return Err(Trouble::Busy("the team"));
    }
    bench.sending().await?;
    let team = NewTeam {
        name: name.to_owned(),
        ..NewTeam::default()
    };
    match bench.client.teams(bench.portal()).create(&team).await {
        Ok(made) => {
            let id = made.id;
            bench.saw(|seen| seen.teams.push(made));
            Ok(id)
        }
        // No answer for a name in use is declared: whoever made it meanwhile made what was wanted.
        Err(error) if matches!(error.status(), Some(400 | 409)) => {
            match team::find(bench, &TeamRef::Name(name.to_owned())).await? {
                Found::One(id) => Ok(id),
                Found::None | Found::Many(_) => Err(Trouble::Api(error)),
            }
        }
        Err(error) => Err(Trouble::Api(error)),
    }
}
