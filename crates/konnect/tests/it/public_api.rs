//! The public interface as a list, so that a change of it is seen and judged: what is removed or
//! changed there breaks programs that use the crate.
//!
//! `USHER_TEST_UPDATE=1 cargo test -p konnect public_api` rewrites the list; read the change then.
//! It is made from the source by form alone: types with fields and variants, functions, traits.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::source;

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the test says by the environment that the list is to be rewritten"
)]
fn the_public_interface_is_the_listed_one() {
    let list: String = source::files()
        .iter()
        .map(|(path, text)| (path, listed(text)))
        .filter(|(_, items)| !items.is_empty())
        .fold(String::new(), |mut list, (path, items)| {
            write!(list, "# {path}\n{items}\n").unwrap();
            list
        });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/public_api.txt");
    if std::env::var("USHER_TEST_UPDATE").is_ok_and(|value| value == "1") {
        fs::write(&path, list).unwrap();
        return;
    }
    let committed = fs::read_to_string(&path).unwrap();
    let added = list.lines().filter(|line| !committed.contains(line));
    let removed = committed.lines().filter(|line| !list.contains(line));
    let added: Vec<_> = added.map(|line| format!("+ {line}")).collect();
    let removed: Vec<_> = removed.map(|line| format!("- {line}")).collect();
    assert!(
        list == committed,
        "the public interface changed; if that is meant, \
         `USHER_TEST_UPDATE=1 cargo test -p konnect public_api` lists it anew\n{}\n{}",
        removed.join("\n"),
        added.join("\n")
    );
}

/// What stands around a line.
enum Around {
    Nothing,
    /// A struct or an `impl`, of which the public members count, under this heading once.
    Members(String),
    /// An enum or a trait, of which all counts.
    All,
}

/// The public items of a file, one a line, their members indented.
fn listed(text: &str) -> String {
    let mut list = String::new();
    let mut around = Around::Nothing;
    let mut attributes = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.strip_prefix("self::").unwrap_or(line);
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with("//") || trimmed.starts_with(['}', ')']) {
            continue;
        }
        if line.starts_with("#[derive")
            || line.starts_with("#[non_exh")
            || line.starts_with("#[cfg(")
        {
            attributes = format!("{attributes}{line} ");
        } else if trimmed.starts_with('#') {
        } else if !line.starts_with(' ') {
            let item = whole(line, &mut lines, &[";", "{"]);
            if line.starts_with("pub ") {
                writeln!(list, "{attributes}{item}").unwrap();
            }
            around = if line.starts_with("pub enum") || line.starts_with("pub trait") {
                Around::All
            } else if line.starts_with("open_enum!") || line.starts_with("ids!") {
                writeln!(list, "{item}").unwrap();
                Around::All
            } else if line.starts_with("pub struct") {
                Around::Members(String::new())
            } else if line.starts_with("impl") && !item.contains("pub(crate)") {
                Around::Members(item)
            } else {
                Around::Nothing
            };
            attributes.clear();
        } else {
            let indent = &line[..line.len() - line.trim_start().len()];
            match &mut around {
                Around::All if indent.len() <= 8 => {
                    let item = whole(line, &mut lines, &[";", "{", ","]);
                    writeln!(list, "{indent}{item}").unwrap();
                }
                Around::Members(heading) if indent.len() == 4 && trimmed.starts_with("pub ") => {
                    let ends: &[&str] = if trimmed.contains("fn ") {
                        &["{"]
                    } else {
                        &[",", "{"]
                    };
                    let item = whole(line, &mut lines, ends);
                    if !heading.is_empty() {
                        writeln!(list, "{heading}").unwrap();
                        heading.clear();
                    }
                    writeln!(list, "    {item}").unwrap();
                }
                _ => {}
            }
        }
    }
    list
}

/// An item up to what ends it, on one line.
fn whole<'a>(first: &str, rest: &mut impl Iterator<Item = &'a str>, ends: &[&str]) -> String {
    let mut item = first.trim().to_owned();
    while !ends.iter().any(|end| item.ends_with(end)) || item.ends_with("::{") {
        let Some(line) = rest.next() else { break };
        item = format!("{item} {}", line.trim());
        if item.ends_with('}') {
            break;
        }
    }
    item.trim_end_matches([' ', '{', ';', ',']).to_owned()
}
