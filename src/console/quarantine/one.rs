//! One row of the quarantine: why it is there, its bytes, and what can be done.

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::console::layout::{self, Layout};
use crate::console::quarantine::paths::of_delivery;
use crate::console::quarantine::reasons::{Explained, Way, explain, way};
use crate::console::raw_view::{RawView, download, visible};
use crate::console::reads::AboutPeople;
use crate::console::seen::Seen;
use crate::console::session::Visitor;
use crate::console::window::told;
use crate::console::{done, filters};
use crate::http::Problem;
use crate::http::parameters::{Parameters, path_id};
use crate::journal::{Journal, Quarantined};

/// Deliveries are listed by the time of their batch, which is near.
const NEAR: TimeDelta = TimeDelta::seconds(10);

#[derive(Template)]
#[template(path = "quarantined.html")]
struct QuarantinedPage {
    layout: Layout,
    notice: Option<done::Notice>,
    visitor: Visitor,
    id: Uuid,
    received_at: DateTime<Utc>,
    reason: String,
    detail: String,
    explained: Explained,
    way: Way,
    delivery: Option<Uuid>,
    /// What else of it is in quarantine.
    same_delivery: String,
    /// The deliveries of that moment.
    deliveries: String,
    event_id: Option<Uuid>,
    raw: RawView,
    /// Bytes that there were; what is stored may be cut.
    whole_bytes: u64,
}

impl QuarantinedPage {
    /// Whether not all bytes are there.
    fn is_cut(&self) -> bool {
        self.whole_bytes > self.raw.bytes
    }

    /// Whether a release may store it.
    fn can_be_released(&self) -> bool {
        self.way == Way::Release
    }

    /// Whether its event is stored.
    fn is_stored(&self) -> bool {
        self.way == Way::Stored
    }
}

/// One row.
pub(super) async fn show(
    Seen(console): Seen,
    visitor: Visitor,
    Path(id): Path<String>,
    mut parameters: Parameters,
) -> Result<impl IntoResponse, Problem> {
    let notice = done::notice(&mut parameters);
    parameters.finish()?;
    let row = find(&console.reading, &id).await?;
    let (from, to) = (row.received_at - NEAR, row.received_at + NEAR);
    let page = QuarantinedPage {
        layout: Layout::of("In quarantine", "/quarantine", &visitor),
        notice,
        id: row.id,
        received_at: row.received_at,
        explained: explain(&row.reason),
        way: way(&row.reason, console.unsendable),
        detail: visible(&row.detail),
        reason: row.reason,
        delivery: row.delivery_id,
        same_delivery: row
            .delivery_id
            .map_or_else(String::new, |id| of_delivery(id, row.received_at)),
        deliveries: format!("/deliveries?from={}&to={}", told(from), told(to)),
        event_id: row.event_id,
        raw: RawView::of(&row.raw),
        whole_bytes: u64::try_from(row.raw_bytes).unwrap_or_default(),
        visitor,
    };
    Ok(AboutPeople(1, layout::render(&page)?))
}

/// The bytes of one row, as a file.
pub(super) async fn raw(
    Seen(console): Seen,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<AboutPeople<Response>, Problem> {
    parameters.finish()?;
    let row = find(&console.reading, &id).await?;
    let name = format!("quarantined-{}.bin", row.id);
    Ok(AboutPeople(1, download(row.raw, &name)))
}

/// The row that a path names.
pub(super) async fn find(journal: &Journal, id: &str) -> Result<Quarantined, Problem> {
    let id: Uuid = path_id(id, "a row's")?;
    let found = journal.quarantined_row(id).await?;
    found.ok_or_else(|| {
        let absent = "there is no row with this id in quarantine: it may have been released";
        Problem::new(StatusCode::NOT_FOUND, absent)
    })
}
