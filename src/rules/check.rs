//! Names and types of a condition against the schema of facts. Must find at load what CEL would
//! only find when somebody has already signed up.

use std::collections::BTreeMap;

use cel::Program;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, SelectExpr};
use cel::common::ast::{EntryExpr, operators};

use crate::rules::literals;
use crate::rules::schema::{self, FUNCTIONS, Kind, Object};

/// The most comprehensions (`exists`, `all`, `map`, …) inside one another.
const MAX_COMPREHENSIONS: usize = 2;

/// A byte of the condition and what is wrong there.
pub(crate) type Finding = (usize, String);

/// Finds everything that cannot be meant in a compiled condition of a rule for `signal`.
pub(crate) fn check(
    program: &Program,
    text: &str,
    signal: &str,
    lists: &BTreeMap<String, Vec<String>>,
) -> Vec<Finding> {
    let mut checker = Checker {
        program,
        text,
        signal,
        lists,
        scope: Vec::new(),
        nesting: 0,
        findings: Vec::new(),
    };
    let kind = checker.kind_of(program.expression());
    if !kind.may_be(&Kind::Bool) {
        checker.find(
            0,
            format!("the condition is {}; expected true or false", kind.name()),
        );
    }
    checker.findings
}

pub(crate) struct Checker<'a> {
    program: &'a Program,
    text: &'a str,
    signal: &'a str,
    pub(crate) lists: &'a BTreeMap<String, Vec<String>>,
    /// The variables of comprehensions, innermost last.
    scope: Vec<(String, Kind)>,
    nesting: usize,
    findings: Vec<Finding>,
}

impl Checker<'_> {
    pub(crate) fn find(&mut self, offset: usize, message: String) {
        self.findings.push((offset, message));
    }

    /// The byte where the parser says that a node is: its operator, dot or bracket.
    pub(crate) fn offset_of(&self, expr: &IdedExpr) -> usize {
        let start = self
            .program
            .source_info()
            .offset_for(expr.id)
            .map_or(0, |(start, _)| start);
        (start as usize).min(self.text.len())
    }

    /// The byte where the name begins that stands before the bracket of a call.
    fn name_offset(&self, expr: &IdedExpr) -> usize {
        let before = self.text[..self.offset_of(expr)].trim_end();
        before.len() - before.bytes().rev().take_while(|b| is_word(*b)).count()
    }

    pub(crate) fn kind_of(&mut self, expr: &IdedExpr) -> Kind {
        match &expr.expr {
            Expr::Unspecified => Kind::Any,
            Expr::Literal(literal) => kind_of_literal(literal),
            Expr::Ident(name) => self.kind_of_name(expr, name),
            Expr::Select(select) => self.kind_of_member(expr, select),
            Expr::Call(call) => self.kind_of_call(expr, call),
            Expr::Comprehension(comprehension) => self.kind_of_comprehension(expr, comprehension),
            Expr::List(list) => {
                let entries = list.elements.iter().map(|element| self.kind_of(element));
                Kind::list(entries.fold(Kind::Nothing, Kind::or))
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.kind_of(&entry.key);
                        self.kind_of(&entry.value);
                    }
                }
                Kind::Map
            }
            Expr::Struct(object) => {
                let message = format!(
                    "{:?} is no type that a condition can make",
                    object.type_name
                );
                self.find(self.name_offset(expr), message);
                Kind::Any
            }
        }
    }

    fn kind_of_name(&mut self, expr: &IdedExpr, name: &str) -> Kind {
        if let Some((_, kind)) = self
            .scope
            .iter()
            .rev()
            .find(|(variable, _)| variable == name)
        {
            return kind.clone();
        }
        let offset = self.offset_of(expr);
        let Some(kind) = schema::root(name) else {
            let expected = one_of(schema::ROOTS.iter().copied());
            self.find(
                offset,
                format!("nothing is called {name:?}; expected {expected}"),
            );
            return Kind::Any;
        };
        if !schema::has_root(self.signal, name) {
            let message = format!("{name} is always null for {}", self.signal);
            self.find(offset, message);
        }
        kind
    }

    fn kind_of_member(&mut self, expr: &IdedExpr, select: &SelectExpr) -> Kind {
        let operand = self.kind_of(&select.operand);
        let from = self.offset_of(if select.test { &select.operand } else { expr });
        let offset = self.text[from..]
            .find(&select.field)
            .map_or(from, |at| from + at);
        let kind = self.member_of(&operand, &select.field, offset);
        if select.test { Kind::Bool } else { kind }
    }

    fn member_of(&mut self, owner: &Kind, name: &str, offset: usize) -> Kind {
        match owner {
            Kind::Any | Kind::Nothing | Kind::Map => Kind::Any,
            Kind::Object(Object::Lists) => {
                if !self.lists.contains_key(name) {
                    let message = match one_of(self.lists.keys().map(String::as_str)) {
                        expected if expected.is_empty() => {
                            format!("there is no list {name:?}; the file has no lists")
                        }
                        expected => format!("there is no list {name:?}; expected {expected}"),
                    };
                    self.find(offset, message);
                }
                Kind::list(Kind::Text)
            }
            Kind::Object(object) => object.member(name).unwrap_or_else(|| {
                let expected = one_of(object.members().iter().map(|(member, _)| *member));
                let message = format!(
                    "{} has no member {name:?}; expected {expected}",
                    owner.name()
                );
                self.find(offset, message);
                Kind::Any
            }),
            _ => {
                self.find(
                    offset,
                    format!("{} has no members, not even {name:?}", owner.name()),
                );
                Kind::Any
            }
        }
    }

    fn kind_of_comprehension(&mut self, expr: &IdedExpr, it: &ComprehensionExpr) -> Kind {
        let entry = match self.kind_of(&it.iter_range) {
            Kind::List(entry) => *entry,
            Kind::Any | Kind::Nothing => Kind::Any,
            Kind::Map => Kind::Text,
            other => {
                let macro_at = self.name_offset(expr);
                let name = self.text[macro_at..self.offset_of(expr)].trim_end();
                let message = format!("{name}() needs a list, this is {}", other.name());
                self.find(macro_at, message);
                Kind::Any
            }
        };
        self.nesting += 1;
        if self.nesting == MAX_COMPREHENSIONS + 1 {
            let message = format!(
                "more than {MAX_COMPREHENSIONS} of exists, all, map and filter inside one another"
            );
            self.find(self.name_offset(expr), message);
        }
        let initial = self.kind_of(&it.accu_init);
        self.scope.push((it.iter_var.clone(), entry));
        self.scope.push((it.accu_var.clone(), initial));
        let step = self.kind_of(&it.loop_step);
        if let Some((_, accumulated)) = self.scope.last_mut() {
            *accumulated = step;
        }
        let kind = self.kind_of(&it.result);
        self.scope.truncate(self.scope.len() - 2);
        self.nesting -= 1;
        kind
    }

    fn kind_of_call(&mut self, expr: &IdedExpr, call: &CallExpr) -> Kind {
        if let Some(kind) = self.kind_of_operation(expr, call) {
            return kind;
        }
        let receiver = call.target.as_deref().map(|target| self.kind_of(target));
        let arguments: Vec<Kind> = call
            .args
            .iter()
            .map(|argument| self.kind_of(argument))
            .collect();
        let offset = self.name_offset(expr);
        let name = call.func_name.as_str();
        let candidates = || {
            FUNCTIONS
                .iter()
                .filter(move |function| function.name == name)
        };
        if candidates().next().is_none() {
            let mut names: Vec<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
            names.dedup();
            let expected = one_of(names.into_iter());
            self.find(
                offset,
                format!("there is no function {name:?}; expected {expected}"),
            );
            return Kind::Any;
        }
        let Some(function) = candidates().find(|function| {
            function.of.is_some() == receiver.is_some()
                && function.arguments.len() == arguments.len()
        }) else {
            let expected: Vec<String> = candidates().map(schema::Function::signature).collect();
            self.find(
                offset,
                format!(
                    "{name} is not called like this; expected {}",
                    expected.join(" or ")
                ),
            );
            return Kind::Any;
        };
        let wanted = function
            .of
            .into_iter()
            .chain(function.arguments.iter().copied());
        for (given, wanted) in receiver.iter().chain(&arguments).zip(wanted) {
            if !wanted.iter().any(|kind| given.may_be(kind)) {
                let wanted = one_of(wanted.iter().map(Kind::name));
                self.find(
                    offset,
                    format!("{name} is given {}; expected {wanted}", given.name()),
                );
            }
        }
        if name == "matches"
            && let Some(pattern) = call.args.first()
        {
            literals::check_pattern(self, pattern);
        }
        function.answer.clone()
    }

    /// The type of an operation, or `None` if the call is one of a function.
    fn kind_of_operation(&mut self, expr: &IdedExpr, call: &CallExpr) -> Option<Kind> {
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
        let offset = self.offset_of(expr);
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
                    let message =
                        format!("{sign} is given {}; expected true or false", kind.name());
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
                literals::check_equality(self, &call.args);
                Kind::Bool
            }
            (operators::IN, [a, b]) => {
                self.check_membership(a, b, offset);
                literals::check_membership(self, &call.args);
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
            let at = self.offset_of(index);
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

fn kind_of_literal(literal: &LiteralValue) -> Kind {
    match literal {
        LiteralValue::Boolean(_) => Kind::Bool,
        LiteralValue::Int(_) | LiteralValue::UInt(_) | LiteralValue::Double(_) => Kind::Number,
        LiteralValue::String(_) => Kind::Text,
        LiteralValue::Bytes(_) => Kind::Any,
        LiteralValue::Null => Kind::Null,
    }
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

/// `a`, `a or b`, `a, b or c`.
pub(crate) fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.collect();
    match words.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
