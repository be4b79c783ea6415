//! Texts written in a condition that can never be what they are compared with. A rule that
//! never matches is a mistake that nobody would notice.

use std::collections::BTreeMap;

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SelectExpr};
use cel::{Context, Program};

use crate::domain::normal_form;
use crate::mistake::one_of;
use crate::offsets::{Finding, Offsets};
use crate::schema::STATUSES;

/// Checks `a == b` and `a != b`.
pub(crate) fn check_equality(offsets: Offsets<'_>, sides: &[IdedExpr]) -> Vec<Finding> {
    let [a, b] = sides else { return Vec::new() };
    [check_text(offsets, a, b), check_text(offsets, b, a)]
        .into_iter()
        .flatten()
        .collect()
}

/// Checks `a in b` where `b` is written out or is one of the file's lists.
pub(crate) fn check_membership(
    offsets: Offsets<'_>,
    lists: &BTreeMap<String, Vec<String>>,
    sides: &[IdedExpr],
) -> Vec<Finding> {
    let [value, list] = sides else {
        return Vec::new();
    };
    match &list.expr {
        Expr::List(entries) => entries
            .elements
            .iter()
            .filter_map(|entry| check_text(offsets, value, entry))
            .collect(),
        Expr::Select(SelectExpr { operand, field, .. })
            if operand.expr == Expr::Ident("lists".to_owned()) && is_domain_call(value) =>
        {
            let odd = lists.get(field).and_then(|entries| {
                entries
                    .iter()
                    .find(|entry| normal_form(entry).as_ref() != Some(entry))
            });
            let hint = "expected exact domains such as \"partner.example\"";
            odd.map(|entry| {
                let message =
                    format!("list {field:?} has {entry:?}, which domain() never answers; {hint}");
                (offsets.of(list), message)
            })
            .into_iter()
            .collect()
        }
        _ => Vec::new(),
    }
}

/// Checks a pattern of `matches()`: written in the rule, so that nobody outside can choose it.
pub(crate) fn check_pattern(offsets: Offsets<'_>, pattern: &IdedExpr) -> Option<Finding> {
    let at = offsets.of(pattern);
    let Some(text) = as_text(pattern) else {
        let message = "matches() is given a computed pattern; expected one written in the rule";
        return Some((at, message.to_owned()));
    };
    let mut context = Context::default();
    context.add_variable_from_value("pattern", text);
    let works = Program::compile("''.matches(pattern)")
        .is_ok_and(|program| program.execute(&context).is_ok());
    (!works).then(|| (at, format!("{text:?} is not a regular expression")))
}

/// Checks `endsWith`, `startsWith` and `contains` on an address or a domain: names that anybody can
/// register have such parts, too.
pub(crate) fn check_part(
    offsets: Offsets<'_>,
    function: &str,
    of: &IdedExpr,
    part: &IdedExpr,
) -> Option<Finding> {
    let written = as_text(part)?;
    let is_loose = match function {
        "endsWith" => !written.starts_with(['@', '.']),
        "startsWith" => is_domain_call(of) && written.contains('.'),
        "contains" => written.contains(['@', '.']),
        _ => false,
    };
    let hint = r#"expected domain(…) == "partner.example", or domain(…) in a list"#;
    (is_loose && (is_email(of) || is_domain_call(of))).then(|| {
        let message =
            format!("{function}({written:?}) is also true for the domains of others; {hint}");
        (offsets.of(part), message)
    })
}

fn is_email(expr: &IdedExpr) -> bool {
    matches!(&expr.expr, Expr::Select(SelectExpr { field, test: false, .. }) if field == "email")
}

/// Checks a text that `value`, a status or a domain, is compared with.
fn check_text(offsets: Offsets<'_>, value: &IdedExpr, text: &IdedExpr) -> Option<Finding> {
    let written = as_text(text)?;
    let message = if is_status(value) && !STATUSES.contains(&written) {
        let expected = one_of(STATUSES.iter().copied());
        format!("{written:?} is no status; expected {expected}")
    } else if is_domain_call(value) && !written.is_empty() {
        match normal_form(written) {
            Some(normal) if normal == written => return None,
            Some(normal) => format!("domain() never answers {written:?}; expected {normal:?}"),
            None => format!("domain() never answers {written:?}; expected a domain"),
        }
    } else {
        return None;
    };
    Some((offsets.of(text), message))
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
