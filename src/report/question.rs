//! What people ask of a report, and what each report can be asked. Reads nothing.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use uuid::Uuid;

use crate::event::UnknownWord;
use crate::http::PortalScope;
use crate::journal::{NoWindow, far_future};
use crate::report::ReportName;

/// A hundred years: nothing was recorded before that, and Postgres can still count back so far.
pub const MOST_DAYS: u32 = 36_500;

/// What is asked of a report; an absent member leaves it to the report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// Only this portal.
    pub portal: Option<Uuid>,
    /// From this time on.
    pub from: Option<DateTime<Utc>>,
    /// Before this time.
    pub to: Option<DateTime<Utc>>,
    /// What one row stands for.
    pub by: Option<By>,
    /// For at least so many days.
    pub days: Option<u32>,
    /// Days that each person has.
    pub within: Option<u32>,
    /// About this person.
    pub developer: Option<Uuid>,
    /// About this application.
    pub application: Option<Uuid>,
}

/// What one row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// An hour.
    Hour,
    /// A day, in UTC.
    Day,
    /// The people who came in one week, which begins on Monday, in UTC.
    Week,
}

impl By {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }
}

impl FromStr for By {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|by| by.as_str() == word)
            .ok_or_else(|| UnknownWord::new("unit", word))
    }
}

/// Something that a report may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameter {
    /// [`Question::portal`].
    Portal,
    /// [`Question::from`].
    From,
    /// [`Question::to`].
    To,
    /// [`Question::by`], one of these.
    By(&'static [By]),
    /// [`Question::days`], by default so many.
    Days(u32),
    /// [`Question::within`].
    Within,
    /// [`Question::developer`].
    Developer,
    /// [`Question::application`].
    Application,
}

impl Parameter {
    /// Its name in a query; at the command line it is the same without `_id`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portal => "portal_id",
            Self::From => "from",
            Self::To => "to",
            Self::By(_) => "by",
            Self::Days(_) => "days",
            Self::Within => "within",
            Self::Developer => "developer_id",
            Self::Application => "application_id",
        }
    }

    /// Its name at the command line.
    pub fn flag(self) -> String {
        format!("--{}", self.name().trim_end_matches("_id"))
    }

    /// The value that is asked for, in words.
    fn told(self, question: &Question) -> Option<String> {
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        match self {
            Self::Portal => question.portal.map(|id| id.to_string()),
            Self::From => question.from.map(time),
            Self::To => question.to.map(time),
            Self::By(_) => question.by.map(|by| by.as_str().to_owned()),
            Self::Days(_) => question.days.map(|days| days.to_string()),
            Self::Within => question.within.map(|days| days.to_string()),
            Self::Developer => question.developer.map(|id| id.to_string()),
            Self::Application => question.application.map(|id| id.to_string()),
        }
    }
}

/// Every parameter there is, whatever its value may be.
const PARAMETERS: [Parameter; 8] = [
    Parameter::Portal,
    Parameter::From,
    Parameter::To,
    Parameter::By(&[]),
    Parameter::Days(0),
    Parameter::Within,
    Parameter::Developer,
    Parameter::Application,
];

/// Why a question cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadQuestion {
    /// The report has no such parameter.
    NotTaken(ReportName, Parameter),
    /// The report has no rows by that.
    WrongBy(ReportName, &'static [By]),
    /// The report is about one person or one application.
    NobodyNamed(ReportName),
    /// The window is empty.
    Window(NoWindow),
}

impl BadQuestion {
    /// The message in the words of a query, or in those of the command line.
    pub fn tell(&self, named: impl Fn(Parameter) -> String) -> String {
        match self {
            Self::NotTaken(report, parameter) => {
                format!("report {report} does not take {}", named(*parameter))
            }
            Self::WrongBy(report, bys) => {
                let words: Vec<&str> = bys.iter().map(|by| by.as_str()).collect();
                let by = named(Parameter::By(bys));
                format!("{by}: report {report} expects {}", words.join(" or "))
            }
            Self::NobodyNamed(report) => format!(
                "report {report} is about one of two: give {} or {}",
                named(Parameter::Developer),
                named(Parameter::Application)
            ),
            Self::Window(error) => format!(
                "{}, {}: {error}",
                named(Parameter::From),
                named(Parameter::To)
            ),
        }
    }
}

impl fmt::Display for BadQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tell(|parameter| parameter.name().to_owned()))
    }
}

/// A question that its report can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// Those of the portals that may be seen which are asked for.
    pub(super) portals: PortalScope,
    /// Whether also what belongs to no portal may be seen.
    pub(super) sees_all: bool,
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
    pub(super) by: Option<By>,
    pub(super) days: i32,
    pub(super) within: Option<i32>,
    pub(super) developer: Option<Uuid>,
    pub(super) application: Option<Uuid>,
    /// Rows to read: one more than are given, so that it shows whether there are more.
    pub(super) one_more: i64,
}

impl Asked {
    /// The only portal, as the text that entries name it by.
    pub(super) fn one_as_text(&self) -> Option<String> {
        self.portals.one().map(|portal| portal.to_string())
    }

    /// All portals as such texts, where they are not exactly one.
    pub(super) fn others_as_text(&self) -> Option<Vec<String>> {
        self.portals.others().and_then(|_| self.portals.texts())
    }
}

impl Question {
    /// Checks that `report` can be asked this.
    ///
    /// # Errors
    /// [`BadQuestion`] that names what it does not take, or lacks.
    pub fn check_for(&self, report: ReportName) -> Result<(), BadQuestion> {
        self.check(report, &PortalScope::All).map(drop)
    }

    /// What is asked, word by word.
    pub fn as_words(&self) -> impl Iterator<Item = (&'static str, String)> {
        let words = PARAMETERS.into_iter();
        words.filter_map(|word| Some((word.name(), word.told(self)?)))
    }

    /// The command that asks the same, to be pasted into a shell.
    pub fn command(&self, report: ReportName) -> String {
        // Ids, times, numbers and words of ours: a shell takes each as it is.
        let flags = PARAMETERS.into_iter().filter_map(|parameter| {
            let value = parameter.told(self)?;
            Some(format!(" {} {value}", parameter.flag()))
        });
        format!("usher report {report}{}", flags.collect::<String>())
    }

    /// The question of somebody who may see these portals, with the report's defaults for what is
    /// absent.
    pub(super) fn check(
        &self,
        report: ReportName,
        seen: &PortalScope,
    ) -> Result<Asked, BadQuestion> {
        let takes = report.takes();
        let known = |parameter: &Parameter| takes.iter().find(|it| it.name() == parameter.name());
        for parameter in PARAMETERS {
            if parameter.told(self).is_some() && known(&parameter).is_none() {
                return Err(BadQuestion::NotTaken(report, parameter));
            }
        }
        if let (Some(by), Some(Parameter::By(bys))) = (self.by, known(&Parameter::By(&[])))
            && !bys.contains(&by)
        {
            return Err(BadQuestion::WrongBy(report, bys));
        }
        let is_about_one = known(&Parameter::Application).is_some();
        if is_about_one && self.developer.is_some() == self.application.is_some() {
            return Err(BadQuestion::NobodyNamed(report));
        }
        NoWindow::check_order(self.from, self.to).map_err(BadQuestion::Window)?;
        let default = match known(&Parameter::Days(0)) {
            Some(Parameter::Days(days)) => *days,
            _ => 0,
        };
        let days = |days: u32| i32::try_from(days.min(MOST_DAYS)).unwrap_or(0);
        Ok(Asked {
            portals: seen.narrowed(self.portal),
            sees_all: seen.is_all(),
            from: self.from.unwrap_or(DateTime::UNIX_EPOCH),
            to: self.to.unwrap_or_else(far_future),
            by: self.by,
            days: days(self.days.unwrap_or(default)),
            within: self.within.map(days),
            developer: self.developer,
            application: self.application,
            one_more: i64::try_from(report.most_rows() + 1).unwrap_or(i64::MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{By, Question};
    use crate::report::ReportName;

    #[test]
    fn a_question_is_told_as_a_command() {
        let question = Question {
            portal: Some(uuid::Uuid::nil()),
            from: Some("2026-06-23T14:00:00.250+02:00".parse().unwrap()),
            by: Some(By::Hour),
            ..Question::default()
        };
        assert_eq!(
            question.command(ReportName::Activity),
            "usher report activity --portal 00000000-0000-0000-0000-000000000000 \
             --from 2026-06-23T12:00:00.250Z --by hour"
        );
        assert_eq!(
            Question::default().command(ReportName::AdminChanges),
            "usher report admin-changes"
        );
    }
}
