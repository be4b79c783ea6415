//! One condition: compiled once, evaluated for every signal, with a reason when it does not hold.
//! Reasons never repeat a value of the facts, which may be an e-mail address.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use cel::common::ast::{Expr, IdedExpr, operators};
use cel::{Context, Env, ExecutionError, Program, Value};

use crate::rules::check::{self, Finding};
use crate::rules::{caps, cost, schema};

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

    /// Whether the condition holds; an error is the reason why not.
    pub(crate) fn holds(&self, context: &Context<'_, 'static>) -> Result<(), String> {
        match self.program.execute(context) {
            Ok(Value::Bool(true)) => Ok(()),
            Ok(Value::Bool(false)) => Err(self.why_false(context)),
            Ok(other) => Err(format!(
                "the condition is {}, not true or false",
                other.type_of()
            )),
            Err(error) => Err(format!(
                "the condition cannot be decided: {}",
                self.describe(&error, context)
            )),
        }
    }

    /// Names the first part of a chain of `&&` that is false.
    fn why_false(&self, context: &Context<'_, 'static>) -> String {
        let (mut parts, mut cuts) = (Vec::new(), Vec::new());
        self.split(self.program.expression(), &mut parts, &mut cuts);
        let failed = parts
            .iter()
            .position(|part| matches!(Value::resolve(part, context), Ok(Value::Bool(false))));
        let Some(failed) = failed.filter(|_| parts.len() > 1) else {
            return "the condition is false".to_owned();
        };
        let from = failed
            .checked_sub(1)
            .map_or(0, |cut| cuts[cut] + "&&".len());
        let to = cuts.get(failed).copied().unwrap_or(self.text.len());
        let written = self.text.get(from..to).unwrap_or_default();
        format!("{} is false", without_loose_brackets(written))
    }

    /// The operands of the outermost `&&`s, and the bytes where those stand.
    fn split<'e>(&self, expr: &'e IdedExpr, parts: &mut Vec<&'e IdedExpr>, cuts: &mut Vec<usize>) {
        match &expr.expr {
            Expr::Call(call)
                if call.func_name == operators::LOGICAL_AND && call.args.len() == 2 =>
            {
                self.split(&call.args[0], parts, cuts);
                let cut = self.program.source_info().offset_for(expr.id);
                cuts.push(cut.map_or(self.text.len(), |(start, _)| start as usize));
                self.split(&call.args[1], parts, cuts);
            }
            _ => parts.push(expr),
        }
    }

    fn describe(&self, error: &ExecutionError, context: &Context<'_, 'static>) -> String {
        match error {
            ExecutionError::NoSuchOverload(overload)
                if overload
                    .argument_types()
                    .first()
                    .is_some_and(|kind| kind == "null_type") =>
            {
                let null = schema::ROOTS.iter().find(|root| {
                    self.program.references().has_variable(root)
                        && Value::resolve(&name(root), context)
                            .is_ok_and(|value| value == Value::Null)
                });
                match null {
                    Some(root) => format!("{root} is null"),
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

fn name(root: &str) -> IdedExpr {
    IdedExpr {
        id: 0,
        expr: Expr::Ident(root.to_owned()),
    }
}

/// The first thing that the parser stumbled over; the rest follows from it.
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

/// Drops brackets whose partner is in another part.
fn without_loose_brackets(part: &str) -> &str {
    let mut part = part.trim();
    loop {
        let count = |bracket: char| part.chars().filter(|c| *c == bracket).count();
        let stripped = match count('(').cmp(&count(')')) {
            Ordering::Equal => return part,
            Ordering::Greater => part.strip_prefix('('),
            Ordering::Less => part.strip_suffix(')'),
        };
        let Some(stripped) = stripped else {
            return part;
        };
        part = stripped.trim();
    }
}
