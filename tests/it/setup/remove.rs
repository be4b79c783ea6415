//! What `usher setup --remove` leaves: nothing of usher's, and everything else.

use konnect_emulator::Fault;
use serde_json::json;

use crate::setup::{Konnect, PORTAL, PUBLIC, SIEM, of_portal, with_authorization};
use crate::support::database::TestDatabase;

/// What was done is on record, and nothing is where nothing was to be done.
#[tokio::test]
async fn notes_who_took_usher_out_of_konnect() {
    let konnect = Konnect::start().await;
    let database = TestDatabase::create().await;
    let mut settings = konnect.settings();
    settings["database"] = json!({ "url": database.url() });
    let installation = with_authorization(settings, "Bearer mine\n");
    assert_eq!(installation.run(&["migrate"]).await.code, Some(0));
    let portal = PORTAL.to_string();
    let setup = of_portal(&portal, &["--public-url", PUBLIC]);
    let remove = of_portal(&portal, &["--remove"]);
    assert_eq!(installation.run(&setup).await.code, Some(0));
    for _ in 0..2 {
        let removed = installation.run(&remove).await;
        assert_eq!(removed.code, Some(0), "{removed:?}");
        assert!(!removed.err.contains("warning"), "{removed:?}");
    }
    let listing = ["events", "--portal", &portal, "--kind", "action", "--json"];
    let mut steps = installation.run(&listing).await.lines(0);
    steps.sort_by_key(|step| step["occurred_at"].to_string());
    let steps: Vec<_> = steps
        .iter()
        .map(|step| (step["name"].as_str().unwrap(), &step["data"]["names"]))
        .collect();
    let webhook = json!([format!("portal {PORTAL} (Main)")]);
    let destination = json!([format!("usher-{PORTAL}")]);
    assert_eq!(
        steps,
        [
            ("setup.webhook_unbound", &webhook),
            ("setup.destination_deleted", &destination),
        ]
    );
    database.drop().await;
}

#[tokio::test]
async fn leaves_nothing_can_be_repeated_and_touches_nobody_else() {
    let konnect = Konnect::start().await;
    let installation = with_authorization(konnect.settings(), "Bearer mine\n");
    let portal = PORTAL.to_string();
    let setup = of_portal(&portal, &["--public-url", PUBLIC]);
    let remove = of_portal(&portal, &["--remove"]);
    let planned = of_portal(&portal, &["--remove", "--dry-run"]);
    assert_eq!(installation.run(&setup).await.code, Some(0));
    konnect.writes();
    assert_eq!(installation.run(&planned).await.code, Some(3));
    assert!(konnect.writes().is_empty());

    // Konnect may see late that nothing uses the destination any more.
    konnect.emulator.set_faults([Fault {
        method: Some("DELETE".to_owned()),
        path: "/v3/audit-log-destinations/".to_owned(),
        status: Some(409),
        times: Some(2),
        ..Fault::default()
    }]);
    let removed = installation.run(&remove).await;
    assert_eq!(removed.code, Some(0), "{removed:?}");
    assert!(konnect.destinations().await.is_empty());
    let webhook = konnect.webhook().await;
    assert!(!webhook.enabled && webhook.audit_log_destination_id.is_none());

    konnect.writes();
    let again = installation.run(&remove).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.out.starts_with("nothing to remove"), "{again:?}");
    assert_eq!(installation.run(&planned).await.code, Some(0));
    assert!(konnect.writes().is_empty());

    // Somebody else has the webhook by now, and a destination of usher's was left.
    assert_eq!(installation.run(&setup).await.code, Some(0));
    konnect.give_to_siem();
    konnect.writes();
    let refused = installation.run(&remove).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("siem"), "{}", refused.err);
    assert!(konnect.writes().is_empty());
    let yes = of_portal(&portal, &["--remove", "--yes"]);
    assert_eq!(installation.run(&yes).await.code, Some(0));
    let left: Vec<_> = konnect
        .destinations()
        .await
        .into_iter()
        .map(|it| it.0)
        .collect();
    assert_eq!(left, ["siem"]);
    assert_eq!(
        konnect.webhook().await.audit_log_destination_id,
        Some(SIEM.into())
    );
}
