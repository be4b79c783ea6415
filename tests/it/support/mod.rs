//! What the integration tests share: a database of their own each, a running usher, a signer.

pub mod app;
pub mod database;
pub mod guide;
pub mod kafka;
pub mod konnect;
pub mod process;
pub mod record;
pub mod signer;
pub mod visitor;

use std::time::{Duration, Instant};

/// Asks `condition` until it holds; fails after `deadline` with what was waited for.
pub async fn eventually<F, Fut>(what: &str, deadline: Duration, mut condition: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let started = Instant::now();
    while !condition().await {
        assert!(
            started.elapsed() < deadline,
            "waited {deadline:?} in vain: {what}"
        );
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
