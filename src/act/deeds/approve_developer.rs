//! Approves a pending developer. Never one that a person turned away.

use konnect::DeveloperStatus;

use crate::act::deeds::{DeedContext, Outcome, status};
use crate::act::trouble::Trouble;

pub(super) async fn carry_out(context: &DeedContext<'_>) -> Result<Outcome, Trouble> {
    status::set_developer(context, &DeveloperStatus::Approved).await
}
