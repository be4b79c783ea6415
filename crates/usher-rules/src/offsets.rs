//! Where the parts of a condition are in its text.

use cel::Program;
use cel::common::ast::IdedExpr;

/// A byte of the condition and what is wrong there.
pub(crate) type Finding = (usize, String);

/// A compiled condition beside its text.
#[derive(Clone, Copy)]
pub(crate) struct Offsets<'a> {
    program: &'a Program,
    text: &'a str,
}

impl<'a> Offsets<'a> {
    pub(crate) fn new(program: &'a Program, text: &'a str) -> Self {
        Self { program, text }
    }

    /// The text of the condition.
    pub(crate) fn text(self) -> &'a str {
        self.text
    }

    /// The byte where the parser says that a node is: its operator, dot or bracket.
    pub(crate) fn of(self, expr: &IdedExpr) -> usize {
        let start = self
            .program
            .source_info()
            .offset_for(expr.id)
            .map_or(0, |(start, _)| start);
        (start as usize).min(self.text.len())
    }

    /// The byte where the name begins that stands before the bracket of a call.
    pub(crate) fn of_name(self, expr: &IdedExpr) -> usize {
        let before = self.text[..self.of(expr)].trim_end();
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        before.len() - before.bytes().rev().take_while(is_word).count()
    }

    /// Whether the text of the condition has `word` where the parser puts `expr`.
    pub(crate) fn is_written(self, word: &str, offset: usize) -> bool {
        self.text[offset..].starts_with(word)
    }
}
