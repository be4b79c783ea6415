//! What is reported while a command waits for a replay job.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::cli::Output;

/// A line is printed at least this often.
const REMIND_EVERY: Duration = Duration::from_secs(30);

/// The progress that was reported so far.
#[derive(Default)]
pub(super) struct ReportedProgress {
    last: Mutex<String>,
}

impl ReportedProgress {
    /// Reports something new.
    pub(super) fn report(&self, text: &str) {
        Output::end_meter();
        Output::progress(text);
        text.clone_into(&mut self.last.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether this was reported last.
    pub(super) fn is_known(&self, text: &str) -> bool {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) == text
    }

    /// Does `work`, and repeats the last report at intervals as long as it lasts.
    pub(super) async fn remind<T>(&self, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(REMIND_EVERY) => {}
            }
            let seconds = began.elapsed().as_secs();
            let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            Output::end_meter();
            Output::progress(&format!("still waiting after {seconds} s: {last}"));
        }
    }
}
