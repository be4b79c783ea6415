//! What one event of the journal means: a hint, a signal, both or nothing. Pure: the directory is
//! asked afterwards.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::event::{
    Alert, AuditEvent, Kind, MembershipChange, Signal, SignalKind, Verdict, render,
};
use crate::react::paths::{self, ChangedObject};

/// Events older than this give no hint: the sweeps cover what they are about.
pub(super) const MAX_HINT_AGE: TimeDelta = TimeDelta::hours(1);

/// What should be read early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hint {
    /// The portal.
    Portal(Uuid),
    /// The portal, and this developer if the directory does not have them.
    Newcomer {
        /// The portal.
        portal_id: Uuid,
        /// The developer who logged in there.
        developer_id: Uuid,
    },
    /// The portal, and what a call changed there.
    Changed {
        /// The portal.
        portal_id: Uuid,
        /// What the call's path names.
        object: ChangedObject,
    },
    /// Every portal: the event does not say which.
    EveryPortal,
}

/// What an event means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interpretation {
    /// What should be read early.
    pub hint: Option<Hint>,
    /// What happened, where the event itself is the evidence or is a difference.
    pub signal: Option<Signal>,
    /// Where the personal data is stored that a trusted sender reported.
    pub kept: SubjectRefs,
    /// Whether usher's account or Konnect itself did what the signal is about.
    pub own: bool,
    /// The developer of whom a difference was found, of whatever kind: what rules decide about
    /// their requests may be different now.
    pub touched: Option<(Uuid, Uuid)>,
}

/// Which rows of `subjects` have what does not stay in a custom event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SubjectRefs {
    /// The address by which it names somebody.
    pub subject: Option<Uuid>,
    /// Names and further addresses.
    pub told: Option<Uuid>,
}

/// Interprets an event that came with `verdict`. `own_principal` is usher's account.
pub fn interpret(
    event: &AuditEvent,
    verdict: Verdict,
    own_principal: Option<Uuid>,
    now: DateTime<Utc>,
) -> Interpretation {
    // Only its source proves that usher wrote it: a delivery may say so, too.
    if event.claims_own_product() {
        return match verdict {
            Verdict::NotApplicable => of_own(event),
            Verdict::Verified | Verdict::Failed | Verdict::KeyUnknown | Verdict::Unsigned => {
                Interpretation::default()
            }
        };
    }
    if event.ambiguous {
        return Interpretation::default();
    }
    // A deed gives its own hint when it is done.
    let by_usher = own_principal.is_some() && event.principal_uuid() == own_principal;
    let fresh = !by_usher && now - event.occurred_at <= MAX_HINT_AGE;
    Interpretation {
        hint: if fresh { hint(event) } else { None },
        signal: if verdict == Verdict::Verified {
            evidence(event)
        } else {
            None
        },
        own: by_usher || event.kong_initiated(),
        ..Interpretation::default()
    }
}

/// The event as conditions see it, where it is itself the evidence of the signal.
pub(super) fn as_fact(event: &AuditEvent, signal: &Signal) -> Option<Map<String, Value>> {
    (signal.key == signal.cause.to_string()).then(|| render(event))
}

fn hint(event: &AuditEvent) -> Option<Hint> {
    match event.kind {
        Kind::Authentication if event.is_dev_portal() => Some(Hint::Newcomer {
            portal_id: event.portal_uuid()?,
            developer_id: event.principal_uuid()?,
        }),
        Kind::Access => {
            let path = event.request()?;
            if !paths::changes(&event.act()?, &path) {
                return None;
            }
            let Some(portal_id) = paths::portal(&path) else {
                return Some(Hint::EveryPortal);
            };
            let took_effect = event
                .status()
                .is_some_and(|status| (200..300).contains(&status));
            let object = paths::named(&path).filter(|_| took_effect);
            Some(
                object.map_or(Hint::Portal(portal_id), |object| Hint::Changed {
                    portal_id,
                    object,
                }),
            )
        }
        _ => None,
    }
}

/// The signal of which the event itself is the evidence.
fn evidence(event: &AuditEvent) -> Option<Signal> {
    let kind = SignalKind::evidenced_by(event)?;
    let portal_id = match event.portal_uuid() {
        Some(portal_id) => portal_id,
        None => paths::portal(&event.request()?)?,
    };
    Some(Signal {
        kind,
        portal_id,
        // In the organisation's logs the principal is a user of Konnect.
        developer_id: event.principal_uuid().filter(|_| event.is_dev_portal()),
        application_id: None,
        registration_id: None,
        key: Signal::key_of_event(event.id),
        cause: event.id,
        occurred_at: event.occurred_at,
        from_status: None,
        membership: None,
    })
}

/// The meaning of an own event. usher's own deeds are no signals.
fn of_own(event: &AuditEvent) -> Interpretation {
    if event.kind == Kind::Custom {
        return of_custom_event(event).unwrap_or_default();
    }
    if event.kind == Kind::Operation {
        return Interpretation {
            signal: of_alert(event),
            ..Interpretation::default()
        };
    }
    let signal = observed(event);
    // The signal itself has a new person decided about.
    let is_new = signal.as_ref().is_some_and(|signal| {
        matches!(
            signal.kind,
            SignalKind::DeveloperSignedUp | SignalKind::RegistrationRequested
        )
    });
    let touched = match event.kind {
        Kind::Observation if !is_new => event.portal_uuid().zip(event.principal_uuid()),
        _ => None,
    };
    Interpretation {
        signal,
        touched,
        ..Interpretation::default()
    }
}

/// What began or ended about usher itself; not all of it has a portal.
fn of_alert(event: &AuditEvent) -> Option<Signal> {
    let alert: Alert = event.name()?.parse().ok()?;
    Some(Signal {
        kind: SignalKind::Operation(alert),
        portal_id: event.portal_uuid().unwrap_or_default(),
        developer_id: None,
        application_id: None,
        registration_id: None,
        key: Signal::key_of_event(event.id),
        cause: event.id,
        occurred_at: event.occurred_at,
        from_status: None,
        membership: None,
    })
}

/// What a trusted sender reported. It is about one subject: the most exact that it names.
fn of_custom_event(event: &AuditEvent) -> Option<Interpretation> {
    let data = data(event);
    let id = |name: &str| data.get(name)?.as_str()?.parse::<Uuid>().ok();
    let developer_id = id("developer_id");
    let registration_id = id("registration_id").filter(|_| developer_id.is_none());
    let key = Signal::key_of_custom(
        &event.text("sender")?,
        &event.text("ce_source")?,
        &event.text("ce_id")?,
    );
    let signal = Signal {
        kind: SignalKind::Custom(event.text("ce_type")?.into_owned()),
        portal_id: event.portal_uuid()?,
        developer_id,
        application_id: None,
        registration_id,
        key,
        cause: event.id,
        occurred_at: event.occurred_at,
        from_status: None,
        membership: None,
    };
    let row = |member: &str| event.text(member)?.parse().ok();
    Some(Interpretation {
        signal: Some(signal),
        kept: SubjectRefs {
            subject: row("subject_id"),
            told: row("told_id"),
        },
        ..Interpretation::default()
    })
}

fn observed(event: &AuditEvent) -> Option<Signal> {
    if event.kind != Kind::Observation {
        return None;
    }
    let kind: SignalKind = event.name()?.parse().ok()?;
    let data = data(event);
    let id = |name: &str| data.get(name)?.as_str()?.parse::<Uuid>().ok();
    let developer_id = id("developer_id").or_else(|| event.principal_uuid());
    let (application_id, registration_id) = (id("application_id"), id("registration_id"));
    let revision = || {
        let object = event.text("object")?;
        Some(Signal::key_of_revision(
            &object,
            event.members.integer("revision")?,
        ))
    };
    let key = match kind {
        SignalKind::DeveloperSignedUp => Signal::key_of_object(developer_id?),
        SignalKind::RegistrationRequested => Signal::key_of_object(registration_id?),
        SignalKind::ApplicationCreated => Signal::key_of_object(application_id?),
        SignalKind::DeveloperStatusChanged
        | SignalKind::RegistrationStatusChanged
        | SignalKind::MembershipChanged => revision()?,
        SignalKind::DeveloperAuthenticated
        | SignalKind::DeveloperLoginFailed
        | SignalKind::AccessDenied
        | SignalKind::Operation(_)
        | SignalKind::Custom(_) => return None,
    };
    Some(Signal {
        kind,
        portal_id: event.portal_uuid()?,
        developer_id,
        application_id,
        registration_id,
        key,
        cause: event.id,
        occurred_at: event.occurred_at,
        from_status: data
            .get("from_status")
            .and_then(Value::as_str)
            .map(str::to_owned),
        membership: membership(&data),
    })
}

/// What a difference of a membership shows.
fn membership(data: &Map<String, Value>) -> Option<MembershipChange> {
    let team = data.get("team_id")?.as_str()?.parse().ok()?;
    match data.get("change")?.as_str()? {
        "added" => Some(MembershipChange::Joined(team)),
        "removed" => Some(MembershipChange::Left(team)),
        _ => None,
    }
}

/// The member `data` of one of usher's own events.
pub(super) fn data(event: &AuditEvent) -> Map<String, Value> {
    event
        .members
        .raw("data")
        .and_then(|raw| serde_json::from_str(raw).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use serde_json::{Map, Value, json};
    use uuid::Uuid;

    use super::{ChangedObject, Hint, Interpretation, interpret};
    use crate::event::{AuditEvent, CustomEvent, OwnEvent, SignalKind, Verdict, parse};

    const PORTAL: Uuid = Uuid::from_u128(0x10);
    const DEVELOPER: Uuid = Uuid::from_u128(0x20);
    const ROBOT: Uuid = Uuid::from_u128(0x30);

    fn now() -> DateTime<Utc> {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    fn entry(members: &Value) -> AuditEvent {
        let mut entry = json!({
            "event_ts": "2026-11-20T11:59:30Z",
            "event_vendor": "KongInc",
            "event_version": "1.0",
            "severity": 1,
        });
        for (name, value) in members.as_object().unwrap() {
            entry[name] = value.clone();
        }
        parse(entry.to_string().as_bytes()).unwrap()
    }

    fn login(more: &Value) -> AuditEvent {
        let mut members = json!({
            "event_product": "Dev-Portal",
            "event_class_id": "AUTHENTICATION",
            "name": "AUTHENTICATION_OUTCOME_SUCCESS",
            "portal_id": PORTAL,
            "principal_id": DEVELOPER,
            "success": "true",
        });
        for (name, value) in more.as_object().unwrap() {
            members[name] = value.clone();
        }
        entry(&members)
    }

    fn call(method: &str, path: &str, principal: Uuid) -> AuditEvent {
        entry(&json!({
            "event_product": "Konnect",
            "event_class_id": "KongGateway",
            "name": "Ingress",
            "act": method,
            "request": path,
            "status": 200,
            "principal_id": principal,
        }))
    }

    fn read(event: &AuditEvent, verdict: Verdict) -> Interpretation {
        interpret(event, verdict, Some(ROBOT), now())
    }

    fn observation(name: &str, data: Value) -> AuditEvent {
        let Value::Object(data) = data else {
            panic!("data is an object")
        };
        let own = OwnEvent {
            name: name.to_owned(),
            portal_id: PORTAL.to_string(),
            principal_id: Some(DEVELOPER.to_string()),
            object: format!("developer:{DEVELOPER}"),
            revision: 3,
            occurred_at: now(),
            data,
        };
        own.build().1
    }

    #[test]
    fn a_login_is_a_hint_whatever_its_signature_and_a_signal_only_when_verified() {
        let hint = Some(Hint::Newcomer {
            portal_id: PORTAL,
            developer_id: DEVELOPER,
        });
        for verdict in [Verdict::Unsigned, Verdict::KeyUnknown, Verdict::Failed] {
            let meaning = read(&login(&json!({})), verdict);
            assert_eq!((meaning.hint, meaning.signal), (hint, None), "{verdict}");
        }
        let meaning = read(&login(&json!({})), Verdict::Verified);
        assert_eq!(meaning.hint, hint);
        let signal = meaning.signal.unwrap();
        assert_eq!(signal.kind, SignalKind::DeveloperAuthenticated);
        assert_eq!(
            (signal.portal_id, signal.developer_id),
            (PORTAL, Some(DEVELOPER))
        );
        assert_eq!(signal.key, signal.cause.to_string());
    }

    #[test]
    fn konnects_own_and_ushers_own_calls_are_marked() {
        let by_konnect = login(&json!({ "kong_initiated": true }));
        assert!(read(&by_konnect, Verdict::Verified).own);
        let by_usher = read(&login(&json!({ "principal_id": ROBOT })), Verdict::Verified);
        assert_eq!((by_usher.own, by_usher.hint), (true, None));
        assert!(!read(&login(&json!({})), Verdict::Verified).own);
    }

    #[test]
    fn calls_that_change_people_are_hints() {
        let path = format!("/konnect-api/api/v3/portals/{PORTAL}/developers");
        let hint = |event: &AuditEvent| read(event, Verdict::Unsigned).hint;
        assert_eq!(
            hint(&call("POST", &path, DEVELOPER)),
            Some(Hint::Portal(PORTAL))
        );
        assert_eq!(
            hint(&call("POST", "/api/developers", DEVELOPER)),
            Some(Hint::EveryPortal)
        );
        // Only a call that took effect names an object that is worth a refresh.
        let one = format!("{path}/{DEVELOPER}");
        let changed = Hint::Changed {
            portal_id: PORTAL,
            object: ChangedObject::Developer(DEVELOPER.into()),
        };
        assert_eq!(hint(&call("PATCH", &one, ROBOT)), None);
        assert_eq!(hint(&call("PATCH", &one, PORTAL)), Some(changed));
        let refused = entry(&json!({
            "name": "Ingress", "act": "PATCH", "request": one, "status": 403,
        }));
        assert_eq!(hint(&refused), Some(Hint::Portal(PORTAL)));
        assert_eq!(hint(&call("GET", &path, DEVELOPER)), None);
        assert_eq!(hint(&call("POST", &path, ROBOT)), None);
    }

    #[test]
    fn old_events_give_no_hint() {
        let event = login(&json!({}));
        let later = now() + TimeDelta::hours(2);
        assert_eq!(interpret(&event, Verdict::Unsigned, None, later).hint, None);
    }

    #[test]
    fn nobody_else_can_speak_as_usher() {
        let event = observation("developer.signed_up", json!({ "developer_id": DEVELOPER }));
        assert!(read(&event, Verdict::NotApplicable).signal.is_some());
        for verdict in [Verdict::Verified, Verdict::Unsigned, Verdict::Failed] {
            assert_eq!(
                read(&event, verdict),
                Interpretation::default(),
                "{verdict}"
            );
        }
    }

    #[test]
    fn observations_are_signals_keyed_by_what_can_be_new_once() {
        let data = json!({ "developer_id": DEVELOPER, "from_status": "pending" });
        let signal =
            |name: &str| read(&observation(name, data.clone()), Verdict::NotApplicable).signal;
        let signed_up = signal("developer.signed_up").unwrap();
        assert_eq!(signed_up.key, DEVELOPER.to_string());
        let changed = signal("developer.status_changed").unwrap();
        assert_eq!(changed.key, format!("developer:{DEVELOPER}:3"));
        assert_eq!(changed.from_status.as_deref(), Some("pending"));
        assert_eq!(signal("developer.changed"), None);
        assert_eq!(
            signal("registration.requested"),
            None,
            "it names no registration"
        );
    }

    #[test]
    fn deeds_are_no_signals() {
        let event = observation("action.done", Value::Object(Map::new()));
        assert_eq!(
            read(&event, Verdict::NotApplicable),
            Interpretation::default()
        );
    }

    #[test]
    fn what_a_sender_told_is_a_signal_about_the_most_exact_subject() {
        let subject = Uuid::from_u128(0x40);
        let told = |data: Value| {
            let Value::Object(data) = data else {
                panic!("data is an object")
            };
            let custom = CustomEvent {
                sender: "hr".to_owned(),
                source: "/hr".to_owned(),
                id: "7".to_owned(),
                event_type: "com.example.joined".to_owned(),
                portal_id: PORTAL,
                developer_id: None,
                registration_id: None,
                person: None,
                occurred_at: now(),
                data,
                attributes: Map::new(),
            };
            custom.build(Some(subject), None).1
        };
        let registration = Uuid::from_u128(0x50);
        for (data, developer, registration) in [
            (json!({}), None, None),
            (json!({ "developer_id": DEVELOPER }), Some(DEVELOPER), None),
            (
                json!({ "registration_id": registration }),
                None,
                Some(registration),
            ),
            (
                json!({ "registration_id": registration, "developer_id": DEVELOPER }),
                Some(DEVELOPER),
                None,
            ),
        ] {
            let meaning = read(&told(data.clone()), Verdict::NotApplicable);
            let signal = meaning.signal.unwrap();
            assert_eq!(
                signal.kind,
                SignalKind::Custom("com.example.joined".to_owned())
            );
            assert_eq!(signal.key, "hr /hr 7");
            assert_eq!(
                (signal.developer_id, signal.registration_id),
                (developer, registration)
            );
            assert_eq!(
                (meaning.kept.subject, meaning.touched),
                (Some(subject), None)
            );
            // Only the endpoint for trusted senders stores it so.
            for verdict in [Verdict::Verified, Verdict::Unsigned] {
                assert_eq!(
                    read(&told(data.clone()), verdict),
                    Interpretation::default()
                );
            }
        }
    }

    #[test]
    fn whatever_changes_about_somebody_touches_them() {
        let event = observation("membership.changed", json!({ "developer_id": DEVELOPER }));
        let meaning = read(&event, Verdict::NotApplicable);
        assert_eq!(meaning.touched, Some((PORTAL, DEVELOPER)));
    }
}
