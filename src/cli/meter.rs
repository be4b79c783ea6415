//! How far work on many events or entries is: a bar at a terminal, a line now and then elsewhere.

use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, Utc};

use crate::cli::{Output, counted};

/// Without a terminal a line is printed at least this often.
pub(super) const REMIND_EVERY: Duration = Duration::from_secs(10);
/// How often the bar moves.
const MOVE_EVERY: Duration = Duration::from_millis(200);
const BAR: usize = 24;

/// What is reported of work on events, as one of several past participles says it, and when it was
/// last reported.
pub(super) struct ProgressMeter {
    done: &'static str,
    moved: Instant,
    reminded: Instant,
}

impl ProgressMeter {
    /// For events that are `done` one after the other: `exported`, `counted`.
    pub(super) fn new(done: &'static str) -> Self {
        let now = Instant::now();
        Self {
            done,
            moved: now,
            reminded: now,
        }
    }

    /// Reports that so many are done, which part of the whole that is, and up to which time; not
    /// each time it is called.
    pub(super) fn report(&mut self, events: u64, (part, up_to): (f64, Option<DateTime<Utc>>)) {
        let line = || {
            let up_to = up_to.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true));
            let up_to = up_to.map_or_else(String::new, |time| format!(", up to {time}"));
            format!("{}{up_to}", counted(events, "event"))
        };
        if Output::has_meter() {
            if self.moved.elapsed() >= MOVE_EVERY {
                self.moved = Instant::now();
                Output::meter(&format!("{} {}", bar(part), line()));
            }
        } else if self.reminded.elapsed() >= REMIND_EVERY {
            self.reminded = Instant::now();
            Output::progress(&format!("{} {} so far", self.done, line()));
        }
    }
}

/// What is reported of entries that are read, with their rate and the time that is left.
pub(super) struct RateMeter {
    /// Bytes of the whole; none where that is not known.
    bytes: Option<u64>,
    began: Instant,
    moved: Instant,
    reminded: Instant,
    /// Entries and bytes that were done before it began.
    before: (u64, u64),
}

impl RateMeter {
    /// For work on so many bytes, if that is known.
    pub(super) fn new(bytes: Option<u64>) -> Self {
        let now = Instant::now();
        Self {
            bytes,
            began: now,
            moved: now,
            reminded: now,
            before: (0, 0),
        }
    }

    /// What was done by an earlier run says nothing about the rate of this one.
    pub(super) fn leave_out(&mut self, lines: u64, bytes: u64) {
        self.before.0 += lines;
        self.before.1 += bytes;
    }

    /// Reports that so many lines are done, which are so many bytes; not each time it is called.
    pub(super) fn report(&mut self, lines: u64, bytes: u64) {
        let text = || {
            let before = self.before;
            let done = (
                lines.saturating_sub(before.0),
                bytes.saturating_sub(before.1),
            );
            let left = self.bytes.map(|whole| whole.saturating_sub(bytes));
            let rate = rate(done, left, self.began.elapsed());
            format!("{}{rate}", counted(lines, "line"))
        };
        if Output::has_meter() {
            if self.moved.elapsed() >= MOVE_EVERY {
                let part = self.bytes.map(|whole| bar(ratio(bytes, whole)) + " ");
                Output::meter(&(part.unwrap_or_default() + &text()));
                self.moved = Instant::now();
            }
        } else if self.reminded.elapsed() >= REMIND_EVERY {
            Output::progress(&format!("imported {} so far", text()));
            self.reminded = Instant::now();
        }
    }
}

/// `, 40000/s, 12 s left`: of lines and bytes that were done within `elapsed`.
fn rate((lines, bytes): (u64, u64), left: Option<u64>, elapsed: Duration) -> String {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 || bytes == 0 {
        return String::new();
    }
    let per_second = lines.saturating_mul(1_000) / millis;
    let left = left.map(|left| {
        let millis = u128::from(left) * u128::from(millis) / u128::from(bytes);
        let seconds = millis.div_ceil(1_000);
        match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
            (0, 0, seconds) => format!(", {seconds} s left"),
            (0, minutes, seconds) => format!(", {minutes} min {seconds} s left"),
            (hours, minutes, _) => format!(", {hours} h {minutes} min left"),
        }
    });
    format!(", {per_second}/s{}", left.unwrap_or_default())
}

#[expect(clippy::cast_precision_loss, reason = "a bar has a hundred steps")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// `part` of a whole as a bar with its percentage.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is between 0 and 100"
)]
fn bar(part: f64) -> String {
    let percent = (part.clamp(0.0, 1.0) * 100.0) as usize;
    let full = BAR * percent / 100;
    let (full, empty) = ("#".repeat(full), "-".repeat(BAR - full));
    format!("[{full}{empty}] {percent:3} %")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{bar, rate};

    #[test]
    fn a_bar_shows_how_far_it_is() {
        assert_eq!(bar(0.0), "[------------------------]   0 %");
        assert_eq!(bar(0.5), "[############------------]  50 %");
        assert_eq!(bar(7.0), "[########################] 100 %");
    }

    #[test]
    fn what_is_left_follows_from_what_this_run_did() {
        let second = Duration::from_secs(1);
        for (done, left, elapsed, expected) in [
            ((100, 1_000), Some(2_000), second, ", 100/s, 2 s left"),
            ((100, 1_000), Some(1), second, ", 100/s, 1 s left"),
            ((50, 10), Some(650), second * 2, ", 25/s, 2 min 10 s left"),
            ((1, 1), Some(7_260), second, ", 1/s, 2 h 1 min left"),
            ((100, 1_000), None, second, ", 100/s"),
            ((0, 0), Some(9), second, ""),
            ((1, 1), Some(9), Duration::ZERO, ""),
        ] {
            assert_eq!(rate(done, left, elapsed), expected, "{done:?} {left:?}");
        }
    }
}
