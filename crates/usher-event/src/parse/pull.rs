//! Reads an entry of the pull API (`GET /v3/audit-logs`), which has a schema of its own, into the
//! members that the webhook's entries have: both give the same event where both say the same.

use std::borrow::Cow;

use chrono::DateTime;

use crate::AuditEvent;
use crate::kind::{Format, Kind};
use crate::members::Members;
use crate::parse::ParseError;
use crate::parse::json;
use crate::parse::scan::Object;

/// Members that are called something else in the webhook's entries.
const RENAMED: [(&str, &str); 2] = [("ts", "event_ts"), ("client_ip", "src")];
const RENAMED_AUTHENTICATION: [(&str, &str); 2] = [("uri", "request"), ("successful", "success")];
const RENAMED_ACCESS: [(&str, &str); 3] = [
    ("uri", "request"),
    ("method", "act"),
    ("status_code", "status"),
];

/// Members of which the webhook's header is made.
const CONSUMED: [&str; 1] = ["type"];
const CONSUMED_AUTHENTICATION: [&str; 2] = ["outcome", "authentication_type"];
const CONSUMED_AUTHORIZATION: [&str; 2] = ["service", "resource"];

/// Returns whether an object is an entry of the pull API; `type` is documented as optional in
/// authentications.
pub(super) fn is_entry(object: &Object<'_>) -> bool {
    object.has("ts")
        && (object.has("type") || object.has("outcome"))
        && ["signature", "org_id", "trace_id"]
            .iter()
            .any(|name| object.has(name))
}

/// Reads an entry of the pull API.
pub(super) fn event(text: &str, object: &Object<'_>) -> Result<AuditEvent, ParseError> {
    json::refuse_odd_values(object)?;
    let (sent, repeated) = json::members(text, object);
    let kind = sent.text("type").map_or(Kind::Authentication, |word| {
        Kind::from_pull_type(word.trim())
    });
    // The header's members are some 200 bytes.
    let mut members = Members::with_capacity(sent.len() + 6, object.span.len() + 200);
    let mut is_ambiguous = repeated;
    for (name, value) in header(kind, &sent) {
        members.insert_text(name, &value);
    }
    if let Some(severity) = severity(kind, &sent) {
        members.insert_raw("severity", severity);
    }
    if let Some(rt) = milliseconds(&sent) {
        members.insert_raw("rt", &rt.to_string());
    }
    let (renamed, consumed): (&[_], &[_]) = match kind {
        Kind::Authentication => (&RENAMED_AUTHENTICATION, &CONSUMED_AUTHENTICATION),
        Kind::Access => (&RENAMED_ACCESS, &[]),
        // The webhook's authorizations have no path: what `uri` says stays a member of its own.
        Kind::Authorization => (&[], &CONSUMED_AUTHORIZATION),
        _ => (&[], &[]),
    };
    for (name, raw) in sent.iter() {
        if CONSUMED.contains(&name) || consumed.contains(&name) {
            continue;
        }
        let mut names = RENAMED.iter().chain(renamed);
        let own = names.find(|(pulled, _)| *pulled == name);
        is_ambiguous |= !members.insert_raw(own.map_or(name, |(_, own)| *own), raw);
    }
    Ok(AuditEvent::from_members(
        Format::Pull,
        is_ambiguous,
        members,
    ))
}

/// Product, name and class, as the webhook's header has them.
fn header(kind: Kind, sent: &Members) -> Vec<(&'static str, String)> {
    let text = |name: &str| match sent.text(name) {
        Some(text) => text.trim().to_owned(),
        None => String::new(),
    };
    let word = |prefix: &str, name: &str| format!("{prefix}{}", text(name).to_ascii_uppercase());
    // A portal's log has authentications only. Whatever else names a portal is about one.
    let of_portal = kind == Kind::Authentication && !text("portal_id").is_empty();
    let product = if of_portal { "Dev-Portal" } else { "Konnect" };
    let (name, class) = match kind {
        Kind::Authentication => (
            word("AUTHENTICATION_OUTCOME_", "outcome"),
            word("AUTHENTICATION_TYPE_", "authentication_type"),
        ),
        Kind::Authorization => (format!("Authz.{}", text("resource")), text("service")),
        Kind::Access => ("Ingress".to_owned(), "KongGateway".to_owned()),
        _ => (text("type"), String::new()),
    };
    vec![
        ("event_product", product.to_owned()),
        ("name", name),
        ("event_class_id", class),
    ]
}

/// The severity that Konnect documents for what the entry says.
fn severity(kind: Kind, sent: &Members) -> Option<&'static str> {
    match kind {
        Kind::Authentication => match sent.text("outcome")?.trim() {
            "success" => Some("0"),
            "not_found" | "invalid_password" | "token_expired" => Some("1"),
            "locked" | "disabled" => Some("6"),
            "invalid" => Some("7"),
            _ => None,
        },
        Kind::Authorization => Some(if sent.boolean("granted")? { "1" } else { "6" }),
        Kind::Access => Some(match sent.integer("status_code")? {
            401 | 403 => "6",
            500.. => "10",
            _ => "1",
        }),
        _ => None,
    }
}

/// The `rt` of the webhook's entry, where `ts` is finer than a second.
fn milliseconds(sent: &Members) -> Option<i64> {
    let text: Cow<'_, str> = sent.text("ts")?;
    let text = text.trim();
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    let is_fine = text.contains('.');
    let rt = time.timestamp_millis();
    (is_fine && rt >= 0).then_some(rt)
}

#[cfg(test)]
mod tests {
    use crate::signature::{Signed, locate};
    use crate::{AuditEvent, Format, Kind, parse, render};

    fn read(line: &str) -> AuditEvent {
        parse(line.as_bytes()).unwrap()
    }

    /// What the webhook sends of the same, and its name and kind.
    type Pair = (&'static str, &'static str, &'static str, Kind);

    const PAIRS: [Pair; 5] = [
        (
            r#"{"type":"authentication","ts":"2025-06-23T14:28:47.556Z","org_id":"o","principal_id":"p","client_ip":"127.0.0.6","trace_id":"6891110586028963295","user_agent":"grpc","uri":"/api/v1/authenticate","signature":"x","successful":true,"outcome":"success","authentication_type":"basic"}"#,
            r#"{"event_product":"Konnect","event_class_id":"AUTHENTICATION_TYPE_BASIC","name":"AUTHENTICATION_OUTCOME_SUCCESS","severity":0,"event_ts":"2025-06-23T14:28:47Z","rt":"1750688927556","org_id":"o","principal_id":"p","src":"127.0.0.6","trace_id":6891110586028963295,"user_agent":"grpc","request":"/api/v1/authenticate","success":"true"}"#,
            "AUTHENTICATION_OUTCOME_SUCCESS",
            Kind::Authentication,
        ),
        (
            // Without `type`, of a portal, and of somebody who was not found.
            r#"{"outcome":"not_found","ts":"2025-06-23T14:28:47.5Z","client_ip":"1.2.3.4","trace_id":"7","user_agent":"","uri":"/api/v3/developer/authenticate","signature":"x","successful":false,"authentication_type":"basic","portal_id":"q"}"#,
            r#"{"event_product":"Dev-Portal","event_class_id":"AUTHENTICATION_TYPE_BASIC","name":"AUTHENTICATION_OUTCOME_NOT_FOUND","severity":1,"event_ts":"2025-06-23T14:28:47Z","rt":1750688927500,"principal_id":"","portal_id":"q","src":"1.2.3.4","trace_id":7,"request":"/api/v3/developer/authenticate","success":"false"}"#,
            "AUTHENTICATION_OUTCOME_NOT_FOUND",
            Kind::Authentication,
        ),
        (
            r#"{"type":"authorization","ts":"2025-06-23T14:28:47.001Z","org_id":"o","principal_id":"p","actor_id":"","client_ip":"127.0.0.6","uri":"/v3/portals","trace_id":"8","user_agent":"u","service":"konnect","resource":"portals","action":"list","granted":false,"signature":"x","portal_id":""}"#,
            r#"{"event_product":"Konnect","event_class_id":"konnect","name":"Authz.portals","severity":6,"event_ts":"2025-06-23T14:28:47Z","rt":1750688927001,"org_id":"o","principal_id":"p","src":"127.0.0.6","trace_id":8,"user_agent":"u","action":"list","granted":false}"#,
            "Authz.portals",
            Kind::Authorization,
        ),
        (
            r#"{"type":"gateway_access","ts":"2025-06-23T16:28:47.010+02:00","org_id":"o","principal_id":"p","actor_id":"","client_ip":"127.0.0.6","trace_id":"9","user_agent":"u","method":"POST","uri":"/v3/portals/q/developers","query":"{}","status_code":403,"signature":"x","portal_id":"q"}"#,
            r#"{"event_product":"Konnect","event_class_id":"KongGateway","name":"Ingress","severity":6,"event_ts":"2025-06-23T14:28:47Z","rt":1750688927010,"org_id":"o","principal_id":"p","src":"127.0.0.6","trace_id":9,"user_agent":"u","act":"POST","request":"/v3/portals/q/developers","query":"{}","status":403,"portal_id":"q"}"#,
            "Ingress",
            Kind::Access,
        ),
        (
            // Without milliseconds there is no `rt`.
            r#"{"type":"gateway_access","ts":"2025-06-23T14:28:47Z","org_id":"o","method":"GET","uri":"/","status_code":500,"signature":"x"}"#,
            r#"{"event_product":"Konnect","event_class_id":"KongGateway","name":"Ingress","severity":10,"event_ts":"2025-06-23T14:28:47Z","org_id":"o","act":"GET","request":"/","status":500}"#,
            "Ingress",
            Kind::Access,
        ),
    ];

    #[test]
    fn gives_the_event_that_the_webhook_would_give() {
        for (pulled, delivered, name, kind) in PAIRS {
            let (pull, webhook) = (read(pulled), read(delivered));
            assert_eq!((pull.format, pull.kind), (Format::Pull, kind), "{pulled}");
            assert_eq!(pull.name().unwrap(), name);
            assert_eq!(pull.id, webhook.id, "{pulled}");
            assert!(pull.time_known && !pull.ambiguous, "{pulled}");
            let times = |event: &AuditEvent| (event.event_ts, event.occurred_at);
            assert_eq!(times(&pull), times(&webhook), "{pulled}");
            assert_eq!(pull.severity(), webhook.severity(), "{pulled}");
            let text =
                |event: &AuditEvent, member| event.text(member).map(std::borrow::Cow::into_owned);
            for member in [
                "src",
                "request",
                "act",
                "action",
                "user_agent",
                "trace_id",
                "query",
            ] {
                assert_eq!(
                    text(&pull, member),
                    text(&webhook, member),
                    "{member}: {pulled}"
                );
            }
            let outcome = |event: &AuditEvent| (event.status(), event.granted(), event.success());
            assert_eq!(outcome(&pull), outcome(&webhook), "{pulled}");
            // Which bytes it covers is not documented, so it is kept and not checked.
            assert_eq!(render(&pull)["signature"], "x");
            assert_eq!(locate(pulled.as_bytes()), Signed::Unsigned);
        }
    }

    #[test]
    fn what_is_new_stays_and_what_is_odd_is_no_entry() {
        let event = read(
            r#"{"type":"policy","ts":"2025-06-23T14:28:47.1Z","org_id":"o","new":{"a":[1]},"uri":"/x"}"#,
        );
        assert_eq!(
            (event.kind, event.name().unwrap().as_ref()),
            (Kind::Unknown, "policy")
        );
        assert_eq!(event.members.raw("new"), Some(r#"{"a":[1]}"#));
        assert_eq!(event.members.raw("uri"), Some(r#""/x""#));

        let odd = read(
            r#"{"type":"gateway_access","ts":"yesterday","signature":"x","status_code":"201","src":"1.1.1.1","client_ip":"2.2.2.2"}"#,
        );
        assert!(odd.ambiguous && !odd.time_known, "two addresses");
        assert_eq!(
            (odd.status(), odd.src().unwrap().as_ref()),
            (Some(201), "1.1.1.1")
        );

        for line in [
            r#"{"type":"gateway_access","ts":"2025-06-23T14:28:47Z"}"#,
            r#"{"type":"gateway_access","signature":"x"}"#,
            r#"{"ts":"2025-06-23T14:28:47Z","signature":"x"}"#,
        ] {
            assert_eq!(
                parse(line.as_bytes()).unwrap_err().reason(),
                "not_an_entry",
                "{line}"
            );
        }
        let named = r#"{"type":"authentication","ts":"2025-06-23T14:28:47Z","signature":"x","name":"Ingress"}"#;
        assert_eq!(
            read(named).format,
            Format::Json,
            "a header makes it an entry of the webhook"
        );
    }
}
