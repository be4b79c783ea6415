//! The text of a rules file as a page shows it: some lines of it with their numbers, and the
//! mistakes at their places. Pure.

use crate::console::rules::mask;
use crate::console::show::cut;
use crate::rules::{Mistake, receivers};

/// Lines that a page shows.
const LINES: usize = 200;
/// Letters of a line that are shown, and of all of them together.
const LETTERS_OF_LINE: usize = 240;
const LETTERS: usize = 20_000;
/// Lines before a mistake that are shown with it.
const BEFORE: usize = 5;
/// Mistakes that are listed, and that are shown below one line.
const LISTED: usize = 30;
const BELOW: usize = 3;
/// Letters of a message.
const LETTERS_OF_MESSAGE: usize = 400;

/// Some lines of a file.
#[derive(Debug)]
pub(super) struct Source {
    /// They.
    pub(super) lines: Vec<Line>,
    /// The first mistakes of the whole file.
    pub(super) mistakes: Vec<Finding>,
    /// How many it has.
    pub(super) count: usize,
    /// How many lines the file has.
    pub(super) total: usize,
    /// The number of the line from which a page before this one would start, if there is one.
    pub(super) before: Option<usize>,
    /// The number of the line after those shown, if there is one.
    pub(super) next: Option<usize>,
}

/// A mistake, for a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) line: u64,
    pub(super) column: u64,
    pub(super) message: String,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: usize,
    /// What stands before the place of its first mistake; all of it without one.
    pub(super) start: String,
    /// The place of the mistake.
    pub(super) wrong: Option<String>,
    /// The rest.
    pub(super) end: String,
    /// What is wrong with it.
    pub(super) notes: Vec<Finding>,
}

impl Source {
    /// The lines of `text` from line `from` on, or else those around the first mistake.
    pub(super) fn new(text: &str, mistakes: &[Mistake], from: Option<usize>) -> Self {
        let shown = mask::lines(text, &receivers(text));
        let total = shown.len();
        let first_mistake = mistakes.first().map(|first| place(first.line));
        let from = from
            .or_else(|| first_mistake.map(|line| line.saturating_sub(BEFORE)))
            .unwrap_or(1)
            .clamp(1, total.max(1));
        let mut lines = Vec::new();
        let mut letters = 0;
        for (number, (raw, shown)) in (1..).zip(text.lines().zip(&shown)).skip(from - 1) {
            letters += shown.len().min(LETTERS_OF_LINE);
            if lines.len() == LINES || (letters > LETTERS && !lines.is_empty()) {
                break;
            }
            let here = mistakes.iter().filter(|one| place(one.line) == number);
            lines.push(Line::new(number, raw, shown, here));
        }
        let next = from + lines.len();
        Self {
            mistakes: mistakes.iter().take(LISTED).map(Finding::new).collect(),
            count: mistakes.len(),
            total,
            before: (from > 1).then(|| from.saturating_sub(LINES).max(1)),
            next: (next <= total).then_some(next),
            lines,
        }
    }
}

impl Line {
    fn new<'a>(
        number: usize,
        raw: &str,
        shown: &str,
        mistakes: impl Iterator<Item = &'a Mistake>,
    ) -> Self {
        let all: Vec<&Mistake> = mistakes.collect();
        let line = cut(shown, LETTERS_OF_LINE);
        let Some(first) = all.first() else {
            return Self {
                number,
                start: line,
                wrong: None,
                end: String::new(),
                notes: Vec::new(),
            };
        };
        // Where something is left out, columns are not those of the file.
        let column = if raw == shown { first.column } else { 1 };
        let (start, rest) = split_at_letter(&line, place(column).saturating_sub(1));
        let blanks = rest.len() - rest.trim_start().len();
        let (blanks, rest) = rest.split_at(blanks);
        let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let length = if raw == shown { length } else { rest.len() };
        let (wrong, end) = rest.split_at(length);
        // What is missing at the end of a line has a place too.
        let wrong = if wrong.is_empty() { "\u{a0}" } else { wrong };
        Self {
            number,
            start: format!("{start}{blanks}"),
            wrong: Some(wrong.to_owned()),
            end: end.to_owned(),
            notes: all
                .iter()
                .take(BELOW)
                .map(|one| Finding::new(one))
                .collect(),
        }
    }
}

impl Finding {
    pub(super) fn new(mistake: &Mistake) -> Self {
        Self {
            line: mistake.line,
            column: mistake.column,
            message: cut(&mask::message(&mistake.message), LETTERS_OF_MESSAGE),
        }
    }
}

/// A line or column as an index of this machine.
fn place(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn split_at_letter(text: &str, letter: usize) -> (&str, &str) {
    let at = text.char_indices().nth(letter).map(|(at, _)| at);
    text.split_at(at.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::{LINES, Source};
    use crate::rules::Mistake;

    fn mistake(line: u64, column: u64) -> Mistake {
        Mistake {
            file: "rules.yaml".to_owned(),
            line,
            column,
            message: "expected a name".to_owned(),
        }
    }

    #[test]
    fn a_mistake_is_marked_at_its_word() {
        let text = "version: 1\nrules:\n  - name: [a b]\n";
        let source = Source::new(text, &[mistake(3, 11), mistake(3, 14)], Some(1));
        let line = &source.lines[2];
        assert_eq!(
            (
                line.start.as_str(),
                line.wrong.as_deref(),
                line.end.as_str()
            ),
            ("  - name: ", Some("[a"), " b]")
        );
        assert_eq!(line.notes.len(), 2);
        assert!(source.lines[0].wrong.is_none());
        assert_eq!((source.total, source.next, source.before), (3, None, None));
    }

    #[test]
    fn a_mistake_past_the_end_has_a_place() {
        let source = Source::new("a\n", &[mistake(1, 40)], None);
        assert_eq!(source.lines[0].wrong.as_deref(), Some("\u{a0}"));
    }

    #[test]
    fn a_masked_line_is_marked_whole() {
        let text = "- notify: {url: https://h.example/secret}";
        let source = Source::new(text, &[mistake(1, 30)], None);
        let wrong = source.lines[0].wrong.as_deref();
        assert_eq!(wrong, Some("- notify: {url: https://h.example/…}"));
    }

    #[test]
    fn a_long_file_is_shown_in_parts() {
        let text = "x\n".repeat(450);
        let first = Source::new(&text, &[], None);
        assert_eq!((first.lines.len(), first.next), (LINES, Some(201)));
        let second = Source::new(&text, &[], first.next);
        assert_eq!(second.before, Some(1));
        let last = Source::new(&text, &[], Some(9_999));
        assert_eq!((last.lines[0].number, last.next), (450, None));
        let wrong = Source::new(&text, &[mistake(300, 1)], None);
        assert_eq!(wrong.lines[0].number, 295);
        let empty = Source::new("", &[], None);
        assert!(empty.lines.is_empty() && empty.next.is_none());
    }
}
