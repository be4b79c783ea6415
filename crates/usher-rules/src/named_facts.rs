//! The facts that a part of a condition names. Reads names only, and no rule's meaning.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::{Context, Value};

use crate::schema;

/// A fact that an expression names, or a function of facts.
pub(crate) struct Fact<'e> {
    pub(crate) name: String,
    pub(crate) expr: &'e IdedExpr,
    /// Whether only the names of the teams count, as for `in_team`: the rest of a developer would
    /// hide them.
    pub(crate) by_teams: bool,
}

/// The facts that an expression names, functions of them first.
pub(crate) fn facts_of(expr: &IdedExpr) -> Vec<Fact<'_>> {
    let mut facts = Vec::new();
    collect(expr, &mut Vec::new(), &mut facts);
    facts
}

fn collect<'e>(expr: &'e IdedExpr, bound: &mut Vec<&'e str>, facts: &mut Vec<Fact<'e>>) {
    if let Some(name) = path(expr, bound) {
        facts.push(Fact {
            name,
            expr,
            by_teams: false,
        });
        return;
    }
    match &expr.expr {
        Expr::Select(select) => collect(&select.operand, bound, facts),
        Expr::Call(call) => {
            facts.extend(called(call, bound).map(|name| Fact {
                name,
                expr,
                by_teams: false,
            }));
            let mut parts = call.target.iter().map(Box::as_ref).chain(&call.args);
            if call.func_name == "in_team"
                && let Some(developer) = call.args.first()
                && let Some(name) = path(developer, bound)
            {
                facts.push(Fact {
                    name: format!("names of {name}.teams"),
                    expr: developer,
                    by_teams: true,
                });
                parts.next();
            }
            parts.for_each(|part| collect(part, bound, facts));
        }
        Expr::List(list) => {
            for element in &list.elements {
                collect(element, bound, facts);
            }
        }
        Expr::Comprehension(it) => {
            collect(&it.iter_range, bound, facts);
            bound.extend([it.iter_var.as_str(), it.accu_var.as_str()]);
            collect(&it.loop_step, bound, facts);
            bound.truncate(bound.len() - 2);
        }
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Map(_) | Expr::Struct(_) => {}
    }
}

/// The name of a fact, if the expression is nothing else.
fn path(expr: &IdedExpr, bound: &[&str]) -> Option<String> {
    match &expr.expr {
        Expr::Ident(name) => {
            let is_fact = schema::ROOTS.contains(&name.as_str()) && !bound.contains(&name.as_str());
            is_fact.then(|| name.clone())
        }
        Expr::Select(select) if !select.test => Some(format!(
            "{}.{}",
            path(&select.operand, bound)?,
            select.field
        )),
        Expr::Call(call) if call.func_name == operators::INDEX => match call.args.as_slice() {
            [owner, index] => Some(format!("{}[{}]", path(owner, bound)?, literal(index)?)),
            _ => None,
        },
        _ => None,
    }
}

/// How a function of facts is written, if its arguments are facts and texts alone.
fn called(call: &CallExpr, bound: &[&str]) -> Option<String> {
    if !schema::FUNCTIONS
        .iter()
        .any(|known| known.name == call.func_name)
    {
        return None;
    }
    let argument = |expr: &IdedExpr| path(expr, bound).or_else(|| literal(expr));
    let arguments: Option<Vec<String>> = call.args.iter().map(argument).collect();
    let call_itself = format!("{}({})", call.func_name, arguments?.join(", "));
    match &call.target {
        Some(target) => Some(format!("{}.{call_itself}", path(target, bound)?)),
        None => Some(call_itself),
    }
}

fn literal(expr: &IdedExpr) -> Option<String> {
    match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(format!("{:?}", text.inner())),
        Expr::Literal(LiteralValue::Int(number)) => Some(number.inner().to_string()),
        _ => None,
    }
}

/// The shortest beginning of a path that is null.
pub(crate) fn null_in(fact: &Fact<'_>, context: &Context<'_, 'static>) -> Option<String> {
    let mut expr = fact.expr;
    let mut shortest = None;
    loop {
        if matches!(Value::resolve(expr, context), Ok(Value::Null)) {
            shortest = path(expr, &[]);
        }
        expr = match &expr.expr {
            Expr::Select(select) => &select.operand,
            Expr::Call(call) if call.func_name == operators::INDEX => call.args.first()?,
            _ => return shortest,
        };
    }
}
