//! Turns a pending developer away. Never one that a human let in.

use konnect::DeveloperStatus;

use crate::act::deeds::{Bench, Outcome, status};
use crate::act::trouble::Trouble;

pub(super) async fn carry_out(bench: &Bench<'_>) -> Result<Outcome, Trouble> {
    status::set_developer(bench, &DeveloperStatus::Rejected).await
}
