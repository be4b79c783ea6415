//! Readers that no instance is configured with are reported and retired.

use std::time::Duration;

use usher::http::health::Health;
use usher::lifecycle::Lifecycle;
use usher::telemetry;

use crate::readers::{KAFKA, PATIENCE, Record, look_after};
use crate::support::process::{Installation, settings};
use crate::support::signer::Signer;
use crate::support::{eventually, readiness};

/// Between looks at who is wanted.
const LOOKS: Duration = Duration::from_millis(20);

#[tokio::test]
async fn a_reader_that_no_instance_is_configured_with_is_told_and_retired() {
    let record = Record::with_kafka().await;
    record.append(1).await;
    let konnect = Signer::new(7).serve(&Lifecycle::new()).await;
    let mut installation = Installation::new(&settings(&record.database, &konnect));
    let longer = "UPDATE readers SET wanted_at = wanted_at - interval '5 minutes'";
    record.run(longer).await;
    let usher = installation.start().await;
    eventually("it is told that nobody reads", PATIENCE, async || {
        let parts = usher.parts().await;
        let part = &parts["readers"];
        let detail = part["detail"].as_str().unwrap_or_default();
        part["status"] == "degraded" && detail.contains("kafka owes 1 batch and")
    })
    .await;
    usher.terminate().await;
    assert!(usher.exit(PATIENCE).await.success());

    let longer = "UPDATE readers SET wanted_at = wanted_at - interval '10 minutes'";
    record.run(longer).await;
    let recorder = telemetry::metrics::recorder().unwrap();
    let counted = metrics::set_default_local_recorder(&recorder);
    let (door, lifecycle) = look_after(&record, &Health::default(), &[], LOOKS);
    eventually("the reader is retired", PATIENCE, async || {
        record.number("SELECT count(*) FROM readers").await == 0
    })
    .await;
    assert_eq!(record.number("SELECT count(*) FROM outbox").await, 0);
    lifecycle.stop();
    door.await.unwrap();
    drop(counted);
    let metrics = recorder.handle().render();
    assert!(
        metrics.contains("usher_readers_retired_total{reader=\"kafka\"} 1"),
        "{metrics}"
    );
    record.end().await;
}

#[tokio::test]
async fn an_outage_of_the_database_retires_no_reader_in_use() {
    let record = Record::with_kafka().await;
    record.append(1).await;
    let away = "UPDATE readers SET wanted_at = wanted_at - interval '11 minutes'";
    record.run(away).await;
    record.database.refuse().await;
    let health = Health::default();
    // It is configured with no reader, and the first to look.
    let door = look_after(&record, &health, &[], 10 * LOOKS);
    record.database.allow().await;
    eventually("nobody said that they read", PATIENCE, async || {
        let (_, parts) = readiness(&health).await;
        let detail = parts["readers"]["detail"].as_str().unwrap_or_default();
        detail.contains("kafka owes 1 batch and")
    })
    .await;
    let other = look_after(&record, &Health::default(), &[KAFKA], LOOKS);
    eventually("the other one says so", PATIENCE, async || {
        readiness(&health).await.1["readers"]["status"] == "ok"
    })
    .await;
    assert_eq!(record.number("SELECT count(*) FROM outbox").await, 1);
    for (task, lifecycle) in [door, other] {
        lifecycle.stop();
        task.await.unwrap();
    }
    record.end().await;
}
