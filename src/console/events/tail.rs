//! Events as they come in, for the script of the search page. It ends with usher, with the session
//! and with the page, and there is a bounded number of them, over all and by token.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::console::events::row::EventRow;
use crate::console::seen::Seen;
use crate::console::session::{self, Visitor};
use crate::console::{Console, Shared};
use crate::event::EventId;
use crate::http::parameters::{Parameters, bad_request};
use crate::http::tokens::TokenHash;
use crate::http::{Busy, Connection, Problem};
use crate::journal::{Access, AccessPath, EventFilter, Follow, StoredEvent};

/// Tails at once.
const TAILS: usize = 50;
/// How many of them one console token may have, so that nobody takes every place.
const TAILS_BY_TOKEN: usize = 5;
/// Something is sent this often, so that nothing in between takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How soon a session that ended ends its tails.
const SESSION_EVERY: Duration = Duration::from_secs(5);

/// How many tails may go on at once. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::console) struct Tails {
    all: Arc<Semaphore>,
    /// Only configured tokens sign in, so these are no more than they are.
    by_token: Arc<Mutex<HashMap<TokenHash, Arc<Semaphore>>>>,
}

impl Default for Tails {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(TAILS)),
            by_token: Arc::default(),
        }
    }
}

impl Tails {
    /// A place among all, and one among those of the token.
    fn take(&self, token: TokenHash) -> Result<[OwnedSemaphorePermit; 2], Problem> {
        let of_token = {
            let mut by_token = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
            let of_token = by_token.entry(token);
            Arc::clone(of_token.or_insert_with(|| Arc::new(Semaphore::new(TAILS_BY_TOKEN))))
        };
        let own = of_token.try_acquire_owned().map_err(|_| {
            full("your token follows the events on as many pages as it may, close one of them")
        })?;
        let any = Arc::clone(&self.all)
            .try_acquire_owned()
            .map_err(|_| full("as many pages follow the events as may at once, try again"))?;
        Ok([own, any])
    }
}

fn full(detail: &str) -> Problem {
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
    problem.with(header::RETRY_AFTER, "30")
}

impl axum::extract::FromRef<Shared> for Tails {
    fn from_ref(shared: &Shared) -> Self {
        shared.tails.clone()
    }
}

/// What a tail keeps while it goes on.
struct Place {
    _permits: [OwnedSemaphorePermit; 2],
    /// Else its connection would be taken for an idle one.
    _busy: Option<Busy>,
}

/// The events that match, as they are stored.
pub(super) async fn tail(
    Seen(console): Seen,
    State(tails): State<Tails>,
    visitor: Visitor,
    connection: Option<Extension<Connection>>,
    headers: HeaderMap,
    mut parameters: Parameters,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let filter = parameters.event_filter()?;
    parameters.finish()?;
    if filter.to.is_some() {
        return Err(bad_request("parameter to: what comes in has no end"));
    }
    let place = Place {
        _permits: tails.take(visitor.token_hash)?,
        _busy: connection.map(|Extension(connection)| connection.keep()),
    };
    // A browser whose connection broke says what it had. If that is too long ago, the page goes on
    // with what comes in.
    let last: Option<EventId> = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok()?.parse().ok());
    let read = access(&visitor, &filter);
    let follow = Follow::resumed(console.reading.clone(), filter, last).await;
    let (follow, _) = follow?;
    // Noted now, since it may go on for days.
    let noted = console.reads.note(&read).await;
    noted?;
    let tailing = Tailing {
        follow,
        waiting: VecDeque::new(),
        stopping: console.lifecycle.stopping(),
        checked: Instant::now(),
        console,
        headers,
        _place: place,
    };
    let events = stream::unfold(tailing, |tailing| Box::pin(tailing.next()));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// What the access log says of it.
fn access(visitor: &Visitor, filter: &EventFilter) -> Access {
    let words = filter.as_words().into_iter();
    Access {
        what: "events.tail".to_owned(),
        who: visitor.name.clone(),
        way: AccessPath::Console,
        filter: words
            .map(|(word, value)| (word.to_owned(), value))
            .collect(),
        rows: None,
        is_complete: false,
    }
}

/// A tail that is being sent.
struct Tailing {
    follow: Follow,
    waiting: VecDeque<StoredEvent>,
    stopping: CancellationToken,
    /// When the session was last known to go on.
    checked: Instant,
    console: Arc<Console>,
    headers: HeaderMap,
    _place: Place,
}

impl Tailing {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if self.is_over().await {
                return None;
            }
            if let Some(stored) = self.waiting.pop_front() {
                return Some((Ok(as_sse(&stored)), self));
            }
            let events = self.follow.wait(&self.stopping).await?;
            self.waiting.extend(events);
        }
    }

    /// Whether usher stops or the session has ended; the latter is looked up now and then.
    async fn is_over(&mut self) -> bool {
        if self.stopping.is_cancelled() {
            return true;
        }
        if self.checked.elapsed() < SESSION_EVERY {
            return false;
        }
        match session::lasts(&self.console, &self.headers).await {
            Ok(lasts) => {
                self.checked = Instant::now();
                !lasts
            }
            // Asked again with the next event, or in a second.
            Err(error) => {
                tracing::debug!(error = error.chain(), "a tail does not know its session");
                false
            }
        }
    }
}

fn as_sse(stored: &StoredEvent) -> Event {
    let row = EventRow::new(stored);
    let data = row.for_tail().to_string();
    Event::default().id(row.id).data(data)
}

#[cfg(test)]
mod tests {
    use super::{TAILS, TAILS_BY_TOKEN, Tails};

    #[test]
    fn nobody_takes_every_place() {
        let tails = Tails::default();
        let of = |token: u8| tails.take([token; 32]);
        let mut mine: Vec<_> = (0..TAILS_BY_TOKEN).map(|_| of(0).unwrap()).collect();
        let refused = of(0).unwrap_err();
        assert!(
            refused.detail().contains("your token"),
            "{}",
            refused.detail()
        );
        let others: Vec<_> = (1..).map_while(|token| of(token).ok()).collect();
        assert_eq!(mine.len() + others.len(), TAILS);
        mine.pop();
        assert!(of(0).is_ok(), "a place that was left is free");
    }
}
