//! Bytes of an entry as a page shows them: as text and as hex, both cut, and nothing in them that
//! changes the page around it.

use std::fmt::Write;

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// Bytes of text, and letters of hex, that a page shows.
const MOST: usize = 32 * 1024;
/// Bytes that the text may take on the page, where some letters take five.
const MOST_ESCAPED: usize = 64 * 1024;
/// Bytes in a line of hex.
const LINE: usize = 16;
/// Letters of a line of hex: the offset, the bytes, the text.
const LINE_LETTERS: usize = 8 + 2 + 3 * LINE + 1 + LINE + 1;

/// The bytes of an entry, to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawView {
    /// How many bytes there are.
    pub(super) bytes: u64,
    /// The first of them as text.
    pub(super) text: String,
    /// How many of them the text is.
    pub(super) text_bytes: u64,
    /// The first of them as hex.
    pub(super) hex: String,
    /// How many of them are there as hex.
    pub(super) hex_bytes: u64,
}

impl RawView {
    /// The first of `raw`.
    pub(super) fn of(raw: &[u8]) -> Self {
        let mut as_text = &raw[..raw.len().min(MOST)];
        let mut text = visible(&String::from_utf8_lossy(as_text));
        while escaped_bytes(&text) > MOST_ESCAPED {
            as_text = &as_text[..as_text.len() / 2];
            text = visible(&String::from_utf8_lossy(as_text));
        }
        let as_hex = &raw[..raw.len().min(MOST / LINE_LETTERS * LINE)];
        Self {
            bytes: raw.len() as u64,
            text,
            text_bytes: as_text.len() as u64,
            hex: hex(as_hex),
            hex_bytes: as_hex.len() as u64,
        }
    }

    /// Whether the text is not all of it.
    pub(super) fn is_text_cut(&self) -> bool {
        self.text_bytes < self.bytes
    }

    /// Whether the hex is not all of it.
    pub(super) fn is_hex_cut(&self) -> bool {
        self.hex_bytes < self.bytes
    }
}

/// Bytes that a text takes once its markup is escaped.
pub(super) fn escaped_bytes(text: &str) -> usize {
    let is_escaped = |byte: &u8| matches!(byte, b'"' | b'&' | b'\'' | b'<' | b'>');
    text.len() + 4 * text.bytes().filter(|byte| is_escaped(byte)).count()
}

/// `text` with signs for what has no look of its own, or turns around what stands beside it.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\t' => shown.push(letter),
            '\0'..='\u{1f}' => {
                shown.push(char::from_u32(0x2400 + u32::from(letter)).unwrap_or('�'));
            }
            '\u{7f}' => shown.push('␡'),
            '\u{80}'..='\u{9f}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                // Writing to a text cannot fail.
                write!(shown, "⟨U+{:04X}⟩", u32::from(letter)).ok();
            }
            _ => shown.push(letter),
        }
    }
    shown
}

fn hex(raw: &[u8]) -> String {
    let mut shown = String::with_capacity(raw.len() / LINE * LINE_LETTERS + LINE_LETTERS);
    for (number, line) in raw.chunks(LINE).enumerate() {
        // Writing to a text cannot fail.
        write!(shown, "{:08x}  ", number * LINE).ok();
        for byte in line {
            write!(shown, "{byte:02x} ").ok();
        }
        for _ in line.len()..LINE {
            shown.push_str("   ");
        }
        shown.push(' ');
        let letters = line.iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        });
        shown.extend(letters);
        shown.push('\n');
    }
    shown
}

/// The bytes as a file, which no browser shows or runs.
pub(super) fn download(raw: Vec<u8>, name: &str) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    (headers, raw).into_response()
}

#[cfg(test)]
mod tests {
    use super::{MOST, RawView, hex, visible};

    #[test]
    fn nothing_hidden_or_turned_around_is_left() {
        assert_eq!(visible("a\0b\u{1b}[1m\n\tü"), "a␀b␛[1m\n\tü");
        assert_eq!(visible("a\u{202e}b"), "a⟨U+202E⟩b");
    }

    #[test]
    fn hex_is_in_lines_of_one_length() {
        assert_eq!(
            hex(b"0123456789abcdef\xff<"),
            "00000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef\n\
             00000010  ff 3c                                            .<\n"
        );
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        let long = RawView::of(&vec![b'x'; 300_000]);
        assert!(long.is_text_cut() && long.is_hex_cut());
        assert_eq!((long.bytes, long.text_bytes), (300_000, 32_768));
        assert!(long.text.len() <= MOST && long.hex.len() <= MOST);
        let hostile = RawView::of(&vec![b'<'; 300_000]);
        assert_eq!((hostile.text_bytes, hostile.text.len()), (8_192, 8_192));
        let short = RawView::of(b"x");
        assert!(!short.is_text_cut() && !short.is_hex_cut());
    }
}
