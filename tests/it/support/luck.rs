//! Chance that can be had again: a test that fails says with which seed.

use std::thread;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::support::environment;

/// Random numbers from a seed that is shown where the test fails.
pub(crate) struct Luck {
    pub(crate) rng: StdRng,
    pub(crate) seed: u64,
}

impl Luck {
    pub(crate) fn new() -> Self {
        let seed = environment::seed().unwrap_or_else(|| rand::rng().random());
        Self {
            rng: StdRng::seed_from_u64(seed),
            seed,
        }
    }
}

impl Drop for Luck {
    fn drop(&mut self) {
        if thread::panicking() {
            tell(&format!(
                "the same luck again: USHER_TEST_SEED={}",
                self.seed
            ));
        }
    }
}

/// Says what a long test did; shown where it fails, and by `make soak`.
#[expect(
    clippy::print_stderr,
    reason = "the harness keeps it until it is asked for"
)]
pub(crate) fn tell(text: &str) {
    eprintln!("it: {text}");
}
