//! The token of the management API in its file: another one is used without a restart.

use std::time::Duration;

use konnect::ListPortals;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Secret;
use crate::lifecycle::pause;

/// How often the file is read.
const CHECK_EVERY: Duration = Duration::from_secs(2);

/// Gives another token in the file of `token` to `client`, and to all that share it, until
/// `cancel`. One that cannot be read or used leaves the old token in use.
pub(super) async fn watch(mut token: Secret, client: konnect::Client, cancel: CancellationToken) {
    let mut told = None;
    while !pause(CHECK_EVERY, &cancel).await {
        let trouble = match token.again() {
            Ok(None) => None,
            Ok(Some(now)) => {
                let value = SecretString::from(now.expose().to_owned());
                match client.set_token(&value) {
                    Ok(()) => {
                        let refused = cancel.run_until_cancelled(is_refused(&client)).await;
                        report(refused.unwrap_or_default());
                    }
                    Err(error) => warn!(%error, "konnect.token was read again and cannot be used"),
                }
                token = now;
                None
            }
            Err(reason) => Some(reason),
        };
        if told != trouble
            && let Some(reason) = &trouble
        {
            warn!(reason, "konnect.token could not be read again");
        }
        told = trouble;
    }
}

/// Asks Konnect whether it takes the token.
async fn is_refused(client: &konnect::Client) -> bool {
    let one = ListPortals {
        page_size: Some(1),
        ..ListPortals::default()
    };
    let asked = client.portals().list(&one).await;
    asked.is_err_and(|error| error.status() == Some(401))
}

fn report(is_refused: bool) {
    if is_refused {
        warn!("konnect.token was read again and Konnect refuses it (401)");
    } else {
        info!("konnect.token was read again");
    }
}
