//! How far work on many events is: a bar at a terminal, a line now and then elsewhere.

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
    use super::bar;

    #[test]
    fn a_bar_shows_how_far_it_is() {
        assert_eq!(bar(0.0), "[------------------------]   0 %");
        assert_eq!(bar(0.5), "[############------------]  50 %");
        assert_eq!(bar(7.0), "[########################] 100 %");
    }
}
