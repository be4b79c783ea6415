//! What a condition may read. Plain values, filled by the caller; nothing is fetched here.

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::domain::domain_of;

/// Lists and maps in facts are cut to this many members before a condition sees them.
pub const MAX_FACT_MEMBERS: usize = 200;

/// Everything known about one signal at the moment of deciding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Facts {
    /// What happened.
    pub signal: SignalFacts,
    /// Where it happened.
    pub portal: PortalFacts,
    /// The developer concerned; none for an application that a team owns.
    pub developer: Option<DeveloperFacts>,
    /// The application concerned.
    pub application: Option<ApplicationFacts>,
    /// The registration concerned.
    pub registration: Option<RegistrationFacts>,
    /// The audit or custom event itself, where one is the evidence.
    pub event: Option<serde_json::Map<String, serde_json::Value>>,
    /// The moment of deciding.
    pub now: DateTime<Utc>,
    /// Whether it was decided before, and is decided again now: the age that counts is the one of
    /// the event at the first decision.
    #[serde(skip)]
    pub is_again: bool,
    /// Whether the person was forgotten: nothing but access is taken away from them.
    #[serde(skip)]
    pub is_forgotten: bool,
}

impl Facts {
    /// The lists and maps that have more than [`MAX_FACT_MEMBERS`], of which conditions see only
    /// the first.
    pub fn cut(&self) -> Vec<&'static str> {
        let mut cut = Vec::new();
        if let Some(developer) = &self.developer {
            if developer.teams.len() > MAX_FACT_MEMBERS {
                cut.push("developer.teams");
            }
            if developer.applications.len() > MAX_FACT_MEMBERS {
                cut.push("developer.applications");
            }
        }
        if let Some(event) = &self.event
            && (event.len() > MAX_FACT_MEMBERS || event.values().any(is_large))
        {
            cut.push("event");
        }
        cut
    }

    /// Whom the event names by `data.email`, with their name if it has one; none where that is not
    /// one valid address.
    pub fn invitee(&self) -> Option<(&str, Option<&str>)> {
        let data = self.event.as_ref()?.get("data")?;
        let text = |name: &str| {
            data.get(name)?
                .as_str()
                .filter(|text| !text.trim().is_empty())
        };
        let email = text("email").filter(|email| !domain_of(email).is_empty())?;
        Some((email, text("full_name").or_else(|| text("name"))))
    }
}

fn is_large(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Array(items) => {
            items.len() > MAX_FACT_MEMBERS || items.iter().any(is_large)
        }
        serde_json::Value::Object(members) => {
            members.len() > MAX_FACT_MEMBERS || members.values().any(is_large)
        }
        _ => false,
    }
}

/// The signal as conditions see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignalFacts {
    /// The name of the signal, such as `developer.signed_up`.
    pub kind: String,
    /// The status before, where the signal is a change of status.
    pub from_status: Option<String>,
    /// When it happened, as far as known.
    pub at: DateTime<Utc>,
    /// Whether usher's own deed, or Konnect itself, explains the signal.
    pub own: bool,
}

/// A portal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortalFacts {
    /// The portal's id in Konnect. Nil where a signal is about usher itself and no portal:
    /// conditions see null for the portal then.
    pub id: Uuid,
    /// The portal's name.
    pub name: String,
}

/// A developer with their teams and applications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeveloperFacts {
    /// The developer's id in Konnect.
    pub id: Uuid,
    /// The address as Konnect has it.
    pub email: String,
    /// The name as Konnect has it.
    pub full_name: String,
    /// `approved`, `pending`, `rejected` or `revoked`.
    pub status: String,
    /// When they signed up.
    pub created_at: DateTime<Utc>,
    /// The teams they are in.
    pub teams: Vec<TeamFacts>,
    /// The applications they own.
    pub applications: Vec<OwnedApplicationFacts>,
}

/// A team, as a member of a developer's `teams`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TeamFacts {
    /// The team's id in Konnect.
    pub id: Uuid,
    /// The team's name.
    pub name: String,
}

/// An application, as a member of a developer's `applications`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnedApplicationFacts {
    /// The application's id in Konnect.
    pub id: Uuid,
    /// The application's name.
    pub name: String,
}

/// The application that a signal is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApplicationFacts {
    /// The application's id in Konnect.
    pub id: Uuid,
    /// The application's name.
    pub name: String,
    /// `developer` or `team`.
    pub owner_type: String,
    /// The id of the developer or team.
    pub owner_id: Uuid,
    /// The owner, where the directory has it.
    pub owner: Option<OwnerFacts>,
}

/// Who owns an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnerFacts {
    /// The id of the developer or team.
    pub id: Uuid,
    /// The team's name or the developer's full name.
    pub name: String,
    /// The developer's address; none for a team.
    pub email: Option<String>,
}

/// A registration: an application's request for an API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegistrationFacts {
    /// The registration's id in Konnect.
    pub id: Uuid,
    /// `approved`, `pending`, `rejected` or `revoked`.
    pub status: String,
    /// When it was requested.
    pub created_at: DateTime<Utc>,
    /// The API asked for.
    pub api: ApiFacts,
}

/// The API that a registration is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApiFacts {
    /// The API's id in Konnect.
    pub id: Uuid,
    /// The API's name.
    pub name: String,
    /// The API's version, where it has one.
    pub version: Option<String>,
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;
    use uuid::Uuid;

    use crate::{DeveloperFacts, Facts, MAX_FACT_MEMBERS, PortalFacts, SignalFacts, TeamFacts};

    #[test]
    fn tells_which_facts_are_longer_than_conditions_see() {
        let team = TeamFacts {
            id: Uuid::nil(),
            name: "T".to_owned(),
        };
        let mut facts = Facts {
            signal: SignalFacts {
                kind: "custom.x".to_owned(),
                from_status: None,
                at: DateTime::UNIX_EPOCH,
                own: false,
            },
            portal: PortalFacts {
                id: Uuid::nil(),
                name: String::new(),
            },
            developer: Some(DeveloperFacts {
                id: Uuid::nil(),
                email: String::new(),
                full_name: String::new(),
                status: "pending".to_owned(),
                created_at: DateTime::UNIX_EPOCH,
                teams: vec![team.clone(); MAX_FACT_MEMBERS],
                applications: Vec::new(),
            }),
            application: None,
            registration: None,
            event: json!({"data": {"roles": vec![1; MAX_FACT_MEMBERS]}})
                .as_object()
                .cloned(),
            now: DateTime::UNIX_EPOCH,
            is_again: false,
            is_forgotten: false,
        };
        assert!(facts.cut().is_empty());
        facts
            .developer
            .as_mut()
            .expect("a developer")
            .teams
            .push(team);
        assert_eq!(facts.cut(), ["developer.teams"]);
        facts.event = json!({"data": {"roles": vec![1; MAX_FACT_MEMBERS + 1]}})
            .as_object()
            .cloned();
        assert_eq!(facts.cut(), ["developer.teams", "event"]);
    }
}
