//! What a resource would do if no limit and no promise above it bound: its own cheapest schedule, exactly and at once.
//!
//! The cost of what is still to come is a convex, piecewise linear function of stored energy. An interval's choice of power
//! costs such a function too, so the least cost over both is their infimal convolution: the pieces of the two, merged by
//! slope. One pass backwards builds these functions, one forwards reads the schedule off them. (Bellman's principle;
//! for the merging of slopes see R. T. Rockafellar, *Convex Analysis* (1970), §16.)
//!
//! That needs intervals which nothing but stored energy ties together: no ramp and no warranty that can bind, no regulation,
//! and no price at which charging and discharging at once pays.

use crate::frame::Frame;
use crate::limits::{net_for_stored_kw, stored_kwh};
use crate::reach::{EnergyReach, IMPLIED};
use crate::score::own_cost;
use crate::solution::ResourceSchedule;

/// A resource that can be planned alone.
pub(crate) struct Alone<'a> {
    frame: &'a Frame<'a>,
    index: usize,
    /// Least and greatest battery-side energy gained in each interval, kWh.
    gains: Vec<(f64, f64)>,
    /// Least and greatest energy at the end of each interval from which all later limits can be kept, kWh.
    energy: Vec<(f64, f64)>,
    /// Departure energy that cannot be met, kWh.
    lack: f64,
}

/// What a resource does alone.
pub(crate) struct Path {
    /// Net draw, kW.
    pub(crate) net_kw: Vec<f64>,
    /// CNY, what is not met included.
    pub(crate) cost: f64,
}

/// A linear piece: CNY for each kWh more, over so many kWh.
#[derive(Clone, Copy)]
struct Piece {
    slope: f64,
    length: f64,
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
        let exported: f64 = low.iter().zip(dt).map(|(low, dt)| (-low).max(0.0) * dt).sum();
        if exported > limits.throughput_kwh + IMPLIED {
            return None;
        }
        let gain = |net: f64, dt: f64| stored_kwh(resource, net, dt);
        let ends = low.iter().zip(&high).zip(dt);
        let gains: Vec<(f64, f64)> = ends
            .map(|((&low, &high), &dt)| (gain(low, dt), gain(high.max(low), dt)))
            .collect();
        let (energy, lack) = within(&gains, &limits.energy_max_kwh, &resource.energy_min_kwh);
        Some(Self {
            frame,
            index,
            gains,
            energy,
            lack,
        })
    }

    /// Its cheapest schedule when energy costs, and earns, so much more than its own prices, CNY/kWh. `None` where such prices
    /// make it pay to charge and discharge at once, or to fall short of what could be met.
    pub(crate) fn cheapest(&self, more: impl Fn(usize) -> f64) -> Option<Path> {
        let horizon = self.gains.len();
        let slopes: Vec<(f64, f64)> = (0..horizon).map(|t| self.slopes(t, more(t))).collect();
        let resource = &self.frame.problem.resources[self.index];
        if self.pays_to_do_both(&slopes) || self.pays_to_lack(&slopes) {
            return None;
        }
        // What is to come costs, by energy at the end of each interval: pieces from the least energy on.
        let mut pieces: Vec<Piece> = Vec::with_capacity(horizon * (horizon + 3));
        let (least, most) = self.energy[horizon - 1];
        pieces.push(Piece {
            slope: -resource.terminal_value,
            length: most - least,
        });
        let mut of = vec![(0, 1); horizon];
        for t in (1..horizon).rev() {
            let begin = pieces.len();
            let (least, _) = self.energy[t];
            let (keep_from, keep_to) = self.energy[t - 1];
            let mut at = least - self.gains[t].1;
            let (from, to) = of[t];
            merge(from..to, &mut pieces, self.choices(t, slopes[t]), |pieces, piece, _| {
                let (from, to) = (at.max(keep_from), (at + piece.length).min(keep_to));
                at += piece.length;
                if to > from {
                    pieces.push(Piece {
                        slope: piece.slope,
                        length: to - from,
                    });
                }
                at < keep_to
            });
            of[t - 1] = (begin, pieces.len());
        }
        Some(self.walk(&mut pieces, &of, &slopes, more))
    }

    /// Forwards: in each interval the split between power now and energy later at which both cost the same.
    fn walk(
        &self,
        pieces: &mut Vec<Piece>,
        of: &[(usize, usize)],
        slopes: &[(f64, f64)],
        more: impl Fn(usize) -> f64,
    ) -> Path {
        let problem = self.frame.problem;
        let resource = &problem.resources[self.index];
        let mut stored = 0.0;
        let mut schedule = ResourceSchedule::zero(self.gains.len());
        let mut net_kw = vec![0.0; self.gains.len()];
        let mut paid_more = 0.0;
        for (t, &dt) in problem.intervals_h.iter().enumerate() {
            let (least, most) = self.energy[t];
            let (low, high) = self.gains[t];
            // With all power that there is now, energy would be the least; from there on, who is cheaper gives way first.
            let mut left = stored - (least - high);
            let mut later = 0.0;
            let (from, to) = of[t];
            merge(from..to, pieces, self.choices(t, slopes[t]), |_, piece, is_later| {
                let part = piece.length.min(left.max(0.0));
                left -= part;
                if is_later {
                    later += part;
                }
                left > 0.0
            });
            let gain = (least + later).min(most) - stored;
            let gain = gain.max(low).min(high);
            stored += gain;
            let net = net_for_stored_kw(resource, gain, dt);
            net_kw[t] = net;
            schedule.charge_kw[t] = net.max(0.0);
            schedule.discharge_kw[t] = (-net).max(0.0);
            paid_more += more(t) * net * dt;
        }
        let unmet = problem.penalties.unmet_energy * self.lack;
        Path {
            cost: own_cost(resource, &schedule, &problem.intervals_h) + paid_more + unmet,
            net_kw,
        }
    }

    /// What a battery-side kWh costs to charge, and earns when discharged, CNY.
    fn slopes(&self, t: usize, more: f64) -> (f64, f64) {
        let resource = &self.frame.problem.resources[self.index];
        let charge = (resource.energy_price[t] + more) / resource.charge_efficiency;
        let earned = resource.feed_in_price[t] - resource.wear + more;
        (charge, earned * resource.discharge_efficiency)
    }

    /// An interval's choice of energy gained, from the greatest to the least: what giving it up costs, for each kWh. Slopes rise.
    fn choices(&self, t: usize, (charge, discharge): (f64, f64)) -> [Piece; 2] {
        let (low, high) = self.gains[t];
        let (charged, discharged) = (high - low.max(0.0), high.min(0.0) - low);
        let piece = |slope: f64, length: f64, other: f64| Piece {
            slope: if length > 0.0 { -slope } else { -other },
            length: length.max(0.0),
        };
        [
            piece(charge, charged, discharge),
            piece(discharge, discharged, charge),
        ]
    }

    fn pays_to_do_both(&self, slopes: &[(f64, f64)]) -> bool {
        let both = |((charge, discharge), (low, high)): (&(f64, f64), &(f64, f64))| {
            *low < 0.0 && *high > 0.0 && discharge > charge
        };
        slopes.iter().zip(&self.gains).any(both)
    }

    /// Whether the penalty for what is not met could be worth paying: meeting one kWh more can take one more before each need.
    fn pays_to_lack(&self, slopes: &[(f64, f64)]) -> bool {
        let resource = &self.frame.problem.resources[self.index];
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

/// Merges the pieces of what is to come with an interval's choices, by slope; at the same slope what is to come goes first,
/// which charges now. `take` gets each and whether it is one of what is to come, until it has enough.
fn merge(
    range: std::ops::Range<usize>,
    pieces: &mut Vec<Piece>,
    choices: [Piece; 2],
    mut take: impl FnMut(&mut Vec<Piece>, Piece, bool) -> bool,
) {
    let (mut at, mut choice) = (range.start, 0);
    loop {
        let later = (at < range.end).then(|| pieces[at]);
        let now = choices.get(choice).copied();
        let (piece, is_later) = match (later, now) {
            (Some(later), Some(now)) if later.slope <= now.slope => (later, true),
            (_, Some(now)) => (now, false),
            (Some(later), None) => (later, true),
            (None, None) => return,
        };
        if is_later {
            at += 1;
        } else {
            choice += 1;
        }
        if !take(pieces, piece, is_later) {
            return;
        }
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
