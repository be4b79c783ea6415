//! What a back-test found, summed and cut so that it fits a page whatever the window has. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::event::Signal;
use crate::react::{BacktestDifference, BacktestOutcome, RuleBacktest, SignalBacktest};

/// Lines of a page, and differences.
const ROWS: usize = 200;
const DIFFERENCES: usize = 100;
/// Different reasons of one rule that are counted apart. They name parts of conditions, so that
/// there are few.
const REASONS: usize = 40;

/// What the tried rules would have done in a window.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Only this portal.
    portal: Option<Uuid>,
    /// Whether lines of what rules leave alone are kept too.
    with_skipped: bool,
    pub(super) signals: u64,
    pub(super) by_rule: BTreeMap<String, RuleTally>,
    pub(super) rows: Vec<Row>,
    /// Lines that there are besides.
    pub(super) rows_left: u64,
    pub(super) differences: Vec<Difference>,
    /// How often each deed is wanted by the tried rules alone, and by those in force alone.
    pub(super) more: BTreeMap<String, u64>,
    pub(super) less: BTreeMap<String, u64>,
    /// Signals about which they differ.
    pub(super) differ: u64,
    /// When the last signal came.
    pub(super) last_at: Option<DateTime<Utc>>,
}

/// What one rule would have done.
#[derive(Debug, Default)]
pub(super) struct RuleTally {
    pub(super) mode: &'static str,
    pub(super) act: u64,
    pub(super) unchanged: u64,
    pub(super) skip: u64,
    /// How often each of its deeds.
    pub(super) deeds: BTreeMap<String, u64>,
    /// Why it would have done nothing, and how often.
    pub(super) reasons: BTreeMap<String, u64>,
}

/// What a signal was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct About {
    pub(super) at: DateTime<Utc>,
    pub(super) kind: String,
    pub(super) event_id: Option<Uuid>,
    pub(super) portal_id: Uuid,
    pub(super) developer_id: Option<Uuid>,
    pub(super) application_id: Option<Uuid>,
}

/// One rule on one signal.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) about: About,
    pub(super) rule: String,
    pub(super) mode: &'static str,
    pub(super) outcome: &'static str,
    /// Its deeds, or why there are none.
    pub(super) what: String,
}

/// One signal about which two rule sets differ.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) about: About,
    pub(super) more: Vec<String>,
    pub(super) less: Vec<String>,
}

impl From<&Signal> for About {
    fn from(signal: &Signal) -> Self {
        let cause = signal.cause.as_uuid();
        Self {
            at: signal.occurred_at,
            kind: signal.kind.to_string(),
            event_id: (!cause.is_nil()).then_some(cause),
            portal_id: signal.portal_id,
            developer_id: signal.developer_id,
            application_id: signal.application_id,
        }
    }
}

impl Tally {
    /// Nothing yet. `with_skipped` keeps lines of what rules leave alone.
    pub(super) fn new(portal: Option<Uuid>, with_skipped: bool) -> Self {
        Self {
            portal,
            with_skipped,
            ..Self::default()
        }
    }

    /// Takes what one signal leads to: by the tried rules, or by those in force and the tried ones.
    pub(super) fn take(&mut self, tried: &SignalBacktest) {
        let signal = &tried.signal;
        if self.portal.is_some_and(|portal| portal != signal.portal_id) {
            return;
        }
        self.signals += 1;
        self.last_at = Some(signal.occurred_at);
        for rule in tried.by.last().into_iter().flatten() {
            self.take_rule(signal, rule);
        }
        if let Some(difference) = tried.difference() {
            self.differ(signal, difference);
        }
    }

    fn take_rule(&mut self, signal: &Signal, rule: &RuleBacktest) {
        let tally = self.by_rule.entry(rule.rule.clone()).or_default();
        tally.mode = rule.mode.name();
        let (outcome, what) = match &rule.outcome {
            BacktestOutcome::Act(deeds) => {
                tally.act += 1;
                for deed in deeds {
                    *tally.deeds.entry(deed.clone()).or_default() += 1;
                }
                ("act", deeds.join(", "))
            }
            BacktestOutcome::Unchanged(deeds) => {
                tally.unchanged += 1;
                ("unchanged", deeds.join(", "))
            }
            BacktestOutcome::Skip(reason) => {
                tally.skip += 1;
                let is_full = tally.reasons.len() >= REASONS;
                let reason = reason.as_str();
                let known = if is_full && !tally.reasons.contains_key(reason) {
                    "other reasons"
                } else {
                    reason
                };
                *tally.reasons.entry(known.to_owned()).or_default() += 1;
                ("skip", reason.to_owned())
            }
        };
        if outcome == "skip" && !self.with_skipped {
            return;
        }
        if self.rows.len() == ROWS {
            self.rows_left += 1;
            return;
        }
        self.rows.push(Row {
            about: signal.into(),
            rule: rule.rule.clone(),
            mode: rule.mode.name(),
            outcome,
            what,
        });
    }

    fn differ(&mut self, signal: &Signal, difference: BacktestDifference) {
        self.differ += 1;
        let BacktestDifference { more, less } = difference;
        for (sums, deeds) in [(&mut self.more, &more), (&mut self.less, &less)] {
            for deed in deeds {
                *sums.entry(deed.clone()).or_default() += 1;
            }
        }
        if self.differences.len() < DIFFERENCES {
            self.differences.push(Difference {
                about: signal.into(),
                more,
                less,
            });
        }
    }

    /// The people of the lines, by portal and id, each once.
    pub(super) fn people(&self) -> Vec<(Uuid, Uuid)> {
        let of_rows = self.rows.iter().map(|row| &row.about);
        let of_differences = self.differences.iter().map(|one| &one.about);
        let about = of_rows.chain(of_differences);
        let mut people: Vec<(Uuid, Uuid)> = about
            .filter_map(|about| Some((about.portal_id, about.developer_id?)))
            .collect();
        people.sort_unstable();
        people.dedup();
        people
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::{REASONS, ROWS, Tally};
    use crate::event::{EventId, Signal, SignalKind};
    use crate::react::{BacktestOutcome, RuleBacktest, SignalBacktest};
    use crate::rules::Mode;

    fn signal(portal: u128) -> Signal {
        Signal {
            kind: SignalKind::DeveloperSignedUp,
            portal_id: Uuid::from_u128(portal),
            developer_id: Some(Uuid::from_u128(7)),
            application_id: None,
            registration_id: None,
            key: "k".to_owned(),
            cause: EventId::from_uuid(Uuid::from_u128(9)),
            occurred_at: DateTime::UNIX_EPOCH,
            from_status: None,
            membership: None,
        }
    }

    fn by(rule: &str, outcome: BacktestOutcome) -> Vec<RuleBacktest> {
        vec![RuleBacktest {
            rule: rule.to_owned(),
            mode: Mode::Live,
            outcome,
        }]
    }

    fn act(deed: &str) -> BacktestOutcome {
        BacktestOutcome::Act(vec![deed.to_owned()])
    }

    #[test]
    fn counts_everything_and_keeps_some() {
        let mut tally = Tally::new(Some(Uuid::from_u128(1)), false);
        for portal in [1, 2] {
            for _ in 0..ROWS + 3 {
                tally.take(&SignalBacktest {
                    signal: signal(portal),
                    by: vec![by("a", act("approve_developer"))],
                });
            }
        }
        let rows = u64::try_from(ROWS).unwrap();
        assert_eq!(
            (tally.signals, tally.rows.len(), tally.rows_left),
            (rows + 3, ROWS, 3)
        );
        assert_eq!(tally.by_rule["a"].act, rows + 3);
        assert_eq!(tally.by_rule["a"].deeds["approve_developer"], rows + 3);
        assert_eq!(tally.people().len(), 1);
        assert_eq!(tally.differ, 0);
    }

    #[test]
    fn shows_what_only_one_of_two_wants() {
        let mut tally = Tally::new(None, false);
        tally.take(&SignalBacktest {
            signal: signal(1),
            by: vec![by("a", act("approve_developer")), by("a", act("notify"))],
        });
        assert_eq!(tally.differences[0].more, ["notify"]);
        assert_eq!(tally.differences[0].less, ["approve_developer"]);
        assert_eq!(
            (tally.more["notify"], tally.less["approve_developer"]),
            (1, 1)
        );
        // Sums are of the tried rules alone.
        assert!(!tally.by_rule["a"].deeds.contains_key("approve_developer"));
    }

    #[test]
    fn reasons_are_bounded() {
        let mut tally = Tally::new(None, true);
        for number in 0..REASONS + 5 {
            tally.take(&SignalBacktest {
                signal: signal(1),
                by: vec![by("a", BacktestOutcome::Skip(number.to_string()))],
            });
        }
        assert_eq!(tally.by_rule["a"].reasons.len(), REASONS + 1);
        assert_eq!(tally.by_rule["a"].reasons["other reasons"], 5);
        assert_eq!(tally.rows.len(), REASONS + 5);
    }
}
