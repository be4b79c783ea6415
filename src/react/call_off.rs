//! The planned actions of a rule are cancelled when it is switched off, put in shadow or taken out
//! of the file. What it has not done yet is what the change is about. Instances whose files differ
//! leave each other's actions alone: `docs/adr/0025` says why.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::act::decide::live_at;
use crate::act::{CallOff, CalledOff, LiveRule};
use crate::journal::JournalError;
use crate::lifecycle::pause;
use crate::react::Reactor;
use crate::react::reactor::TROUBLE;
use crate::rules::RuleSet;

/// How often this instance announces its live rules, and cancels what instances that are gone left.
const EVERY: Duration = Duration::from_secs(5);
/// The wait for an action that a worker carries out, and for the announcement of another instance.
const SOON: Duration = Duration::from_millis(500);
/// An instance that announced nothing for that long was cut off, and perhaps all the others were.
const STEADY: Duration = Duration::from_secs(12);

impl Reactor {
    /// Cancels at every change of the rules, and what instances left that are gone, until `stop`
    /// fires.
    pub(super) async fn heed_changes(&self, stop: &CancellationToken) {
        if !self.settings.calls_off {
            return;
        }
        let mut rules = self.rules.clone();
        // If nobody can change the rules any more there is nothing to wait for.
        let mut fixed = false;
        loop {
            rules.mark_unchanged();
            let wait = match self.try_call_off().await {
                Ok(found) if found.in_hand || found.unsure => SOON,
                Ok(_) => EVERY,
                Err(error) => {
                    report(&error);
                    TROUBLE
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
                changed = rules.changed(), if !fixed => fixed = changed.is_err(),
            }
        }
        if let Err(error) = self.holder.stop().await {
            debug!(
                error = error.chain(),
                "could not say that this instance ends"
            );
        }
    }

    /// Cancels what is planned for rules that are not live, before any of it can be claimed,
    /// however long the database is away. The rules may have changed while no instance ran.
    pub async fn call_off(&self, stop: &CancellationToken) {
        if !self.settings.calls_off {
            return;
        }
        loop {
            let wait = match self.try_call_off().await {
                Ok(CalledOff { unsure: false, .. }) => return,
                Ok(_) => SOON,
                Err(error) => {
                    report(&error);
                    TROUBLE
                }
            };
            if pause(wait, stop).await {
                return;
            }
        }
    }

    /// Announces the live rules and the subscriptions, and deletes the work items that every rule
    /// set has judged.
    async fn announce(&self, live: &[LiveRule]) -> Result<(), JournalError> {
        let rules = Arc::clone(&self.rules.borrow());
        let listened = self.listens();
        let rule_set = rules.fingerprint().map(|rule_set| (rule_set, &listened));
        self.holder.hold(live, rule_set).await?;
        self.queue.clear_work().await
    }

    async fn try_call_off(&self) -> Result<CalledOff, JournalError> {
        // What the old rules decided is written by then, or never will be.
        drop(self.writing.write().await);
        let mut state = self.calling_off.lock().await;
        let live = live_at(&self.rules.borrow());
        self.announce(&live).await?;
        match &state.live {
            Some(before) if *before != live => {
                let before = before.clone();
                state.dropped.extend(before);
            }
            Some(_) => {}
            None => state.begins = true,
        }
        let asked = CallOff {
            live: &live,
            dropped: &state.dropped,
            begins: state.begins,
            inherits: state.checked_at.is_some_and(|at| at.elapsed() < STEADY),
        };
        let called_off = self.holder.call_off(asked).await?;
        if !called_off.unsure {
            state.live = Some(live);
            if !called_off.in_hand {
                state.dropped.clear();
                state.begins = false;
            }
        }
        state.checked_at = Some(Instant::now());
        if called_off.count > 0 {
            info!(
                actions = called_off.count,
                "what rules planned that are no longer live was called off"
            );
            // Another rule may want the same, and shared the action until now.
            self.again.notify_one();
        }
        Ok(called_off)
    }

    /// Whether these rules are in force at this moment.
    pub(super) fn are_in_force(&self, rules: &Arc<RuleSet>) -> bool {
        Arc::ptr_eq(rules, &self.rules.borrow())
    }
}

fn report(error: &JournalError) {
    warn!(
        error = error.chain(),
        "could not call off what rules planned that are no longer live, trying again"
    );
}
