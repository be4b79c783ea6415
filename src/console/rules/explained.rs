//! An explanation as a page shows it: cut where it is long, so that a thousand rules are a page
//! too. Pure.

use askama::Template;
use askama::filters::HtmlSafe;
use url::form_urlencoded;
use uuid::Uuid;

use crate::act::Action;
use crate::console::show::cut;
use crate::react::{DeedOutlook, Explained, ExplainedRule, ExplainedSignal};
use crate::rules::{NamedValue, Trace};

/// Parts of conditions that a page shows; rules after that have a link.
const PARTS: usize = 250;
/// Rules of a page.
const RULES: usize = 60;
/// Past actions, applications and the like.
const PAST: usize = 20;
const SIGNALS: usize = 40;
/// Letters of a part, letters of a value, and values of a part.
const LETTERS_OF_PART: usize = 240;
const LETTERS: usize = 160;
const VALUES: usize = 4;

/// Everything about one person.
#[derive(Debug)]
pub(super) struct ExplainedView {
    pub(super) developer_id: String,
    pub(super) portal_id: String,
    pub(super) portal: String,
    pub(super) email: Option<String>,
    pub(super) full_name: Option<String>,
    pub(super) status: String,
    pub(super) is_gone: bool,
    pub(super) teams: Vec<String>,
    pub(super) signals: Vec<SignalView>,
    /// Rules and signals that are left out.
    pub(super) left_out: usize,
    /// Rules on other signals, with the signal.
    pub(super) elsewhere: Vec<(String, String)>,
    pub(super) past: Vec<Action>,
}

/// One signal.
#[derive(Debug)]
pub(super) struct SignalView {
    pub(super) kind: String,
    pub(super) about: String,
    pub(super) settled: Option<String>,
    pub(super) cut: Vec<&'static str>,
    pub(super) rules: Vec<RuleView>,
}

/// One rule on it.
#[derive(Debug)]
pub(super) struct RuleView {
    pub(super) name: String,
    pub(super) mode: &'static str,
    pub(super) decision: String,
    pub(super) reason: Option<String>,
    /// What prevents it besides.
    pub(super) also: Vec<String>,
    pub(super) deeds: Vec<DeedOutlook>,
    pub(super) condition: ConditionView,
}

/// The condition of a rule.
#[derive(Debug)]
pub(super) enum ConditionView {
    /// It has none.
    Absent,
    /// Part by part.
    Shown(PartView),
    /// The page is full: the path of one that shows it.
    Elsewhere(String),
}

/// A part of a condition, with its own parts.
#[derive(Debug, Template)]
#[template(path = "rules_part.html")]
pub(super) struct PartView {
    text: String,
    result: Option<bool>,
    reason: String,
    joined: &'static str,
    values: Vec<String>,
    parts: Vec<PartView>,
}

// Its template escapes what it prints.
impl HtmlSafe for PartView {}

impl ExplainedView {
    /// What is shown of an explanation; of one rule alone where it is named, and of those that the
    /// visitor may see.
    pub(super) fn new(
        explained: Explained,
        rule: Option<&str>,
        is_seen: impl Fn(&str) -> bool,
    ) -> Self {
        let known = &explained.developer.developer;
        let mut view = Self {
            developer_id: known.id.to_string(),
            portal_id: explained.portal.id.to_string(),
            portal: explained.portal.name.clone(),
            email: explained.developer.subject.email.clone(),
            full_name: explained.developer.subject.full_name.clone(),
            status: known.status.as_str().to_owned(),
            is_gone: known.row_version.is_gone(),
            teams: names(&explained),
            signals: Vec::new(),
            left_out: 0,
            elsewhere: {
                let elsewhere = explained.elsewhere.into_iter();
                let seen = elsewhere.filter(|(name, _)| is_seen(name));
                seen.take(RULES).collect()
            },
            past: explained.past.into_iter().take(PAST).collect(),
        };
        let mut space = Space {
            parts: PARTS,
            rules: RULES,
            who: (explained.portal.id.0, known.id.0),
        };
        for signal in &explained.signals {
            let wanted = |one: &&ExplainedRule| {
                let name = &one.explanation.rule;
                is_seen(name) && rule.is_none_or(|wanted| name == wanted)
            };
            let rules: Vec<&ExplainedRule> = signal.rules.iter().filter(wanted).collect();
            if rule.is_some() && rules.is_empty() {
                continue;
            }
            if view.signals.len() == SIGNALS {
                view.left_out += rules.len().max(1);
                continue;
            }
            let shown: Vec<RuleView> = rules.iter().map_while(|rule| space.rule(rule)).collect();
            view.left_out += rules.len() - shown.len();
            view.signals.push(SignalView::new(signal, shown));
        }
        view
    }
}

/// The teams of somebody, by name.
fn names(explained: &Explained) -> Vec<String> {
    let teams = explained.developer.teams.iter().take(PAST);
    teams.map(|team| team.name.clone()).collect()
}

impl SignalView {
    fn new(signal: &ExplainedSignal, rules: Vec<RuleView>) -> Self {
        Self {
            kind: signal.signal.kind.to_string(),
            about: signal.about.clone(),
            settled: signal.settled.clone(),
            cut: signal.cut.clone(),
            rules,
        }
    }
}

/// What is left of a page.
struct Space {
    parts: usize,
    rules: usize,
    who: (Uuid, Uuid),
}

impl Space {
    /// A rule as it is shown; none when the page is full.
    fn rule(&mut self, rule: &ExplainedRule) -> Option<RuleView> {
        self.rules = self.rules.checked_sub(1)?;
        let explanation = &rule.explanation;
        let (decision, reason) = rule.decided();
        let obstacles = explanation.obstacles.iter();
        let also = obstacles.filter(|obstacle| Some(obstacle.as_str()) != reason);
        Some(RuleView {
            name: explanation.rule.clone(),
            mode: explanation.mode.name(),
            decision: decision.replace('_', " "),
            reason: reason.map(str::to_owned),
            also: also.cloned().collect(),
            deeds: rule.deeds.clone(),
            condition: match &explanation.condition {
                None => ConditionView::Absent,
                Some(condition) => self.condition(&explanation.rule, condition),
            },
        })
    }

    fn condition(&mut self, rule: &str, condition: &Trace) -> ConditionView {
        let parts = count(condition);
        // One rule alone is shown, whatever its length: its parts are bounded.
        if parts > self.parts && self.parts < PARTS {
            return ConditionView::Elsewhere(path(self.who, Some(rule)));
        }
        self.parts = self.parts.saturating_sub(parts);
        ConditionView::Shown(PartView::new(condition))
    }
}

/// The path of the explanation of a developer of a portal, of one rule alone where it is named.
pub(super) fn path((portal, developer): (Uuid, Uuid), rule: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("developer_id", &developer.to_string());
    query.append_pair("portal_id", &portal.to_string());
    if let Some(rule) = rule {
        query.append_pair("rule", rule);
    }
    format!("/rules/explain?{}", query.finish())
}

/// Parts of a condition, itself included.
fn count(part: &Trace) -> usize {
    1 + part.parts.iter().map(count).sum::<usize>()
}

impl PartView {
    fn new(part: &Trace) -> Self {
        // A condition may be written on several lines.
        let written: Vec<&str> = part.text.split_whitespace().collect();
        Self {
            text: cut(&written.join(" "), LETTERS_OF_PART),
            result: part.result,
            reason: part.reason.clone().unwrap_or_default(),
            joined: match part.joined_by {
                None => "",
                Some("&&") => "all of",
                Some("||") => "one of",
                Some(_) => "not",
            },
            values: part.values.iter().take(VALUES).map(value).collect(),
            parts: part.parts.iter().map(Self::new).collect(),
        }
    }
}

fn value(value: &NamedValue) -> String {
    match &value.reason {
        Some(reason) => format!("{}: {reason}", value.name),
        None => format!(
            "{} = {}",
            value.name,
            cut(&value.value.to_string(), LETTERS)
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::{ConditionView, PARTS, PartView, Space, path};
    use crate::rules::{NamedValue, Trace};

    fn leaf(text: &str) -> Trace {
        Trace {
            text: text.to_owned(),
            result: Some(false),
            reason: None,
            values: vec![NamedValue {
                name: "developer.name".to_owned(),
                value: json!("<b>\u{202e}"),
                reason: None,
            }],
            joined_by: None,
            parts: Vec::new(),
        }
    }

    fn all_of(parts: Vec<Trace>) -> Trace {
        Trace {
            joined_by: Some("&&"),
            parts,
            values: Vec::new(),
            ..leaf("a && b")
        }
    }

    #[test]
    fn a_part_is_shown_with_its_parts_and_escaped() {
        let part = all_of(vec![leaf("developer.name == '<i>'"), leaf("true")]);
        let shown = PartView::new(&part).to_string();
        assert!(!shown.contains("<b>") && !shown.contains("<i>"), "{shown}");
        assert_eq!(shown.matches("<li>").count(), 3, "{shown}");
        assert!(!shown.contains("&amp;#"), "{shown}");
    }

    #[test]
    fn a_full_page_leads_to_another() {
        let who = (Uuid::nil(), Uuid::nil());
        let mut space = Space {
            parts: PARTS,
            rules: 3,
            who,
        };
        let long = all_of(vec![leaf("x"); PARTS]);
        assert!(matches!(
            space.condition("a", &long),
            ConditionView::Shown(_)
        ));
        let next = space.condition("a b", &leaf("y"));
        assert!(matches!(&next, ConditionView::Elsewhere(page) if page.ends_with("rule=a+b")));
        assert!(path(who, None).starts_with("/rules/explain?developer_id="));
    }
}
