//! A condition taken apart: each part with its result, and the facts that it names with their
//! values. The parts are those of the compiled expression, evaluated as a decision evaluates them,
//! so that an explanation cannot disagree with it. Values may be personal: they are for the person
//! who asks, never for a log.

use cel::common::ast::{CallExpr, Expr, IdedExpr, operators};
use cel::objects::Key;
use cel::{Context, Value};
use serde::Serialize;
use serde_json::Value as Json;

use crate::caps;
use crate::condition::Condition;
use crate::named_facts::facts_of;

/// One part of a condition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trace {
    /// The part as written.
    pub text: String,
    /// The result; nothing where it could not be decided.
    pub result: Option<bool>,
    /// Why there is no result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The facts that the part names; only where it has no parts of its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<NamedValue>,
    /// `&&`, `||` or `!`, where the part has parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joined_by: Option<&'static str>,
    /// Its parts, in the order in which they are written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Trace>,
}

/// A fact with its value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NamedValue {
    /// How the condition names it.
    pub name: String,
    /// What it is.
    pub value: Json,
    /// Why it has no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether a condition is true; an error is the reason why not.
pub(crate) fn holds(condition: &Condition, context: &Context<'_, 'static>) -> Result<(), String> {
    let program = condition.program();
    match program.execute(context) {
        Ok(Value::Bool(true)) => Ok(()),
        Ok(Value::Bool(false)) => Err(why_false(condition, context)),
        Ok(other) => Err(format!(
            "the condition is {}, not true or false",
            other.type_of()
        )),
        Err(error) => Err(format!(
            "the condition cannot be decided: {}",
            condition.describe(&error, program.expression(), context)
        )),
    }
}

/// Names the first part of a chain of `&&` that is false.
fn why_false(condition: &Condition, context: &Context<'_, 'static>) -> String {
    // A decision of a thousand rules needs the parts alone, without the values of facts.
    let trace = take_apart(condition, context, false);
    let failed = trace
        .parts
        .iter()
        .find(|part| trace.joined_by == Some("&&") && part.result == Some(false));
    match failed {
        Some(part) => format!("{} is false", part.text),
        None => "the condition is false".to_owned(),
    }
}

/// Every part of a condition with its result and the facts that it names.
pub(crate) fn trace(condition: &Condition, context: &Context<'_, 'static>) -> Trace {
    take_apart(condition, context, true)
}

fn take_apart(condition: &Condition, context: &Context<'_, 'static>, with_values: bool) -> Trace {
    let tracer = Tracer {
        condition,
        context,
        with_values,
        brackets: caps::brackets(condition.text()),
    };
    let whole = (0, condition.text().len());
    tracer.part(condition.program().expression(), whole)
}

/// From a byte of the condition to the one after its last.
type Range = (usize, usize);

struct Tracer<'a> {
    condition: &'a Condition,
    context: &'a Context<'a, 'static>,
    with_values: bool,
    brackets: Vec<(usize, usize)>,
}

impl Tracer<'_> {
    fn part(&self, expr: &IdedExpr, range: Range) -> Trace {
        let range = self.without_loose_brackets(range);
        let (result, reason) = self.evaluate(expr);
        let mut trace = Trace {
            text: self.text(range).to_owned(),
            result,
            reason,
            values: Vec::new(),
            joined_by: None,
            parts: Vec::new(),
        };
        let inner = self.without_brackets(range);
        match joint(expr) {
            Some((sign, operator)) if sign != "!" => {
                let (mut operands, mut cuts) = (Vec::new(), Vec::new());
                self.split(expr, operator, &mut operands, &mut cuts);
                trace.joined_by = Some(sign);
                trace.parts = operands
                    .iter()
                    .enumerate()
                    .map(|(index, operand)| {
                        let cut = |index: usize| cuts.get(index).copied();
                        let from = index.checked_sub(1).and_then(cut);
                        let from = from.map_or(inner.0, |cut| cut + sign.len());
                        let to = cut(index).unwrap_or(inner.1);
                        self.part(operand, (from, to))
                    })
                    .collect();
            }
            Some((sign, _)) if self.text(inner).starts_with(sign) => {
                trace.joined_by = Some(sign);
                let operands = operands(expr);
                let range = (inner.0 + sign.len(), inner.1);
                trace.parts = operands.map(|operand| self.part(operand, range)).collect();
            }
            _ if self.with_values => trace.values = self.values(expr),
            _ => {}
        }
        trace
    }

    fn evaluate(&self, expr: &IdedExpr) -> (Option<bool>, Option<String>) {
        match Value::resolve(expr, self.context) {
            Ok(Value::Bool(value)) => (Some(value), None),
            Ok(other) => {
                let reason = format!("it is {}, not true or false", other.type_of());
                (None, Some(reason))
            }
            Err(error) => {
                let reason = self.condition.describe(&error, expr, self.context);
                (None, Some(reason))
            }
        }
    }

    /// The operands of a chain of one operator, and the bytes where the operators stand.
    fn split<'e>(
        &self,
        expr: &'e IdedExpr,
        operator: &str,
        found: &mut Vec<&'e IdedExpr>,
        cuts: &mut Vec<usize>,
    ) {
        match &expr.expr {
            Expr::Call(CallExpr {
                func_name, args, ..
            }) if func_name == operator
                && let [left, right] = args.as_slice() =>
            {
                self.split(left, operator, found, cuts);
                let info = self.condition.program().source_info();
                let cut = info.offset_for(expr.id);
                let end = self.condition.text().len();
                cuts.push(cut.map_or(end, |(start, _)| (start as usize).min(end)));
                self.split(right, operator, found, cuts);
            }
            _ => found.push(expr),
        }
    }

    fn text(&self, (from, to): Range) -> &str {
        self.condition.text().get(from..to).unwrap_or_default()
    }

    fn trimmed(&self, range: Range) -> Range {
        let text = self.text(range);
        let from = range.0 + (text.len() - text.trim_start().len());
        (from, from + text.trim().len())
    }

    /// Drops brackets whose partner is in another part.
    fn without_loose_brackets(&self, range: Range) -> Range {
        let mut range = self.trimmed(range);
        loop {
            let (from, to) = range;
            let opens = |(open, close): &(usize, usize)| *open == from && *close >= to;
            let closes = |(open, close): &(usize, usize)| *open < from && close + 1 == to;
            if from < to && self.brackets.iter().any(opens) {
                range = self.trimmed((from + 1, to));
            } else if from < to && self.brackets.iter().any(closes) {
                range = self.trimmed((from, to - 1));
            } else {
                return range;
            }
        }
    }

    /// Drops brackets around the whole part.
    fn without_brackets(&self, mut range: Range) -> Range {
        while self
            .brackets
            .iter()
            .any(|(open, close)| *open == range.0 && close + 1 == range.1)
        {
            range = self.trimmed((range.0 + 1, range.1 - 1));
        }
        range
    }

    fn values(&self, expr: &IdedExpr) -> Vec<NamedValue> {
        let mut values: Vec<NamedValue> = Vec::new();
        for fact in facts_of(expr) {
            // The result of the part itself is reported already.
            if std::ptr::eq(fact.expr, expr) || values.iter().any(|known| known.name == fact.name) {
                continue;
            }
            let (value, reason) = match Value::resolve(fact.expr, self.context) {
                Ok(value) if fact.name.starts_with("lists.") => (entries(&value), None),
                Ok(value) if fact.by_teams => (team_names(&value), None),
                Ok(value) => (json(&value), None),
                Err(error) => {
                    let reason = self.condition.describe(&error, fact.expr, self.context);
                    (Json::Null, Some(reason))
                }
            };
            values.push(NamedValue {
                name: fact.name,
                value,
                reason,
            });
        }
        values
    }
}

/// How the parts of an expression are joined, if it has parts that are true or false.
fn joint(expr: &IdedExpr) -> Option<(&'static str, &'static str)> {
    let Expr::Call(call) = &expr.expr else {
        return None;
    };
    match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::LOGICAL_AND, [_, _]) => Some(("&&", operators::LOGICAL_AND)),
        (operators::LOGICAL_OR, [_, _]) => Some(("||", operators::LOGICAL_OR)),
        // A negation of one thing is read as one thing.
        (operators::LOGICAL_NOT, [negated]) if joint(negated).is_some() => {
            Some(("!", operators::LOGICAL_NOT))
        }
        _ => None,
    }
}

fn operands(expr: &IdedExpr) -> impl Iterator<Item = &IdedExpr> {
    let args = match &expr.expr {
        Expr::Call(call) => call.args.as_slice(),
        _ => &[],
    };
    args.iter()
}

/// The value shown for one of the file's lists, which may be long and is in the file.
fn entries(list: &Value) -> Json {
    match list {
        Value::List(list) if list.len() == 1 => Json::from("1 entry"),
        Value::List(list) => Json::from(format!("{} entries", list.len())),
        other => json(other),
    }
}

/// The names of the teams of a developer; any other value as it is.
fn team_names(developer: &Value) -> Json {
    let whole = json(developer);
    match whole["teams"].as_array() {
        Some(teams) => teams.iter().map(|team| team["name"].clone()).collect(),
        None => whole,
    }
}

fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::from(*value),
        Value::Int(value) => Json::from(*value),
        Value::UInt(value) => Json::from(*value),
        Value::Float(value) => Json::from(*value),
        Value::String(value) => Json::from(value.as_str()),
        Value::Timestamp(value) => Json::from(value.to_rfc3339()),
        Value::Duration(value) => Json::from(format!("{}s", value.num_seconds())),
        Value::List(list) => list.iter().map(json).collect(),
        Value::Map(map) => map
            .map
            .iter()
            .map(|(key, value)| (name_of(key), json(value)))
            .collect(),
        Value::Function(..) | Value::Bytes(_) | Value::Opaque(_) | Value::Struct(_) => {
            Json::from(value.type_of().to_string())
        }
    }
}

fn name_of(key: &Key) -> String {
    match key {
        Key::String(name) => name.to_string(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Write as _;

    use cel::{Context, Value};
    use proptest::prelude::{Strategy, prop, prop_oneof, proptest};
    use proptest::sample::select;
    use serde_json::json;

    use super::{Trace, holds, trace};
    use crate::condition::{Condition, language};
    use crate::functions;
    use crate::values;

    /// Names and values as text, an indented line each.
    fn told(trace: &Trace, depth: usize) -> String {
        let result = match (trace.result, &trace.reason) {
            (Some(result), _) => result.to_string(),
            (None, reason) => format!("? {}", reason.as_deref().unwrap_or_default()),
        };
        let values: Vec<String> = trace
            .values
            .iter()
            .map(|value| match &value.reason {
                Some(reason) => format!("{}: {reason}", value.name),
                None => format!("{} = {}", value.name, value.value),
            })
            .collect();
        let mut lines = format!(
            "{}{}{} → {result} [{}]\n",
            "  ".repeat(depth),
            trace
                .joined_by
                .map(|sign| format!("{sign} "))
                .unwrap_or_default(),
            trace.text,
            values.join(", "),
        );
        for part in &trace.parts {
            lines.push_str(&told(part, depth + 1));
        }
        lines
    }

    fn context() -> Context<'static, 'static> {
        let mut context = Context::with_env(language().into());
        functions::add_to(&mut context);
        let lists = BTreeMap::from([("partners".to_owned(), vec!["arsenal.com".to_owned()])]);
        context.add_variable_from_value("lists", values::lists(&lists));
        let event = json!({
            "email": "ann@gmail.com", "teams": [{"name": "A"}], "none": null, "one": 1,
            "yes": true, "no": false,
        });
        let event = event.as_object().expect("an object");
        context.add_variable_from_value("event", values::json_object(event, 0));
        context.add_variable_from_value("registration", Value::Null);
        let developer = json!({
            "email": "ann@gmail.com", "teams": [{"id": "1", "name": "A"}, {"id": "2", "name": "B"}],
        });
        let developer = developer.as_object().expect("an object");
        context.add_variable_from_value("developer", values::json_object(developer, 0));
        context
    }

    fn condition(text: &str) -> Condition {
        let lists = BTreeMap::from([("partners".to_owned(), vec!["arsenal.com".to_owned()])]);
        Condition::compile(&language(), text, "custom.x", &lists).expect("it checks")
    }

    #[test]
    fn takes_a_condition_apart_with_the_values_that_it_names() {
        let mut all = String::new();
        for text in [
            "domain(event.email) in lists.partners",
            "event.one == 1 && (event.email == 'x' || is_freemail(event.email)) && event.one < 1",
            "(event.one == 1 && true) && !(event.none == null || event.one in [2, 3])",
            "((event.email == 'a)b(' || (true))) && event['email'].startsWith(\"ann\") // (",
            "event.teams.exists(t, t.name == event.email) && event.teams[0].name == 'A'",
            "registration.api.name == 'Fixtures' && event.none.x == 1 || event.missing == 1",
            "event.one == 1 ? event.yes && event.no : event.no",
            "!event.yes && size(event.teams) > 1",
            "in_team(developer, 'C') || in_team(developer, event.email)",
        ] {
            let trace = trace(&condition(text), &context());
            writeln!(all, "{}", told(&trace, 0)).expect("text grows");
        }
        insta::assert_snapshot!(all, @r#"
        domain(event.email) in lists.partners → false [domain(event.email) = "gmail.com", event.email = "ann@gmail.com", lists.partners = "1 entry"]

        && event.one == 1 && (event.email == 'x' || is_freemail(event.email)) && event.one < 1 → false []
          event.one == 1 → true [event.one = 1]
          || (event.email == 'x' || is_freemail(event.email)) → true []
            event.email == 'x' → false [event.email = "ann@gmail.com"]
            is_freemail(event.email) → true [event.email = "ann@gmail.com"]
          event.one < 1 → false [event.one = 1]

        && (event.one == 1 && true) && !(event.none == null || event.one in [2, 3]) → false []
          event.one == 1 → true [event.one = 1]
          true → true []
          ! !(event.none == null || event.one in [2, 3]) → false []
            || (event.none == null || event.one in [2, 3]) → true []
              event.none == null → true [event.none = null]
              event.one in [2, 3] → false [event.one = 1]

        && ((event.email == 'a)b(' || (true))) && event['email'].startsWith("ann") // ( → true []
          || ((event.email == 'a)b(' || (true))) → true []
            event.email == 'a)b(' → false [event.email = "ann@gmail.com"]
            (true) → true []
          event['email'].startsWith("ann") // ( → true [event["email"] = "ann@gmail.com"]

        && event.teams.exists(t, t.name == event.email) && event.teams[0].name == 'A' → false []
          event.teams.exists(t, t.name == event.email) → false [event.teams = [{"name":"A"}], event.email = "ann@gmail.com"]
          event.teams[0].name == 'A' → true [event.teams[0].name = "A"]

        || registration.api.name == 'Fixtures' && event.none.x == 1 || event.missing == 1 → ? there is no member "missing" []
          && registration.api.name == 'Fixtures' && event.none.x == 1 → ? registration is null []
            registration.api.name == 'Fixtures' → ? registration is null [registration.api.name: registration is null]
            event.none.x == 1 → ? event.none is null [event.none.x: event.none is null]
          event.missing == 1 → ? there is no member "missing" [event.missing: there is no member "missing"]

        event.one == 1 ? event.yes && event.no : event.no → false [event.one = 1, event.yes = true, event.no = false]

        && !event.yes && size(event.teams) > 1 → false []
          !event.yes → false [event.yes = true]
          size(event.teams) > 1 → false [size(event.teams) = 1, event.teams = [{"name":"A"}]]

        || in_team(developer, 'C') || in_team(developer, event.email) → false []
          in_team(developer, 'C') → false [names of developer.teams = ["A","B"]]
          in_team(developer, event.email) → false [names of developer.teams = ["A","B"], event.email = "ann@gmail.com"]
        "#);
    }

    /// Conditions of parts that are true, false or cannot be decided.
    fn conditions() -> impl Strategy<Value = String> {
        let atoms = select(vec![
            "event.yes",
            "event.no",
            "event.one == 1",
            "event.email == ')'",
            "registration.id == 'x'",
            "event.missing == 1",
            "event.teams.exists(t, t.name == 'A')",
        ]);
        atoms
            .prop_map(str::to_owned)
            .prop_recursive(3, 10, 3, |inner| {
                prop_oneof![
                    prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| parts.join(" && ")),
                    prop::collection::vec(inner.clone(), 2..4)
                        .prop_map(|parts| format!("({})", parts.join(" || "))),
                    inner.prop_map(|part| format!("!({part})")),
                ]
            })
    }

    /// What CEL returns for the results of parts.
    fn joined(trace: &Trace) -> Option<bool> {
        let Some(sign) = trace.joined_by else {
            return trace.result;
        };
        let results: Vec<Option<bool>> = trace.parts.iter().map(joined).collect();
        let decides = sign == "||";
        match results.as_slice() {
            [negated] if sign == "!" => negated.map(|result| !result),
            results if results.contains(&Some(decides)) => Some(decides),
            results if results.contains(&None) => None,
            _ => Some(!decides),
        }
    }

    /// Every part is written as it is evaluated: its text alone gives the same result.
    fn stands_alone(trace: &Trace) {
        let alone = super::trace(&condition(&trace.text), &context());
        assert_eq!(alone.result, trace.result, "{}", trace.text);
        trace.parts.iter().for_each(stands_alone);
    }

    proptest! {
        #[test]
        fn the_parts_agree_with_the_decision(text in conditions()) {
            let condition = condition(&text);
            let context = context();
            let trace = trace(&condition, &context);
            assert_eq!(trace.result, joined(&trace), "{text}");
            assert_eq!(trace.result == Some(true), holds(&condition, &context).is_ok(), "{text}");
            stands_alone(&trace);
        }
    }
}
