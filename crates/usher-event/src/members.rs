//! The members of an entry, each value kept as the JSON text that was sent, so that no number loses
//! digits and no unknown member is lost. Converts on reading only, and judges no member's meaning.

use std::borrow::Cow;

use crate::json_text::{decode_string, minify};

/// The members of an entry in their order in the entry; every name is there once.
///
/// Names and values are in one text behind each other: an entry has twenty of each, and as many
/// allocations would cost more than all other work with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    text: String,
    ends: Vec<Ends>,
    /// A bit for each name that is there; some names share one.
    names: u64,
}

/// Where a name ends, and the raw JSON text of its value behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ends {
    name: u32,
    raw: u32,
}

impl Members {
    /// With capacity for so many members that take so many bytes.
    pub(crate) fn with_capacity(members: usize, bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            ends: Vec::with_capacity(members),
            names: 0,
        }
    }

    /// Adds a member whose value is valid JSON text, unless the name is taken: the first value
    /// wins.
    ///
    /// Returns whether it was added.
    pub(crate) fn insert_raw(&mut self, name: &str, raw: &str) -> bool {
        if self.raw(name).is_some() {
            return false;
        }
        self.names |= bit(name);
        self.text.push_str(name);
        let name = self.end();
        self.text.push_str(raw);
        let raw = self.end();
        self.ends.push(Ends { name, raw });
        true
    }

    fn end(&self) -> u32 {
        u32::try_from(self.text.len()).expect("no line of an entry is 4 GiB long")
    }

    /// Adds a member whose value is a string, unless the name is taken; returns whether it was
    /// added.
    pub(crate) fn insert_text(&mut self, name: &str, text: &str) -> bool {
        let raw = serde_json::Value::from(text).to_string();
        self.insert_raw(name, &raw)
    }

    /// Returns the number of members.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns whether there is no member at all.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Iterates over names and raw JSON values, in their order in the entry.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.iter().map(move |ends| {
            let (name, raw) = (ends.name as usize, ends.raw as usize);
            let member = (&self.text[start..name], &self.text[name..raw]);
            start = raw;
            member
        })
    }

    /// Returns the JSON text of a value as it was sent.
    pub fn raw(&self, name: &str) -> Option<&str> {
        if self.names & bit(name) == 0 {
            return None;
        }
        // Lengths first: fifty names are searched in an entry, and few of its twenty have that
        // length.
        let bytes = self.text.as_bytes();
        let mut start = 0;
        for ends in &self.ends {
            let end = ends.name as usize;
            if end - start == name.len() && bytes[start..end] == *name.as_bytes() {
                return Some(&self.text[end..ends.raw as usize]);
            }
            start = ends.raw as usize;
        }
        None
    }

    /// Returns a value as text: the content of a string, or the JSON text of anything else.
    ///
    /// White space between the tokens of nested values is left out. `null` counts as absent.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        let raw = self.raw(name)?;
        match raw.as_bytes().first() {
            Some(b'"') => Some(decode_string(&raw[1..raw.len() - 1])),
            Some(b'{' | b'[') => Some(Cow::Owned(minify(raw))),
            Some(b'n') => None,
            _ => Some(Cow::Borrowed(raw)),
        }
    }

    /// Returns a value that is an integer of 64 bits, sent as a number or as a string.
    pub fn integer(&self, name: &str) -> Option<i64> {
        let text = self.text(name)?;
        let text = text.trim();
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            text.parse().ok()
        } else {
            None
        }
    }

    /// Returns a value that is true or false, sent as a boolean or as a string.
    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.text(name)?.trim().parse().ok()
    }
}

/// The bit of a name, by its length and its ends.
fn bit(name: &str) -> u64 {
    let end = |byte: Option<&u8>| usize::from(byte.copied().unwrap_or_default());
    let bytes = name.as_bytes();
    let mixed = bytes.len() * 31 + end(bytes.first()) * 7 + end(bytes.last());
    1 << (mixed % 64)
}

/// Makes a text fit for a Postgres `text` column, which refuses NUL: each becomes U+FFFD.
pub fn text_for_storage(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::{Members, text_for_storage};

    fn members(raw: &str) -> Members {
        let mut members = Members::default();
        assert!(members.insert_raw("m", raw));
        members
    }

    #[test]
    fn reads_any_type_as_text() {
        let table = [
            (r#""true""#, Some("true")),
            ("true", Some("true")),
            ("3360194145499877252", Some("3360194145499877252")),
            (
                "340282366920938463463374607431768211456",
                Some("340282366920938463463374607431768211456"),
            ),
            ("1e999", Some("1e999")),
            (r#""""#, Some("")),
            ("null", None),
            (r#"{ "a" : [ 1 ] }"#, Some(r#"{"a":[1]}"#)),
            (
                r#""a\"\\\/\b\f\n\r\tA\u00e9""#,
                Some("a\"\\/\u{8}\u{c}\n\r\tAé"),
            ),
            (r#""\ud83d\ude00""#, Some("😀")),
            (r#""\ud83d""#, Some("\u{fffd}")),
            (r#""\ud83dx\ude00y""#, Some("\u{fffd}x\u{fffd}y")),
            (r#""\ud83d\ud83d\ude00""#, Some("\u{fffd}😀")),
            (r#""\ud83d\n""#, Some("\u{fffd}\n")),
            (r#""\u0000""#, Some("\0")),
        ];
        for (raw, text) in table {
            assert_eq!(members(raw).text("m").as_deref(), text, "{raw}");
        }
    }

    #[test]
    fn reads_integers_and_booleans_from_either_type() {
        let table = [
            ("200", Some(200)),
            (r#""200""#, Some(200)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            (r#""3958q3097698""#, None),
            (r#""+5""#, None),
            (r#""""#, None),
            (r#""-""#, None),
            ("1.0", None),
            ("true", None),
            ("[1]", None),
        ];
        for (raw, integer) in table {
            assert_eq!(members(raw).integer("m"), integer, "{raw}");
        }
        assert_eq!(members("false").boolean("m"), Some(false));
        assert_eq!(members(r#""true""#).boolean("m"), Some(true));
        assert_eq!(members("1").boolean("m"), None);
    }

    #[test]
    fn the_first_value_of_a_name_wins() {
        let mut members = members("1");
        assert!(!members.insert_text("m", "2"));
        assert!(members.insert_text("n", "quote \" and \0"));
        assert_eq!(
            members.iter().collect::<Vec<_>>(),
            [("m", "1"), ("n", r#""quote \" and \u0000""#)]
        );
        assert_eq!((members.len(), members.is_empty()), (2, false));
    }

    #[test]
    fn storage_text_has_no_nul() {
        assert_eq!(text_for_storage(Cow::Borrowed("a\0b")), "a\u{fffd}b");
        assert!(matches!(
            text_for_storage(Cow::Borrowed("ab")),
            Cow::Borrowed("ab")
        ));
    }
}
