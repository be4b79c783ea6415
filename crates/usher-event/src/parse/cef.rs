//! Reads
//! `{timestamp} {host} CEF:0|Vendor|Product|Version|Class|Name|Severity|key=value key=value …`,
//! typed as its JSON twin would be. Konnect documents no escaping for values, so a value may
//! contain any text. What a client may have put into one is not trusted, and the event is marked.

use std::borrow::Cow;

use crate::AuditEvent;
use crate::kind::{Format, Kind};
use crate::members::Members;
use crate::parse::ParseError;

/// The begin of the header, after the syslog prefix.
const MARKER: &str = "CEF:";

/// The text before the signature, which is cut away with it.
const SIGNATURE_KEY: &str = " sig=";

/// The parts of the header after the version, by the names that they have in JSON.
const HEADER: [&str; 6] = [
    "event_vendor",
    "event_product",
    "event_version",
    "event_class_id",
    "name",
    "severity",
];

/// The keys at which the extension is split. Anything else belongs to the value before it.
const KNOWN_KEYS: [&str; 17] = [
    "rt",
    "src",
    "request",
    "success",
    "org_id",
    "portal_id",
    "principal_id",
    "principal_name",
    "actor_id",
    "trace_id",
    "user_agent",
    "action",
    "granted",
    "act",
    "status",
    "query",
    "kong_initiated",
];

/// The keys that Konnect itself writes after `user_agent`, the first value that any client may
/// choose.
const AFTER_USER_AGENT: [&str; 2] = ["trace_id", "query"];

/// Returns whether a CEF header begins somewhere in the line.
pub(super) fn looks_like(text: &str) -> bool {
    marker(text).is_some()
}

/// Reads an entry in CEF.
pub(super) fn event(text: &str) -> Result<AuditEvent, ParseError> {
    let marker = marker(text).ok_or(ParseError::NotAnEntry)?;
    let prefix = text[..marker].trim_end();
    let (parts, extension) = header(&text[marker + MARKER.len()..])?;
    let mut members = Members::with_capacity(24, text.len() + 256);
    // The host is one token; without one there is no time either, as a time has no token to spare.
    if let Some((timestamp, _host)) = prefix.rsplit_once(' ') {
        members.insert_text("event_ts", timestamp.trim());
    }
    insert_number(&mut members, "cef_version", &parts[0]);
    for (name, part) in HEADER.into_iter().zip(&parts[1..]) {
        match name {
            "severity" => insert_number(&mut members, name, part),
            _ => members.insert_text(name, part),
        };
    }
    let ambiguous = read_extension(extension, &mut members)?;
    Ok(AuditEvent::from_members(Format::Cef, ambiguous, members))
}

/// Finds the space before the last ` sig=`, if that key's value is the rest of the line.
///
/// Nothing may follow a signature, so one with white space in its value is text of some other
/// value.
pub(crate) fn signature_at(text: &str) -> Option<usize> {
    let at = text.rfind(SIGNATURE_KEY)?;
    let value = &text[at + SIGNATURE_KEY.len()..];
    if value.contains(char::is_whitespace) {
        None
    } else {
        Some(at)
    }
}

/// Finds the header: the first `CEF:` at the start of the line or after a space.
fn marker(text: &str) -> Option<usize> {
    text.match_indices(MARKER)
        .map(|(at, _)| at)
        .find(|&at| at == 0 || text.as_bytes()[at - 1] == b' ')
}

/// Splits the header at its first seven bars; a bar or backslash after a backslash is text, as CEF
/// has it.
fn header(text: &str) -> Result<([Cow<'_, str>; 7], &str), ParseError> {
    let mut parts: [Cow<'_, str>; 7] = Default::default();
    let mut rest = text;
    for part in &mut parts {
        let end = bar(rest).ok_or(ParseError::BadCefHeader)?;
        *part = unescape(&rest[..end]);
        rest = &rest[end + 1..];
    }
    Ok((parts, rest))
}

fn bar(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let found = byte == b'|' && !escaped;
        escaped = byte == b'\\' && !escaped;
        found
    })
}

fn unescape(part: &str) -> Cow<'_, str> {
    if part.contains('\\') {
        Cow::Owned(part.replace("\\|", "|").replace("\\\\", "\\"))
    } else {
        Cow::Borrowed(part)
    }
}

/// Reads the extension into the members; returns whether it can be read in more than one way.
fn read_extension(extension: &str, members: &mut Members) -> Result<bool, ParseError> {
    let signature = signature_at(extension);
    let body = extension[..signature.unwrap_or(extension.len())].trim_start();
    let foreign = foreign_keys(&members.text("name").unwrap_or_default());
    let mut ambiguous = false;
    let mut after_user_agent = false;
    let mut starts = key_starts(body).peekable();
    if !body.is_empty() && starts.peek() != Some(&0) {
        return Err(ParseError::BadCefExtension);
    }
    while let Some(start) = starts.next() {
        // One space separates a value from the key after it. More belong to the value.
        let end = starts.peek().map_or(body.len(), |next| next - 1);
        let Some((key, value)) = body[start..end].split_once('=') else {
            continue;
        };
        let believed = key != "sig" && (!after_user_agent || AFTER_USER_AGENT.contains(&key));
        ambiguous |= !(believed && insert(members, key, value)) || foreign.contains(&key);
        after_user_agent |= key == "user_agent";
    }
    if let Some(at) = signature {
        members.insert_text("sig", &extension[at + SIGNATURE_KEY.len()..]);
    }
    Ok(ambiguous)
}

/// The keys that an entry of this name never has, by the documented catalogue: text that a client
/// put into a path may look like one of them.
fn foreign_keys(name: &str) -> &'static [&'static str] {
    match Kind::from_name(name.trim()) {
        Kind::Access => &["success", "granted", "action"],
        Kind::Authentication => &["granted", "action", "act", "status"],
        Kind::Authorization => &["success", "act", "status"],
        Kind::Observation
        | Kind::Action
        | Kind::Custom
        | Kind::Read
        | Kind::Operation
        | Kind::Unknown => &[],
    }
}

/// Finds where known keys start: at the beginning, or after a space.
fn key_starts(text: &str) -> impl Iterator<Item = usize> {
    std::iter::once(0)
        .chain(text.match_indices(' ').map(|(at, _)| at + 1))
        .filter(|&at| known_key(&text[at..]))
}

fn known_key(text: &str) -> bool {
    let longest = "principal_name".len();
    let end = text.bytes().take(longest + 1).position(|byte| byte == b'=');
    end.is_some_and(|end| &text[..end] == "sig" || KNOWN_KEYS.contains(&&text[..end]))
}

/// Adds a value with the type that it has in JSON, unless the key is taken; returns whether it was
/// added.
fn insert(members: &mut Members, key: &str, value: &str) -> bool {
    match key {
        "status" => insert_number(members, key, value),
        "granted" | "kong_initiated" if matches!(value, "true" | "false") => {
            members.insert_raw(key, value)
        }
        _ => members.insert_text(key, value),
    }
}

/// Adds an integer as a number, and anything else as text.
fn insert_number(members: &mut Members, key: &str, value: &str) -> bool {
    let number = value
        .parse::<i64>()
        .ok()
        .filter(|number| number.to_string() == value);
    if number.is_some() {
        members.insert_raw(key, value)
    } else {
        members.insert_text(key, value)
    }
}

#[cfg(test)]
mod tests {
    use crate::{AuditEvent, parse};

    fn with_extension(extension: &str) -> AuditEvent {
        let header =
            "2025-06-23T14:28:47Z konghq.com CEF:0|KongInc|Konnect|1.0|KongGateway|Ingress|1|";
        parse(format!("{header}{extension}").as_bytes()).unwrap()
    }

    #[test]
    fn splits_only_before_known_keys() {
        let event = with_extension(
            r#"rt=1 request=/a?x=1 b=2 nosrc=9 user_agent=Mozilla/5.0 (a=b; c=d) x=y trace_id=7 query={"q":"a b=c"}"#,
        );
        let table = [
            ("rt", "1"),
            ("request", "/a?x=1 b=2 nosrc=9"),
            ("user_agent", "Mozilla/5.0 (a=b; c=d) x=y"),
            ("trace_id", "7"),
            ("query", r#"{"q":"a b=c"}"#),
        ];
        for (key, value) in table {
            assert_eq!(event.members.text(key).unwrap(), value, "{key}");
        }
        assert_eq!(
            (event.members.len(), event.ambiguous),
            (8 + table.len(), false)
        );
    }

    #[test]
    fn keys_of_another_kind_of_entry_are_suspect() {
        let event = with_extension("rt=1 request=/a granted=true success=true act=GET status=403");
        assert!(event.ambiguous);
        let event = with_extension("rt=1 request=/a act=GET status=403");
        assert!(!event.ambiguous);
    }

    #[test]
    fn a_signature_behind_a_value_changes_nothing_of_it() {
        for query in ["a", "a \t", "a\u{c}", "a\u{b}\u{a0}", "\u{c}", ""] {
            let plain = with_extension(&format!("rt=1 query={query}"));
            let signed = with_extension(&format!("rt=1 query={query} sig=x"));
            assert_eq!(plain.id, signed.id, "{query:?}");
        }
    }

    #[test]
    fn empty_values_and_extensions_are_fine() {
        for extension in ["", " ", "rt=", "rt= src= user_agent=", "rt=\r"] {
            let event = with_extension(extension);
            assert!(!event.ambiguous, "{extension:?}");
            assert_eq!(event.text("rt"), None, "{extension:?}");
        }
        let event = with_extension("user_agent= trace_id=5");
        assert_eq!(event.members.text("user_agent").unwrap(), "");
        assert_eq!(event.trace_id().unwrap(), "5");
    }

    #[test]
    fn does_not_believe_what_a_client_may_have_smuggled_in() {
        let table = [
            (
                "principal_id=real user_agent=x principal_id=forged trace_id=5",
                "principal_id",
                Some("real"),
            ),
            (
                "user_agent=x principal_id=forged trace_id=5",
                "principal_id",
                None,
            ),
            ("user_agent=x success=true granted=true", "success", None),
            (
                "user_agent=x trace_id=1 query={} status=200",
                "status",
                None,
            ),
            ("act=GET act=POST user_agent=x", "act", Some("GET")),
            (
                "user_agent=x trace_id=forged trace_id=real",
                "trace_id",
                Some("forged"),
            ),
            ("user_agent=x user_agent=y", "user_agent", Some("x")),
            ("user_agent=x sig=forged trace_id=5", "sig", None),
            ("user_agent=x sig=forged sig=real", "sig", Some("real")),
            ("user_agent=x sig=one two", "sig", None),
            ("request=/x sig=forged user_agent=x", "sig", None),
        ];
        for (extension, member, value) in table {
            let event = with_extension(extension);
            assert!(event.ambiguous, "{extension}");
            assert_eq!(event.members.text(member).as_deref(), value, "{extension}");
        }
    }

    #[test]
    fn reads_headers_of_any_host_and_odd_times() {
        let table = [
            ("2025-06-23T14:28:47Z konghq.com CEF:0|", true),
            ("2025-06-23T14:28:47Z some-host CEF:0|", true),
            ("  2025-06-23T14:28:47Z  some-host  CEF:0|", true),
            ("Jun 23 14:28:47 host CEF:0|", true),
            ("yesterday konghq.com CEF:0|", false),
            ("konghq.com CEF:0|", false),
            ("CEF:0|", false),
        ];
        for (prefix, known) in table {
            let line = format!("{prefix}V|Konnect|1.0|KongGateway|Ingress|1|rt=1750688927556");
            let event = parse(line.as_bytes()).unwrap();
            assert_eq!(event.time_known, known, "{prefix}");
            assert_eq!(
                event.event_ts.timestamp(),
                if known { 1_750_688_927 } else { 0 }
            );
            assert_eq!(event.occurred_at.timestamp_millis(), 1_750_688_927_556);
            assert_eq!(event.name().unwrap(), "Ingress");
        }
    }

    #[test]
    fn header_parts_may_be_escaped_and_extensions_are_kept_as_sent() {
        let event =
            parse(br"t h CEF:0|V\|W|P\\|1.0|C|Authz.a\|b|high|request=/a\=b\\ user_agent=c|d")
                .unwrap();
        let table = [
            ("event_vendor", "V|W"),
            ("event_product", r"P\"),
            ("name", "Authz.a|b"),
            ("severity", "high"),
            ("request", r"/a\=b\\"),
            ("user_agent", "c|d"),
        ];
        for (member, value) in table {
            assert_eq!(event.members.text(member).unwrap(), value, "{member}");
        }
    }
}
