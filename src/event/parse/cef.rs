//! Reads `{timestamp} {host} CEF:0|Vendor|Product|Version|Class|Name|Severity|key=value key=value …`, typed as its
//! JSON twin would be. Konnect documents no escaping for values, so any text may stand in one: what could
//! have been smuggled in by a client is not believed, and the event says so.

use std::borrow::Cow;

use crate::event::AuditEvent;
use crate::event::kind::Format;
use crate::event::members::Members;
use crate::event::parse::ParseError;

/// What begins the header, after the syslog prefix.
const MARKER: &str = "CEF:";

/// What stands before the signature, and is cut away with it.
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

/// The keys at which the extension is split; anything else belongs to the value before it.
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

/// The keys that Konnect itself writes after `user_agent`, the first value that any client may choose.
const AFTER_USER_AGENT: [&str; 2] = ["trace_id", "query"];

/// Tells whether a CEF header begins somewhere in the line.
pub(super) fn looks_like(text: &str) -> bool {
    marker(text).is_some()
}

/// Reads an entry in CEF.
pub(super) fn event(text: &str) -> Result<AuditEvent, ParseError> {
    let marker = marker(text).ok_or(ParseError::NotAnEntry)?;
    let prefix = text[..marker].trim_end();
    let (parts, extension) = header(&text[marker + MARKER.len()..])?;
    let mut members = Members::with_capacity(24);
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
    let ambiguous = read_extension(extension.trim_start(), &mut members)?;
    Ok(AuditEvent::from_members(Format::Cef, ambiguous, members))
}

/// Finds the space before the last ` sig=`, if that key's value is the rest of the line.
///
/// Nothing may follow a signature, so one with white space in its value is text of some other value.
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

/// Splits the header at its first seven bars; a bar or backslash after a backslash is text, as CEF has it.
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
    let body = &extension[..signature.unwrap_or(extension.len())];
    let mut ambiguous = false;
    let mut after_user_agent = false;
    let mut starts = key_starts(body).peekable();
    if !body.is_empty() && starts.peek() != Some(&0) {
        return Err(ParseError::BadCefExtension);
    }
    while let Some(start) = starts.next() {
        // One space parts a value from the key after it; more belong to the value.
        let end = starts.peek().map_or(body.len(), |next| next - 1);
        let Some((key, value)) = body[start..end].split_once('=') else {
            continue;
        };
        let believed = key != "sig" && (!after_user_agent || AFTER_USER_AGENT.contains(&key));
        ambiguous |= !(believed && insert(members, key, value));
        after_user_agent |= key == "user_agent";
    }
    if let Some(at) = signature {
        members.insert_text("sig", &extension[at + SIGNATURE_KEY.len()..]);
    }
    Ok(ambiguous)
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

/// Adds a value with the type that it has in JSON, unless the key is taken; returns whether it was added.
fn insert(members: &mut Members, key: &str, value: &str) -> bool {
    match key {
        "status" => insert_number(members, key, value),
        "granted" | "kong_initiated" if matches!(value, "true" | "false") => {
            members.insert_raw(key, value)
        }
        _ => members.insert_text(key, value),
    }
}

/// Adds an integer as a number, and whatever else stands there as text.
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
