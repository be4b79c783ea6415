//! `usher setup --wait`: the first delivery as Konnect and the journal show it, or why none came.

use serde_json::json;

use crate::setup::{Konnect, PORTAL, free_address, of_portal, with_authorization};
use crate::support::database::TestDatabase;

#[tokio::test]
async fn waits_for_the_first_delivery_or_says_why_none_came() {
    let konnect = Konnect::start().await;
    let database = TestDatabase::create().await;
    let mut settings = konnect.settings();
    settings["http"] = json!({ "listen": free_address().await });
    settings["database"] = json!({ "url": database.url() });
    settings["telemetry"] = json!({ "log": "debug" });
    let mut installation = with_authorization(settings, "Bearer mine\n");
    let usher = installation.start().await;
    let portal = PORTAL.to_string();

    // Nobody signs in.
    let arguments = of_portal(&portal, &["--public-url", &usher.url, "--wait", "300ms"]);
    let none = installation.run(&arguments).await;
    assert_eq!(none.code, Some(1), "{none:?}");
    assert!(
        none.err.contains("nothing happened that it logs"),
        "{}",
        none.err
    );
    assert!(none.err.contains("is not https"), "{}", none.err);

    // Nothing is at this path.
    let elsewhere = format!("{}/nowhere", usher.url);
    let arguments = of_portal(&portal, &["--public-url", &elsewhere]);
    assert_eq!(installation.run(&arguments).await.code, Some(0));
    let arguments = of_portal(&portal, &["--public-url", &elsewhere, "--wait", "1s"]);
    let (lost, _) = konnect.under_traffic(installation.run(&arguments)).await;
    assert_eq!(lost.code, Some(1), "{lost:?}");
    for part in ["no delivery was taken in 1 s", "got 404", "ingest.path"] {
        assert!(lost.err.contains(part), "{}", lost.err);
    }

    let arguments = of_portal(&portal, &["--public-url", &usher.url, "--wait", "--json"]);
    let (seen, _) = konnect.under_traffic(installation.run(&arguments)).await;
    let shown = seen.lines(0).remove(0);
    assert_eq!(shown["delivery"]["status"], 200, "{shown}");
    let record = &shown["delivery"]["record"];
    let stored = record["stored"].as_i64().unwrap();
    assert!(stored > 0, "{shown}");
    assert_eq!(record["verdicts"], json!({ "verified": stored }));
    usher.terminate().await;
    drop(usher);
    database.drop().await;
}
