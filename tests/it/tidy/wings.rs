//! Which wing of the journal may use which. The table here is the rule; the `mod.rs` of each wing
//! tells it in words.

use crate::tidy::Violation;
use crate::tidy::circles::Crate;
use crate::tidy::source::Source;

/// Where the wings are: each is a folder, and files beside them are the ground floor.
const HOUSE: &str = "src/journal/";

/// Each wing with those that it may use. All may use the ground floor, which may use none.
const WINGS: [(&str, &[&str]); 5] = [
    ("coverage", &[]),
    ("read", &[]),
    ("outbox", &["read"]),
    ("append", &["outbox", "read"]),
    ("retention", &["append"]),
];

/// What the files beside the wings are called.
const GROUND_FLOOR: &str = "the ground floor";

/// Uses of a wing by a file that must not know it, whatever re-export they go through. The
/// journal's own `mod.rs` is the parent of all and may name them.
pub(crate) fn wings(sources: &[Source]) -> Vec<Violation> {
    let all = Crate::read("src/", sources);
    let mut found = Vec::new();
    for (from, targets) in all.graph().iter().enumerate() {
        let source = all.files[from].source;
        let Some(own) = wing(&source.path) else {
            continue;
        };
        for (to, at) in targets {
            let target = &all.files[*to].source.path;
            let Some(used) = wing(target).filter(|used| !may_use(own, used)) else {
                continue;
            };
            let message = format!(
                "{own} uses `{target}`, and may not know `{used}`: arrows go one way, as the table in tests/it/tidy/wings.rs says"
            );
            found.push(Violation::new(&source.path, source.line(*at), message));
        }
    }
    found
}

/// The wing of a file of the journal, or the ground floor; none for other files.
fn wing(path: &str) -> Option<&str> {
    let inside = path.strip_prefix(HOUSE)?;
    Some(
        inside
            .split_once('/')
            .map_or(GROUND_FLOOR, |(wing, _)| wing),
    )
}

fn may_use(own: &str, used: &str) -> bool {
    let row = WINGS.iter().find(|(wing, _)| *wing == own);
    used == own || used == GROUND_FLOOR || row.is_some_and(|(_, row)| row.contains(&used))
}

#[cfg(test)]
mod tests {
    use super::{WINGS, wings};
    use crate::tidy::source::Source;

    /// The violations of a journal in which one file uses something.
    fn found(path: &str, text: &str) -> Vec<String> {
        let mut files = vec![
            ("src/lib.rs", "pub mod journal; pub mod act;"),
            ("src/act.rs", "pub struct Deed;"),
            (
                "src/journal/mod.rs",
                "mod append; mod error; mod read; pub use append::append_in; pub use read::Found;",
            ),
            ("src/journal/error.rs", "pub struct JournalError;"),
            (
                "src/journal/append/mod.rs",
                "mod insert; pub use insert::append_in;",
            ),
            ("src/journal/append/insert.rs", "pub fn append_in() {}"),
            (
                "src/journal/read/mod.rs",
                "mod found; pub use found::Found;",
            ),
            ("src/journal/read/found.rs", "pub struct Found;"),
        ];
        files.retain(|(there, _)| *there != path);
        files.push((path, text));
        let sources: Vec<Source> = files
            .iter()
            .map(|(path, text)| Source::new(path, text))
            .collect();
        wings(&sources).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn finds_an_arrow_that_points_back() {
        for (path, text) in [
            (
                "src/journal/read/found.rs",
                "use crate::journal::append::insert::append_in;",
            ),
            (
                "src/journal/read/found.rs",
                "use crate::journal::append_in;",
            ),
            (
                "src/journal/read/found.rs",
                "fn a() { crate::journal::append::append_in() }",
            ),
            ("src/journal/error.rs", "use crate::journal::Found;"),
        ] {
            let found = found(path, text);
            assert_eq!(found.len(), 1, "{path}: {text}: {found:?}");
        }
        let found = found(
            "src/journal/read/found.rs",
            "use crate::journal::append_in;",
        );
        let expected = "src/journal/read/found.rs:1: read uses `src/journal/append/insert.rs`, and may not know `append`";
        assert!(found[0].starts_with(expected), "{found:?}");
    }

    #[test]
    fn allows_the_arrows_of_the_table() {
        for (path, text) in [
            (
                "src/journal/append/insert.rs",
                "use crate::journal::{Found, error::JournalError};",
            ),
            ("src/act.rs", "use crate::journal::{Found, append_in};"),
            (
                "src/journal/mod.rs",
                "mod append; mod error; mod read; use append::append_in;",
            ),
        ] {
            let found = found(path, text);
            assert!(found.is_empty(), "{path}: {text}: {found:?}");
        }
    }

    #[test]
    fn the_table_has_no_circle() {
        // A wing may use only wings that stand above it in the table.
        for (place, (wing, row)) in WINGS.iter().enumerate() {
            for used in *row {
                let above = WINGS[..place].iter().any(|(above, _)| above == used);
                assert!(above, "{wing} may use {used}");
            }
        }
    }
}
