//! A YAML document as a tree in which every key and value has its position. Knows nothing of rules.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Location, Spanned};

/// A line and a column, both counted from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SourcePosition {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

/// One value of the document.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) value: Yaml,
    pub(crate) place: SourcePosition,
    /// Where the value begins in the text, in bytes, where that is known.
    offset: Option<usize>,
}

/// The value of a node.
#[derive(Debug)]
pub(crate) enum Yaml {
    Null,
    Bool(bool),
    Integer(i128),
    /// A number that is not whole, or infinite.
    Float,
    Text(String),
    List(Vec<Node>),
    /// Keys may repeat: the reader refuses that, with both positions.
    Map(Vec<(Node, Node)>),
}

impl SourcePosition {
    const START: Self = Self { line: 1, column: 1 };

    fn of(location: Location) -> Self {
        Self {
            line: location.line().max(1),
            column: location.column().max(1),
        }
    }

    /// The position of a byte of `text`.
    fn of_offset(text: &str, offset: usize) -> Self {
        let before = &text[..offset];
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        Self {
            line: line as u64,
            column: column as u64,
        }
    }
}

impl Node {
    /// Reads a document; an error is the position and the reason.
    pub(crate) fn parse(text: &str) -> Result<Self, (SourcePosition, String)> {
        let options = serde_saphyr::options! {
            duplicate_keys: DuplicateKeyPolicy::PassThrough,
            strict_booleans: true,
            reject_unsupported_tags: true,
            with_snippet: false,
        };
        let document: Spanned<Yaml> =
            serde_saphyr::from_str_with_options(text, options).map_err(|error| {
                let place = error
                    .location()
                    .map_or(SourcePosition::START, SourcePosition::of);
                (place, reason(&error.to_string()))
            })?;
        Ok(Self::from(document))
    }

    /// What the value is, in the words of a message.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Yaml::Null => "nothing",
            Yaml::Bool(_) => "a boolean",
            Yaml::Integer(_) => "a number",
            Yaml::Float => "a number that is not whole",
            Yaml::Text(_) => "text",
            Yaml::List(_) => "a list",
            Yaml::Map(_) => "a map",
        }
    }

    /// The text, if the value is text.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Yaml::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether an exclamation mark stands before the value: YAML takes it for a tag, and a
    /// negation would silently be lost.
    pub(crate) fn follows_exclamation_mark(&self, document: &str) -> bool {
        let before = self
            .offset
            .and_then(|offset| document.get(..offset))
            .unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        line.rsplit(": ")
            .next()
            .is_some_and(|tail| tail.trim_start().starts_with('!'))
    }

    /// The position in the document of a byte of this node's text.
    ///
    /// Folding, indentation, quotes and escapes make the two differ, so that they are walked side
    /// by side. A character that is not found (an escape such as `\x41`) is skipped.
    pub(crate) fn place_of(&self, document: &str, offset_in_text: usize) -> SourcePosition {
        let (Yaml::Text(value), Some(start)) = (&self.value, self.offset) else {
            return self.place;
        };
        let Some(source) = document.get(start..) else {
            return self.place;
        };
        let mut rest = source.char_indices().peekable();
        let mut found = 0;
        for (at, wanted) in value.char_indices() {
            if wanted.is_whitespace() {
                if at >= offset_in_text {
                    break;
                }
                continue;
            }
            let mut ahead = rest.clone();
            if let Some((position, c)) = ahead.find(|(_, c)| *c == wanted) {
                rest = ahead;
                found = position;
                if at >= offset_in_text {
                    return SourcePosition::of_offset(document, start + position);
                }
                found += c.len_utf8();
            }
        }
        SourcePosition::of_offset(document, start + found)
    }
}

/// The library's message without the position, which is written in front, and without its advice to
/// programmers.
fn reason(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or_default();
    let message = message.split("; use ").next().unwrap_or_default();
    if message.starts_with("unsupported tag") {
        return format!("{message}; text that begins with ! stands in quotes");
    }
    message.to_owned()
}

impl From<Spanned<Yaml>> for Node {
    fn from(spanned: Spanned<Yaml>) -> Self {
        let location = spanned.referenced;
        let offset = location
            .span()
            .byte_offset()
            .and_then(|offset| usize::try_from(offset).ok());
        // An alias is written elsewhere, so that its text is not found here.
        let offset = offset.filter(|_| spanned.referenced == spanned.defined);
        Self {
            value: spanned.value,
            place: SourcePosition::of(location),
            offset,
        }
    }
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlVisitor)
    }
}

struct YamlVisitor;

impl<'de> Visitor<'de> for YamlVisitor {
    type Value = Yaml;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_none<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Yaml, D::Error> {
        Yaml::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
        Ok(Yaml::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Yaml, E> {
        Ok(Yaml::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Yaml, E> {
        Ok(Yaml::Integer(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Yaml, E> {
        Ok(Yaml::Integer(value))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Yaml, E> {
        Ok(Yaml::Float)
    }

    fn visit_str<E>(self, value: &str) -> Result<Yaml, E> {
        Ok(Yaml::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Yaml, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<Yaml>>()? {
            items.push(Node::from(item));
        }
        Ok(Yaml::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Yaml, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<Yaml>, Spanned<Yaml>>()? {
            entries.push((Node::from(key), Node::from(value)));
        }
        Ok(Yaml::Map(entries))
    }
}
