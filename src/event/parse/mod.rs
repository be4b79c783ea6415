//! Bytes of one entry in, event out. The format is told by the content. Lenient in types, strict in meaning;
//! must not judge whom to believe: that takes the verdict on the signature.

mod cef;
mod cps;
mod json;
pub(crate) mod scan;

use thiserror::Error;

use crate::event::AuditEvent;
use crate::event::parse::scan::{Object, ScanError};

pub(crate) use cef::signature_at;

/// Why a line is no entry that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ParseError {
    /// The line holds nothing but white space.
    #[error("the line is empty")]
    Empty,
    /// The bytes are no UTF-8 from this offset on.
    #[error("invalid utf-8 at byte {0}")]
    InvalidUtf8(usize),
    /// Neither CEF, nor an object that has any member of an entry's header.
    #[error("neither cef nor a json object with members of an audit entry")]
    NotAnEntry,
    /// A JSON object was begun, but the byte at this offset does not fit.
    #[error("invalid json at byte {0}")]
    BadJson(usize),
    /// Containers stand inside each other deeper than any entry has reason to.
    #[error("json is nested too deep")]
    JsonTooDeep,
    /// A CEF header was begun, but it has fewer than its seven parts.
    #[error("cef header has fewer than seven parts")]
    BadCefHeader,
    /// The extension begins with something that belongs to no key.
    #[error("cef extension does not begin with a key")]
    BadCefExtension,
}

impl ParseError {
    /// Returns the stable word under which quarantine keeps the line.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::InvalidUtf8(_) => "invalid_utf8",
            Self::NotAnEntry => "not_an_entry",
            Self::BadJson(_) => "bad_json",
            Self::JsonTooDeep => "json_too_deep",
            Self::BadCefHeader => "bad_cef_header",
            Self::BadCefExtension => "bad_cef_extension",
        }
    }
}

impl From<ScanError> for ParseError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Syntax(offset) => Self::BadJson(offset),
            ScanError::TooDeep => Self::JsonTooDeep,
        }
    }
}

/// Parses one entry. White space around it, a CR at its end included, does not matter.
pub fn parse(line: &[u8]) -> Result<AuditEvent, ParseError> {
    match Shape::of(line)? {
        Shape::Json { text, object } => json::event(text, &object),
        Shape::Cps { text, outer, inner } => Ok(cps::event(text, &outer, &inner)),
        Shape::Cef { text } => cef::event(text),
    }
}

/// The format of an entry and where its parts stand: the common ground of parser and signature surgery.
#[derive(Debug)]
pub(crate) enum Shape<'a> {
    Json {
        text: &'a str,
        object: Object<'a>,
    },
    Cps {
        text: &'a str,
        outer: Object<'a>,
        inner: Object<'a>,
    },
    Cef {
        text: &'a str,
    },
}

impl<'a> Shape<'a> {
    /// Tells the format by the content. `text` is the line without white space around it.
    pub(crate) fn of(line: &'a [u8]) -> Result<Self, ParseError> {
        let text = std::str::from_utf8(line)
            .map_err(|error| ParseError::InvalidUtf8(error.valid_up_to()))?;
        // Files that went through an editor may begin with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_ascii();
        if text.is_empty() {
            return Err(ParseError::Empty);
        }
        if !text.starts_with('{') {
            return if cef::looks_like(text) {
                Ok(Self::Cef { text })
            } else {
                Err(ParseError::NotAnEntry)
            };
        }
        let mut object = scan::scan(text)?;
        if json::is_entry(&object) {
            return Ok(Self::Json { text, object });
        }
        match cps::unwrap(&mut object) {
            Some(inner) => Ok(Self::Cps {
                text,
                outer: object,
                inner,
            }),
            None => Err(ParseError::NotAnEntry),
        }
    }
}
