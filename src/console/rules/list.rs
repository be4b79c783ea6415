//! The rules in force, what they decided lately, and the file that they are read from.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Html;
use chrono::{DateTime, Utc};
use url::form_urlencoded;

use crate::console::layout::{self, Layout};
use crate::console::pause::PauseSwitch;
use crate::console::rules::hits::{AllHits, Finding, Hits};
use crate::console::rules::recent::{DAYS, RecentHits};
use crate::console::rules::source::{self, Source};
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::{Console, done, filters, show};
use crate::http::parameters::{Parameters, part};
use crate::http::{PortalScope, Problem};
use crate::rules::{Condition, Mode, Rule, RuleSet};

/// Rules of a page.
const ROWS: usize = 40;
/// Lines of what rules in shadow would have done, and of rules that are not in force.
const FINDINGS: usize = 30;
const OTHERS: usize = 20;
/// Deeds of a rule, and portals, that are shown.
const DEEDS: usize = 8;

#[derive(Template)]
#[template(path = "rules.html")]
struct RulesPage {
    layout: Layout,
    done: Option<done::Notice>,
    pause: PauseSwitch,
    counted_at: DateTime<Utc>,
    now: DateTime<Utc>,
    visitor: Visitor,
    rows: Vec<RuleRow>,
    total: usize,
    live: usize,
    shadow: usize,
    next: Option<String>,
    findings: Vec<Finding>,
    findings_left: usize,
    others: Vec<(String, Hits)>,
    file: Option<FileView>,
}

impl RulesPage {
    /// Whether no file is configured, as far as the visitor may know.
    fn lacks_file(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.path.is_none())
    }
}

/// The file that they are read from, which is not of one portal.
struct FileView {
    path: Option<String>,
    unreadable: Option<String>,
    source: Source,
    warnings: Vec<source::Finding>,
}

impl FileView {
    /// The file from `line` on, for whoever may see every portal.
    fn of(console: &Console, in_force: &RuleSet, line: Option<usize>) -> Option<Self> {
        if !console.portals().is_all() {
            return None;
        }
        let file = Arc::clone(&console.rules_file.borrow());
        let warnings = in_force.warnings().iter().take(FINDINGS);
        Some(Self {
            path: file.path.clone(),
            unreadable: file.unreadable.clone(),
            source: Source::new(&file.text, &file.mistakes, line),
            warnings: warnings.map(source::Finding::new).collect(),
        })
    }
}

/// One rule.
struct RuleRow {
    name: String,
    on: String,
    when: Option<String>,
    then: Vec<String>,
    deeds_left: usize,
    mode: &'static str,
    limit: String,
    priority: i64,
    portals: Vec<String>,
    is_for_all_portals: bool,
    max_age: String,
    includes_own: bool,
    hits: Hits,
}

impl RuleRow {
    fn new(rule: &Rule, seen: &PortalScope, hits: &AllHits) -> Self {
        let limit = match rule.limit_per_hour {
            0 => "none".to_owned(),
            limit => format!("{limit} an hour, then {}", rule.on_limit.name()),
        };
        let portals = seen.listed(rule.portals.as_deref()).unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "an age of some days")]
        let max_age = rule.max_age.as_secs() as f64;
        Self {
            name: rule.name.clone(),
            on: rule.on.clone(),
            when: rule.when.as_ref().map(Condition::text).map(str::to_owned),
            // Of the address of a notice this shows the host alone.
            then: rule
                .then
                .iter()
                .take(DEEDS)
                .map(ToString::to_string)
                .collect(),
            deeds_left: rule.then.len().saturating_sub(DEEDS),
            mode: rule.mode.name(),
            limit,
            priority: rule.priority,
            portals: portals
                .iter()
                .take(DEEDS)
                .map(ToString::to_string)
                .collect(),
            is_for_all_portals: rule.portals.is_none(),
            max_age: show::seconds(max_age),
            includes_own: rule.include_own,
            hits: hits.of_rule(&rule.name),
        }
    }
}

/// The page of the rules.
pub(in crate::console) async fn list(
    Seen(console): Seen,
    State(recent): State<RecentHits>,
    visitor: Visitor,
    mut parameters: Parameters,
) -> Result<Html<String>, Problem> {
    let done = done::notice(&mut parameters);
    let line = parameters.read("line", "a whole number")?;
    let skipped = parameters.after(|[place]: [String; 1]| part::<usize>(&place))?;
    let pager = parameters.finish()?;
    let counted = recent.get(&console).await?;
    let hits = &counted.answer;
    let pause = PauseSwitch::new(&console, "/rules").await?;
    let in_force = Arc::clone(&console.rules.borrow());
    let rules = console.rules_seen(&in_force);
    let file = FileView::of(&console, &in_force, line);
    let rules_of = |mode: Mode| {
        let of_mode = rules.iter().filter(|rule| rule.mode == mode);
        of_mode.count()
    };
    let skipped = skipped.unwrap_or(0);
    let shown = rules.iter().skip(skipped).take(ROWS);
    let seen = console.portals();
    let rows: Vec<RuleRow> = shown.map(|rule| RuleRow::new(rule, seen, hits)).collect();
    let end = skipped.saturating_add(rows.len());
    let is_known = |name: &str| rules.iter().any(|rule| rule.name == name);
    let others = hits.by_rule.iter().filter(|(name, _)| !is_known(name));
    let others = others.map(|(name, hits)| (name.clone(), hits.clone()));
    layout::render(&RulesPage {
        layout: Layout::of("Rules", "/rules", &visitor),
        done,
        pause,
        total: rules.len(),
        live: rules_of(Mode::Live),
        shadow: rules_of(Mode::Shadow),
        next: (end < rules.len()).then(|| pager.next(&end.to_string())),
        others: others.take(OTHERS).collect(),
        findings_left: hits.shadow.len().saturating_sub(FINDINGS),
        file,
        findings: hits.shadow.iter().take(FINDINGS).cloned().collect(),
        counted_at: counted.at,
        now: console.clock.now(),
        rows,
        visitor,
    })
}

/// The query of the actions of a rule, in a state if one is named.
fn actions_of(rule: &str, state: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("rule", rule);
    if !state.is_empty() {
        query.append_pair("state", state);
    }
    format!("/actions?{}", query.finish())
}
