//! How much of a body is read, and for how long.

use std::time::Duration;

use axum::body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

/// A sender that needs longer than this for one body is given up.
const BODY_TIME: Duration = Duration::from_secs(30);

/// A body as far as it was read.
pub(super) enum Body {
    /// All of it.
    Whole(bytes::Bytes),
    /// Its start, up to the bound.
    TooLarge(Vec<u8>),
    /// What came in time.
    TooSlow(Vec<u8>),
    /// What came before the connection broke.
    Broken(Vec<u8>),
}

/// Reads at most `max` bytes.
pub(super) async fn read(body: body::Body, max: usize) -> Body {
    let deadline = Instant::now() + BODY_TIME;
    let mut body = body;
    let mut read = Vec::new();
    loop {
        let frame = match timeout_at(deadline, body.frame()).await {
            Err(_) => return Body::TooSlow(read),
            Ok(None) => return Body::Whole(read.into()),
            Ok(Some(Err(_))) => return Body::Broken(read),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let room = max - read.len();
        if data.len() > room {
            read.extend_from_slice(&data[..room]);
            return Body::TooLarge(read);
        }
        read.extend_from_slice(&data);
    }
}
