//! A Rust file taken apart just far enough for the rules: code, literals, and what only tests see.
//!
//! Not a parser: it knows comments, literals and brackets, and nothing of grammar.

use std::ops::Range;

/// A file, with offsets that mean the same in `text`, `code` and `production`.
pub(crate) struct Source {
    /// From the root of the workspace, with `/`.
    pub(crate) path: String,
    /// As read.
    pub(crate) text: String,
    /// `text` with the insides of comments and literals blanked.
    pub(crate) code: String,
    /// `code` with everything blanked that only tests see.
    pub(crate) production: String,
    /// String literals in order.
    pub(crate) literals: Vec<Literal>,
    tests: Vec<Range<usize>>,
}

/// A string literal as written, without its quotes.
pub(crate) struct Literal {
    /// Offset of its first character, prefix and quote included.
    pub(crate) at: usize,
    /// What stands between the quotes, escapes as written.
    pub(crate) text: String,
}

impl Source {
    /// Takes `text` apart.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let (code, literals) = Lexer::default().run(text);
        let tests = test_items(path, &code);
        let mut production = code.clone().into_bytes();
        for range in &tests {
            blank(&mut production[range.clone()]);
        }
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            production: utf8(production),
            literals,
            tests,
        }
    }

    /// The line of an offset, from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }

    /// Whether only tests see what stands at an offset.
    pub(crate) fn in_tests(&self, at: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&at))
    }

    /// Lines that not only tests see.
    pub(crate) fn length(&self) -> usize {
        let tests: usize = self
            .tests
            .iter()
            .map(|range| self.line(range.end.saturating_sub(1)) - self.line(range.start) + 1)
            .sum();
        self.text.lines().count() - tests
    }
}

/// Offsets at which `word` stands in `code` as a whole word.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| {
            let before = at.checked_sub(1).is_some_and(|at| is_word(bytes[at]));
            let end = at + word.len();
            let last_is_word = is_word(bytes[end - 1]);
            let after = last_is_word && bytes.get(end).copied().is_some_and(is_word);
            !before && !after
        })
}

/// Offsets at which a path begins with the crate `name`.
pub(crate) fn crate_paths<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    words(code, name).filter(move |at| {
        let before = &code[..*at];
        let inside_a_path = before.strip_suffix("::").is_some_and(|head| {
            head.ends_with(|end: char| end == '>' || end == '_' || end.is_alphanumeric())
        });
        let used_whole = before.ends_with("use ");
        !inside_a_path
            && !before.ends_with('.')
            && (used_whole || code[at + name.len()..].starts_with("::"))
    })
}

/// Offset of the bracket that closes the one at `open`.
pub(crate) fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// Whether a byte can be part of an identifier.
pub(crate) fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

/// Whether the whole of a file is tests, benchmarks or examples.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.split('/')
        .any(|part| matches!(part, "tests" | "tests.rs" | "benches" | "examples"))
}

/// What only tests see: the whole of a test file, else each `#[cfg(test)]` and its item.
fn test_items(path: &str, code: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    if is_test_file(path) {
        ranges.push(0..code.len());
    }
    for (start, attribute) in code.match_indices("#[cfg(test)]") {
        if ranges.last().is_some_and(|last| last.contains(&start)) {
            continue;
        }
        let from = start + attribute.len();
        let end = match code[from..].find(['{', ';']) {
            Some(offset) if code.as_bytes()[from + offset] == b'{' => {
                closing(code, from + offset).map_or(code.len(), |close| close + 1)
            }
            Some(offset) => from + offset + 1,
            None => code.len(),
        };
        ranges.push(start..end);
    }
    ranges
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}

fn utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("whole characters are blanked")
}

/// Copies code, blanks the rest, and keeps the literals.
#[derive(Default)]
struct Lexer {
    at: usize,
    literals: Vec<Literal>,
}

impl Lexer {
    fn run(mut self, text: &str) -> (String, Vec<Literal>) {
        let mut code = text.as_bytes().to_vec();
        while self.at < text.len() {
            let rest = &text.as_bytes()[self.at..];
            let skipped = if rest.starts_with(b"//") {
                0..line_comment(rest)
            } else if rest.starts_with(b"/*") {
                0..block_comment(rest)
            } else if let Some(inside) = self.string(text) {
                inside
            } else if rest[0] == b'\'' {
                character(rest)
            } else {
                self.at += 1;
                continue;
            };
            blank(&mut code[self.at + skipped.start..self.at + skipped.end]);
            // What closes a literal is one quote and as many `#` as opened it: copied as code.
            self.at += skipped.end.max(1) + usize::from(rest[0] != b'/');
        }
        (utf8(code), self.literals)
    }

    /// The inside of a string literal that begins here, from here.
    fn string(&mut self, text: &str) -> Option<Range<usize>> {
        let bytes = text.as_bytes();
        let rest = &bytes[self.at..];
        let continues = self.at.checked_sub(1).is_some_and(|at| is_word(bytes[at]));
        let prefix = if continues {
            0
        } else {
            ["br", "cr", "r", "b", "c"]
                .iter()
                .find(|prefix| rest.starts_with(prefix.as_bytes()))
                .map_or(0, |prefix| prefix.len())
        };
        let raw = rest[..prefix].ends_with(b"r");
        let hashes = if raw {
            rest[prefix..]
                .iter()
                .take_while(|byte| **byte == b'#')
                .count()
        } else {
            0
        };
        let start = prefix + hashes + 1;
        if rest.get(start - 1) != Some(&b'"') {
            return None;
        }
        let length = if raw {
            let close = format!("\"{}", "#".repeat(hashes));
            text[self.at + start..].find(&close)
        } else {
            unescaped_quote(&rest[start..])
        }
        .unwrap_or(rest.len() - start);
        self.literals.push(Literal {
            at: self.at,
            text: text[self.at + start..self.at + start + length].to_owned(),
        });
        Some(start..(start + length).min(rest.len()))
    }
}

fn line_comment(rest: &[u8]) -> usize {
    rest.iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(rest.len())
}

/// Block comments nest.
fn block_comment(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn unescaped_quote(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return Some(at),
            _ => at += 1,
        }
    }
    None
}

/// The inside of a character literal; empty for a lifetime.
fn character(rest: &[u8]) -> Range<usize> {
    let end = match rest.get(1) {
        Some(b'\\') => rest
            .iter()
            .skip(3)
            .position(|byte| *byte == b'\'')
            .map(|offset| offset + 3),
        // A character has at most four bytes.
        Some(first) => (2..=5)
            .find(|at| rest.get(*at) == Some(&b'\''))
            .filter(|at| *at == 2 || !first.is_ascii()),
        None => None,
    };
    end.map_or(0..0, |end| 1..end)
}

#[cfg(test)]
mod tests {
    use super::{Source, crate_paths, words};

    #[test]
    fn blanks_comments_and_literals_and_keeps_every_offset() {
        let text = "let a = \"x // y\"; // b\n/* c /* d */ e */ let f = r#\"g\"h\"#; let i = '\"'; let j: &'k str = b\"l\\\"m\";\nlet n = '\\''; let o = 'ü';";
        let source = Source::new("src/x.rs", text);
        assert_eq!(source.code.len(), text.len());
        let code: String = source.code.split_whitespace().collect();
        assert_eq!(
            code,
            "leta=\"\";letf=r#\"\"#;leti='';letj:&'kstr=b\"\";letn='';leto='';"
        );
        let literals: Vec<&str> = source
            .literals
            .iter()
            .map(|found| found.text.as_str())
            .collect();
        assert_eq!(literals, ["x // y", "g\"h", "l\\\"m"]);
        assert_eq!(source.line(source.literals[2].at), 2);
    }

    #[test]
    fn tells_tests_from_production() {
        let text = "//! x\nfn a() { b() }\n#[cfg(test)]\nmod tests {\n    fn c() {}\n}\nfn d() {}\n#[cfg(test)]\nmod more;\n";
        let source = Source::new("src/x.rs", text);
        for (word, production) in [("a", true), ("c", false), ("d", true), ("more", false)] {
            assert_eq!(
                words(&source.production, word).count(),
                usize::from(production),
                "{word}"
            );
            assert_eq!(words(&source.code, word).count(), 1, "{word}");
        }
        assert_eq!(source.length(), 3);
        let outside = Source::new("tests/it/x.rs", text);
        assert_eq!(outside.production.trim(), "");
        assert_eq!(outside.length(), 0);
    }

    #[test]
    fn finds_paths_that_begin_with_a_crate() {
        for (code, found) in [
            ("use sqlx::PgPool;", true),
            ("use sqlx;", true),
            ("fn a(b: &::sqlx::PgPool) {}", true),
            ("let a = sqlx::query!();", true),
            ("use crate::sqlx::A;", false),
            ("let a = b.sqlx;", false),
            ("let a = my_sqlx::B;", false),
        ] {
            assert_eq!(
                crate_paths(code, "sqlx").count(),
                usize::from(found),
                "{code}"
            );
        }
    }
}
