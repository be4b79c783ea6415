//! Where questions are answered: at a replica where there is one, else at the primary. A question
//! that the replica cuts off, since it must catch up, is asked once more there and then at the
//! primary. While the replica is away, the primary answers all.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::http::Connection;
use crate::http::health::{Condition, Health};
use crate::http::parameters::AsOf;
use crate::journal::{AskElsewhere, Journal, JournalError};
use crate::lifecycle::pause;

/// The part of `/readyz`, and its word in logs.
const PART: &str = "replica";
/// Between checks of how far a replica is, and how long one may take.
const CHECK_EVERY: Duration = Duration::from_secs(1);
const LOOK_WITHIN: Duration = Duration::from_secs(3);
/// A replica that is so far behind is not asked. A replica of a primary to which nothing is written
/// looks so too, and nobody needs it.
const MOST_LAG: TimeDelta = TimeDelta::minutes(1);
/// Checks in a row that got no connection, after which it counts as away.
const BUSY_LOOKS: u32 = 2;
/// How often a question is asked at a replica.
const TRIES: usize = 2;

/// How far a replica is; none while it is away.
#[derive(Debug, Clone)]
pub struct Replica(watch::Receiver<Option<DateTime<Utc>>>);

impl Replica {
    /// Checks how far the replica is that `journal` reads until `stop` fires, and reports it to
    /// `health`.
    pub fn watch(
        journal: Journal,
        clock: Clock,
        health: Health,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()>) {
        let (tell, seen) = watch::channel(None);
        let task = async move {
            let mut told = None;
            let mut busy = 0;
            loop {
                let look = tokio::time::timeout(LOOK_WITHIN, journal.replayed_to()).await;
                let look = look.unwrap_or_else(|_| Err(JournalError::busy()));
                let is_busy = look.as_ref().is_err_and(JournalError::is_busy);
                busy = if is_busy { busy + 1 } else { 0 };
                // Requests may have all connections for a moment.
                if busy == 0 || busy >= BUSY_LOOKS || told.is_none() {
                    let trouble = trouble(&look, clock.now());
                    let is_well = trouble.is_empty();
                    tell.send_replace(look.ok().flatten().filter(|_| is_well));
                    if told.as_ref() != Some(&trouble) {
                        if is_well {
                            info!("the replica answers");
                            health.set(PART, Condition::Ok, "");
                        } else {
                            warn!(trouble, "the primary answers for the replica");
                            health.set(PART, Condition::Degraded, trouble.as_str());
                        }
                        told = Some(trouble);
                    }
                }
                if pause(CHECK_EVERY, &stop).await {
                    return;
                }
            }
        };
        (Self(seen), task)
    }
}

/// Why the replica is not asked; empty where it is.
fn trouble(look: &Result<Option<DateTime<Utc>>, JournalError>, now: DateTime<Utc>) -> String {
    match look {
        Ok(Some(time)) if now - *time > MOST_LAG => {
            "it is more than a minute behind, or nothing is written".to_owned()
        }
        Ok(Some(_)) => String::new(),
        Ok(None) => "it has replayed nothing since it started".to_owned(),
        Err(error) => error.plain(),
    }
}

/// Where else questions are answered.
#[derive(Clone)]
pub(super) struct ReadDatabases {
    pub(super) replica: Option<(Replica, Router)>,
    pub(super) clock: Clock,
}

/// Asks the replica, where there is one that may answer, and else goes on to the primary.
pub(super) async fn choose(
    State(ReadDatabases { replica, clock }): State<ReadDatabases>,
    mut request: Request,
    next: Next,
) -> Result<Response, Infallible> {
    if let Some((replica, router)) = replica.filter(|_| may_lag(&request)) {
        for _ in 0..TRIES {
            let Some(as_of) = *replica.0.borrow() else {
                break;
            };
            let answer = router.clone().oneshot(again(&request, as_of)).await?;
            match answer.extensions().get() {
                None => return Ok(answer),
                Some(AskElsewhere { once_more: true }) => {}
                Some(AskElsewhere { once_more: false }) => break,
            }
        }
    }
    request.extensions_mut().insert(AsOf(clock.now()));
    Ok(next.run(request).await)
}

/// Whether an answer may be a moment old. What comes in is followed where it comes in.
fn may_lag(request: &Request) -> bool {
    request.method() == Method::GET && !request.uri().path().ends_with("/tail")
}

/// The same request, which has no body, as it was before it was routed.
fn again(request: &Request, as_of: DateTime<Utc>) -> Request {
    let mut again = Request::new(Body::empty());
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.version_mut() = request.version();
    *again.headers_mut() = request.headers().clone();
    let extensions = again.extensions_mut();
    if let Some(connection) = request.extensions().get::<Connection>() {
        extensions.insert(connection.clone());
    }
    extensions.insert(AsOf(as_of));
    again
}
