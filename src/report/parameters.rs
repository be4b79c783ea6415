//! What is asked of a report, as the parameters of a query.

use std::str::FromStr;

use crate::http::Problem;
use crate::http::parameters::{Parameters, bad_request};
use crate::journal::journal_problem;
use crate::report::{By, MOST_DAYS, Parameter, Question, ReportError, ReportName};

impl Question {
    /// Reads what the report takes, and nothing else.
    pub fn read(name: ReportName, parameters: &mut Parameters) -> Result<Self, Problem> {
        let mut question = Self::default();
        for parameter in name.takes() {
            let word = parameter.name();
            match *parameter {
                Parameter::Portal => question.portal = parameters.read(word, "a UUID")?,
                // Both ends at once, so that their order is checked.
                Parameter::From => (question.from, question.to) = parameters.window()?,
                Parameter::To => {}
                Parameter::By(bys) => {
                    let words: Vec<&str> = bys.iter().copied().map(By::as_str).collect();
                    question.by = parameters.read(word, &words.join(" or "))?;
                }
                Parameter::Days(_) => question.days = days(parameters, word)?,
                Parameter::Within => question.within = days(parameters, word)?,
                Parameter::Developer => question.developer = parameters.read(word, "a UUID")?,
                Parameter::Application => question.application = parameters.read(word, "a UUID")?,
            }
        }
        Ok(question)
    }
}

impl ReportError {
    /// The error as an HTTP client sees it.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Question(error) => {
                bad_request(error.tell(|parameter| format!("parameter {}", parameter.name())))
            }
            Self::Journal(error) => journal_problem(error),
        }
    }
}

/// A number of days that a calendar has.
struct Days(u32);

impl FromStr for Days {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let days: u32 = text.parse().map_err(drop)?;
        (days <= MOST_DAYS).then_some(Self(days)).ok_or(())
    }
}

fn days(parameters: &mut Parameters, word: &str) -> Result<Option<u32>, Problem> {
    let expected = format!("a whole number from 0 to {MOST_DAYS}");
    let days = parameters.read::<Days>(word, &expected)?;
    Ok(days.map(|days| days.0))
}
