//! Signs of life of this instance: that it can take deliveries, and which it did not take.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::debug;
use uuid::Uuid;

use crate::backfill::coverage::konnect_clock::{KonnectClock, OFF_BY};
use crate::backfill::coverage::timings::{Timings, delta};
use crate::clock::Ids;
use crate::http::health::Health;
use crate::intake::{Refusals, RefusedDeliveries};
use crate::journal::{Journal, JournalError, Refusal, SignOfLife};
use crate::lifecycle::pause;

/// A sign of life that is not written by then is written with the next one.
const WRITE_WITHIN: Duration = Duration::from_secs(5);
/// Within one process, signs that are no further apart by Konnect's clock follow each other.
const JITTER: TimeDelta = TimeDelta::seconds(5);
/// At the end, deliveries under way may take so long: less than the process may.
const LAST_DELIVERIES_WITHIN: Duration = Duration::from_secs(8);
/// Between looks whether deliveries can be taken, while they cannot.
const READY_WITHIN: Duration = Duration::from_millis(100);
/// Between looks whether they are over.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The oldest request in the spool, by this machine's clock.
type Spooled = Box<dyn Fn() -> Option<DateTime<Utc>> + Send + Sync>;

/// What a heartbeat needs.
#[expect(
    missing_debug_implementations,
    reason = "it holds a closure and is only run"
)]
pub struct Heartbeat {
    /// Where signs are written.
    pub journal: Journal,
    /// Whether deliveries can be taken.
    pub health: Health,
    /// Deliveries that were not.
    pub refusals: Refusals,
    /// The oldest request in the spool.
    pub spooled: Spooled,
    /// What Konnect's clock shows.
    pub konnect: KonnectClock,
    /// How often.
    pub timings: Timings,
    /// Makes ids of gaps.
    pub ids: Ids,
    /// Names this instance.
    pub instance: Uuid,
}

/// Deliveries could be taken from one moment to another.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: Instant,
    to: Instant,
    /// Whether its beginning is on record.
    is_noted: bool,
}

impl Span {
    /// The span up to `to`. One that was not looked at for longer than `longest` is over: the
    /// process was stopped, and took nothing.
    fn up_to(to: Instant, span: Option<Self>, longest: Duration) -> Self {
        let is_current = |span: &Self| to.saturating_duration_since(span.to) <= longest;
        match span.filter(is_current) {
            Some(span) => Self { to, ..span },
            None => Self {
                from: to,
                to,
                is_noted: false,
            },
        }
    }
}

impl Heartbeat {
    /// Writes a sign of life again and again, and a last one at the end. What was refused is
    /// written down as soon as that, whether deliveries can be taken or not.
    pub async fn run(self, cancel: CancellationToken) {
        let mut span: Option<Span> = None;
        let mut refused: Option<RefusedDeliveries> = None;
        loop {
            let is_over = pause(self.next_look(span, refused.is_some()), &cancel).await;
            if is_over {
                self.last_deliveries().await;
            }
            span = self.extend(span);
            let lately = self.refusals.take();
            refused = match (refused, lately) {
                (Some(earlier), Some(later)) => Some(earlier.and(later)),
                (earlier, later) => earlier.or(later),
            };
            let ready = span.filter(|span| self.may_begin(span));
            match timeout(WRITE_WITHIN, self.write(ready, refused.as_ref())).await {
                Ok(Ok(true)) => {
                    refused = None;
                    let noted = ready.map(|ready| Span {
                        from: ready.to,
                        is_noted: true,
                        ..ready
                    });
                    span = noted.or(span);
                }
                Ok(Ok(false)) => {}
                Ok(Err(error)) => {
                    debug!(error = error.chain(), "a sign of life comes later");
                }
                Err(_) => debug!("a sign of life comes later: the database is slow"),
            }
            if is_over {
                return;
            }
        }
    }

    /// The pause before the next look.
    fn next_look(&self, span: Option<Span>, has_refused: bool) -> Duration {
        let every = self.timings.heartbeat_every;
        match span {
            Some(span) if !span.is_noted => {
                let left = self.at_first().saturating_sub(span.to - span.from);
                every.min(left.max(READY_WITHIN))
            }
            None if !has_refused => READY_WITHIN.min(every),
            _ => every,
        }
    }

    /// Another instance may be ready without having said so: it has twice the time, and as much as
    /// Konnect's clock may be off.
    fn at_first(&self) -> Duration {
        self.timings.heartbeat_every * 2 + OFF_BY.to_std().unwrap_or_default()
    }

    fn may_begin(&self, span: &Span) -> bool {
        span.is_noted || span.to - span.from >= self.at_first()
    }

    /// Waits for the deliveries that are under way: what is not taken belongs to the last sign.
    async fn last_deliveries(&self) {
        let all_answered = async {
            while self.refusals.is_any_under_way() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        if timeout(LAST_DELIVERIES_WITHIN, all_answered).await.is_err() {
            debug!("deliveries are still under way at the last sign of life");
        }
    }

    /// The span up to now; none while deliveries cannot be taken.
    fn extend(&self, span: Option<Span>) -> Option<Span> {
        let is_ready = self.health.is_ready();
        is_ready.then(|| Span::up_to(Instant::now(), span, self.longest_step()))
    }

    /// A step that takes longer was not made by a process that runs.
    fn longest_step(&self) -> Duration {
        let step = self.timings.heartbeat_every + WRITE_WITHIN;
        self.timings.silent_after.max(step * 2)
    }

    /// Writes the sign of a span, or else what was refused alone. False where there is neither, or
    /// while Konnect's clock is not known.
    async fn write(
        &self,
        ready: Option<Span>,
        refused: Option<&RefusedDeliveries>,
    ) -> Result<bool, JournalError> {
        let Some(shown) = self.konnect.now() else {
            return Ok(false);
        };
        let reading = Reading {
            at: Instant::now(),
            shown,
        };
        let settle = self.timings.settle;
        let refusal = refused.map(|refused| reading.refusal(refused));
        match (ready, refusal) {
            (Some(span), refusal) => {
                let spooled_from = (self.spooled)();
                let sign = SignOfLife {
                    spooled_from: spooled_from.and_then(|time| self.konnect.translate(time)),
                    refusals: refusal.into_iter().collect(),
                    ..reading.sign(span, self.instance)
                };
                let noted = self
                    .journal
                    .note_sign_of_life(&sign, settle, || self.ids.next());
                noted.await?;
            }
            (None, Some(refusal)) => {
                let id = self.ids.next();
                self.journal
                    .note_refusal(&refusal, shown, settle, id)
                    .await?;
            }
            (None, None) => return Ok(false),
        }
        Ok(true)
    }
}

/// What Konnect's clock showed at a moment. Where that may be off, rather too much time is left
/// open than too little.
struct Reading {
    at: Instant,
    shown: DateTime<Utc>,
}

impl Reading {
    fn of(&self, moment: Instant) -> DateTime<Utc> {
        self.shown - delta(self.at.saturating_duration_since(moment))
    }

    fn refusal(&self, refused: &RefusedDeliveries) -> Refusal {
        Refusal {
            from: self.of(refused.first) - OFF_BY,
            to: self.of(refused.last) + OFF_BY,
            times: i32::try_from(refused.times).unwrap_or(i32::MAX),
            answer: match refused.status {
                Some(status) => status.to_string(),
                None => "by the end of the connection".to_owned(),
            },
        }
    }

    /// The sign of a span, without what else it tells.
    fn sign(&self, span: Span, instance: Uuid) -> SignOfLife {
        let from = self.of(span.from);
        SignOfLife {
            from: if span.is_noted {
                from - JITTER
            } else {
                from + OFF_BY
            },
            to: self.of(span.to),
            spooled_from: None,
            instance,
            refusals: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_time_is_left_open_than_konnects_clock_may_be_off() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let shown = DateTime::UNIX_EPOCH + TimeDelta::seconds(100);
        let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let span = |is_noted| Span {
            from: after(10),
            to: after(30),
            is_noted,
        };
        let refused = RefusedDeliveries {
            first: after(12),
            last: after(20),
            times: 3,
            status: Some(429),
        };
        let reading = Reading {
            at: after(40),
            shown,
        };
        let first = reading.sign(span(false), Uuid::nil());
        assert_eq!((first.from, first.to), (at(71), at(90)));
        let refusal = reading.refusal(&refused);
        assert_eq!((refusal.from, refusal.to), (at(71), at(81)));
        let next = reading.sign(span(true), Uuid::nil());
        assert_eq!(next.from, at(65));
    }

    #[test]
    fn a_process_that_was_stopped_was_not_there() {
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        let longest = Duration::from_secs(20);
        let first = Span::up_to(begin, None, longest);
        assert_eq!((first.from, first.is_noted), (begin, false));
        let noted = Span {
            is_noted: true,
            ..first
        };
        let next = Span::up_to(after(20), Some(noted), longest);
        assert_eq!(
            (next.from, next.to, next.is_noted),
            (begin, after(20), true)
        );
        let stopped = Span::up_to(after(3_620), Some(next), longest);
        assert_eq!((stopped.from, stopped.is_noted), (after(3_620), false));
    }
}
