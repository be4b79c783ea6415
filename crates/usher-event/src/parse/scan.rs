//! Finds the positions of the members of a JSON object, without changing or copying a byte of it.
//!
//! One scanner serves the parser and the signature surgery, so that the two can never disagree
//! about what a member is. It knows no member's meaning but the wrapper `event` of CPS, and
//! converts no value.

use std::borrow::Cow;
use std::ops::Range;

use crate::json_text::{decode_string, is_space};

/// How deep containers may be nested. One below what `serde_json` reads (127), so that whatever was
/// scanned can be read as a value later, also when one more object is put around it.
const MAX_DEPTH: usize = 126;

/// How many members an object may have whose members are read. Entries have about twenty. A line
/// made of nothing but members would cost its square, as every name is compared with those before
/// it.
const MAX_MEMBERS: usize = 1_000;

/// The member in which CPS wraps an entry.
pub(crate) const CPS_WRAPPER: &str = "event";

/// An object and its members, as places in the scanned text.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    /// From the opening brace to past the closing one.
    pub(crate) span: Range<usize>,
    pub(crate) members: Vec<MemberSpan<'a>>,
    /// Whether an illegal comma is before the closing brace. Konnect's documentation shows one.
    pub(crate) trailing_comma: bool,
}

/// One member of an object.
#[derive(Debug)]
pub(crate) struct MemberSpan<'a> {
    /// The name with its escapes undone.
    pub(crate) name: Cow<'a, str>,
    /// Position of the quote that opens the name.
    pub(crate) start: usize,
    pub(crate) value: Range<usize>,
    pub(crate) comma_before: Option<usize>,
    pub(crate) comma_after: Option<usize>,
    /// The members of the value, if this is the `event` of a CPS entry.
    pub(crate) object: Option<Object<'a>>,
}

impl Object<'_> {
    /// Returns whether a member of that name is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|member| member.name == name)
    }
}

/// Why a text is no JSON object that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScanError {
    /// The byte at this offset does not fit the grammar.
    Syntax(usize),
    /// Containers are nested too deep.
    TooDeep,
    /// The object has more members than any real entry.
    TooManyMembers,
}

/// Scans a text of one object and white space, nothing else.
///
/// A comma before the closing brace is tolerated in the object itself and in the one that CPS
/// wraps.
pub(crate) fn scan(text: &str) -> Result<Object<'_>, ScanError> {
    let mut scanner = Scanner { text, at: 0 };
    scanner.skip_space();
    let object = scanner.object(0)?;
    scanner.skip_space();
    if scanner.at == text.len() {
        Ok(object)
    } else {
        Err(scanner.syntax())
    }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// Reads the object at the current position with the positions of its members.
    fn object(&mut self, depth: usize) -> Result<Object<'a>, ScanError> {
        let open = self.at;
        self.expect(b'{')?;
        let mut members: Vec<MemberSpan<'a>> = Vec::with_capacity(20);
        let mut comma = None;
        loop {
            self.skip_space();
            if self.peek() == Some(b'}') && (members.is_empty() || comma.is_some()) {
                self.at += 1;
                let span = open..self.at;
                return Ok(Object {
                    span,
                    members,
                    trailing_comma: comma.is_some(),
                });
            }
            if members.len() == MAX_MEMBERS {
                return Err(ScanError::TooManyMembers);
            }
            let mut member = self.member(depth, comma)?;
            self.skip_space();
            if self.peek() == Some(b',') {
                member.comma_after = Some(self.at);
                comma = Some(self.at);
                self.at += 1;
                members.push(member);
                continue;
            }
            members.push(member);
            self.expect(b'}')?;
            return Ok(Object {
                span: open..self.at,
                members,
                trailing_comma: false,
            });
        }
    }

    fn member(
        &mut self,
        depth: usize,
        comma_before: Option<usize>,
    ) -> Result<MemberSpan<'a>, ScanError> {
        let start = self.at;
        self.string()?;
        let name = decode_string(&self.text[start + 1..self.at - 1]);
        self.skip_space();
        self.expect(b':')?;
        self.skip_space();
        let value_start = self.at;
        let wraps = depth == 0 && name == CPS_WRAPPER && self.peek() == Some(b'{');
        let object = if wraps {
            Some(self.object(depth + 1)?)
        } else {
            self.skip_value(depth + 1)?;
            None
        };
        let value = value_start..self.at;
        Ok(MemberSpan {
            name,
            start,
            value,
            comma_before,
            comma_after: None,
            object,
        })
    }

    fn skip_value(&mut self, depth: usize) -> Result<(), ScanError> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{') => self.skip_container(depth, b'}'),
            Some(b'[') => self.skip_container(depth, b']'),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => self.number(),
        }
    }

    /// Skips an object or an array. Inside of values no trailing comma is tolerated.
    fn skip_container(&mut self, depth: usize, close: u8) -> Result<(), ScanError> {
        if depth >= MAX_DEPTH {
            return Err(ScanError::TooDeep);
        }
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip_space();
            if close == b'}' {
                self.string()?;
                self.skip_space();
                self.expect(b':')?;
                self.skip_space();
            }
            self.skip_value(depth + 1)?;
            self.skip_space();
            if self.peek() != Some(b',') {
                return self.expect(close);
            }
            self.at += 1;
        }
    }

    /// Skips a string. A lone surrogate escape is accepted, a bare control character is not.
    fn string(&mut self) -> Result<(), ScanError> {
        self.expect(b'"')?;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(byte) if byte >= 0x20 => self.at += 1,
                _ => return Err(self.syntax()),
            }
        }
    }

    fn escape(&mut self) -> Result<(), ScanError> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    match self.peek() {
                        Some(byte) if byte.is_ascii_hexdigit() => self.at += 1,
                        _ => return Err(self.syntax()),
                    }
                }
            }
            _ => return Err(self.syntax()),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), ScanError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), ScanError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            Err(self.syntax())
        } else {
            Ok(())
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), ScanError> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.syntax());
        }
        self.at += word.len();
        Ok(())
    }

    fn expect(&mut self, byte: u8) -> Result<(), ScanError> {
        if self.peek() != Some(byte) {
            return Err(self.syntax());
        }
        self.at += 1;
        Ok(())
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| is_space(byte.into())) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn syntax(&self) -> ScanError {
        ScanError::Syntax(self.at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::{MAX_DEPTH, MAX_MEMBERS, ScanError, scan};

    #[test]
    fn finds_members_wherever_they_stand() {
        let text = r#" { "a" : [1, {"sig":2}] ,"s\u0069g":"x", "b":"\"sig\":" } "#;
        let object = scan(text).unwrap();
        let found: Vec<_> = object
            .members
            .iter()
            .map(|m| (&*m.name, &text[m.value.clone()]))
            .collect();
        let expected = [
            ("a", r#"[1, {"sig":2}]"#),
            ("sig", r#""x""#),
            ("b", r#""\"sig\":""#),
        ];
        assert_eq!(found, expected);
        assert_eq!(
            object.members[0].comma_after,
            object.members[1].comma_before
        );
        assert_eq!(object.members[0].comma_before, None);
        assert_eq!(object.members[2].comma_after, None);
    }

    #[test]
    fn tolerates_a_trailing_comma_only_where_an_entry_ends() {
        for text in [r#"{"a":1,}"#, r#"{"a":1 , }"#] {
            assert!(scan(text).unwrap().trailing_comma, "{text}");
        }
        let wrapped = scan(r#"{"event":{"a":1,}}"#).unwrap();
        assert!(!wrapped.trailing_comma);
        assert!(wrapped.members[0].object.as_ref().unwrap().trailing_comma);
        for text in [
            r#"{"a":[1,]}"#,
            r#"{"a":{"b":1,}}"#,
            "{,}",
            r#"{"a":1,,}"#,
            r#"{,"a":1}"#,
        ] {
            assert!(matches!(scan(text), Err(ScanError::Syntax(_))), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_json() {
        let table = [
            "",
            "{",
            "}",
            "[]",
            "1",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":01}"#,
            r#"{"a":1.}"#,
            r#"{"a":-}"#,
            r#"{"a":1e}"#,
            r#"{"a":tru}"#,
            r#"{"a":NaN}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"\u12g4"}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":1}{"b":2}"#,
            r#"{"a":1} x"#,
            r#"{"a":"#,
            r"{'a':1}",
            r#"{"a":1 "b":2}"#,
            r#"{"a":"\"#,
        ];
        for text in table {
            assert!(matches!(scan(text), Err(ScanError::Syntax(_))), "{text}");
        }
    }

    #[test]
    fn bounds_the_depth_without_touching_the_stack() {
        let nested = |depth| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(scan(&nested(MAX_DEPTH - 1)).is_ok());
        assert!(serde_json::from_str::<Value>(&nested(MAX_DEPTH - 1)).is_ok());
        assert_eq!(scan(&nested(MAX_DEPTH)).unwrap_err(), ScanError::TooDeep);
        assert_eq!(scan(&nested(1_000_000)).unwrap_err(), ScanError::TooDeep);
    }

    #[test]
    fn bounds_the_number_of_members() {
        let with = |count: usize| {
            let members: Vec<_> = (0..count).map(|number| format!("\"{number}\":1")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert_eq!(scan(&with(MAX_MEMBERS)).unwrap().members.len(), MAX_MEMBERS);
        assert_eq!(
            scan(&with(MAX_MEMBERS + 1)).unwrap_err(),
            ScanError::TooManyMembers
        );
        assert!(scan(&format!("{{\"a\":{}}}", with(MAX_MEMBERS + 1))).is_ok());
    }

    proptest! {
        #[test]
        fn reads_every_object_that_serde_json_reads(text in r#"[ {}\[\]":,a0-2\\.eu-]{0,24}"#) {
            let text = format!("{{{text}}}");
            let strict = serde_json::from_str::<serde_json::Map<String, Value>>(&text);
            if strict.is_ok() {
                prop_assert!(scan(&text).is_ok());
            }
        }
    }
}
