//! Audit-log destinations, webhooks and replay jobs through the client against the emulator, by
//! both versions of the API.

use chrono::TimeDelta;
use konnect::{
    DestinationUpdate, ListDestinations, LogFormat, NewDestination, PullAuditLogs, ReplayStatus,
    TextFilter, WebhookUpdate, WebhookV2Update,
};

use crate::nouns::{Konnect, is_gone};

#[tokio::test]
async fn both_versions_have_the_same_destinations() {
    let konnect = Konnect::start().await;
    let client = &konnect.client;
    let new = NewDestination {
        name: "Sink".to_owned(),
        endpoint: "https://sink.example/logs".to_owned(),
        authorization: "Bearer s3cret".into(),
        log_format: LogFormat::Json,
        skip_ssl_verification: true,
    };
    let versions = [client.destinations(), client.destinations_v2()];
    for (made_by, read_by) in [(0, 1), (1, 0)].map(|(a, b)| (versions[a], versions[b])) {
        let made = made_by.create(&new).await.unwrap();
        assert_eq!(read_by.get(made.id).await.unwrap(), made);
        let update = DestinationUpdate {
            name: Some("Drain".to_owned()),
            log_format: Some(LogFormat::Cps),
            ..DestinationUpdate::default()
        };
        let changed = read_by.update(made.id, &update).await.unwrap();
        assert_eq!(
            (&*changed.name, &changed.endpoint),
            ("Drain", &new.endpoint)
        );
        let named = ListDestinations {
            name: Some(TextFilter::Contains("rai".to_owned())),
            page_size: Some(1),
        };
        assert_eq!(made_by.list(&named).await.unwrap(), [changed]);

        let bind = WebhookUpdate {
            enabled: Some(true),
            audit_log_destination_id: Some(made.id),
        };
        client.org_webhook().update(&bind).await.unwrap();
        assert!(made_by.delete(made.id).await.unwrap_err().is_conflict());
        client.org_webhook().delete().await.unwrap();
        assert!(is_gone(client.org_webhook().delete().await));
        made_by.delete(made.id).await.unwrap();
        assert!(is_gone(read_by.get(made.id).await));
        assert!(is_gone(read_by.delete(made.id).await));
    }
}

#[tokio::test]
async fn the_older_webhook_is_the_newer_one_in_another_form() {
    let konnect = Konnect::start().await;
    let (client, older) = (&konnect.client, konnect.client.org_webhook_v2());
    assert!(!older.get().await.unwrap().is_configured());
    assert_eq!(client.org_webhook().get().await.unwrap(), None);
    let status = older.status().await.unwrap();
    assert_eq!(
        (status.webhook_enabled, status.webhook_status),
        (false, None)
    );

    let update = WebhookV2Update {
        endpoint: Some("https://sink.example/logs".to_owned()),
        authorization: Some("Bearer s3cret".into()),
        enabled: Some(true),
        log_format: Some(LogFormat::Cef),
        skip_ssl_verification: None,
    };
    assert!(!format!("{update:?}").contains("s3cret"));
    let shown = older.update(&update).await.unwrap();
    assert!(shown.is_configured() && shown.enabled, "{shown:?}");
    let newer = client.org_webhook().get().await.unwrap().unwrap();
    let destination = newer.audit_log_destination_id.unwrap();
    let destination = client.destinations().get(destination).await.unwrap();
    assert_eq!(destination.endpoint, shown.endpoint);
    assert_eq!(destination.log_format, Some(LogFormat::Cef));

    let off = WebhookV2Update {
        enabled: Some(false),
        ..WebhookV2Update::default()
    };
    assert!(!older.update(&off).await.unwrap().enabled);
    assert!(!client.org_webhook().get().await.unwrap().unwrap().enabled);
    client.org_webhook().delete().await.unwrap();
    assert!(!older.get().await.unwrap().is_configured());
}

#[tokio::test]
async fn both_versions_have_the_same_replay_job() {
    let konnect = Konnect::start().await;
    let client = &konnect.client;
    let (newer, older) = (client.org_replay(), client.org_replay_v2());
    assert_eq!(
        older.get().await.unwrap().status,
        ReplayStatus::Unconfigured
    );
    let end = konnect.emulator.now();
    let begin = end - TimeDelta::hours(1);
    let refused = older.start(begin, end).await.unwrap_err();
    assert_eq!(refused.status(), Some(400), "there is no destination");
    let update = WebhookV2Update {
        endpoint: Some("https://sink.invalid/logs".to_owned()),
        authorization: Some("Bearer s3cret".into()),
        ..WebhookV2Update::default()
    };
    client.org_webhook_v2().update(&update).await.unwrap();
    let job = older.start(begin, end).await.unwrap();
    assert_ne!(job.status, ReplayStatus::Unconfigured);
    assert_eq!(newer.get().await.unwrap().start_at, job.start_at);
}

#[tokio::test]
async fn what_was_done_can_be_pulled() {
    let konnect = Konnect::start().await;
    let options = PullAuditLogs {
        page_size: Some(1),
        ..PullAuditLogs::default()
    };
    let logs = konnect.client.audit_logs();
    let page = logs.pull_page(&options, None).await.unwrap();
    assert!(page.items[0].get().contains("\"type\""), "{page:?}");
    let next = logs.pull_page(&options, page.next.clone()).await.unwrap();
    assert_ne!(page.items[0].get(), next.items[0].get());
    assert_eq!(konnect.client.jwks().fetch().await.unwrap().keys.len(), 1);
}
