//! An event as JSON for readers: Konnect's own member names, the values as sent. Adds nothing of
//! usher's own.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::AuditEvent;
use crate::json_text::{decode_string, minify};

/// The largest integer up to which a reader that has doubles only can represent every one (RFC
/// 8259, section 6).
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Renders an event with Konnect's own member names and the values as sent.
///
/// Numbers that a reader could not represent become strings of the same digits: integers beyond
/// ±(2^53−1) and anything beyond a double, also inside nested values. `trace_id` is always a
/// string, so that its type does not depend on its value. A CEF entry reads as its JSON twin would,
/// a CPS entry as the object inside.
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

/// Rewrites JSON text without white space so that any reader can represent it: large numbers
/// quoted, lone surrogates replaced.
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

/// Measures a string with its quotes. The scanner made sure that it ends.
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

/// Returns whether a reader that has doubles only can represent a number.
fn is_safe(token: &str) -> bool {
    if token.contains(['.', 'e', 'E']) {
        token.parse::<f64>().is_ok_and(f64::is_finite)
    } else {
        token
            .parse::<i64>()
            .is_ok_and(|integer| integer.unsigned_abs() <= MAX_SAFE_INTEGER)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::render;
    use crate::parse;

    fn rendered(line: &str) -> Value {
        Value::Object(render(&parse(line.as_bytes()).unwrap()))
    }

    #[test]
    fn a_cef_entry_reads_as_its_json_twin() {
        let cef = concat!(
            "2025-06-23T14:28:47Z konghq.com CEF:0|KongInc|Konnect|1.0|KongGateway|Ingress|1|rt=1750688927556 ",
            r#"src=127.0.0.6 request=/v3/portals act=POST status=201 granted=true success=true kong_initiated=false "#,
            r#"user_agent= trace_id=3360194145499877252 query={"end":"1684270800"} sig=AAAA"#,
        );
        let twin = json!({
            "event_ts": "2025-06-23T14:28:47Z", "event_vendor": "KongInc", "event_product": "Konnect",
            "event_version": "1.0", "event_class_id": "KongGateway", "name": "Ingress", "severity": 1,
            "cef_version": 0, "rt": "1750688927556", "src": "127.0.0.6", "request": "/v3/portals", "act": "POST",
            "status": 201, "granted": true, "success": "true", "kong_initiated": false, "user_agent": "",
            "trace_id": "3360194145499877252", "query": r#"{"end":"1684270800"}"#, "sig": "AAAA",
        });
        assert_eq!(rendered(cef), twin);
        assert_eq!(rendered(&twin.to_string()), twin);
        assert_eq!(rendered(&json!({ "event": twin }).to_string()), twin);
    }

    #[test]
    fn values_are_as_sent_but_for_numbers_that_a_reader_would_spoil() {
        let table = [
            (r#""x":9007199254740991"#, json!(9_007_199_254_740_991_i64)),
            (r#""x":9007199254740992"#, json!("9007199254740992")),
            (
                r#""x":-9007199254740991"#,
                json!(-9_007_199_254_740_991_i64),
            ),
            (r#""x":-9007199254740992"#, json!("-9007199254740992")),
            (
                r#""x":340282366920938463463374607431768211456"#,
                json!("340282366920938463463374607431768211456"),
            ),
            (r#""x":1.5"#, json!(1.5)),
            (r#""x":1e999"#, json!("1e999")),
            (r#""x":null"#, Value::Null),
            (r#""x":"0""#, json!("0")),
            (r#""x":"9007199254740993""#, json!("9007199254740993")),
            (
                r#""x":[ 1, 9007199254740993, {"\ud800" : "\ud800,\"1e999"}, true ]"#,
                json!([1, "9007199254740993", {"\u{fffd}": "\u{fffd},\"1e999"}, true]),
            ),
            (r#""x":{}"#, json!({})),
            (r#""x":"a\u0000b\ud83d\ude00""#, json!("a\0b😀")),
        ];
        for (member, value) in table {
            assert_eq!(
                rendered(&format!(r#"{{"name":"n",{member}}}"#))["x"],
                value,
                "{member}"
            );
        }
    }

    #[test]
    fn trace_id_is_always_a_string() {
        for trace_id in ["7", r#""7""#] {
            assert_eq!(
                rendered(&format!(r#"{{"name":"n","trace_id":{trace_id}}}"#))["trace_id"],
                "7"
            );
        }
        assert_eq!(
            rendered(r#"{"name":"n","trace_id":null}"#)["trace_id"],
            Value::Null
        );
    }

    #[test]
    fn unknown_members_and_names_survive() {
        let line = r#"{"name":"Something.new","zürich":{"a":[]},"event":7}"#;
        assert_eq!(
            rendered(line),
            json!({"name": "Something.new", "zürich": {"a": []}, "event": 7})
        );
    }
}
