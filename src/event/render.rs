//! An event as JSON for readers: Konnect's own member names, the values as sent. Adds nothing of usher's own.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::event::AuditEvent;
use crate::event::members::decode_string;
use crate::event::parse::scan::minify;

/// The largest integer up to which every one survives a reader that has doubles only (RFC 8259, section 6).
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Renders an event with Konnect's own member names and the values as sent.
///
/// Numbers that a reader could not keep become strings of the same digits: integers beyond ±(2^53−1) and anything
/// beyond a double, also inside nested values; `trace_id` is always a string, so that its type does not
/// depend on its value. A CEF entry reads as its JSON twin would, a CPS entry as the object inside.
pub fn render(event: &AuditEvent) -> Map<String, Value> {
    event
        .members
        .iter()
        .map(|(name, raw)| (name.to_owned(), value(name, raw, event)))
        .collect()
}

fn value(name: &str, raw: &str, event: &AuditEvent) -> Value {
    if name == "trace_id" && raw.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Value::from(raw);
    }
    match raw.as_bytes().first() {
        Some(b'"') => event
            .members
            .text(name)
            .map_or(Value::Null, |text| Value::from(&*text)),
        _ => serde_json::from_str(&readable(&minify(raw))).unwrap_or_else(|_| Value::from(raw)),
    }
}

/// Rewrites JSON text without white space so that any reader keeps it: large numbers quoted, lone surrogates replaced.
fn readable(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_length(rest),
            '-' | '0'..='9' => rest.find([',', ']', '}']).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        match first {
            '"' => out.push_str(&readable_string(token)),
            '-' | '0'..='9' if !is_safe(token) => {
                out.push('"');
                out.push_str(token);
                out.push('"');
            }
            _ => out.push_str(token),
        }
        rest = after;
    }
    out
}

/// Measures a string with its quotes; the scanner has seen to it that it ends.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    let close = text.bytes().skip(1).position(|byte| {
        let found = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        found
    });
    close.map_or(text.len(), |close| close + 2)
}

fn readable_string(token: &str) -> Cow<'_, str> {
    if token.contains("\\u") {
        let inner = token
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        Cow::Owned(Value::from(&*decode_string(inner.unwrap_or(token))).to_string())
    } else {
        Cow::Borrowed(token)
    }
}

/// Tells whether a reader that has doubles only keeps a number.
fn is_safe(token: &str) -> bool {
    if token.contains(['.', 'e', 'E']) {
        token.parse::<f64>().is_ok_and(f64::is_finite)
    } else {
        token
            .parse::<i64>()
            .is_ok_and(|integer| integer.unsigned_abs() <= MAX_SAFE_INTEGER)
    }
}
