//! How logs and errors speak: lowercase, without a final period.

use crate::tidy::Violation;
use crate::tidy::source::{Literal, Source, closing, words};

/// What introduces a text: a log line's macro, an error's attribute, or context added to an error.
const OPENINGS: [(&str, &str); 9] = [
    ("trace!(", "log"),
    ("debug!(", "log"),
    ("info!(", "log"),
    ("warn!(", "log"),
    ("error!(", "log"),
    ("#[error(", "error"),
    ("bail!(", "error"),
    ("anyhow!(", "error"),
    (".context(", "error"),
];

/// Names that keep their capital at the head of a text.
const NAMES: [&str; 3] = ["Kafka", "Konnect", "Postgres"];

/// Texts that begin with a capital or end with a period.
pub(crate) fn texts(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    for (opening, what) in OPENINGS {
        for at in words(&source.production, opening) {
            let Some(literal) = message(source, at + opening.len() - 1) else {
                continue;
            };
            if let Some(fault) = fault(&literal.text) {
                let message = format!("{what} text {fault}: \"{}\"", literal.text);
                found.push(Violation::new(
                    &source.path,
                    source.line(literal.at),
                    message,
                ));
            }
        }
    }
    found
}

/// The first argument of a call that is a bare literal: neither a field's value nor inside another
/// call.
fn message(source: &Source, open: usize) -> Option<&Literal> {
    let code = &source.production;
    let close = closing(code, open)?;
    source
        .literals
        .iter()
        .filter(|literal| (open..close).contains(&literal.at))
        .find(|literal| {
            let before = &code[open..literal.at];
            let opened = before.matches(['(', '[', '{']).count();
            let closed = before.matches([')', ']', '}']).count();
            opened == closed + 1 && before.trim_end().ends_with(['(', ','])
        })
}

fn fault(text: &str) -> Option<&'static str> {
    let head: String = text.chars().take_while(|c| c.is_alphanumeric()).collect();
    let capitals = head.chars().filter(|c| c.is_uppercase()).count();
    let begins_with_a_capital = head.starts_with(char::is_uppercase);
    // Two capitals make an acronym or the name of a type.
    if begins_with_a_capital && capitals < 2 && !NAMES.contains(&head.as_str()) {
        Some("begins with a capital")
    } else if text.trim_end().ends_with('.') {
        Some("ends with a period")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::texts;
    use crate::tidy::source::Source;

    #[test]
    fn finds_capitals_and_periods() {
        for text in [
            "info!(\"Ready\");",
            "tracing::warn!(delivery.id = %id, \"Could not store\");",
            "error!(error = &err as &dyn Error, reason = \"x\", \"could not store.\");",
            "debug!(\n    count = list(\"A\", 2),\n    \"Done\"\n);",
            "#[error(\"Could not read {0}\")]\nstruct A;",
            "#[error(\n    \"could not read {path}.\"\n)]\nstruct A;",
            "bail!(\"Nothing to do\");",
            "open().context(\"Could not open\")?;",
        ] {
            let found = texts(&Source::new("src/a.rs", text));
            assert_eq!(found.len(), 1, "{text}: {found:?}");
        }
    }

    #[test]
    fn leaves_good_texts_and_other_literals_alone() {
        for text in [
            "info!(\"ready\");",
            "warn!(target: \"A\", kind = \"B.\", \"Kafka is away\");",
            "error!(name = format!(\"A.\"), \"JWKS could not be fetched\");",
            "#[error(transparent)]\nstruct A;",
            "#[error(\"{0}\")]\nstruct A;",
            "#[error(\"could not read {path}\")]\nstruct A;",
            "let a = \"Ready.\"; println!(\"Ready.\");",
            "// info!(\"Ready.\")",
            "#[cfg(test)]\nmod tests { fn a() { info!(\"Ready.\"); } }",
        ] {
            let found = texts(&Source::new("src/a.rs", text));
            assert!(found.is_empty(), "{text}: {found:?}");
        }
    }

    #[test]
    fn points_at_the_text() {
        let source = Source::new("src/a.rs", "//! x\nwarn!(\n    \"Bad.\"\n);");
        assert_eq!(
            texts(&source)[0].to_string(),
            "src/a.rs:3: log text begins with a capital: \"Bad.\""
        );
    }
}
