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
    /// Writes a sign of life again and again, and a last one at the end.
    pub async fn run(self, cancel: CancellationToken) {
        let every = self.timings.heartbeat_every;
        let mut span: Option<Span> = None;
        let mut refused: Option<RefusedDeliveries> = None;
        loop {
            let wait = match span {
                Some(_) => every,
                None => READY_WITHIN.min(every),
            };
            let is_over = pause(wait, &cancel).await;
            if is_over {
                self.last_deliveries().await;
            }
            span = self.extend(span);
            let lately = self.refusals.take();
            refused = match (refused, lately) {
                (Some(earlier), Some(later)) => Some(earlier.and(later)),
                (earlier, later) => earlier.or(later),
            };
            // Another instance may be ready without having said so: it has twice the time.
            let at_first = every * 2 + OFF_BY.to_std().unwrap_or_default();
            let may_begin = |span: &Span| span.is_noted || span.to - span.from >= at_first;
            if let Some(ready) = span.filter(may_begin)
                && let Some(sign) = self.sign(ready, refused.as_ref())
            {
                match timeout(WRITE_WITHIN, self.write(&sign)).await {
                    Ok(Ok(())) => {
                        refused = None;
                        span = Some(Span {
                            from: ready.to,
                            is_noted: true,
                            ..ready
                        });
                    }
                    Ok(Err(error)) => {
                        debug!(error = error.chain(), "a sign of life comes later");
                    }
                    Err(_) => debug!("a sign of life comes later: the database is slow"),
                }
            }
            if is_over {
                return;
            }
        }
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

    /// The sign by Konnect's clock; none while that is not known.
    fn sign(&self, span: Span, refused: Option<&RefusedDeliveries>) -> Option<SignOfLife> {
        let spooled_from = (self.spooled)();
        Some(SignOfLife {
            spooled_from: spooled_from.and_then(|time| self.konnect.translate(time)),
            ..sign(
                (Instant::now(), self.konnect.now()?),
                self.instance,
                span,
                refused,
            )
        })
    }

    async fn write(&self, sign: &SignOfLife) -> Result<(), JournalError> {
        let settle = self.timings.settle;
        self.journal
            .note_sign_of_life(sign, settle, || self.ids.next())
            .await
    }
}

/// A sign of life by Konnect's clock, which shows `shown` by `now`. As that may be off, rather too
/// much time is left open than too little.
fn sign(
    (now, shown): (Instant, DateTime<Utc>),
    instance: Uuid,
    span: Span,
    refused: Option<&RefusedDeliveries>,
) -> SignOfLife {
    let at = |moment: Instant| shown - delta(now.saturating_duration_since(moment));
    let to = at(span.to);
    let from = if span.is_noted {
        at(span.from) - JITTER
    } else {
        (at(span.from) + OFF_BY).min(to)
    };
    let refusals = refused.map(|refused| Refusal {
        from: at(refused.first) - OFF_BY,
        to: at(refused.last) + OFF_BY,
        times: i32::try_from(refused.times).unwrap_or(i32::MAX),
        answer: match refused.status {
            Some(status) => status.to_string(),
            None => "by the end of the connection".to_owned(),
        },
    });
    SignOfLife {
        from,
        to,
        spooled_from: None,
        instance,
        refusals: refusals.into_iter().collect(),
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
        let first = sign((after(40), shown), Uuid::nil(), span(false), Some(&refused));
        assert_eq!((first.from, first.to), (at(71), at(90)));
        let [refusal] = &first.refusals[..] else {
            panic!("{first:?}");
        };
        assert_eq!((refusal.from, refusal.to), (at(71), at(81)));
        let next = sign((after(40), shown), Uuid::nil(), span(true), None);
        assert_eq!((next.from, next.refusals.len()), (at(65), 0));
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
