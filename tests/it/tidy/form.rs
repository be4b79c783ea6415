//! The form of a file: how it opens, how long it is, what it is called, and what is not left in it.

use crate::tidy::Violation;
use crate::tidy::source::{Source, is_test_file, words};

/// Lines of a file: of a test file all, of another those that not only tests see.
const MAX_LINES: usize = 500;

/// Columns of a line of a comment.
const MAX_COLUMNS: usize = 100;

/// Names that say nothing of what a file holds.
const EMPTY_NAMES: [&str; 10] = [
    "util", "utils", "helper", "helpers", "common", "types", "misc", "shared", "base", "tools",
];

/// What must not be committed, tests included, with the reason.
const LEFTOVERS: [(&str, &str); 5] = [
    (
        "#[ignore",
        "a test that does not run proves nothing: mend it or delete it",
    ),
    (
        "#[should_panic",
        "any panic would do: match on the result instead",
    ),
    ("todo!", "write it, or leave the whole of it out"),
    ("unimplemented!", "write it, or leave the whole of it out"),
    ("dbg!", "a log line or a test tells it better"),
];

/// A file that does not open with what it is for.
pub(crate) fn opening(source: &Source) -> Vec<Violation> {
    let first = source.text.lines().next().unwrap_or_default();
    if first
        .strip_prefix("//!")
        .is_some_and(|told| !told.trim().is_empty())
    {
        return Vec::new();
    }
    let message = "the file does not open with `//!`: say what it is for and what it must not do";
    vec![Violation::new(&source.path, 1, message.to_owned())]
}

/// Lines of comments that are too long. A row of a table and a link cannot be broken.
pub(crate) fn width(source: &Source) -> Vec<Violation> {
    let lines = source.text.lines().enumerate();
    let long = lines.filter(|(_, line)| {
        let text = line.trim_start();
        text.starts_with("//")
            && line.chars().count() > MAX_COLUMNS
            && !text.contains(" | ")
            && !text.contains("://")
    });
    let message = format!("a comment of over {MAX_COLUMNS} columns: break the line, or say less");
    long.map(|(number, _)| Violation::new(&source.path, number + 1, message.clone()))
        .collect()
}

/// A file that has grown too long.
pub(crate) fn length(source: &Source) -> Vec<Violation> {
    let is_test = is_test_file(&source.path);
    let lines = if is_test {
        source.text.lines().count()
    } else {
        source.length()
    };
    if lines <= MAX_LINES {
        return Vec::new();
    }
    let message = if is_test {
        format!(
            "{lines} lines of tests, over {MAX_LINES}: make it a folder with a file for each theme"
        )
    } else {
        format!(
            "{lines} lines without tests, over {MAX_LINES}: move what has a name of its own into a file beside it"
        )
    };
    vec![Violation::new(&source.path, MAX_LINES + 1, message)]
}

/// A file or folder with a name that says nothing.
pub(crate) fn name(source: &Source) -> Vec<Violation> {
    source
        .path
        .split('/')
        .map(|part| part.strip_suffix(".rs").unwrap_or(part))
        .filter(|part| EMPTY_NAMES.contains(part))
        .map(|part| {
            let message = format!("`{part}` says nothing: name it after the thing it holds");
            Violation::new(&source.path, 1, message)
        })
        .collect()
}

/// Tests that do not run and code that is not there.
pub(crate) fn leftovers(source: &Source) -> Vec<Violation> {
    LEFTOVERS
        .iter()
        .flat_map(|(text, reason)| {
            words(&source.code, text).map(move |at| {
                let message = format!("`{}`: {reason}", text.trim_start_matches("#["));
                Violation::new(&source.path, source.line(at), message)
            })
        })
        .collect()
}

/// `super::` beyond tests, which would also get around the table of rooms.
pub(crate) fn parents(source: &Source) -> Vec<Violation> {
    words(&source.production, "super::")
        .map(|at| {
            let message = "`super::` beyond tests: write the path from `crate::`".to_owned();
            Violation::new(&source.path, source.line(at), message)
        })
        .collect()
}

/// Every `foo.rs` that stands beside a folder `foo` with Rust files in it.
pub(crate) fn twins(paths: &[&str]) -> Vec<Violation> {
    paths
        .iter()
        .filter_map(|path| {
            let folder = format!("{}/", path.strip_suffix(".rs")?);
            paths
                .iter()
                .any(|other| other.starts_with(&folder))
                .then(|| {
                    let message =
                        format!("the module has a folder too: move the file to {folder}mod.rs");
                    Violation::new(path, 1, message)
                })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{leftovers, length, name, opening, parents, twins, width};
    use crate::tidy::source::Source;

    #[test]
    fn asks_for_a_purpose() {
        for (text, faults) in [
            ("//! Reads times.\nuse a;", 0),
            ("use a;", 1),
            ("// Reads times.\n", 1),
            ("//!\nuse a;", 1),
            ("", 1),
        ] {
            assert_eq!(
                opening(&Source::new("src/a.rs", text)).len(),
                faults,
                "{text:?}"
            );
        }
    }

    #[test]
    fn counts_lines_without_test_modules() {
        let code = "let a = 1;\n".repeat(500);
        let tests = format!(
            "#[cfg(test)]\nmod tests {{\n{}}}\n",
            "let b = 1;\n".repeat(100)
        );
        let file = |text: String| length(&Source::new("src/a.rs", &text)).len();
        assert_eq!(file(code.clone()), 0);
        assert_eq!(file(format!("{code}{tests}")), 0);
        assert_eq!(file(format!("{code}let c = 1;\n{tests}")), 1);
    }

    #[test]
    fn counts_all_lines_of_test_files() {
        let most = "let a = 1;\n".repeat(500);
        for path in [
            "tests/it/a.rs",
            "tests/it/a/mod.rs",
            "crates/konnect/tests/it/a.rs",
            "src/a/tests.rs",
            "benches/a.rs",
        ] {
            assert!(length(&Source::new(path, &most)).is_empty(), "{path}");
            let found = length(&Source::new(path, &format!("{most}let b = 1;\n")));
            assert_eq!(found.len(), 1, "{path}");
            assert_eq!(
                found[0].to_string(),
                format!(
                    "{path}:501: 501 lines of tests, over 500: make it a folder with a file for each theme"
                )
            );
        }
    }

    #[test]
    fn breaks_comments_after_a_hundred_columns() {
        let words = "word ".repeat(30);
        for (text, faults) in [
            (format!("// {}", &words[..97]), 0),
            (format!("// {}", &words[..98]), 1),
            (format!("    /// {words}"), 1),
            (format!("//! | {words} | {words} |"), 0),
            (format!("// <https://a.example/{}>", "a".repeat(90)), 0),
            (format!("let a = \"{words}\";"), 0),
        ] {
            let found = width(&Source::new("src/a.rs", &text));
            assert_eq!(found.len(), faults, "{text}");
        }
    }

    #[test]
    fn refuses_names_that_say_nothing() {
        for (path, faults) in [
            ("src/act/utils.rs", 1),
            ("src/helpers/time.rs", 1),
            ("tests/it/common/mod.rs", 1),
            ("src/journal/types.rs", 1),
            ("src/journal/kind.rs", 0),
            ("tests/it/support/mod.rs", 0),
        ] {
            assert_eq!(name(&Source::new(path, "//! x")).len(), faults, "{path}");
        }
    }

    #[test]
    fn finds_what_is_left_undone_in_tests_too() {
        for (text, faults) in [
            ("#[test]\n#[ignore]\nfn a() {}", 1),
            ("#[ignore = \"slow\"]\nfn a() {}", 1),
            ("#[should_panic(expected = \"a\")]\nfn a() {}", 1),
            ("fn a() { todo!() }", 1),
            (
                "#[cfg(test)]\nmod tests { fn a() { unimplemented!(\"later\") } }",
                1,
            ),
            ("fn a() { dbg!(b) }", 1),
            ("// todo!()\nlet a = \"#[ignore]\"; let ignore = 1;", 0),
        ] {
            assert_eq!(
                leftovers(&Source::new("src/a.rs", text)).len(),
                faults,
                "{text}"
            );
        }
    }

    #[test]
    fn leaves_super_to_tests() {
        for (text, faults) in [
            ("use super::Journal;", 1),
            ("fn a() { super::super::act::run() }", 2),
            ("pub(super) fn a() {}", 0),
            ("#[cfg(test)]\nmod tests { use super::a; }", 0),
        ] {
            assert_eq!(
                parents(&Source::new("src/a/b.rs", text)).len(),
                faults,
                "{text}"
            );
        }
    }

    #[test]
    fn finds_a_module_file_beside_its_folder() {
        let found = twins(&[
            "src/act.rs",
            "src/act/queue.rs",
            "src/journal/mod.rs",
            "src/actor.rs",
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            found[0].to_string(),
            "src/act.rs:1: the module has a folder too: move the file to src/act/mod.rs"
        );
    }
}
