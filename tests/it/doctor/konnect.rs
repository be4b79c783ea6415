//! Faults of Konnect, and of what is set up there.

use konnect_emulator::Fault;
use serde_json::json;
use uuid::Uuid;

use crate::doctor::{DESTINATION, NOBODY, PORTAL, World, assert_only, bind, lines, turn};

const ELSEWHERE: Uuid = Uuid::from_u128(0x2d);
const WRONG_PATH: Uuid = Uuid::from_u128(0x3d);
const AWAY: Uuid = Uuid::from_u128(0x4d);

fn answered(path: &str, status: u16, body: Option<serde_json::Value>) -> Fault {
    Fault {
        path: path.to_owned(),
        status: Some(status),
        body,
        ..Fault::default()
    }
}

#[tokio::test]
async fn each_fault_of_the_api_is_told_by_its_own_line() {
    let world = World::new().await;
    let healthy = world.healthy().await;
    let inactive = json!({
        "webhook_enabled": true, "webhook_status": "inactive",
        "last_response_code": 401, "last_response_message": "Unauthorized",
        "last_attempt_at": "2026-01-02T03:04:05Z",
    });
    for (fault, rule, expected) in [
        (
            "a token without a right on developers",
            answered("*/developers", 403, None),
            (
                "konnect-permissions",
                "failed",
                "may not list developers of Football (403)",
            ),
        ),
        (
            "a token that may not read the webhook",
            answered("*/audit-log-webhook", 403, None),
            ("konnect-permissions", "warning", "webhook of Football"),
        ),
        (
            "portals that cannot be listed",
            answered("/v3/portals", 500, None),
            ("konnect-portals", "failed", "500"),
        ),
        (
            "no signing key",
            answered(
                "/v2/audit-log-webhook/jwks.json",
                200,
                Some(json!({ "keys": [] })),
            ),
            ("signing-keys", "warning", "no key"),
        ),
        (
            "a webhook whose last delivery was refused",
            answered("*/audit-log-webhook/status", 200, Some(inactive)),
            (
                "webhook-status",
                "failed",
                "answered 401: its Authorization is none of ingest.authorization",
            ),
        ),
    ] {
        world.emulator.set_faults([rule]);
        let ran = world.run(&world.settings).await;
        assert_only(fault, &healthy, &ran, expected);
    }
    world.end().await;
}

#[tokio::test]
async fn a_token_an_address_and_a_clock_that_are_wrong_are_told_by_their_own_lines() {
    let world = World::new().await;
    let healthy = world.healthy().await;
    world.emulator.set_clock_offset(600);
    let ran = world.run(&world.settings).await;
    let expected = ("konnect-clock", "failed", "s behind Konnect's");
    assert_only("a clock that is ten minutes off", &healthy, &ran, expected);
    world.emulator.set_clock_offset(0);

    for (fault, key, value, expected) in [
        (
            "a token that was revoked",
            "konnect.token",
            json!("kpat_revoked"),
            ("konnect-token", "failed", "401"),
        ),
        (
            "a portal that is not there",
            "konnect.portals",
            json!([PORTAL, Uuid::from_u128(0xbad)]),
            ("konnect-portals", "failed", "00000bad"),
        ),
        (
            "an address where nobody answers",
            "konnect.base_url",
            json!(NOBODY),
            ("konnect", "failed", "127.0.0.1 does not answer"),
        ),
    ] {
        let ran = world.run(&world.with(key, value)).await;
        assert_only(fault, &healthy, &ran, expected);
    }
    world.end().await;
}

#[tokio::test]
async fn each_fault_of_a_webhook_is_told_by_its_own_line() {
    let world = World::new().await;
    let healthy = world.healthy().await;
    let emulator = &world.emulator;

    turn(emulator, DESTINATION, false);
    let ran = world.run(&world.settings).await;
    let expected = ("webhook", "failed", "the webhook of Football is off");
    assert_only("a webhook that is off", &healthy, &ran, expected);

    bind(emulator, ELSEWHERE, "splunk", "http://127.0.0.1:9/hec");
    let ran = world.run(&world.settings).await;
    let expected = ("webhook", "failed", "destination splunk");
    assert_only("a webhook of somebody else", &healthy, &ran, expected);

    let named = format!("usher-{PORTAL}");
    let endpoint = format!("{}/audit", emulator.url());
    bind(emulator, WRONG_PATH, &named, &endpoint);
    let ran = world.run(&world.settings).await;
    let expected = ("webhook-destination", "failed", "posts to /audit,");
    assert_only("an endpoint with another path", &healthy, &ran, expected);

    bind(emulator, AWAY, "hand-made", &format!("{NOBODY}/audit-logs"));
    let ran = world.run(&world.settings).await;
    let expected = (
        "webhook-reachable",
        "warning",
        "does not answer from this machine",
    );
    assert_only("an endpoint that is away", &healthy, &ran, expected);
    world.end().await;
}

#[tokio::test]
async fn each_fault_of_the_organisation_s_webhook_is_told_by_its_own_line() {
    let world = World::new().await;
    let line = async |settings: &serde_json::Value| {
        let mut lines = lines(&world.run(settings).await);
        lines.remove("webhook-organisation").unwrap()
    };
    let (status, detail) = line(&world.settings).await;
    assert_eq!(status, "skipped");
    assert!(detail.contains("backfill.org_logs is off"), "{detail}");
    let mut settings = world.settings.clone();
    settings["backfill"] = json!({ "org_logs": "webhook" });
    let (status, detail) = line(&settings).await;
    assert_eq!(status, "failed", "{detail}");
    assert!(detail.contains("sends its log to nobody"), "{detail}");

    let send_to = |destination: Uuid, enabled: bool| {
        let webhook = json!({ "audit_log_destination_id": destination, "enabled": enabled });
        let seed = json!({ "webhooks": [webhook] });
        world.emulator.seed(&seed).unwrap();
    };
    send_to(DESTINATION, true);
    let healthy = lines(&world.run(&settings).await);
    assert_eq!(healthy["webhook-organisation"].0, "ok", "{healthy:?}");
    let name = "webhook-organisation";

    send_to(DESTINATION, false);
    let ran = world.run(&settings).await;
    let expected = (name, "failed", "the webhook of the organisation is off");
    assert_only("a webhook that is off", &healthy, &ran, expected);
    send_to(DESTINATION, true);
    world
        .emulator
        .set_faults([answered("/v3/audit-log-webhook", 403, None)]);
    let ran = world.run(&settings).await;
    let expected = (name, "warning", "may not read the webhook");
    assert_only("a token that may not read it", &healthy, &ran, expected);
    world.emulator.set_faults([]);

    let splunk = json!({
        "destinations": [{
            "id": ELSEWHERE, "name": "splunk", "endpoint": "http://127.0.0.1:9/hec",
            "authorization": "Bearer x", "log_format": "json",
        }],
    });
    world.emulator.seed(&splunk).unwrap();
    send_to(ELSEWHERE, true);
    let ran = world.run(&settings).await;
    let expected = (name, "failed", "destination splunk");
    assert_only("a webhook of somebody else", &healthy, &ran, expected);
    world.end().await;
}
