//! Answers that go on: `/api/v1/events/export` and `/api/v1/events/tail`. They have one page in
//! memory and no connection to the database between two, and end when usher does.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Extension;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::api::access_log::{self, NotedStream};
use crate::api::document::{EventWords, Missing, OfTheRecord, Refused};
use crate::api::format::Format;
use crate::api::lines::Lines;
use crate::api::render;
use crate::event::EventId;
use crate::http::parameters::{Parameters, bad_request};
use crate::http::tokens::Caller;
use crate::http::{Busy, Connection, Problem};
use crate::journal::{Export, Follow, StoredEvent};
use crate::lifecycle::Lifecycle;

/// Exports under way at once: each takes one of few connections, page after page.
const EXPORTS: usize = 4;
/// Tails at once.
const TAILS: usize = 64;
/// Something is sent this often, so that nothing in between takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How many answers may go on at once, and what ends them.
#[derive(Clone, Debug)]
pub struct Streams {
    exports: Arc<Semaphore>,
    tails: Arc<Semaphore>,
    lifecycle: Lifecycle,
}

impl Streams {
    /// None under way; all end when `lifecycle` stops.
    pub fn new(lifecycle: Lifecycle) -> Self {
        Self {
            exports: Arc::new(Semaphore::new(EXPORTS)),
            tails: Arc::new(Semaphore::new(TAILS)),
            lifecycle,
        }
    }
}

/// What an answer keeps while it goes on.
struct Place {
    _permit: OwnedSemaphorePermit,
    /// Else its connection would be taken for an idle one.
    _busy: Option<Busy>,
}

impl Place {
    fn take(
        places: &Arc<Semaphore>,
        connection: Option<Extension<Connection>>,
    ) -> Result<Self, Problem> {
        let Ok(permit) = Arc::clone(places).try_acquire_owned() else {
            let full = "as many of these as there may be are under way, try again";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, full);
            return Err(problem.with(header::RETRY_AFTER, "30"));
        };
        Ok(Self {
            _permit: permit,
            _busy: connection.map(|Extension(connection)| connection.keep()),
        })
    }
}

/// Every event that matches, oldest first.
///
/// NDJSON ends with `{"complete":true}`, unless it breaks off; `after` goes on from its last event.
#[utoipa::path(
    get,
    path = "/api/v1/events/export",
    tag = "events",
    params(
        EventWords,
        ("format" = inline(Option<Format>), Query, description = "One JSON object a line, or a file for spreadsheets"),
        ("after" = Option<uuid::Uuid>, Query, description = "Only those after this event"),
    ),
    responses(
        (status = 200, description = "All of them", content(
            (String = "application/x-ndjson"), (String = "text/csv"),
        )),
        Refused, Missing, OfTheRecord,
    ),
)]
pub(super) async fn export_events(
    api: Api,
    Extension(caller): Extension<Caller>,
    connection: Option<Extension<Connection>>,
    uri: Uri,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let format = parameters.read::<Format>("format", "ndjson or csv")?;
    let format = format.unwrap_or(Format::Ndjson);
    let after = parameters.read::<EventId>("after", "the id of an event")?;
    let filter = parameters.event_filter()?;
    parameters.finish()?;
    let place = Place::take(&api.streams.exports, connection)?;
    let export = Export::begin(api.reading.clone(), filter, after).await?;
    let read = access_log::read(&caller, "events.export".to_owned(), uri.query());
    // A read that could not be noted at its end must not begin.
    let noted = api.reads.check().await;
    noted?;
    let lifecycle = api.streams.lifecycle.clone();
    let exporting = Exporting {
        lines: Lines::of(export, format),
        format,
        stage: Stage::Head,
        stopping: lifecycle.stopping(),
        noting: NotedStream::new(api.reads.clone(), lifecycle, read),
        _place: place,
    };
    let body = Body::from_stream(stream::try_unfold(exporting, |exporting| {
        Box::pin(exporting.piece())
    }));
    let name = format!("attachment; filename=\"events.{}\"", format.as_str());
    let headers = [
        (header::CONTENT_TYPE, format.media_type().to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, body).into_response())
}

/// An export that is being sent.
struct Exporting {
    lines: Lines,
    format: Format,
    stage: Stage,
    stopping: CancellationToken,
    noting: NotedStream,
    _place: Place,
}

#[derive(Clone, Copy)]
enum Stage {
    Head,
    Events,
    Done,
}

impl Exporting {
    /// What is sent next. An error ends the answer in the middle, so that nobody takes it for
    /// whole.
    async fn piece(mut self) -> Result<Option<(Bytes, Self)>, io::Error> {
        loop {
            let piece = match self.stage {
                Stage::Head => {
                    self.stage = Stage::Events;
                    self.format.head()
                }
                Stage::Events => self.events().await?,
                Stage::Done => return Ok(None),
            };
            if !piece.is_empty() {
                return Ok(Some((piece.into(), self)));
            }
        }
    }

    async fn events(&mut self) -> Result<Vec<u8>, io::Error> {
        let piece = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return Err(io::Error::other("usher stops")),
            piece = self.lines.next() => piece,
        };
        let piece = piece.map_err(|error| {
            tracing::warn!(error = error.chain(), "an export was broken off");
            io::Error::other("the record could not be read")
        })?;
        let Some(piece) = piece else {
            let noted = self.noting.end().await;
            noted.map_err(|_| io::Error::other("who reads could not be noted"))?;
            self.stage = Stage::Done;
            return Ok(self.format.end().to_vec());
        };
        self.noting.add(piece.events);
        Ok(piece.bytes)
    }
}

/// Events as they come in, until the client goes away.
///
/// Server-sent events: the id of each is that of the event, and `Last-Event-ID` resumes. An event
/// `gap` says that what came in since then is not known any more.
#[utoipa::path(
    get,
    path = "/api/v1/events/tail",
    tag = "events",
    params(EventWords),
    responses(
        (status = 200, description = "Each as it comes", content((String = "text/event-stream"))),
        Refused, OfTheRecord,
    ),
)]
pub(super) async fn tail_events(
    api: Api,
    Extension(caller): Extension<Caller>,
    connection: Option<Extension<Connection>>,
    uri: Uri,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let last = last_event_id(&headers)?;
    let filter = parameters.event_filter()?;
    parameters.finish()?;
    if filter.to.is_some() {
        return Err(bad_request("parameter to: what comes in has no end"));
    }
    let place = Place::take(&api.streams.tails, connection)?;
    let resumed = Follow::resumed(api.reading.clone(), filter, last).await;
    let (follow, is_whole) = resumed?;
    let gap = last.filter(|_| !is_whole).map(told_gap);
    // Noted now, since it may go on for days.
    let read = access_log::read(&caller, "events.tail".to_owned(), uri.query());
    let noted = api.reads.note(&read).await;
    noted?;
    let tailing = Tailing {
        follow,
        gap,
        waiting: VecDeque::new(),
        stopping: api.streams.lifecycle.stopping(),
        _place: place,
    };
    let events = stream::unfold(tailing, |tailing| Box::pin(tailing.next()));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// The last event that a client of an earlier tail has.
fn last_event_id(headers: &HeaderMap) -> Result<Option<EventId>, Problem> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|id| id.parse().ok());
    let wrong = || bad_request("header Last-Event-ID: expected the id of an event");
    id.map(Some).ok_or_else(wrong)
}

/// Says that what came in since `last` is not known any more.
fn told_gap(last: EventId) -> Event {
    let told = json!({ "after": last });
    Event::default().event("gap").data(told.to_string())
}

/// A tail that is being sent.
struct Tailing {
    follow: Follow,
    /// Sent first.
    gap: Option<Event>,
    waiting: VecDeque<StoredEvent>,
    stopping: CancellationToken,
    _place: Place,
}

impl Tailing {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            let waiting = self.waiting.pop_front();
            let event = self.gap.take().or_else(|| waiting.as_ref().map(as_sse));
            if let Some(event) = event {
                return Some((Ok(event), self));
            }
            let events = self.follow.wait(&self.stopping).await?;
            self.waiting.extend(events);
        }
    }
}

fn as_sse(event: &StoredEvent) -> Event {
    let text = render::event_text(event);
    Event::default().id(event.id.to_string()).data(text.get())
}
