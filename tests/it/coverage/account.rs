//! The account on record, by itself: clocks that jump, spools that vanish, what is counted of a
//! window, and losses that somebody takes note of.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use sqlx::PgPool;
use usher::backfill::{Coverage, StretchState};
use usher::clock::{Clock, Ids};
use usher::config::BackfillConfig;
use usher::event::{Verdict, parse};
use usher::journal::{
    Acknowledgement, Gap, GapReason, JobOrigin, JobState, Journal, Lane, LogSource, NewBatch,
    NewEvent, NewGap, NewReplayJob, SignOfLife, Source, SourceState, SourceStatus, WindowCounts,
};
use uuid::Uuid;

use crate::support::database::TestDatabase;
use crate::support::signer::Entry;

const SETTLE: Duration = Duration::from_mins(2);
/// Seconds.
const MONTH: i64 = 30 * 24 * 3_600;

struct Scene {
    database: TestDatabase,
    journal: Journal,
    ids: Ids,
    now: DateTime<Utc>,
    log: LogSource,
}

impl Scene {
    async fn create() -> Self {
        let database = TestDatabase::create().await;
        let journal = Journal::open(&database.url()).unwrap();
        journal.migrate().await.unwrap();
        let clock = Clock::system();
        let now = clock.now().trunc_subsecs(6);
        let ids = Ids::new(clock);
        let portal = Entry::numbered(0).portal_id.parse().unwrap();
        let log = LogSource::Portal(portal);
        let scene = Self {
            database,
            journal,
            ids,
            now,
            log,
        };
        scene.lives(1, (-10, 0), None).await;
        let status = SourceStatus {
            source: log,
            since: now - TimeDelta::days(20),
            state: SourceState::Active,
            detail: String::new(),
            good_to: now,
            polled_at: now,
            last_attempt_at: None,
        };
        scene.journal.note_poll(&status, None).await.unwrap();
        scene
    }

    /// An instance could take deliveries for some seconds around a fixed time.
    async fn lives(&self, instance: u128, (from, to): (i64, i64), spooled_from: Option<i64>) {
        let at = |seconds| self.now + TimeDelta::seconds(seconds);
        let sign = SignOfLife {
            from: at(from),
            to: at(to),
            spooled_from: spooled_from.map(at),
            instance: Uuid::from_u128(instance),
            refusals: Vec::new(),
        };
        let noted = self
            .journal
            .note_sign_of_life(&sign, SETTLE, || self.ids.next());
        noted.await.unwrap();
    }

    async fn gaps(&self) -> Vec<Gap> {
        let all = (
            self.now - TimeDelta::days(1_000),
            self.now + TimeDelta::days(1_000),
        );
        self.journal.gaps(self.log, all).await.unwrap()
    }

    async fn finish(self) {
        self.journal.close().await;
        self.database.drop().await;
    }
}

#[tokio::test]
async fn a_clock_that_was_ahead_hides_no_downtime_and_leaves_no_gap_that_nothing_closes() {
    let scene = Scene::create().await;
    scene.lives(1, (0, 10), None).await;
    scene.lives(1, (MONTH, MONTH + 10), None).await;
    scene.lives(1, (20, 30), None).await;
    let jumped = scene.gaps().await;
    assert_eq!(jumped.len(), 1, "{jumped:?}");
    let back_at = scene.now + TimeDelta::seconds(30);
    assert!(
        jumped[0].to <= back_at && jumped[0].noted_at <= back_at,
        "{jumped:?}"
    );
    // It is down for ten minutes.
    scene.lives(2, (630, 640), None).await;
    let down = scene.gaps().await;
    let until = scene.now + TimeDelta::seconds(630);
    assert!(
        down.iter()
            .any(|gap| gap.reason == GapReason::Down && gap.to >= until),
        "{down:?}"
    );
    // Two instances whose clocks differ a little show nothing.
    scene.lives(1, (625, 635), None).await;
    scene.lives(2, (640, 650), None).await;
    assert_eq!(scene.gaps().await, down);
    scene.finish().await;
}

#[tokio::test]
async fn an_instance_that_goes_away_before_its_first_sign_of_life_leaves_a_gap() {
    let scene = Scene::create().await;
    let pool = PgPool::connect(&scene.database.url()).await.unwrap();
    let forget = "DELETE FROM readiness; UPDATE coverage_sources SET since = now()";
    sqlx::raw_sql(forget).execute(&pool).await.unwrap();
    scene.lives(2, (40, 60), None).await;
    let gaps = scene.gaps().await;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].reason, GapReason::Down);
    assert!(gaps[0].from < scene.now, "{gaps:?}");
    assert_eq!(gaps[0].to, scene.now + TimeDelta::seconds(40));
    // One of which all time before the first poll is a gap is asked for that once.
    let before = "
        DELETE FROM readiness; DELETE FROM coverage_gaps;
        UPDATE coverage_sources SET since = since - interval '1 week';
        INSERT INTO coverage_gaps
            (id, source, reason, starts_at, ends_at, detail, times, noted_at)
        SELECT gen_random_uuid(), source, 'before', since, since + interval '8 days', '', 1, now()
        FROM coverage_sources
    ";
    sqlx::raw_sql(before).execute(&pool).await.unwrap();
    pool.close().await;
    scene.lives(2, (40, 60), None).await;
    assert_eq!(scene.gaps().await.len(), 1);
    scene.finish().await;
}

#[tokio::test]
async fn deliveries_in_the_spool_of_an_instance_that_went_away_may_be_missing() {
    let scene = Scene::create().await;
    scene.lives(1, (0, 100), Some(50)).await;
    scene.lives(2, (100, 110), None).await;
    assert_eq!(scene.gaps().await, []);
    let pool = PgPool::connect(&scene.database.url()).await.unwrap();
    sqlx::query("UPDATE readiness SET spooled_noted_at = now() - interval '2 minutes'")
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    scene.lives(2, (110, 200), None).await;
    let gaps = scene.gaps().await;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    let at = |seconds| scene.now + TimeDelta::seconds(seconds);
    let micros = |time: DateTime<Utc>| time.timestamp_micros();
    assert_eq!(micros(gaps[0].from), micros(at(50 - 120)));
    assert_eq!(micros(gaps[0].to), micros(at(200)));
    let readiness = scene.journal.readiness().await.unwrap();
    assert_eq!(readiness.spooled_from, None);
    // It is written down once.
    scene.lives(2, (200, 210), None).await;
    assert_eq!(scene.gaps().await, gaps);
    scene.finish().await;
}

#[tokio::test]
async fn a_window_is_counted_whole_and_a_job_that_is_over_stays_so() {
    let scene = Scene::create().await;
    let from = "2026-06-23T00:00:00Z".parse::<DateTime<Utc>>().unwrap();
    let to = from + TimeDelta::minutes(150);
    let edges = [-2, -1, 0, 1, 2, 3_598, 3_599, 3_600, 3_601, 7_200, 7_201];
    let last = [8_998, 8_999, 9_000, 9_001, 9_002];
    let lines = edges.into_iter().chain(last).map(|seconds| {
        let time = from + TimeDelta::seconds(seconds);
        let time = time.to_rfc3339_opts(SecondsFormat::Secs, true);
        let line = Entry::numbered(u64::try_from(seconds + 10).unwrap()).json();
        line.replace("2026-06-23T14:28:47Z", &time)
    });
    let events = lines.map(|line| NewEvent {
        event: parse(line.as_bytes()).unwrap(),
        raw: line.into(),
        verdict: Verdict::NotApplicable,
        request: None,
    });
    let batch = NewBatch {
        id: scene.ids.next(),
        source: Source::Import,
        lane: Lane::Bulk,
        part_of: None,
        received_at: scene.now,
        requests: Vec::new(),
        events: events.collect(),
        quarantined: Vec::new(),
    };
    for repeats in 0..2 {
        let again = NewBatch {
            id: scene.ids.next(),
            ..batch.clone()
        };
        scene.journal.append(&again).await.unwrap();
        let counts = scene.journal.window_counts(scene.log, (from, to)).await;
        let expected = WindowCounts {
            known: 10,
            stored: 14,
            arrivals: 14 * (repeats + 1),
        };
        assert_eq!(counts.unwrap(), expected);
    }
    let none = scene
        .journal
        .window_counts(LogSource::Org, (from, to))
        .await;
    assert_eq!(none.unwrap(), WindowCounts::default());

    let new = NewReplayJob {
        id: scene.ids.next(),
        source: scene.log,
        from,
        to,
        origin: JobOrigin::Gap,
        who: String::new(),
        state: JobState::Asked,
        created_at: scene.now,
    };
    let added = scene.journal.add_replay_job(&new, WindowCounts::default());
    assert!(added.await.unwrap());
    let asked = scene.journal.replay_job(new.id).await.unwrap().unwrap();
    let mut failed = asked.clone();
    failed.state = JobState::Failed;
    failed.ended_at = Some(scene.now);
    scene.journal.update_replay_job(&failed).await.unwrap();
    // One that lost the lease still has the older view.
    scene.journal.update_replay_job(&asked).await.unwrap();
    let stored = scene.journal.replay_job(new.id).await.unwrap().unwrap();
    assert_eq!(stored.state, JobState::Failed);
    scene.finish().await;
}

#[tokio::test]
async fn nobody_takes_note_of_a_loss_before_it_is_one() {
    let scene = Scene::create().await;
    scene.lives(1, (-1, 0), None).await;
    let ago = |days| scene.now - TimeDelta::days(days);
    for (from, to) in [(ago(10), ago(9)), (ago(5), ago(4))] {
        let gap = NewGap {
            id: scene.ids.next(),
            source: Some(scene.log),
            reason: GapReason::Refused,
            from,
            to,
            times: 1,
            detail: String::new(),
            noted_at: to,
            joins: false,
        };
        scene.journal.note_gap(&gap).await.unwrap();
    }
    let coverage = Coverage::new(scene.journal.clone(), &BackfillConfig::default());
    let everything = Acknowledgement {
        from: ago(1_000),
        to: scene.now + TimeDelta::days(1_000),
        who: "ada".to_owned(),
        reason: "all of it, for ever".to_owned(),
    };
    let noted = coverage.acknowledge(scene.ids.next(), scene.log, everything);
    noted.await.unwrap();
    let verdict = async || {
        let known = coverage.of_all(|_| true, (None, None)).await.unwrap();
        known[0].verdict()
    };
    assert_eq!(verdict().await, StretchState::Missing);
    // Five days later what was missing is lost, and nobody has taken note of that.
    let later = 5 * 24 * 3_600;
    scene.lives(1, (later - 1, later), None).await;
    let known = coverage.of_all(|_| true, (None, None)).await.unwrap();
    let lost = known[0].stretches.iter();
    let lost = lost.filter(|part| part.state == StretchState::Lost);
    let noted: Vec<_> = lost.map(|part| part.acknowledged.is_some()).collect();
    assert_eq!((noted[0], noted[1]), (true, false), "{noted:?}");
    scene.finish().await;
}
