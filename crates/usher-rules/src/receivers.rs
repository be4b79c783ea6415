//! The values of a text of rules that nobody must see, so that who shows the text can leave them
//! out. Also of rules that do not check, if they are YAML.

use crate::node::{Node, Yaml};

/// Keys whose value is an address or a secret.
const KEYS: [&str; 3] = ["notify", "url", "secret"];

/// The addresses and secrets of a text of rules, and in which files they are, as notices have them;
/// none where it is not YAML.
pub fn receivers(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Ok(document) = Node::parse(text) {
        collect(&document, false, &mut found);
    }
    found
}

fn collect(node: &Node, is_hidden: bool, found: &mut Vec<String>) {
    match &node.value {
        Yaml::Text(text) if is_hidden => found.push(text.clone()),
        Yaml::List(items) => {
            for item in items {
                collect(item, is_hidden, found);
            }
        }
        Yaml::Map(entries) => {
            for (key, value) in entries {
                let is_hidden = key.as_text().is_some_and(|key| KEYS.contains(&key));
                collect(value, is_hidden, found);
            }
        }
        Yaml::Text(_) | Yaml::Null | Yaml::Bool(_) | Yaml::Integer(_) | Yaml::Float => {}
    }
}

#[cfg(test)]
mod tests {
    use super::receivers;

    #[test]
    fn receivers_are_found_however_they_are_written() {
        for text in [
            "- notify: {format: slack, url: \"https://h.example/services/\\\n    T0/B0\"}",
            "- notify:\n    \"u\\x72l\": \"https://h.example/\\x73ervices/T0/B0\"",
            "lists: &u https://h.example/services/T0/B0\nrules: [{url: *u}]",
            "url: [https://h.example/services/T0/B0]",
        ] {
            assert_eq!(
                receivers(text),
                ["https://h.example/services/T0/B0"],
                "{text}"
            );
        }
        assert_eq!(receivers("name: a"), [""; 0]);
        assert_eq!(receivers("url: [\"a"), [""; 0]);
    }
}
