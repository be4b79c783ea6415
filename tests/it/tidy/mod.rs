//! Holds the house: who may import whom, that no files use each other in a circle, what has one
//! home, and the form of files, texts and migrations.
//!
//! Every rule is a pure function from a path and a text to violations, so that its own tests show
//! that it fails on a bad sample and passes on a good one. Only this file reads the tree.

mod circles;
mod form;
mod homes;
mod pages;
mod rooms;
mod schema;
pub(crate) mod source;
mod texts;
mod wings;

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use crate::tidy::source::Source;

/// One break of a rule, told so that it can be mended without reading the rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    path: String,
    line: usize,
    message: String,
}

impl Violation {
    fn new(path: &str, line: usize, message: String) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

#[test]
fn rooms_import_only_what_the_design_allows() {
    hold(rooms::imports);
}

#[test]
fn rooms_may_import_only_what_they_do_import() {
    report(rooms::unused(tree()));
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    report(circles::circles(tree()));
}

#[test]
fn wings_of_the_journal_use_each_other_one_way() {
    report(wings::wings(tree()));
}

#[test]
fn crates_stand_alone() {
    hold(rooms::imports_of_crates);
}

#[test]
fn every_room_has_its_row_in_the_table() {
    hold(rooms::unknown_rooms);
}

#[test]
fn what_has_one_home_stays_there() {
    hold(homes::strays);
}

#[test]
fn paths_of_the_management_api_stay_with_its_client() {
    hold(homes::api_paths);
}

#[test]
fn log_and_error_texts_are_lowercase_without_a_final_period() {
    hold(texts::texts);
}

#[test]
fn files_open_with_their_purpose() {
    hold(form::opening);
}

#[test]
fn files_stay_short() {
    hold(form::length);
}

#[test]
fn comments_keep_to_a_hundred_columns() {
    hold(form::width);
}

#[test]
fn files_are_named_for_what_they_hold() {
    hold(form::name);
}

#[test]
fn nothing_is_left_undone_or_untested() {
    hold(form::leftovers);
}

#[test]
fn parents_are_imported_by_their_full_path() {
    hold(form::parents);
}

#[test]
fn no_module_file_stands_beside_its_folder() {
    let paths: Vec<&str> = tree().iter().map(|source| source.path.as_str()).collect();
    report(form::twins(&paths));
}

#[test]
fn migrations_are_named_and_every_column_is_commented() {
    let mut files = Vec::new();
    collect(Path::new("migrations"), Some("sql"), &mut files);
    assert!(!files.is_empty(), "no migration was found");
    report(schema::migrations(&files));
}

#[test]
fn pages_name_places_that_exist() {
    let mut files = Vec::new();
    for folder in [
        "src",
        "crates",
        "fuzz",
        "tests",
        "migrations",
        "docs",
        "scripts",
    ] {
        collect(Path::new(folder), None, &mut files);
    }
    let files: Vec<String> = files.into_iter().map(|(path, _)| path).collect();
    let mut pages = Vec::new();
    collect(Path::new("docs"), Some("md"), &mut pages);
    collect(Path::new("crates"), Some("md"), &mut pages);
    for name in ["README.md", "CONTRIBUTING.md"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let text = fs::read_to_string(path).expect("the page is there");
        pages.push((name.to_owned(), text));
    }
    let faults = pages
        .iter()
        .flat_map(|(path, text)| pages::page(path, text, &files));
    report(faults.collect());
}

#[test]
fn every_fault_has_the_tests_that_the_table_names() {
    let read = |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path));
    let main = read("tests/it/main.rs").expect("the table is there");
    let named: Vec<&str> = main
        .lines()
        .filter(|line| line.starts_with("//! |"))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|name| name.contains("::"))
        .collect();
    assert!(named.len() > 20, "the table is not read");
    let missing = named.iter().filter(|name| {
        let (module, test) = name.rsplit_once("::").expect("a test of a module");
        let file = format!("tests/it/{}.rs", module.replace("::", "/"));
        let file = read(&file).unwrap_or_default();
        !file.contains(&format!("async fn {test}("))
    });
    let missing: Vec<_> = missing.collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
}

/// Fails with every violation of `rule` in the tree.
fn hold(rule: fn(&Source) -> Vec<Violation>) {
    report(tree().iter().flat_map(rule).collect());
}

fn report(mut violations: Vec<Violation>) {
    violations.sort();
    let lines: Vec<String> = violations.iter().map(Violation::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

/// Every Rust file of the workspace, read once.
pub(crate) fn tree() -> &'static [Source] {
    static TREE: OnceLock<Vec<Source>> = OnceLock::new();
    TREE.get_or_init(|| {
        let mut files = Vec::new();
        for folder in ["src", "crates", "fuzz", "tests", "benches"] {
            collect(Path::new(folder), Some("rs"), &mut files);
        }
        // A rule that looks at nothing would pass for ever.
        for expected in ["src/lib.rs", "src/main.rs", "tests/it/tidy/mod.rs"] {
            assert!(
                files.iter().any(|(path, _)| path == expected),
                "{expected} was not found"
            );
        }
        files
            .iter()
            .map(|(path, text)| Source::new(path, text))
            .collect()
    })
}

/// Adds path (from the root, with `/`) and text of every file below `folder` that ends in
/// `extension`, or the paths alone of all files.
fn collect(folder: &Path, extension: Option<&str>, files: &mut Vec<(String, String)>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Ok(entries) = fs::read_dir(root.join(folder)) else {
        return;
    };
    for entry in entries {
        let entry = entry.expect("a folder of the tree can be listed");
        let path = folder.join(entry.file_name());
        if entry.path().is_dir() {
            if entry.file_name() != "target" {
                collect(&path, extension, files);
            }
            continue;
        }
        let text = match extension {
            None => String::new(),
            Some(extension) if path.extension().is_some_and(|found| found == extension) => {
                fs::read_to_string(entry.path()).expect("a file of the tree is UTF-8")
            }
            Some(_) => continue,
        };
        files.push((path.to_string_lossy().replace('\\', "/"), text));
    }
    files.sort();
}
