//! Events whose month is being dropped: they are quarantined, since no table can take them.

use std::borrow::Cow;

use uuid::Uuid;

use crate::journal::batch::{NewBatch, NewQuarantine};
use crate::journal::partitions::Closed;

/// The batch without the events whose month is being dropped. Those are quarantined, so that one
/// old entry does not keep the others from being stored.
pub(super) fn set_aside<'a>(batch: &'a NewBatch, closed: &Closed) -> Cow<'a, NewBatch> {
    if closed.is_empty() {
        return Cow::Borrowed(batch);
    }
    let mut kept = batch.clone();
    kept.events.clear();
    for new in &batch.events {
        if closed.holds(new.event.event_ts) {
            kept.quarantined.push(NewQuarantine {
                id: quarantine_id(batch.id, new.event.id.as_uuid()),
                request: new.request,
                reason: "month_dropped",
                detail: "its month is older than retention.events and is being dropped".to_owned(),
                raw_bytes: new.raw.len(),
                raw: new.raw.clone(),
                event_id: Some(new.event.id),
            });
        } else {
            kept.events.push(new.clone());
        }
    }
    Cow::Owned(kept)
}

/// Made from the batch's time and bits of the event: the same whenever the batch is repeated.
fn quarantine_id(batch: Uuid, event: Uuid) -> Uuid {
    let (seconds, nanos) = batch.get_timestamp().map_or((0, 0), |time| time.to_unix());
    let mut bits = [0_u8; 10];
    bits.copy_from_slice(&event.as_bytes()[6..]);
    let millis = seconds * 1_000 + u64::from(nanos) / 1_000_000;
    uuid::Builder::from_unix_timestamp_millis(millis, &bits).into_uuid()
}
