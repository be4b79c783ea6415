//! Writes are sent once, to the right host, with the documented bodies.

use konnect::{
    DeveloperId, DeveloperStatus, LogFormat, Membership, NewDestination, Patch, PortalUpdate,
    TeamId, WebhookUpdate,
};
use serde_json::json;

use crate::support::{Fake, PORTAL, id};

#[tokio::test]
async fn sets_the_status_of_a_developer() {
    let fake = Fake::start().await;
    let client = fake.client();
    let developer = DeveloperId(id(1));
    let changed = client
        .portal(PORTAL)
        .developers()
        .set_status(developer, &DeveloperStatus::Approved)
        .await
        .unwrap();
    assert_eq!(changed.status, DeveloperStatus::Approved);
    assert_eq!(fake.asked()[0].body, json!({"status": "approved"}));
}

#[tokio::test]
async fn takes_a_second_membership_for_the_first_one() {
    let fake = Fake::start().await;
    let client = fake.client();
    let (teams, team, developer) = (
        client.portal(PORTAL).teams(),
        TeamId(id(1)),
        DeveloperId(id(2)),
    );
    assert_eq!(
        teams.add_member(team, developer).await.unwrap(),
        Membership::Added
    );
    assert_eq!(
        teams.add_member(team, developer).await.unwrap(),
        Membership::AlreadyMember
    );
    teams.remove_member(team, developer).await.unwrap();
    assert!(
        teams
            .remove_member(team, developer)
            .await
            .unwrap_err()
            .is_not_found()
    );
}

#[tokio::test]
async fn sends_a_write_once_even_if_it_fails_in_passing() {
    let fake = Fake::start().await;
    for status in [429, 500, 503] {
        fake.will_answer(status, "");
        let client = fake.client();
        let outcome = client
            .portal(PORTAL)
            .developers()
            .set_status(DeveloperId(id(1)), &DeveloperStatus::Approved)
            .await;
        let error = outcome.unwrap_err();
        assert!(
            error.is_transient() && error.status() == Some(status),
            "{error}"
        );
    }
    assert_eq!(fake.asked().len(), 3);
}

#[tokio::test]
async fn sends_destinations_to_the_global_host_with_their_authorization() {
    let (region, global) = (Fake::start().await, Fake::start().await);
    global.will_answer(
        201,
        json!({"id": id(1), "name": "n", "endpoint": "https://e.example"}).to_string(),
    );
    let client = region.builder().global_url(global.url()).build().unwrap();
    let new = NewDestination {
        name: "n".to_owned(),
        endpoint: "https://e.example".to_owned(),
        authorization: "Bearer receiver-secret".into(),
        log_format: LogFormat::Json,
        skip_ssl_verification: false,
    };
    assert!(!format!("{new:?}").contains("receiver-secret"));
    client.destinations().create(&new).await.unwrap();
    assert!(region.asked().is_empty());
    assert_eq!(
        global.asked()[0].body,
        json!({
            "name": "n",
            "endpoint": "https://e.example",
            "authorization": "Bearer receiver-secret",
            "log_format": "json",
            "skip_ssl_verification": false,
        })
    );
}

#[tokio::test]
async fn changes_only_the_given_members_of_a_webhook() {
    let fake = Fake::start().await;
    fake.will_answer(
        200,
        json!({"enabled": false, "audit_log_destination_id": ""}).to_string(),
    );
    let update = WebhookUpdate {
        enabled: Some(false),
        ..WebhookUpdate::default()
    };
    let webhook = fake
        .client()
        .portal(PORTAL)
        .webhook()
        .update(&update)
        .await
        .unwrap();
    assert_eq!(
        (webhook.enabled, webhook.audit_log_destination_id),
        (false, None)
    );
    assert_eq!(fake.asked()[0].body, json!({"enabled": false}));
    assert_eq!(fake.asked()[0].method, "PATCH");
    assert_eq!(fake.client().org_webhook().get().await.unwrap(), None);
}

#[tokio::test]
async fn asks_for_a_replay_of_a_window() {
    let fake = Fake::start().await;
    let (begin, end) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    fake.will_answer(
        202,
        json!({"start_at": begin, "end_at": end, "status": "accepted"}).to_string(),
    );
    fake.will_answer(
        409,
        json!({"status": 409, "title": "Resource Conflict", "detail": "A replay job is currently running"}).to_string());
    let client = fake.client();
    let replay = client.portal(PORTAL).replay();
    let job = replay
        .start(begin.parse().unwrap(), end.parse().unwrap())
        .await
        .unwrap();
    assert!(!job.status.is_final());
    let again = replay
        .start(begin.parse().unwrap(), end.parse().unwrap())
        .await
        .unwrap_err();
    assert!(again.is_conflict());
    assert_eq!(
        fake.asked()[0].body,
        json!({"start_at": begin, "end_at": end})
    );
}

#[tokio::test]
async fn asks_for_keys_without_the_token_first() {
    let fake = Fake::start().await;
    for (guarded, attempts) in [(false, 1), (true, 2)] {
        fake.state().asked.clear();
        fake.state().guards_keys = guarded;
        let jwks = fake.client().jwks().fetch().await.unwrap();
        assert_eq!(jwks.keys.len(), 1);
        let tokens: Vec<_> = fake
            .asked()
            .iter()
            .map(|asked| asked.headers.contains_key("authorization"))
            .collect();
        assert_eq!(tokens, [false, true][..attempts]);
    }
}

#[tokio::test]
async fn tells_what_a_portal_keeps_from_what_it_loses() {
    let fake = Fake::start().await;
    fake.will_answer(200, json!({"id": id(1), "name": "P"}).to_string());
    for _ in 0..2 {
        fake.will_answer(204, "");
    }
    let client = fake.client();
    let portal = client.portal(PORTAL);
    let update = PortalUpdate {
        rbac_enabled: Some(false),
        description: Patch::Null,
        labels: Patch::Set([("old".to_owned(), None)].into()),
        ..PortalUpdate::default()
    };
    portal.update(&update).await.unwrap();
    portal.delete(false).await.unwrap();
    portal.delete(true).await.unwrap();
    let asked = fake.asked();
    let body = json!({"rbac_enabled": false, "description": null, "labels": {"old": null}});
    assert_eq!((asked[0].method.as_str(), &asked[0].body), ("PATCH", &body));
    assert!(asked[1].query.is_empty());
    assert_eq!(asked[2].query["force"], "true");
}
