//! Reports errors of readers: each once, however often it returns, in the log and in `/readyz`.
//! Decides nothing.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use tracing::{error, info, warn};

use crate::clock::Ids;
use crate::http::health::{Condition, Health};
use crate::publish::backoff::Backoff;

/// The current error of one reader.
pub(super) struct Trouble {
    /// Its part of `/readyz`.
    part: Cow<'static, str>,
    health: Health,
    backoff: Backoff,
    /// The last report of an error that is not over.
    said: Option<String>,
    /// What `/readyz` shows while there is none.
    shown: Option<Cow<'static, str>>,
}

/// Whether an error may end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recovery {
    /// It may.
    Passing,
    /// An operator must act.
    Lasting,
}

impl Trouble {
    pub(super) fn new(
        part: impl Into<Cow<'static, str>>,
        health: &Health,
        ids: &Ids,
        longest_wait: Duration,
    ) -> Self {
        Self {
            part: part.into(),
            health: health.clone(),
            backoff: Backoff::new(ids.clone(), longest_wait),
            said: None,
            shown: None,
        }
    }

    /// Reports it, unless it was the last report; returns how long to wait.
    pub(super) fn report(
        &mut self,
        trouble: &(dyn Error + 'static),
        outlook: Recovery,
    ) -> Duration {
        let text = trouble.to_string();
        if self.said.as_ref() != Some(&text) {
            let part = self.part.clone();
            self.health.set(part, Condition::Degraded, text.clone());
            let reader = &*self.part;
            match outlook {
                Recovery::Passing => warn!(reader, error = trouble, "events wait in the outbox"),
                Recovery::Lasting => error!(
                    reader,
                    error = trouble,
                    "events wait in the outbox until somebody mends this"
                ),
            }
            self.said = Some(text);
        }
        self.shown = None;
        self.backoff.wait()
    }

    /// Reports that there is none any more, with the present state.
    pub(super) fn over(&mut self, detail: impl Into<Cow<'static, str>>) {
        if self.said.take().is_some() {
            info!(reader = &*self.part, "events flow again");
        }
        let detail = Some(detail.into());
        if self.shown != detail {
            let text = detail.clone().unwrap_or_default();
            self.health.set(self.part.clone(), Condition::Ok, text);
            self.shown = detail;
        }
        self.backoff.reset();
    }
}
