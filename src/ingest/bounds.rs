//! How much of a body is read, for how long, and how many bytes all bodies may take at once.

use std::sync::Arc;
use std::time::Duration;

use axum::body;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

/// A body that takes longer than this is given up.
pub(super) const BODY_TIME: Duration = Duration::from_secs(30);

/// So is a body of which nothing arrives for this long.
const STALL_TIME: Duration = Duration::from_secs(10);

/// How long the rest of a refused body is read and dropped. A sender that reads only after it has
/// written everything then gets the refusal instead of a broken connection.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// How long a delivery waits until others free their part of the budget. Konnect waits longer for
/// an answer.
const ROOM_TIME: Duration = Duration::from_secs(5);

const MIB: usize = 1024 * 1024;

/// Bytes of bodies as sent, all requests together.
const BODIES_BYTES: usize = 32 * MIB;

/// Bytes of bodies after inflating, all requests together. Each becomes several bytes of parsed
/// events on its way to the record.
const INFLATED_BYTES: usize = 32 * MIB;

/// What one request may take of either. A large request leaves budget for small ones, and two large
/// ones run one after the other.
const LARGEST_SHARE: usize = 24 * MIB;

/// A body as far as it was read.
pub(super) enum Body {
    /// All of it.
    Whole(bytes::Bytes),
    /// Its start, up to the bound.
    TooLarge(Vec<u8>),
    /// What arrived in time.
    TooSlow(Vec<u8>),
    /// What arrived before the connection broke.
    Broken(Vec<u8>),
    /// The budget was used up.
    NoRoom,
}

/// Reads at most `max` bytes, reserved in `held`.
pub(super) async fn read(body: body::Body, max: usize, held: &mut BudgetShare) -> Body {
    let deadline = Instant::now() + BODY_TIME;
    let mut body = body;
    let mut read = Vec::new();
    loop {
        let data = match frame(&mut body, deadline).await {
            Frame::Data(data) => data,
            Frame::End => return Body::Whole(read.into()),
            Frame::TooSlow => return Body::TooSlow(read),
            Frame::Broken => return Body::Broken(read),
        };
        let kept = data.len().min(max - read.len());
        // Only the first bytes wait for the budget: a request that waits must not occupy what
        // others wait for.
        let budget = if read.is_empty() {
            held.wait_for(kept).await
        } else {
            held.grow_to(read.len() + kept)
        };
        if !budget {
            held.let_go();
            drop(read);
            drain(body).await;
            return Body::NoRoom;
        }
        read.extend_from_slice(&data[..kept]);
        if kept < data.len() {
            drain(body).await;
            return Body::TooLarge(read);
        }
    }
}

/// The next part of a body.
pub(super) enum Frame {
    Data(bytes::Bytes),
    End,
    /// Nothing, for too long.
    TooSlow,
    /// The connection broke.
    Broken,
}

/// Waits for the next part of `body`, which must end by `deadline`.
pub(super) async fn frame(body: &mut body::Body, deadline: Instant) -> Frame {
    loop {
        let due = deadline.min(Instant::now() + STALL_TIME);
        match timeout_at(due, body.frame()).await {
            Err(_) => return Frame::TooSlow,
            Ok(None) => return Frame::End,
            Ok(Some(Err(_))) => return Frame::Broken,
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Frame::Data(data);
                }
            }
        }
    }
}

/// Reads and drops the rest of `body`, for a while.
pub(super) async fn drain(mut body: body::Body) {
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    // Whether it ended changes nothing.
    drop(timeout(DRAIN_TIME, rest).await);
}

/// The budget for the bytes of all requests. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct MemoryBudget {
    bodies: Arc<Semaphore>,
    inflated: Arc<Semaphore>,
}

impl MemoryBudget {
    pub(super) fn new() -> Self {
        Self {
            bodies: Arc::new(Semaphore::new(BODIES_BYTES)),
            inflated: Arc::new(Semaphore::new(INFLATED_BYTES)),
        }
    }

    /// An empty share of the budget for bodies as sent.
    pub(super) fn body(&self) -> BudgetShare {
        BudgetShare::none_of(&self.bodies)
    }

    /// An empty share of the budget for inflated bodies. A request that waits for it may have a
    /// share of the other budget, never the reverse: so no requests wait in a circle.
    pub(super) fn inflated(&self) -> BudgetShare {
        BudgetShare::none_of(&self.inflated)
    }
}

/// The bytes that one request has reserved. Dropping it frees them.
#[derive(Debug)]
pub(super) struct BudgetShare {
    budget: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl BudgetShare {
    fn none_of(budget: &Arc<Semaphore>) -> Self {
        Self {
            budget: Arc::clone(budget),
            permit: None,
        }
    }

    /// Reserves `bytes` in all, at once or not at all; `false` when the budget is too small.
    pub(super) fn grow_to(&mut self, bytes: usize) -> bool {
        let missing = self.missing(bytes);
        if missing == 0 {
            return true;
        }
        match Arc::clone(&self.budget).try_acquire_many_owned(missing) {
            Ok(permit) => self.add(permit),
            Err(_) => return false,
        }
        true
    }

    /// Reserves `bytes` in all and waits for others to end; `false` when that took too long.
    pub(super) async fn wait_for(&mut self, bytes: usize) -> bool {
        let missing = self.missing(bytes);
        if missing == 0 {
            return true;
        }
        let budget = Arc::clone(&self.budget).acquire_many_owned(missing);
        match timeout(ROOM_TIME, budget).await {
            Ok(Ok(permit)) => self.add(permit),
            Ok(Err(_)) | Err(_) => return false,
        }
        true
    }

    /// Frees everything.
    fn let_go(&mut self) {
        self.permit = None;
    }

    fn missing(&self, bytes: usize) -> u32 {
        let held = self
            .permit
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = bytes.min(LARGEST_SHARE).saturating_sub(held);
        u32::try_from(missing).expect("the largest share is below 4 GiB")
    }

    fn add(&mut self, permit: OwnedSemaphorePermit) {
        match &mut self.permit {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_giant_leaves_room_for_the_small_ones() {
        let budget = MemoryBudget::new();
        let (mut giant, mut second) = (budget.inflated(), budget.inflated());
        assert!(giant.grow_to(64 * MIB));
        assert!(!second.grow_to(64 * MIB));
        let small: Vec<BudgetShare> = (0..8)
            .map(|_| {
                let mut held = budget.inflated();
                assert!(held.grow_to(MIB));
                held
            })
            .collect();
        assert!(!second.grow_to(1));
        drop((giant, small));
        assert!(second.grow_to(64 * MIB));
    }

    #[tokio::test]
    async fn waits_for_others_to_be_done() {
        let budget = MemoryBudget::new();
        let (mut first, mut second) = (budget.body(), budget.body());
        assert!(first.grow_to(20 * MIB));
        let done = async move {
            tokio::task::yield_now().await;
            drop(first);
        };
        let (budget, ()) = tokio::join!(second.wait_for(20 * MIB), done);
        assert!(budget);
    }

    #[tokio::test]
    async fn keeps_what_came_up_to_the_bound() {
        let budget = MemoryBudget::new();
        for (text, max, whole) in [("abcdef", 6, true), ("abcdef", 3, false), ("", 3, true)] {
            let read = read(body::Body::from(text), max, &mut budget.body()).await;
            match read {
                Body::Whole(bytes) => assert!(whole && bytes == text.as_bytes()),
                Body::TooLarge(start) => assert!(!whole && start == text.as_bytes()[..max]),
                _ => panic!("neither slow nor broken"),
            }
        }
    }
}
