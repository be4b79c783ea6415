//! Conditions that let in more people than they seem to: parts of an address that others can have,
//! too, and lists of people to keep out. Warns only: such a condition may be intended.

use cel::Program;
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators};

use crate::domain::normal_form;
use crate::offsets::{Finding, Offsets};

/// Functions that read an address as any text.
const PARTS: &[&str] = &["endsWith", "startsWith", "contains", "matches"];

/// What is known of the address where a part of the condition is evaluated.
#[derive(Debug, Clone, Copy, Default)]
struct AddressBounds {
    /// Its domain, or the whole of it, is one that the rule names.
    is_named: bool,
    /// It has a domain.
    has_domain: bool,
}

/// Finds the parts that let in too many in the condition of a rule that lets somebody in.
pub(crate) fn find(program: &Program, text: &str) -> Vec<Finding> {
    let mut search = Search {
        offsets: Offsets::new(program, text),
        findings: Vec::new(),
    };
    search.walk(program.expression(), true, AddressBounds::default());
    search.findings
}

struct Search<'a> {
    offsets: Offsets<'a>,
    findings: Vec<Finding>,
}

impl Search<'_> {
    /// Walks what must be true, or false unless `holds`, for people to be let in.
    fn walk(&mut self, expr: &IdedExpr, holds: bool, known: AddressBounds) {
        match &expr.expr {
            Expr::Call(call) => self.walk_call(expr, call, holds, known),
            Expr::Comprehension(it) => {
                for part in [&it.iter_range, &it.loop_cond, &it.loop_step, &it.result] {
                    self.walk(part, holds, known);
                }
            }
            Expr::List(list) => {
                for element in &list.elements {
                    self.walk(element, holds, known);
                }
            }
            Expr::Select(select) => self.walk(&select.operand, holds, known),
            Expr::Unspecified
            | Expr::Ident(_)
            | Expr::Literal(_)
            | Expr::Map(_)
            | Expr::Struct(_) => {}
        }
    }

    fn walk_call(&mut self, expr: &IdedExpr, call: &CallExpr, holds: bool, known: AddressBounds) {
        let name = call.func_name.as_str();
        if name == operators::LOGICAL_NOT {
            for operand in &call.args {
                self.walk(operand, !holds, known);
            }
            return;
        }
        let mut known = known;
        if is_all(name, holds) {
            known.is_named |= call.args.iter().any(|part| names(part, holds));
            known.has_domain |= call.args.iter().any(|part| asks_for_domain(part, holds));
        }
        let keeps_out = match name {
            operators::NOT_EQUALS => holds && is_domain_compared(call),
            operators::EQUALS => !holds && is_domain_compared(call),
            operators::IN => !holds && call.args.first().is_some_and(is_domain),
            "is_freemail" => !holds,
            _ => false,
        };
        if keeps_out && !known.is_named && !known.has_domain {
            let message = "this keeps out only whom it names and lets in everybody else, also addresses of which domain() knows no domain; expected domain(…) in a list of whom to let in, or && domain(developer.email) != \"\" beside it";
            let at = match name {
                "is_freemail" => self.offsets.of_name(expr),
                _ => self.offsets.of(expr),
            };
            self.findings.push((at, message.to_owned()));
        }
        if name == operators::EQUALS
            && holds
            && !known.has_domain
            && call.args.len() == 2
            && call.args.iter().all(is_domain)
        {
            let message = "this is also true for two addresses without a domain; expected && domain(…) != \"\" beside it";
            self.findings
                .push((self.offsets.of(expr), message.to_owned()));
        }
        if let Some(of) = &call.target
            && PARTS.contains(&name)
            && (is_email(of) || (is_domain(of) && !is_subdomain(call)))
            && !known.is_named
            && (holds || !known.has_domain)
        {
            let message = part(name, call, holds);
            let at = self.offsets.of_name(expr);
            self.findings.push((at, message));
        }
        for part in call.target.as_deref().into_iter().chain(&call.args) {
            self.walk(part, holds, known);
        }
    }
}

/// The warning about a function that reads an address as any text.
fn part(name: &str, call: &CallExpr, holds: bool) -> String {
    let written = call.args.first().and_then(as_text);
    let domain = written
        .filter(|_| name == "endsWith")
        .and_then(|text| normal_form(text.strip_prefix('@')?));
    let expected = match domain {
        Some(domain) if holds => format!("domain(developer.email) == {domain:?}"),
        _ => "domain(developer.email) in a list of whom to let in".to_owned(),
    };
    let why = if holds {
        "may be true for similar addresses of others"
    } else {
        "keeps out only whom it names and lets in everybody else"
    };
    format!("{name}() reads an address as any text and {why}; expected {expected}")
}

/// Whether all operands must be as they should for the whole to be.
fn is_all(name: &str, holds: bool) -> bool {
    name == if holds {
        operators::LOGICAL_AND
    } else {
        operators::LOGICAL_OR
    }
}

fn is_any(name: &str, holds: bool) -> bool {
    is_all(name, !holds)
}

/// Whether this can only be as it should for addresses or domains that the rule names, or for
/// members of a team.
fn names(expr: &IdedExpr, holds: bool) -> bool {
    let Expr::Call(call) = &expr.expr else {
        return false;
    };
    let is_exact = |side: &IdedExpr| is_email(side) || is_domain(side);
    match call.func_name.as_str() {
        operators::LOGICAL_NOT => call.args.iter().any(|part| names(part, !holds)),
        name if is_all(name, holds) => call.args.iter().any(|part| names(part, holds)),
        name if is_any(name, holds) => call.args.iter().all(|part| names(part, holds)),
        operators::EQUALS if holds => {
            call.args.iter().any(is_exact) && !call.args.iter().any(is_empty)
        }
        operators::NOT_EQUALS if !holds => {
            call.args.iter().any(is_exact) && !call.args.iter().any(is_empty)
        }
        operators::IN => holds && call.args.first().is_some_and(is_exact),
        "in_team" => holds,
        _ => false,
    }
}

/// Whether this can only be as it should where there is a domain.
fn asks_for_domain(expr: &IdedExpr, holds: bool) -> bool {
    let Expr::Call(call) = &expr.expr else {
        return false;
    };
    match call.func_name.as_str() {
        operators::LOGICAL_NOT => call.args.iter().any(|part| asks_for_domain(part, !holds)),
        name if is_all(name, holds) => call.args.iter().any(|part| asks_for_domain(part, holds)),
        operators::NOT_EQUALS if holds => {
            call.args.iter().any(is_domain) && call.args.iter().any(is_empty)
        }
        operators::EQUALS if !holds => {
            call.args.iter().any(is_domain) && call.args.iter().any(is_empty)
        }
        _ => false,
    }
}

/// Whether `domain()` is compared with anything but `""`.
fn is_domain_compared(call: &CallExpr) -> bool {
    call.args.iter().any(is_domain) && !call.args.iter().any(is_empty)
}

/// Whether `endsWith` asks for the domains below one.
fn is_subdomain(call: &CallExpr) -> bool {
    let below = |text: &str| text.strip_prefix('.').and_then(normal_form).is_some();
    call.func_name == "endsWith" && call.args.first().and_then(as_text).is_some_and(below)
}

fn is_email(expr: &IdedExpr) -> bool {
    match &expr.expr {
        Expr::Select(SelectExpr { field, test, .. }) => field == "email" && !test,
        Expr::Call(call) if call.func_name == operators::INDEX => {
            call.args.get(1).and_then(as_text) == Some("email")
        }
        _ => false,
    }
}

fn is_domain(expr: &IdedExpr) -> bool {
    matches!(&expr.expr, Expr::Call(CallExpr { func_name, target: None, .. }) if func_name == "domain")
}

fn is_empty(expr: &IdedExpr) -> bool {
    as_text(expr) == Some("")
}

fn as_text(expr: &IdedExpr) -> Option<&str> {
    match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::find;
    use crate::condition::{Condition, language};

    /// What is found, each as `byte: word`.
    fn found(text: &str) -> String {
        let lists = BTreeMap::from([("l".to_owned(), vec!["arsenal.com".to_owned()])]);
        let condition = Condition::compile(&language(), text, "developer.signed_up", &lists);
        let condition = condition.unwrap_or_else(|findings| panic!("{text}: {findings:?}"));
        let findings = find(condition.program(), text).into_iter();
        let told = findings.map(|(at, message)| {
            let kind = if message.contains("similar") {
                "part"
            } else if message.contains("two addresses") {
                "none"
            } else {
                "rest"
            };
            format!("{at}: {kind}")
        });
        told.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn finds_what_lets_in_more_than_it_seems_to() {
        for (text, expected) in [
            ("developer.email.endsWith('@arsenal.com')", "16: part"),
            ("developer.email.contains('arsenal')", "16: part"),
            ("developer.email.matches('arsenal')", "16: part"),
            ("developer.email.startsWith('ann.')", "16: part"),
            ("developer['email'].contains('arsenal')", "19: part"),
            ("domain(developer.email).contains('arsenal')", "24: part"),
            ("domain(developer.email).matches('a')", "24: part"),
            ("['a'].exists(p, developer.email.contains(p))", "32: part"),
            (
                "developer.status == 'pending' && (developer.full_name == 'x' || developer.email.matches('a'))",
                "80: part",
            ),
            ("domain(developer.email) != 'gmail.com'", "24: rest"),
            ("!(domain(developer.email) == 'gmail.com')", "26: rest"),
            ("!(domain(developer.email) in lists.l)", "26: rest"),
            ("!(domain(developer.email) in ['gmail.com'])", "26: rest"),
            ("!is_freemail(developer.email)", "1: rest"),
            ("!developer.email.endsWith('@gmail.com')", "17: rest"),
            (
                "domain(developer.email) in lists.l || !is_freemail(developer.email)",
                "39: rest",
            ),
            (
                "domain(developer.email) == domain(developer.full_name)",
                "24: none",
            ),
            (
                "developer.status == 'pending' ? developer.email.contains('x') : false",
                "48: part",
            ),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    #[test]
    fn lets_be_what_names_whom_it_lets_in() {
        for text in [
            "true",
            "domain(developer.email) in lists.l",
            "domain(developer.email) == 'arsenal.com'",
            "!(domain(developer.email) != 'arsenal.com')",
            "developer.email == 'ann@arsenal.com' || domain(developer.email) in ['arsenal.com']",
            "domain(developer.email).endsWith('.ac.uk')",
            "domain(developer.email) in lists.l && !developer.email.startsWith('info@')",
            "developer.email.startsWith('ann.') && domain(developer.email) == 'arsenal.com'",
            "in_team(developer, 'Partners') && !is_freemail(developer.email)",
            "!is_freemail(developer.email) && domain(developer.email) != ''",
            "!(is_freemail(developer.email) || domain(developer.email) == '')",
            "domain(developer.email) != ''",
            "is_freemail(developer.email)",
            "domain(developer.email) != '' && domain(developer.email) == domain(developer.full_name)",
            "developer.full_name.contains('Ann') && portal.name.matches('x')",
        ] {
            assert_eq!(found(text), "", "{text}");
        }
    }

    #[test]
    fn says_what_to_write_instead() {
        let messages = |text: &str| {
            let lists = BTreeMap::new();
            let condition = Condition::compile(&language(), text, "developer.signed_up", &lists);
            let condition = condition.unwrap_or_else(|findings| panic!("{findings:?}"));
            find(condition.program(), text).remove(0).1
        };
        assert_eq!(
            messages("developer.email.endsWith('@Arsenal.com')"),
            r#"endsWith() reads an address as any text and may be true for similar addresses of others; expected domain(developer.email) == "arsenal.com""#
        );
        assert_eq!(
            messages("domain(developer.email) != 'gmail.com'"),
            r#"this keeps out only whom it names and lets in everybody else, also addresses of which domain() knows no domain; expected domain(…) in a list of whom to let in, or && domain(developer.email) != "" beside it"#
        );
    }
}
