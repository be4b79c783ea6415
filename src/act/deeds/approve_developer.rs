//! Lets a pending developer in. Never one that a human turned away.

use konnect::DeveloperStatus;

use crate::act::deeds::{Bench, Outcome, status};
use crate::act::trouble::Trouble;

pub(super) async fn carry_out(bench: &Bench<'_>) -> Result<Outcome, Trouble> {
    status::set_developer(bench, &DeveloperStatus::Approved).await
}
