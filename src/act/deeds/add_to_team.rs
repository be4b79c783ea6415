//! Makes a developer a member of a team, and makes the team if asked to. A membership that a person
//! ended is not made again, unless a person asks for it.

use std::time::Duration;

use konnect::{Membership, NewTeam, TeamId};
use serde_json::json;

use crate::act::decide::not_one;
use crate::act::deeds::{Completion, DeedContext, Outcome, team};
use crate::act::trouble::Trouble;
use crate::journal::Lease;
use crate::rules::{BY_HAND, TeamRef};

/// How long only one worker makes a team of the same name: longer than Konnect takes to list it.
const MAKING: Duration = Duration::from_secs(10);

pub(super) async fn carry_out(
    context: &DeedContext<'_>,
    team: &TeamRef,
    create: bool,
) -> Result<Outcome, Trouble> {
    let developer = team::developer(context)?;
    let found = team::find(context, team).await?;
    if let Some(why) = not_one(team, create, |_| found.len()) {
        return Ok(Outcome::Parked(why));
    }
    let id = match (&found[..], team) {
        ([id], _) => *id,
        (_, TeamRef::Name(name)) => make(context, name).await?,
        (_, TeamRef::Id(id)) => TeamId(*id),
    };
    let report = json!({ "team_id": id });
    let joined = || context.read_back(|read_back| read_back.memberships.push((id, developer)));
    if team::is_member(context, id, developer).await? {
        joined();
        context.found(&report).await?;
        return Ok(context.already_true("member"));
    }
    let (portal, claimed) = (context.portal().0, context.claimed);
    let this = (&claimed.deed, claimed.row.id);
    let made = context.queue.made_member(portal, developer.0, id.0, this);
    let whose = (context.portal(), developer);
    let ended = context
        .queue
        .ended_by_somebody(context.directory, whose, id);
    // A person who asks for it now has the last word.
    let is_by_hand = claimed.row.rule == BY_HAND;
    if !is_by_hand && (made.await? || ended.await?) {
        return Ok(Outcome::Refused(
            "somebody else ended the membership".into(),
        ));
    }
    context.note_write_with(&report).await?;
    let teams = context.client.portal(context.portal()).teams();
    let added = teams.add_member(id, developer).await;
    let added = added.map_err(Trouble::Api)?;
    joined();
    match added {
        Membership::Added => Ok(Outcome::Done(Completion::Written)),
        Membership::AlreadyMember => Ok(context.already_true("member")),
    }
}

/// Makes the team. Names need not be unique in Konnect, so only one worker at a time does; the
/// others find the team when they try again.
async fn make(context: &DeedContext<'_>, name: &str) -> Result<TeamId, Trouble> {
    let lease = Lease {
        name: format!("team/{}/{name}", context.claimed.row.portal_id),
        holder: context.claimed.row.lease,
        ttl: MAKING,
    };
    if !context.queue.journal.take_lease(&lease).await? {
        return Err(Trouble::Busy("the team"));
    }
    context.note_write().await?;
    let team = NewTeam {
        name: name.to_owned(),
        ..NewTeam::default()
    };
    match context
        .client
        .portal(context.portal())
        .teams()
        .create(&team)
        .await
    {
        Ok(made) => {
            let id = made.id;
            context.read_back(|read_back| read_back.teams.push(made));
            Ok(id)
        }
        // No answer for a name in use is declared: another caller that made the team meanwhile made
        // what was wanted.
        Err(error) if matches!(error.status(), Some(400 | 409)) => {
            match team::find(context, &TeamRef::Name(name.to_owned())).await?[..] {
                [id] => Ok(id),
                _ => Err(Trouble::Api(error)),
            }
        }
        Err(error) => Err(Trouble::Api(error)),
    }
}
