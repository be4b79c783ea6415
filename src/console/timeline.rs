//! The timeline of somebody or something, as a part of the page about it: what happened, in one
//! column, with what led to what.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::console::about::spaced;
use crate::console::{Console, show};
use crate::http::Problem;
use crate::http::parameters::{Pager, Parameters, bad_request, part, time_part, wrong_cursor};
use crate::report::{Question, TIMELINE_KINDS, TimelinePart, TimelinePosition, TimelineRow};

/// Rows of a page.
const ROWS: usize = 50;
/// Links from one row to its causes, or to what it led to.
const MOST_LINKS: usize = 5;

/// A part of a timeline.
#[derive(Debug)]
pub(super) struct Timeline {
    pub(super) items: Vec<Item>,
    pub(super) tabs: Vec<Tab>,
    /// The first part, where this is a later one.
    pub(super) newest: Option<String>,
    /// The next part.
    pub(super) older: Option<String>,
    /// The page of the whole.
    pub(super) report: String,
    /// The command that gives the whole.
    pub(super) command: String,
}

/// A choice of what is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tab {
    pub(super) href: String,
    pub(super) name: &'static str,
    pub(super) is_active: bool,
}

/// One thing that happened.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) at: DateTime<Utc>,
    /// Who did it, as the style sheet knows: usher, somebody in Konnect, or a person by usher.
    pub(super) class: &'static str,
    pub(super) anchor: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) href: String,
    pub(super) by: String,
    /// How it ended, for its colour.
    pub(super) state: String,
    pub(super) detail: String,
    pub(super) causes: Vec<Link>,
    pub(super) effects: Vec<Link>,
}

/// A link to another row, or to the page of what is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) href: String,
    pub(super) text: String,
}

/// Which part of a timeline a page is asked for.
#[derive(Debug)]
pub(super) struct Wanted(TimelinePart);

impl Wanted {
    /// Reads `show` and `cursor`.
    pub(super) fn read(parameters: &mut Parameters) -> Result<Self, Problem> {
        let kind = parameters.text("show");
        if let Some(kind) = &kind
            && !TIMELINE_KINDS.contains(&kind.as_str())
        {
            let expected = TIMELINE_KINDS.join(", ");
            return Err(bad_request(format!(
                "parameter show: expected one of {expected}"
            )));
        }
        let after = parameters.after(|[at, kind, id]: [String; 3]| {
            if !TIMELINE_KINDS.contains(&kind.as_str()) {
                return Err(wrong_cursor());
            }
            Ok(TimelinePosition {
                at: part(&at)?,
                kind,
                id: part(&id)?,
            })
        })?;
        let limit = i64::try_from(ROWS + 1).unwrap_or(i64::MAX);
        Ok(Self(TimelinePart { kind, after, limit }))
    }
}

impl Timeline {
    /// Reads what `question` asks for. `page` is path and query of the page without a choice of
    /// what is shown; `pager` leads to the next part.
    pub(super) async fn load(
        console: &Console,
        question: &Question,
        (wanted, page, pager): (&Wanted, &str, Pager),
    ) -> Result<Self, Problem> {
        let part = &wanted.0;
        let rows = console.reports.timeline(question, part).await;
        let mut rows = rows.map_err(|error| error.problem())?;
        let has_more = rows.len() > ROWS;
        rows.truncate(ROWS);
        let older = rows.last().filter(|_| has_more).map(|row| {
            let TimelinePosition { at, kind, id } = &row.position;
            format!("{} {kind} {id}", time_part(*at))
        });
        let kind = part.kind.as_deref();
        let newest = part.after.as_ref().map(|_| tab_href(page, kind));
        Ok(Self {
            items: items(&rows),
            tabs: tabs(page, kind),
            newest,
            older: older.map(|position| format!("{}#timeline", pager.next(&position))),
            report: report(question),
            command: command(question),
        })
    }
}

/// Path and query of the whole timeline as a report.
fn report(question: &Question) -> String {
    let words = question.as_words();
    let words: Vec<String> = words
        .map(|(word, value)| format!("{word}={value}"))
        .collect();
    format!("/reports/timeline?{}", words.join("&"))
}

/// The command that prints the whole timeline.
fn command(question: &Question) -> String {
    let words = question.as_words().map(|(word, value)| {
        let flag = word.trim_end_matches("_id");
        format!(" --{flag} {value}")
    });
    format!("usher report timeline{}", words.collect::<String>())
}

fn tab_href(page: &str, kind: Option<&str>) -> String {
    match kind {
        None => format!("{page}#timeline"),
        Some(kind) => format!("{page}&show={kind}#timeline"),
    }
}

fn tabs(page: &str, shown: Option<&str>) -> Vec<Tab> {
    let all = std::iter::once((None, "all"));
    let kinds = TIMELINE_KINDS.into_iter();
    all.chain(kinds.map(|kind| (Some(kind), many(kind))))
        .map(|(kind, name)| Tab {
            href: tab_href(page, kind),
            name,
            is_active: kind == shown,
        })
        .collect()
}

/// What several rows of a kind are called.
fn many(kind: &'static str) -> &'static str {
    match kind {
        "entry" => "entries",
        "difference" => "differences",
        "custom" => "custom events",
        "decision" => "decisions",
        "deed" => "deeds",
        "intervention" => "interventions",
        other => other,
    }
}

/// The rows, linked to each other where both ends are here.
fn items(rows: &[TimelineRow]) -> Vec<Item> {
    let events: BTreeMap<Uuid, &str> = rows
        .iter()
        .filter_map(|row| Some((row.event_id?, row.name.as_str())))
        .collect();
    let decisions: Vec<&TimelineRow> = rows.iter().filter(|row| is_decision(row)).collect();
    let decided: BTreeSet<Uuid> = decisions.iter().filter_map(|row| row.action_id).collect();
    let mut effects: BTreeMap<Uuid, Vec<Link>> = BTreeMap::new();
    for row in decisions {
        for cause in &row.causes {
            let link = Link {
                href: format!("#{}", anchor(row)),
                text: spaced(&row.name),
            };
            effects.entry(*cause).or_default().push(link);
        }
    }
    rows.iter()
        .map(|row| {
            let led_to = row.event_id.and_then(|id| effects.get(&id));
            let led_to = led_to.into_iter().flatten().take(MOST_LINKS);
            Item::new(
                row,
                causes(row, &events, &decided),
                led_to.cloned().collect(),
            )
        })
        .collect()
}

/// What led to a row: to a decision its events, to a deed its decision.
fn causes(row: &TimelineRow, events: &BTreeMap<Uuid, &str>, decided: &BTreeSet<Uuid>) -> Vec<Link> {
    if !is_decision(row) {
        let decision = row.action_id.filter(|id| decided.contains(id));
        let link = decision.map(|id| Link {
            href: format!("#decision-{id}"),
            text: "decision".to_owned(),
        });
        return link.into_iter().collect();
    }
    let causes = row.causes.iter().take(MOST_LINKS);
    causes
        .map(|id| match events.get(id) {
            Some(name) => Link {
                href: format!("#event-{id}"),
                text: show::cut(name, 60),
            },
            None => Link {
                href: format!("/events/{id}"),
                text: format!("event {}", show::short(id)),
            },
        })
        .collect()
}

fn is_decision(row: &TimelineRow) -> bool {
    row.position.kind == "decision"
}

/// The name of a row within the page. An action has several rows, and may have many interventions.
fn anchor(row: &TimelineRow) -> String {
    let id = row.position.id;
    match row.position.kind.as_str() {
        "intervention" => format!("intervention-{id}-{}", row.at.timestamp_micros()),
        "decision" | "deed" => format!("{}-{id}", row.position.kind),
        _ => format!("event-{id}"),
    }
}

impl Item {
    fn new(row: &TimelineRow, causes: Vec<Link>, effects: Vec<Link>) -> Self {
        let kind = row.position.kind.as_str();
        let detail = row.detail.as_deref().unwrap_or_default();
        // The state of an action, the outcome of an entry: the first word of the detail.
        let (state, detail) = match kind {
            "deed" => detail.split_once(": ").unwrap_or((detail, "")),
            "entry" => detail.split_once(' ').unwrap_or((detail, "")),
            _ => ("", detail),
        };
        let is_event = row.event_id.is_some();
        let name = match (is_event, row.name.as_str()) {
            (true, "") => "no name".to_owned(),
            (true, name) => name.to_owned(),
            (false, name) => spaced(name),
        };
        Self {
            at: row.at,
            class: match kind {
                "decision" | "deed" => "own",
                "intervention" => "person",
                _ => "konnect",
            },
            anchor: anchor(row),
            kind: spaced(kind),
            name,
            href: match (row.event_id, row.action_id) {
                (Some(id), _) => format!("/events/{id}"),
                (None, id) => format!("/actions/{}", id.unwrap_or_default()),
            },
            by: row.by.clone().unwrap_or_default(),
            state: state.to_owned(),
            detail: detail.to_owned(),
            causes,
            effects,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::{Link, command, items, report, tabs};
    use crate::report::{Question, TimelinePosition, TimelineRow};

    fn row(kind: &str, id: u128, name: &str, detail: &str) -> TimelineRow {
        let id = Uuid::from_u128(id);
        let is_event = matches!(kind, "entry" | "difference" | "custom");
        TimelineRow {
            position: TimelinePosition {
                at: DateTime::UNIX_EPOCH,
                kind: kind.to_owned(),
                id,
            },
            at: DateTime::UNIX_EPOCH,
            name: name.to_owned(),
            by: None,
            detail: Some(detail.to_owned()),
            event_id: is_event.then_some(id),
            action_id: (!is_event).then_some(id),
            causes: Vec::new(),
        }
    }

    #[test]
    fn a_cause_is_linked_to_its_effect_and_back() {
        let (here, away) = (Uuid::from_u128(1), Uuid::from_u128(0x2222_2222 << 96));
        let causes = vec![here, away];
        let decision = TimelineRow {
            causes: causes.clone(),
            ..row("decision", 9, "approve_developer", "on developer.signed_up")
        };
        let deed = TimelineRow {
            causes,
            ..row("deed", 9, "approve_developer", "parked: too many: wait")
        };
        let event = row("difference", 1, "developer.signed_up", "status: pending");
        let items = items(&[deed, decision, event]);
        let id = "00000000-0000-0000-0000-000000000009";
        assert_eq!(items[0].state, "parked");
        assert_eq!(items[0].detail, "too many: wait");
        assert_eq!(items[0].causes[0].href, format!("#decision-{id}"));
        assert_eq!(items[1].anchor, format!("decision-{id}"));
        assert_eq!(items[1].causes[0].href, format!("#event-{here}"));
        assert_eq!(items[1].causes[1].href, format!("/events/{away}"));
        assert_eq!(items[1].causes[1].text, "event 22222222");
        let effect = Link {
            href: format!("#decision-{id}"),
            text: "approve developer".to_owned(),
        };
        assert_eq!(items[2].effects, [effect]);
        assert_eq!(items[2].detail, "status: pending");
    }

    #[test]
    fn an_entry_is_shown_with_its_outcome() {
        let items = items(&[
            row("entry", 1, "", "success from 10.0.0.1"),
            row("entry", 2, "AUTH", "unknown"),
        ]);
        assert_eq!(items[0].name, "no name");
        assert_eq!(items[0].state, "success");
        assert_eq!(items[0].detail, "from 10.0.0.1");
        assert_eq!(
            (items[1].state.as_str(), items[1].detail.as_str()),
            ("unknown", "")
        );
    }

    #[test]
    fn tabs_and_command_keep_what_the_page_is_about() {
        let tabs = tabs("/people/1?portal_id=2", Some("deed"));
        assert_eq!(tabs[0].href, "/people/1?portal_id=2#timeline");
        let active: Vec<&str> = tabs
            .iter()
            .filter(|tab| tab.is_active)
            .map(|tab| tab.href.as_str())
            .collect();
        assert_eq!(active, ["/people/1?portal_id=2&show=deed#timeline"]);
        let question = Question {
            developer: Some(Uuid::nil()),
            ..Question::default()
        };
        let nil = Uuid::nil();
        assert_eq!(
            command(&question),
            format!("usher report timeline --developer {nil}")
        );
        assert_eq!(
            report(&question),
            format!("/reports/timeline?developer_id={nil}")
        );
    }
}
