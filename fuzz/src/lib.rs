//! What must hold for any bytes, one function a fuzz target. `scripts/fuzz` runs them.
//!
//! All of it is in `usher-event`, so that the Kafka client and the like need not be built a second
//! time with coverage (`docs/adr/0040-what-is-pure-is-a-crate.md`).

mod file;
mod inflate;
mod split;

use std::collections::BTreeSet;

use serde_json::value::RawValue;
use usher_event::signature::{Scope, Signed, locate};
use usher_event::{AuditEvent, COLUMN_CHARS, Format, ParseError, event_id, parse, render};

/// Tells whether a message is what is left of a text after one cut.
fn is_one_cut_of(message: &[u8], text: &[u8]) -> bool {
    let same =
        |pairs: &mut dyn Iterator<Item = (&u8, &u8)>| pairs.take_while(|(a, b)| a == b).count();
    let start = same(&mut message.iter().zip(text));
    let end = same(&mut message.iter().rev().zip(text.iter().rev()));
    message.len() <= text.len() && start + end >= message.len()
}

/// What holds for an event in whatever format it came.
fn hold_for_any(line: &[u8], event: &AuditEvent) {
    assert_eq!(
        parse(line).as_ref(),
        Ok(event),
        "a line reads as it did before"
    );
    let ended = [line, b"\r"].concat();
    assert_eq!(parse(&ended).as_ref(), Ok(event), "whatever ends its line");
    assert_eq!(event_id(event.event_ts, &event.members), event.id);

    let names: BTreeSet<&str> = event.members.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), event.members.len(), "a name is there once");
    for (name, raw) in event.members.iter() {
        serde_json::from_str::<&RawValue>(raw).expect("a value is JSON");
        let column = event.column(name).unwrap_or_default();
        assert!(column.chars().count() <= COLUMN_CHARS && !column.contains('\0'));
    }
    render(event);
    as_json_again(event);
}

/// The members as an object of JSON are the same event.
fn as_json_again(event: &AuditEvent) {
    let members: Vec<String> = event
        .members
        .iter()
        .map(|(name, raw)| format!("{}:{raw}", serde_json::Value::from(name)))
        .collect();
    let object = format!("{{{}}}", members.join(","));
    let read = match parse(object.as_bytes()) {
        Ok(read) => read,
        // An entry of the largest depth in CPS, written as the value of `event` in an entry, would
        // be too deep.
        Err(ParseError::JsonTooDeep) => return,
        Err(error) => panic!("{error}: {object}"),
    };
    assert_eq!(
        (read.id, &read.members),
        (event.id, &event.members),
        "{object}"
    );
    assert_eq!(read.format, Format::Json);
    assert_eq!(
        (read.kind, read.occurred_at),
        (event.kind, event.occurred_at)
    );
}

/// The text of a line, as the parsers take it.
fn text(line: &[u8]) -> &str {
    let text = std::str::from_utf8(line).expect("it was parsed");
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// An entry in JSON is the same event in CPS, and keeps its bytes.
pub fn json(line: &[u8]) {
    let Ok(event) = parse(line) else { return };
    hold_for_any(line, &event);
    if event.format != Format::Json {
        return;
    }
    let text = text(line);
    for (_, raw) in event.members.iter() {
        assert!(text.contains(raw), "a value is kept as it was sent");
    }
    match parse(format!("{{\"event\":{text}}}").as_bytes()) {
        Ok(wrapped) => {
            assert_eq!((wrapped.id, wrapped.ambiguous), (event.id, event.ambiguous));
            assert_eq!(
                (wrapped.format, wrapped.members),
                (Format::Cps, event.members)
            );
        }
        Err(error) => assert_eq!(error, ParseError::JsonTooDeep),
    }
}

/// An entry in CPS, however its wrapper looks.
pub fn cps(line: &[u8]) {
    let Ok(event) = parse(line) else { return };
    hold_for_any(line, &event);
    if event.format == Format::Cps {
        let text = text(line);
        assert!(event.members.iter().all(|(_, raw)| text.contains(raw)));
        assert!(text.starts_with('{') && text.ends_with('}'));
    }
}

/// An entry in CEF is the same event with a signature behind it.
pub fn cef(line: &[u8]) {
    let Ok(event) = parse(line) else { return };
    hold_for_any(line, &event);
    if event.format != Format::Cef || locate(line) != Signed::Unsigned {
        return;
    }
    let sig = "A".repeat(86);
    let text = text(line);
    let signed = format!("{text} sig={sig}");
    let read = parse(signed.as_bytes()).expect("a signature breaks nothing");
    assert_eq!((read.id, read.kind), (event.id, event.kind), "{signed}");
    let Signed::Present { candidates, .. } = locate(signed.as_bytes()) else {
        panic!("the signature is not found: {signed}");
    };
    assert_eq!(candidates[0].message, text.as_bytes());
}

/// What a signature may cover is the entry without it, byte for byte, and the same event.
pub fn signature(line: &[u8]) {
    let located = locate(line);
    assert_eq!(
        locate(&[line, b"\r\n"].concat()),
        located,
        "whatever ends its line"
    );
    let Signed::Present { candidates, .. } = located else {
        return;
    };
    assert!(!candidates.is_empty());
    let signed = parse(line).ok();
    for candidate in candidates {
        let message = &candidate.message[..];
        if candidate.scope != Scope::CpsInner {
            assert!(
                is_one_cut_of(message, text(line).as_bytes()),
                "other bytes were touched"
            );
        }
        let Some(signed) = &signed else { continue };
        let unsigned = parse(message).expect("an entry stays one without its signature");
        assert_eq!(unsigned.id, signed.id, "a signature makes no other event");
        // A client of Konnect's may have put text that looks like one into a value of CEF.
        assert!(signed.format == Format::Cef || locate(message) == Signed::Unsigned);
    }
}

/// A body: the way from what was sent to its lines.
pub fn body(data: &[u8]) {
    let [shape, max, body @ ..] = data else {
        return;
    };
    let max = usize::from(*max) * 16;
    inflate::inflates_no_further_than(body, max);
    inflate::reads_back_what_was_packed(body, usize::from(*shape), max);
    split::loses_no_byte(body, shape % 2 == 0, 1 + max);
}

/// What lies in the folder of the spool.
pub fn spool_file(bytes: &[u8]) {
    file::reads_what_was_written_and_nothing_else(bytes);
}
