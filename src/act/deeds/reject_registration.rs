//! Refuses an application the API that it asked for. Never what a person granted.

use konnect::RegistrationStatus;

use crate::act::deeds::{DeedContext, Outcome, status};
use crate::act::trouble::Trouble;

pub(super) async fn carry_out(context: &DeedContext<'_>) -> Result<Outcome, Trouble> {
    status::set_registration(context, &RegistrationStatus::Rejected).await
}
