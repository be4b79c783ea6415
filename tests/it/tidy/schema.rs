//! Migrations: how they are named, that no two share a version, and that every column is explained.

use std::collections::{BTreeMap, BTreeSet};

use crate::tidy::Violation;
use crate::tidy::source::closing;

/// What may stand where a column could, inside the brackets of CREATE TABLE.
const CONSTRAINTS: [&str; 7] = [
    "PRIMARY",
    "UNIQUE",
    "CONSTRAINT",
    "CHECK",
    "FOREIGN",
    "EXCLUDE",
    "LIKE",
];

/// Faults of all migrations, given as path and text.
pub(crate) fn migrations(files: &[(String, String)]) -> Vec<Violation> {
    let mut found = names(files);
    let mut commented = BTreeSet::new();
    let mut columns = Vec::new();
    for (path, text) in files {
        let code = without_comments_and_literals(text);
        for statement in statements(&code) {
            commented.extend(comment(statement.text));
            let line = |at: usize| code[..statement.at + at].matches('\n').count() + 1;
            columns.extend(
                new_columns(statement.text)
                    .into_iter()
                    .map(|(at, column)| (path, line(at), column)),
            );
        }
    }
    for (path, line, column) in columns {
        if !commented.contains(&column) {
            let message =
                format!("column {column} has no comment: add COMMENT ON COLUMN {column} IS '…'");
            found.push(Violation::new(path, line, message));
        }
    }
    found
}

/// Names that are not `YYYYMMDDHHMMSS_verb_object.sql`, and versions given twice.
fn names(files: &[(String, String)]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut versions: BTreeMap<&str, &str> = BTreeMap::new();
    for (path, _) in files {
        let name = path.rsplit('/').next().unwrap_or(path);
        let Some((version, title)) = name
            .strip_suffix(".sql")
            .and_then(|name| name.split_once('_'))
        else {
            found.push(misnamed(path));
            continue;
        };
        let well_titled = title.contains('_')
            && title
                .bytes()
                .all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if version.len() != 14 || !version.bytes().all(|byte| byte.is_ascii_digit()) || !well_titled
        {
            found.push(misnamed(path));
        }
        if let Some(first) = versions.insert(version, path) {
            let message =
                format!("version {version} is that of {first} too: only one of them would run");
            found.push(Violation::new(path, 1, message));
        }
    }
    found
}

fn misnamed(path: &str) -> Violation {
    let message = "a migration is named YYYYMMDDHHMMSS_verb_object.sql";
    Violation::new(path, 1, message.to_owned())
}

/// `table.column` of a COMMENT ON COLUMN.
fn comment(statement: &str) -> Option<String> {
    let mut words = statement.split_whitespace();
    let head = [words.next()?, words.next()?, words.next()?];
    let is_comment = head
        .iter()
        .zip(["COMMENT", "ON", "COLUMN"])
        .all(|(found, expected)| found.eq_ignore_ascii_case(expected));
    is_comment.then(|| words.next().map(str::to_owned))?
}

/// Columns that a statement makes, as `table.column` with their offset.
fn new_columns(statement: &str) -> Vec<(usize, String)> {
    let words: Vec<&str> = statement.split_whitespace().collect();
    let upper: Vec<String> = words.iter().map(|word| word.to_uppercase()).collect();
    let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
    match upper.as_slice() {
        ["CREATE", "TABLE", rest @ ..] | ["CREATE", "UNLOGGED", "TABLE", rest @ ..] => {
            let table = words[words.len() - rest.len()..]
                .iter()
                .find(|word| !["IF", "NOT", "EXISTS"].contains(&word.to_uppercase().as_str()));
            let (Some(table), Some(open)) = (table, statement.find('(')) else {
                return Vec::new();
            };
            // Partitions take the columns of their parent, and its comments with them.
            if upper.contains(&"OF") {
                return Vec::new();
            }
            let table = table.split('(').next().unwrap_or(table);
            listed(statement, open, table)
        }
        ["ALTER", "TABLE", ..] => added(statement),
        _ => Vec::new(),
    }
}

/// The columns in the brackets that open at `open`.
fn listed(statement: &str, open: usize, table: &str) -> Vec<(usize, String)> {
    let close = closing(statement, open).unwrap_or(statement.len());
    let mut columns = Vec::new();
    let (mut depth, mut start) = (0_usize, open + 1);
    for (at, byte) in statement.bytes().enumerate().take(close + 1).skip(open + 1) {
        match byte {
            b'(' => depth += 1,
            b')' if at < close => depth -= 1,
            b',' | b')' if depth == 0 => {
                let item = &statement[start..at];
                let blanks = item.len() - item.trim_start().len();
                let name = item.split_whitespace().next().unwrap_or_default();
                let first = name.split('(').next().unwrap_or_default();
                if !first.is_empty() && !CONSTRAINTS.contains(&first.to_uppercase().as_str()) {
                    columns.push((start + blanks, format!("{table}.{first}")));
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    columns
}

/// The columns of an ALTER TABLE … ADD COLUMN.
fn added(statement: &str) -> Vec<(usize, String)> {
    let optional = ["IF", "NOT", "EXISTS", "ONLY"];
    let name = |text: &str| {
        text.split_whitespace()
            .find(|word| !optional.contains(&word.to_uppercase().as_str()))
            .unwrap_or_default()
            .trim_end_matches([',', ';'])
            .to_owned()
    };
    let upper = statement.to_uppercase();
    let table = name(&statement["ALTER TABLE".len()..]);
    upper
        .match_indices("ADD COLUMN")
        .map(|(at, words)| {
            (
                at,
                format!("{table}.{}", name(&statement[at + words.len()..])),
            )
        })
        .collect()
}

/// A statement without its semicolon, at its offset.
struct Statement<'a> {
    at: usize,
    text: &'a str,
}

fn statements(code: &str) -> Vec<Statement<'_>> {
    let mut at = 0;
    let mut found = Vec::new();
    for part in code.split(';') {
        let text = part.trim_start();
        found.push(Statement {
            at: at + part.len() - text.len(),
            text,
        });
        at += part.len() + 1;
    }
    found
}

/// The text with the insides of comments, quotes and dollar quotes blanked, every offset kept.
fn without_comments_and_literals(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if next == '\'' {
            rest[1..].find('\'').map_or(rest.len(), |end| end + 2)
        } else if let Some(body) = rest.strip_prefix("$$") {
            body.find("$$").map_or(rest.len(), |end| end + 4)
        } else {
            code.push(next);
            rest = &rest[next.len_utf8()..];
            continue;
        };
        code.extend(
            rest[..skipped]
                .bytes()
                .map(|byte| if byte == b'\n' { '\n' } else { ' ' }),
        );
        rest = &rest[skipped..];
    }
    code
}

#[cfg(test)]
mod tests {
    use super::migrations;

    fn check(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<(String, String)> = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect();
        migrations(&files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn asks_for_a_comment_on_every_column() {
        let told = check(&[(
            "migrations/20261121000001_create_a.sql",
            "-- One row (a; b) per thing.\nCREATE TABLE a (\n    id uuid PRIMARY KEY,\n    kind text NOT NULL CHECK (kind IN ('x', 'y;')),\n    \"size\" numeric(10, 2),\n    PRIMARY KEY (id, kind),\n    UNIQUE (kind)\n);\nCOMMENT ON COLUMN a.id IS 'It''s; here';",
        )]);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].starts_with(
                "migrations/20261121000001_create_a.sql:4: column a.kind has no comment"
            ),
            "{told:?}"
        );
        assert!(told[1].contains("sql:5: column a.\"size\""), "{told:?}");
    }

    #[test]
    fn takes_a_comment_from_any_migration() {
        let told = check(&[
            (
                "migrations/20261121000001_create_a.sql",
                "CREATE TABLE IF NOT EXISTS a (id uuid);",
            ),
            (
                "migrations/20261121000002_comment_a.sql",
                "comment on column a.id is 'Which';",
            ),
        ]);
        assert_eq!(told, Vec::<String>::new());
    }

    #[test]
    fn looks_at_columns_that_are_added() {
        let told = check(&[(
            "migrations/20261121000001_alter_a.sql",
            "ALTER TABLE a\n    ADD COLUMN b text,\n    ADD COLUMN IF NOT EXISTS c text;\nCOMMENT ON COLUMN a.b IS 'B';\nALTER TABLE a DROP COLUMN d;",
        )]);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("sql:3: column a.c"), "{told:?}");
    }

    #[test]
    fn passes_over_what_makes_no_column() {
        let told = check(&[(
            "migrations/20261121000001_create_a.sql",
            "CREATE TABLE a_1 PARTITION OF a FOR VALUES FROM (1) TO (2);\nCREATE INDEX a_b ON a (b);\nCREATE FUNCTION f(v text) RETURNS integer LANGUAGE sql AS $$ CREATE TABLE x (y int); $$;\n/* x */ INSERT INTO a (b) VALUES ('CREATE TABLE z (w int)');",
        )]);
        assert_eq!(told, Vec::<String>::new());
    }

    #[test]
    fn holds_the_form_of_names_and_the_uniqueness_of_versions() {
        for (path, good) in [
            ("migrations/20261121000001_create_events.sql", true),
            ("migrations/2026112100001_create_events.sql", false),
            ("migrations/20261121000001-create-events.sql", false),
            ("migrations/20261121000001_events.sql", false),
            ("migrations/20261121000001_Create_events.sql", false),
        ] {
            assert_eq!(check(&[(path, "")]).is_empty(), good, "{path}");
        }
        let told = check(&[
            ("migrations/20261121000001_create_a.sql", ""),
            ("migrations/20261121000001_create_b.sql", ""),
        ]);
        assert_eq!(told.len(), 1, "{told:?}");
    }
}
