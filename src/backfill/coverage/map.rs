//! Which time of a log is covered, and which is not. Pure: from what is on record and the present
//! to stretches of time. The map, the chooser of replays, the API and the commands all use it.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use uuid::Uuid;

use crate::backfill::window::REACH;
use crate::journal::{
    Acknowledgement, Gap, GapReason, JobState, ReplayJobRow, SourceState, SourceStatus,
};

/// How long a person may take to ask for what Konnect is about to drop.
const TIME_TO_ASK: TimeDelta = TimeDelta::minutes(5);

/// What is on record about a source.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// The source and how its webhook fares.
    pub status: SourceStatus,
    /// The latest sign of life of an instance that could take deliveries.
    pub ready_to: Option<DateTime<Utc>>,
    /// The oldest delivery that is in a spool and not in the journal yet.
    pub spooled_from: Option<DateTime<Utc>>,
    /// Gaps that were noted.
    pub gaps: Vec<Gap>,
    /// Its jobs.
    pub jobs: Vec<ReplayJobRow>,
    /// Losses that somebody has taken note of, the latest word first.
    pub acknowledged: Vec<Acknowledgement>,
    /// Konnect's present.
    pub now: DateTime<Utc>,
    /// How long entries may be under way.
    pub settle: TimeDelta,
    /// Without a sign of life for so long, no instance takes deliveries.
    pub silent_after: TimeDelta,
    /// Without an answered poll for so long, nothing is known of the webhook.
    pub unpolled_after: TimeDelta,
}

/// What is known of a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StretchState {
    /// No loss is known.
    Covered,
    /// Too young to say.
    Settling,
    /// A replay job is under way for it.
    Replaying,
    /// Entries may be missing; Konnect still has them.
    Missing,
    /// Entries may be missing, and Konnect has dropped them.
    Lost,
}

impl StretchState {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Covered => "covered",
            Self::Settling => "settling",
            Self::Replaying => "replaying",
            Self::Missing => "missing",
            Self::Lost => "lost",
        }
    }
}

/// A stretch of time of which the same is known throughout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Where it begins.
    pub from: DateTime<Utc>,
    /// Where it ends, exclusive.
    pub to: DateTime<Utc>,
    /// What is known of it.
    pub state: StretchState,
    /// Why it is not covered: what was noticed, and what was seen.
    pub reasons: Vec<(GapReason, String)>,
    /// The job under way for it.
    pub job: Option<Uuid>,
    /// Who has taken note of its loss.
    pub acknowledged: Option<Acknowledgement>,
}

impl Stretch {
    /// When Konnect begins to drop its entries; only of what is missing.
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        let is_missing = matches!(self.state, StretchState::Missing | StretchState::Replaying);
        is_missing.then(|| self.from + REACH)
    }

    /// How long it is.
    pub fn length(&self) -> TimeDelta {
        self.to - self.from
    }

    /// Whether it says more than that usher did not receive the log before its first day.
    pub fn is_news(&self) -> bool {
        let mut reasons = self.reasons.iter();
        reasons.any(|(reason, _)| *reason != GapReason::Before)
    }

    /// A loss that nobody has taken note of.
    pub fn is_open_loss(&self) -> bool {
        self.state == StretchState::Lost && self.acknowledged.is_none()
    }

    /// What a person may ask Konnect for within the next minutes, in whole seconds; none where
    /// nothing of it is missing.
    pub fn to_ask_for(&self, now: DateTime<Utc>) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let from = self.from.max(now - REACH + TIME_TO_ASK).trunc_subsecs(0);
        let to = self.to.trunc_subsecs(0);
        let to = if to < self.to {
            to + TimeDelta::seconds(1)
        } else {
            to
        };
        (self.state == StretchState::Missing && from < to).then_some((from, to))
    }

    /// The part of it that lies in a window; none where they do not touch.
    pub(super) fn within(&self, (from, to): (DateTime<Utc>, DateTime<Utc>)) -> Option<Self> {
        let (from, to) = (self.from.max(from), self.to.min(to));
        (from < to).then(|| Self {
            from,
            to,
            ..self.clone()
        })
    }

    fn continues(&self, next: &Self) -> bool {
        self.to == next.from
            && self.state == next.state
            && self.reasons == next.reasons
            && self.job == next.job
            && self.acknowledged == next.acknowledged
    }
}

impl Facts {
    /// The stretches from where the account begins until now that touch `window`.
    pub(super) fn stretches(&self, window: (DateTime<Utc>, DateTime<Utc>)) -> Vec<Stretch> {
        let from = window.0.max(self.status.since);
        let to = window.1.min(self.end());
        if from >= to {
            return Vec::new();
        }
        let mut gaps = self.all_gaps();
        gaps.sort_by_key(|gap| gap.from);
        let mut jobs: Vec<&ReplayJobRow> = self.jobs.iter().filter(|job| counts(job)).collect();
        jobs.sort_by_key(|job| job.from);
        let mut ends = vec![from, to, self.tail(), self.now - self.settle];
        ends.push(self.now - REACH);
        ends.extend(gaps.iter().flat_map(|gap| [gap.from, gap.to]));
        ends.extend(jobs.iter().flat_map(|job| [job.from, job.to]));
        let acknowledged = self.acknowledged.iter();
        ends.extend(acknowledged.flat_map(|loss| [loss.from, loss.to]));
        ends.retain(|end| (from..=to).contains(end));
        ends.sort_unstable();
        ends.dedup();
        let mut stretches: Vec<Stretch> = Vec::new();
        // There may be thousands of each: only those that touch a stretch are looked at for it.
        let (mut gaps, mut jobs) = (gaps.iter().peekable(), jobs.into_iter().peekable());
        let (mut gaps_there, mut jobs_there) = (Vec::new(), Vec::new());
        for pair in ends.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            gaps_there.retain(|gap: &&Gap| gap.to > from);
            jobs_there.retain(|job: &&ReplayJobRow| job.to > from);
            gaps_there.extend(std::iter::from_fn(|| gaps.next_if(|gap| gap.from < to)));
            jobs_there.extend(std::iter::from_fn(|| jobs.next_if(|job| job.from < to)));
            let next = self.stretch((&gaps_there, &jobs_there), from, to);
            match stretches.last_mut() {
                Some(last) if last.continues(&next) => last.to = next.to,
                _ => stretches.push(next),
            }
        }
        stretches
    }

    /// One stretch that no end divides, from the gaps and jobs that touch it.
    fn stretch(
        &self,
        (gaps, jobs): (&[&Gap], &[&ReplayJobRow]),
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Stretch {
        let touches = |gap: &&&Gap| gap.from < to && gap.to > from;
        let open = gaps.iter().filter(touches);
        let open = open.filter(|gap| !is_closed(gap, jobs, from, to));
        let mut reasons: Vec<(GapReason, String)> =
            open.map(|gap| (gap.reason, gap.detail.clone())).collect();
        reasons.sort_unstable();
        reasons.dedup();
        let job = self.job_under_way(jobs, from, to);
        let state = if reasons.is_empty() {
            if from >= self.tail() {
                StretchState::Settling
            } else {
                StretchState::Covered
            }
        } else if job.is_some() {
            StretchState::Replaying
        } else if to <= self.now - REACH {
            StretchState::Lost
        } else if from >= self.now - self.settle {
            StretchState::Settling
        } else {
            StretchState::Missing
        };
        let loss = |loss: &&Acknowledgement| loss.from <= from && loss.to >= to;
        let acknowledged = (state == StretchState::Lost)
            .then(|| self.acknowledged.iter().find(loss).cloned())
            .flatten();
        Stretch {
            from,
            to,
            state,
            job: job.filter(|_| state == StretchState::Replaying),
            reasons,
            acknowledged,
        }
    }

    /// Where the account ends: now, unless the log was gone before.
    fn end(&self) -> DateTime<Utc> {
        match self.status.state {
            SourceState::Gone => self.status.polled_at.min(self.now),
            _ => self.now,
        }
    }

    /// Whether all that was amiss by `time` is on record, and what came by then is stored. Each
    /// instance writes down what it noticed with its next sign of life.
    pub(super) fn is_written_down_to(&self, time: DateTime<Utc>) -> bool {
        self.now >= time + self.silent_after / 2
            && self.ready_to.is_some_and(|ready_to| ready_to >= time)
            && self.spooled_from.is_none_or(|from| from > time)
    }

    /// From here on it is too early to say that nothing was missed.
    fn tail(&self) -> DateTime<Utc> {
        let ends = [self.ready_to, self.spooled_from, Some(self.status.good_to)];
        let good_to = ends.into_iter().flatten().min().unwrap_or(self.now);
        good_to.min(self.now) - self.settle
    }

    /// The gaps on record, and those that nobody could write down yet.
    fn all_gaps(&self) -> Vec<Gap> {
        let mut gaps = self.gaps.clone();
        let mut add = |reason, good_to: DateTime<Utc>, detail: &str| {
            gaps.push(Gap {
                reason,
                from: good_to - self.settle,
                to: self.now,
                detail: detail.to_owned(),
                noted_at: self.now,
            });
        };
        // Before the first sign of life somebody polls already: the account begins long before.
        let ready_to = self.ready_to.unwrap_or(self.status.good_to);
        if self.now - ready_to > self.silent_after {
            add(GapReason::Down, ready_to, "no instance takes deliveries");
        }
        let is_asked = self.status.state != SourceState::Gone;
        if is_asked && self.now - self.status.polled_at > self.unpolled_after {
            let detail = "the status of the webhook is not known";
            add(GapReason::Webhook, self.status.good_to, detail);
        }
        gaps
    }

    fn job_under_way(
        &self,
        jobs: &[&ReplayJobRow],
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Option<Uuid> {
        let mut jobs = jobs.iter().filter(|job| {
            let is_under_way = match job.state {
                JobState::Asked | JobState::Settling => true,
                // Konnect does not have it yet, and drops entries meanwhile.
                JobState::Planned => to > self.now - REACH,
                _ => false,
            };
            is_under_way && job.from <= from && job.to >= to
        });
        jobs.next().map(|job| job.id)
    }
}

/// Whether a job says something of its time.
fn counts(job: &ReplayJobRow) -> bool {
    matches!(
        job.state,
        JobState::Closed | JobState::Planned | JobState::Asked | JobState::Settling
    )
}

/// Whether a job that was asked for after the gap was last seen has brought all of this time.
fn is_closed(gap: &Gap, jobs: &[&ReplayJobRow], from: DateTime<Utc>, to: DateTime<Utc>) -> bool {
    jobs.iter().any(|job| {
        job.state == JobState::Closed
            && job.from <= from
            && job.to >= to
            && job
                .asked_at
                .is_some_and(|asked_at| asked_at >= gap.noted_at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{JobOrigin, LogSource, SourceState, WindowCounts};

    /// So many minutes after a fixed time.
    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minutes)
    }

    /// A source seen from minute 0 on, at minute 1,000, with nothing amiss.
    fn facts() -> Facts {
        Facts {
            status: SourceStatus {
                source: LogSource::Org,
                since: at(0),
                state: SourceState::Active,
                detail: String::new(),
                good_to: at(1_000),
                polled_at: at(1_000),
                last_attempt_at: None,
            },
            ready_to: Some(at(1_000)),
            spooled_from: None,
            gaps: Vec::new(),
            jobs: Vec::new(),
            acknowledged: Vec::new(),
            now: at(1_000),
            settle: TimeDelta::minutes(2),
            silent_after: TimeDelta::seconds(20),
            unpolled_after: TimeDelta::minutes(10),
        }
    }

    fn gap(from: i64, to: i64, noted_at: i64) -> Gap {
        Gap {
            reason: GapReason::Refused,
            from: at(from),
            to: at(to),
            detail: "429".to_owned(),
            noted_at: at(noted_at),
        }
    }

    fn job(from: i64, to: i64, asked_at: i64, state: JobState) -> ReplayJobRow {
        ReplayJobRow {
            id: Uuid::from_u128(7),
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
            created_at: at(asked_at),
            asked_at: Some(at(asked_at)),
            completed_at: None,
            ended_at: None,
        }
    }

    /// The stretches as text: where each begins and what it is.
    fn shown(facts: &Facts) -> String {
        let minutes = |time: DateTime<Utc>| (time - at(0)).num_minutes();
        let all = facts.stretches((at(-100_000), at(100_000)));
        let parts: Vec<String> = all
            .iter()
            .map(|part| format!("{} {}", minutes(part.from), part.state.as_str()))
            .collect();
        let last = all.last().map_or(0, |part| minutes(part.to));
        format!("{}, {last}", parts.join(", "))
    }

    #[test]
    fn a_quiet_log_is_covered_up_to_what_may_be_under_way() {
        assert_eq!(shown(&facts()), "0 covered, 998 settling, 1000");
    }

    #[test]
    fn a_gap_is_missing_until_a_job_asked_for_later_has_closed_it() {
        let mut now = facts();
        now.gaps = vec![gap(100, 200, 200)];
        let open = "0 covered, 100 missing, 200 covered, 998 settling, 1000";
        assert_eq!(shown(&now), open);
        now.jobs = vec![job(90, 150, 300, JobState::Asked)];
        assert_eq!(
            shown(&now),
            "0 covered, 100 replaying, 150 missing, 200 covered, 998 settling, 1000"
        );
        now.jobs = vec![job(100, 200, 300, JobState::Closed)];
        assert_eq!(shown(&now), "0 covered, 998 settling, 1000");
        for unfit in [
            job(100, 200, 199, JobState::Closed),
            job(100, 200, 300, JobState::Incomplete),
            job(100, 200, 300, JobState::Failed),
        ] {
            now.jobs = vec![unfit];
            assert_eq!(shown(&now), open);
        }
        now.jobs = vec![job(100, 160, 300, JobState::Closed)];
        assert_eq!(
            shown(&now),
            "0 covered, 160 missing, 200 covered, 998 settling, 1000"
        );
    }

    #[test]
    fn what_konnect_has_dropped_is_lost_and_may_be_acknowledged() {
        const WEEK: i64 = 7 * 24 * 60;
        let mut now = facts();
        for time in [
            &mut now.now,
            &mut now.status.good_to,
            &mut now.status.polled_at,
        ] {
            *time = at(WEEK + 150);
        }
        now.ready_to = Some(at(WEEK + 150));
        now.gaps = vec![gap(100, 200, 200)];
        assert_eq!(
            shown(&now),
            "0 covered, 100 lost, 150 missing, 200 covered, 10228 settling, 10230"
        );
        let is_open = |now: &Facts| {
            let all = now.stretches((at(0), at(100_000)));
            all.iter().any(Stretch::is_open_loss)
        };
        assert!(is_open(&now));
        now.acknowledged.push(Acknowledgement {
            from: at(90),
            to: at(160),
            who: "ops".to_owned(),
            reason: "known".to_owned(),
        });
        assert!(!is_open(&now));
        let missing = now.stretches((at(0), at(100_000)));
        let missing = missing
            .iter()
            .find(|part| part.state == StretchState::Missing);
        assert_eq!(missing.unwrap().expires_at(), Some(at(150 + WEEK)));
    }

    #[test]
    fn what_konnect_dropped_before_it_had_the_job_is_lost() {
        const WEEK: i64 = 7 * 24 * 60;
        let mut now = facts();
        now.now = at(WEEK + 150);
        now.ready_to = Some(now.now);
        (now.status.good_to, now.status.polled_at) = (now.now, now.now);
        now.gaps = vec![gap(100, 200, 200)];
        now.jobs = vec![job(100, 200, 300, JobState::Planned)];
        let planned = "0 covered, 100 lost, 150 replaying, 200 covered, 10228 settling, 10230";
        assert_eq!(shown(&now), planned);
        now.jobs = vec![job(100, 200, 300, JobState::Asked)];
        let asked = "0 covered, 100 replaying, 200 covered, 10228 settling, 10230";
        assert_eq!(shown(&now), asked);
    }

    #[test]
    fn the_account_of_a_log_that_is_gone_ends() {
        let mut gone = facts();
        gone.gaps = vec![gap(100, 200, 200)];
        gone.status.state = SourceState::Gone;
        (gone.status.good_to, gone.status.polled_at) = (at(900), at(901));
        let shown_now = shown(&gone);
        assert_eq!(
            shown_now,
            "0 covered, 100 missing, 200 covered, 898 settling, 901"
        );
        gone.now = at(5_000);
        assert_eq!(shown(&gone), shown_now);
    }

    #[test]
    fn waits_for_what_is_yet_to_be_written_down() {
        let known_to = |facts: &Facts| facts.is_written_down_to(at(990));
        assert!(known_to(&facts()));
        let mut spooled = facts();
        spooled.spooled_from = Some(at(980));
        assert!(!known_to(&spooled));
        spooled.spooled_from = Some(at(995));
        assert!(known_to(&spooled));
        let mut silent = facts();
        silent.ready_to = Some(at(989));
        assert!(!known_to(&silent));
        let mut early = facts();
        early.now = at(990);
        assert!(!known_to(&early));
    }

    #[test]
    fn thousands_of_gaps_and_jobs_take_no_time() {
        let mut many = facts();
        many.now = at(100_000);
        many.ready_to = Some(many.now);
        (many.status.good_to, many.status.polled_at) = (many.now, many.now);
        let times = (0..20_000).map(|one| one * 4);
        many.gaps = times
            .clone()
            .map(|from| gap(from, from + 2, from))
            .collect();
        let closed = |from| job(from, from + 2, from + 1, JobState::Closed);
        many.jobs = times.filter(|from| from % 8 == 0).map(closed).collect();
        let began = std::time::Instant::now();
        let stretches = many.stretches((at(0), at(100_000)));
        let of = |state| stretches.iter().filter(|part| part.state == state).count();
        let expected = 10_000;
        assert_eq!(of(StretchState::Missing) + of(StretchState::Lost), expected);
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    }

    #[test]
    fn what_nobody_could_write_down_is_no_less_missing() {
        let mut down = facts();
        down.ready_to = Some(at(900));
        assert_eq!(shown(&down), "0 covered, 898 missing, 998 settling, 1000");
        let mut spooled = facts();
        spooled.spooled_from = Some(at(950));
        assert_eq!(shown(&spooled), "0 covered, 948 settling, 1000");
        let mut unpolled = facts();
        unpolled.status.good_to = at(995);
        unpolled.status.polled_at = at(995);
        assert_eq!(shown(&unpolled), "0 covered, 993 settling, 1000");
        unpolled.status.good_to = at(980);
        unpolled.status.polled_at = at(980);
        assert_eq!(
            shown(&unpolled),
            "0 covered, 978 missing, 998 settling, 1000"
        );
    }

    #[test]
    fn before_the_first_sign_of_life_nobody_is_said_to_be_away() {
        let mut first = facts();
        first.ready_to = None;
        first.gaps = vec![Gap {
            reason: GapReason::Before,
            ..gap(0, 1_000, 1_000)
        }];
        let all = first.stretches((at(0), at(100_000)));
        assert_eq!(shown(&first), "0 missing, 998 settling, 1000");
        assert!(!all.iter().any(Stretch::is_news), "{all:?}");
        first.now = at(1_001);
        first.status.polled_at = at(1_001);
        let all = first.stretches((at(0), at(100_000)));
        assert!(all.iter().any(Stretch::is_news), "{all:?}");
    }

    #[test]
    fn shows_the_part_that_was_asked_for() {
        let mut now = facts();
        now.gaps = vec![gap(100, 200, 200)];
        let all = now.stretches((at(150), at(300)));
        let parts: Vec<_> = all
            .iter()
            .map(|part| (part.from, part.to, part.state))
            .collect();
        assert_eq!(
            parts,
            [
                (at(150), at(200), StretchState::Missing),
                (at(200), at(300), StretchState::Covered),
            ]
        );
        assert!(now.stretches((at(1_001), at(1_100))).is_empty());
    }

    #[test]
    fn a_person_asks_for_what_konnect_will_still_have_in_whole_seconds() {
        let now = at(20_000);
        let stretch = |state, from, to| Stretch {
            from,
            to,
            state,
            reasons: Vec::new(),
            job: None,
            acknowledged: None,
        };
        let half = TimeDelta::milliseconds(500);
        let recent = stretch(StretchState::Missing, at(19_000) + half, at(19_010) + half);
        let seconds = TimeDelta::seconds(1);
        let expected = Some((at(19_000), at(19_010) + seconds));
        assert_eq!(recent.to_ask_for(now), expected);
        let expiring = stretch(StretchState::Missing, now - REACH, at(19_010));
        let earliest = now - REACH + TIME_TO_ASK;
        assert_eq!(expiring.to_ask_for(now), Some((earliest, at(19_010))));
        let gone = stretch(StretchState::Missing, now - REACH, now - REACH + seconds);
        assert_eq!(gone.to_ask_for(now), None);
        let lost = stretch(StretchState::Lost, at(1), at(2));
        assert_eq!(lost.to_ask_for(now), None);
    }
}
