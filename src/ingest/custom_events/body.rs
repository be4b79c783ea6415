//! Reads the body of a trusted sender's request, within its bounds and the body budget.

use std::net::IpAddr;

use axum::body::Body;
use bytes::Bytes;
use tokio::select;
use tokio::time::Instant;

use crate::ingest::bounds::{BODY_TIME, Frame, drain, frame};
use crate::ingest::custom_events::answer::Refusal;
use crate::ingest::custom_events::body_budget::{BodyBudget, BodySlot, WholeBody};

/// Bytes of one body. It must be read before usher knows who sent it.
const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;

/// Reads a body to its end. Its bytes stay reserved as long as the returned value lives.
pub(super) async fn read(
    body: Body,
    peer: IpAddr,
    budget: &BodyBudget,
) -> Result<(Bytes, WholeBody), Refusal> {
    let place = budget.enter(peer).await.ok_or(Refusal::NoRoom)?;
    let cut = place.cut();
    select! {
        biased;
        // Nobody waits for the rest of the body: the connection ends.
        () = cut.cancelled() => return Err(Refusal::NoRoom),
        read = read_in(body, &place) => read?,
    }
    let (bytes, kept) = place.whole().ok_or(Refusal::NoRoom)?;
    Ok((bytes.into(), kept))
}

async fn read_in(mut body: Body, place: &BodySlot) -> Result<(), Refusal> {
    let deadline = Instant::now() + BODY_TIME;
    loop {
        let data = match frame(&mut body, deadline).await {
            Frame::Data(data) => data,
            Frame::End => return Ok(()),
            Frame::TooSlow => return Err(Refusal::TooSlow),
            Frame::Broken => return Err(Refusal::Broken),
        };
        if place.len() + data.len() > MAX_BODY_BYTES {
            place.forget();
            drain(body).await;
            let detail = format!("the body is over {MAX_BODY_BYTES} bytes");
            return Err(Refusal::TooLarge(detail));
        }
        if !place.keep(&data).await {
            return Err(Refusal::NoRoom);
        }
    }
}
