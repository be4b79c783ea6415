//! One condition: compiled once, evaluated for every signal (see `trace`), and why a part of it has
//! no result. Reasons never repeat a value of the facts, which may be an e-mail address.

use std::collections::BTreeMap;

use cel::common::ast::IdedExpr;
use cel::{Context, Env, ExecutionError, Program};

use crate::named_facts::{facts_of, null_in};
use crate::offsets::Finding;
use crate::{caps, check, cost};

/// A compiled condition and its text.
#[derive(Debug)]
pub struct Condition {
    text: String,
    program: Program,
}

/// The language of conditions: CEL without its optional values.
pub(crate) fn language() -> Env {
    Env::stdlib().with_optional_support(false)
}

impl Condition {
    /// Compiles and checks the condition of a rule for `signal`.
    pub(crate) fn compile(
        env: &Env,
        text: &str,
        signal: &str,
        lists: &BTreeMap<String, Vec<String>>,
    ) -> Result<Self, Vec<Finding>> {
        caps::check(text).map_err(|finding| vec![finding])?;
        let program = env
            .compile(text)
            .map_err(|errors| vec![first_error(text, &errors)])?;
        let mut findings = check::check(&program, text, signal, lists);
        let rounds = cost::rounds(program.expression(), lists);
        if rounds > cost::MAX_ROUNDS {
            let max = cost::MAX_ROUNDS;
            findings.push((
                0,
                format!("the condition may take {rounds} rounds, at most {max} are allowed"),
            ));
        }
        if findings.is_empty() {
            Ok(Self {
                text: text.to_owned(),
                program,
            })
        } else {
            Err(findings)
        }
    }

    /// The condition as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    /// Says why `expr`, a part of the condition, has no result.
    pub(crate) fn describe(
        &self,
        error: &ExecutionError,
        expr: &IdedExpr,
        context: &Context<'_, 'static>,
    ) -> String {
        match error {
            ExecutionError::NoSuchOverload(overload)
                if overload
                    .argument_types()
                    .first()
                    .is_some_and(|kind| kind == "null_type") =>
            {
                let facts = facts_of(expr);
                let null = facts.iter().find_map(|fact| null_in(fact, context));
                match null {
                    Some(path) => format!("{path} is null"),
                    None => "a null on the way".to_owned(),
                }
            }
            ExecutionError::NoSuchOverload(overload) => format!(
                "{} cannot be applied to {}",
                overload.function(),
                overload.argument_types().join(" and ")
            ),
            // A key that the condition does not spell is a value of the facts.
            ExecutionError::NoSuchKey(key) if self.text.contains(key.as_str()) => {
                format!("there is no member {key:?}")
            }
            ExecutionError::NoSuchKey(_) => "there is no such member".to_owned(),
            ExecutionError::FunctionError { function, .. } => {
                format!("{function}() cannot answer")
            }
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
                "a division by zero".to_owned()
            }
            ExecutionError::Overflow(..) => "a number out of range".to_owned(),
            ExecutionError::IndexOutOfBounds(_) => "an index beyond the end of a list".to_owned(),
            _ => "the values do not fit together".to_owned(),
        }
    }
}

/// The first thing that the parser could not read; the rest follows from it.
fn first_error(text: &str, errors: &cel::ParseErrors) -> Finding {
    let Some(error) = errors.errors.first() else {
        return (0, "not a CEL expression".to_owned());
    };
    let (line, column) = error.pos;
    let skip = |count: isize| usize::try_from(count - 1).unwrap_or_default();
    let before: usize = text
        .split_inclusive('\n')
        .take(skip(line))
        .map(str::len)
        .sum();
    let rest = &text[before..];
    let within = rest
        .char_indices()
        .nth(skip(column))
        .map_or_else(|| rest.trim_end().len(), |(at, _)| at);
    let message = error
        .msg
        .strip_prefix("Syntax error: ")
        .unwrap_or(&error.msg);
    let message = message.split(" expecting {").next().unwrap_or(message);
    let message = message.replace("'<EOF>'", "end of the condition");
    let message = message
        .replace("mismatched input", "unexpected")
        .replace("extraneous input", "unexpected")
        .replace("no viable alternative at input", "unexpected");
    (before + within, format!("not a CEL expression: {message}"))
}
