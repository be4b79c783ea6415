//! What a check found: its status, the evidence, and what mends it.

use serde::Serialize;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    /// As it should be.
    Ok,
    /// It works, or will soon, and somebody should know.
    Warning,
    /// It does not work.
    Failed,
    /// It was not looked at.
    Skipped,
}

impl Status {
    /// Its word.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// How it ended.
    pub(super) status: Status,
    /// The evidence, or why nothing was looked at.
    pub(super) detail: String,
    /// A command, or an edit in words; none where there is nothing to mend.
    pub(super) mend: Option<String>,
}

impl Finding {
    pub(super) fn ok(detail: impl Into<String>) -> Self {
        Self {
            status: Status::Ok,
            detail: detail.into(),
            mend: None,
        }
    }

    pub(super) fn skipped(why: impl Into<String>) -> Self {
        Self {
            status: Status::Skipped,
            ..Self::ok(why)
        }
    }

    pub(super) fn warning(detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            status: Status::Warning,
            mend: Some(mend.into()),
            ..Self::ok(detail)
        }
    }

    pub(super) fn failed(detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            status: Status::Failed,
            ..Self::warning(detail, mend)
        }
    }
}

/// Several things that were looked at for one line: the worst decides the status, and all that is
/// wrong is told; where nothing is, `well` is.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    pub(super) fn or_ok(self, well: impl Into<String>) -> Finding {
        let is_wrong = |it: &Finding| matches!(it.status, Status::Warning | Status::Failed);
        let wrong: Vec<Finding> = self.0.into_iter().filter(is_wrong).collect();
        if wrong.is_empty() {
            return Finding::ok(well);
        }
        let has_failed = wrong.iter().any(|it| it.status == Status::Failed);
        let details: Vec<&str> = wrong.iter().map(|it| it.detail.as_str()).collect();
        let mut mends: Vec<&str> = wrong.iter().filter_map(|it| it.mend.as_deref()).collect();
        mends.dedup();
        Finding {
            status: if has_failed {
                Status::Failed
            } else {
                Status::Warning
            },
            detail: details.join("; "),
            mend: Some(mends.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Finding, Findings};

    #[test]
    fn the_worst_decides_and_all_that_is_wrong_is_told() {
        assert_eq!(Findings::default().or_ok("well"), Finding::ok("well"));
        let mut troubles = Findings::default();
        troubles.push(Finding::warning("a", "mend it"));
        troubles.push(Finding::ok("b"));
        troubles.push(Finding::failed("c", "mend it"));
        let told = troubles.or_ok("well");
        assert_eq!(told, Finding::failed("a; c", "mend it"));
    }
}
