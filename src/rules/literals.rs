//! Texts written in a condition that can never be what they are compared with. A rule that
//! never matches is a mistake that nobody would notice.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SelectExpr};
use cel::{Context, Program};

use crate::rules::check::{Checker, one_of};
use crate::rules::domain::normal_form;
use crate::rules::schema::STATUSES;

/// Checks `a == b` and `a != b`.
pub(crate) fn check_equality(checker: &mut Checker<'_>, sides: &[IdedExpr]) {
    if let [a, b] = sides {
        check_text(checker, a, b);
        check_text(checker, b, a);
    }
}

/// Checks `a in b` where `b` is written out or is one of the file's lists.
pub(crate) fn check_membership(checker: &mut Checker<'_>, sides: &[IdedExpr]) {
    let [value, list] = sides else { return };
    match &list.expr {
        Expr::List(entries) => {
            for entry in &entries.elements {
                check_text(checker, value, entry);
            }
        }
        Expr::Select(SelectExpr { operand, field, .. })
            if operand.expr == Expr::Ident("lists".to_owned()) && is_domain_call(value) =>
        {
            let odd = checker.lists.get(field).and_then(|entries| {
                entries
                    .iter()
                    .find(|entry| normal_form(entry).as_ref() != Some(entry))
            });
            if let Some(entry) = odd.cloned() {
                let at = checker.offset_of(list);
                let hint = "expected exact domains such as \"partner.example\"";
                checker.find(
                    at,
                    format!("list {field:?} has {entry:?}, which domain() never answers; {hint}"),
                );
            }
        }
        _ => {}
    }
}

/// Checks a pattern of `matches()`: written in the rule, so that nobody outside can choose it.
pub(crate) fn check_pattern(checker: &mut Checker<'_>, pattern: &IdedExpr) {
    let at = checker.offset_of(pattern);
    let Some(text) = as_text(pattern) else {
        checker.find(
            at,
            "matches() is given a computed pattern; expected one written in the rule".to_owned(),
        );
        return;
    };
    let mut context = Context::default();
    context.add_variable_from_value("pattern", text);
    let works = Program::compile("''.matches(pattern)")
        .is_ok_and(|program| program.execute(&context).is_ok());
    if !works {
        checker.find(at, format!("{text:?} is not a regular expression"));
    }
}

/// Checks `endsWith`, `startsWith` and `contains` on an address or a domain: names that anybody can
/// register have such parts, too.
pub(crate) fn check_part(
    checker: &mut Checker<'_>,
    function: &str,
    of: &IdedExpr,
    part: &IdedExpr,
) {
    let Some(written) = as_text(part) else { return };
    let is_loose = match function {
        "endsWith" => !written.starts_with(['@', '.']),
        "startsWith" => is_domain_call(of) && written.contains('.'),
        "contains" => written.contains(['@', '.']),
        _ => false,
    };
    if is_loose && (is_email(of) || is_domain_call(of)) {
        let at = checker.offset_of(part);
        let hint = r#"expected domain(…) == "partner.example", or domain(…) in a list"#;
        checker.find(
            at,
            format!("{function}({written:?}) is also true for the domains of others; {hint}"),
        );
    }
}

fn is_email(expr: &IdedExpr) -> bool {
    matches!(&expr.expr, Expr::Select(SelectExpr { field, test: false, .. }) if field == "email")
}

/// Checks a text that `value` is compared with.
fn check_text(checker: &mut Checker<'_>, value: &IdedExpr, text: &IdedExpr) {
    let Some(written) = as_text(text) else { return };
    let at = checker.offset_of(text);
    if is_status(value) && !STATUSES.contains(&written) {
        let expected = one_of(STATUSES.iter().copied());
        checker.find(at, format!("{written:?} is no status; expected {expected}"));
    }
    if is_domain_call(value) && !written.is_empty() {
        match normal_form(written) {
            Some(normal) if normal == written => {}
            Some(normal) => {
                checker.find(
                    at,
                    format!("domain() never answers {written:?}; expected {normal:?}"),
                );
            }
            None => checker.find(
                at,
                format!("domain() never answers {written:?}; expected a domain"),
            ),
        }
    }
}

fn as_text(expr: &IdedExpr) -> Option<&str> {
    match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

fn is_domain_call(expr: &IdedExpr) -> bool {
    matches!(&expr.expr, Expr::Call(CallExpr { func_name, target: None, .. }) if func_name == "domain")
}

/// Whether the expression is the status of a developer or registration, before or after.
fn is_status(expr: &IdedExpr) -> bool {
    let Expr::Select(SelectExpr {
        operand,
        field,
        test: false,
    }) = &expr.expr
    else {
        return false;
    };
    let Expr::Ident(owner) = &operand.expr else {
        return false;
    };
    matches!(
        (owner.as_str(), field.as_str()),
        ("developer" | "registration", "status") | ("signal", "from_status")
    )
}
