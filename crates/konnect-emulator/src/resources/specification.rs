//! What the emulator reads of the text of an OpenAPI or `AsyncAPI` document: its type and its
//! version. It checks nothing else.

use serde_json::Value;

/// The member that a document begins with, by the type that it tells.
const TYPES: [(&str, &str); 3] = [
    ("openapi", "oas3"),
    ("swagger", "oas2"),
    ("asyncapi", "asyncapi"),
];

/// The text of a document, JSON or YAML.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl Text<'_> {
    /// Returns the type as Konnect names it; `None` for what is no such document.
    pub(crate) fn kind(self) -> Option<&'static str> {
        let found = TYPES
            .iter()
            .find(|(member, _)| self.value(&[member]).is_some());
        found.map(|(_, kind)| *kind)
    }

    /// Returns the version of the API that the document describes.
    pub(crate) fn version(self) -> Option<String> {
        self.value(&["info", "version"])
    }

    /// Says why this is no document.
    pub(crate) fn mistake(self) -> Option<&'static str> {
        self.kind()
            .is_none()
            .then_some("the content is neither an OpenAPI nor an AsyncAPI document")
    }

    /// Returns a text or a number by the names that lead to it.
    fn value(self, names: &[&str]) -> Option<String> {
        if let Ok(json) = serde_json::from_str::<Value>(self.0) {
            let found = names.iter().try_fold(&json, |at, name| at.get(name))?;
            return match found {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            };
        }
        let lines = self.0.lines().map(|line| (line.trim_start(), line));
        let lines: Vec<(usize, &str)> = lines
            .filter(|(text, _)| !text.is_empty() && !text.starts_with(['#', '%']) && *text != "---")
            .map(|(text, line)| (line.len() - text.len(), text))
            .collect();
        yaml(&lines, names)
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
            ("", None, None),
        ] {
            let text = Text(text);
            assert_eq!(text.kind(), kind, "{text:?}");
            assert_eq!(text.version().as_deref(), version, "{text:?}");
            assert_eq!(text.mistake().is_some(), kind.is_none(), "{text:?}");
        }
    }
}
