//! What `usher setup` makes and changes, and that it does so once.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use konnect::{DestinationUpdate, ListDestinations, LogFormat, WebhookUpdate};
use konnect_emulator::Fault;
use serde_json::{Value, json};

use crate::setup::{Konnect, PORTAL, PUBLIC, SIEM, of_portal, with_authorization};
use crate::support::process::Installation;

fn name() -> String {
    format!("usher-{PORTAL}")
}

#[tokio::test]
async fn makes_what_is_missing_once() {
    let konnect = Konnect::start().await;
    let installation = Installation::new(&konnect.settings());
    let portal = PORTAL.to_string();
    let arguments = of_portal(&portal, &["--public-url", PUBLIC, "--json"]);
    let planned = [arguments.as_slice(), &["--dry-run"]].concat();

    let before = installation.run(&planned).await;
    let lines = before.lines(3);
    let members: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["object"].as_str().unwrap(),
                line["member"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        members,
        [
            ("file", "content"),
            ("configuration", "ingest.authorization"),
            ("destination", "endpoint"),
            ("destination", "log_format"),
            ("destination", "authorization"),
            ("webhook", "destination"),
            ("webhook", "enabled"),
        ]
    );
    assert!(konnect.writes().is_empty());

    let made = installation.run(&arguments).await;
    let shown = made.lines(0).remove(0);
    let endpoint = format!("{PUBLIC}/audit-logs");
    assert_eq!(shown["destination"]["endpoint"], endpoint);
    assert_eq!(shown["changes"].as_array().unwrap().len(), lines.len());
    let folder = installation.folder();
    let file = folder.join("usher-authorization");
    let secret = fs::read_to_string(&file).unwrap();
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let config = fs::read_to_string(folder.join("usher.toml")).unwrap();
    assert!(config.contains(&format!("authorization = [\"file:{}\"]", file.display())));
    let writes = konnect.writes();
    assert_eq!(writes.len(), 2, "{writes:?}");
    let (method, end, body) = &writes[0];
    assert_eq!(
        (method.as_str(), end.as_str()),
        ("POST", "audit-log-destinations")
    );
    assert_eq!(
        *body,
        json!({
            "name": name(), "endpoint": endpoint, "log_format": "json",
            "authorization": secret.trim_end(), "skip_ssl_verification": false,
        })
    );
    let id = shown["destination"]["id"].clone();
    assert_eq!(
        writes[1].2,
        json!({ "enabled": true, "audit_log_destination_id": id })
    );
    let random = secret.trim_end().strip_prefix("Bearer ").unwrap();
    for text in [&before, &made] {
        assert!(!format!("{text:?}").contains(random));
    }

    // Nothing differs any more.
    assert!(installation.run(&planned).await.lines(0).is_empty());
    let again = installation.run(&arguments).await.lines(0).remove(0);
    assert_eq!(again["changes"], json!([]));
    assert!(konnect.writes().is_empty());
    assert_eq!(fs::read_to_string(&file).unwrap(), secret);
}

#[tokio::test]
async fn a_secret_that_konnect_did_not_get_is_given_by_the_next_run() {
    let konnect = Konnect::start().await;
    let installation = Installation::new(&konnect.settings());
    let seed = json!({
        "destinations": [{
            "id": SIEM, "name": name(), "endpoint": format!("{PUBLIC}/audit-logs"),
            "authorization": "Bearer of-an-installation-that-is-gone", "log_format": "json",
        }],
        "webhooks": [{ "portal_id": PORTAL, "audit_log_destination_id": SIEM, "enabled": true }],
    });
    konnect.emulator.seed(&seed).unwrap();
    konnect.emulator.set_faults([Fault {
        method: Some("PATCH".to_owned()),
        path: "/v3/audit-log-destinations/".to_owned(),
        status: Some(500),
        ..Fault::default()
    }]);
    let portal = PORTAL.to_string();
    let arguments = of_portal(&portal, &["--public-url", PUBLIC, "--json"]);
    let cut = installation.run(&arguments).await;
    assert_eq!(cut.code, Some(1), "{cut:?}");
    let file = installation.folder().join("usher-authorization");
    let secret = fs::read_to_string(&file).unwrap();
    konnect.emulator.set_faults([]);
    konnect.writes();

    let gone_on = installation.run(&arguments).await;
    assert_eq!(gone_on.code, Some(0), "{gone_on:?}");
    let writes: Vec<_> = konnect.writes().into_iter().map(|it| it.2).collect();
    assert_eq!(writes, [json!({ "authorization": secret.trim_end() })]);
    assert_eq!(fs::read_to_string(&file).unwrap(), secret);
    let config = fs::read_to_string(installation.folder().join("usher.toml")).unwrap();
    assert!(config.contains(&format!("[\"file:{}\"]", file.display())));
    let again = installation.run(&arguments).await.lines(0).remove(0);
    assert_eq!(again["changes"], json!([]));
}

#[tokio::test]
async fn mends_what_differs_and_no_more() {
    let konnect = Konnect::start().await;
    let installation = with_authorization(konnect.settings(), "Bearer mine\n");
    let portal = PORTAL.to_string();
    let arguments = of_portal(&portal, &["--public-url", PUBLIC]);
    let planned = of_portal(&portal, &["--public-url", PUBLIC, "--dry-run", "--json"]);
    assert_eq!(installation.run(&arguments).await.code, Some(0));
    let own = konnect.client.destinations();
    let listed = own.list(&ListDestinations::default()).await.unwrap();
    let update = DestinationUpdate {
        log_format: Some(LogFormat::Cef),
        ..DestinationUpdate::default()
    };
    own.update(listed[0].id, &update).await.unwrap();
    let webhook = konnect.client.portal(PORTAL.into()).webhook();
    let update = WebhookUpdate {
        enabled: Some(false),
        ..WebhookUpdate::default()
    };
    webhook.update(&update).await.unwrap();
    konnect.writes();
    let shown = installation.run(&planned).await;
    let differ: Vec<Value> = shown
        .lines(3)
        .iter()
        .map(|line| line["is"].clone())
        .collect();
    assert_eq!(differ, [json!("cef"), json!("false")]);
    assert_eq!(installation.run(&arguments).await.code, Some(0));
    let writes: Vec<Value> = konnect
        .writes()
        .into_iter()
        .map(|(.., body)| body)
        .collect();
    assert_eq!(
        writes,
        [json!({ "log_format": "json" }), json!({ "enabled": true })]
    );
}

#[tokio::test]
async fn another_destination_keeps_the_webhook_until_somebody_says_yes() {
    let konnect = Konnect::start().await;
    konnect.give_to_siem();
    let installation = with_authorization(konnect.settings(), "Bearer mine\n");
    let portal = PORTAL.to_string();
    let arguments = of_portal(&portal, &["--public-url", PUBLIC]);
    let with = |more: &'static str| [arguments.as_slice(), &[more]].concat();

    let refused = installation.run(&arguments).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for part in [
        "siem (https://siem.example/audit)",
        "--yes takes it",
        "[[forward]]",
    ] {
        assert!(refused.err.contains(part), "{part}: {}", refused.err);
    }
    let planned = installation.run(&with("--dry-run")).await;
    assert_eq!(planned.code, Some(3));
    assert!(
        planned.out.contains("- destination   siem"),
        "{}",
        planned.out
    );
    assert!(planned.out.contains(&format!("+ destination   {}", name())));
    assert!(konnect.writes().is_empty());
    assert_eq!(
        konnect.webhook().await.audit_log_destination_id,
        Some(SIEM.into())
    );

    let taken = installation.run(&with("--yes")).await;
    assert_eq!(taken.code, Some(0), "{taken:?}");
    for part in [
        "[[forward]]",
        "url = \"https://siem.example/audit\"",
        "sent cef",
    ] {
        assert!(taken.err.contains(part), "{part}: {}", taken.err);
    }
    let bound = konnect.webhook().await;
    assert!(bound.enabled && bound.audit_log_destination_id != Some(SIEM.into()));
    assert_eq!(konnect.destinations().await.len(), 2);
    konnect.writes();
    let again = installation.run(&arguments).await;
    assert_eq!(again.code, Some(0));
    assert!(again.out.starts_with("nothing to change"), "{again:?}");
    assert!(konnect.writes().is_empty());
}

#[tokio::test]
async fn the_organisations_log_has_a_webhook_of_its_own() {
    let konnect = Konnect::start().await;
    let installation = with_authorization(konnect.settings(), "Bearer mine\n");
    let arguments = [
        "setup",
        "--org",
        "--public-url",
        "https://u.example/taken/as-it-is",
    ];
    let made = installation.run(&arguments).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.err.contains("is taken as it is"), "{}", made.err);
    let endpoint = "https://u.example/taken/as-it-is".to_owned();
    assert_eq!(
        konnect.destinations().await,
        [("usher-org".to_owned(), endpoint)]
    );
    let webhook = konnect.client.org_webhook().get().await.unwrap().unwrap();
    assert!(webhook.enabled);
    konnect.writes();
    assert_eq!(installation.run(&arguments).await.code, Some(0));
    assert_eq!(
        installation.run(&["setup", "--org", "--remove"]).await.code,
        Some(0)
    );
    let writes = konnect.writes();
    assert!(
        writes.iter().all(|(method, ..)| method == "DELETE"),
        "{writes:?}"
    );
    assert!(konnect.destinations().await.is_empty());
}
