//! Time that was missed, on record: a log with a stretch in every state, one that is covered, and a
//! replay job in every state. All jobs are a day old, so that no page of theirs loads itself again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use usher::clock::{Clock, Ids};
use usher::journal::{
    Acknowledgement, GapReason, JobOrigin, JobState, Journal, LogSource, NewGap, NewReplayJob,
    ReplayJobRow, SignOfLife, SourceState, SourceStatus, WindowCounts,
};
use uuid::Uuid;

/// The job that the stretch under way waits for.
pub(crate) struct Missed {
    pub(crate) under_way: Uuid,
    pub(crate) closed: Uuid,
}

/// Puts it on record for the log of `portal`; `words` stand wherever there is a text.
pub(crate) async fn fill(journal: &Journal, portal: Uuid, words: &str) -> Missed {
    let clock = Clock::system();
    let (now, ids) = (clock.now(), Ids::new(clock));
    let sign = SignOfLife {
        from: now - TimeDelta::seconds(1),
        to: now,
        spooled_from: None,
        instance: ids.next(),
        refusals: Vec::new(),
    };
    let settle = Duration::from_mins(2);
    let noted = journal.note_sign_of_life(&sign, settle, || ids.next());
    noted.await.unwrap();
    let portal = LogSource::Portal(portal);
    for (source, state, detail) in [
        (LogSource::Org, SourceState::Active, ""),
        (portal, SourceState::Failing, words),
    ] {
        let status = SourceStatus {
            source,
            since: now - TimeDelta::days(20),
            state,
            detail: detail.to_owned(),
            good_to: now,
            polled_at: now,
            last_attempt_at: Some(now - TimeDelta::minutes(1)),
        };
        journal.note_poll(&status, None).await.unwrap();
    }
    for (reason, (from, to)) in [
        (GapReason::Down, hours_of(now, 10)),
        (GapReason::Refused, hours_of(now, 9)),
        (GapReason::Before, hours_of(now, 4)),
        (GapReason::Webhook, hours_of(now, 4)),
        (GapReason::Unbrought, hours_of(now, 2)),
    ] {
        let gap = NewGap {
            id: ids.next(),
            source: Some(portal),
            reason,
            from,
            to,
            times: 1,
            detail: words.to_owned(),
            noted_at: to,
            joins: false,
        };
        journal.note_gap(&gap).await.unwrap();
    }
    let (from, to) = hours_of(now, 9);
    let loss = Acknowledgement {
        from,
        to,
        who: words.to_owned(),
        reason: words.to_owned(),
    };
    let noted = journal.acknowledge_loss(ids.next(), portal, &loss);
    noted.await.unwrap();
    let jobs = Jobs {
        journal,
        ids,
        now,
        portal,
        words,
    };
    jobs.fill().await
}

/// Two hours, so many days ago.
pub(crate) fn hours_of(now: DateTime<Utc>, days_ago: i64) -> (DateTime<Utc>, DateTime<Utc>) {
    let from = now - TimeDelta::days(days_ago);
    (from, from + TimeDelta::hours(2))
}

/// What jobs are made of.
struct Jobs<'a> {
    journal: &'a Journal,
    ids: Ids,
    now: DateTime<Utc>,
    portal: LogSource,
    words: &'a str,
}

impl Jobs<'_> {
    async fn fill(&self) -> Missed {
        let (mut under_way, mut closed) = (Uuid::nil(), Uuid::nil());
        for state in JobState::ALL.iter().copied() {
            let job = self.add(state).await;
            match state {
                JobState::Asked => under_way = job,
                JobState::Closed => closed = job,
                _ => {}
            }
        }
        Missed { under_way, closed }
    }

    async fn add(&self, state: JobState) -> Uuid {
        // Of each log one is under way. The others are of time that is covered.
        let (source, days_ago) = match state {
            JobState::Asked => (self.portal, 2),
            JobState::Planned => (LogSource::Org, 5),
            _ => (self.portal, 5),
        };
        let (from, to) = hours_of(self.now, days_ago);
        let created_at = self.now - TimeDelta::days(1);
        let new = NewReplayJob {
            id: self.ids.next(),
            source,
            from,
            to,
            origin: JobOrigin::Person,
            who: self.words.to_owned(),
            state: JobState::Queued,
            created_at,
        };
        let added = self.journal.add_replay_job(&new, WindowCounts::default());
        assert!(added.await.unwrap());
        let row = self.journal.replay_job(new.id).await.unwrap();
        let job = ReplayJobRow {
            state,
            konnect_status: self.words.to_owned(),
            detail: self.words.to_owned(),
            new_entries: 12,
            repeated_entries: 1_234,
            asked_at: Some(created_at),
            ended_at: state.is_over().then_some(self.now),
            ..row.unwrap()
        };
        self.journal.update_replay_job(&job).await.unwrap();
        new.id
    }
}
