//! Grants an application the API that it asked for. Never what a human refused.

use konnect::RegistrationStatus;

use crate::act::deeds::{Bench, Outcome, status};
use crate::act::trouble::Trouble;

pub(super) async fn carry_out(bench: &Bench<'_>) -> Result<Outcome, Trouble> {
    status::set_registration(bench, &RegistrationStatus::Approved).await
}
