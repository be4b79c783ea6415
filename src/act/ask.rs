//! What a person asks for without a rule: which deeds there are, and whether the directory has the
//! target in the right status. No SQL; `asked` puts it into the queue.

use konnect::{DeveloperId, PortalId, RegistrationId, TeamId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::act::Target;
use crate::act::decide::{GoalState, of_status};
use crate::directory::Directory;
use crate::journal::JournalError;
use crate::rules::{Deed, TeamRef};

/// Letters that the name of a team may have: it is a part of an index.
const MAX_LETTERS: usize = 255;

/// A deed that a person asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    pub(super) portal_id: Uuid,
    pub(super) deed: Deed,
    pub(super) target_id: Uuid,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// This action was made.
    New(Uuid),
    /// This action for the same was open. It is let through now, whoever asked for it first.
    Open(Uuid),
    /// Nothing was changed.
    Refused(AskRefusal),
}

/// Why nobody can be asked for that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnfitAsk {
    /// It is no deed, or one that only rules ask for.
    #[error("deed: expected one of {}", Ask::DEEDS.join(", "))]
    Deed,
    /// The deed is about a team.
    #[error("team: {0} needs the name or the id of a team")]
    NoTeam(&'static str),
    /// The deed is about no team.
    #[error("team: {0} is about no team")]
    Team(&'static str),
    /// No team has such a name.
    #[error("team: expected 1 to {MAX_LETTERS} letters on one line")]
    TeamName,
}

/// Why the directory has nothing to do it to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskRefusal {
    /// There is no such portal.
    #[error("the directory has no portal with this id")]
    UnknownPortal,
    /// There is no such developer or registration.
    #[error("the directory has no {0} with this id at this portal")]
    UnknownTarget(&'static str),
    /// There is no such team.
    #[error("the directory has no team of this name or id at this portal")]
    UnknownTeam,
    /// Several teams have the name.
    #[error("the portal has {0} teams of this name: say which by its id")]
    ManyTeams(usize),
    /// The target has another status.
    #[error("the {object} is {now}, and {deed} is for one that is {needed}")]
    WrongStatus {
        /// `developer` or `registration`.
        object: &'static str,
        /// Its status.
        now: String,
        /// The word for the deed.
        deed: &'static str,
        /// The status that the deed needs.
        needed: &'static str,
    },
}

/// What the directory has for a deed that is asked for.
pub(super) struct Askable {
    pub(super) target: Target,
    /// What the action stores of it: no name, no address.
    pub(super) facts: Value,
}

impl Ask {
    /// The deeds that a person may ask for.
    pub const DEEDS: [&'static str; 8] = [
        "approve_developer",
        "reject_developer",
        "revoke_developer",
        "add_to_team",
        "remove_from_team",
        "approve_registration",
        "reject_registration",
        "revoke_registration",
    ];

    /// Asks for the deed of this name, of a developer or registration. `team` is the name or the
    /// id of a team.
    ///
    /// # Errors
    /// When there is no such deed to ask for, or it has a team too many or too few.
    pub fn new(
        portal_id: Uuid,
        deed: &str,
        target_id: Uuid,
        team: Option<&str>,
    ) -> Result<Self, UnfitAsk> {
        let team = team.map(team_ref).transpose()?;
        let deed = match (deed, team) {
            ("add_to_team", Some(team)) => Deed::AddToTeam {
                team,
                create: false,
            },
            ("remove_from_team", Some(team)) => Deed::RemoveFromTeam { team },
            (word, team) => {
                let known = Self::DEEDS.into_iter().find(|known| *known == word);
                let known = known.ok_or(UnfitAsk::Deed)?;
                let deed = without_team(known).ok_or(UnfitAsk::NoTeam(known))?;
                if team.is_some() {
                    return Err(UnfitAsk::Team(known));
                }
                deed
            }
        };
        Ok(Self {
            portal_id,
            deed,
            target_id,
        })
    }

    /// The deed.
    pub fn deed(&self) -> &Deed {
        &self.deed
    }

    /// Finds the target in the directory.
    pub(super) async fn find(
        &self,
        directory: &Directory,
    ) -> Result<Result<Askable, AskRefusal>, JournalError> {
        let portal = PortalId(self.portal_id);
        let known = directory.portal(portal).await?;
        if known.is_none_or(|known| known.row_version.is_gone()) {
            return Ok(Err(AskRefusal::UnknownPortal));
        }
        let found = if self.deed.is_of_registration() {
            self.find_registration(directory, portal).await?
        } else {
            self.find_developer(directory, portal).await?
        };
        let (Deed::AddToTeam { team, .. } | Deed::RemoveFromTeam { team }) = &self.deed else {
            return Ok(found);
        };
        let no_team = find_team(directory, portal, team).await?;
        Ok(found.and_then(|found| no_team.map_or(Ok(found), Err)))
    }

    async fn find_developer(
        &self,
        directory: &Directory,
        portal: PortalId,
    ) -> Result<Result<Askable, AskRefusal>, JournalError> {
        let id = DeveloperId(self.target_id);
        let known = directory.find_developer(portal, id).await?;
        let Some(known) = known.filter(|known| !known.row_version.is_gone()) else {
            return Ok(Err(AskRefusal::UnknownTarget("developer")));
        };
        let status = known.status.as_str();
        let found = Askable {
            target: Target::Developer { id: id.0 },
            facts: json!({ "developer": { "id": id, "status": status } }),
        };
        Ok(self.refusal("developer", status).map_or(Ok(found), Err))
    }

    async fn find_registration(
        &self,
        directory: &Directory,
        portal: PortalId,
    ) -> Result<Result<Askable, AskRefusal>, JournalError> {
        let id = RegistrationId(self.target_id);
        let known = directory.find_registration(portal, id).await?;
        let Some(known) = known.filter(|known| !known.row_version.is_gone()) else {
            return Ok(Err(AskRefusal::UnknownTarget("registration")));
        };
        let status = known.status.as_str();
        let found = Askable {
            target: Target::Registration {
                id: id.0,
                application_id: known.application_id.0,
            },
            facts: json!({
                "application": { "id": known.application_id },
                "registration": {
                    "id": id,
                    "status": status,
                    "api_id": known.api.id,
                    "api_name": known.api.name,
                },
            }),
        };
        Ok(self.refusal("registration", status).map_or(Ok(found), Err))
    }

    /// Why nothing is done to an object of this status.
    fn refusal(&self, object: &'static str, now: &str) -> Option<AskRefusal> {
        let (needed, _) = self.deed.statuses()?;
        (of_status(&self.deed, now) != GoalState::Work).then(|| AskRefusal::WrongStatus {
            object,
            now: now.to_owned(),
            deed: self.deed.name(),
            needed,
        })
    }
}

/// The deed of this name, if it is about no team.
fn without_team(word: &str) -> Option<Deed> {
    match word {
        "approve_developer" => Some(Deed::ApproveDeveloper),
        "reject_developer" => Some(Deed::RejectDeveloper),
        "revoke_developer" => Some(Deed::RevokeDeveloper),
        "approve_registration" => Some(Deed::ApproveRegistration),
        "reject_registration" => Some(Deed::RejectRegistration),
        "revoke_registration" => Some(Deed::RevokeRegistration),
        _ => None,
    }
}

/// A team as a person names it: by its id where it reads as one.
fn team_ref(text: &str) -> Result<TeamRef, UnfitAsk> {
    if let Ok(id) = Uuid::try_parse(text) {
        return Ok(TeamRef::Id(id));
    }
    let is_long = text.chars().nth(MAX_LETTERS).is_some();
    if text.trim().is_empty() || is_long || text.chars().any(char::is_control) {
        return Err(UnfitAsk::TeamName);
    }
    Ok(TeamRef::Name(text.to_owned()))
}

/// Why a team is not usable; none where it names one team of the portal.
async fn find_team(
    directory: &Directory,
    portal: PortalId,
    team: &TeamRef,
) -> Result<Option<AskRefusal>, JournalError> {
    let named = match team {
        TeamRef::Id(id) => {
            let known = directory.team(portal, TeamId(*id)).await?;
            usize::from(known.is_some_and(|known| !known.row_version.is_gone()))
        }
        TeamRef::Name(name) => {
            let teams = directory.teams(portal).await?;
            teams.iter().filter(|known| known.name == *name).count()
        }
    };
    Ok(match named {
        0 => Some(AskRefusal::UnknownTeam),
        1 => None,
        count => Some(AskRefusal::ManyTeams(count)),
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Ask, UnfitAsk};
    use crate::rules::{Deed, TeamRef};

    fn ask(deed: &str, team: Option<&str>) -> Result<Deed, UnfitAsk> {
        Ask::new(Uuid::nil(), deed, Uuid::nil(), team).map(|ask| ask.deed)
    }

    #[test]
    fn every_deed_of_the_list_can_be_asked_for() {
        for word in Ask::DEEDS {
            let team = word.contains("team").then_some("Partners");
            assert_eq!(ask(word, team).unwrap().name(), word);
            let wrong = if team.is_some() {
                None
            } else {
                Some("Partners")
            };
            assert!(ask(word, wrong).is_err(), "{word}");
        }
        for word in ["park", "notify", "invite_developer", "dance", ""] {
            assert_eq!(ask(word, None), Err(UnfitAsk::Deed), "{word}");
        }
    }

    #[test]
    fn a_team_is_named_by_name_or_id() {
        let join = |team: &str| ask("add_to_team", Some(team));
        let id = Uuid::from_u128(7);
        for (text, team) in [
            ("Partners", TeamRef::Name("Partners".to_owned())),
            (&id.to_string(), TeamRef::Id(id)),
        ] {
            let create = false;
            assert_eq!(join(text), Ok(Deed::AddToTeam { team, create }));
        }
        for text in ["", " ", "a\nb", "a\0", &"x".repeat(256)] {
            assert_eq!(join(text), Err(UnfitAsk::TeamName), "{text:?}");
        }
    }
}
