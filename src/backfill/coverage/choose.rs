//! Which window a replay job is asked for next. Pure.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::backfill::coverage::map::{Facts, Stretch, StretchState};
use crate::backfill::window::REACH;
use crate::journal::{JobOrigin, JobState, ReplayJobRow};
use crate::lifecycle::backoff;

/// A job asks for no more time than this.
const SLICE: TimeDelta = TimeDelta::days(1);
/// A window that cannot finish is halved down to this.
const SMALLEST_SLICE: TimeDelta = TimeDelta::minutes(1);
/// Failures of one window before it is halved, and halved again.
const TRIES_OF_A_SIZE: usize = 2;
/// A window is not tried again sooner than this at last.
const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// Of a gap whose end settles, so much must be missing before it is asked for.
const AT_LEAST_WHILE_SETTLING: TimeDelta = TimeDelta::hours(1);
/// The same while deliveries fail. A log without traffic does so until something is delivered,
/// which a replay job may do.
const AT_LEAST_WHILE_FAILING: TimeDelta = TimeDelta::minutes(10);
/// The way to Konnect takes a moment, in which its oldest entries are dropped.
const MARGIN: TimeDelta = TimeDelta::seconds(5);

/// What the chooser is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    /// Gaps that are nearer to each other are asked for together.
    pub(super) gap_after: TimeDelta,
    /// How long a window waits after its first failure.
    pub(super) first_wait: Duration,
    /// Whether gaps are asked for.
    pub(super) auto: bool,
    /// How old covered time must be before it is proved; none: never.
    pub(super) audit_after: Option<TimeDelta>,
}

/// A window to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
    pub(super) origin: JobOrigin,
}

impl Choice {
    /// The window that expires first among those that need not wait, else one that is to be
    /// proved.
    pub(super) fn next(&self, facts: &Facts) -> Option<Chosen> {
        let reach = (facts.now - REACH + MARGIN, facts.now - facts.settle);
        let stretches = facts.stretches(reach);
        // The rest of a gap that goes on settles within moments, and is asked for with it.
        let goes_on = facts.stretches((reach.1, facts.now));
        let goes_on = goes_on.first().is_some_and(|next| !next.reasons.is_empty());
        let is_good = facts.status.state.is_good();
        // While deliveries fail or a gap settles, more time is missing at each look.
        let may_be_asked = |window: &(DateTime<Utc>, DateTime<Utc>)| {
            let is_whole = window.1 < reach.1 || (is_good && !goes_on);
            let least = if is_good {
                AT_LEAST_WHILE_SETTLING
            } else {
                AT_LEAST_WHILE_FAILING
            };
            is_whole || window.1 - window.0 >= least
        };
        let gap = self
            .auto
            .then(|| self.missing(&stretches))
            .into_iter()
            .flatten()
            .filter(may_be_asked)
            .find_map(|(from, to)| self.slice(facts, (from, to)));
        if let Some((from, to)) = gap {
            let origin = JobOrigin::Gap;
            return Some(Chosen { from, to, origin });
        }
        let (from, to) = self.unproved(facts, &stretches)?;
        let (from, to) = self.slice(facts, (from, to))?;
        let origin = JobOrigin::Audit;
        Some(Chosen { from, to, origin })
    }

    /// What is missing, the earliest first, with neighbours joined.
    fn missing(&self, stretches: &[Stretch]) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let mut windows: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
        let missing = |part: &&Stretch| part.state == StretchState::Missing;
        for part in stretches.iter().filter(missing) {
            match windows.last_mut() {
                Some(last) if part.from - last.1 <= self.gap_after => last.1 = part.to,
                _ => windows.push((part.from, part.to)),
            }
        }
        windows
    }

    /// The first part of a window that need not wait, as small as its failures ask for.
    fn slice(
        &self,
        facts: &Facts,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
    ) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let mut from = from;
        while from < to {
            let failures = Failures::of(&facts.jobs, from);
            let size = failures.size().max(SMALLEST_SLICE);
            let end = to.min(from + size);
            if !self.must_wait(facts, from, &failures) {
                return Some((from, end));
            }
            from = end;
        }
        None
    }

    /// Whether a window that failed is to be left alone for now: longer each time, but never until
    /// it has expired.
    fn must_wait(&self, facts: &Facts, from: DateTime<Utc>, failures: &Failures) -> bool {
        let Some(last) = failures.last else {
            return false;
        };
        let wait = backoff(self.first_wait, failures.count, LONGEST_WAIT);
        let left = (from + REACH - last) / 4;
        let wait = TimeDelta::from_std(wait).unwrap_or(left).min(left);
        facts.now - last < wait
    }

    /// The earliest covered time that is old enough and that no job has proved.
    fn unproved(
        &self,
        facts: &Facts,
        stretches: &[Stretch],
    ) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let due = facts.now - self.audit_after?;
        // One that is under way may become one.
        let proofs = facts.jobs.iter();
        let proofs = proofs.filter(|job| !job.state.is_over() || is_proof(job, facts.settle));
        let mut proofs: Vec<_> = proofs.map(|job| (job.from, job.to)).collect();
        proofs.sort_unstable();
        let covered = |part: &&Stretch| part.state == StretchState::Covered;
        let rests = stretches.iter().filter(covered).map(|part| {
            let (mut from, mut to) = (part.from, part.to);
            for (start, end) in proofs.iter().filter(|(_, end)| *end > part.from) {
                if *start > from {
                    to = to.min(*start);
                    break;
                }
                from = from.max(*end);
            }
            (from, to)
        });
        let mut due_ones = rests.filter(|(from, to)| *from < (*to).min(due));
        due_ones.next()
    }
}

/// Whether a job was asked for after its window had settled, and has brought it again.
fn is_proof(job: &ReplayJobRow, settle: TimeDelta) -> bool {
    let asked_at = job.asked_at;
    job.state == JobState::Closed && asked_at.is_some_and(|asked_at| asked_at >= job.to + settle)
}

/// Jobs for a moment that failed one after the other, the latest of all.
struct Failures {
    count: u32,
    /// How much time each asked for, the shortest first.
    lengths: Vec<TimeDelta>,
    /// When the latest ended; none where none failed.
    last: Option<DateTime<Utc>>,
}

impl Failures {
    fn of(jobs: &[ReplayJobRow], moment: DateTime<Utc>) -> Self {
        let of_it = jobs.iter();
        let of_it = of_it.filter(|job| job.from <= moment && job.to > moment);
        let mut over: Vec<&ReplayJobRow> = of_it.filter(|job| job.ended_at.is_some()).collect();
        over.sort_by_key(|job| std::cmp::Reverse(job.ended_at));
        let in_a_row = over.iter().take_while(|job| job.state != JobState::Closed);
        let mut lengths: Vec<_> = in_a_row.map(|job| job.to - job.from).collect();
        lengths.sort_unstable();
        Self {
            count: u32::try_from(lengths.len()).unwrap_or(u32::MAX),
            last: over
                .first()
                .filter(|_| !lengths.is_empty())
                .and_then(|job| job.ended_at),
            lengths,
        }
    }

    /// How much time the next one asks for: half of the shortest that failed often enough.
    fn size(&self) -> TimeDelta {
        let shortest = self.lengths.get(TRIES_OF_A_SIZE - 1);
        shortest.map_or(SLICE, |shortest| SLICE.min(*shortest / 2))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::journal::{Gap, GapReason, LogSource, SourceState, SourceStatus, WindowCounts};

    const WEEK: i64 = 7 * 24 * 60;

    /// So many minutes after a fixed time.
    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minutes)
    }

    /// A week and a day after the account began, with nothing amiss but `gaps`.
    fn facts(gaps: &[(i64, i64)]) -> Facts {
        let now = at(WEEK + 24 * 60);
        let gap = |(from, to): &(i64, i64)| Gap {
            reason: GapReason::Down,
            from: at(*from),
            to: at(*to),
            detail: String::new(),
            noted_at: at(*to),
        };
        Facts {
            status: SourceStatus {
                source: LogSource::Org,
                since: at(0),
                state: SourceState::Active,
                detail: String::new(),
                good_to: now,
                polled_at: now,
                last_attempt_at: None,
            },
            ready_to: Some(now),
            spooled_from: None,
            gaps: gaps.iter().map(gap).collect(),
            jobs: Vec::new(),
            acknowledged: Vec::new(),
            now,
            settle: TimeDelta::minutes(2),
            silent_after: TimeDelta::seconds(20),
            unpolled_after: TimeDelta::minutes(10),
        }
    }

    /// A job that ended so many minutes before now.
    fn ended(from: i64, to: i64, minutes_ago: i64, state: JobState) -> ReplayJobRow {
        let ended_at = at(WEEK + 24 * 60 - minutes_ago);
        ReplayJobRow {
            id: Uuid::nil(),
            source: LogSource::Org,
            from: at(from),
            to: at(to),
            origin: JobOrigin::Gap,
            who: String::new(),
            state,
            konnect_status: String::new(),
            detail: String::new(),
            before: WindowCounts::default(),
            new_entries: 0,
            repeated_entries: 0,
            created_at: ended_at,
            asked_at: Some(ended_at),
            completed_at: None,
            ended_at: Some(ended_at),
        }
    }

    fn choice() -> Choice {
        Choice {
            gap_after: TimeDelta::minutes(2),
            first_wait: Duration::from_mins(1),
            auto: true,
            audit_after: None,
        }
    }

    /// What is chosen, in minutes.
    fn chosen(choice: Choice, facts: &Facts) -> Option<(i64, i64)> {
        let minutes = |time: DateTime<Utc>| (time - at(0)).num_minutes();
        let chosen = choice.next(facts)?;
        Some((minutes(chosen.from), minutes(chosen.to)))
    }

    #[test]
    fn asks_first_for_what_expires_first_and_not_for_too_much() {
        assert_eq!(chosen(choice(), &facts(&[])), None);
        assert_eq!(
            chosen(choice(), &facts(&[(3_000, 3_010)])),
            Some((3_000, 3_010))
        );
        let two = facts(&[(3_000, 3_010), (2_000, 2_010)]);
        assert_eq!(chosen(choice(), &two), Some((2_000, 2_010)));
        let neighbours = facts(&[(2_000, 2_010), (2_012, 2_020), (2_023, 2_030)]);
        assert_eq!(chosen(choice(), &neighbours), Some((2_000, 2_020)));
        let long = facts(&[(2_000, 4_000)]);
        assert_eq!(chosen(choice(), &long), Some((2_000, 3_440)));
        let half_gone = facts(&[(1_000, 2_000)]);
        assert_eq!(chosen(choice(), &half_gone), Some((1_440, 2_000)));
        let gone = facts(&[(1_000, 1_400)]);
        assert_eq!(chosen(choice(), &gone), None);
        let off = Choice {
            auto: false,
            ..choice()
        };
        assert_eq!(chosen(off, &long), None);
    }

    #[test]
    fn a_gap_is_asked_for_as_a_whole_once_its_end_has_settled() {
        let present = WEEK + 24 * 60;
        let ended_ago = |minutes, length| {
            let end = present - minutes;
            facts(&[(end - length, end)])
        };
        assert_eq!(chosen(choice(), &ended_ago(1, 10)), None);
        assert_eq!(
            chosen(choice(), &ended_ago(2, 10)),
            Some((present - 12, present - 2))
        );
        // What is long is begun with: its first day may be about to expire.
        assert_eq!(
            chosen(choice(), &ended_ago(1, 90)),
            Some((present - 91, present - 2))
        );
        let mut failing = ended_ago(1, 15);
        failing.status.state = SourceState::Failing;
        assert_eq!(
            chosen(choice(), &failing),
            Some((present - 16, present - 2))
        );
        // Another gap does not wait for it.
        let two = facts(&[(2_000, 2_010), (present - 10, present - 1)]);
        assert_eq!(chosen(choice(), &two), Some((2_000, 2_010)));
    }

    #[test]
    fn what_failed_waits_longer_each_time_is_halved_and_holds_nobody_up() {
        let mut facts = facts(&[(2_000, 2_200), (3_000, 3_100)]);
        facts.jobs = vec![ended(2_000, 2_200, 0, JobState::Failed)];
        assert_eq!(chosen(choice(), &facts), Some((3_000, 3_100)));
        facts.jobs = vec![ended(2_000, 2_200, 2, JobState::Failed)];
        assert_eq!(chosen(choice(), &facts), Some((2_000, 2_200)));
        facts
            .jobs
            .push(ended(2_000, 2_200, 1, JobState::Incomplete));
        assert_eq!(chosen(choice(), &facts), Some((3_000, 3_100)));
        let later = |minutes: i64| {
            let mut later = facts.clone();
            later.jobs = vec![
                ended(2_000, 2_200, minutes + 1, JobState::Failed),
                ended(2_000, 2_200, minutes, JobState::Replaced),
            ];
            chosen(choice(), &later)
        };
        assert_eq!(later(3), Some((2_000, 2_100)));
        // What is left of it is asked for in one piece.
        let mut half_done = facts.clone();
        half_done.jobs = vec![
            ended(2_000, 2_200, 12, JobState::Failed),
            ended(2_000, 2_200, 11, JobState::Failed),
            ended(2_000, 2_100, 4, JobState::Closed),
        ];
        assert_eq!(chosen(choice(), &half_done), Some((2_100, 2_200)));
        // A short gap within a day that failed, too, is halved as soon.
        facts.gaps.truncate(1);
        facts.gaps[0].to = at(2_010);
        let failed = |to, minutes| ended(2_000, to, minutes, JobState::Failed);
        facts.jobs = vec![failed(2_200, 90), failed(2_200, 80)];
        assert_eq!(chosen(choice(), &facts), Some((2_000, 2_010)));
        facts.jobs.extend([failed(2_010, 70), failed(2_010, 65)]);
        assert_eq!(chosen(choice(), &facts), Some((2_000, 2_005)));
        facts
            .jobs
            .extend((0..40).map(|one| failed(2_001, 61 + one)));
        assert_eq!(chosen(choice(), &facts), Some((2_000, 2_001)));
    }

    #[test]
    fn a_window_that_is_about_to_expire_does_not_wait_for_an_hour() {
        let mut facts = facts(&[(1_450, 1_500)]);
        facts.jobs = (0..9)
            .map(|one| ended(1_450, 1_500, 4 + one, JobState::Failed))
            .collect();
        assert!(chosen(choice(), &facts).is_some());
    }

    #[test]
    fn proves_a_day_once_when_nothing_is_missing() {
        let audits = Choice {
            audit_after: Some(TimeDelta::days(1)),
            ..choice()
        };
        let mut facts = facts(&[]);
        let day = 24 * 60;
        // The first minutes are dropped while the job is asked for.
        assert_eq!(chosen(audits, &facts), Some((day, 2 * day)));
        facts.jobs.push(ended(day, 2 * day, 10, JobState::Closed));
        facts
            .jobs
            .push(ended(3 * day, 4 * day, 10, JobState::Closed));
        assert_eq!(chosen(audits, &facts), Some((2 * day, 3 * day)));
        facts
            .jobs
            .push(ended(2 * day, 3 * day, 10, JobState::Closed));
        assert_eq!(chosen(audits, &facts), Some((4 * day, 5 * day)));
        facts
            .jobs
            .push(ended(4 * day, 7 * day, 10, JobState::Closed));
        assert_eq!(chosen(audits, &facts), None);
        for under_way in [JobState::Planned, JobState::Asked, JobState::Settling] {
            let mut beside = facts.clone();
            beside.jobs[0] = ended(day, 2 * day, 10, under_way);
            assert_eq!(chosen(audits, &beside), None, "{under_way:?}");
        }
        let early = ReplayJobRow {
            asked_at: Some(at(day + 1)),
            ..ended(day, 2 * day, 10, JobState::Closed)
        };
        facts.jobs[0] = early;
        assert_eq!(chosen(audits, &facts), Some((day, 2 * day)));
    }
}
