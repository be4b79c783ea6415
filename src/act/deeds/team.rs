//! Finds the team that a deed names, and reads the teams of a developer. Names need not be unique
//! in Konnect, and a filter may match more than was asked for: only the exact name counts.

use konnect::{DeveloperId, ListTeams, Team, TeamId};

use crate::act::Target;
use crate::act::deeds::DeedContext;
use crate::act::trouble::Trouble;
use crate::rules::TeamRef;

/// The teams that the reference names: of several the name is not usable. An id is taken as it is.
pub(super) async fn find(
    context: &DeedContext<'_>,
    team: &TeamRef,
) -> Result<Vec<TeamId>, Trouble> {
    let name = match team {
        TeamRef::Id(id) => return Ok(vec![TeamId(*id)]),
        TeamRef::Name(name) => name,
    };
    let options = ListTeams {
        name: Some(name.into()),
        ..ListTeams::default()
    };
    let teams = context
        .client
        .portal(context.portal())
        .teams()
        .list(&options)
        .await
        .map_err(Trouble::on_read("portal"))?;
    let found = exactly(&teams, name);
    if let [id] = found[..] {
        let named = teams.into_iter().filter(|team| team.id == id);
        context.read_back(|read_back| read_back.teams.extend(named));
    }
    Ok(found)
}

fn exactly(teams: &[Team], name: &str) -> Vec<TeamId> {
    let named = teams.iter().filter(|team| team.name == name);
    named.map(|team| team.id).collect()
}

/// The developer of the action.
pub(super) fn developer(context: &DeedContext<'_>) -> Result<DeveloperId, Trouble> {
    match context.claimed.target {
        Target::Developer { id } => Ok(DeveloperId(id)),
        Target::Application { .. }
        | Target::Registration { .. }
        | Target::Invitee { .. }
        | Target::Portal { .. }
        | Target::Usher => Err(Trouble::WrongTarget(context.claimed.target.kind())),
    }
}

/// The teams of a developer at this moment, read once an attempt.
pub(in crate::act) async fn teams(
    context: &DeedContext<'_>,
    id: DeveloperId,
) -> Result<Vec<Team>, Trouble> {
    if let Some(teams) = context.known(|read_back| read_back.teams_of(id).map(<[Team]>::to_vec)) {
        return Ok(teams);
    }
    let teams = context
        .client
        .portal(context.portal())
        .teams()
        .of_developer(id)
        .await;
    let teams = teams.map_err(Trouble::on_read("developer"))?;
    context.read_back(|read_back| read_back.teams_of = Some((id, teams.clone())));
    Ok(teams)
}

/// Whether the developer is a member.
pub(super) async fn is_member(
    context: &DeedContext<'_>,
    team: TeamId,
    developer: DeveloperId,
) -> Result<bool, Trouble> {
    let teams = teams(context, developer).await?;
    Ok(teams.iter().any(|known| known.id == team))
}

/// Stores that this deed ended the membership, so that a later one may make it again.
pub(super) async fn left(
    context: &DeedContext<'_>,
    team: TeamId,
    developer: DeveloperId,
) -> Result<(), Trouble> {
    let noted = context
        .directory
        .ended_by_deed(context.portal(), team, developer);
    Ok(noted.await?)
}

#[cfg(test)]
mod tests {
    use konnect::{Team, TeamId};
    use uuid::Uuid;

    use super::exactly;

    #[test]
    fn only_one_team_of_exactly_this_name_will_do() {
        let team = |id, name: &str| Team {
            id: TeamId(Uuid::from_u128(id)),
            name: name.to_owned(),
            description: None,
            can_own_applications: None,
            created_at: None,
            updated_at: None,
        };
        let teams = [
            team(1, "Partners"),
            team(2, "Partners EU"),
            team(3, "partners"),
        ];
        let id = |id| TeamId(Uuid::from_u128(id));
        assert_eq!(exactly(&teams, "Partners"), [id(1)]);
        assert_eq!(exactly(&teams, "Partner"), []);
        let twice = [team(1, "Partners"), team(4, "Partners")];
        assert_eq!(exactly(&twice, "Partners"), [id(1), id(4)]);
    }
}
