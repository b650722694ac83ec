//! What a resource would do if no limit and no promise above it bound: its own cheapest schedule, exactly and at once.
//!
//! The cost of what is still to come is a convex, piecewise linear function of stored energy. An interval's choice of power
//! costs such a function too, so the least cost over both is their infimal convolution: the pieces of the two, merged by
//! slope. One pass backwards builds these functions, one forwards reads the schedule off them. (Bellman's principle;
//! for the merging of slopes see R. T. Rockafellar, *Convex Analysis* (1970), §16.)
//!
//! That needs intervals which nothing but stored energy ties together: no ramp and no warranty that can bind, no regulation.
//! Where charging and discharging at once pays, both are done, as in the linear program; [`crate::finish`] says what then.

mod directions;

use std::ops::Range;

use crate::frame::Frame;
use crate::problem::{Problem, Resource};
use crate::reach::{EnergyReach, IMPLIED};
use crate::score::own_cost;
use crate::solution::ResourceSchedule;

/// A resource that can be planned alone, of the frame that it was made from.
pub(crate) struct Alone {
    index: usize,
    power: Vec<Power>,
    /// Least and greatest battery-side energy gained in each interval, kWh.
    gains: Vec<(f64, f64)>,
    /// Least and greatest energy at the end of each interval from which all later limits can be kept, kWh.
    energy: Vec<(f64, f64)>,
    /// Departure energy that cannot be met, kWh.
    lack: f64,
}

/// Least and greatest charging and discharging power in an interval, kW. The two are free of each other.
struct Power {
    charge: (f64, f64),
    discharge: (f64, f64),
}

/// What a resource does alone.
pub(crate) struct Path {
    pub(crate) schedule: ResourceSchedule,
    /// CNY, what is not met included.
    pub(crate) cost: f64,
}

/// A linear piece: CNY for each kWh more, over so many kWh.
#[derive(Clone, Copy)]
struct Piece {
    slope: f64,
    length: f64,
    of: Of,
}

/// What a piece is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// Energy kept for later.
    Later,
    /// Charging given up.
    Charging,
    /// Discharging taken up.
    Discharging,
}

impl Alone {
    /// `None` where something ties its intervals together.
    pub(crate) fn new(frame: &Frame<'_>, index: usize) -> Option<Self> {
        let (resource, limits) = (&frame.problem.resources[index], &frame.limits[index]);
        let dt = &frame.problem.intervals_h;
        let holds = |t: usize| {
            let (up, down) = frame.regulation_asked_kw(index, t);
            up > 0.0 || down > 0.0
        };
        if (0..dt.len()).any(holds) {
            return None;
        }
        let high = EnergyReach::new(resource, limits, dt).high_kw;
        let low = &limits.reach_low_kw;
        let ramps = |t: usize| {
            let step = limits.step_kw[t] + IMPLIED;
            high[t] - low[t - 1] > step || high[t - 1] - low[t] > step
        };
        if (1..dt.len()).any(ramps) {
            return None;
        }
        let exported: f64 = low
            .iter()
            .zip(dt)
            .map(|(low, dt)| (-low).max(0.0) * dt)
            .sum();
        if exported > limits.throughput_kwh + IMPLIED {
            return None;
        }
        let mut alone = Self {
            index,
            power: (low.iter().zip(&high))
                .map(|(&low, &high)| Power {
                    charge: (low.max(0.0), high.max(0.0)),
                    discharge: ((-high).max(0.0), (-low).max(0.0)),
                })
                .collect(),
            gains: Vec::new(),
            energy: Vec::new(),
            lack: 0.0,
        };
        let powers = alone.power.iter().zip(dt);
        let gains = powers.map(|(power, &dt)| {
            let least = gained(resource, power.charge.0, power.discharge.1, dt);
            let most = gained(resource, power.charge.1, power.discharge.0, dt);
            (least, most)
        });
        alone.gains = gains.collect();
        (alone.energy, alone.lack) = within(
            &alone.gains,
            &limits.energy_max_kwh,
            &resource.energy_min_kwh,
        );
        Some(alone)
    }

    /// Its cheapest schedule when energy costs, and earns, so much more than its own prices, CNY/kWh. `None` where such prices
    /// make it pay to fall short of what could be met.
    pub(crate) fn cheapest(&self, frame: &Frame<'_>, more: impl Fn(usize) -> f64) -> Option<Path> {
        let problem = frame.problem;
        let resource = &problem.resources[self.index];
        let horizon = self.gains.len();
        let slopes: Vec<(f64, f64)> = (0..horizon).map(|t| slopes(resource, t, more(t))).collect();
        if pays_to_lack(problem, resource, &slopes) {
            return None;
        }
        // What is to come costs, by energy at the end of each interval: pieces from the least energy on.
        let mut pieces: Vec<Piece> = Vec::with_capacity(horizon * (horizon + 3));
        let (least, most) = self.energy[horizon - 1];
        pieces.push(Piece {
            slope: -resource.terminal_value,
            length: most - least,
            of: Of::Later,
        });
        let mut ranges = vec![0..1; horizon];
        for t in (1..horizon).rev() {
            let begin = pieces.len();
            let (keep_from, keep_to) = self.energy[t - 1];
            let mut at = self.energy[t].0 - self.most_gained(t);
            let mut merged = Merged::new(ranges[t].clone(), self.choices(problem, t, slopes[t]));
            while at < keep_to
                && let Some(piece) = merged.next(&pieces)
            {
                let (from, to) = (at.max(keep_from), (at + piece.length).min(keep_to));
                at += piece.length;
                if to > from {
                    pieces.push(Piece {
                        length: to - from,
                        of: Of::Later,
                        ..piece
                    });
                }
            }
            ranges[t - 1] = begin..pieces.len();
        }
        let schedule = self.walk(problem, &pieces, &ranges, &slopes);
        let hours = problem.intervals_h.iter().enumerate();
        let paid_more: f64 = hours.map(|(t, dt)| more(t) * schedule.net_kw(t) * dt).sum();
        let unmet = problem.penalties.unmet_energy * self.lack;
        let own = own_cost(resource, &schedule, &problem.intervals_h);
        Some(Path {
            schedule,
            cost: own + paid_more + unmet,
        })
    }

    /// Forwards: in each interval the split between power now and energy later at which both cost the same.
    fn walk(
        &self,
        problem: &Problem,
        pieces: &[Piece],
        ranges: &[Range<usize>],
        slopes: &[(f64, f64)],
    ) -> ResourceSchedule {
        let resource = &problem.resources[self.index];
        let mut schedule = ResourceSchedule::zero(self.power.len());
        let mut stored = 0.0_f64;
        for (t, &dt) in problem.intervals_h.iter().enumerate() {
            let (least, most) = self.energy[t];
            // With all power that there is now, energy would be the least; from there on, who is cheaper gives way first.
            let mut left = (stored - (least - self.most_gained(t))).max(0.0);
            let (mut charged, mut discharged) = (self.power[t].charge.1, self.power[t].discharge.0);
            let mut merged = Merged::new(ranges[t].clone(), self.choices(problem, t, slopes[t]));
            while left > 0.0
                && let Some(piece) = merged.next(pieces)
            {
                let part = piece.length.min(left);
                left -= part;
                match piece.of {
                    Of::Later => {}
                    Of::Charging => charged -= part / (resource.charge_efficiency * dt),
                    Of::Discharging => discharged += part * resource.discharge_efficiency / dt,
                }
            }
            charged = charged.max(self.power[t].charge.0);
            discharged = discharged.min(self.power[t].discharge.1);
            schedule.charge_kw[t] = charged;
            schedule.discharge_kw[t] = discharged;
            stored += gained(resource, charged, discharged, dt);
            stored = stored.max(least).min(most);
        }
        schedule
    }

    fn most_gained(&self, t: usize) -> f64 {
        self.gains[t].1
    }

    /// An interval's choice of energy gained, from the greatest to the least: what giving it up costs, for each kWh. Slopes rise.
    fn choices(&self, problem: &Problem, t: usize, (charge, discharge): (f64, f64)) -> [Piece; 2] {
        let resource = &problem.resources[self.index];
        let Power {
            charge: (least_charge, most_charge),
            discharge: (least_discharge, most_discharge),
        } = self.power[t];
        let dt = problem.intervals_h[t];
        let charging = Piece {
            slope: -charge,
            length: gained(resource, most_charge - least_charge, 0.0, dt),
            of: Of::Charging,
        };
        let discharging = Piece {
            slope: -discharge,
            length: -gained(resource, 0.0, most_discharge - least_discharge, dt),
            of: Of::Discharging,
        };
        if discharging.slope < charging.slope {
            [discharging, charging]
        } else {
            [charging, discharging]
        }
    }
}

/// Battery-side energy gained.
fn gained(resource: &Resource, charge_kw: f64, discharge_kw: f64, dt: f64) -> f64 {
    (charge_kw * resource.charge_efficiency - discharge_kw / resource.discharge_efficiency) * dt
}

/// What a battery-side kWh costs to charge, and earns when discharged, CNY.
fn slopes(resource: &Resource, t: usize, more: f64) -> (f64, f64) {
    let charge = (resource.energy_price[t] + more) / resource.charge_efficiency;
    let earned = resource.feed_in_price[t] - resource.wear + more;
    (charge, earned * resource.discharge_efficiency)
}

/// Whether the penalty for what is not met could be worth paying: meeting one kWh more can take one more before each need.
fn pays_to_lack(problem: &Problem, resource: &Resource, slopes: &[(f64, f64)]) -> bool {
    let needs = resource.energy_min_kwh.iter();
    let needs = needs.map(|need| f64::from(u8::from(need.is_finite())));
    let (mut least, mut most) = (resource.terminal_value, resource.terminal_value);
    for (charge, discharge) in slopes {
        least = least.min(*charge).min(*discharge);
        most = most.max(*charge).max(*discharge);
    }
    (most - least) * needs.sum::<f64>() > problem.penalties.unmet_energy
}

/// Pieces of what is to come and an interval's choices, merged by slope. At the same slope what is to come goes first, which
/// charges now.
struct Merged {
    later: Range<usize>,
    choices: [Piece; 2],
    choice: usize,
}

impl Merged {
    fn new(later: Range<usize>, choices: [Piece; 2]) -> Self {
        Self {
            later,
            choices,
            choice: 0,
        }
    }

    /// `pieces` holds those of what is to come.
    fn next(&mut self, pieces: &[Piece]) -> Option<Piece> {
        let now = self.choices.get(self.choice);
        let later = (!self.later.is_empty()).then(|| &pieces[self.later.start]);
        let is_later = match (later, now) {
            (Some(later), Some(now)) => later.slope <= now.slope,
            (later, _) => later.is_some(),
        };
        if is_later {
            self.later.start += 1;
            return later.copied();
        }
        self.choice += 1;
        now.copied()
    }
}

/// Between which energies a schedule can be at the end of each interval, and how much of what is needed cannot be met, kWh.
fn within(gains: &[(f64, f64)], caps: &[f64], needs: &[f64]) -> (Vec<(f64, f64)>, f64) {
    let horizon = gains.len();
    let mut most = caps.to_vec();
    for t in (1..horizon).rev() {
        most[t - 1] = most[t - 1].min(most[t] - gains[t].0);
    }
    let (mut high, mut lack) = (0.0_f64, 0.0_f64);
    for (t, need) in needs.iter().enumerate() {
        high = (high + gains[t].1).min(most[t]);
        most[t] = high;
        lack = lack.max(need - high);
    }
    let mut least: Vec<f64> = needs.iter().map(|need| need - lack).collect();
    for t in (1..horizon).rev() {
        least[t - 1] = least[t - 1].max(least[t] - gains[t].1);
    }
    let mut low = 0.0_f64;
    let energy = most.iter().enumerate().map(|(t, &most)| {
        low = (low + gains[t].0).max(least[t]).min(most);
        (low, most)
    });
    (energy.collect(), lack)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Penalties;

    /// A battery of 10 kWh, half full, that charges and discharges with 4 kW and loses a tenth each way; hours.
    fn battery(energy_price: Vec<f64>) -> Problem {
        let horizon = energy_price.len();
        Problem {
            intervals_h: vec![1.0; horizon],
            resources: vec![Resource {
                node: None,
                charge_max_kw: vec![4.0; horizon],
                discharge_max_kw: vec![4.0; horizon],
                power_min_kw: vec![f64::NEG_INFINITY; horizon],
                power_max_kw: vec![f64::INFINITY; horizon],
                energy_min_kwh: vec![-5.0; horizon],
                energy_max_kwh: vec![5.0; horizon],
                charge_efficiency: 0.9,
                discharge_efficiency: 0.9,
                initial_power_kw: 0.0,
                ramp_kw_per_h: f64::INFINITY,
                throughput_max_kwh: f64::INFINITY,
                feed_in_price: energy_price.clone(),
                energy_price,
                wear: 0.0,
                terminal_value: 0.0,
                regulates: false,
            }],
            nodes: vec![],
            requirements: vec![],
            penalties: Penalties::default(),
        }
    }

    fn net(problem: &Problem, more: f64) -> (Vec<f64>, f64) {
        let frame = Frame::new(problem);
        let alone = Alone::new(&frame, 0).expect("nothing ties its intervals together");
        let path = alone.cheapest(&frame, |_| more).expect("nothing is short");
        let net = (0..problem.horizon()).map(|t| path.schedule.net_kw(t));
        (net.collect(), path.cost)
    }

    #[track_caller]
    fn assert_path(found: (Vec<f64>, f64), net: &[f64], cost: f64) {
        for (found, expected) in found.0.iter().zip(net) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
        assert!((found.1 - cost).abs() < 1e-9, "{} {cost}", found.1);
    }

    #[test]
    fn it_buys_where_that_is_worth_the_losses() {
        // 3.6 kWh are stored for 4 × 0.2; 8.6 are left to sell, of which the hour at 1 takes 4 / 0.9 and the one at 0.5 the rest.
        let rest = (5.0 + 3.6 - 4.0 / 0.9) * 0.9;
        assert_path(
            net(&battery(vec![0.2, 1.0, 0.5]), 0.0),
            &[4.0, -4.0, -rest],
            0.8 - 4.0 - rest * 0.5,
        );
        // 0.9 is not worth buying at 0.8: 0.9 × 0.81 < 0.8. What is there is sold where it earns most.
        assert_path(
            net(&battery(vec![0.8, 0.9]), 0.0),
            &[-0.5, -4.0],
            -0.5 * 0.8 - 4.0 * 0.9,
        );
    }

    #[test]
    fn a_price_above_counts_like_its_own() {
        // At 0.1 more, drawing costs 0.3 and selling earns 1.1 and 0.6: the same schedule.
        let (schedule, cost) = net(&battery(vec![0.2, 1.0, 0.5]), 0.0);
        let more: f64 = schedule.iter().map(|kw| kw * 0.1).sum();
        assert_path(
            net(&battery(vec![0.2, 1.0, 0.5]), 0.1),
            &schedule,
            cost + more,
        );
    }

    #[test]
    fn what_is_needed_comes_first_and_what_cannot_be_is_paid_for() {
        let mut problem = battery(vec![1.0, 0.5, 0.1]);
        // 3.6 kWh after two hours: the second is cheaper. Then all the rest is cheap to fill, and worth nothing.
        problem.resources[0].energy_min_kwh = vec![0.0, 3.6, 3.6];
        problem.resources[0].energy_max_kwh = vec![5.0; 3];
        assert_path(net(&problem, 0.0), &[0.0, 4.0, 0.0], 2.0);
        // 9 kWh after two hours are 1.8 more than can be; both hours are full.
        problem.resources[0].energy_min_kwh = vec![0.0, 9.0, 9.0];
        problem.resources[0].energy_max_kwh = vec![20.0; 3];
        assert_path(net(&problem, 0.0), &[4.0, 4.0, 0.0], 6.0 + 1_800.0);
    }

    #[test]
    fn a_ramp_a_warranty_or_a_small_penalty_tie_intervals_together() {
        let plain = battery(vec![0.2, 1.0, 0.5]);
        let alone = |problem: &Problem| {
            let frame = Frame::new(problem);
            Alone::new(&frame, 0).is_some_and(|alone| alone.cheapest(&frame, |_| 0.0).is_some())
        };
        assert!(alone(&plain));
        let mut ramped = plain.clone();
        ramped.resources[0].ramp_kw_per_h = 5.0;
        assert!(!alone(&ramped));
        let mut worn = plain.clone();
        worn.resources[0].throughput_max_kwh = 6.0;
        assert!(!alone(&worn));
        let mut cheap = plain;
        cheap.penalties.unmet_energy = 1.0;
        assert!(!alone(&cheap));
    }

    #[test]
    fn of_two_ways_the_one_that_pays_is_chosen() {
        // Feeding in is subsidised: buying at 0.2 to sell at 3 pays at every hour, and both at once would.
        let mut problem = battery(vec![0.2; 4]);
        problem.resources[0].wear = -3.0;
        problem.resources[0].terminal_value = 0.5;
        let frame = Frame::new(&problem);
        let alone = Alone::new(&frame, 0).expect("nothing ties its intervals together");
        let charges = alone.charges(&frame, |_| 0.0);
        // 5 kWh are there and 4.44 go in an hour; 3.6 come in one. Two hours of each is the best that can be.
        assert_eq!(charges.iter().filter(|charges| **charges).count(), 2);
        let both = alone
            .cheapest(&frame, |_| 0.0)
            .expect("nothing is short")
            .schedule;
        assert!(both.charge_kw[0].min(both.discharge_kw[0]) > 0.0);
    }
}
