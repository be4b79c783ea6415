//! What the emulator reads of the text of an OpenAPI or `AsyncAPI` document: its type and its
//! version. It checks nothing else.

use serde::Deserialize;
use serde_json::Value;

/// The member that a document begins with, by the type that it tells.
const TYPES: [(&str, &str); 3] = [
    ("openapi", "oas3"),
    ("swagger", "oas2"),
    ("asyncapi", "asyncapi"),
];

/// What is wrong with a text that is no such document.
pub(crate) const MISTAKE: &str = "the content is neither an OpenAPI nor an AsyncAPI document";

/// What a document says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// The type as Konnect names it; `None` for what is no such document.
    pub(crate) kind: Option<&'static str>,
    /// The version of the API that the document describes.
    pub(crate) version: Option<String>,
}

/// The members of a JSON document that are read. All else is passed over.
#[derive(Deserialize)]
struct Members {
    openapi: Option<Value>,
    swagger: Option<Value>,
    asyncapi: Option<Value>,
    info: Option<Info>,
}

#[derive(Deserialize)]
struct Info {
    version: Option<Value>,
}

impl Head {
    /// Reads the text of a document, JSON or YAML.
    pub(crate) fn of(text: &str) -> Self {
        if text.trim_start().starts_with(['{', '[']) {
            return serde_json::from_str(text).map_or_else(|_| Self::default(), Self::of_members);
        }
        let lines = text.lines().map(|line| (line.trim_start(), line));
        let lines: Vec<(usize, &str)> = lines
            .filter(|(text, _)| !text.is_empty() && !text.starts_with(['#', '%']) && *text != "---")
            .map(|(text, line)| (line.len() - text.len(), text))
            .collect();
        let found = TYPES
            .iter()
            .find(|(member, _)| yaml(&lines, &[member]).is_some());
        Self {
            kind: found.map(|(_, kind)| *kind),
            version: yaml(&lines, &["info", "version"]),
        }
    }

    fn of_members(members: Members) -> Self {
        let named = [members.openapi, members.swagger, members.asyncapi];
        let mut found = TYPES.iter().zip(named);
        let found = found.find(|(_, value)| value.clone().and_then(scalar).is_some());
        Self {
            kind: found.map(|((_, kind), _)| *kind),
            version: members.info.and_then(|info| info.version).and_then(scalar),
        }
    }
}

/// Returns a text or a number.
fn scalar(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Finds a text of one line in YAML of the block style, in which documents are written. The lines
/// come with their indents.
fn yaml(lines: &[(usize, &str)], names: &[&str]) -> Option<String> {
    let (indent, _) = *lines.first()?;
    let (name, inner) = names.split_first()?;
    let mut rest = lines.iter().enumerate().filter_map(|(at, (own, text))| {
        let rest = text.strip_prefix(name)?.strip_prefix(':')?;
        (*own == indent).then_some((at, rest))
    });
    let (at, rest) = rest.next()?;
    if inner.is_empty() {
        let value = rest.split(" #").next().unwrap_or_default().trim();
        let value = value.trim_matches(['"', '\'']);
        return (!value.is_empty()).then(|| value.to_owned());
    }
    let below = &lines[at + 1..];
    let end = below.iter().position(|(own, _)| *own <= indent);
    yaml(&below[..end.unwrap_or(below.len())], inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_type_and_version_of_json_and_yaml() {
        for (text, kind, version) in [
            (
                r#"{"openapi": "3.0.3", "info": {"version": "1"}}"#,
                Some("oas3"),
                Some("1"),
            ),
            (r#"{"swagger": "2.0"}"#, Some("oas2"), None),
            (
                "asyncapi: 2.6.0\ninfo:\n  title: t\n  version: '2.1' # now\n",
                Some("asyncapi"),
                Some("2.1"),
            ),
            (
                "# c\nservers:\n- url: u\n  version: 9\ninfo:\n  x:\n    version: 8\n  version: 7\nopenapi: 3.1.0",
                Some("oas3"),
                Some("7"),
            ),
            ("---\n  openapi: 3.0.0\n", Some("oas3"), None),
            ("version: 1\n", None, None),
            ("text", None, None),
            ("[1]", None, None),
            (r#"{"openapi": ["3.0.3"], "info": "1"}"#, None, None),
            (r#"{"openapi": "3.0.3""#, None, None),
            ("", None, None),
        ] {
            let head = Head::of(text);
            assert_eq!(head.kind, kind, "{text:?}");
            assert_eq!(head.version.as_deref(), version, "{text:?}");
        }
    }
}
