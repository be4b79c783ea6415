//! JSON text as it was sent: escapes of strings, and white space between tokens. Checks nothing,
//! since the scanner made sure that the text is JSON.

use std::borrow::Cow;

/// Decodes the escapes of a JSON string, given the text between its quotes.
///
/// An escape of a surrogate without its other half reads as U+FFFD instead of losing the entry.
pub(crate) fn decode_string(inner: &str) -> Cow<'_, str> {
    let Some(first) = inner.find('\\') else {
        return Cow::Borrowed(inner);
    };
    let mut decoded = String::with_capacity(inner.len());
    decoded.push_str(&inner[..first]);
    let mut rest = &inner[first..];
    while let Some(escaped) = rest.strip_prefix('\\') {
        let (character, length) = unescape(escaped);
        decoded.push(character);
        rest = &escaped[length..];
        let next = rest.find('\\').unwrap_or(rest.len());
        decoded.push_str(&rest[..next]);
        rest = &rest[next..];
    }
    Cow::Owned(decoded)
}

/// Reads one escape, given the text after its backslash: the character, and how many bytes it took.
fn unescape(escaped: &str) -> (char, usize) {
    match escaped.as_bytes().first() {
        Some(b'b') => ('\u{8}', 1),
        Some(b'f') => ('\u{c}', 1),
        Some(b'n') => ('\n', 1),
        Some(b'r') => ('\r', 1),
        Some(b't') => ('\t', 1),
        Some(b'u') => unescape_unicode(escaped),
        Some(&other) => (other.into(), 1),
        None => (char::REPLACEMENT_CHARACTER, 0),
    }
}

/// Reads `uXXXX`, or `uXXXX\uXXXX` where the two are the halves of one character.
fn unescape_unicode(escaped: &str) -> (char, usize) {
    let Some(unit) = code_unit(escaped) else {
        return (char::REPLACEMENT_CHARACTER, 1);
    };
    if let Some(character) = char::from_u32(unit.into()) {
        return (character, 5);
    }
    let low = escaped
        .get(5..)
        .and_then(|rest| rest.strip_prefix('\\'))
        .and_then(code_unit);
    match low.map(|low| char::decode_utf16([unit, low]).next()) {
        Some(Some(Ok(character))) => (character, 11),
        _ => (char::REPLACEMENT_CHARACTER, 5),
    }
}

fn code_unit(escaped: &str) -> Option<u16> {
    let digits = escaped.strip_prefix('u')?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

/// Returns the raw text of a nested value without the white space between its tokens.
pub(crate) fn minify(raw: &str) -> String {
    let mut compact = String::with_capacity(raw.len());
    let mut in_string = false;
    let mut escaped = false;
    for character in raw.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if is_space(character as u32) {
            continue;
        } else {
            in_string = character == '"';
        }
        compact.push(character);
    }
    compact
}

/// JSON's white space (RFC 8259, section 2).
pub(crate) fn is_space(character: u32) -> bool {
    matches!(character, 0x20 | 0x09 | 0x0a | 0x0d)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{decode_string, minify};

    #[test]
    fn minifies_between_tokens_only() {
        let raw = "{ \"a b\" : [ 1 ,\t\"x \\\" y\" , \"\\\\\" ] }";
        assert_eq!(minify(raw), r#"{"a b":[1,"x \" y","\\"]}"#);
    }

    proptest! {
        #[test]
        fn decodes_every_string_as_serde_json_does(text in any::<String>()) {
            let raw = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(decode_string(&raw[1..raw.len() - 1]), text);
        }

        #[test]
        fn never_panics_on_odd_escapes(inner in r"(\\u[dD][8-9a-fA-F][0-9]{2}|\\n|é|a|\\\\|\\u00e9){0,8}") {
            decode_string(&inner);
        }
    }
}
