//! How the webhook of a source fares: asks Konnect, and decides what that says of the time since
//! the poll before.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use konnect::{Client, DeliveryState, PortalId, WebhookStatus};

use crate::backfill::coverage::timings::delta;
use crate::journal::{GapReason, LogSource, SourceState, SourceStatus};

/// Whose the destination of a webhook is, is asked so often. What was delivered since may have gone
/// to another.
pub(super) const SLOT_EVERY: Duration = Duration::from_mins(10);

/// What one poll showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Poll {
    pub(super) state: SourceState,
    pub(super) detail: String,
    pub(super) last_attempt_at: Option<DateTime<Utc>>,
}

impl Poll {
    /// That there is no such log.
    pub(super) fn gone(detail: &str) -> Self {
        Self {
            state: SourceState::Gone,
            detail: detail.to_owned(),
            last_attempt_at: None,
        }
    }
}

/// What a poll means: the source as it is now, and the time in which entries may have been missed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Polled {
    pub(super) status: SourceStatus,
    pub(super) gap: Option<FoundGap>,
}

/// Time before a poll in which entries may have been missed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FoundGap {
    pub(super) from: DateTime<Utc>,
    pub(super) reason: GapReason,
    pub(super) detail: String,
    /// The latest moment in which something may have gone wrong: a replay job asked for later
    /// brings it again.
    pub(super) noted_at: DateTime<Utc>,
    /// Whether something did go wrong.
    pub(super) is_certain: bool,
}

/// Asks for the status of a webhook, and whose destination has it where an `endpoint_path` is
/// given. What the token may not read is an answer, too.
///
/// # Errors
/// When there was no answer: nothing is known then.
pub(super) async fn ask(
    client: &Client,
    source: LogSource,
    endpoint_path: Option<&str>,
) -> Result<Poll, konnect::Error> {
    let webhook = match source {
        LogSource::Org => client.org_webhook(),
        LogSource::Portal(id) => client.portal(PortalId(id)).webhook(),
    };
    let status = match webhook.status().await {
        Ok(status) => status,
        Err(error) => return unreadable(source, error),
    };
    let poll = read(&status);
    // One that fails may be another destination's, too.
    let delivers = matches!(poll.state, SourceState::Active | SourceState::Failing);
    let Some(endpoint_path) = endpoint_path.filter(|_| delivers) else {
        return Ok(poll);
    };
    // Only a destination that leads here says anything of what came here.
    let bound = match webhook.get().await {
        Ok(bound) => bound.and_then(|webhook| webhook.audit_log_destination_id),
        Err(error) => return unreadable(source, error),
    };
    let Some(destination) = bound else {
        return Ok(poll);
    };
    match client.destinations().get(destination).await {
        Ok(found) if !leads_to(&found.endpoint, endpoint_path) => Ok(Poll {
            state: SourceState::Elsewhere,
            detail: format!("destination {} has the webhook", found.name),
            ..poll
        }),
        // A token may be good for portals and not for destinations.
        Ok(_) => Ok(poll),
        Err(error) if matches!(error.status(), Some(403 | 404)) => Ok(poll),
        Err(error) => Err(error),
    }
}

/// Whether an endpoint has the path of usher's.
fn leads_to(endpoint: &str, path: &str) -> bool {
    url::Url::parse(endpoint).is_ok_and(|url| url.path().ends_with(path))
}

fn unreadable(source: LogSource, error: konnect::Error) -> Result<Poll, konnect::Error> {
    let (state, detail) = match (error.status(), source) {
        (Some(403), _) => (
            SourceState::Unknown,
            "the token may not read the webhook (403)",
        ),
        (Some(404), LogSource::Portal(_)) => (SourceState::Gone, "there is no such portal (404)"),
        (Some(404), LogSource::Org) => (SourceState::Disabled, "there is no webhook (404)"),
        _ => return Err(error),
    };
    Ok(Poll {
        state,
        detail: detail.to_owned(),
        last_attempt_at: None,
    })
}

/// What a status says by itself.
fn read(status: &WebhookStatus) -> Poll {
    let code = status.last_response_code.filter(|code| *code != 0);
    let message = status.last_response_message.as_deref().unwrap_or_default();
    let has_failed = code.is_some_and(|code| !(200..300).contains(&code));
    let is_inactive = status.webhook_status == Some(DeliveryState::Inactive);
    let (state, detail) = if !status.webhook_enabled {
        let detail = "the webhook is switched off or has no destination".to_owned();
        (SourceState::Disabled, detail)
    } else if has_failed || is_inactive {
        let answer = match code {
            Some(code) => format!("{code} {message}"),
            None => message.to_owned(),
        };
        let detail = format!("the latest delivery failed: {}", answer.trim());
        (
            SourceState::Failing,
            detail.trim_end_matches(": ").to_owned(),
        )
    } else {
        (SourceState::Active, String::new())
    };
    Poll {
        state,
        detail,
        last_attempt_at: status.last_attempt_at,
    }
}

impl Polled {
    /// What follows from a poll at `now`. A source that is seen for the first time begins at
    /// `since`; a log that is not sent here is none.
    pub(super) fn of(
        before: Option<&SourceStatus>,
        source: LogSource,
        poll: Poll,
        (now, since): (DateTime<Utc>, DateTime<Utc>),
        unpolled_after: TimeDelta,
    ) -> Option<Self> {
        let Some(before) = before else {
            return Self::first(source, poll, now, since);
        };
        let gap = (poll.state != SourceState::Gone)
            .then(|| FoundGap::between(before, &poll, now, unpolled_after))
            .flatten();
        let status = SourceStatus {
            good_to: if poll.state.is_good() {
                now
            } else {
                before.good_to.min(now)
            },
            // The account of what is gone ends at the first poll that showed it.
            polled_at: match (before.state, poll.state) {
                (SourceState::Gone, SourceState::Gone) => before.polled_at.min(now),
                _ => now,
            },
            state: poll.state,
            detail: poll.detail,
            last_attempt_at: poll.last_attempt_at.or(before.last_attempt_at),
            ..before.clone()
        };
        Some(Self { status, gap })
    }

    fn first(
        source: LogSource,
        poll: Poll,
        now: DateTime<Utc>,
        since: DateTime<Utc>,
    ) -> Option<Self> {
        let is_ours = matches!(poll.state, SourceState::Active | SourceState::Failing);
        let status = SourceStatus {
            source,
            since,
            state: poll.state,
            detail: poll.detail,
            good_to: now,
            polled_at: now,
            last_attempt_at: poll.last_attempt_at,
        };
        let gap = (since < now).then(|| FoundGap {
            from: since,
            reason: GapReason::Before,
            detail: "usher did not receive this log yet".to_owned(),
            noted_at: now,
            is_certain: true,
        });
        is_ours.then_some(Self { status, gap })
    }
}

impl FoundGap {
    /// What went wrong since the poll before, as far as two polls can tell.
    fn between(
        before: &SourceStatus,
        poll: &Poll,
        now: DateTime<Utc>,
        unpolled_after: TimeDelta,
    ) -> Option<Self> {
        let since = |from, noted_at, detail: &str| Self {
            from,
            reason: GapReason::Webhook,
            detail: detail.to_owned(),
            noted_at,
            is_certain: true,
        };
        match (before.state, poll.state) {
            // Nothing is lost by a delivery that is not tried: only attempts count.
            (_, SourceState::Failing) => {
                let latest = poll.last_attempt_at.map(|at| at.min(now));
                let noted_at = latest.unwrap_or(now).max(before.good_to).min(now);
                Some(since(before.good_to, noted_at, &poll.detail))
            }
            (_, SourceState::Elsewhere) => {
                let ours_to = before.good_to - delta(SLOT_EVERY);
                Some(since(ours_to, now, &poll.detail))
            }
            (_, bad) if !bad.is_good() => Some(since(before.good_to, now, &poll.detail)),
            // Which attempts failed since the last poll is not known.
            (SourceState::Failing, _) => Some(Self {
                is_certain: false,
                ..since(before.polled_at, now, &before.detail)
            }),
            (bad, _) if !bad.is_good() => Some(since(before.good_to, now, &before.detail)),
            _ if now - before.polled_at > unpolled_after => {
                let detail = "the status of the webhook was not known";
                Some(since(before.good_to, now, detail))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    fn poll(state: SourceState) -> Poll {
        Poll {
            state,
            detail: state.as_str().to_owned(),
            last_attempt_at: None,
        }
    }

    fn of(before: Option<&SourceStatus>, state: SourceState, now: i64) -> Option<Polled> {
        let times = (at(now), at(now - 100));
        Polled::of(
            before,
            LogSource::Org,
            poll(state),
            times,
            TimeDelta::minutes(10),
        )
    }

    #[test]
    fn reads_what_konnect_says() {
        let status = |enabled, state: Option<DeliveryState>, code| WebhookStatus {
            webhook_status: state,
            webhook_enabled: enabled,
            last_attempt_at: None,
            last_response_code: code,
            last_response_message: Some("Unauthorized".to_owned()),
        };
        let cases = [
            (
                status(true, Some(DeliveryState::Active), None),
                "active",
                "",
            ),
            (status(true, None, Some(0)), "active", ""),
            (
                status(true, Some(DeliveryState::Active), Some(202)),
                "active",
                "",
            ),
            (
                status(true, Some(DeliveryState::Inactive), Some(401)),
                "failing",
                "the latest delivery failed: 401 Unauthorized",
            ),
            (
                status(true, Some(DeliveryState::Active), Some(500)),
                "failing",
                "the latest delivery failed: 500 Unauthorized",
            ),
            (
                status(true, Some(DeliveryState::Inactive), None),
                "failing",
                "the latest delivery failed: Unauthorized",
            ),
            (
                status(false, Some(DeliveryState::Unconfigured), None),
                "disabled",
                "the webhook is switched off or has no destination",
            ),
        ];
        for (status, state, detail) in cases {
            let poll = read(&status);
            assert_eq!((poll.state.as_str(), poll.detail.as_str()), (state, detail));
        }
    }

    #[test]
    fn a_log_that_is_not_sent_here_is_no_source() {
        assert_eq!(of(None, SourceState::Disabled, 200), None);
        assert_eq!(of(None, SourceState::Elsewhere, 200), None);
        let first = of(None, SourceState::Active, 200).unwrap();
        assert_eq!(first.status.since, at(100));
        let gap = first.gap.unwrap();
        assert_eq!((gap.from, gap.reason), (at(100), GapReason::Before));
    }

    #[test]
    fn a_gap_lasts_from_the_last_good_poll_to_the_next_one() {
        let gap = |polled: &Polled| {
            let gap = polled.gap.as_ref()?;
            let minutes = |time: DateTime<Utc>| (time - at(0)).num_minutes();
            Some((minutes(gap.from), minutes(gap.noted_at), gap.is_certain))
        };
        let first = of(None, SourceState::Active, 200).unwrap().status;
        let good = of(Some(&first), SourceState::Active, 201).unwrap();
        assert_eq!((good.status.good_to, gap(&good)), (at(201), None));
        let mut failing = poll(SourceState::Failing);
        failing.last_attempt_at = Some(at(202));
        let again = |before: &SourceStatus, now| {
            let times = (at(now), at(0));
            let poll = failing.clone();
            Polled::of(
                Some(before),
                LogSource::Org,
                poll,
                times,
                TimeDelta::minutes(10),
            )
            .unwrap()
        };
        let bad = again(&good.status, 203);
        assert_eq!(
            (bad.status.good_to, gap(&bad)),
            (at(201), Some((201, 202, true)))
        );
        // Nothing was tried since.
        let still = again(&bad.status, 204);
        assert_eq!(gap(&still), Some((201, 202, true)));
        let back = of(Some(&still.status), SourceState::Active, 205).unwrap();
        assert_eq!(
            (back.status.good_to, gap(&back)),
            (at(205), Some((204, 205, false)))
        );
        let off = of(Some(&back.status), SourceState::Disabled, 206).unwrap();
        assert_eq!(gap(&off), Some((205, 206, true)));
        let on = of(Some(&off.status), SourceState::Active, 207).unwrap();
        assert_eq!(gap(&on), Some((205, 207, true)));
        // Whose it was is not asked each time.
        let taken = of(Some(&on.status), SourceState::Elsewhere, 209).unwrap();
        assert_eq!(gap(&taken), Some((197, 209, true)));
        let late = of(Some(&on.status), SourceState::Active, 218).unwrap();
        assert_eq!(gap(&late), Some((207, 218, true)));
        let gone = of(Some(&late.status), SourceState::Gone, 219).unwrap();
        assert_eq!(gap(&gone), None);
        let still_gone = of(Some(&gone.status), SourceState::Gone, 300).unwrap();
        assert_eq!(still_gone.status.polled_at, at(219));
        let again = of(Some(&still_gone.status), SourceState::Active, 310).unwrap();
        assert_eq!(gap(&again), Some((218, 310, true)));
    }

    #[test]
    fn knows_an_endpoint_by_its_path() {
        let cases = [
            ("https://usher.example/audit-logs", true),
            ("https://gateway.example/usher/audit-logs", true),
            ("https://siem.example/services/collector", false),
            ("no url", false),
        ];
        for (endpoint, expected) in cases {
            assert_eq!(leads_to(endpoint, "/audit-logs"), expected, "{endpoint}");
        }
    }
}
