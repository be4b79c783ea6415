//! `/api/v1/coverage`: which time was seen, and losses that somebody has taken note of.

use axum::Json;
use axum::body::Bytes;
use axum::extract::Extension;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::act::Person;
use crate::api::Api;
use crate::api::body;
use crate::api::by_hand::require_operator;
use crate::api::document::{Conflicting, Missing, OfOperators, OfTheRecord, Refused};
use crate::api::page::{One, Page, Paging, Window};
use crate::backfill::{AcknowledgeError, AcknowledgedBody, CoverageBody, SourceCoverage};
use crate::http::Problem;
use crate::http::parameters::{Parameters, bad_request};
use crate::http::tokens::Caller;
use crate::journal::{Acknowledgement, LogSource, NoWindow, journal_problem};

/// How a body looks.
const FORM: &str = "{\"portal_id\": \"…\", \"from\": \"…\", \"to\": \"…\", \"reason\": \"…\"}";

/// A loss to be acknowledged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Acknowledge)]
pub(super) struct AcknowledgeBody {
    /// The portal; left out for the organisation's log.
    portal_id: Option<Uuid>,
    /// Where the time begins.
    from: DateTime<Utc>,
    /// Where it ends.
    to: DateTime<Utc>,
    /// Why it raises no alarm any more: one line.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    reason: String,
}

/// What is known of the time of each log, the organisation's first. Without a window: of all time.
#[utoipa::path(
    get,
    path = "/api/v1/coverage",
    tag = "coverage",
    params(
        ("portal_id" = Option<Uuid>, Query, description = "Only the log of this portal"),
        Window, Paging,
    ),
    responses((status = 200, description = "A page of them", body = Page<CoverageBody>), Refused, OfTheRecord),
)]
pub(super) async fn list_coverage(
    api: Api,
    mut parameters: Parameters,
) -> Result<Json<Page<CoverageBody>>, Problem> {
    let portal: Option<Uuid> = parameters.read("portal_id", "the id of a portal")?;
    let window = parameters.window()?;
    let limit = parameters.limit()?;
    let after = parameters.cursor::<1>()?;
    let pager = parameters.finish()?;
    let wanted = |source: LogSource| portal.is_none_or(|id| source == LogSource::Portal(id));
    let mut known = api.coverage.of_all(wanted, window).await?;
    if let Some([after]) = after {
        let place = |one: &SourceCoverage| one.status.source.to_string() == after;
        let gone = known.iter().position(place).map_or(0, |place| place + 1);
        known.drain(..gone);
    }
    let position = |row: &SourceCoverage| row.status.source.to_string();
    Ok(Json(pager.page(known, limit, position, |row| {
        CoverageBody::from(&row)
    })))
}

/// Notes that a loss is known. It stays visible, and raises no alarm any more.
#[utoipa::path(
    post,
    path = "/api/v1/coverage/acknowledgements",
    tag = "coverage",
    request_body = AcknowledgeBody,
    responses(
        (status = 201, description = "What was noted", body = One<AcknowledgedBody>),
        Refused, OfOperators, Missing, Conflicting, OfTheRecord,
    ),
)]
pub(super) async fn acknowledge_loss(
    api: Api,
    Extension(caller): Extension<Caller>,
    parameters: Parameters,
    body: Bytes,
) -> Result<(StatusCode, Json<One<AcknowledgedBody>>), Problem> {
    parameters.finish()?;
    require_operator(&caller)?;
    let body: AcknowledgeBody = body::read(&body, FORM)?;
    let person = Person::new(caller.name(), Some(&body.reason))
        .map_err(|error| bad_request(format!("reason: {error}")))?;
    let source = body.portal_id.map_or(LogSource::Org, LogSource::Portal);
    let reason = person.reason.unwrap_or_default();
    let data = AcknowledgedBody {
        by: person.name.clone(),
        reason: reason.clone(),
    };
    let loss = Acknowledgement {
        from: body.from,
        to: body.to,
        who: person.name,
        reason,
    };
    let noted = api.coverage.acknowledge(api.ids.next(), source, loss).await;
    noted.map_err(|error| match error {
        AcknowledgeError::NoWindow(error) => window_problem(&error),
        AcknowledgeError::NoReason => bad_request("reason: it is needed"),
        AcknowledgeError::UnknownSource => {
            Problem::new(StatusCode::NOT_FOUND, "usher hears of no such log")
        }
        error @ AcknowledgeError::NothingLost => {
            Problem::new(StatusCode::CONFLICT, error.to_string())
        }
        AcknowledgeError::Journal(error) => journal_problem(&error),
    })?;
    Ok((StatusCode::CREATED, Json(One { data })))
}

fn window_problem(error: &NoWindow) -> Problem {
    bad_request(format!("from, to: {error}"))
}
