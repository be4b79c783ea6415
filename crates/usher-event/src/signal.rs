//! What a checked hint means, in the words that rules use. Decides nothing: `react` checks, `rules`
//! decide.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::AuditEvent;
use crate::alert::Alert;
use crate::id::EventId;
use crate::kind::{Kind, UnknownWord};

/// What comes before the type of a custom event in the name of its signal.
const CUSTOM: &str = "custom.";

/// Something that happened to a subject of a portal, or to usher itself, and that rules may be on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// What happened.
    pub kind: SignalKind,
    /// The portal in which it happened; nil where it is about usher itself and no portal.
    pub portal_id: Uuid,
    /// The developer that it is about.
    pub developer_id: Option<Uuid>,
    /// The application that it is about.
    pub application_id: Option<Uuid>,
    /// The registration that it is about.
    pub registration_id: Option<Uuid>,
    /// The signal key, which identifies the signal: the `key_of_*` functions make it.
    pub key: String,
    /// The event that caused it.
    pub cause: EventId,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// The status before a change of status.
    pub from_status: Option<String>,
    /// The change of a membership.
    pub membership: Option<MembershipChange>,
}

/// A developer joined or left the team of this id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembershipChange {
    /// They are a member now.
    Joined(Uuid),
    /// They are no longer one.
    Left(Uuid),
}

/// The kind of a signal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignalKind {
    /// A developer was found for the first time.
    DeveloperSignedUp,
    /// A developer logged in.
    DeveloperAuthenticated,
    /// Somebody tried to log in as a developer, and failed.
    DeveloperLoginFailed,
    /// An application was found for the first time.
    ApplicationCreated,
    /// An application asked for an API.
    RegistrationRequested,
    /// The status of a developer changed.
    DeveloperStatusChanged,
    /// The status of a registration changed.
    RegistrationStatusChanged,
    /// A developer joined or left a team.
    MembershipChanged,
    /// Somebody was refused something.
    AccessDenied,
    /// Something about usher itself began or ended.
    Operation(Alert),
    /// A trusted sender reported something of this type.
    Custom(String),
}

impl SignalKind {
    /// Every kind whose name is fixed, apart from those of [`Alert`].
    pub const FIXED: [Self; 9] = [
        Self::DeveloperSignedUp,
        Self::DeveloperAuthenticated,
        Self::DeveloperLoginFailed,
        Self::ApplicationCreated,
        Self::RegistrationRequested,
        Self::DeveloperStatusChanged,
        Self::RegistrationStatusChanged,
        Self::MembershipChanged,
        Self::AccessDenied,
    ];

    /// Returns the name that rules use: `custom.` and the sender's type for custom events.
    pub fn as_str(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::DeveloperSignedUp => "developer.signed_up",
            Self::DeveloperAuthenticated => "developer.authenticated",
            Self::DeveloperLoginFailed => "developer.login_failed",
            Self::ApplicationCreated => "application.created",
            Self::RegistrationRequested => "registration.requested",
            Self::DeveloperStatusChanged => "developer.status_changed",
            Self::RegistrationStatusChanged => "registration.status_changed",
            Self::MembershipChanged => "membership.changed",
            Self::AccessDenied => "access.denied",
            Self::Operation(alert) => alert.as_str(),
            Self::Custom(custom_type) => return Cow::Owned(format!("{CUSTOM}{custom_type}")),
        })
    }

    /// Returns the signal for which an event is itself the only evidence, if it is one.
    ///
    /// Names and outcomes must agree, and an ambiguous event or one of Konnect's own doing is no
    /// evidence. The caller checks whether the event can be trusted at all (its verdict, its
    /// sender).
    pub fn evidenced_by(event: &AuditEvent) -> Option<Self> {
        if event.ambiguous || event.claims_own_product() {
            return None;
        }
        match event.kind {
            Kind::Authentication if event.is_dev_portal() => {
                let succeeded = event.name()? == "AUTHENTICATION_OUTCOME_SUCCESS";
                match (succeeded, event.success()) {
                    (true, Some(true) | None) => Some(Self::DeveloperAuthenticated),
                    (false, Some(false) | None) => Some(Self::DeveloperLoginFailed),
                    _ => None,
                }
            }
            Kind::Authorization if event.granted() == Some(false) => Some(Self::AccessDenied),
            Kind::Access if matches!(event.status(), Some(401 | 403)) => Some(Self::AccessDenied),
            _ => None,
        }
    }
}

/// The keys that make two signals one: actions are unique by them.
impl Signal {
    /// The key where an object can be new only once: the id of the developer, application or
    /// registration.
    pub fn key_of_object(id: Uuid) -> String {
        id.to_string()
    }

    /// The key of a change: the object and its revision in the directory.
    pub fn key_of_revision(object: &str, revision: i64) -> String {
        format!("{object}:{revision}")
    }

    /// The key where the event itself is the evidence.
    pub fn key_of_event(id: EventId) -> String {
        id.to_string()
    }

    /// The key of what a trusted sender reported. `CloudEvents` are the same if source and id are,
    /// and no sender may use up another's. Neither a sender's name nor a source has a space, so
    /// that no two triples have one key.
    pub fn key_of_custom(sender: &str, source: &str, id: &str) -> String {
        format!("{sender} {source} {id}")
    }
}

impl fmt::Display for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_str())
    }
}

impl FromStr for SignalKind {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        if let Some(custom_type) = word.strip_prefix(CUSTOM).filter(|rest| !rest.is_empty()) {
            return Ok(Self::Custom(custom_type.into()));
        }
        if let Ok(alert) = word.parse() {
            return Ok(Self::Operation(alert));
        }
        Self::FIXED
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| UnknownWord::new("signal", word))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Alert, Signal, SignalKind};
    use crate::{EventId, parse};

    #[test]
    fn every_word_reads_back() {
        for kind in SignalKind::FIXED {
            assert_eq!(kind.as_str().parse(), Ok(kind.clone()));
        }
        for alert in Alert::ALL {
            let kind = SignalKind::Operation(alert);
            assert_eq!(kind.as_str().parse(), Ok(kind.clone()));
        }
        let custom = SignalKind::Custom("hr.joined".into());
        assert_eq!(custom.to_string(), "custom.hr.joined");
        assert_eq!("custom.hr.joined".parse(), Ok(custom));
        for word in ["custom.", "custom", "developer.", "usher.", ""] {
            assert!(word.parse::<SignalKind>().is_err(), "{word}");
        }
    }

    #[test]
    fn an_event_is_evidence_only_where_name_and_outcome_agree() {
        let table = [
            (
                r#""event_product":"Dev-Portal","name":"AUTHENTICATION_OUTCOME_SUCCESS","success":"true""#,
                Some(SignalKind::DeveloperAuthenticated),
            ),
            (
                r#""event_product":"Dev-portal","name":"AUTHENTICATION_OUTCOME_SUCCESS""#,
                Some(SignalKind::DeveloperAuthenticated),
            ),
            (
                r#""event_product":"Dev-Portal","name":"AUTHENTICATION_OUTCOME_LOCKED","success":false"#,
                Some(SignalKind::DeveloperLoginFailed),
            ),
            (
                r#""event_product":"Dev-Portal","name":"AUTHENTICATION_OUTCOME_LOCKED","success":true"#,
                None,
            ),
            (
                r#""event_product":"Dev-Portal","name":"AUTHENTICATION_OUTCOME_SUCCESS","success":"false""#,
                None,
            ),
            (
                r#""event_product":"Konnect","name":"AUTHENTICATION_OUTCOME_SUCCESS","success":true"#,
                None,
            ),
            (
                r#""event_product":"Konnect","name":"Authz.portals","granted":false"#,
                Some(SignalKind::AccessDenied),
            ),
            (
                r#""event_product":"Konnect","name":"Authz.portals","granted":true"#,
                None,
            ),
            (
                r#""event_product":"Konnect","name":"Ingress","status":403"#,
                Some(SignalKind::AccessDenied),
            ),
            (
                r#""event_product":"Konnect","name":"Ingress","status":500"#,
                None,
            ),
            (
                r#""event_product":"usher","name":"developer.signed_up""#,
                None,
            ),
            (
                r#""event_product":"Konnect","name":"Ingress","status":403,"status":200"#,
                None,
            ),
        ];
        for (members, signal) in table {
            let event = parse(format!("{{{members}}}").as_bytes()).unwrap();
            assert_eq!(SignalKind::evidenced_by(&event), signal, "{members}");
        }
    }

    #[test]
    fn keys_make_one_of_what_is_one() {
        assert_eq!(Signal::key_of_object(Uuid::nil()), Uuid::nil().to_string());
        assert_eq!(Signal::key_of_revision("developer:1", 2), "developer:1:2");
        assert_eq!(
            Signal::key_of_event(EventId::from_uuid(Uuid::max())),
            Uuid::max().to_string()
        );
        assert_eq!(Signal::key_of_custom("hr", "/hr", "7"), "hr /hr 7");
    }
}
