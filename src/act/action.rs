//! An action for other modules: its target, its state and its JSON. No SQL, no HTTP.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// What a deed is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Target {
    /// A developer.
    Developer {
        /// The developer's id in Konnect.
        id: Uuid,
    },
    /// An application.
    Application {
        /// The application's id in Konnect.
        id: Uuid,
    },
    /// A registration.
    Registration {
        /// The registration's id in Konnect.
        id: Uuid,
        /// The application that asked.
        application_id: Uuid,
    },
    /// Somebody who is to be invited.
    Invitee {
        /// The id under which `subjects` has their address.
        id: Uuid,
    },
    /// The portal, where there is nothing smaller.
    Portal {
        /// The portal's id in Konnect.
        id: Uuid,
    },
    /// usher itself, where it is about no portal.
    Usher,
}

/// Its kind and its id, for people.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usher => f.write_str(self.kind()),
            _ => write!(f, "{} {}", self.kind(), self.id()),
        }
    }
}

/// The state of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionState {
    /// Decided, to be done or tried again.
    Planned,
    /// A worker carries it out.
    Running,
    /// The goal is reached.
    Done,
    /// A person decided otherwise meanwhile.
    Refused,
    /// Left to a person.
    Parked,
    /// Given up.
    Failed,
    /// Not done because what it waited for was not done, or because a person or a corrected rule
    /// cancelled it.
    Cancelled,
    /// Decided by a rule in shadow mode.
    Shadow,
}

/// One action, in the form that the JSON API answers with.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Action {
    /// Its id.
    pub id: Uuid,
    /// The rule that decided.
    pub rule: String,
    /// The word for the deed.
    pub deed: String,
    /// What it is done to.
    pub target: Target,
    /// Its state.
    pub state: ActionState,
    /// Attempts that counted.
    pub attempts: i32,
    /// The events that led here.
    pub causes: Vec<Uuid>,
    /// Why it is in this state.
    #[schema(required = true)]
    pub reason: Option<String>,
    /// What it cut off or made, by id, where the deed keeps an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<Value>,
    /// The portal of the target; nil where it is usher itself.
    pub portal_id: Uuid,
    /// When it was decided.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Says that a word names no state of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such state of an action")]
pub struct UnknownState;

impl Target {
    /// The word for its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Developer { .. } => "developer",
            Self::Application { .. } => "application",
            Self::Registration { .. } => "registration",
            Self::Invitee { .. } => "invitee",
            Self::Portal { .. } => "portal",
            Self::Usher => "usher",
        }
    }

    /// Its id in Konnect; nil for usher itself.
    pub fn id(&self) -> Uuid {
        match self {
            Self::Developer { id }
            | Self::Application { id }
            | Self::Registration { id, .. }
            | Self::Invitee { id }
            | Self::Portal { id } => *id,
            Self::Usher => Uuid::nil(),
        }
    }

    /// The application of a registration, which the API's paths name too.
    pub(super) fn parent(&self) -> Option<Uuid> {
        match self {
            Self::Registration { application_id, .. } => Some(*application_id),
            Self::Developer { .. }
            | Self::Application { .. }
            | Self::Invitee { .. }
            | Self::Portal { .. }
            | Self::Usher => None,
        }
    }

    /// Reads a target back from its columns.
    pub(super) fn from_columns(kind: &str, id: Uuid, application_id: Option<Uuid>) -> Option<Self> {
        match (kind, application_id) {
            ("developer", _) => Some(Self::Developer { id }),
            ("application", _) => Some(Self::Application { id }),
            ("invitee", _) => Some(Self::Invitee { id }),
            ("portal", _) => Some(Self::Portal { id }),
            ("usher", _) => Some(Self::Usher),
            ("registration", Some(application_id)) => {
                Some(Self::Registration { id, application_id })
            }
            _ => None,
        }
    }
}

impl ActionState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Planned,
        Self::Running,
        Self::Done,
        Self::Refused,
        Self::Parked,
        Self::Failed,
        Self::Cancelled,
        Self::Shadow,
    ];

    /// The word that columns, metrics and JSON use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Running => "running",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Parked => "parked",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Shadow => "shadow",
        }
    }
}

impl fmt::Display for ActionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ActionState {
    type Err = UnknownState;

    fn from_str(word: &str) -> Result<Self, UnknownState> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == word)
            .ok_or(UnknownState)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;
    use uuid::Uuid;

    use super::{Action, ActionState, Target};

    #[test]
    fn every_state_reads_back() {
        for state in ActionState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("Done".parse::<ActionState>().is_err());
    }

    #[test]
    fn a_target_reads_back_from_its_columns() {
        let (id, application_id) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let targets = [
            Target::Developer { id },
            Target::Application { id },
            Target::Registration { id, application_id },
            Target::Invitee { id },
            Target::Portal { id },
            Target::Usher,
        ];
        for target in targets {
            let back = Target::from_columns(target.kind(), target.id(), target.parent());
            assert_eq!(back, Some(target));
        }
        assert_eq!(Target::from_columns("registration", id, None), None);
    }

    #[test]
    fn json_has_the_promised_members() {
        let action = Action {
            id: Uuid::from_u128(1),
            rule: "partner-clubs".to_owned(),
            deed: "approve_developer".to_owned(),
            target: Target::Developer {
                id: Uuid::from_u128(2),
            },
            state: ActionState::Done,
            attempts: 1,
            causes: vec![Uuid::from_u128(3)],
            reason: None,
            report: None,
            portal_id: Uuid::from_u128(4),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        };
        assert_eq!(
            serde_json::to_value(&action).unwrap(),
            json!({
                "id": "00000000-0000-0000-0000-000000000001",
                "rule": "partner-clubs",
                "deed": "approve_developer",
                "target": {"kind": "developer", "id": "00000000-0000-0000-0000-000000000002"},
                "state": "done",
                "attempts": 1,
                "causes": ["00000000-0000-0000-0000-000000000003"],
                "reason": null,
                "portal_id": "00000000-0000-0000-0000-000000000004",
                "created_at": "1970-01-01T00:00:00Z",
                "updated_at": "1970-01-01T00:00:00Z",
            })
        );
    }
}
