//! One event: its members, its bytes, how its signature is checked, what it came with and what it
//! led to.

use askama::Template;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use std::collections::BTreeSet;
use uuid::Uuid;

use crate::act::Action;
use crate::console::events::outcomes::meaning;
use crate::console::events::paths;
use crate::console::events::row::{EventRow, add_emails};
use crate::console::events::signature::SignatureView;
use crate::console::layout::{self, Layout};
use crate::console::raw_view::{RawView, download, escaped_bytes, visible};
use crate::console::reads::AboutPeople;
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::show::cut;
use crate::console::{Console, done, filters};
use crate::event::{AuditEvent, EventId, render};
use crate::http::Problem;
use crate::http::parameters::{Parameters, path_id};
use crate::intake::{IntakeError, examine};
use crate::journal::{Around, EventFilter, Position, StoredEvent, journal_problem};

/// Letters of a member that the page shows, and bytes that all of them may take: the download has
/// the whole entry.
const MEMBER_LETTERS: usize = 1_000;
const MEMBERS_BYTES: usize = 40 * 1024;
/// Events of the same person on either side.
const NEARBY: i64 = 10;
/// Actions that it led to.
const ACTIONS: i64 = 20;
/// Things that one event may name, of which actions are looked for.
const TARGETS: usize = 64;
/// The entries of one request are written within moments of each other.
const TRACE_WITHIN: TimeDelta = TimeDelta::minutes(15);

#[derive(Template)]
#[template(path = "event.html")]
struct EventPage {
    layout: Layout,
    notice: Option<done::Notice>,
    row: EventRow,
    /// What its name means.
    meaning: Option<&'static str>,
    /// What rules say about the person.
    explain: Option<String>,
    stored: Stored,
    members: Vec<(String, String)>,
    /// How many members are left out.
    more_members: usize,
    raw: RawView,
    /// None for what usher wrote itself.
    signature: Option<SignatureView>,
    actions: Vec<Action>,
    before: Vec<EventRow>,
    after: Vec<EventRow>,
    /// All events of the same principal.
    same_principal: Option<String>,
    /// The events of the same request.
    same_trace: Option<String>,
    curl: String,
}

/// What usher knows of it beside its members.
struct Stored {
    received_at: DateTime<Utc>,
    time_known: bool,
    format: &'static str,
    copies: i64,
    portal: String,
    /// What people call the portal; empty where the directory does not know it.
    portal_name: String,
    delivery_id: Option<Uuid>,
    batch: Uuid,
    /// The events of its batch.
    batch_path: String,
}

/// One event.
pub(super) async fn show(
    Seen(console): Seen,
    visitor: Visitor,
    Path(id): Path<String>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<impl IntoResponse, Problem> {
    let notice = done::notice(&mut parameters);
    parameters.finish()?;
    let stored = find(&console, &id).await?;
    let event = stored.parse().map_err(|_| unreadable())?;
    let signature = signature(&console, &stored, &event).await?;
    let actions = actions(&console, &stored, &event).await?;
    let around = around(&console, &stored, &event).await?;
    let rows = |side: &[StoredEvent]| side.iter().map(EventRow::new).collect::<Vec<_>>();
    let (members, more_members) = members(&event);
    let portal_name = portal_name(&console, &event).await?;
    let mut row = EventRow::new(&stored);
    add_emails(&console, std::slice::from_mut(&mut row)).await?;
    let page = EventPage {
        layout: Layout::of(format!("Event {}", cut(&row.name, 60)), "/events", &visitor),
        notice,
        meaning: meaning(&row.name, row.portal.is_some()),
        explain: explain(&row),
        members,
        more_members,
        raw: RawView::of(&stored.raw),
        signature,
        actions,
        before: rows(&around.before),
        after: rows(&around.after),
        same_principal: event.column("principal_id").map(|principal_id| {
            let filter = EventFilter {
                principal_id: Some(principal_id),
                ..EventFilter::default()
            };
            paths::search(&filter, &[])
        }),
        same_trace: same_trace(&stored, &event),
        curl: curl(&console, &headers, stored.id),
        stored: Stored {
            received_at: stored.received_at,
            time_known: event.time_known,
            format: event.format.as_str(),
            copies: stored.copies,
            portal: visible(&event.column("portal_id").unwrap_or_default()),
            portal_name,
            delivery_id: stored.delivery_id,
            batch: stored.batch,
            batch_path: paths::of_batch(stored.batch),
        },
        row,
    };
    let shown = 1 + page.before.len() + page.after.len();
    Ok(AboutPeople(shown, layout::render(&page)?))
}

/// The bytes of one event, as a file.
pub(super) async fn raw(
    Seen(console): Seen,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<AboutPeople<Response>, Problem> {
    parameters.finish()?;
    let stored = find(&console, &id).await?;
    let name = format!("event-{}.bin", stored.id);
    Ok(AboutPeople(1, download(stored.raw, &name)))
}

async fn find(console: &Console, id: &str) -> Result<StoredEvent, Problem> {
    let id: EventId = path_id(id, "an event")?;
    let found = console.reading.event(id).await?;
    found.ok_or_else(|| {
        let absent = "there is no event with this id; it may have been stored too long ago";
        Problem::new(StatusCode::NOT_FOUND, absent)
    })
}

fn unreadable() -> Problem {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "the stored bytes are not an event",
    )
}

/// The check of its signature, done now; none for what usher wrote itself.
async fn signature(
    console: &Console,
    stored: &StoredEvent,
    event: &AuditEvent,
) -> Result<Option<SignatureView>, Problem> {
    if event.claims_own_product() {
        return Ok(None);
    }
    let examined = examine(&console.reading, stored.raw.clone(), stored.received_at).await;
    let examined = examined.map_err(|error| match error {
        IntakeError::Journal(error) => journal_problem(&error),
        IntakeError::Check(_) => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the signature could not be checked",
        ),
    })?;
    Ok(Some(SignatureView::new(
        &examined,
        event.format,
        &stored.raw,
        stored.verdict,
    )))
}

/// What people call the portal.
async fn portal_name(console: &Console, event: &AuditEvent) -> Result<String, Problem> {
    let Some(portal) = event.portal_uuid() else {
        return Ok(String::new());
    };
    let known = console.directory.portal(portal.into()).await?;
    Ok(known.map_or_else(String::new, |known| visible(&cut(&known.name, 100))))
}

/// Where rules are explained for the person of an event.
fn explain(row: &EventRow) -> Option<String> {
    let (portal, person) = row.portal.zip(row.person)?;
    Some(format!(
        "/rules/explain?developer_id={person}&portal_id={portal}"
    ))
}

/// The actions that it led to.
async fn actions(
    console: &Console,
    stored: &StoredEvent,
    event: &AuditEvent,
) -> Result<Vec<Action>, Problem> {
    let Some(portal) = event.portal_uuid() else {
        return Ok(Vec::new());
    };
    let targets = named(&stored.raw);
    let actions = console
        .listed
        .about((portal, &targets), Some(stored.id.as_uuid()), ACTIONS)
        .await;
    actions.map_err(|error| journal_problem(&error))
}

/// The events of the same principal around it.
async fn around(
    console: &Console,
    stored: &StoredEvent,
    event: &AuditEvent,
) -> Result<Around, Problem> {
    let Some(principal_id) = event.column("principal_id") else {
        return Ok(Around::default());
    };
    let filter = EventFilter {
        principal_id: Some(principal_id),
        ..EventFilter::default()
    };
    let around = console
        .reading
        .around(&filter, Position::from(stored), NEARBY)
        .await;
    around.map_err(|error| journal_problem(&error))
}

/// The search for the events of the same request, if it names one.
fn same_trace(stored: &StoredEvent, event: &AuditEvent) -> Option<String> {
    let filter = EventFilter {
        trace_id: Some(event.column("trace_id")?),
        // No index has them: without a window all of the record would be examined.
        from: stored.event_ts.checked_sub_signed(TRACE_WITHIN),
        to: stored.event_ts.checked_add_signed(TRACE_WITHIN),
        ..EventFilter::default()
    };
    Some(paths::search(&filter, &[]))
}

/// Its members as sent, each cut, and how many are left out.
fn members(event: &AuditEvent) -> (Vec<(String, String)>, usize) {
    let members = render(event);
    let all = members.len();
    let mut room = MEMBERS_BYTES;
    let mut shown = Vec::new();
    for (name, value) in members {
        let value = match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let name = visible(&cut(&name, 100));
        let value = visible(&cut(&value, MEMBER_LETTERS));
        // What stands around them takes some bytes too.
        let taken = 40 + escaped_bytes(&name) + escaped_bytes(&value);
        let Some(left) = room.checked_sub(taken) else {
            break;
        };
        room = left;
        shown.push((name, value));
    }
    let more = all - shown.len();
    (shown, more)
}

/// The ids that stand in an entry, whichever member has them.
fn named(raw: &[u8]) -> Vec<Uuid> {
    const LETTERS: usize = 36;
    let mut found = BTreeSet::new();
    let mut at = 0;
    while at + LETTERS <= raw.len() && found.len() < TARGETS {
        let window = &raw[at..at + LETTERS];
        // A look at the dashes is enough for nearly all places.
        let id = (window[8] == b'-' && window[13] == b'-')
            .then(|| Uuid::try_parse_ascii(window).ok())
            .flatten();
        match id {
            Some(id) => {
                found.insert(id);
                at += LETTERS;
            }
            None => at += 1,
        }
    }
    found.into_iter().collect()
}

/// The call of the API that answers with it, to be pasted into a shell.
fn curl(console: &Console, headers: &HeaderMap, id: EventId) -> String {
    let scheme = if console.is_secure { "https" } else { "http" };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let is_host = |host: &&str| {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || ".:-[]".contains(letter);
        !host.is_empty() && host.chars().all(plain)
    };
    let host = host.filter(is_host).unwrap_or("localhost");
    format!("curl -H \"Authorization: Bearer $USHER_TOKEN\" '{scheme}://{host}/api/v1/events/{id}'")
}

#[cfg(test)]
mod tests {
    use askama::Template;
    use chrono::DateTime;
    use uuid::Uuid;

    use super::{EventPage, Stored, TARGETS, members, named};
    use crate::config::Role;
    use crate::console::events::row::EventRow;
    use crate::console::events::signature::SignatureView;
    use crate::console::layout::Layout;
    use crate::console::raw_view::RawView;
    use crate::console::session::Visitor;
    use crate::event::signature::locate;
    use crate::event::{Format, Verdict, parse};
    use crate::http::PortalScope;
    use crate::intake::{Examined, TriedKey};
    use crate::journal::{ServedKey, StoredEvent};

    /// The page of an entry with these bytes, which one key of fifty signed.
    fn page(raw: &[u8]) -> String {
        let event = parse(raw).unwrap();
        let at = DateTime::UNIX_EPOCH;
        let stored = StoredEvent {
            id: event.id,
            event_ts: event.event_ts,
            received_at: at,
            batch: Uuid::nil(),
            delivery_id: Some(Uuid::nil()),
            verdict: Verdict::KeyUnknown,
            copies: 1,
            raw: raw.to_vec(),
        };
        let key = |number: u8| TriedKey {
            key: ServedKey {
                key: vec![number; 32],
                kid: Some("<key>".to_owned()),
                first_seen: at,
                last_seen: at,
            },
            was_good: true,
            fits: (number == 7).then_some(0),
        };
        let examined = Examined {
            signed: locate(raw),
            keys: (0..50).map(key).collect(),
            settled_before: Some(at),
            verdict: Verdict::Verified,
        };
        let visitor = Visitor {
            name: "<ada>".to_owned(),
            role: Role::Operator,
            portals: PortalScope::All,
            csrf: "token".to_owned(),
            token_hash: [0; 32],
        };
        let row = EventRow::new(&stored);
        let (members, more_members) = members(&event);
        let page = EventPage {
            layout: Layout::of(row.name.clone(), "/events", &visitor),
            notice: None,
            meaning: None,
            explain: None,
            members,
            more_members,
            raw: RawView::of(raw),
            signature: Some(SignatureView::new(
                &examined,
                Format::Json,
                raw,
                stored.verdict,
            )),
            actions: Vec::new(),
            before: vec![row.clone(); 10],
            after: vec![row.clone(); 10],
            same_principal: Some("/events?principal_id=x&y".to_owned()),
            same_trace: None,
            curl: "curl".to_owned(),
            stored: Stored {
                received_at: at,
                time_known: event.time_known,
                format: "json",
                copies: 1,
                portal: "<portal>".to_owned(),
                portal_name: "<b>".to_owned(),
                delivery_id: stored.delivery_id,
                batch: stored.batch,
                batch_path: "/events?batch=x".to_owned(),
            },
            row,
        };
        page.render().unwrap()
    }

    #[test]
    fn hostile_values_are_text_on_a_page_of_bounded_size() {
        let sig = "A".repeat(86);
        for filling in ["<script>alert(1)</script>", "\"' onload=x ", "\u{202e}ü"] {
            let hostile = serde_json::Value::from(filling.repeat(300_000 / filling.len()));
            let raw = format!(
                r#"{{"name":{hostile},"src":{hostile},"principal_id":{hostile},"sig":"{sig}"}}"#
            );
            let html = page(raw.as_bytes());
            assert!(!html.contains("<script>alert"), "markup of an entry");
            assert!(!html.contains('\u{202e}'), "a text that turns around");
            assert!(html.len() < 300_000, "{} bytes", html.len());
        }
        let html = page(format!(r#"{{"name":"Ingress","sig":"{sig}"}}"#).as_bytes());
        assert!(html.contains("a key fits") && html.contains("reverify"));
        assert!(html.len() < 100_000, "{} bytes", html.len());
    }

    #[test]
    fn ids_are_found_wherever_they_stand() {
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let raw = format!(r#"{{"a":"{second}","data":{{"b":"x{first}y","c":"{second}"}}}}"#);
        assert_eq!(named(raw.as_bytes()), [first, second]);
        assert!(named(b"no id").is_empty());
        let many: String = (0..200).map(|n| Uuid::from_u128(n).to_string()).collect();
        assert_eq!(named(many.as_bytes()).len(), TARGETS);
    }

    #[test]
    fn members_are_as_sent_and_bounded() {
        let long = "x".repeat(300_000);
        let line = format!(r#"{{"name":"Ingress","trace_id":18446744073709551615,"z":"{long}"}}"#);
        let (shown, more) = members(&parse(line.as_bytes()).unwrap());
        assert_eq!(more, 0);
        let value = |name: &str| {
            let found = shown.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str()).unwrap()
        };
        assert_eq!(value("trace_id"), "18446744073709551615");
        assert!(value("z").chars().count() <= 1_001);
        let many: Vec<String> = (0..500)
            .map(|n| format!(r#""m{n}":"{}""#, "<".repeat(900)))
            .collect();
        let line = format!(r#"{{"name":"Ingress",{}}}"#, many.join(","));
        let (shown, more) = members(&parse(line.as_bytes()).unwrap());
        assert_eq!(shown.len() + more, 501);
        assert!(shown.len() < 20 && !shown.is_empty());
    }
}
