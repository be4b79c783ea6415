//! The reports: the list of them, and each with its form, its chart, its rows, its file and its
//! command. Parameters and columns are what the report says of itself.

mod cells;
pub(super) mod charts;
mod form;

use std::time::Duration;

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use crate::console::chart::Chart;
use crate::console::layout::{self, Layout};
use crate::console::reads::AboutPeople;
use crate::console::reports::cells::Cell;
use crate::console::reports::form::{Asked, Field};
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::show::{cut, exact, number};
use crate::console::{Console, filters};
use crate::directory::Portal;
use crate::http::Problem;
use crate::http::parameters::Parameters;
use crate::report::{Answer, By, Column, Parameter, Question, ReportError, ReportName, Row};

/// Rows that are read for a page at most; the file has all of them.
const MOST_ROWS: usize = 500;
/// Bytes of the rows on a page at most, with a chart beside them and without one.
const BYTES_BESIDE_CHART: usize = 45_000;
const BYTES_ALONE: usize = 70_000;
/// Nobody waits longer for a page; a file may take longer.
const WITHIN: Duration = Duration::from_secs(10);

#[derive(Template)]
#[template(path = "reports.html")]
struct ReportsPage {
    layout: Layout,
    /// Each with what it can be asked, in words.
    reports: Vec<(ReportName, String)>,
}

/// All reports, with what each answers.
pub(super) async fn list(
    visitor: Visitor,
    parameters: Parameters,
) -> Result<Html<String>, Problem> {
    parameters.finish()?;
    layout::render(&ReportsPage {
        layout: Layout::of("Reports", "/reports", &visitor),
        reports: ReportName::ALL
            .iter()
            .filter(|name| visitor.sees_all() || !name.is_of_no_portal())
            .map(|&name| (name, takes(name)))
            .collect(),
    })
}

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage {
    layout: Layout,
    name: ReportName,
    fields: Vec<Field>,
    /// What is wrong with what was asked, or why there is no answer.
    mistake: Option<String>,
    /// Path and query of the file, and the command, of what was asked.
    same: Option<Same>,
    answer: Option<AnswerView>,
}

/// Other ways to the same rows.
struct Same {
    file: String,
    command: String,
    /// What was asked, for whoever reads it on paper.
    told: String,
}

/// An answer as the page shows it.
struct AnswerView {
    chart: Option<Chart>,
    heads: Vec<Head>,
    rows: Vec<Vec<Cell>>,
    /// How many rows there are, and how many of them are shown.
    told: String,
    as_of: DateTime<Utc>,
    is_complete: bool,
}

/// The head of a column.
struct Head {
    name: &'static str,
    about: String,
    class: &'static str,
}

impl Head {
    fn new(column: &Column) -> Self {
        Self {
            name: column.name,
            about: column.about.replace('`', ""),
            class: cells::class(column.shape),
        }
    }
}

impl AnswerView {
    fn new(answer: &Answer, chart: Option<Chart>) -> Self {
        let room = match &chart {
            Some(chart) if !chart.is_empty() => BYTES_BESIDE_CHART,
            _ => BYTES_ALONE,
        };
        let rows = fitting(&answer.rows, answer.columns, room);
        Self {
            told: told(rows.len(), answer.rows.len(), answer.is_cut),
            heads: answer.columns.iter().map(Head::new).collect(),
            as_of: answer.as_of,
            is_complete: answer.is_complete,
            rows,
            chart,
        }
    }
}

/// The rows from the first on that fit into so many bytes.
fn fitting(rows: &[Row], columns: &[Column], room: usize) -> Vec<Vec<Cell>> {
    let mut used = 0;
    let cells = |row| {
        columns
            .iter()
            .map(|column| Cell::new(row, column))
            .collect()
    };
    rows.iter()
        .map(cells)
        .take_while(|cells: &Vec<Cell>| {
            let is_first = used == 0;
            used += cells.iter().map(Cell::bytes).sum::<usize>() + "<tr></tr>".len();
            is_first || used <= room
        })
        .collect()
}

/// The time and the portal that a report was asked about.
fn asked_in_words(
    name: ReportName,
    question: &Question,
    (portals, sees_all): (&[Portal], bool),
) -> String {
    let portal = match question.portal {
        None if sees_all => "all portals".to_owned(),
        None => "the portals of this token".to_owned(),
        Some(id) => {
            let known = portals.iter().find(|known| known.id.0 == id);
            known.map_or_else(
                || format!("the portal {id}"),
                |known| format!("the portal {}", cut(&known.name, 60)),
            )
        }
    };
    if !name.takes().contains(&Parameter::From) {
        return format!("About {portal}.");
    }
    let from = question
        .from
        .map_or_else(|| "the beginning".to_owned(), exact);
    let to = question.to.map_or_else(|| "now".to_owned(), exact);
    format!("About {portal}, from {from} to {to}.")
}

/// How many rows there are, and how many of them are shown.
fn told(shown: usize, read: usize, is_cut: bool) -> String {
    let number = |count: usize| number(i64::try_from(count).unwrap_or(i64::MAX));
    match (shown, read) {
        (_, _) if is_cut => format!(
            "There are more than {} rows. The first {} are shown; the file has the others.",
            number(read),
            number(shown)
        ),
        (0, 0) => "There is no row.".to_owned(),
        (1, 1) => "One row.".to_owned(),
        (_, _) if shown == read => format!("{} rows.", number(read)),
        (_, _) => format!(
            "There are {} rows. The first {} are shown; the file has all of them.",
            number(read),
            number(shown)
        ),
    }
}

/// One report.
pub(super) async fn show(
    Seen(console): Seen,
    visitor: Visitor,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let name: ReportName = name.parse().map_err(|_| {
        let detail = "there is no report of this name: the page of reports lists all of them";
        Problem::new(StatusCode::NOT_FOUND, detail)
    })?;
    if name.is_of_no_portal() {
        visitor.portals.require_all()?;
    }
    let usual_from = form::usual_from(name, &parameters, console.clock.now());
    // A form without the list of portals is of use all the same.
    let portals = console.directory.portals().await.ok();
    let mut page = ReportPage {
        layout: Layout::of(name.as_str(), "/reports", &visitor),
        fields: form::fields(name, &parameters, usual_from, portals.as_deref()),
        name,
        mistake: None,
        same: None,
        answer: None,
    };
    let question = match form::read(name, parameters, usual_from) {
        Ok(Asked {
            question,
            is_file: true,
        }) => return file(&console, name, &question).await,
        Ok(Asked { question, .. }) => question,
        Err(problem) => return refused(page, &problem),
    };
    if form::is_about_nobody(name, &question) {
        return Ok(layout::render(&page)?.into_response());
    }
    page.same = Some(Same {
        file: form::file(name, &question),
        command: question.command(name),
        told: asked_in_words(
            name,
            &question,
            (portals.as_deref().unwrap_or_default(), visitor.sees_all()),
        ),
    });
    let (answer, chart) = match ask(&console, name, &question).await {
        Ok(answered) => answered,
        Err(error) => return refused(page, &error.problem()),
    };
    let view = AnswerView::new(&answer, chart);
    let rows = view.rows.len();
    page.answer = Some(view);
    Ok(noted(name, rows, layout::render(&page)?))
}

/// The first rows, and the chart.
async fn ask(
    console: &Console,
    name: ReportName,
    question: &Question,
) -> Result<(Answer, Option<Chart>), ReportError> {
    let reports = console.reports.within(WITHIN);
    if name != ReportName::Activity {
        let answer = reports.first(name, question, MOST_ROWS).await?;
        let chart = charts::of(name, &answer.rows);
        return Ok((answer, chart));
    }
    // Its rows are too many for a chart: these are the sums of them.
    let window = (question.from, question.to);
    let by = question.by.unwrap_or(By::Day);
    let (answer, counts) = tokio::join!(
        reports.first(name, question, MOST_ROWS),
        reports.event_counts(question.portal, window, by),
    );
    let (answer, counts) = (answer?, counts?);
    let step = TimeDelta::hours(if by == By::Hour { 1 } else { 24 });
    let chart = charts::span_of(&counts, step).map(|(first, last)| {
        let floor = |at: DateTime<Utc>| at.duration_trunc(step).ok();
        let from = question.from.and_then(floor).unwrap_or(first);
        let to = question.to.unwrap_or(last);
        let span = if from < to { (from, to) } else { (first, last) };
        charts::by_outcome(&counts, span, step, question.portal)
    });
    Ok((answer, chart))
}

/// The form once more, with what is wrong.
fn refused(mut page: ReportPage, problem: &Problem) -> Result<Response, Problem> {
    let status = problem.status();
    let advice = if status.is_server_error() {
        ". A shorter time or one portal takes less of it"
    } else {
        ""
    };
    page.mistake = Some(format!("{}{advice}", problem.detail()));
    Ok((status, layout::render(&page)?).into_response())
}

/// The rows as a file.
async fn file(
    console: &Console,
    name: ReportName,
    question: &Question,
) -> Result<Response, Problem> {
    let answer = console.reports.ask(name, question).await;
    let answer = answer.map_err(|error| error.problem())?;
    let rows = answer.rows.len();
    Ok(noted(name, rows, answer.file(name)))
}

/// The response, which says how many rows about people it has, if it has such rows.
fn noted(name: ReportName, rows: usize, response: impl IntoResponse) -> Response {
    if name.is_about_people() {
        AboutPeople(rows, response).into_response()
    } else {
        response.into_response()
    }
}

/// What a report can be asked, in words.
fn takes(name: ReportName) -> String {
    let words = name.takes().iter().map(|parameter| parameter.name());
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{fitting, takes, told};
    use crate::report::{ReportName, Row};

    #[test]
    fn as_many_rows_are_shown_as_fit() {
        let row = json!({"domain": "x".repeat(60), "people": 1});
        let rows: Vec<Row> = vec![serde_json::from_value(row).unwrap(); 9];
        let columns = ReportName::Partners.columns();
        let one = fitting(&rows, columns, 0);
        assert_eq!(one.len(), 1, "the first, however long it is");
        assert_eq!(fitting(&rows, columns, 100_000).len(), 9);
        let bytes: usize = one[0].iter().map(super::Cell::bytes).sum();
        assert_eq!(fitting(&rows, columns, 2 * (bytes + 9)).len(), 2);
        assert_eq!(fitting(&[], columns, 9).len(), 0);
    }

    #[test]
    fn says_how_many_rows_there_are() {
        for (shown, read, is_cut, words) in [
            (0, 0, false, "There is no row."),
            (1, 1, false, "One row."),
            (9, 9, false, "9 rows."),
            (
                9,
                500,
                false,
                "There are 500 rows. The first 9 are shown; the file has all of them.",
            ),
            (
                500,
                500,
                true,
                "There are more than 500 rows. The first 500 are shown; the file has the others.",
            ),
        ] {
            assert_eq!(told(shown, read, is_cut), words);
        }
    }

    #[test]
    fn says_what_a_report_takes() {
        assert_eq!(takes(ReportName::AdminChanges), "from, to");
    }
}
