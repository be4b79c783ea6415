//! The scalars of a text of YAML with their places, found without a parser, so that a broken text
//! has some too. Knows which of them may be an address or a secret, and takes too many for one
//! rather than too few. Pure.

use std::ops::Range;

/// Keys whose value is an address or a secret.
pub(super) const HIDDEN_KEYS: [&str; 3] = ["url", "notify", "secret"];
/// What only addresses and secrets contain.
const SIGNS: [&str; 5] = ["://", ":\\\\", "http:", "https:", "whsec_"];

/// A scalar that may be an address or a secret.
#[derive(Debug)]
pub(super) struct Scalar {
    /// Where it is, with its quotes.
    pub(super) span: Range<usize>,
    /// What it says.
    pub(super) text: String,
    /// Whether it is the value of a hidden key, whatever it says.
    pub(super) is_value: bool,
}

/// The scalars of `text` that may be an address or a secret.
pub(super) fn suspicious(text: &str) -> Vec<Scalar> {
    let mut scanner = Scanner {
        text,
        ..Scanner::default()
    };
    while scanner.at < text.len() {
        scanner.step();
    }
    scanner.found
}

/// Whether a text has the sign of an address or a secret, also with blanks between its letters:
/// those of a broken line are none of an address.
fn has_sign(text: &str) -> bool {
    let is_blank = |c: &char| c.is_whitespace() || c.is_control();
    let letters = text.chars().filter(|c| !is_blank(c));
    let squashed: String = letters.collect::<String>().to_ascii_lowercase();
    SIGNS.iter().any(|sign| squashed.contains(sign))
}

/// A key whose value is awaited, or a scalar that may turn out to be one.
#[derive(Debug, Clone, Copy)]
struct Key {
    column: usize,
    is_hidden: bool,
    /// Where a colon makes it a key also without a blank behind it: after its quote.
    end: Option<usize>,
}

#[derive(Debug, Default)]
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// The flow collections around this place: whether what is in them is hidden.
    flow: Vec<bool>,
    /// The column of the block key or dash that this belongs to.
    parent: Option<usize>,
    /// The key whose value comes.
    key: Option<Key>,
    /// What was read last, in case that a colon follows.
    last: Option<Key>,
    /// The column of a hidden block key, until something stands beside or before it.
    covered: Option<usize>,
    /// Whether an anchor, and a tag of YAML, is before what comes.
    anchored: bool,
    tagged: bool,
    found: Vec<Scalar>,
}

impl Scanner<'_> {
    /// Reads one blank, comment, indicator or scalar.
    fn step(&mut self) {
        let byte = self.byte(self.at);
        if is_space(byte) {
            self.at += 1;
            return;
        }
        let is_apart = self.at == 0 || is_space(self.byte(self.at - 1));
        if byte == Some(b'#') && is_apart {
            self.at = self.end_of_line(self.at);
            return;
        }
        self.leave();
        let column = self.column(self.at);
        let in_flow = !self.flow.is_empty();
        match byte {
            Some(b'-' | b'?') if is_space(self.byte(self.at + 1)) => {
                if !in_flow {
                    self.parent = Some(column);
                }
                if byte == Some(b'?') {
                    self.key = None;
                }
                self.at += 1;
            }
            Some(b':') if self.is_colon(self.at) => self.colon(column),
            Some(open @ (b'{' | b'[')) => {
                let is_hidden = open == b'[' && self.hides();
                self.flow.push(is_hidden);
                self.settle();
            }
            Some(b'}' | b']') if in_flow => {
                self.flow.pop();
                self.settle();
            }
            Some(b',') if in_flow => self.settle(),
            Some(b'&') => {
                self.at = self.end_of_word(self.at);
                self.anchored = true;
            }
            Some(b'*') => {
                self.at = self.end_of_word(self.at);
                self.key = None;
                self.last = Some(Key {
                    column,
                    is_hidden: true,
                    end: None,
                });
            }
            Some(b'!') => self.tag(),
            Some(b'"') => self.quoted(b'"'),
            Some(b'\'') => self.quoted(b'\''),
            Some(b'|' | b'>') if !in_flow => self.block(),
            _ => self.plain(),
        }
    }

    /// Ends what a line ends that begins before or beside it.
    fn leave(&mut self) {
        let start = self.start_of_line(self.at);
        let is_first = self.text[start..self.at].trim().is_empty();
        if !is_first || !self.flow.is_empty() {
            return;
        }
        let column = self.at - start;
        let is_dash = self.byte(self.at) == Some(b'-') && is_space(self.byte(self.at + 1));
        let ends = |of: usize| column < of || (column == of && !is_dash);
        if !self.is_colon(self.at) && self.key.is_some_and(|key| ends(key.column)) {
            self.key = None;
        }
        if !self.is_colon(self.at) && self.covered.is_some_and(ends) {
            self.covered = None;
        }
        if self.parent.is_some_and(|parent| parent > column) {
            self.parent = Some(column);
        }
    }

    /// A bracket or comma: what was before it is over.
    fn settle(&mut self) {
        self.at += 1;
        self.key = None;
        self.last = None;
        self.anchored = false;
        self.tagged = false;
    }

    /// Makes what was read last the key of what comes.
    fn colon(&mut self, column: usize) {
        self.at += 1;
        let mut key = self.last.take().unwrap_or(Key {
            column,
            is_hidden: false,
            end: None,
        });
        key.column = key.column.min(column);
        if self.flow.is_empty() {
            self.parent = Some(key.column);
            if key.is_hidden {
                self.covered = Some(key.column);
            }
        }
        self.key = Some(key);
    }

    fn tag(&mut self) {
        let end = self.end_of_word(self.at);
        let name = &self.text[self.at + 1..end];
        // A negation looks like a tag too.
        self.tagged |= name.starts_with('<') || name.contains('!');
        self.at = end;
    }

    fn quoted(&mut self, quote: u8) {
        let start = self.at;
        let mut text = String::new();
        let mut chars = self.text[start + 1..].char_indices().peekable();
        let mut end = self.text.len();
        while let Some((at, c)) = chars.next() {
            if c == '\\' && quote == b'"' {
                escaped(&mut chars, &mut text);
            } else if c != char::from(quote) {
                text.push(c);
            } else if quote == b'\'' && chars.next_if(|(_, c)| *c == '\'').is_some() {
                text.push('\'');
            } else {
                end = start + 1 + at + 1;
                break;
            }
        }
        self.take(start..end, text, Some(end));
    }

    /// A literal or folded one: all lines that are deeper than what it belongs to.
    fn block(&mut self) {
        let start = self.at;
        let mut end = self.end_of_line(start);
        while let Some(next) = self.next_line(end) {
            if self
                .parent
                .is_some_and(|parent| self.column(next) <= parent)
            {
                break;
            }
            end = self.end_of_line(next);
        }
        let text = self.text[self.end_of_line(start)..end].to_owned();
        self.take(start..end, text, None);
    }

    fn plain(&mut self) {
        let start = self.at;
        let in_flow = !self.flow.is_empty();
        let mut at = start;
        let mut end = start;
        let mut is_first_line = true;
        while let Some(byte) = self.byte(at) {
            let ends = match byte {
                b'\n' | b'\r' => {
                    let next = self.next_line(at).filter(|next| self.goes_on(start, *next));
                    let Some(next) = next else { break };
                    is_first_line = false;
                    at = next;
                    continue;
                }
                b'#' => is_space(self.byte(at.wrapping_sub(1))) && at > start,
                b',' | b'[' | b']' | b'{' | b'}' => in_flow,
                // No key is in the middle of a hidden value.
                b':' if in_flow => !self.hides() && self.is_colon(at),
                b':' => is_first_line && self.is_colon(at),
                _ => false,
            };
            if ends {
                break;
            }
            at += 1;
            if !is_space(Some(byte)) {
                end = at;
            }
        }
        // Whatever it is, it is behind this place.
        let end = end.max(start + 1);
        let end = (end..=self.text.len()).find(|end| self.text.is_char_boundary(*end));
        let end = end.unwrap_or(self.text.len());
        let text = self.text[start..end].to_owned();
        self.take(start..end, text, None);
    }

    /// Whether the plain scalar that begins at `start` goes on at `next`, in a later line.
    fn goes_on(&self, start: usize, next: usize) -> bool {
        if self.byte(next) == Some(b'#') {
            return false;
        }
        if !self.flow.is_empty() {
            return true;
        }
        let column = self.column(next);
        if self.parent.is_some_and(|parent| column <= parent) {
            return false;
        }
        let line = &self.text[next..self.end_of_line(next)];
        let is_other = line.starts_with("- ") || line.contains(": ") || line.ends_with(':');
        !is_other || self.hides() || self.anchored || has_sign(&self.text[start..next])
    }

    /// Takes a scalar, which ends the wait for a value unless a colon makes it a key.
    fn take(&mut self, span: Range<usize>, text: String, quote_end: Option<usize>) {
        let column = self.column(span.start);
        self.at = span.end;
        let mut after = span.end;
        let in_flow = !self.flow.is_empty();
        while matches!(self.byte(after), Some(b' ' | b'\t'))
            || (in_flow && after < self.text.len() && is_space(self.byte(after)))
        {
            after += 1;
        }
        let is_signed = has_sign(&text);
        let name: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let name = name.to_ascii_lowercase();
        let is_hidden_key = HIDDEN_KEYS.iter().any(|key| name.ends_with(key));
        self.last = Some(Key {
            column,
            is_hidden: is_hidden_key || is_signed || self.tagged,
            end: quote_end,
        });
        let is_key = self.is_colon(after);
        let is_value = !is_key && self.hides();
        // What has an anchor may be a value elsewhere, and what a tag makes of a text is unknown.
        let is_marked = !is_key && (self.anchored || self.tagged);
        if is_value || is_signed || is_marked {
            self.found.push(Scalar {
                span,
                text,
                is_value,
            });
        }
        if !is_key {
            self.key = None;
        }
        self.anchored = false;
        self.tagged = false;
    }

    /// Whether a value at this place is hidden.
    fn hides(&self) -> bool {
        match (self.key, self.flow.last()) {
            (Some(key), _) => key.is_hidden,
            (None, Some(is_hidden)) => *is_hidden,
            (None, None) => self.covered.is_some(),
        }
    }

    /// Whether the byte is a colon that makes a key of what is before it.
    fn is_colon(&self, at: usize) -> bool {
        let next = self.byte(at + 1);
        self.byte(at) == Some(b':')
            && (is_space(next)
                || self.last.is_some_and(|last| last.end == Some(at))
                || (!self.flow.is_empty()
                    && matches!(next, Some(b',' | b'[' | b']' | b'{' | b'}'))))
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn start_of_line(&self, at: usize) -> usize {
        let end = self.text[..at].rfind(['\n', '\r']);
        end.map_or(0, |end| end + 1)
    }

    fn end_of_line(&self, at: usize) -> usize {
        let length = self.text[at..].find(['\n', '\r']);
        length.map_or(self.text.len(), |length| at + length)
    }

    fn column(&self, at: usize) -> usize {
        at - self.start_of_line(at)
    }

    /// Where the first thing is in the lines after `at`.
    fn next_line(&self, at: usize) -> Option<usize> {
        let rest = &self.text[at..];
        let blanks = rest.len() - rest.trim_start().len();
        (blanks < rest.len()).then_some(at + blanks)
    }

    /// The end of the name of an anchor, alias or tag.
    fn end_of_word(&self, at: usize) -> usize {
        let in_flow = !self.flow.is_empty();
        let ends = |c: char| {
            c.is_ascii_whitespace() || (in_flow && matches!(c, ',' | '[' | ']' | '{' | '}'))
        };
        let length = self.text[at + 1..].find(ends);
        length.map_or(self.text.len(), |length| at + 1 + length)
    }
}

/// Whether it is blank; so is the end of the text.
fn is_space(byte: Option<u8>) -> bool {
    matches!(byte, None | Some(b' ' | b'\t' | b'\n' | b'\r'))
}

/// Reads what follows a backslash in double quotes.
fn escaped(chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>, text: &mut String) {
    let Some((_, c)) = chars.next() else {
        return;
    };
    let digits = match c {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        // A line that is broken, or a blank.
        '\n' | '\r' | 'n' | 'r' | 't' | '0' | 'a' | 'b' | 'e' | 'f' | 'v' | 'N' | '_' | 'L'
        | 'P' => {
            text.push(' ');
            return;
        }
        other => {
            text.push(other);
            return;
        }
    };
    let mut code = 0;
    for _ in 0..digits {
        let Some((_, digit)) = chars.next_if(|(_, c)| c.is_ascii_hexdigit()) else {
            break;
        };
        code = code * 16 + digit.to_digit(16).unwrap_or_default();
    }
    text.extend(char::from_u32(code));
}
