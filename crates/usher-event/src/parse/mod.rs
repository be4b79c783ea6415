//! Bytes of one entry in, event out. The content decides the format. Lenient in types, strict in
//! meaning. Must not judge whether an entry is true: that takes the verdict on the signature.

mod cef;
mod cps;
mod json;
mod pull;
pub(crate) mod scan;

use thiserror::Error;

use crate::AuditEvent;
use crate::parse::scan::{Object, ScanError};

pub(crate) use cef::signature_at;

/// Why a line is not a readable entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ParseError {
    /// The line contains nothing but white space.
    #[error("the line is empty")]
    Empty,
    /// The bytes are no UTF-8 from this offset on.
    #[error("invalid utf-8 at byte {0}")]
    InvalidUtf8(usize),
    /// Neither CEF, nor an object that has any member of an entry's header, nor one of the pull
    /// API.
    #[error("neither cef nor a json object with members of an audit entry")]
    NotAnEntry,
    /// A JSON object was begun, but the byte at this offset does not fit.
    #[error("invalid json at byte {0}")]
    BadJson(usize),
    /// Containers are nested deeper than in any real entry.
    #[error("json is nested too deep")]
    JsonTooDeep,
    /// An object has more members than any real entry.
    #[error("json object has too many members")]
    TooManyMembers,
    /// A CEF header was begun, but it has fewer than its seven parts.
    #[error("cef header has fewer than seven parts")]
    BadCefHeader,
    /// The extension begins with text that belongs to no key.
    #[error("cef extension does not begin with a key")]
    BadCefExtension,
}

impl ParseError {
    /// Returns the stable reason under which the line is quarantined.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::InvalidUtf8(_) => "invalid_utf8",
            Self::NotAnEntry => "not_an_entry",
            Self::BadJson(_) => "bad_json",
            Self::JsonTooDeep => "json_too_deep",
            Self::TooManyMembers => "too_many_members",
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
            ScanError::TooManyMembers => Self::TooManyMembers,
        }
    }
}

/// What may surround an entry: what identity ignores around a value, and no more. Otherwise a value
/// that ends a line in CEF would lose what it keeps when a signature follows.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Parses one entry. White space around it, a CR at its end included, does not matter.
pub fn parse(line: &[u8]) -> Result<AuditEvent, ParseError> {
    match Shape::of(line)? {
        Shape::Json { text, object } => json::event(text, &object),
        Shape::Cps { text, outer, inner } => Ok(cps::event(text, &outer, &inner)),
        Shape::Pull { text, object } => pull::event(text, &object),
        Shape::Cef { text } => cef::event(text),
    }
}

/// The format of an entry and the position of its parts, for parser and signature surgery.
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
    Pull {
        text: &'a str,
        object: Object<'a>,
    },
    Cef {
        text: &'a str,
    },
}

impl<'a> Shape<'a> {
    /// Finds the format by the content. `text` is the line without white space around it.
    pub(crate) fn of(line: &'a [u8]) -> Result<Self, ParseError> {
        let text = std::str::from_utf8(line)
            .map_err(|error| ParseError::InvalidUtf8(error.valid_up_to()))?;
        // Files that went through an editor may begin with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let text = text.trim_matches(SPACE);
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
            None if pull::is_entry(&object) => Ok(Self::Pull { text, object }),
            None => Err(ParseError::NotAnEntry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::{Format, Kind};

    /// An entry of Konnect's own documentation, what it is, when it occurred, and its id as
    /// computed elsewhere.
    type Sample = (&'static [u8], Format, Kind, &'static str, &'static str);

    const SAMPLES: [Sample; 10] = [
        (
            include_bytes!("../../testdata/01-org-authentication.cef"),
            Format::Cef,
            Kind::Authentication,
            "2025-05-19T00:03:39.000Z",
            "0196e5da-6b78-868a-a763-6f291bff26e7",
        ),
        (
            include_bytes!("../../testdata/02-org-authentication.json"),
            Format::Json,
            Kind::Authentication,
            "2023-05-19T19:21:19.524Z",
            "0196d67d-a668-8e4b-90f0-c2a5119b5d3e",
        ),
        (
            include_bytes!("../../testdata/03-portal-authentication.cef"),
            Format::Cef,
            Kind::Authentication,
            "2025-06-23T14:28:47.556Z",
            "01979d31-0d18-883b-b82d-24e54476b5e1",
        ),
        (
            include_bytes!("../../testdata/04-portal-authentication.json"),
            Format::Json,
            Kind::Authentication,
            "2025-06-23T14:28:47.556Z",
            "01979d31-0d18-883b-b82d-24e54476b5e1",
        ),
        (
            include_bytes!("../../testdata/05-org-authorization.cef"),
            Format::Cef,
            Kind::Authorization,
            "2500-06-01T04:15:45.642Z",
            "0196e5da-6b78-8ee1-a6f9-0b782e556e09",
        ),
        (
            include_bytes!("../../testdata/06-org-authorization.json"),
            Format::Json,
            Kind::Authorization,
            "2023-05-16T00:28:01.193Z",
            "0196d67d-a668-86a3-b287-76dd1ab150f9",
        ),
        (
            include_bytes!("../../testdata/07-org-access.cef"),
            Format::Cef,
            Kind::Access,
            "2023-05-16T20:09:54.226Z",
            "0196dab7-b250-874b-98f2-4299e176e9a1",
        ),
        (
            include_bytes!("../../testdata/08-org-access.json"),
            Format::Json,
            Kind::Access,
            "2023-05-16T00:28:01.193Z",
            "0196d67d-a668-8507-a36c-9b356726134e",
        ),
        (
            include_bytes!("../../testdata/20-archived-authz.cef"),
            Format::Cef,
            Kind::Authorization,
            "2023-04-14T05:39:08.406Z",
            "01877e46-4860-8970-86ed-ae20a413d67f",
        ),
        (
            include_bytes!("../../testdata/21-archived-authz.json"),
            Format::Json,
            Kind::Authorization,
            "2023-04-28T20:52:09.807Z",
            "0187c9a3-34a8-84e5-8c50-617f621aec49",
        ),
    ];

    #[test]
    fn reads_every_sample_of_the_documentation() {
        for (line, format, kind, occurred_at, id) in SAMPLES {
            let event = parse(line).unwrap();
            assert_eq!((event.format, event.kind), (format, kind), "{id}");
            assert_eq!(
                event.occurred_at.format("%FT%T%.3fZ").to_string(),
                occurred_at,
                "{id}"
            );
            assert_eq!(event.id.to_string(), id);
            assert!(event.time_known && !event.ambiguous, "{id}");
        }
    }

    #[test]
    fn refuses_what_is_no_entry_and_says_why() {
        let table: [(&[u8], &str); 22] = [
            (b"", "empty"),
            (b" \t\r\n", "empty"),
            (b"\xef\xbb\xbf", "empty"),
            (b"\xff", "invalid_utf8"),
            (b"{\"name\":\"\xc3\x28\"}", "invalid_utf8"),
            (b"hello", "not_an_entry"),
            (b"[]", "not_an_entry"),
            (b"null", "not_an_entry"),
            (b"{}", "not_an_entry"),
            (br#"{"hello":1}"#, "not_an_entry"),
            (br#"{"event":{"hello":1}}"#, "not_an_entry"),
            (br#"{"event":[{"name":"n"}]}"#, "not_an_entry"),
            (br#"{"event":"name"}"#, "not_an_entry"),
            (b"xCEF:0|a|b|c|d|e|1|", "not_an_entry"),
            (br#"{"name":"n""#, "bad_json"),
            (br#"{"name":"n"}{"name":"n"}"#, "bad_json"),
            (br#"{"name":"n","event":{"a":1,}}"#, "bad_json"),
            (b"{\"name\":\"\0\"}", "bad_json"),
            (b"CEF:0", "bad_cef_header"),
            (b"CEF:0|a|b|c|d|e|1", "bad_cef_header"),
            (br"CEF:0|a|b|c|d|e|1\|rt=1", "bad_cef_header"),
            (b"CEF:0|a|b|c|d|e|1|what is this rt=1", "bad_cef_extension"),
        ];
        for (line, reason) in table {
            let error = parse(line).unwrap_err();
            assert_eq!(error.reason(), reason, "{}", line.escape_ascii());
            assert!(error.to_string().starts_with(char::is_lowercase));
        }
        let deep = format!(r#"{{"name":"n","a":{}"#, "[".repeat(1_000_000));
        assert_eq!(
            parse(deep.as_bytes()).unwrap_err().reason(),
            "json_too_deep"
        );
        let wide = format!(r#"{{{}"name":"n"}}"#, r#""a":1,"#.repeat(100_000));
        assert_eq!(
            parse(wide.as_bytes()).unwrap_err().reason(),
            "too_many_members"
        );
    }

    #[test]
    fn white_space_around_an_entry_does_not_matter() {
        let plain = parse(br#"{"name":"n"}"#).unwrap();
        for line in [
            "{\"name\":\"n\"}\r",
            " \t{\"name\":\"n\"} \r\n",
            "\u{feff}{\"name\":\"n\"}",
        ] {
            assert_eq!(parse(line.as_bytes()).unwrap(), plain, "{line:?}");
        }
    }
}
