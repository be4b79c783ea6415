//! usher as this bench configures it.

use std::path::Path;

use anyhow::Result;
use usher::lifecycle::Lifecycle;

use crate::entries::AUTHORIZATION;
use crate::served::Served;

/// Starts `binary` on the database `database` and waits until it accepts deliveries.
pub(crate) async fn start(
    binary: &Path,
    database: &str,
    konnect: &str,
    verify: &str,
    lifecycle: &Lifecycle,
) -> Result<Served> {
    let configured = [
        ("USHER_DATABASE__URL", database),
        ("USHER_KONNECT__BASE_URL", konnect),
        ("USHER_INGEST__VERIFY", verify),
        (
            "USHER_INGEST__AUTHORIZATION",
            &format!("[\"{AUTHORIZATION}\"]"),
        ),
    ];
    Served::start(binary, &configured, lifecycle).await
}
