//! The functions that conditions have beside those of CEL: `domain()`, `is_freemail()`,
//! `in_team()`. Must not fail on odd data where an empty answer is the truth.

use cel::objects::Key;
use cel::{Context, ExecutionError, Value};

use crate::domain::{domain_of, normal_form};
use crate::freemail::is_public_provider;

/// Adds the functions to a context.
pub(crate) fn add_to(context: &mut Context<'static, 'static>) {
    let none_of_cel = "no function of CEL has this name";
    context.add_function("domain", domain).expect(none_of_cel);
    context
        .add_function("is_freemail", is_freemail)
        .expect(none_of_cel);
    context.add_function("in_team", in_team).expect(none_of_cel);
}

fn domain(address: Value) -> String {
    match address {
        Value::String(address) => domain_of(&address),
        _ => String::new(),
    }
}

/// Takes an address or a domain, because a rule that asks about `domain(…)` must not get `false`
/// for that.
fn is_freemail(address: Value) -> bool {
    let Value::String(text) = address else {
        return false;
    };
    if text.contains('@') {
        is_public_provider(&domain_of(&text))
    } else {
        normal_form(&text).is_some_and(|domain| is_public_provider(&domain))
    }
}

fn in_team(developer: Value, team: Value) -> Result<bool, ExecutionError> {
    let (Value::Map(developer), Value::String(team)) = (developer, team) else {
        return Err(ExecutionError::function_error(
            "in_team",
            "needs a developer and a name",
        ));
    };
    let Some(Value::List(teams)) = developer.map.get(&Key::from("teams")) else {
        return Err(ExecutionError::function_error(
            "in_team",
            "needs a developer",
        ));
    };
    let name = Key::from("name");
    Ok(teams.iter().any(|member| match member {
        Value::Map(member) => {
            matches!(member.map.get(&name), Some(Value::String(name)) if *name == team)
        }
        _ => false,
    }))
}
