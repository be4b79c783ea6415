//! Decisions of rules, counted at most so often: many people look at the rules, and a month of
//! decisions takes a while to count. For each set of portals that somebody may see apart.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Mutex;

use crate::console::Console;
use crate::console::rules::hits::AllHits;
use crate::http::{PortalScope, Problem};
use crate::report::{Question, ReportName};

/// Days of which decisions are counted.
pub(super) const DAYS: i64 = 30;
/// How long a count is good.
const GOOD_FOR: TimeDelta = TimeDelta::seconds(30);

/// The last counts, by the portals that they are of: no more than there are tokens. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(in crate::console) struct RecentHits(Arc<Mutex<BTreeMap<PortalScope, Counted>>>);

/// Decisions, and when they were counted.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    pub(super) at: DateTime<Utc>,
    pub(super) hits: Arc<AllHits>,
}

impl RecentHits {
    /// The last count, or a new one where that is too old. Who asks meanwhile waits for it.
    pub(super) async fn get(&self, console: &Console) -> Result<Counted, Problem> {
        let mut last = self.0.lock().await;
        let now = console.clock.now();
        let known = last.get(console.portals());
        if let Some(counted) = known.filter(|counted| counted.is_good(now)) {
            return Ok(counted.clone());
        }
        let question = Question {
            from: Some(now - TimeDelta::days(DAYS)),
            ..Question::default()
        };
        let answer = console.reports.ask(ReportName::Decisions, &question).await;
        let answer = answer.map_err(|error| error.problem())?;
        let counted = Counted {
            at: now,
            hits: Arc::new(AllHits::of(&answer.rows)),
        };
        last.insert(console.portals().clone(), counted.clone());
        Ok(counted)
    }
}

impl Counted {
    /// A count of the future was made by a clock that was set back since.
    fn is_good(&self, now: DateTime<Utc>) -> bool {
        self.at <= now && now - self.at < GOOD_FOR
    }
}
