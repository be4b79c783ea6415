//! Decisions of rules, counted at most so often: many people look at the rules, and a month of
//! decisions takes a while to count. For each set of portals that somebody may see apart.

use std::sync::Arc;

use chrono::TimeDelta;

use crate::console::Console;
use crate::console::recent::{Counted, Recent};
use crate::console::rules::hits::AllHits;
use crate::http::{PortalScope, Problem};
use crate::report::{Question, ReportName};

/// Days of which decisions are counted.
pub(super) const DAYS: i64 = 30;
/// How long a count is good.
const GOOD_FOR: TimeDelta = TimeDelta::seconds(30);

/// The last counts, by the portals that they are of. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::console) struct RecentHits(Recent<PortalScope, Arc<AllHits>>);

impl Default for RecentHits {
    fn default() -> Self {
        Self(Recent::new(GOOD_FOR))
    }
}

impl RecentHits {
    /// The last count, or a new one where that is too old. Who asks meanwhile waits for it.
    pub(super) async fn get(&self, console: &Console) -> Result<Counted<Arc<AllHits>>, Problem> {
        let question = Question {
            from: Some(console.clock.now() - TimeDelta::days(DAYS)),
            ..Question::default()
        };
        let ask = async {
            let answer = console.reports.ask(ReportName::Decisions, &question).await;
            let answer = answer.map_err(|error| error.problem())?;
            Ok(Arc::new(AllHits::of(&answer.rows)))
        };
        let seen = console.portals().clone();
        self.0.get(seen, &console.clock, ask).await
    }
}
