//! `/api/v1/reports`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::Api;
use crate::api::page::{Parameters, bad_request, journal_problem};
use crate::http::Problem;
use crate::report::{By, Question, ReportError, ReportName, Row, csv};

/// The reports there are, with what each may be asked and what its rows hold.
pub(super) async fn list_reports(parameters: Parameters) -> Result<Json<Value>, Problem> {
    parameters.finish()?;
    let reports: Vec<Value> = ReportName::ALL.iter().copied().map(described).collect();
    Ok(Json(json!({ "data": reports, "meta": { "next": null } })))
}

/// The rows of one report, as JSON or as a file.
pub(super) async fn get_report(
    State(api): State<Api>,
    Path(name): Path<String>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let name: ReportName = name.parse().map_err(|_| {
        let detail = format!("there is no report {name:?}: GET /api/v1/reports lists them");
        Problem::new(StatusCode::NOT_FOUND, detail)
    })?;
    let (from, to) = parameters.window()?;
    let days = "a whole number of days";
    let question = Question {
        portal: parameters.read("portal_id", "a UUID")?,
        from,
        to,
        by: parameters.read::<By>("by", "hour, day or week")?,
        days: parameters.read("days", days)?,
        within: parameters.read("within", days)?,
        developer: parameters.read("developer_id", "a UUID")?,
        application: parameters.read("application_id", "a UUID")?,
    };
    let is_file = match parameters.text("format").as_deref() {
        None | Some("json") => false,
        Some("csv") => true,
        Some(_) => return Err(bad_request("parameter format: expected json or csv")),
    };
    parameters.finish()?;
    let answer = api.reports.ask(name, &question).await;
    let answer = answer.map_err(|error| match error {
        ReportError::Question(error) => {
            bad_request(error.tell(|parameter| format!("parameter {}", parameter.name())))
        }
        ReportError::Journal(error) => journal_problem(&error),
    })?;
    if is_file {
        let headers = [
            (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
            (
                header::CONTENT_DISPOSITION,
                format!("attachment; filename=\"{name}.csv\""),
            ),
        ];
        return Ok((headers, csv(&answer)).into_response());
    }
    let meta = Meta {
        next: None,
        as_of: answer.as_of.to_rfc3339_opts(SecondsFormat::Millis, true),
        is_cut: answer.is_cut,
        from: question.from,
        to: question.to,
    };
    Ok(Json(Found {
        data: answer.rows,
        meta,
    })
    .into_response())
}

#[derive(Debug, Serialize)]
struct Found {
    data: Vec<Row>,
    meta: Meta,
}

#[derive(Debug, Serialize)]
struct Meta {
    next: Option<String>,
    as_of: String,
    is_cut: bool,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
}

fn described(name: ReportName) -> Value {
    let columns = name.columns().iter();
    let columns: Vec<Value> = columns
        .map(|column| json!({ "name": column.name, "about": column.about }))
        .collect();
    let takes: Vec<&str> = name
        .takes()
        .iter()
        .map(|parameter| parameter.name())
        .collect();
    json!({ "name": name.as_str(), "about": name.about(), "takes": takes, "columns": columns })
}
