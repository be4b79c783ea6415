//! `/api/v1/reports`: the rows of each report, as JSON or as a file. The document describes a
//! report by what the report says of itself.

use axum::Json;
use axum::extract::{Extension, Path};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter as Documented, ParameterIn};
use utoipa::openapi::schema::{
    ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{Content, OpenApi, PathItem, Ref, RefOr, ResponseBuilder, ResponsesBuilder};
use utoipa::{IntoParams, ToSchema};

use crate::api::Api;
use crate::api::access_log::Shown;
use crate::api::document::{OfTheRecord, Refused};
use crate::api::page::{Page, Window, optional};
use crate::http::Problem;
use crate::http::parameters::{Parameters, bad_request};
use crate::report::{By, Column, MOST_DAYS, Parameter, Question, ReportName, Row, Shape};

/// A report, with its parameters and columns.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Report)]
pub(super) struct ReportBody {
    name: &'static str,
    /// What it answers
    about: &'static str,
    /// The parameters that it takes
    takes: Vec<&'static str>,
    /// The columns of its rows
    columns: Vec<ColumnBody>,
}

/// A column of a report.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Column)]
struct ColumnBody {
    name: &'static str,
    /// What it contains
    about: &'static str,
}

/// The reports there are, for this token.
#[utoipa::path(
    get,
    path = "/api/v1/reports",
    tag = "reports",
    responses((status = 200, description = "All of them", body = Page<ReportBody>), Refused),
)]
pub(super) async fn list_reports(
    api: Api,
    parameters: Parameters,
) -> Result<Json<Page<ReportBody>>, Problem> {
    let pager = parameters.finish()?;
    let mut names = ReportName::ALL.to_vec();
    names.retain(|name| api.portals().is_all() || !name.is_of_no_portal());
    Ok(Json(pager.page_to(names, None, described)))
}

fn described(name: ReportName) -> ReportBody {
    let columns = name.columns().iter();
    ReportBody {
        name: name.as_str(),
        about: name.about(),
        takes: name.takes().iter().map(|it| it.name()).collect(),
        columns: columns
            .map(|column| ColumnBody {
                name: column.name,
                about: column.about,
            })
            .collect(),
    }
}

/// The rows of one report.
pub(super) async fn get_report(
    api: Api,
    Path(name): Path<String>,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let name: ReportName = name.parse().map_err(|_| {
        let detail = format!("there is no report {name:?}: GET /api/v1/reports lists them");
        Problem::new(StatusCode::NOT_FOUND, detail)
    })?;
    if name.is_of_no_portal() {
        api.portals().require_all()?;
    }
    let question = Question::read(name, &mut parameters)?;
    let is_file = match parameters.text("format").as_deref() {
        None | Some("json") => false,
        Some("csv") => true,
        Some(_) => return Err(bad_request("parameter format: expected json or csv")),
    };
    parameters.finish()?;
    let answer = api.reports.ask(name, &question).await;
    let answer = answer.map_err(|error| error.problem())?;
    let shown = name
        .is_about_people()
        .then_some(Extension(Shown(answer.rows.len())));
    if is_file {
        return Ok((shown, answer.file(name)).into_response());
    }
    let meta = json!({
        "next": null,
        "as_of": answer.as_of,
        "is_cut": answer.is_cut,
        "is_complete": answer.is_complete,
    });
    let data = answer.rows;
    Ok((shown, Json(Rows { data, meta })).into_response())
}

#[derive(Debug, Serialize)]
struct Rows {
    data: Vec<Row>,
    meta: Value,
}

/// Puts every report into the document, at a path of its own.
pub(super) fn document(document: &mut OpenApi) {
    for &name in ReportName::ALL {
        let row = format!("{name:?}Row");
        let schemas = &mut document.components.get_or_insert_default().schemas;
        schemas.insert(row.clone(), row_schema(name).into());
        let csv = ObjectBuilder::new().schema_type(Type::String);
        let response = ResponseBuilder::new()
            .description(format!(
                "Its rows, {} at most, as of one moment",
                name.most_rows()
            ))
            .content("application/json", Content::new(Some(rows_schema(&row))))
            .content("text/csv", Content::new(Some(csv)));
        let operation = OperationBuilder::new()
            .operation_id(Some(operation_id(name)))
            .tag("reports")
            .summary(Some(name.about()))
            .parameters(Some(parameters(name)))
            .responses(
                ResponsesBuilder::new()
                    .response("200", response)
                    .responses_from_into_responses::<Refused>()
                    .responses_from_into_responses::<OfTheRecord>(),
            );
        let path = format!("/api/v1/reports/{name}");
        let item = PathItem::new(HttpMethod::Get, operation);
        document.paths.paths.insert(path, item);
    }
}

fn operation_id(name: ReportName) -> String {
    format!("report_{}", name.as_str().replace('-', "_"))
}

/// Whether an operation is a report that is for tokens of some portals too.
pub(super) fn is_by_portal(id: &str) -> bool {
    let by_portal = ReportName::ALL
        .iter()
        .filter(|name| !name.is_of_no_portal());
    by_portal
        .copied()
        .map(operation_id)
        .any(|known| known == id)
}

fn parameters(name: ReportName) -> Vec<Documented> {
    let mut parameters: Vec<Documented> = Vec::new();
    for parameter in name.takes() {
        let (schema, about) = match *parameter {
            // With its other end.
            Parameter::From => {
                parameters.extend(Window::into_params(|| Some(ParameterIn::Query)));
                continue;
            }
            Parameter::To => continue,
            Parameter::Portal => (of_shape(Shape::Id), "Only this portal".to_owned()),
            Parameter::By(bys) => {
                let words: Vec<&str> = bys.iter().copied().map(By::as_str).collect();
                let words = of_shape(Shape::Text).enum_values(Some(words));
                (words, "What a row stands for".to_owned())
            }
            Parameter::Days(default) => (
                number_of_days(),
                format!("For at least so many days, else {default}"),
            ),
            Parameter::Within => (
                number_of_days(),
                "Days that each person has, counted from when they came".to_owned(),
            ),
            Parameter::Developer => (of_shape(Shape::Id), "About this developer".to_owned()),
            Parameter::Application => (of_shape(Shape::Id), "About this application".to_owned()),
        };
        parameters.push(optional(parameter.name(), about, schema));
    }
    let formats = of_shape(Shape::Text).enum_values(Some(["json", "csv"]));
    let about = "As JSON, or as a file".to_owned();
    parameters.push(optional("format", about, formats));
    parameters
}

fn number_of_days() -> ObjectBuilder {
    of_shape(Shape::Count)
        .minimum(Some(0))
        .maximum(Some(MOST_DAYS))
}

fn row_schema(name: ReportName) -> Schema {
    let row = ObjectBuilder::new().description(Some(name.about()));
    let row = name.columns().iter().fold(row, |row, column| {
        row.property(column.name, cell_schema(column))
            .required(column.name)
    });
    row.into()
}

fn cell_schema(column: &Column) -> RefOr<Schema> {
    if column.shape == Shape::Ids {
        let ids = ArrayBuilder::new().items(of_shape(Shape::Id));
        return ids.description(Some(column.about)).into();
    }
    let cell = of_shape(column.shape).description(Some(column.about));
    if column.is_optional {
        let types = vec![type_of(column.shape), Type::Null];
        cell.schema_type(SchemaType::Array(types)).into()
    } else {
        cell.into()
    }
}

fn type_of(shape: Shape) -> Type {
    match shape {
        Shape::Text | Shape::Id | Shape::Time | Shape::Ids => Type::String,
        Shape::Count => Type::Integer,
        Shape::Number => Type::Number,
        Shape::Flag => Type::Boolean,
    }
}

fn of_shape(shape: Shape) -> ObjectBuilder {
    let format = match shape {
        Shape::Id | Shape::Ids => Some(KnownFormat::Uuid),
        Shape::Time => Some(KnownFormat::DateTime),
        Shape::Text | Shape::Count | Shape::Number | Shape::Flag => None,
    };
    ObjectBuilder::new()
        .schema_type(type_of(shape))
        .format(format.map(SchemaFormat::KnownFormat))
}

fn rows_schema(row: &str) -> Schema {
    let next = ObjectBuilder::new()
        .schema_type(Type::Null)
        .description(Some("There is one page"));
    let as_of = of_shape(Shape::Time).description(Some("When the record was as the rows say"));
    let is_cut = of_shape(Shape::Flag).description(Some("Whether there are more rows"));
    let is_complete = of_shape(Shape::Flag).description(Some(
        "Whether all that is stored is counted; not while the time before reports is counted, or verdicts change",
    ));
    let meta = ObjectBuilder::new()
        .property("next", next)
        .property("as_of", as_of)
        .property("is_cut", is_cut)
        .property("is_complete", is_complete);
    let meta = ["next", "as_of", "is_cut", "is_complete"]
        .into_iter()
        .fold(meta, ObjectBuilder::required);
    ObjectBuilder::new()
        .property(
            "data",
            ArrayBuilder::new().items(Ref::from_schema_name(row)),
        )
        .property("meta", meta)
        .required("data")
        .required("meta")
        .into()
}
