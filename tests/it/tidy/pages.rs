//! The pages that tell where things live: every path that they name exists, and the map stays
//! short.

use crate::tidy::Violation;

/// Lines of the page that gives the overview.
const MAX_OVERVIEW: usize = 150;

/// Faults of a page, given every file of the tree by its path from the root.
pub(crate) fn page(path: &str, text: &str, files: &[String]) -> Vec<Violation> {
    let mut found = Vec::new();
    for (line, words) in (1..).zip(text.lines()) {
        for named in words.split('`').skip(1).step_by(2) {
            if is_path(named) && !exists(named, files) {
                let message = format!("`{named}` is not there: name where it lives now");
                found.push(Violation::new(path, line, message));
            }
        }
    }
    let lines = text.lines().count();
    if path.ends_with("ARCHITECTURE.md") && lines > MAX_OVERVIEW {
        let message = format!(
            "{lines} lines, over {MAX_OVERVIEW}: an overview is read only while it is short"
        );
        found.push(Violation::new(path, MAX_OVERVIEW + 1, message));
    }
    found
}

/// Whether a text in backticks names a place of the tree; patterns and commands do not.
fn is_path(text: &str) -> bool {
    let roots = [
        "src/",
        "crates/",
        "fuzz/",
        "tests/",
        "migrations/",
        "docs/",
        "scripts/",
    ];
    roots.iter().any(|root| text.starts_with(root)) && !text.contains([' ', '{', '*'])
}

fn exists(named: &str, files: &[String]) -> bool {
    let folder = format!("{}/", named.trim_end_matches('/'));
    files
        .iter()
        .any(|file| file == named || file.starts_with(&folder))
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn finds_names_of_places_that_are_gone() {
        let files = [
            "src/act/queue.rs".to_owned(),
            "docs/adr/0001-a.md".to_owned(),
        ];
        for (text, faults) in [
            (
                "see `src/act/queue.rs`, `src/act/`, `src/act` and `docs/adr/`",
                0,
            ),
            (
                "`src/act/{queue,worker}.rs`, `scripts/test --all`, `queue.rs`, src/gone.rs",
                0,
            ),
            ("see `src/act/worker.rs`", 1),
            ("`x` and `src/ac` and `src/act/queue`", 2),
        ] {
            assert_eq!(page("README.md", text, &files).len(), faults, "{text}");
        }
        let told = page("README.md", "a\nsee `src/gone.rs`", &files)[0].to_string();
        assert!(
            told.starts_with("README.md:2: `src/gone.rs` is not there"),
            "{told}"
        );
    }

    #[test]
    fn keeps_the_overview_short() {
        for (path, lines, faults) in [
            ("docs/ARCHITECTURE.md", 150, 0),
            ("docs/ARCHITECTURE.md", 151, 1),
            ("README.md", 151, 0),
        ] {
            assert_eq!(
                page(path, &"a\n".repeat(lines), &[]).len(),
                faults,
                "{path} {lines}"
            );
        }
    }
}
