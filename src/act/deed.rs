//! What an action does, in the form that is stored with it. Must not know of rules, which are
//! mapped to it by `react`, nor of HTTP.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One deed. Its JSON is stored: members may be added, names never change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "deed", rename_all = "snake_case")]
pub enum DeedSpec {
    /// Lets a pending developer in.
    ApproveDeveloper,
    /// Turns a pending developer away.
    RejectDeveloper,
    /// Ends an approved developer's access, with their registrations and memberships.
    RevokeDeveloper,
    /// Makes the developer a member of a team.
    AddToTeam {
        /// The team to join.
        team: TeamRef,
        /// Whether a team of that name is made when there is none.
        #[serde(default)]
        create: bool,
    },
    /// Ends the developer's membership of a team.
    RemoveFromTeam {
        /// The team to leave.
        team: TeamRef,
    },
    /// Grants an application the API that it asked for.
    ApproveRegistration,
    /// Refuses an application the API that it asked for.
    RejectRegistration,
    /// Takes back the API that an application was granted.
    RevokeRegistration,
    /// Creates a developer and has Konnect invite them.
    InviteDeveloper {
        /// Whether they wait for an answer like anybody else, instead of being let in.
        #[serde(default)]
        pending: bool,
    },
    /// Tells a receiver outside.
    Notify {
        /// The receiver, or `file:` and where its URL is.
        url: String,
        /// The shape of what is told.
        format: NoticeFormat,
        /// `file:` and where the key is; the configured one if none.
        #[serde(default)]
        secret: Option<String>,
    },
    /// Leaves the target to a human.
    Park {
        /// What the human is told.
        reason: String,
    },
}

/// The shape of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeFormat {
    /// Type, time and data, signed by Standard Webhooks.
    Standard,
    /// A text, as Slack's incoming webhooks take it.
    Slack,
}

/// A team by its exact name or by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TeamRef {
    /// The exact name of a team of the portal.
    Name(String),
    /// The team's id in Konnect.
    Id(Uuid),
}

impl TeamRef {
    /// Whether it names the team of this id and name.
    pub fn is(&self, id: Uuid, name: &str) -> bool {
        match self {
            Self::Name(named) => named == name,
            Self::Id(named) => *named == id,
        }
    }
}

impl DeedSpec {
    /// Every word that [`DeedSpec::name`] gives, in the order of the deeds.
    pub const NAMES: [&'static str; 11] = [
        "approve_developer",
        "reject_developer",
        "revoke_developer",
        "add_to_team",
        "remove_from_team",
        "approve_registration",
        "reject_registration",
        "revoke_registration",
        "invite_developer",
        "notify",
        "park",
    ];

    /// The word for this deed in tables, metrics and answers.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ApproveDeveloper => "approve_developer",
            Self::RejectDeveloper => "reject_developer",
            Self::RevokeDeveloper => "revoke_developer",
            Self::AddToTeam { .. } => "add_to_team",
            Self::RemoveFromTeam { .. } => "remove_from_team",
            Self::ApproveRegistration => "approve_registration",
            Self::RejectRegistration => "reject_registration",
            Self::RevokeRegistration => "revoke_registration",
            Self::InviteDeveloper { .. } => "invite_developer",
            Self::Notify { .. } => "notify",
            Self::Park { .. } => "park",
        }
    }

    /// Whether it takes away access that somebody has.
    pub(in crate::act) fn takes_away(&self) -> bool {
        matches!(
            self,
            Self::RevokeDeveloper | Self::RevokeRegistration | Self::RemoveFromTeam { .. }
        )
    }

    /// The status from which a deed may lead, and the one to which it does; none where it changes none.
    pub(super) fn statuses(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::ApproveDeveloper | Self::ApproveRegistration => Some(("pending", "approved")),
            Self::RejectDeveloper | Self::RejectRegistration => Some(("pending", "rejected")),
            Self::RevokeDeveloper | Self::RevokeRegistration => Some(("approved", "revoked")),
            Self::AddToTeam { .. }
            | Self::RemoveFromTeam { .. }
            | Self::InviteDeveloper { .. }
            | Self::Notify { .. }
            | Self::Park { .. } => None,
        }
    }

    /// What two deeds on one target must share to be the same deed: joining two teams is two
    /// deeds, joining one of them with and without making it is one.
    pub(super) fn key(&self) -> String {
        match self {
            Self::AddToTeam { team, .. } | Self::RemoveFromTeam { team } => {
                let name = self.name();
                match team {
                    TeamRef::Name(team) => format!("{name}:name:{team}"),
                    TeamRef::Id(team) => format!("{name}:id:{team}"),
                }
            }
            Self::Park { reason } => format!("park:{reason}"),
            Self::Notify { url, .. } => format!("notify:{url}"),
            Self::ApproveDeveloper
            | Self::RejectDeveloper
            | Self::RevokeDeveloper
            | Self::ApproveRegistration
            | Self::RejectRegistration
            | Self::RevokeRegistration
            | Self::InviteDeveloper { .. } => self.name().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DeedSpec, TeamRef};

    #[test]
    fn reads_back_what_was_stored() {
        let partners = || TeamRef::Name("Partners".to_owned());
        let deeds = [
            (
                DeedSpec::ApproveDeveloper,
                r#"{"deed":"approve_developer"}"#,
            ),
            (
                DeedSpec::AddToTeam {
                    team: partners(),
                    create: true,
                },
                r#"{"deed":"add_to_team","team":{"name":"Partners"},"create":true}"#,
            ),
            (
                DeedSpec::RemoveFromTeam { team: partners() },
                r#"{"deed":"remove_from_team","team":{"name":"Partners"}}"#,
            ),
            (
                DeedSpec::Park {
                    reason: "freemail".to_owned(),
                },
                r#"{"deed":"park","reason":"freemail"}"#,
            ),
        ];
        for (deed, json) in deeds {
            assert_eq!(serde_json::to_string(&deed).unwrap(), json);
            assert_eq!(serde_json::from_str::<DeedSpec>(json).unwrap(), deed);
            assert!(json.contains(&format!(r#""deed":"{}""#, deed.name())));
        }
    }

    #[test]
    fn every_deed_has_its_word_in_the_list() {
        // What can be read is told by the reader itself, so that no deed is left out here.
        let error = serde_json::from_str::<DeedSpec>(r#"{"deed":"dance"}"#).unwrap_err();
        let told = error.to_string();
        let told: Vec<&str> = told.split('`').skip(3).step_by(2).collect();
        assert_eq!(told, DeedSpec::NAMES);
    }

    #[test]
    fn deeds_are_the_same_by_what_they_bring_about() {
        let join = |team: &str, create| {
            DeedSpec::AddToTeam {
                team: TeamRef::Name(team.to_owned()),
                create,
            }
            .key()
        };
        assert_eq!(join("Partners", true), join("Partners", false));
        assert_ne!(join("Partners", true), join("Guests", true));
        assert_ne!(
            DeedSpec::ApproveDeveloper.key(),
            DeedSpec::RejectDeveloper.key()
        );
    }
}
