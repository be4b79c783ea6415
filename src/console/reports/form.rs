//! What a report is asked, as a form and as a query: the fields are what the report takes, with the
//! values that were sent, right or wrong.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use url::form_urlencoded;

use crate::console::choice::{self, Choice};
use crate::console::show;
use crate::directory::Portal;
use crate::http::Problem;
use crate::http::parameters::{Parameters, bad_request};
use crate::report::{By, Parameter, Question, ReportError, ReportName};

/// One field.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) value: String,
    /// What a value looks like.
    pub(super) example: String,
    /// What there is to choose from; none where a value is typed.
    pub(super) choices: Option<Vec<Choice>>,
}

/// What was asked.
pub(super) struct Asked {
    pub(super) question: Question,
    /// Whether a file is wanted and not a page.
    pub(super) is_file: bool,
}

/// Days that a report is about where nobody said; none where it is about all time, or takes none.
const fn usual_days(name: ReportName) -> Option<i64> {
    match name {
        ReportName::Activity | ReportName::FailedLogins | ReportName::AdminChanges => Some(7),
        ReportName::Decisions | ReportName::Trust | ReportName::Partners => Some(30),
        ReportName::Funnel => Some(90),
        ReportName::IdleDevelopers
        | ReportName::IdleApplications
        | ReportName::DormantDevelopers
        | ReportName::Pending
        | ReportName::Timeline => None,
    }
}

/// The beginning of the time that a report is about where nobody said: the page of a large record
/// answers at once then. A field that was sent empty means all time.
pub(super) fn usual_from(
    name: ReportName,
    parameters: &Parameters,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let is_said = ["from", "to"]
        .iter()
        .any(|word| parameters.given(word).is_some());
    let days = usual_days(name).filter(|_| !is_said)?;
    let from = now - TimeDelta::days(days);
    from.duration_trunc(TimeDelta::days(1)).ok()
}

/// Reads what is asked.
pub(super) fn read(
    name: ReportName,
    mut parameters: Parameters,
    usual_from: Option<DateTime<Utc>>,
) -> Result<Asked, Problem> {
    let mut question = Question::read(name, &mut parameters)?;
    question.from = question.from.or(usual_from);
    let is_file = match parameters.text("format").as_deref() {
        None => false,
        Some("csv") => true,
        Some(_) => return Err(bad_request("parameter format: expected csv")),
    };
    parameters.finish()?;
    if is_file || !is_about_nobody(name, &question) {
        let checked = question.check_for(name);
        checked.map_err(|error| ReportError::Question(error).problem())?;
    }
    Ok(Asked { question, is_file })
}

/// Whether the report is about one person or application, and none was named yet.
pub(super) fn is_about_nobody(name: ReportName, question: &Question) -> bool {
    let is_about_one = name.takes().contains(&Parameter::Application);
    is_about_one && question.developer.is_none() && question.application.is_none()
}

/// The fields of a report with what was sent.
pub(super) fn fields(
    name: ReportName,
    parameters: &Parameters,
    usual_from: Option<DateTime<Utc>>,
    portals: Option<&[Portal]>,
) -> Vec<Field> {
    let field = |parameter: &Parameter| {
        let word = parameter.name();
        let value = match parameters.given(word) {
            Some(given) => given.to_owned(),
            None if word == "from" => usual_from.map(show::exact).unwrap_or_default(),
            None => String::new(),
        };
        let choices = match *parameter {
            Parameter::Portal => portals.map(|portals| choice::portals(portals, Some(&value))),
            Parameter::By(bys) => {
                let words = bys.iter().copied().map(By::as_str);
                let known = words.map(|word| (word.to_owned(), word.to_owned()));
                Some(choice::of(known, Some(&value)))
            }
            _ => None,
        };
        Field {
            name: word,
            label: label(*parameter),
            value,
            example: example(*parameter),
            choices,
        }
    };
    name.takes().iter().map(field).collect()
}

const fn label(parameter: Parameter) -> &'static str {
    match parameter {
        Parameter::Portal => "Portal",
        Parameter::From => "From",
        Parameter::To => "Before",
        Parameter::By(_) => "A row for each",
        Parameter::Days(_) => "For at least so many days",
        Parameter::Within => "Days that each person has",
        Parameter::Developer => "Developer",
        Parameter::Application => "Application",
    }
}

fn example(parameter: Parameter) -> String {
    match parameter {
        Parameter::Portal | Parameter::Developer | Parameter::Application => "an id".to_owned(),
        Parameter::From | Parameter::To => "2026-01-31T12:00:00Z".to_owned(),
        Parameter::By(_) => String::new(),
        Parameter::Days(days) => days.to_string(),
        Parameter::Within => "no limit".to_owned(),
    }
}

/// Path and query of the file with the rows of a question.
pub(super) fn file(name: ReportName, question: &Question) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if question.from.is_none() && name.takes().contains(&Parameter::From) {
        // All time, and not the time that is usual.
        query.append_pair("from", "");
    }
    query.extend_pairs(question.as_words());
    query.append_pair("format", "csv");
    format!("/reports/{name}?{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::{file, is_about_nobody};
    use crate::report::{By, Question, ReportName};

    #[test]
    fn the_file_has_the_rows_of_the_page() {
        let all_time = Question {
            by: Some(By::Hour),
            ..Question::default()
        };
        assert_eq!(
            file(ReportName::Activity, &all_time),
            "/reports/activity?from=&by=hour&format=csv"
        );
        let some = Question {
            from: Some("2026-06-23T12:00:00Z".parse().unwrap()),
            ..Question::default()
        };
        assert_eq!(
            file(ReportName::Trust, &some),
            "/reports/trust?from=2026-06-23T12%3A00%3A00Z&format=csv"
        );
        assert_eq!(
            file(ReportName::Pending, &Question::default()),
            "/reports/pending?format=csv"
        );
    }

    #[test]
    fn a_timeline_is_of_somebody() {
        let mut question = Question::default();
        assert!(is_about_nobody(ReportName::Timeline, &question));
        assert!(!is_about_nobody(ReportName::Pending, &question));
        question.developer = Some(uuid::Uuid::nil());
        assert!(!is_about_nobody(ReportName::Timeline, &question));
    }
}
