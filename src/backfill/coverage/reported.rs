//! What the keeper reports of the account: to `/readyz`, and as metrics.

use metrics::gauge;

use crate::backfill::coverage::map::{Stretch, StretchState};
use crate::backfill::coverage::record::SourceCoverage;
use crate::backfill::coverage::shown::{dropped, span};
use crate::http::health::{Condition, Health};
use crate::telemetry::metrics as names;

/// The part of `/readyz`.
pub(super) const PART: &str = "backfill";

/// Reports to `/readyz` what is missing.
pub(super) fn report(health: &Health, all: &[SourceCoverage]) {
    let missing = all.iter().filter_map(|source| {
        // That usher did not run before its first day is no fault of a part.
        let missing = |part: &&Stretch| part.state == StretchState::Missing && part.is_news();
        let missing = || source.stretches.iter().filter(missing);
        let expires_at = missing().filter_map(Stretch::expires_at).min()?;
        let length = span(missing().map(Stretch::length).sum());
        let (name, dropped) = (source.status.source, dropped(expires_at, source.now));
        Some(format!(
            "entries of {length} of {name} may be missing, and {dropped}"
        ))
    });
    let failing = all.iter().filter(|source| source.status.state.is_amiss());
    let failing =
        failing.map(|source| format!("{}: {}", source.status.source, source.status.detail));
    let problems: Vec<String> = failing.chain(missing).collect();
    let condition = if problems.is_empty() {
        Condition::Ok
    } else {
        Condition::Degraded
    };
    health.set(PART, condition, problems.join("; "));
}

/// Counts time by its state for whoever reads metrics.
pub(super) fn show(all: &[SourceCoverage]) {
    for state in [
        StretchState::Missing,
        StretchState::Replaying,
        StretchState::Lost,
    ] {
        let of_it = all
            .iter()
            .map(|source| source.length_of(state).as_seconds_f64());
        gauge!(names::COVERAGE_SECONDS, "state" => state.as_str()).set(of_it.sum::<f64>());
    }
}
