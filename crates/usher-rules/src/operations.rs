//! The types of operators. Second half of `check`, which walks the expression.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};

use crate::check::Checker;
use crate::literals;
use crate::schema::Kind;

impl Checker<'_> {
    /// The type of an operation, or `None` if the call is one of a function.
    pub(crate) fn kind_of_operation(&mut self, expr: &IdedExpr, call: &CallExpr) -> Option<Kind> {
        let operator = call.func_name.as_str();
        let sign = match operator {
            operators::LOGICAL_AND => "&&",
            operators::LOGICAL_OR => "||",
            operators::LOGICAL_NOT => "!",
            operators::NOT_STRICTLY_FALSE | operators::CONDITIONAL => "?",
            operators::INDEX => "[]",
            operators::NEGATE => "-",
            other => operators_sign(other)?,
        };
        let offset = self.offsets.of(expr);
        if operator == operators::INDEX
            && let [owner, index] = call.args.as_slice()
        {
            return Some(self.kind_of_entry(owner, index, offset));
        }
        let kinds: Vec<Kind> = call
            .args
            .iter()
            .map(|argument| self.kind_of(argument))
            .collect();
        Some(match (operator, kinds.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, kinds) => {
                for kind in kinds.iter().filter(|kind| !kind.may_be(&Kind::Bool)) {
                    // The expansion of exists() and the like has operators that nobody wrote.
                    let subject = if self.offsets.is_written(sign, offset) {
                        format!("{sign} is given")
                    } else {
                        "this is".to_owned()
                    };
                    let message = format!("{subject} {}; expected true or false", kind.name());
                    self.find(offset, message);
                }
                Kind::Bool
            }
            (operators::CONDITIONAL, [condition, yes, no]) => {
                if !condition.may_be(&Kind::Bool) {
                    let message =
                        format!("? is given {}; expected true or false", condition.name());
                    self.find(offset, message);
                }
                yes.clone().or(no.clone())
            }
            (operators::NEGATE, [kind]) => {
                if !kind.may_be(&Kind::Number) && !kind.may_be(&Kind::Span) {
                    self.find(
                        offset,
                        format!("- is given {}; expected a number", kind.name()),
                    );
                }
                kind.clone()
            }
            (operators::EQUALS | operators::NOT_EQUALS, [a, b]) => {
                if !a.may_be(b) && *a != Kind::Null && *b != Kind::Null {
                    let message = format!(
                        "{sign} compares {} with {}; they are never equal",
                        a.name(),
                        b.name()
                    );
                    self.find(offset, message);
                }
                self.found(literals::check_equality(self.offsets, &call.args));
                Kind::Bool
            }
            (operators::IN, [a, b]) => {
                self.check_membership(a, b, offset);
                let found = literals::check_membership(self.offsets, self.lists, &call.args);
                self.found(found);
                Kind::Bool
            }
            (_, [a, b]) => self.kind_of_arithmetic(operator, sign, a, b, offset),
            _ => Kind::Any,
        })
    }

    fn kind_of_entry(&mut self, owner: &IdedExpr, index: &IdedExpr, offset: usize) -> Kind {
        let kind = self.kind_of(owner);
        let index_kind = self.kind_of(index);
        if let (Kind::Object(_), Expr::Literal(LiteralValue::String(name))) = (&kind, &index.expr) {
            let at = self.offsets.of(index);
            return self.member_of(&kind, name.inner(), at);
        }
        match kind {
            Kind::List(entry) => {
                if !index_kind.may_be(&Kind::Number) {
                    let message = format!(
                        "a list is indexed by {}; expected a number",
                        index_kind.name()
                    );
                    self.find(offset, message);
                }
                *entry
            }
            Kind::Any | Kind::Nothing | Kind::Map | Kind::Object(_) => Kind::Any,
            other => {
                self.find(
                    offset,
                    format!("{} has no entries; expected a list or a map", other.name()),
                );
                Kind::Any
            }
        }
    }

    fn check_membership(&mut self, entry: &Kind, list: &Kind, offset: usize) {
        match list {
            Kind::List(entries) if !entry.may_be(entries) && *entry != Kind::Null => {
                let message = format!("{} is never in a list of {}", entry.name(), plural(entries));
                self.find(offset, message);
            }
            Kind::List(_) | Kind::Any | Kind::Nothing | Kind::Map | Kind::Object(_) => {}
            other => self.find(
                offset,
                format!("in is given {}; expected a list", other.name()),
            ),
        }
    }

    fn kind_of_arithmetic(
        &mut self,
        operator: &str,
        sign: &str,
        a: &Kind,
        b: &Kind,
        offset: usize,
    ) -> Kind {
        let known = match (a, b) {
            (Kind::Any | Kind::Nothing, _) | (_, Kind::Any | Kind::Nothing) => {
                return match operator {
                    operators::LESS
                    | operators::LESS_EQUALS
                    | operators::GREATER
                    | operators::GREATER_EQUALS => Kind::Bool,
                    _ => Kind::Any,
                };
            }
            (a, b) => (operator, a, b),
        };
        match known {
            (
                operators::LESS
                | operators::LESS_EQUALS
                | operators::GREATER
                | operators::GREATER_EQUALS,
                Kind::Number | Kind::Text | Kind::Time | Kind::Span | Kind::Bool,
                b,
            ) if a == b => Kind::Bool,
            (operators::ADD, Kind::List(_), Kind::List(_)) => a.clone().or(b.clone()),
            (operators::ADD, Kind::Text | Kind::Span, b) if a == b => a.clone(),
            (operators::ADD, Kind::Time, Kind::Span) | (operators::ADD, Kind::Span, Kind::Time) => {
                Kind::Time
            }
            (operators::SUBSTRACT, Kind::Time, Kind::Time) => Kind::Span,
            (operators::SUBSTRACT, Kind::Time | Kind::Span, Kind::Span) => a.clone(),
            (
                operators::ADD
                | operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::MODULO,
                Kind::Number,
                Kind::Number,
            ) => Kind::Number,
            _ => {
                self.find(
                    offset,
                    format!("{sign} cannot be applied to {} and {}", a.name(), b.name()),
                );
                Kind::Any
            }
        }
    }
}

fn operators_sign(operator: &str) -> Option<&'static str> {
    Some(match operator {
        operators::EQUALS => "==",
        operators::NOT_EQUALS => "!=",
        operators::LESS => "<",
        operators::LESS_EQUALS => "<=",
        operators::GREATER => ">",
        operators::GREATER_EQUALS => ">=",
        operators::ADD => "+",
        operators::SUBSTRACT => "-",
        operators::MULTIPLY => "*",
        operators::DIVIDE => "/",
        operators::MODULO => "%",
        operators::IN => "in",
        _ => return None,
    })
}

fn plural(kind: &Kind) -> String {
    match kind {
        Kind::Text => "texts".to_owned(),
        other => format!(
            "{}s",
            other
                .name()
                .trim_start_matches("an ")
                .trim_start_matches("a ")
        ),
    }
}
