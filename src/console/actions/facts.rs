//! JSON of an action as lines for people: the path of each value and the value.

use serde_json::Value;
use url::Url;

use crate::console::show;

/// Letters of a value that are shown.
const MOST_LETTERS: usize = 300;
/// Values of a deed that are shown.
const MOST_OF_DEED: usize = 20;

/// Up to `most` values of `value`, each with its path; what is null or empty is left out.
pub(super) fn lines(value: &Value, most: usize) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    collect(String::new(), value, &mut lines);
    lines.truncate(most);
    lines
}

/// What a deed says besides its word, such as the team. The address of a notice may have a secret
/// in it: its host is shown alone.
pub(super) fn deed(spec: &Value) -> Vec<(String, String)> {
    let lines = lines(spec, MOST_OF_DEED).into_iter();
    let shown = lines.filter_map(|(path, value)| match path.as_str() {
        "deed" | "secret" => None,
        "url" => {
            let url = Url::parse(&value).ok()?;
            Some(("host".to_owned(), url.host_str()?.to_owned()))
        }
        _ => Some((path, value)),
    });
    shown.collect()
}

fn collect(path: String, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::Object(members) => {
            for (name, member) in members {
                let below = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                collect(below, member, lines);
            }
        }
        Value::Array(items) if items.is_empty() => {}
        Value::Array(items) => {
            // No more than is shown of them.
            let items = items.iter().take(MOST_LETTERS).map(plain);
            lines.push((path, cut(&items.collect::<Vec<_>>().join(", "))));
        }
        value => lines.push((path, cut(&plain(value)))),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn cut(text: &str) -> String {
    show::cut(text, MOST_LETTERS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{deed, lines};

    #[test]
    fn a_deed_keeps_its_secrets() {
        let spec = json!({
            "deed": "notify",
            "url": "https://hooks.example.com/services/T0/B0/secret",
            "secret": "file:/run/secret",
            "format": "slack",
        });
        let expected = [("host", "hooks.example.com"), ("format", "slack")];
        let mut expected = expected.map(|(path, value)| (path.to_owned(), value.to_owned()));
        let mut found = deed(&spec);
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        assert!(deed(&json!({"deed": "notify", "url": "file:/run/secret"})).is_empty());
    }

    #[test]
    fn values_are_named_by_their_paths() {
        let facts = json!({
            "developer": {"status": "pending", "teams": ["a", "b"], "email_domain": null},
            "cut": [],
            "n": 12_345_678_901_234_567_890_u64,
        });
        let expected = [
            ("developer.status", "pending"),
            ("developer.teams", "a, b"),
            ("n", "12345678901234567890"),
        ];
        let mut found = lines(&facts, 10);
        found.sort();
        let mut expected = expected.map(|(path, value)| (path.to_owned(), value.to_owned()));
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(lines(&facts, 1).len(), 1);
        assert_eq!(lines(&json!("x".repeat(400)), 1)[0].1.chars().count(), 301);
    }
}
