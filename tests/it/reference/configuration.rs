//! `configuration.md`: the keys of every section.

use crate::reference::keys::{Key, keys, not_yet};
use crate::reference::page::{Part, cell, hold, table};

#[test]
fn the_page_on_the_configuration_has_every_key() {
    let keys = keys();
    let not_yet = not_yet();
    let promised: Vec<String> = not_yet.iter().map(|key| format!("`{key}`")).collect();
    let mut parts = vec![Part {
        name: "not yet".to_owned(),
        heading: String::new(),
        text: format!(
            "These are promised and not there yet: {}.",
            promised.join(", ")
        ),
    }];
    let shown: Vec<&Key> = keys
        .iter()
        .filter(|key| !not_yet.contains(&key.path.as_str()))
        .collect();
    for keys in shown.chunk_by(|one, other| one.section() == other.section()) {
        parts.push(part(keys));
    }
    hold("configuration", &parts);
}

/// The keys of one section, and the words that some of them take.
fn part(keys: &[&Key]) -> Part {
    let section = keys.first().map_or("", |key| key.section());
    let rows: Vec<[String; 4]> = keys
        .iter()
        .map(|key| {
            [
                format!("`{}`", key.path),
                key.kind.clone(),
                key.default.clone(),
                cell(&key.about),
            ]
        })
        .collect();
    let mut tables = vec![table(["key", "type", "default", "meaning"], &rows)];
    for key in keys.iter().filter(|key| !key.words.is_empty()) {
        let rows: Vec<[String; 2]> = key
            .words
            .iter()
            .map(|(word, about)| [format!("`{word}`"), cell(about)])
            .collect();
        tables.push(table(
            [format!("`{}`", key.path).as_str(), "meaning"],
            &rows,
        ));
    }
    Part {
        name: section.to_owned(),
        heading: format!("## `{section}`"),
        text: tables.join("\n"),
    }
}
