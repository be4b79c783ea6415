//! Gaps and replay jobs grow old, and the account of time shows the same without them.

use usher::backfill::{Coverage, Stretch};
use usher::config::BackfillConfig;

use super::{Archive, at, now, retention};

/// What the account shows of each log in the time that is old.
async fn shown(archive: &Archive) -> Vec<Vec<Stretch>> {
    let coverage = Coverage::new(archive.journal.clone(), &BackfillConfig::default());
    let old = (
        Some(at("2026-01-01T00:00:00Z")),
        Some(at("2026-08-01T00:00:00Z")),
    );
    let all = coverage.of_all(|_| true, old).await.unwrap();
    all.into_iter().map(|log| log.stretches).collect()
}

/// Times are hours of days in April 2026: three logs, one of which is gone since March.
const ACCOUNT: &str = "
    INSERT INTO coverage_sources (source, since, state, detail, good_to, polled_at)
    VALUES ('org', '2026-01-01', 'active', '', '2026-11-15', '2026-11-15'),
        ('00000000-0000-0000-0000-0000000000a0', '2026-01-01', 'active', '', '2026-11-15', '2026-11-15'),
        ('00000000-0000-0000-0000-0000000000b0', '2026-01-01', 'gone', '', '2026-03-01', '2026-03-01');
    INSERT INTO coverage_gaps (id, source, reason, starts_at, ends_at, detail, times, noted_at)
    SELECT gen_random_uuid(), CASE WHEN log = 'a0' THEN '00000000-0000-0000-0000-0000000000a0' END,
        'down', day::timestamptz + interval '10 hours', day::timestamptz + interval '12 hours',
        detail, 1, day::timestamptz + noted * interval '1 hour'
    FROM (VALUES
        ('2026-04-01', 'a0', 'closed by two jobs', 12),
        ('2026-04-02', 'a0', 'half closed', 12),
        ('2026-04-03', 'a0', 'seen again after its job', 14),
        ('2026-04-04', 'all', 'closed for one log', 12),
        ('2026-04-05', 'all', 'closed for each that is there', 12),
        ('2026-04-06', 'a0', 'lost', 12),
        ('2026-11-10', 'a0', 'closed lately', 12)
    ) AS gap (day, log, detail, noted);
    INSERT INTO replay_jobs
        (id, source, starts_at, ends_at, origin, who, state, detail, created_at, asked_at, ended_at)
    SELECT gen_random_uuid(),
        CASE WHEN log = 'a0' THEN '00000000-0000-0000-0000-0000000000a0' ELSE log END,
        day::timestamptz + first * interval '1 hour', day::timestamptz + last * interval '1 hour',
        'gap', '', state, detail, day::timestamptz + interval '13 hours',
        day::timestamptz + interval '13 hours',
        CASE WHEN state <> 'queued' THEN day::timestamptz + interval '14 hours' END
    FROM (VALUES
        ('2026-04-01', 'a0', 9, 11, 'closed', 'needed no more'),
        ('2026-04-01', 'a0', 11, 12, 'closed', 'needed no more'),
        ('2026-04-02', 'a0', 10, 11, 'closed', 'closed a half'),
        ('2026-04-03', 'a0', 10, 12, 'closed', 'came too early'),
        ('2026-04-04', 'a0', 10, 12, 'closed', 'closed it for one'),
        ('2026-04-05', 'a0', 10, 12, 'closed', 'needed no more'),
        ('2026-04-05', 'org', 9, 13, 'closed', 'needed no more'),
        ('2026-04-06', 'a0', 10, 12, 'failed', 'needed no more'),
        ('2026-04-07', 'a0', 10, 12, 'queued', 'not over'),
        ('2026-11-10', 'a0', 10, 12, 'closed', 'young')
    ) AS job (day, log, first, last, state, detail)";

#[tokio::test]
async fn closed_gaps_and_ended_jobs_go_and_the_account_shows_the_same() {
    let archive = Archive::open().await;
    archive.run(ACCOUNT).await;
    let before = shown(&archive).await;
    let round = archive.journal.tidy_up(&retention(), now()).await.unwrap();
    assert_eq!(round.rows, 2 + 5, "{round:?}");
    assert_eq!(shown(&archive).await, before);
    let texts = async |question| {
        let texts: Vec<String> = sqlx::query_scalar(question)
            .fetch_all(archive.journal.pool())
            .await
            .unwrap();
        texts
    };
    assert_eq!(
        texts("SELECT detail FROM coverage_gaps ORDER BY starts_at").await,
        [
            "half closed",
            "seen again after its job",
            "closed for one log",
            "lost",
            "closed lately"
        ]
    );
    assert_eq!(
        texts("SELECT detail FROM replay_jobs ORDER BY starts_at").await,
        [
            "closed a half",
            "came too early",
            "closed it for one",
            "not over",
            "young"
        ]
    );
    let round = archive.journal.tidy_up(&retention(), now()).await.unwrap();
    assert_eq!(round.rows, 0, "{round:?}");
    archive.close().await;
}
