//! A page with generated parts: finds them by their markers, compares them, and rewrites them where
//! that is asked for.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::environment::updates_pages;

const END: &str = "<!-- end -->";
/// What to do about a page that differs.
pub(crate) const HOW: &str =
    "USHER_TEST_UPDATE=1 make test ARGS=reference:: rewrites it; read the change then";

/// A part of a page that the code makes.
pub(crate) struct Part {
    /// Stands in the marker.
    pub(crate) name: String,
    /// Goes above the part where the page does not have it yet; empty for none.
    pub(crate) heading: String,
    /// Markdown.
    pub(crate) text: String,
}

/// Holds `docs/reference/{name}.md` equal to what the code makes, or makes it so.
pub(crate) fn hold(name: &str, parts: &[Part]) {
    let file = format!("docs/reference/{name}.md");
    let now = read(&file);
    match filled(&now, parts) {
        Ok(wanted) => settle(&file, &now, &wanted),
        Err(fault) => panic!("{file}: {fault}"),
    }
}

/// A file of the tree, by its path from the root.
pub(crate) fn read(file: &str) -> String {
    let text = fs::read_to_string(in_tree(file));
    text.unwrap_or_else(|error| panic!("could not read {file}: {error}"))
}

/// Holds a file that has the text `now` equal to `wanted`, or makes it so.
pub(crate) fn settle(file: &str, now: &str, wanted: &str) {
    if now == wanted {
        return;
    }
    if updates_pages() {
        let written = fs::write(in_tree(file), wanted);
        written.unwrap_or_else(|error| panic!("could not write {file}: {error}"));
        return;
    }
    let (line, there, made) = first_difference(now, wanted);
    panic!("{file}:{line} differs from the code\n  page: {there}\n  code: {made}\n{HOW}");
}

/// A table in Markdown.
pub(crate) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<String> = rows
        .iter()
        .map(|row| format!("| {} |\n", row.join(" | ")))
        .collect();
    let heading = heading.join(" | ");
    format!("| {heading} |\n|{}\n{}", " --- |".repeat(N), rows.concat())
}

/// A text as a cell of a table, without what would end the cell or begin HTML; code in backticks
/// stays as it is.
pub(crate) fn cell(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ").replace('|', "\\|");
    let parts = text.split('`').enumerate();
    let parts: Vec<String> = parts
        .map(|(index, part)| {
            if index.is_multiple_of(2) {
                part.replace('<', "\\<")
            } else {
                part.to_owned()
            }
        })
        .collect();
    parts.join("`")
}

fn in_tree(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// The number of the first line that is not the same, with what either text has there.
fn first_difference<'a>(now: &'a str, wanted: &'a str) -> (usize, &'a str, &'a str) {
    const NOTHING: &str = "(nothing)";
    let (mut there, mut made) = (now.lines(), wanted.lines());
    let mut line = 1;
    loop {
        match (there.next(), made.next()) {
            (Some(one), Some(other)) if one == other => line += 1,
            (one, other) => return (line, one.unwrap_or(NOTHING), other.unwrap_or(NOTHING)),
        }
    }
}

/// A stretch of a page.
struct Block<'a> {
    /// The generated part that it begins with; the first block of a page has none.
    part: Option<&'a str>,
    /// What people wrote, up to the next part.
    prose: String,
}

fn blocks(page: &str) -> Result<Vec<Block<'_>>, String> {
    let mut blocks = Vec::new();
    let mut block = Block {
        part: None,
        prose: String::new(),
    };
    let mut inside = None;
    for line in page.lines() {
        let begun = line
            .strip_prefix("<!-- generated: ")
            .and_then(|rest| rest.strip_suffix(" -->"));
        match (inside, begun) {
            (Some(name), Some(_)) => return Err(format!("the part `{name}` has no {END}")),
            (Some(_), None) => {
                if line == END {
                    inside = None;
                }
            }
            (None, Some(name)) => {
                inside = begun;
                let next = Block {
                    part: Some(name),
                    prose: String::new(),
                };
                blocks.push(std::mem::replace(&mut block, next));
            }
            (None, None) => {
                block.prose.push_str(line);
                block.prose.push('\n');
            }
        }
    }
    blocks.push(block);
    match inside {
        Some(name) => Err(format!("the part `{name}` has no {END}")),
        None => Ok(blocks),
    }
}

/// The page with every part as the code makes it. A part that it does not have comes after the one
/// before it.
fn filled(page: &str, parts: &[Part]) -> Result<String, String> {
    let mut blocks = blocks(page)?;
    for (index, part) in parts.iter().enumerate() {
        let is_it = |block: &&Block<'_>| block.part == Some(part.name.as_str());
        match blocks.iter().filter(is_it).count() {
            0 => {
                let before = index.checked_sub(1).map(|at| parts[at].name.as_str());
                add(&mut blocks, before, part);
            }
            1 => {}
            _ => return Err(format!("the part `{}` is there more than once", part.name)),
        }
    }
    let mut text = String::new();
    for block in &blocks {
        if let Some(name) = block.part {
            let Some(part) = parts.iter().find(|part| part.name == name) else {
                return Err(format!(
                    "the code makes no part `{name}` any more: take it out, with what is written about it"
                ));
            };
            let made = part.text.trim_end();
            write!(
                text,
                "<!-- generated: {name} -->\n\n{made}\n\n{END}\n{}",
                block.prose
            )
            .expect("writes to memory");
        } else {
            text.push_str(&block.prose);
        }
    }
    Ok(text)
}

/// Puts a part after the one named `before`, above the heading of the part that follows that one.
fn add<'a>(blocks: &mut Vec<Block<'a>>, before: Option<&str>, part: &'a Part) {
    let at = blocks.iter().position(|block| block.part == before);
    let at = at.expect("the part before it is there or was added");
    let is_last = at + 1 == blocks.len();
    let prose = &mut blocks[at].prose;
    let heading = if is_last { None } else { prose.rfind("\n#") };
    let rest = prose.split_off(heading.map_or(prose.len(), |line| line + 1));
    if *prose != "\n" && !prose.ends_with("\n\n") {
        prose.push('\n');
    }
    if !part.heading.is_empty() {
        prose.push_str(&part.heading);
        prose.push_str("\n\n");
    }
    let prose = if is_last {
        String::new()
    } else {
        format!("\n{rest}")
    };
    let added = Block {
        part: Some(part.name.as_str()),
        prose,
    };
    blocks.insert(at + 1, added);
}

fn part(name: &str, text: &str) -> Part {
    Part {
        name: name.to_owned(),
        heading: format!("## {name}"),
        text: text.to_owned(),
    }
}

#[test]
fn parts_are_replaced_and_prose_stays() {
    let page =
        "# Page\n\nOpening.\n\n## a\n\n<!-- generated: a -->\nold\n<!-- end -->\n\nMore on a.\n";
    let wanted = "# Page\n\nOpening.\n\n## a\n\n<!-- generated: a -->\n\nnew\n\n<!-- end -->\n\nMore on a.\n";
    assert_eq!(filled(page, &[part("a", "new\n")]).unwrap(), wanted);
    assert_eq!(filled(wanted, &[part("a", "new\n")]).unwrap(), wanted);
}

#[test]
fn a_part_that_is_new_comes_after_the_one_before_it() {
    let made = |name: &str| format!("<!-- generated: {name} -->\n\n{name}\n\n<!-- end -->\n");
    let (a, b, c) = (made("a"), made("b"), made("c"));
    let parts = [part("a", "a"), part("b", "b"), part("c", "c")];
    let whole = format!("# Page\n\n## a\n\n{a}\nOn a.\n\n## b\n\n{b}\n## c\n\n{c}");
    for page in [
        format!("# Page\n\n## a\n\n{a}\nOn a.\n\n## c\n\n{c}"),
        format!("# Page\n\n## a\n\n{a}\nOn a.\n\n## b\n\n{b}"),
        format!("# Page\n\n## a\n\n{a}\nOn a.\n"),
    ] {
        assert_eq!(filled(&page, &parts).unwrap(), whole, "{page}");
    }
    let bare = filled("# Page\n", &parts).unwrap();
    assert_eq!(bare, whole.replace("On a.\n\n", ""));
}

#[test]
fn markers_that_cannot_be_meant_are_named() {
    let one = "<!-- generated: a -->\n<!-- end -->\n";
    let two = one.repeat(2);
    for (page, parts, fault) in [
        ("<!-- generated: a -->\n", &["a"][..], "has no <!-- end -->"),
        (
            "<!-- generated: a -->\n<!-- generated: b -->\n<!-- end -->\n",
            &["a", "b"],
            "the part `a` has no",
        ),
        (one, &[], "the code makes no part `a` any more"),
        (two.as_str(), &["a"], "more than once"),
    ] {
        let parts: Vec<Part> = parts.iter().map(|name| part(name, "x")).collect();
        let told = filled(page, &parts).unwrap_err();
        assert!(told.contains(fault), "{told}");
    }
}

#[test]
fn the_first_line_that_differs_is_named() {
    assert_eq!(first_difference("a\nb\n", "a\nc\n"), (2, "b", "c"));
    assert_eq!(first_difference("a\n", "a\nb\n"), (2, "(nothing)", "b"));
}

#[test]
fn a_cell_keeps_code_and_ends_at_no_bar() {
    let text = "one |\n two <T> and `custom.<type>`";
    assert_eq!(cell(text), "one \\| two \\<T> and `custom.<type>`");
}
