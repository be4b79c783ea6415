//! Reading values of a known form out of the YAML tree, collecting what is wrong on the way.

use std::time::Duration;

use crate::mistake::{Mistake, one_of};
use crate::node::{Node, SourcePosition, Yaml};

/// Durations in rules end here: nothing older is in the journal.
const MAX_DURATION: Duration = Duration::from_hours(24 * 3650);

/// Collects the mistakes of one file.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) document: &'a str,
    file: &'a str,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
}

/// The entries of a map under their known keys.
#[derive(Debug)]
pub(crate) struct Fields<'n> {
    found: Vec<(&'n str, &'n Node)>,
}

impl<'n> Fields<'n> {
    /// The value of a key. A key without a value counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&'n Node> {
        let found = self.found.iter().find(|(name, _)| *name == key);
        found
            .map(|(_, node)| *node)
            .filter(|node| !matches!(node.value, Yaml::Null))
    }

    /// The value of a key, also where there is only the key.
    pub(crate) fn get_even_empty(&self, key: &str) -> Option<&'n Node> {
        self.found
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, node)| *node)
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(document: &'a str, file: &'a str) -> Self {
        Self {
            document,
            file,
            mistakes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// All mistakes, and all warnings, in the order of the file.
    pub(crate) fn into_found(mut self) -> (Vec<Mistake>, Vec<Mistake>) {
        self.mistakes.sort();
        self.warnings.sort();
        (self.mistakes, self.warnings)
    }

    pub(crate) fn report(&mut self, place: SourcePosition, message: impl Into<String>) {
        let mistake = self.at(place, message.into());
        self.mistakes.push(mistake);
    }

    /// Reports what can be meant and is risky.
    pub(crate) fn warn(&mut self, place: SourcePosition, message: impl Into<String>) {
        let warning = self.at(place, message.into());
        self.warnings.push(warning);
    }

    fn at(&self, place: SourcePosition, message: String) -> Mistake {
        let SourcePosition { line, column } = place;
        Mistake {
            file: self.file.to_owned(),
            line,
            column,
            message,
        }
    }

    /// Reports that a node is not of the form that was expected.
    pub(crate) fn unexpected(&mut self, node: &Node, expected: &str) {
        self.report(
            node.place,
            format!("expected {expected}, this is {}", node.kind()),
        );
    }

    /// The entries of a map; reports keys that are unknown or repeated.
    pub(crate) fn fields<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        known: &[&str],
    ) -> Option<Fields<'n>> {
        let Yaml::Map(entries) = &node.value else {
            self.unexpected(
                node,
                &format!("{what} with {}", one_of(known.iter().copied())),
            );
            return None;
        };
        let mut found: Vec<(&'n str, &'n Node)> = Vec::new();
        for (key, value) in entries {
            match key.as_text() {
                Some(name) if found.iter().any(|(other, _)| *other == name) => {
                    self.report(key.place, format!("{name} is given twice"));
                }
                Some(name) if known.contains(&name) => found.push((name, value)),
                Some(name) => {
                    let known = one_of(known.iter().copied());
                    self.report(
                        key.place,
                        format!("{what} has no {name:?}; expected {known}"),
                    );
                }
                None => self.unexpected(key, "a key"),
            }
        }
        Some(Fields { found })
    }

    /// A text that is not blank.
    pub(crate) fn text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        match &node.value {
            Yaml::Text(text) if text.trim().is_empty() => {
                self.report(node.place, format!("expected {what}, this is empty"));
                None
            }
            Yaml::Text(text) => Some(text),
            Yaml::Bool(_) | Yaml::Integer(_) | Yaml::Float => {
                self.unexpected(node, &format!("{what} in quotes"));
                None
            }
            Yaml::Null | Yaml::List(_) | Yaml::Map(_) => {
                self.unexpected(node, what);
                None
            }
        }
    }

    /// The entries of a list.
    pub(crate) fn list<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        if let Yaml::List(items) = &node.value {
            return Some(items);
        }
        self.unexpected(node, what);
        None
    }

    pub(crate) fn boolean(&mut self, node: &Node) -> Option<bool> {
        if let Yaml::Bool(value) = node.value {
            return Some(value);
        }
        self.unexpected(node, "true or false");
        None
    }

    /// A whole number that fits the type asked for.
    pub(crate) fn number<T: TryFrom<i128>>(&mut self, node: &Node, what: &str) -> Option<T> {
        let Yaml::Integer(value) = node.value else {
            self.unexpected(node, what);
            return None;
        };
        let number = T::try_from(value).ok();
        if number.is_none() {
            self.report(
                node.place,
                format!("expected {what}, {value} is out of range"),
            );
        }
        number
    }

    /// A duration such as `1h`.
    pub(crate) fn duration(&mut self, node: &Node) -> Option<Duration> {
        const EXPECTED: &str = "a duration such as 45s, 30m, 1h or 2d";
        let Some(text) = node.as_text() else {
            self.unexpected(node, EXPECTED);
            return None;
        };
        let duration = parse_duration(text);
        if duration.is_none() {
            self.report(node.place, format!("expected {EXPECTED}, this is {text:?}"));
        }
        duration
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&mut self, node: &Node, words: &[(&str, T)]) -> Option<T> {
        let expected = one_of(words.iter().map(|(word, _)| *word));
        let Some(text) = node.as_text() else {
            self.unexpected(node, &expected);
            return None;
        };
        let found = words
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value);
        if found.is_none() {
            self.report(node.place, format!("expected {expected}, this is {text:?}"));
        }
        found
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let seconds = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let duration = Duration::from_secs(digits.parse::<u64>().ok()?.checked_mul(seconds)?);
    (!duration.is_zero() && duration <= MAX_DURATION).then_some(duration)
}
