//! Bounds on the text of a condition, checked before the CEL parser sees it. The parser and the
//! interpreter recurse, and an overflow of the stack aborts the process.
//!
//! The scan reads strings exactly as CEL's lexer does and refuses what the lexer would refuse, so
//! that nothing can hide brackets from it.

use std::iter::Peekable;
use std::mem;
use std::str::CharIndices;

/// The longest condition, in characters.
pub(crate) const MAX_LENGTH: usize = 2_000;
/// The deepest nesting of brackets.
pub(crate) const MAX_BRACKETS: usize = 16;
/// The most operators, member accesses and negations that are open at one point.
pub(crate) const MAX_CHAIN: usize = 40;

/// Refuses a condition that is too long, too deep or unreadable; an error is the byte and the
/// reason.
pub(crate) fn check(text: &str) -> Result<(), (usize, String)> {
    let length = text.chars().count();
    if length > MAX_LENGTH {
        return Err((
            0,
            format!("the condition has {length} characters, at most {MAX_LENGTH} are allowed"),
        ));
    }
    Scan::new(text).run(text)
}

/// The bytes of every opening bracket of a condition and of its partner. Knows what is a bracket
/// and what only looks like one, inside a text or a comment.
pub(crate) fn brackets(text: &str) -> Vec<(usize, usize)> {
    let mut scan = Scan::new(text);
    match scan.run(text) {
        Ok(()) => scan.pairs,
        Err(_) => Vec::new(),
    }
}

/// Operators and accesses that follow one another inside one pair of brackets.
#[derive(Default)]
struct Chain {
    /// Operators since the last `&&` or `||`, which the parser reads without recursion.
    operators: usize,
    /// Questions of `? :`, each of which contains all that follows.
    questions: usize,
}

struct Scan<'a> {
    chars: Peekable<CharIndices<'a>>,
    /// The chains that open brackets interrupt.
    outer: Vec<Chain>,
    inner: Chain,
    /// All links of `outer` and `inner`.
    total: usize,
    /// Where the open brackets are.
    open: Vec<usize>,
    /// Those whose partner was found.
    pairs: Vec<(usize, usize)>,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            chars: text.char_indices().peekable(),
            outer: Vec::new(),
            inner: Chain::default(),
            total: 0,
            open: Vec::new(),
            pairs: Vec::new(),
        }
    }

    fn run(&mut self, text: &str) -> Result<(), (usize, String)> {
        while let Some((at, c)) = self.chars.next() {
            match c {
                '"' | '\'' => self.string(at, c, false)?,
                'a'..='z' | 'A'..='Z' | '_' => self.word(at, text)?,
                '0'..='9' => self.number(c),
                '/' if self.next_is('/') => {
                    while self.chars.next_if(|(_, c)| *c != '\n').is_some() {}
                }
                '(' | '[' | '{' => self.enter(at)?,
                ')' | ']' | '}' => self.leave(at)?,
                ',' => self.forget(),
                '&' | '|' => {
                    if self.chars.next_if(|(_, next)| *next == c).is_none() {
                        return Err((
                            at,
                            format!("{c} has no meaning in a condition; expected {c}{c}"),
                        ));
                    }
                    self.restart();
                }
                '?' => {
                    self.inner.questions += 1;
                    self.count(at)?;
                }
                '=' if !self.next_is('=') => {
                    return Err((
                        at,
                        "= has no meaning in a condition; expected ==".to_owned(),
                    ));
                }
                '=' | '<' | '>' | '+' | '-' | '*' | '/' | '%' | '!' | ':' | '.' => {
                    self.chars.next_if(|(_, next)| *next == '=');
                    self.link(at)?;
                }
                ' ' | '\t' | '\r' | '\n' | '\u{c}' => {}
                other => return Err((at, format!("{other:?} has no meaning in a condition"))),
            }
        }
        Ok(())
    }

    fn next_is(&mut self, wanted: char) -> bool {
        self.chars.peek().is_some_and(|(_, c)| *c == wanted)
    }

    fn enter(&mut self, at: usize) -> Result<(), (usize, String)> {
        self.open.push(at);
        self.outer.push(mem::take(&mut self.inner));
        if self.outer.len() > MAX_BRACKETS {
            return Err((
                at,
                format!("brackets are nested deeper than {MAX_BRACKETS}"),
            ));
        }
        Ok(())
    }

    /// Ends a pair of brackets, which is itself a link: `f()()()` is a chain.
    fn leave(&mut self, at: usize) -> Result<(), (usize, String)> {
        self.pairs.extend(self.open.pop().map(|open| (open, at)));
        self.forget();
        self.inner = self.outer.pop().unwrap_or_default();
        self.link(at)
    }

    fn restart(&mut self) {
        self.total -= mem::take(&mut self.inner.operators);
    }

    fn forget(&mut self) {
        self.restart();
        self.total -= mem::take(&mut self.inner.questions);
    }

    fn link(&mut self, at: usize) -> Result<(), (usize, String)> {
        self.inner.operators += 1;
        self.count(at)
    }

    fn count(&mut self, at: usize) -> Result<(), (usize, String)> {
        self.total += 1;
        if self.total > MAX_CHAIN {
            let message = format!(
                "more than {MAX_CHAIN} operators hang together; split them with && or ||, or use a list"
            );
            return Err((at, message));
        }
        Ok(())
    }

    /// Reads the rest of a number exactly as far as the lexer does. What follows without a space,
    /// such as `in` or the `r` of a raw string, is a word of its own.
    fn number(&mut self, first: char) {
        if first == '0' && self.skip_if_followed(&['x'], |c| c.is_ascii_hexdigit()) {
            self.skip_while(|c| c.is_ascii_hexdigit());
            self.chars.next_if(|(_, c)| matches!(c, 'u' | 'U'));
            return;
        }
        self.skip_while(|c| c.is_ascii_digit());
        let fraction = self.skip_if_followed(&['.'], |c| c.is_ascii_digit());
        self.skip_while(|c| c.is_ascii_digit());
        let mut ahead = self.chars.clone();
        let exponent = ahead.next_if(|(_, c)| matches!(c, 'e' | 'E')).is_some() && {
            ahead.next_if(|(_, c)| matches!(c, '+' | '-'));
            ahead.next_if(|(_, c)| c.is_ascii_digit()).is_some()
        };
        if exponent {
            self.chars = ahead;
            self.skip_while(|c| c.is_ascii_digit());
        } else if !fraction {
            self.chars.next_if(|(_, c)| matches!(c, 'u' | 'U'));
        }
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.chars.next_if(|(_, c)| wanted(*c)).is_some() {}
    }

    /// Skips one of some characters if the one after it is as expected.
    fn skip_if_followed(&mut self, wanted: &[char], after: impl Fn(char) -> bool) -> bool {
        let mut ahead = self.chars.clone();
        let follows = ahead.next().is_some_and(|(_, c)| wanted.contains(&c))
            && ahead.next().is_some_and(|(_, c)| after(c));
        if follows {
            self.chars.next();
        }
        follows
    }

    fn word(&mut self, at: usize, text: &str) -> Result<(), (usize, String)> {
        let mut end = at + 1;
        while self
            .chars
            .next_if(|(_, c)| c.is_ascii_alphanumeric() || *c == '_')
            .is_some()
        {
            end += 1;
        }
        let word = &text[at..end];
        if word == "in" {
            return self.link(at);
        }
        let raw = matches!(word, "r" | "R" | "br" | "bR" | "Br" | "BR");
        if (raw || matches!(word, "b" | "B"))
            && let Some((at, quote)) = self.chars.next_if(|(_, c)| matches!(c, '"' | '\''))
        {
            return self.string(at, quote, raw);
        }
        Ok(())
    }

    /// Reads a string whose first quote has been read.
    fn string(&mut self, at: usize, quote: char, raw: bool) -> Result<(), (usize, String)> {
        let mut triple = false;
        if self.next_is(quote) {
            self.chars.next();
            if !self.next_is(quote) {
                return Ok(());
            }
            self.chars.next();
            triple = true;
        }
        let mut quotes = 0;
        while let Some((position, c)) = self.chars.next() {
            if c == quote {
                quotes += 1;
                if !triple || quotes == 3 {
                    return Ok(());
                }
                continue;
            }
            quotes = 0;
            match c {
                '\n' | '\r' if !triple => break,
                '\\' if !raw => self.escape(position)?,
                _ => {}
            }
        }
        Err((
            at,
            "the text that begins here has no end; expected a closing quote".to_owned(),
        ))
    }

    fn escape(&mut self, at: usize) -> Result<(), (usize, String)> {
        let digits = match self.chars.next().map(|(_, c)| c) {
            Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' | '\'' | '"' | '`' | '?') => 0,
            Some('x' | 'X') => 2,
            Some('u') => 4,
            Some('U') => 8,
            Some('0'..='3') => {
                let octal = |(_, c): &(usize, char)| ('0'..='7').contains(c);
                if self
                    .chars
                    .next_if(octal)
                    .and_then(|_| self.chars.next_if(octal))
                    .is_none()
                {
                    return Err(unknown_escape(at));
                }
                0
            }
            _ => return Err(unknown_escape(at)),
        };
        for _ in 0..digits {
            if self.chars.next_if(|(_, c)| c.is_ascii_hexdigit()).is_none() {
                return Err(unknown_escape(at));
            }
        }
        Ok(())
    }
}

fn unknown_escape(at: usize) -> (usize, String) {
    (
        at,
        r#"unknown escape; expected one such as \\, \", \n or \u00e9"#.to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cel::Context;

    use crate::caps::{MAX_BRACKETS, MAX_CHAIN, MAX_LENGTH, check};
    use crate::condition::{Condition, language};

    /// Texts that overflow the stack of CEL's parser, or of what walks over its answer.
    fn hostile() -> Vec<String> {
        let nested = |open: &str, close: &str, times: usize| {
            format!("{}1{}", open.repeat(times), close.repeat(times))
        };
        let deep = "(".repeat(1_000);
        vec![
            nested("(", ")", 1_000),
            nested("[", "]", 1_000),
            nested("{1:", "}", 500),
            nested("size(", ")", 300),
            deep.clone(),
            format!("'{}'", "(".repeat(5_000)),
            format!("1{}", "+1".repeat(5_000)),
            format!("1{}", "+1".repeat(900)),
            format!("1{}", "==1".repeat(600)),
            format!("1{}", " in 1".repeat(390)),
            format!("{}true", "!".repeat(1_900)),
            format!("{}1", "-".repeat(1_900)),
            format!("{}1", "- ".repeat(900)),
            format!("{}1", "true?1:".repeat(280)),
            format!("{}1", "true&&true?1:".repeat(150)),
            format!("{}1", "true?".repeat(390)),
            format!("developer{}", ".a".repeat(900)),
            format!("developer{}", "[1]".repeat(600)),
            format!("developer{}", "()".repeat(900)),
            format!("developer{}", ".a()".repeat(450)),
            // Brackets behind what only looks like a string or a comment.
            format!(r"'\q' + {deep}"),
            format!("'\n{deep}'"),
            format!(r"r'\' + {deep}"),
            format!(r"xr'\'' + {deep}'"),
            format!(r#"""""{deep}"#),
            format!("'''''{deep}"),
            format!("// no\n{deep}"),
            format!("1 / / {deep}"),
            format!(r"'\x4' + {deep}"),
            format!(r"0xbr'\' + {deep}'"),
            format!(r"0Xbr'\'' + {deep}'"),
            format!("1{}", "e+ 1".repeat(390)),
            format!(r"1e5r'\' + {deep}'"),
            format!(r"1e-5r'\' + {deep}'"),
            format!(r"5ur'\' + {deep}'"),
            format!(r"1.5r'\' + {deep}'"),
            format!("1{}", ".a".repeat(900)),
            format!("1{}", "in 1".repeat(390)),
            format!("#{deep}"),
            format!("`{deep}`"),
        ]
    }

    #[test]
    fn hostile_texts_are_refused_and_do_not_abort_the_process() {
        let env = language();
        for text in hostile() {
            let answer = Condition::compile(&env, &text, "developer.signed_up", &BTreeMap::new());
            assert!(answer.is_err(), "{} characters: {:.40}", text.len(), text);
        }
    }

    #[test]
    fn the_worst_texts_that_are_allowed_are_parsed_and_evaluated_safely() {
        let env = language();
        let links = MAX_CHAIN - MAX_BRACKETS;
        let (open, close) = ("(".repeat(MAX_BRACKETS), ")".repeat(MAX_BRACKETS));
        for text in [
            format!("{open}1{close}"),
            format!("{}1{}", "[".repeat(MAX_BRACKETS), "]".repeat(MAX_BRACKETS)),
            format!("1{}", "+1".repeat(MAX_CHAIN)),
            format!("{}true", "!".repeat(MAX_CHAIN)),
            format!("{}1", "true?1:".repeat(MAX_CHAIN / 2)),
            format!("event{}", ".a".repeat(MAX_CHAIN)),
            format!("{open}1{close}{}", "+1".repeat(links)),
            format!("{}{open}1{close}", "1+".repeat(links)),
            format!("{open}1{}", "+1)".repeat(MAX_BRACKETS)),
            format!("{}{open}true{close}", "!".repeat(links)),
            format!("true{}", " && true".repeat(MAX_LENGTH / 8 - 1)),
            format!("1 in [{}1]", "1,".repeat(MAX_LENGTH / 2 - 10)),
        ] {
            assert_eq!(check(&text), Ok(()), "{text}");
            let program = env.compile(&text).expect("it is CEL");
            // Any answer is right: what counts is that there is one.
            assert!(program.execute(&Context::default()).is_ok() || text.starts_with("event"));
        }
    }

    #[test]
    fn says_where_and_why_a_text_is_refused() {
        for (text, expected) in [
            (
                "x".repeat(2_001),
                "0: the condition has 2001 characters, at most 2000 are allowed",
            ),
            (
                format!("true || {}", "(".repeat(17)),
                "24: brackets are nested deeper than 16",
            ),
            (
                format!("1{}", " + 1".repeat(41)),
                "162: more than 40 operators hang together; split them with && or ||, or use a list",
            ),
            (
                "a == 'b".to_owned(),
                "5: the text that begins here has no end; expected a closing quote",
            ),
            (
                "a == \"b\nc\"".to_owned(),
                "5: the text that begins here has no end; expected a closing quote",
            ),
            (
                r"a == '\d'".to_owned(),
                r#"6: unknown escape; expected one such as \\, \", \n or \u00e9"#,
            ),
            (
                r"a == '\u12'".to_owned(),
                r#"6: unknown escape; expected one such as \\, \", \n or \u00e9"#,
            ),
            (
                r"a == '\400'".to_owned(),
                r#"6: unknown escape; expected one such as \\, \", \n or \u00e9"#,
            ),
            (
                "a == “b”".to_owned(),
                "5: '“' has no meaning in a condition",
            ),
            ("ä == 1".to_owned(), "0: 'ä' has no meaning in a condition"),
        ] {
            let said = check(&text).map_err(|(at, message)| format!("{at}: {message}"));
            assert_eq!(said.expect_err("it is refused"), expected, "{text:?}");
        }
    }

    #[test]
    fn ordinary_conditions_are_not_refused() {
        let many = ["developer.full_name.startsWith('a')"; 50].join(" || ");
        for text in [
            "",
            "developer.status == \"pending\" && domain(developer.email) in lists.partners",
            r#"a == "x\"y" && b == 'it\'s' && c == r'\d+' && d == '''a 'b' c'''"#,
            r#"e == "\u00e9\x41\101\U0001F600" && f == b'x' && g == bR"\""#,
            "a.exists(t, t.name == 'x') // and so on ((((((((((((((((((((((",
            "1.5 + 2.25 > -3.0e5 || 0x1Fu == 31u || 1e+5 in[1]",
            &many,
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }
}
