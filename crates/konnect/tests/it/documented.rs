//! Answers in the form that Konnect's public specification gives as examples are read.

use chrono::{DateTime, Utc};
use konnect::{
    Application, CursorPage, DeliveryState, Destination, Developer, DeveloperStatus, ListPortals,
    LogFormat, OwnerType, PullAuditLogs, Registration, RegistrationStatus, ReplayJob, ReplayStatus,
    Team, TeamId, Webhook, WebhookStatus,
};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::support::{Fake, PORTAL, id};

fn read<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap()
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[tokio::test]
async fn reads_a_list_of_portals() {
    let fake = Fake::start().await;
    let body = r#"{"meta":{"page":{"number":1,"size":10,"total":1}},"data":[{
        "id":"8f9fd312-a987-4628-b4c5-bb4f4fddd5f7","created_at":"2022-02-07T17:46:57.52Z",
        "updated_at":"2022-10-08T17:00:00.52Z","name":"Portal A","display_name":"Developer Portal A",
        "description":null,"authentication_enabled":false,"rbac_enabled":true,"sipr_enabled":false,
        "default_api_visibility":"private","auto_approve_applications":false,
        "auto_approve_developers":true,"default_domain":"123455678abcd.edge.us.portal.konghq.com",
        "labels":null}]}"#;
    fake.will_answer(200, body);
    let portals = fake
        .client()
        .portals()
        .list(&ListPortals::default())
        .await
        .unwrap();
    let [portal] = portals.as_slice() else {
        panic!("{portals:?}")
    };
    assert_eq!(
        (portal.name.as_str(), portal.rbac_enabled),
        ("Portal A", Some(true))
    );
    assert_eq!(portal.created_at, Some(time("2022-02-07T17:46:57.520Z")));
}

#[test]
fn reads_developers_of_this_and_older_versions() {
    let developer: Developer = read(
        r#"{"id":"7cd9feff-b4da-4a9f-ba49-cbe83c75ff22","email":"developer@example.com",
        "full_name":"Jane Dev","status":"approved","created_at":"2022-11-15T20:37:41.457Z",
        "updated_at":"2022-11-15T20:37:47.456Z"}"#,
    );
    assert_eq!(developer.status, DeveloperStatus::Approved);
    assert_eq!(developer.application_count, None);

    let developer: Developer = read(
        r#"{"id":"7cd9feff-b4da-4a9f-ba49-cbe83c75ff22","email":"developer@example.com",
        "full_name":null,"status":"suspended","application_count":3.0,"created_at":"yesterday",
        "is_new_member":{"of":["the","api"]}}"#,
    );
    assert_eq!(
        developer.status,
        DeveloperStatus::Other("suspended".to_owned())
    );
    assert_eq!(
        serde_json::to_value(&developer.status).unwrap(),
        "suspended"
    );
    assert_eq!(
        (developer.application_count, developer.created_at),
        (Some(3), None)
    );
}

#[test]
fn reads_applications_of_every_credential_type() {
    for (credentials, client_id) in [
        (
            r#""auth_strategy":{"id":"45606071-49c7-4c2e-ae49-8a86d72a8110","name":"API Key","credential_type":"key_auth","key_names":["apikey"]}"#,
            None,
        ),
        (
            r#""client_id":"yr1k0d9kj3l0cl01hp4o0","dcr_provider":null,"granted_scopes":null,"auth_strategy":{"id":"45606071-49c7-4c2e-ae49-8a86d72a8110","credential_type":"client_credentials","auth_methods":["bearer"]}"#,
            Some("yr1k0d9kj3l0cl01hp4o0"),
        ),
    ] {
        let application: Application = read(&format!(
            r#"{{"id":"b15e2460-ba40-431d-9df0-4957fcffacda","labels":{{"env":"test","old":null}},
            "name":"App 1","description":"An easy to manage app","registration_count":4,
            "portal":{{"id":"95606071-49c7-4c2e-ae49-8a86d72a8110"}},{credentials},
            "created_at":"2022-12-22T19:09:30.712Z","updated_at":"2022-12-22T19:09:30.712Z",
            "owner":{{"id":"8cd9feff-b4da-4a9f-ba49-cbe83c75ff22","type":"developer"}}}}"#
        ));
        assert_eq!(application.client_id.as_deref(), client_id);
        let owner = application.owner.unwrap();
        assert_eq!((owner.developer().is_some(), owner.team()), (true, None));
        assert_eq!(owner.kind, OwnerType::Developer);
    }
}

#[test]
fn reads_registrations_with_and_without_a_consumer() {
    let registration: Registration = read(
        r#"{"id":"c300cc33-2d33-4754-b086-a98e0fcd36fb","status":"pending",
        "application":{"id":"c15e2460-ba40-431d-9df0-4957fcff7cda","name":"App 1"},
        "api":{"id":"86f637b7-cd95-478b-9b02-d770618f641c","name":"Great Stuff","version":null,
        "entity_type":"api_package"},"consumer":{"id":"9b8d8f64-1c6a-4d4f-bf5a-7b8c2e3a4f01",
        "custom_id":"app-1-consumer","control_plane_id":"a1b2c3d4-e5f6-4789-89ab-cdef01234567"},
        "created_at":"2022-12-22T20:13:07.305Z","updated_at":"2022-12-22T20:13:36.710Z"}"#,
    );
    assert_eq!(registration.status, RegistrationStatus::Pending);
    assert_eq!(
        registration.consumer.unwrap().custom_id.as_deref(),
        Some("app-1-consumer")
    );
    let registration: Registration = read(
        r#"{"id":"c300cc33-2d33-4754-b086-a98e0fcd36fb","status":"revoked",
        "application":{"id":"c15e2460-ba40-431d-9df0-4957fcff7cda"},
        "api":{"id":"86f637b7-cd95-478b-9b02-d770618f641c"}}"#,
    );
    assert_eq!(
        (registration.consumer, registration.created_at),
        (None, None)
    );
}

#[tokio::test]
async fn reads_teams_and_their_members() {
    let team: Team = read(
        r#"{"id":"7f9fd312-a987-4628-b4c5-bb4f4fddd5f7","name":"IDM - Developers",
        "description":"The Identity Management (IDM) API team.","can_own_applications":true,
        "created_at":"2022-02-07T17:46:57.52Z","updated_at":"2022-10-08T17:00:00.00Z"}"#,
    );
    assert_eq!(team.can_own_applications, Some(true));

    let fake = Fake::start().await;
    let body = r#"{"meta":{"page":{"number":1,"size":10,"total":2}},"data":[
        {"id":"7f9fd312-a987-4628-b4c5-bb4f4fddd5f7","email":"james.woods@email.com",
        "full_name":"James Woods","active":true,"created_at":"2022-08-17T17:46:57.52Z"},
        {"id":"4f9fd312-a987-4628-b4c5-bb4f4fddd5f7"}]}"#;
    fake.will_answer(200, body);
    let members = fake
        .client()
        .portal(PORTAL)
        .teams()
        .members(TeamId(id(1)))
        .await
        .unwrap();
    assert_eq!([members[0].active, members[1].active], [Some(true), None]);
}

#[test]
fn reads_destinations_webhooks_and_their_status() {
    let destination: Destination = read(
        r#"{"id":"07ec3858-066b-4629-bdc5-d4aa893b424d","name":"My Destination",
        "endpoint":"https://example.com/audit-log","log_format":"cps",
        "created_at":"2023-03-20T09:29:14.52Z","updated_at":"2023-03-21T09:29:14.52Z"}"#,
    );
    assert_eq!(destination.log_format, Some(LogFormat::Cps));
    assert!(!destination.skip_ssl_verification);

    let id = "9cb77dc2-ff99-4d47-84ab-7c5c1b3ef939";
    for (text, expected) in [
        (
            format!(r#"{{"enabled":true,"audit_log_destination_id":"{id}"}}"#),
            (true, Some(id)),
        ),
        (
            r#"{"enabled":false,"audit_log_destination_id":""}"#.to_owned(),
            (false, None),
        ),
        (
            r#"{"enabled":false,"audit_log_destination_id":null}"#.to_owned(),
            (false, None),
        ),
        ("{}".to_owned(), (false, None)),
    ] {
        let webhook: Webhook = read(&text);
        let destination = webhook.audit_log_destination_id.map(|id| id.to_string());
        assert_eq!(
            (webhook.enabled, destination.as_deref()),
            expected,
            "{text}"
        );
    }

    let status: WebhookStatus = read(
        r#"{"webhook_enabled":true,"webhook_status":"inactive",
        "last_attempt_at":"2023-03-21T09:29:14.52Z","last_response_code":401,
        "last_response_message":"Unauthorized"}"#,
    );
    assert_eq!(status.webhook_status, Some(DeliveryState::Inactive));
    assert_eq!(status.last_response_code, Some(401));
    let status: WebhookStatus =
        read(r#"{"webhook_enabled":false,"webhook_status":"unconfigured"}"#);
    assert_eq!(status.webhook_status, Some(DeliveryState::Unconfigured));
}

#[test]
fn takes_every_form_of_the_zero_time_for_no_time() {
    for zero in ["0001-01-01T00:00:0Z", "0001-01-01T00:00:00Z", ""] {
        let job: ReplayJob = read(&format!(
            r#"{{"start_at":"{zero}","end_at":"{zero}","status":"unconfigured","updated_at":"{zero}"}}"#
        ));
        assert_eq!(job.status, ReplayStatus::Unconfigured);
        assert_eq!(
            [job.start_at, job.end_at, job.updated_at],
            [None; 3],
            "{zero:?}"
        );
    }
    let job: ReplayJob = read(r#"{"start_at":"2026-01-01T00:00:00Z","status":"running"}"#);
    assert_eq!(job.start_at, Some(time("2026-01-01T00:00:00Z")));
}

#[tokio::test]
async fn pulls_entries_as_they_were_sent() {
    let entry =
        r#"{"type":"gateway_access","trace_id":"6891110586028963295","n":6891110586028963295}"#;
    let fake = Fake::start().await;
    fake.will_answer(
        200,
        format!(
            r#"{{"data":[{entry}],"meta":{{"page":{{"next":"abc","previous":null,"size":1}}}}}}"#
        ),
    );
    fake.will_answer(
        200,
        json!({"data": [], "meta": {"page": {"next": null}}}).to_string(),
    );
    let client = fake.client();
    let options = PullAuditLogs {
        since: Some(time("2026-01-01T00:00:00Z")),
        until: Some(time("2026-01-02T00:00:00Z")),
        ..PullAuditLogs::default()
    };
    let CursorPage { items, next, .. } =
        client.audit_logs().pull_page(&options, None).await.unwrap();
    assert_eq!(items[0].get(), entry);
    let last = client.audit_logs().pull_page(&options, next).await.unwrap();
    assert_eq!(last.next, None);

    let asked = fake.asked();
    assert_eq!(
        asked[0].query["filter[ts][gte]"],
        "2026-01-01T00:00:00.000Z"
    );
    assert_eq!(asked[0].query["page[size]"], "1000");
    assert_eq!(asked[1].query["page[after]"], "abc");
}
