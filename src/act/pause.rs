//! The pause of the whole worker while Konnect refuses its token: one loud error, a metric, and a
//! state that others can watch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use metrics::gauge;
use tokio::sync::watch;
use tracing::{error, info};

use crate::telemetry::metrics as names;

/// Whether the worker pauses. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Pause {
    paused: watch::Sender<bool>,
    /// Said already, and nothing was accepted since: a token that may read but not write would
    /// else be complained about with every probe.
    said: Arc<AtomicBool>,
}

impl Pause {
    pub(super) fn new() -> Self {
        gauge!(names::ACTIONS_PAUSED).set(0.0);
        Self {
            paused: watch::Sender::new(false),
            said: Arc::new(AtomicBool::new(false)),
        }
    }

    /// The state, to be watched.
    pub(super) fn watch(&self) -> watch::Receiver<bool> {
        self.paused.subscribe()
    }

    /// The token was refused.
    pub(super) fn refused(&self, reason: &konnect::Error) {
        if self.paused.send_replace(true) {
            return;
        }
        gauge!(names::ACTIONS_PAUSED).set(1.0);
        if !self.said.swap(true, Ordering::Relaxed) {
            error!(
                error = %reason,
                "konnect refuses the token: all actions wait until it is accepted again"
            );
        }
    }

    /// The token was accepted by a call that mattered.
    pub(super) fn accepted(&self) {
        self.said.store(false, Ordering::Relaxed);
    }

    /// A probe was accepted: actions may be tried again.
    pub(super) fn end(&self) {
        if self.paused.send_replace(false) {
            gauge!(names::ACTIONS_PAUSED).set(0.0);
            info!("konnect accepts the token: actions go on");
        }
    }
}
