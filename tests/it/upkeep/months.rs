//! Months that are dropped once they are too old, and what keeps them.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta};
use sqlx::Connection;
use usher::clock::Clock;
use usher::journal::ReaderName;

use super::{Archive, DAY, at, now, retention};

#[tokio::test]
async fn a_month_is_dropped_once_all_of_it_is_too_old() {
    let archive = Archive::open().await;
    let times = [
        "2025-08-31T23:59:59Z",
        "2025-10-01T00:00:00Z",
        "2026-11-15T11:00:00Z",
    ];
    archive.deliver(now(), &times).await;
    let round = archive.journal.tidy_up(&retention(), now()).await.unwrap();
    assert_eq!(round.dropped, ["events_2025_08"]);
    assert!(
        round.owed.is_empty() && round.unfinished.is_empty(),
        "{round:?}"
    );
    assert_eq!(archive.months().await, ["2025-10", "2026-11"]);

    // This journal still believes in the month; a late entry makes it anew.
    let (_, appended) = archive.deliver(now(), &["2025-08-02T00:00:00Z"]).await;
    assert_eq!(appended.stored, 1);
    let later = now() + TimeDelta::days(25);
    let round = archive.journal.tidy_up(&retention(), later).await.unwrap();
    assert_eq!(round.dropped, ["events_2025_08", "events_2025_10"]);
    archive.close().await;
}

#[tokio::test]
async fn a_month_that_a_reader_is_owed_stays() {
    let archive = Archive::open().await;
    let kafka = ReaderName::Kafka;
    archive
        .journal
        .activate_reader(kafka, DateTime::UNIX_EPOCH)
        .await
        .unwrap();
    let old = ["2025-02-10T00:00:00Z", "2025-04-10T00:00:00Z"];
    archive.deliver(now(), &old).await;
    let round = archive.journal.tidy_up(&retention(), now()).await.unwrap();
    assert!(round.dropped.is_empty(), "{round:?}");
    assert_eq!(round.owed, ["events_2025_02", "events_2025_04"]);
    let claimed = archive.journal.claim(kafka, 1, DAY).await.unwrap();
    assert_eq!(
        archive.journal.events_of(&claimed[0]).await.unwrap().len(),
        2
    );

    archive
        .journal
        .finish(kafka, &[claimed[0].owed()])
        .await
        .unwrap();
    let round = archive.journal.tidy_up(&retention(), now()).await.unwrap();
    assert_eq!(round.dropped, round_of(&old), "{round:?}");
    archive.close().await;
}

#[tokio::test]
async fn a_month_that_a_reader_will_be_owed_once_its_past_is_complete_stays() {
    let archive = Archive::open().await;
    archive.deliver(now(), &["2025-02-10T00:00:00Z"]).await;
    archive
        .run(
            "INSERT INTO readers (name, since, filled_at, filled_id, fill_until)
             SELECT 'kafka', 'epoch', 'epoch', '00000000-0000-0000-0000-000000000000', received_at
             FROM batches",
        )
        .await;
    let round = archive.journal.tidy_up(&retention(), now()).await.unwrap();
    assert!(round.dropped.is_empty(), "{round:?}");
    assert!(archive.journal.fill_some().await.unwrap());
    assert!(!archive.journal.fill_some().await.unwrap());
    let owed = archive.journal.claim(ReaderName::Kafka, 10, DAY).await;
    assert_eq!(owed.unwrap().len(), 1);
    archive.close().await;
}

fn round_of(times: &[&str]) -> Vec<String> {
    let month = |time: &&str| format!("events_{}_{}", &time[..4], &time[5..7]);
    times.iter().map(month).collect()
}

#[tokio::test]
async fn ingest_goes_on_while_a_long_read_holds_an_old_month() {
    let archive = Archive::open().await;
    archive.deliver(now(), &["2025-02-10T00:00:00Z"]).await;
    let mut reader = archive.connect().await;
    let mut report = reader.begin().await.unwrap();
    sqlx::query("SELECT FROM events")
        .execute(&mut *report)
        .await
        .unwrap();

    let ingest = async {
        archive.is_detaching().await;
        let started = Instant::now();
        // One month is being dropped, one is there, one must be made.
        let times = [
            "2025-02-11T00:00:00Z",
            "2026-11-15T11:00:00Z",
            "2031-05-05T00:00:00Z",
        ];
        let (_, appended) = archive.deliver(now(), &times).await;
        assert_eq!((appended.stored, appended.quarantined), (2, 1));
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "{:?}",
            started.elapsed()
        );
        let kept: (String, Vec<u8>) = sqlx::query_as("SELECT reason, raw FROM quarantine")
            .fetch_one(archive.journal.pool())
            .await
            .unwrap();
        assert_eq!(kept.0, "month_dropped");
        assert!(kept.1.starts_with(b"{"), "the entry's own bytes are kept");
        report.rollback().await.unwrap();
    };
    let retention = retention();
    let (round, ()) = tokio::join!(archive.journal.tidy_up(&retention, now()), ingest);
    assert_eq!(round.unwrap().dropped, ["events_2025_02"]);
    assert_eq!(archive.months().await, ["2026-11", "2031-05"]);
    reader.close().await.unwrap();
    archive.close().await;
}

#[tokio::test]
async fn a_detachment_that_was_cut_is_finished_by_a_later_round() {
    let archive = Archive::open().await;
    archive
        .deliver(now(), &["2025-02-10T00:00:00Z", "2025-03-10T00:00:00Z"])
        .await;
    let mut reader = archive.connect().await;
    let mut report = reader.begin().await.unwrap();
    sqlx::query("SELECT FROM events")
        .execute(&mut *report)
        .await
        .unwrap();

    let cut = async {
        archive.is_detaching().await;
        archive
            .run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND query LIKE '%DETACH PARTITION%'
                     AND pid <> pg_backend_pid()",
            )
            .await;
    };
    let retention = retention();
    let (round, ()) = tokio::join!(archive.journal.tidy_up(&retention, now()), cut);
    assert!(round.unwrap_err().is_transient());
    archive.is_detaching().await;

    // As long as the report runs, a round waits a moment, leaves it, and does the rest.
    let round = archive.journal.tidy_up(&retention, now()).await.unwrap();
    assert_eq!(round.unfinished, ["events_2025_02"]);
    assert!(round.dropped.is_empty(), "{round:?}");

    report.rollback().await.unwrap();
    let round = archive.journal.tidy_up(&retention, now()).await.unwrap();
    assert_eq!(round.dropped, ["events_2025_02", "events_2025_03"]);
    reader.close().await.unwrap();
    archive.close().await;
}

#[tokio::test]
async fn a_detached_month_comes_back_when_it_is_owed_and_others_tables_are_left_alone() {
    let archive = Archive::open().await;
    let kafka = ReaderName::Kafka;
    archive
        .journal
        .activate_reader(kafka, DateTime::UNIX_EPOCH)
        .await
        .unwrap();
    archive
        .deliver(now(), &["2025-02-10T00:00:00Z", "2025-03-10T00:00:00Z"])
        .await;
    // A process died between the detachment and the drop; an operator keeps another month.
    archive
        .run(
            "ALTER TABLE events DETACH PARTITION events_2025_02;
             COMMENT ON TABLE events_2025_02 IS 'usher drops this month';
             ALTER TABLE events DETACH PARTITION events_2025_03",
        )
        .await;
    let round = archive.journal.tidy_up(&retention(), now()).await.unwrap();
    assert_eq!(round.owed, ["events_2025_02"]);
    assert_eq!(archive.months().await, ["2025-02"]);

    let owed = archive.journal.claim(kafka, 10, DAY).await.unwrap();
    archive
        .journal
        .finish(kafka, &[owed[0].owed()])
        .await
        .unwrap();
    let round = archive.journal.tidy_up(&retention(), now()).await.unwrap();
    assert_eq!(round.dropped, ["events_2025_02"]);
    assert_eq!(
        archive.number("SELECT count(*) FROM events_2025_03").await,
        1
    );
    archive.close().await;
}

#[tokio::test]
async fn an_instance_whose_clock_is_wrong_drops_no_month() {
    let archive = Archive::open().await;
    let today = Clock::system().now();
    let recently = (today - TimeDelta::days(70)).to_rfc3339();
    archive
        .deliver(today, &[&recently, "2024-03-10T00:00:00Z"])
        .await;
    let by = |off: TimeDelta| {
        let clock = Clock::from_fn(move || Clock::system().now() + off);
        archive.upkeep_by(clock, archive.journal.clone())
    };
    for off in [
        TimeDelta::days(400),
        TimeDelta::days(-400),
        TimeDelta::hours(2),
    ] {
        assert_eq!(by(off).round().await.unwrap(), None, "off by {off}");
    }
    assert_eq!(archive.number("SELECT count(*) FROM events").await, 2);
    // Those that agree go by the database's.
    let round = by(TimeDelta::minutes(50)).round().await.unwrap().unwrap();
    assert_eq!(round.dropped, ["events_2024_03"]);
    assert_eq!(archive.number("SELECT count(*) FROM events").await, 1);
    archive.close().await;
}

#[tokio::test]
async fn the_months_that_are_ready_are_counted() {
    let archive = Archive::open().await;
    for (time, ahead) in [
        ("2026-11-15T12:00:00Z", 3),
        ("2027-01-31T23:59:59Z", 1),
        ("2027-02-01T00:00:00Z", 0),
        ("2030-01-01T00:00:00Z", 0),
    ] {
        let counted = archive.journal.months_ahead(at(time)).await.unwrap();
        assert_eq!(counted, ahead, "{time}");
    }
    archive.close().await;
}
