//! The accepted values of `ingest.authorization` in their files: what is changed there counts
//! without a restart, so that a secret can be rotated.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Secret;
use crate::ingest::IngestState;
use crate::lifecycle::pause;

/// How often the files are read. Others may rely on 10 s.
const CHECK_EVERY: Duration = Duration::from_secs(2);

/// Gives what the files of `values` contain to `ingest`, until `cancel`. A file that cannot be
/// read, or is empty, leaves its values in use.
pub(super) async fn watch(mut values: Vec<Secret>, ingest: IngestState, cancel: CancellationToken) {
    let mut told = vec![None; values.len()];
    while !pause(CHECK_EVERY, &cancel).await {
        let mut is_new = false;
        for (place, (value, told)) in values.iter_mut().zip(&mut told).enumerate() {
            let trouble = match value.again() {
                Ok(None) => None,
                Ok(Some(now)) => {
                    *value = now;
                    is_new = true;
                    None
                }
                Err(reason) => Some(reason),
            };
            if *told != trouble
                && let Some(reason) = &trouble
            {
                warn!(
                    place,
                    reason, "a value of ingest.authorization could not be read again"
                );
            }
            *told = trouble;
        }
        if is_new {
            ingest.accept(&values);
            let accepted: usize = values.iter().map(|value| value.values().count()).sum();
            info!(values = accepted, "ingest.authorization was read again");
        }
    }
}
