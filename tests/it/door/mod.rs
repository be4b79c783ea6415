//! The ingest endpoint and the journal: what a sender is answered, and what is stored then.

mod formats;
mod outages;
mod pages;
mod refusals;
mod signatures;

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use usher::config::Config;
use usher::lifecycle::Lifecycle;

use crate::support::app::{TestApp, config};
use crate::support::signer::Signer;

const FAST: Duration = Duration::from_secs(15);

/// Usher with the keys of a signer of the test's own.
async fn with_signer(change: impl FnOnce(&mut Config)) -> (TestApp, Signer) {
    let signer = Signer::new(7);
    let mut config = config(&signer.serve(&Lifecycle::new()).await);
    change(&mut config);
    (TestApp::start(config).await, signer)
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).expect("writes to memory");
    encoder.finish().expect("writes to memory")
}

fn counts(answer: &Value) -> [u64; 4] {
    ["received", "stored", "duplicates", "quarantined"].map(|member| {
        answer[member]
            .as_u64()
            .unwrap_or_else(|| panic!("no {member} in {answer}"))
    })
}
