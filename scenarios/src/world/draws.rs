//! One stream of random numbers for each station, and what is drawn from it.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// The random numbers of one station. Only its own events draw from it, in the order of their time, and none of them
/// depends on control: the same vehicles come whatever the engine does.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Draws {
    rng: ChaCha8Rng,
}

impl Draws {
    pub(super) fn new(seed: u64, station: u64) -> Draws {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(station);
        Draws { rng }
    }

    /// Of which model the vehicles of a station are: numbers apart from the others, so that the same vehicles come whatever
    /// models there are.
    pub(super) fn of_models(seed: u64, station: u64) -> Draws {
        Draws::new(seed, u64::MAX - station)
    }

    /// Uniform in `[0, 1)`, by a formula of our own: a library's may change with its version, and scenarios with it.
    #[allow(clippy::cast_precision_loss)] // 53 bits fit
    pub(super) fn uniform(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.uniform() < share
    }

    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// A position below `count`, which is positive.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )] // counts of piles
    pub(super) fn below(&mut self, count: usize) -> usize {
        ((self.uniform() * count as f64) as usize).min(count - 1)
    }
}
