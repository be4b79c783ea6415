//! What goes wrong with deliveries on purpose: batches that are lost, repeated, late,
//! shuffled or garbled.

use serde::{Deserialize, Serialize};

use crate::rule::{Rule, Scope, When};

/// How long a batch that waits to be overtaken waits at most, in milliseconds.
const OVERTAKEN_WITHIN_MS: u64 = 1_000;

/// One rule for coming batches. The first rule that fits a batch is used; `times` counts down and a
/// rule at zero is out.
///
/// A batch is lost, or it is any of repeated, late, shuffled and garbled.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own in the control"
)]
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveryFault {
    /// Whose batches; any if absent.
    pub portal: Option<Scope>,
    /// How many batches the rule holds for; all if absent.
    pub times: Option<u64>,
    /// Of the batches that fit, how many the rule holds for: 0.2 is every fifth by chance. All if
    /// absent. A batch that is spared meets the next rule that fits, and does not count.
    pub share: Option<f64>,
    /// Where the chances of `share` and `shuffle` start: the same seed repeats the same chances.
    pub seed: Option<u64>,
    /// Whether batches of replay jobs meet the rule too.
    pub replays: bool,
    /// Drops the batch before any attempt: no attempt is noted and the webhook's status stays. A
    /// replay job takes the batch as sent.
    pub lose: bool,
    /// Sends the batch twice, the second time after the first was accepted.
    pub repeat: bool,
    /// Sends the batch so many milliseconds later, by the emulator's clock: a clock that is moved
    /// on ends the wait. Later batches go ahead meanwhile, and a replay job does not wait for it.
    pub delay_ms: u64,
    /// Sends the batch's entries in random order.
    pub shuffle: bool,
    /// Sends the batch after the next one of its source that is not late itself; where none comes,
    /// after `delay_ms`, or 1 s without it.
    pub overtaken: bool,
    /// Cuts the batch's body in the middle, so that a compressed one cannot be read, in every
    /// attempt.
    pub garble: bool,
}

impl DeliveryFault {
    /// How long the batch waits at most, in milliseconds; 0 is not at all.
    pub(crate) fn wait_ms(&self) -> u64 {
        match self.delay_ms {
            0 if self.overtaken => OVERTAKEN_WITHIN_MS,
            wait => wait,
        }
    }
}

impl Rule for DeliveryFault {
    fn when(&self) -> When {
        When {
            portal: self.portal,
            times: self.times,
            share: self.share,
            seed: self.seed,
        }
    }

    fn set_times(&mut self, times: u64) {
        self.times = Some(times);
    }

    fn is_random(&self) -> bool {
        self.shuffle
    }

    fn check_effect(&self) -> Result<(), String> {
        let others =
            self.repeat || self.delay_ms > 0 || self.shuffle || self.overtaken || self.garble;
        match (self.lose, others) {
            (true, true) => Err(
                "a batch that is lost is not sent: lose goes with none of repeat, \
                                 delay_ms, shuffle, overtaken and garble"
                    .to_owned(),
            ),
            (false, false) => Err(
                "say what happens: one of lose, repeat, delay_ms, shuffle, overtaken and garble"
                    .to_owned(),
            ),
            _ => Ok(()),
        }
    }
}
