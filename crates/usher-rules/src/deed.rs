//! What a rule asks for. Must not know how a deed is carried out.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

/// One thing to do about the subject of a signal.
///
/// The JSON form is stored with the action, so that it must stay readable: members may be
/// added, names never change.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "deed", rename_all = "snake_case")]
pub enum Deed {
    /// Lets a pending developer in.
    ApproveDeveloper,
    /// Turns a pending developer away.
    RejectDeveloper,
    /// Ends an approved developer's access, with their registrations and memberships.
    RevokeDeveloper,
    /// Grants an application the API that it asked for.
    ApproveRegistration,
    /// Refuses an application the API that it asked for.
    RejectRegistration,
    /// Takes back the API that an application was granted.
    RevokeRegistration,
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
    /// Creates a developer and has Konnect invite them.
    InviteDeveloper {
        /// Whether they wait for an answer like anybody else, instead of being let in.
        #[serde(default)]
        pending: bool,
    },
    /// Notifies a receiver outside.
    Notify {
        /// The receiver, or `file:` and where its URL is.
        url: String,
        /// The form of the message.
        format: NoticeFormat,
        /// `file:` and where the key is; the configured one if none.
        #[serde(default)]
        secret: Option<String>,
    },
    /// Leaves the subject to a human.
    Park {
        /// What the human reads.
        reason: String,
    },
}

/// The shape of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeFormat {
    /// Type, time and data, signed by Standard Webhooks.
    Standard,
    /// A text, as Slack's incoming webhooks take it.
    Slack,
}

/// A team as a rule names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TeamRef {
    /// The exact name of a team of the portal.
    Name(String),
    /// The team's id in Konnect.
    Id(Uuid),
}

/// The kind of object that a deed changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TargetKind {
    /// The developer of the signal.
    Developer,
    /// The registration of the signal.
    Registration,
    /// The object of the signal: its registration, else its application, else its developer.
    Subject,
    /// The same, else the portal.
    Anything,
    /// The person whom the event names by address.
    Invitee,
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

impl Deed {
    /// Every word that [`Deed::name`] gives.
    pub const NAMES: [&'static str; 11] = [
        "approve_developer",
        "reject_developer",
        "revoke_developer",
        "approve_registration",
        "reject_registration",
        "revoke_registration",
        "add_to_team",
        "remove_from_team",
        "invite_developer",
        "notify",
        "park",
    ];

    /// The word for this deed in rules, tables and answers.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ApproveDeveloper => "approve_developer",
            Self::RejectDeveloper => "reject_developer",
            Self::RevokeDeveloper => "revoke_developer",
            Self::ApproveRegistration => "approve_registration",
            Self::RejectRegistration => "reject_registration",
            Self::RevokeRegistration => "revoke_registration",
            Self::AddToTeam { .. } => "add_to_team",
            Self::RemoveFromTeam { .. } => "remove_from_team",
            Self::InviteDeveloper { .. } => "invite_developer",
            Self::Notify { .. } => "notify",
            Self::Park { .. } => "park",
        }
    }

    /// The deed with only what makes it the opposite of another.
    pub(crate) fn stance(&self) -> Self {
        match self {
            Self::AddToTeam { team, .. } => Self::AddToTeam {
                team: team.clone(),
                create: false,
            },
            other => other.clone(),
        }
    }

    /// The stances that would undo this deed.
    pub fn opposites(&self) -> Vec<Self> {
        match self {
            Self::ApproveDeveloper => vec![Self::RejectDeveloper, Self::RevokeDeveloper],
            Self::RejectDeveloper | Self::RevokeDeveloper => vec![Self::ApproveDeveloper],
            Self::ApproveRegistration => vec![Self::RejectRegistration, Self::RevokeRegistration],
            Self::RejectRegistration | Self::RevokeRegistration => vec![Self::ApproveRegistration],
            Self::AddToTeam { team, .. } => vec![Self::RemoveFromTeam { team: team.clone() }],
            Self::RemoveFromTeam { team } => vec![Self::AddToTeam {
                team: team.clone(),
                create: false,
            }],
            Self::InviteDeveloper { .. } | Self::Notify { .. } | Self::Park { .. } => Vec::new(),
        }
    }

    /// Whether the deed takes something away, which is the safer of two opposites.
    pub(crate) fn refuses(&self) -> bool {
        matches!(
            self,
            Self::RejectDeveloper
                | Self::RevokeDeveloper
                | Self::RejectRegistration
                | Self::RevokeRegistration
                | Self::RemoveFromTeam { .. }
        )
    }

    /// Whether the deed takes away access that somebody has.
    pub fn takes_away(&self) -> bool {
        matches!(
            self,
            Self::RevokeDeveloper | Self::RevokeRegistration | Self::RemoveFromTeam { .. }
        )
    }

    /// The status that the deed needs, and the status that it sets; none where it changes none.
    pub fn statuses(&self) -> Option<(&'static str, &'static str)> {
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

    /// What two deeds on one target must share to be the same deed. Joining two teams is two deeds;
    /// joining one of them with and without making it is one.
    pub fn key(&self) -> String {
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

    /// Whether the deed changes the status of a registration.
    pub fn is_of_registration(&self) -> bool {
        matches!(
            self,
            Self::ApproveRegistration | Self::RejectRegistration | Self::RevokeRegistration
        )
    }

    /// Whether the deed changes nothing in Konnect.
    pub(crate) fn only_notifies(&self) -> bool {
        matches!(self, Self::Notify { .. } | Self::Park { .. })
    }

    /// Whether the deed lets somebody in.
    pub(crate) fn lets_in(&self) -> bool {
        matches!(
            self,
            Self::ApproveDeveloper | Self::ApproveRegistration | Self::AddToTeam { .. }
        )
    }

    /// What the deed is done to.
    pub fn target(&self) -> TargetKind {
        match self {
            Self::ApproveDeveloper
            | Self::RejectDeveloper
            | Self::RevokeDeveloper
            | Self::AddToTeam { .. }
            | Self::RemoveFromTeam { .. } => TargetKind::Developer,
            Self::ApproveRegistration | Self::RejectRegistration | Self::RevokeRegistration => {
                TargetKind::Registration
            }
            Self::InviteDeveloper { .. } => TargetKind::Invitee,
            Self::Notify { .. } => TargetKind::Anything,
            Self::Park { .. } => TargetKind::Subject,
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddToTeam { team, .. } | Self::RemoveFromTeam { team } => {
                write!(f, "{} {team}", self.name())
            }
            Self::Park { reason } => write!(f, "{} {reason}", self.name()),
            // The rest of the URL is often a password.
            Self::Notify { url, .. } => match Url::parse(url) {
                Ok(url) if url.has_host() => {
                    write!(f, "notify {}", url.host_str().unwrap_or_default())
                }
                _ => write!(f, "notify {url}"),
            },
            Self::ApproveDeveloper
            | Self::RejectDeveloper
            | Self::RevokeDeveloper
            | Self::ApproveRegistration
            | Self::RejectRegistration
            | Self::RevokeRegistration
            | Self::InviteDeveloper { .. } => f.write_str(self.name()),
        }
    }
}

impl fmt::Display for TeamRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Id(id) => id.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Deed, TeamRef};

    #[test]
    fn reads_back_what_was_stored() {
        let partners = || TeamRef::Name("Partners".to_owned());
        let deeds = [
            (Deed::ApproveDeveloper, r#"{"deed":"approve_developer"}"#),
            (
                Deed::AddToTeam {
                    team: partners(),
                    create: true,
                },
                r#"{"deed":"add_to_team","team":{"name":"Partners"},"create":true}"#,
            ),
            (
                Deed::RemoveFromTeam { team: partners() },
                r#"{"deed":"remove_from_team","team":{"name":"Partners"}}"#,
            ),
            (
                Deed::Park {
                    reason: "freemail".to_owned(),
                },
                r#"{"deed":"park","reason":"freemail"}"#,
            ),
        ];
        for (deed, json) in deeds {
            assert_eq!(serde_json::to_string(&deed).unwrap(), json);
            assert_eq!(serde_json::from_str::<Deed>(json).unwrap(), deed);
            assert!(json.contains(&format!(r#""deed":"{}""#, deed.name())));
        }
    }

    #[test]
    fn every_deed_has_its_word_in_the_list() {
        // The error itself names the known deeds, so that none is left out here.
        let error = serde_json::from_str::<Deed>(r#"{"deed":"dance"}"#).unwrap_err();
        let told = error.to_string();
        let told: Vec<&str> = told.split('`').skip(3).step_by(2).collect();
        assert_eq!(told, Deed::NAMES);
    }

    #[test]
    fn deeds_are_the_same_by_what_they_bring_about() {
        let join = |team: &str, create| {
            Deed::AddToTeam {
                team: TeamRef::Name(team.to_owned()),
                create,
            }
            .key()
        };
        assert_eq!(join("Partners", true), join("Partners", false));
        assert_ne!(join("Partners", true), join("Guests", true));
        assert_ne!(Deed::ApproveDeveloper.key(), Deed::RejectDeveloper.key());
    }
}
