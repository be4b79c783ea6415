//! What rules decided lately, by rule: the report `decisions`, as the page of rules shows it. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::report::Row;

/// What one rule decided, by what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hits {
    pub(super) decided: i64,
    pub(super) done: i64,
    pub(super) parked: i64,
    pub(super) refused: i64,
    pub(super) failed: i64,
    pub(super) shadow: i64,
}

/// What a rule in shadow would have done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) rule: String,
    pub(super) deed: String,
    pub(super) count: i64,
}

/// The decisions of rules.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AllHits {
    pub(super) by_rule: BTreeMap<String, Hits>,
    /// What rules in shadow would have done, the most first.
    pub(super) shadow: Vec<Finding>,
}

impl AllHits {
    /// Sums the rows of the report.
    pub(super) fn of(rows: &[Row]) -> Self {
        let mut all = Self::default();
        for row in rows {
            let text = |member: &str| row.get(member).and_then(Value::as_str).unwrap_or_default();
            if text("decided_by") != "rule" {
                continue;
            }
            let count = row.get("count").and_then(Value::as_i64).unwrap_or_default();
            let hits = all.by_rule.entry(text("name").to_owned()).or_default();
            hits.decided += count;
            match text("outcome") {
                "done" => hits.done += count,
                "parked" => hits.parked += count,
                "refused" => hits.refused += count,
                "failed" => hits.failed += count,
                "shadow" => {
                    hits.shadow += count;
                    all.shadow.push(Finding {
                        rule: text("name").to_owned(),
                        deed: text("deed").to_owned(),
                        count,
                    });
                }
                _ => {}
            }
        }
        all.shadow.sort_by(|one, other| {
            let order = other.count.cmp(&one.count);
            order.then_with(|| (&one.rule, &one.deed).cmp(&(&other.rule, &other.deed)))
        });
        all
    }

    /// What one rule decided.
    pub(super) fn of_rule(&self, rule: &str) -> Hits {
        self.by_rule.get(rule).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{AllHits, Finding, Hits};

    #[test]
    fn decisions_are_summed_by_rule() {
        let row = |name: &str, by: &str, deed: &str, outcome: &str, count: i64| {
            let row = json!({
                "decided_by": by, "name": name, "deed": deed, "outcome": outcome, "count": count,
            });
            match row {
                Value::Object(row) => row,
                _ => panic!("an object"),
            }
        };
        let all = AllHits::of(&[
            row("a", "rule", "approve_developer", "done", 3),
            row("a", "rule", "approve_developer", "parked", 2),
            row("a", "rule", "add_to_team", "planned", 1),
            row("b", "rule", "approve_developer", "shadow", 4),
            row("b", "rule", "notify", "shadow", 9),
            row("ada", "person", "approve_developer", "approve", 7),
        ]);
        let a = Hits {
            decided: 6,
            done: 3,
            parked: 2,
            ..Hits::default()
        };
        assert_eq!(all.of_rule("a"), a);
        assert_eq!(all.of_rule("b").shadow, 13);
        assert_eq!(all.of_rule("ada"), Hits::default());
        let deeds: Vec<&str> = all
            .shadow
            .iter()
            .map(|one: &Finding| one.deed.as_str())
            .collect();
        assert_eq!(deeds, ["notify", "approve_developer"]);
    }
}
