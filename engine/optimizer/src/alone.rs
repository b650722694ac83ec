//! What a resource would do if no limit and no promise above it bound: its own cheapest schedule, exactly and at once.
//!
//! The cost of what is still to come is a convex, piecewise linear function of stored energy. An interval's choice of power
//! costs such a function too, so the least cost over both is their infimal convolution: the pieces of the two, merged by
//! slope. One pass backwards builds these functions, one forwards reads the schedule off them. (Bellman's principle;
//! for the merging of slopes see R. T. Rockafellar, *Convex Analysis* (1970), §16.)
//!
//! That needs intervals which nothing but stored energy ties together: no ramp and no warranty that can bind, no regulation.
//! Where charging and discharging at once pays, both are done, as in the linear program; [`crate::finish`] says what then.

use std::ops::Range;

use crate::frame::Frame;
use crate::problem::Resource;
use crate::reach::{EnergyReach, IMPLIED};
use crate::score::own_cost;
use crate::solution::ResourceSchedule;

/// A resource that can be planned alone.
pub(crate) struct Alone<'a> {
    frame: &'a Frame<'a>,
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

impl<'a> Alone<'a> {
    /// `None` where something ties its intervals together.
    pub(crate) fn new(frame: &'a Frame<'a>, index: usize) -> Option<Self> {
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
            frame,
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
            let least = alone.gained(power.charge.0, power.discharge.1, dt);
            let most = alone.gained(power.charge.1, power.discharge.0, dt);
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
    pub(crate) fn cheapest(&self, more: impl Fn(usize) -> f64) -> Option<Path> {
        let horizon = self.gains.len();
        let slopes: Vec<(f64, f64)> = (0..horizon).map(|t| self.slopes(t, more(t))).collect();
        if self.pays_to_lack(&slopes) {
            return None;
        }
        // What is to come costs, by energy at the end of each interval: pieces from the least energy on.
        let mut pieces: Vec<Piece> = Vec::with_capacity(horizon * (horizon + 3));
        let (least, most) = self.energy[horizon - 1];
        pieces.push(Piece {
            slope: -self.resource().terminal_value,
            length: most - least,
            of: Of::Later,
        });
        let mut ranges = vec![0..1; horizon];
        for t in (1..horizon).rev() {
            let begin = pieces.len();
            let (keep_from, keep_to) = self.energy[t - 1];
            let mut at = self.energy[t].0 - self.most_gained(t);
            let mut merged = Merged::new(ranges[t].clone(), self.choices(t, slopes[t]));
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
        let schedule = self.walk(&pieces, &ranges, &slopes);
        let problem = self.frame.problem;
        let hours = problem.intervals_h.iter().enumerate();
        let paid_more: f64 = hours.map(|(t, dt)| more(t) * schedule.net_kw(t) * dt).sum();
        let unmet = problem.penalties.unmet_energy * self.lack;
        let own = own_cost(self.resource(), &schedule, &problem.intervals_h);
        Some(Path {
            schedule,
            cost: own + paid_more + unmet,
        })
    }

    /// Forwards: in each interval the split between power now and energy later at which both cost the same.
    fn walk(
        &self,
        pieces: &[Piece],
        ranges: &[Range<usize>],
        slopes: &[(f64, f64)],
    ) -> ResourceSchedule {
        let resource = self.resource();
        let mut schedule = ResourceSchedule::zero(self.power.len());
        let mut stored = 0.0_f64;
        for (t, &dt) in self.frame.problem.intervals_h.iter().enumerate() {
            let (least, most) = self.energy[t];
            // With all power that there is now, energy would be the least; from there on, who is cheaper gives way first.
            let mut left = (stored - (least - self.most_gained(t))).max(0.0);
            let (mut charged, mut discharged) = (self.power[t].charge.1, self.power[t].discharge.0);
            let mut merged = Merged::new(ranges[t].clone(), self.choices(t, slopes[t]));
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
            stored += self.gained(charged, discharged, dt);
            stored = stored.max(least).min(most);
        }
        schedule
    }

    fn resource(&self) -> &'a Resource {
        &self.frame.problem.resources[self.index]
    }

    fn gained(&self, charge_kw: f64, discharge_kw: f64, dt: f64) -> f64 {
        let resource = self.resource();
        (charge_kw * resource.charge_efficiency - discharge_kw / resource.discharge_efficiency) * dt
    }

    fn most_gained(&self, t: usize) -> f64 {
        self.gains[t].1
    }

    /// What a battery-side kWh costs to charge, and earns when discharged, CNY.
    fn slopes(&self, t: usize, more: f64) -> (f64, f64) {
        let resource = self.resource();
        let charge = (resource.energy_price[t] + more) / resource.charge_efficiency;
        let earned = resource.feed_in_price[t] - resource.wear + more;
        (charge, earned * resource.discharge_efficiency)
    }

    /// An interval's choice of energy gained, from the greatest to the least: what giving it up costs, for each kWh. Slopes rise.
    fn choices(&self, t: usize, (charge, discharge): (f64, f64)) -> [Piece; 2] {
        let Power {
            charge: (least_charge, most_charge),
            discharge: (least_discharge, most_discharge),
        } = self.power[t];
        let dt = self.frame.problem.intervals_h[t];
        let charging = Piece {
            slope: -charge,
            length: self.gained(most_charge - least_charge, 0.0, dt),
            of: Of::Charging,
        };
        let discharging = Piece {
            slope: -discharge,
            length: -self.gained(0.0, most_discharge - least_discharge, dt),
            of: Of::Discharging,
        };
        if discharging.slope < charging.slope {
            [discharging, charging]
        } else {
            [charging, discharging]
        }
    }

    /// Whether the penalty for what is not met could be worth paying: meeting one kWh more can take one more before each need.
    fn pays_to_lack(&self, slopes: &[(f64, f64)]) -> bool {
        let resource = self.resource();
        let needs = resource.energy_min_kwh.iter();
        let needs = needs.map(|need| f64::from(u8::from(need.is_finite())));
        let (mut least, mut most) = (resource.terminal_value, resource.terminal_value);
        for (charge, discharge) in slopes {
            least = least.min(*charge).min(*discharge);
            most = most.max(*charge).max(*discharge);
        }
        (most - least) * needs.sum::<f64>() > self.frame.problem.penalties.unmet_energy
    }
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
