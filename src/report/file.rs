//! A report as a file that an HTTP client saves, the same for the API and for pages.

use axum::http::header;
use axum::response::IntoResponse;

use crate::report::{Answer, ReportName, csv};

impl Answer {
    /// The rows as CSV, under the name of the report.
    pub fn file(&self, name: ReportName) -> impl IntoResponse + use<> {
        let disposition = format!("attachment; filename=\"{name}.csv\"");
        let headers = [
            (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
            (header::CONTENT_DISPOSITION, disposition),
        ];
        (headers, csv(self))
    }
}
