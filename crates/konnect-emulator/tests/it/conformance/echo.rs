//! Whether an answer shows what was sent: an emulator that forgets what it is told would pass every
//! check of form.

use chrono::DateTime;
use serde_json::Value;

use crate::conformance::{
    facts::Schema,
    schema::{Way, check, join},
};

/// Returns every member that was sent, belongs into the answer, and is not there as it was sent.
pub(super) fn unlike(schema: &Schema, sent: &Value, shown: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    compare(schema, sent, shown, "", &mut wrong);
    wrong
}

fn compare(schema: &Schema, sent: &Value, shown: &Value, at: &str, wrong: &mut Vec<String>) {
    let (Some(sent_members), Some(shown_members)) = (sent.as_object(), shown.as_object()) else {
        if !is_same(sent, shown) {
            wrong.push(format!("{at} was sent as {sent} and is shown as {shown}"));
        }
        return;
    };
    let fitting = |one: &&Schema| check(one, shown, Way::Answer).is_empty();
    let schema = schema.one_of.iter().find(fitting).unwrap_or(schema);
    for (name, value) in sent_members {
        let at = join(at, name);
        let declared = schema.members.get(name).or(schema.values.as_deref());
        match (declared, shown_members.get(name)) {
            (Some(inner), Some(member)) => compare(inner, value, member, &at, wrong),
            // A null takes away what is not there.
            (Some(inner), None) if !value.is_null() && !inner.write_only => {
                wrong.push(format!("{at} was sent and is not shown"));
            }
            _ => {}
        }
    }
}

fn is_same(sent: &Value, shown: &Value) -> bool {
    let time = |value: &Value| DateTime::parse_from_rfc3339(value.as_str()?).ok();
    let empty = shown.as_object().is_some_and(serde_json::Map::is_empty);
    sent == shown
        || (sent.is_null() && empty)
        || (time(sent).is_some() && time(sent) == time(shown))
}

#[test]
fn tells_what_was_forgotten() {
    use serde_json::json;
    let schema: Schema = serde_json::from_value(json!({"type": "object", "members": {
        "name": {"type": "string"}, "secret": {"type": "string", "write_only": true},
        "labels": {"type": "object", "values": {"type": "string"}},
        "at": {"type": "string", "format": "date-time"},
    }}))
    .unwrap();
    let sent = json!({"name": "a", "secret": "s", "labels": {"x": null, "y": "z"}, "other": 1,
        "at": "2026-01-02T03:04:05Z"});
    let cases = [
        (
            json!({"name": "a", "labels": {"y": "z"}, "at": "2026-01-02T03:04:05.000Z"}),
            0,
        ),
        (
            json!({"name": "b", "labels": {"y": "z"}, "at": "2026-01-02T03:04:05Z"}),
            1,
        ),
        (json!({"labels": {}}), 3),
    ];
    for (shown, count) in cases {
        let wrong = unlike(&schema, &sent, &shown);
        assert_eq!(wrong.len(), count, "{shown}: {wrong:?}");
    }
}
