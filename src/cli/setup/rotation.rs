//! How far a rotation is, from what is true: the values of the file, what Konnect was given, and
//! when usher last saw each value used. Pure.

use std::time::Duration;

use crate::cli::setup::probe::Reply;

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Wait until usher accepts the first value.
    Accept,
    /// Give the first value to Konnect. That can be repeated, so each run does it: one that was cut
    /// off may have reached only some of the destinations.
    Give,
    /// Wait for a delivery with the first value.
    Use,
    /// Wait so long, in which nobody may use a former value.
    Rest(Duration),
    /// Drop the former values.
    Drop,
}

/// The next step. `replies` is what usher says of each value in the file, in its order; Konnect was
/// given the first one `given_ago`; a former value counts as unused after `drop_after`.
pub(super) fn next(replies: &[Reply], given_ago: Option<Duration>, drop_after: Duration) -> Next {
    let Some((Reply::Accepts(used_ago), former)) = replies.split_first() else {
        return Next::Accept;
    };
    let Some(given_ago) = given_ago else {
        return Next::Give;
    };
    if used_ago.is_none() {
        return Next::Use;
    }
    // Konnect tries again for a while with the value that it began with.
    let used = former.iter().filter_map(|reply| match reply {
        Reply::Accepts(used_ago) => *used_ago,
        Reply::Refuses | Reply::Silent(_) => None,
    });
    let latest = used.min().unwrap_or(given_ago).min(given_ago);
    match drop_after.saturating_sub(latest) {
        Duration::ZERO => Next::Drop,
        left => Next::Rest(left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_true_decides_what_comes_next() {
        const AFTER: Duration = Duration::from_secs(45);
        let seconds = Duration::from_secs;
        let used = |ago| Reply::Accepts(Some(seconds(ago)));
        let never = || Reply::Accepts(None);
        let away = || Reply::Silent("connection refused".to_owned());
        for (replies, given_ago, expected) in [
            (vec![], None, Next::Accept),
            (vec![Reply::Refuses, used(1)], None, Next::Accept),
            (vec![Reply::Refuses, used(1)], Some(9), Next::Accept),
            (vec![away(), away()], Some(9), Next::Accept),
            (vec![never(), used(1)], None, Next::Give),
            // A run before this one gave it, perhaps not to all.
            (vec![used(1), used(60)], None, Next::Give),
            (vec![never(), used(1)], Some(99), Next::Use),
            (vec![used(1), used(2)], Some(50), Next::Rest(seconds(43))),
            (
                vec![used(1), used(90), used(15)],
                Some(50),
                Next::Rest(seconds(30)),
            ),
            (vec![used(1), used(90)], Some(5), Next::Rest(seconds(40))),
            (vec![used(1), never()], Some(5), Next::Rest(seconds(40))),
            (vec![used(1), never()], Some(45), Next::Drop),
            (vec![used(1), used(45)], Some(46), Next::Drop),
            (vec![used(1), Reply::Refuses], Some(45), Next::Drop),
        ] {
            let given_ago = given_ago.map(seconds);
            assert_eq!(next(&replies, given_ago, AFTER), expected, "{replies:?}");
        }
    }
}
