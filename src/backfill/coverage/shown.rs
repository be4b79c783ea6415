//! Coverage and replay jobs as JSON, the same in the API and at the command line.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::backfill::coverage::map::{Stretch, StretchState};
use crate::backfill::coverage::record::SourceCoverage;
use crate::journal::ReplayJobRow;

/// What is known of the time of one log.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Coverage)]
pub struct CoverageBody {
    /// `portal`, or `org` for the organisation's log.
    pub source: &'static str,
    /// The portal; null for the organisation's log.
    #[schema(required = true)]
    pub portal_id: Option<Uuid>,
    /// The worst that is known of its time: `covered`, `replaying`, `missing` or `lost`. What is
    /// settling, and a loss that is acknowledged, count as nothing amiss.
    pub verdict: &'static str,
    /// Where the account begins.
    pub since: DateTime<Utc>,
    /// Konnect's present.
    pub now: DateTime<Utc>,
    /// When Konnect begins to drop the first of what is missing; null where nothing is.
    #[schema(required = true)]
    pub expires_at: Option<DateTime<Utc>>,
    /// How its webhook fares.
    pub webhook: WebhookBody,
    /// How many seconds of the window are in each state.
    pub seconds: SecondsBody,
    /// Its time, the earliest first.
    pub stretches: Vec<StretchBody>,
}

/// How a webhook fares.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CoverageWebhook)]
pub struct WebhookBody {
    /// `active`, `failing`, `disabled`, `elsewhere`, `unknown` or `gone`.
    pub state: &'static str,
    /// Why, for a person; often empty.
    pub detail: String,
    /// The latest poll that was answered.
    pub polled_at: DateTime<Utc>,
    /// The latest attempt of a delivery, as Konnect says it.
    #[schema(required = true)]
    pub last_attempt_at: Option<DateTime<Utc>>,
}

/// Seconds by state.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = CoverageSeconds)]
pub struct SecondsBody {
    /// No loss is known.
    pub covered: i64,
    /// Too young to say.
    pub settling: i64,
    /// A replay job is under way.
    pub replaying: i64,
    /// Entries may be missing; Konnect still has them.
    pub missing: i64,
    /// Entries may be missing, and Konnect has dropped them.
    pub lost: i64,
}

/// A stretch of time of which the same is known throughout.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CoverageStretch)]
pub struct StretchBody {
    /// Where it begins.
    pub from: DateTime<Utc>,
    /// Where it ends, exclusive.
    pub to: DateTime<Utc>,
    /// `covered`, `settling`, `replaying`, `missing` or `lost`.
    pub state: &'static str,
    /// Why it is not covered.
    pub reasons: Vec<ReasonBody>,
    /// When Konnect begins to drop its entries; null unless it is missing.
    #[schema(required = true)]
    pub expires_at: Option<DateTime<Utc>>,
    /// The replay job under way for it.
    #[schema(required = true)]
    pub job_id: Option<Uuid>,
    /// Who has taken note of its loss.
    #[schema(required = true)]
    pub acknowledged: Option<AcknowledgedBody>,
}

/// Why a stretch is not covered.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CoverageReason)]
pub struct ReasonBody {
    /// `before`, `down`, `refused`, `webhook` or `unbrought`.
    pub reason: &'static str,
    /// What was seen.
    pub detail: String,
}

/// Who has taken note of a loss.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CoverageAcknowledgement)]
pub struct AcknowledgedBody {
    /// Who.
    pub by: String,
    /// Why, in their words.
    pub reason: String,
}

/// A replay job.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ReplayJob)]
pub struct ReplayJobBody {
    /// Its id.
    pub id: Uuid,
    /// The portal; null for the organisation's log.
    #[schema(required = true)]
    pub portal_id: Option<Uuid>,
    /// First time whose entries are wanted.
    pub from: DateTime<Utc>,
    /// Last time whose entries are wanted.
    pub to: DateTime<Utc>,
    /// `gap`, `audit` or `person`.
    pub origin: &'static str,
    /// Who asked; empty for usher itself.
    pub who: String,
    /// `queued`, `planned`, `asked`, `settling`, `closed`, `incomplete`, `failed`, `replaced` or
    /// `refused`.
    pub state: &'static str,
    /// What Konnect said last: `accepted`, `pending`, `running`, `completed` or `failed`.
    pub konnect_status: String,
    /// Why it ended as it did, for a person.
    pub detail: String,
    /// Events of its window that were stored when it was asked for.
    pub known_entries: i64,
    /// Events of its window that came since and were not known.
    pub new_entries: i64,
    /// Entries of its window that came since and were known.
    pub repeated_entries: i64,
    /// When it was put on record.
    pub created_at: DateTime<Utc>,
    /// When Konnect took it.
    #[schema(required = true)]
    pub asked_at: Option<DateTime<Utc>>,
    /// When it ended, well or not.
    #[schema(required = true)]
    pub ended_at: Option<DateTime<Utc>>,
}

/// A length of time in its two largest units, such as `6d 21h`; `0s` of none.
pub fn span(span: TimeDelta) -> String {
    let span = span.max(TimeDelta::zero());
    let (days, hours) = (span.num_days(), span.num_hours() % 24);
    let (minutes, seconds) = (span.num_minutes() % 60, span.num_seconds() % 60);
    match (days, hours, minutes, seconds) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m {seconds}s"),
        (0, hours, minutes, _) => format!("{hours}h {minutes}m"),
        (days, hours, ..) => format!("{days}d {hours}h"),
    }
}

/// Until Konnect begins to drop the first of what is missing, in words.
pub fn dropped(expires_at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    if expires_at <= now {
        return "Konnect has begun to drop it".to_owned();
    }
    format!("Konnect begins to drop it in {}", span(expires_at - now))
}

impl From<&SourceCoverage> for CoverageBody {
    fn from(known: &SourceCoverage) -> Self {
        let seconds = |state| {
            let length: TimeDelta = known.length_of(state);
            length.num_seconds()
        };
        let portal_id = known.status.source.portal();
        Self {
            source: if portal_id.is_some() { "portal" } else { "org" },
            portal_id,
            verdict: known.verdict().as_str(),
            since: known.status.since,
            now: known.now,
            expires_at: known.expires_at(),
            webhook: WebhookBody {
                state: known.status.state.as_str(),
                detail: known.status.detail.clone(),
                polled_at: known.status.polled_at,
                last_attempt_at: known.status.last_attempt_at,
            },
            seconds: SecondsBody {
                covered: seconds(StretchState::Covered),
                settling: seconds(StretchState::Settling),
                replaying: seconds(StretchState::Replaying),
                missing: seconds(StretchState::Missing),
                lost: seconds(StretchState::Lost),
            },
            stretches: known.stretches.iter().map(StretchBody::from).collect(),
        }
    }
}

impl From<&Stretch> for StretchBody {
    fn from(stretch: &Stretch) -> Self {
        let reasons = stretch.reasons.iter().map(|(reason, detail)| ReasonBody {
            reason: reason.as_str(),
            detail: detail.clone(),
        });
        let acknowledged = stretch.acknowledged.as_ref();
        Self {
            from: stretch.from,
            to: stretch.to,
            state: stretch.state.as_str(),
            reasons: reasons.collect(),
            expires_at: stretch.expires_at(),
            job_id: stretch.job,
            acknowledged: acknowledged.map(|loss| AcknowledgedBody {
                by: loss.who.clone(),
                reason: loss.reason.clone(),
            }),
        }
    }
}

impl From<&ReplayJobRow> for ReplayJobBody {
    fn from(job: &ReplayJobRow) -> Self {
        Self {
            id: job.id,
            portal_id: job.source.portal(),
            from: job.from,
            to: job.to,
            origin: job.origin.as_str(),
            who: job.who.clone(),
            state: job.state.as_str(),
            konnect_status: job.konnect_status.clone(),
            detail: job.detail.clone(),
            known_entries: job.before.known,
            new_entries: job.new_entries,
            repeated_entries: job.repeated_entries,
            created_at: job.created_at,
            asked_at: job.asked_at,
            ended_at: job.ended_at,
        }
    }
}
