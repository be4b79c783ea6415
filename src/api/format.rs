//! How events leave usher in bulk, the same in the API and at the command line: one JSON object a
//! line, or CSV. Reads nothing itself.

use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::api::render;
use crate::event::AuditEvent;
use crate::journal::{Outcome, StoredEvent};
use crate::report::{csv_line, no_formula};

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, as the API shows an event; the last line is `{"complete":true}`.
    Ndjson,
    /// A heading and one row an event, RFC 4180.
    Csv,
}

/// Columns of CSV. New ones come last.
const COLUMNS: [&str; 26] = [
    "id",
    "occurred_at",
    "event_ts",
    "received_at",
    "kind",
    "name",
    "event_class_id",
    "event_product",
    "org_id",
    "portal_id",
    "principal_id",
    "outcome",
    "success",
    "granted",
    "status",
    "act",
    "request",
    "action",
    "src",
    "trace_id",
    "user_agent",
    "verification",
    "copies",
    "ambiguous",
    "time_known",
    "delivery_id",
];

impl Format {
    /// Every form.
    pub const ALL: [Self; 2] = [Self::Ndjson, Self::Csv];

    /// The word that asks for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }

    /// Its media type.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    /// The bytes before the first event.
    pub fn head(self) -> Vec<u8> {
        match self {
            Self::Ndjson => Vec::new(),
            Self::Csv => csv_line(COLUMNS.map(str::to_owned).into_iter()).into_bytes(),
        }
    }

    /// Events as lines. Written one by one: as trees in memory hostile entries take many times
    /// their bytes.
    pub fn lines(self, events: &[StoredEvent]) -> Vec<u8> {
        match self {
            Self::Ndjson => {
                let mut lines = Vec::new();
                for event in events {
                    lines.extend_from_slice(render::event_text(event).get().as_bytes());
                    lines.push(b'\n');
                }
                lines
            }
            Self::Csv => {
                let rows = events.iter().map(|event| csv_line(row(event).into_iter()));
                rows.collect::<String>().into_bytes()
            }
        }
    }

    /// The bytes after the last event, once all were written.
    pub fn end(self) -> &'static [u8] {
        match self {
            Self::Ndjson => b"{\"complete\":true}\n",
            Self::Csv => b"",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|format| format.as_str() == word);
        found.ok_or_else(|| "expected ndjson or csv".to_owned())
    }
}

fn row(stored: &StoredEvent) -> [String; COLUMNS.len()] {
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
    // It always has members, since only what parses is stored.
    let event = stored.parse().ok();
    let event = event.as_ref();
    COLUMNS.map(|column| {
        let own = match column {
            "id" => Some(stored.id.to_string()),
            "event_ts" => Some(time(stored.event_ts)),
            "received_at" => Some(time(stored.received_at)),
            "verification" => Some(stored.verdict.as_str().to_owned()),
            "copies" => Some(stored.copies.to_string()),
            "delivery_id" => stored.delivery_id.map(|id| id.to_string()),
            "occurred_at" => event.map(|event| time(event.occurred_at)),
            "kind" => event.map(|event| event.kind.as_str().to_owned()),
            "outcome" => event.map(|event| Outcome::of(event).as_str().to_owned()),
            "ambiguous" => event.map(|event| event.ambiguous.to_string()),
            "time_known" => event.map(|event| event.time_known.to_string()),
            _ => None,
        };
        own.unwrap_or_else(|| event.map_or_else(String::new, |event| cell(event, column)))
    })
}

/// What strangers wrote, in a form that a spreadsheet does not calculate.
fn cell(event: &AuditEvent, member: &str) -> String {
    no_formula(&event.text(member).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{COLUMNS, Format};
    use crate::event::{Verdict, parse};
    use crate::journal::StoredEvent;

    fn stored(user_agent: &str) -> StoredEvent {
        let raw = serde_json::json!({
            "event_product": "Dev-Portal", "name": "AUTHENTICATION_OUTCOME_FAILED",
            "event_ts": "2026-06-23T14:28:47Z", "success": "false", "user_agent": user_agent,
        });
        let raw = raw.to_string().into_bytes();
        let event = parse(&raw).unwrap();
        StoredEvent {
            id: event.id,
            event_ts: event.event_ts,
            received_at: event.event_ts,
            batch: Uuid::nil(),
            delivery_id: None,
            verdict: Verdict::Verified,
            copies: 1,
            raw,
        }
    }

    #[test]
    fn csv_holds_what_strangers_wrote_and_calculates_nothing() {
        let agents = ["=1+1", "@SUM(A1)", "-2", "a,\"b\"\nc", "plain", "＝1"];
        let events: Vec<StoredEvent> = agents.iter().map(|agent| stored(agent)).collect();
        let text = String::from_utf8(Format::Csv.lines(&events)).unwrap();
        let rows: Vec<&str> = text.split_terminator("\r\n").collect();
        let at = COLUMNS.iter().position(|column| *column == "user_agent");
        for (row, told) in rows.iter().zip([
            "'=1+1",
            "'@SUM(A1)",
            "'-2",
            "\"a,\"\"b\"\"\nc\"",
            "plain",
            "'＝1",
        ]) {
            let cells = row.replace(told, "x");
            let cells: Vec<&str> = cells.split(',').collect();
            assert_eq!(
                (cells.len(), cells[at.unwrap()]),
                (COLUMNS.len(), "x"),
                "{row}"
            );
            assert_eq!(cells[1], "2026-06-23T14:28:47.000Z");
            assert_eq!(cells[11..13], ["failure", "false"]);
        }
        assert_eq!(rows.len(), agents.len());
    }

    #[test]
    fn ndjson_is_a_line_an_event_and_one_at_the_end() {
        let lines = Format::Ndjson.lines(&[stored("a\nb"), stored("c")]);
        let text = String::from_utf8(lines).unwrap();
        assert_eq!(text.lines().count(), 2);
        for line in text.lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(event["name"], "AUTHENTICATION_OUTCOME_FAILED");
        }
        assert_eq!(Format::Ndjson.end(), b"{\"complete\":true}\n");
    }
}
