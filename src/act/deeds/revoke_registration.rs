//! Takes back the API that an application was granted. Never what was not granted.

use konnect::RegistrationStatus;

use crate::act::deeds::{DeedContext, Outcome, status};
use crate::act::trouble::Trouble;

pub(super) async fn carry_out(context: &DeedContext<'_>) -> Result<Outcome, Trouble> {
    status::set_registration(context, &RegistrationStatus::Revoked).await
}
