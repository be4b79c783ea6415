//! A rule that is switched off, put in shadow or taken out of the file has its planned actions called
//! off: whoever switches it off means what it has not done yet most of all.

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::act::{LiveRule, NewChain, Standing};
use crate::journal::JournalError;
use crate::lifecycle::pause;
use crate::react::Reactor;
use crate::react::reactor::TROUBLE;
use crate::rules::{Mode, RuleSet};

impl Reactor {
    /// Calls off at every change of the rules, until `stop` fires.
    pub(super) async fn heed_changes(&self, stop: &CancellationToken) {
        let mut rules = self.rules.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                // When nobody can change the rules any more there is nothing to wait for.
                changed = rules.changed() => if changed.is_err() {
                    return;
                },
            }
            self.call_off(stop).await;
        }
    }

    /// Cancels what is planned and was never begun for rules that are not live, however long the
    /// database is away. Every instance does so by its own file at its start and at every change: after
    /// it the instance plans nothing more for them, so the last one to read the file leaves nothing.
    pub async fn call_off(&self, stop: &CancellationToken) {
        if !self.settings.calls_off {
            return;
        }
        loop {
            match self.try_call_off().await {
                Ok(0) => return,
                Ok(count) => {
                    info!(
                        actions = count,
                        "what rules planned that are no longer live was called off"
                    );
                    // Another rule may want the same, and shared the action until now.
                    self.again.notify_one();
                    return;
                }
                Err(error) => warn!(
                    error = error.chain(),
                    "could not call off what rules planned that are no longer live, trying again"
                ),
            }
            if pause(TROUBLE, stop).await {
                return;
            }
        }
    }

    async fn try_call_off(&self) -> Result<usize, JournalError> {
        // What was decided by the rules of before is written by then, or never will be.
        drop(self.writing.write().await);
        let live = live(&self.rules.borrow());
        self.queue.call_off_rules_but(&live).await
    }

    /// Whether the rules that want these chains are live at this moment.
    pub(super) fn are_in_force(&self, chains: &[NewChain]) -> bool {
        let rules = self.rules.borrow();
        let is_live = |name: &String| {
            let mut rules = rules.rules().iter();
            rules.any(|rule| rule.mode == Mode::Live && rule.name == *name)
        };
        chains
            .iter()
            .filter(|chain| chain.standing == Standing::Live)
            .all(|chain| {
                let mut owners = chain.steps.iter().filter_map(|step| step.owned_by.as_ref());
                is_live(&chain.rule) && owners.all(is_live)
            })
    }
}

fn live(rules: &RuleSet) -> Vec<LiveRule> {
    let mut live = Vec::new();
    for rule in rules.rules().iter().filter(|rule| rule.mode == Mode::Live) {
        let at = |portal_id| LiveRule {
            name: rule.name.clone(),
            portal_id,
        };
        match &rule.portals {
            None => live.push(at(None)),
            Some(portals) => live.extend(portals.iter().map(|id| at(Some(*id)))),
        }
    }
    live
}
