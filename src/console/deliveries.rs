//! The requests that delivered entries.

use askama::Template;
use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::console::events;
use crate::console::layout::{self, Layout};
use crate::console::quarantine;
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::show::Tone;
use crate::console::window::{command, told};
use crate::console::{Shared, filters};
use crate::http::Problem;
use crate::http::parameters::{Parameters, bad_request, part, time_part};
use crate::journal::{Delivery, DeliveryFilter, far_future};

/// Deliveries of a page.
const ROWS: i64 = 50;
/// Deliveries that one batch shows: many may be stored at once.
const ROWS_OF_BATCH: i64 = 200;
/// Where a status is asked for and no start: rows that match may be few, and all are examined.
const LATELY: TimeDelta = TimeDelta::days(7);

/// The pages about deliveries.
pub(super) fn pages() -> Router<Shared> {
    Router::new().route("/deliveries", get(list))
}

#[derive(Template)]
#[template(path = "deliveries.html")]
struct DeliveriesPage {
    layout: Layout,
    from: String,
    to: String,
    /// The classes of a status, each with whether it is asked for.
    classes: Vec<(&'static str, bool)>,
    /// Whether the list begins lately because a status is asked for.
    is_late: bool,
    batch: Option<Uuid>,
    rows: Vec<DeliveryRow>,
    next: Option<String>,
    command: Option<String>,
}

/// The classes of a status, by their words.
const CLASSES: [(&str, i32); 3] = [("2xx", 2), ("4xx", 4), ("5xx", 5)];

/// One line of the list.
struct DeliveryRow {
    id: Uuid,
    received_at: DateTime<Utc>,
    peer: String,
    status: u16,
    tone: &'static str,
    received: usize,
    stored: usize,
    duplicates: usize,
    quarantined: usize,
    body_bytes: u64,
    inflated_bytes: u64,
    encoding: String,
    /// The events that were stored with it.
    events: String,
    /// What of it is in quarantine.
    aside: String,
}

impl DeliveryRow {
    fn new(delivery: Delivery) -> Self {
        let request = delivery.request;
        Self {
            id: request.id,
            received_at: request.received_at,
            peer: request.peer,
            status: request.status,
            tone: tone(request.status).class(),
            received: request.received,
            stored: request.stored,
            duplicates: request.duplicates,
            quarantined: request.quarantined,
            body_bytes: request.body_bytes as u64,
            inflated_bytes: request.inflated_bytes as u64,
            encoding: request.encoding,
            events: events::of_batch(delivery.batch),
            aside: quarantine::of_delivery(request.id, request.received_at),
        }
    }
}

fn tone(status: u16) -> Tone {
    match status {
        200..300 => Tone::Ok,
        400..500 => Tone::Bad,
        _ => Tone::Warn,
    }
}

/// The list.
async fn list(
    Seen(console): Seen,
    visitor: Visitor,
    mut parameters: Parameters,
) -> Result<impl IntoResponse, Problem> {
    let batch = parameters.read::<Uuid>("batch", "the id of a batch")?;
    let (from, to) = parameters.window()?;
    let class = parameters.text("status").map(|word| class(&word));
    let class = class.transpose()?;
    let after = parameters.after(|[time, batch, place]: [String; 3]| {
        Ok((part(&time)?, part(&batch)?, part(&place)?))
    })?;
    let pager = parameters.finish()?;
    let lately = class.and_then(|_| console.clock.now().checked_sub_signed(LATELY));
    let filter = DeliveryFilter {
        from: from.or(lately).unwrap_or(DateTime::UNIX_EPOCH),
        to: to.unwrap_or_else(far_future),
        status_class: class.map(|(_, digit)| digit),
        after,
    };
    let found = match batch {
        Some(batch) => console.reading.deliveries_of(batch, ROWS_OF_BATCH).await,
        None => console.reading.deliveries(&filter, ROWS + 1).await,
    };
    let mut found = found?;
    let rows = usize::try_from(ROWS).unwrap_or(usize::MAX);
    let has_more = batch.is_none() && found.len() > rows;
    if has_more {
        found.truncate(rows);
    }
    let last = found.last().filter(|_| has_more);
    let next = last.map(|last| {
        let time = time_part(last.batch_received_at);
        pager.next(&format!("{time} {} {}", last.batch, last.place))
    });
    let page = DeliveriesPage {
        layout: Layout::of("Deliveries", "/deliveries", &visitor),
        from: from.map_or_else(String::new, told),
        to: to.map_or_else(String::new, told),
        classes: CLASSES.map(|one| (one.0, class == Some(one))).into(),
        is_late: class.is_some() && from.is_none(),
        batch,
        rows: found.into_iter().map(DeliveryRow::new).collect(),
        next,
        // Neither a status nor a batch has a flag there.
        command: (batch.is_none() && class.is_none())
            .then(|| command("usher deliveries", from, to)),
    };
    layout::render(&page)
}

fn class(word: &str) -> Result<(&'static str, i32), Problem> {
    let found = CLASSES.into_iter().find(|(known, _)| *known == word);
    found.ok_or_else(|| bad_request("parameter status: expected 2xx, 4xx or 5xx"))
}

#[cfg(test)]
mod tests {
    use super::{class, tone};
    use crate::console::show::Tone;

    #[test]
    fn a_status_has_its_class_and_its_colour() {
        assert_eq!(class("4xx").ok(), Some(("4xx", 4)));
        assert!(class("3xx").is_err());
        for (status, expected) in [(200, Tone::Ok), (413, Tone::Bad), (500, Tone::Warn)] {
            assert_eq!(tone(status), expected);
        }
    }
}
