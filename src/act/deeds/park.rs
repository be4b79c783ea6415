//! Leaves the target to a person. Calls nothing.

use crate::act::deeds::Outcome;

pub(super) fn carry_out(reason: &str) -> Outcome {
    Outcome::Parked(reason.to_owned())
}
