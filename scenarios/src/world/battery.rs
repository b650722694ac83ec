//! A battery behind a pile: what it takes, what it gives, what is left in it. Whole watt-milliseconds, so that energy is
//! conserved to the last one.

use serde::{Deserialize, Serialize};

/// Above this state of charge a battery takes less and less.
const TAPER_FROM: f64 = 0.8;
/// Share of its power that it still takes when full.
const TAPER_END: f64 = 0.1;
const TAPER_SLOPE: f64 = (1.0 - TAPER_END) / (1.0 - TAPER_FROM);

/// Efficiencies as whole millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Efficiency {
    charge_ppm: i64,
    discharge_ppm: i64,
}

const MILLION: i64 = 1_000_000;

impl Efficiency {
    #[allow(clippy::cast_possible_truncation)] // shares in (0, 1]
    pub(super) fn new(charge: f64, discharge: f64) -> Efficiency {
        let ppm = |share: f64| ((share * 1e6).round() as i64).clamp(1, MILLION);
        Efficiency {
            charge_ppm: ppm(charge),
            discharge_ppm: ppm(discharge),
        }
    }

    /// What reaches the battery of energy drawn from the grid.
    fn stored(self, drawn: i64) -> i64 {
        wide(drawn, self.charge_ppm, MILLION)
    }

    /// What is drawn from the grid for energy that reaches the battery.
    pub(super) fn drawn(self, stored: i64) -> i64 {
        wide(stored, MILLION, self.charge_ppm)
    }

    /// What leaves the battery for energy given to the grid; rounded up.
    fn taken(self, given: i64) -> i64 {
        -wide(-given, MILLION, self.discharge_ppm)
    }
}

/// `value × numerator / denominator`, rounded down.
fn wide(value: i64, numerator: i64, denominator: i64) -> i64 {
    let product = i128::from(value) * i128::from(numerator);
    i64::try_from(product.div_euclid(i128::from(denominator))).unwrap_or(i64::MAX)
}

/// A battery. Energies in watt-milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Battery {
    pub(super) capacity: i64,
    pub(super) stored: i64,
    /// It charges up to here: what its owner set.
    pub(super) limit: i64,
    /// It is not discharged below this.
    pub(super) floor: i64,
    /// The most that it takes and gives, watts at the plug.
    pub(super) power: i64,
}

impl Battery {
    /// A battery of which only this is known: it takes its full power until it is full, and is discharged until it is empty.
    pub(super) fn plain(stored: i64, limit: i64, power: i64) -> Battery {
        Battery {
            // So large that it is full before it takes less and less.
            capacity: limit.saturating_add(limit / 4).saturating_add(1),
            stored,
            limit,
            floor: 0,
            power,
        }
    }

    pub(super) fn room(&self) -> i64 {
        (self.limit - self.stored).max(0)
    }

    pub(super) fn available(&self) -> i64 {
        (self.stored - self.floor).max(0)
    }

    /// The most that it takes at its state of charge.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // far below 2^53
    pub(super) fn charge_power(&self) -> i64 {
        let soc = self.stored as f64 / self.capacity as f64;
        if soc <= TAPER_FROM {
            return self.power;
        }
        (self.power as f64 * taper(soc)) as i64
    }

    /// Moves energy for `length_ms` at `power` (positive charges), or at as much of it as fits; the power that it was.
    pub(super) fn run(&mut self, power: i64, length_ms: i64, efficiency: Efficiency) -> i64 {
        if power >= 0 {
            let fits = efficiency.drawn(self.room()) / length_ms;
            let power = power.min(fits);
            self.stored += efficiency.stored(power * length_ms);
            power
        } else {
            let fits = wide(self.available(), efficiency.discharge_ppm, MILLION) / length_ms;
            let power = (-power).min(fits);
            self.stored -= efficiency.taken(power * length_ms);
            -power
        }
    }

    /// Lives through a long time at up to `power` (positive charges), as the sum of short steps would: it takes less and less
    /// near its end, and stops in the middle where it is full or empty. What was moved at the grid.
    pub(super) fn run_long(&mut self, power: i64, length_ms: i64, efficiency: Efficiency) -> i64 {
        if power > 0 {
            let gained = self.deliverable(power.min(self.power), length_ms, efficiency);
            let gained = gained.min(self.room());
            self.stored += gained;
            efficiency.drawn(gained)
        } else {
            let most = wide(self.available(), efficiency.discharge_ppm, MILLION);
            let given = (-power * length_ms).min(most);
            self.stored -= efficiency.taken(given);
            -given
        }
    }

    /// How long it takes or gives `power` (positive charges) at least, milliseconds.
    pub(super) fn lasts_ms(&self, power: i64, efficiency: Efficiency) -> i64 {
        let at_grid = match power > 0 {
            true => efficiency.drawn(self.room()),
            false => wide(self.available(), efficiency.discharge_ppm, MILLION),
        };
        at_grid / power.abs().max(1)
    }

    /// Whether it certainly receives so much in `length_ms` behind a pile of `pile_power`: with no more than the power that it
    /// takes at the end. Cheaper than [`Battery::deliverable`], and never yes where that says no.
    #[allow(clippy::cast_precision_loss)] // far below 2^53
    pub(super) fn surely_takes(
        &self,
        energy: i64,
        pile_power: i64,
        length_ms: i64,
        efficiency: Efficiency,
    ) -> bool {
        let end = (self.stored + energy) as f64 / self.capacity as f64;
        let least = (self.power as f64 * taper(end)).min(pile_power as f64);
        let drawn = energy as f64 * 1e6 / efficiency.charge_ppm as f64;
        drawn <= least * length_ms.max(0) as f64
    }

    /// What it can receive in `length_ms` behind a pile of `pile_power`.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // far below 2^53
    pub(super) fn deliverable(
        &self,
        pile_power: i64,
        length_ms: i64,
        efficiency: Efficiency,
    ) -> i64 {
        let (capacity, own) = (self.capacity as f64, self.power as f64);
        let length = length_ms.max(0) as f64;
        let per_watt = efficiency.charge_ppm as f64 / 1e6 / capacity;
        let steady = own.min(pile_power as f64);
        let start = self.stored as f64 / capacity;
        // Up to here the pile limits or nothing does; above, the battery.
        let bend = (TAPER_FROM + (1.0 - steady / own) / TAPER_SLOPE).min(1.0);
        let steady_ms = ((bend - start) / (per_watt * steady)).max(0.0);
        let end = if length <= steady_ms {
            start + per_watt * steady * length
        } else {
            let share = taper(start.max(bend));
            let decay = TAPER_SLOPE * own * per_watt * (length - steady_ms);
            TAPER_FROM + (1.0 - share * (-decay).exp()) / TAPER_SLOPE
        };
        (((end.min(1.0) - start) * capacity) as i64).max(0)
    }
}

fn taper(soc: f64) -> f64 {
    (1.0 - TAPER_SLOPE * (soc - TAPER_FROM)).clamp(TAPER_END, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KWH: i64 = 3_600_000_000;

    fn battery(stored: i64) -> Battery {
        Battery {
            capacity: 60 * KWH,
            stored: stored * KWH,
            limit: 60 * KWH,
            floor: 12 * KWH,
            power: 120_000,
        }
    }

    #[test]
    fn power_falls_above_four_fifths() {
        assert_eq!(battery(48).charge_power(), 120_000);
        assert_eq!(battery(54).charge_power(), 66_000);
        assert_eq!(battery(60).charge_power(), 12_000);
    }

    #[test]
    fn what_is_deliverable_is_what_charging_delivers() {
        let efficiency = Efficiency::new(0.95, 0.95);
        for (stored, pile, minutes) in [
            (10, 7_000, 300),
            (10, 120_000, 15),
            (30, 120_000, 40),
            (50, 60_000, 10),
            (50, 7_000, 90),
        ] {
            let mut battery = battery(stored);
            let promised = battery.deliverable(pile, minutes * 60_000, efficiency);
            let before = battery.stored;
            for _ in 0..minutes * 60 {
                let power = battery.charge_power().min(pile);
                battery.run(power, 1_000, efficiency);
            }
            let error = (battery.stored - before - promised).abs();
            assert!(
                error < KWH / 50,
                "{stored} {pile} {minutes}: off by {error} mJ"
            );
        }
    }

    #[test]
    fn a_long_step_moves_what_many_short_ones_do() {
        let efficiency = Efficiency::new(0.95, 0.95);
        // From 46 to 60 kWh the power falls from 120 kW to 12 kW; from 13 kWh down to the floor at 12 kWh it stops at once.
        for (stored, power, minutes) in [
            (30, 7_000, 5),
            (46, 120_000, 30),
            (58, 60_000, 15),
            (13, -20_000, 10),
        ] {
            let (mut long, mut short) = (battery(stored), battery(stored));
            let at_grid = long.run_long(power, minutes * 60_000, efficiency);
            let mut sum = 0;
            for _ in 0..minutes * 60 {
                let power = power.min(short.charge_power());
                sum += short.run(power, 1_000, efficiency) * 1_000;
            }
            let off = (at_grid - sum)
                .abs()
                .max((long.stored - short.stored).abs());
            assert!(
                off < KWH / 50,
                "{stored} {power} {minutes}: off by {off} mJ"
            );
        }
    }

    proptest! {
        #[test]
        fn energy_is_conserved_and_bounds_are_kept(
            stored in 0_i64..=60,
            steps in prop::collection::vec((-130_000_i64..130_000, 1_i64..60_000), 1..200),
        ) {
            let efficiency = Efficiency::new(0.93, 0.91);
            let mut battery = battery(stored);
            let (lowest, before) = (battery.floor.min(battery.stored), battery.stored);
            let (mut expected, mut moves) = (before as f64, 0.0);
            for (power, length) in steps {
                let moved = battery.run(power, length, efficiency);
                prop_assert!(moved.abs() <= power.abs() && moved * power >= 0);
                let energy = (moved * length) as f64;
                expected += if moved > 0 { energy * 0.93 } else { energy / 0.91 };
                moves += 1.0;
                prop_assert!(battery.stored >= lowest && battery.stored <= battery.limit);
                // Each step may lose less than a watt-millisecond to rounding.
                prop_assert!((battery.stored as f64 - expected).abs() <= moves + 1.0);
            }
        }
    }
}
