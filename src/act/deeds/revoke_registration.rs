//! Takes back the API that an application was granted. Never what was not granted.

use konnect::RegistrationStatus;

use crate::act::deeds::{Bench, Outcome, status};
use crate::act::trouble::Trouble;

pub(super) async fn carry_out(bench: &Bench<'_>) -> Result<Outcome, Trouble> {
    status::set_registration(bench, &RegistrationStatus::Revoked).await
}
