//! A station: piles, vehicles that come and go, and what follows for power and energy.

use vpp_optimizer::Resource;

use super::draws::Draws;
use super::timing::Timing;

/// One vehicle's stay.
struct Session {
    arrival_h: f64,
    departure_h: f64,
    charge_kw: f64,
    /// 0 where it may not export.
    discharge_kw: f64,
    /// Battery-side energy that it must have gained when it leaves, and can gain at most.
    need_kwh: f64,
    room_kwh: f64,
    /// Battery-side energy that it may be drained of, below that of its arrival.
    spare_kwh: f64,
}

const CHARGE_EFFICIENCY: f64 = 0.94;
const DISCHARGE_EFFICIENCY: f64 = 0.94;

impl Session {
    /// Hours of the stay between the start of the horizon and an hour.
    fn stayed_h(&self, by_h: f64) -> f64 {
        (by_h.min(self.departure_h) - self.arrival_h).max(0.0)
    }

    /// Share of an interval that it is there.
    fn presence(&self, from_h: f64, to_h: f64) -> f64 {
        (to_h.min(self.departure_h) - from_h.max(self.arrival_h)).max(0.0) / (to_h - from_h)
    }

    /// The earliest curve: the most it can have gained by an hour.
    fn most_kwh(&self, by_h: f64) -> f64 {
        (self.stayed_h(by_h) * self.charge_kw * CHARGE_EFFICIENCY).min(self.room_kwh)
    }

    /// The latest curve: the least it must have gained by an hour to leave with what it needs.
    fn least_kwh(&self, by_h: f64) -> f64 {
        let left_h = self.departure_h - by_h.max(self.arrival_h);
        let catch_up = self.need_kwh - left_h.max(0.0) * self.charge_kw * CHARGE_EFFICIENCY;
        let drained = self.stayed_h(by_h) * self.discharge_kw / DISCHARGE_EFFICIENCY;
        catch_up.max(-drained.min(self.spare_kwh))
    }
}

/// A station under a feeder. Three in ten have vehicles that export; one in ten is slow to change its power.
pub(super) fn draw(feeder: usize, regulates: bool, timing: &Timing, draws: &mut Draws) -> Resource {
    let fast = draws.chance(0.45);
    let exports = draws.chance(if fast { 0.2 } else { 0.4 });
    let piles = if fast {
        draws.count(3, 10)
    } else {
        draws.count(8, 40)
    };
    let sessions: Vec<Session> = (0..piles)
        .flat_map(|_| stay_after_stay(fast, exports, timing, draws))
        .collect();
    let edges = timing.edges_h.windows(2);
    let power = |of: fn(&Session) -> f64| -> Vec<f64> {
        let at = |edge: &[f64]| -> f64 {
            sessions
                .iter()
                .map(|s| of(s) * s.presence(edge[0], edge[1]))
                .sum()
        };
        edges.clone().map(at).collect()
    };
    let ends = &timing.edges_h[1..];
    let energy = |of: fn(&Session, f64) -> f64| -> Vec<f64> {
        ends.iter()
            .map(|&by| sessions.iter().map(|s| of(s, by)).sum())
            .collect()
    };
    let charge_max_kw = power(|s| s.charge_kw);
    let discharge_max_kw = power(|s| s.discharge_kw);
    let greatest = charge_max_kw.iter().copied().fold(0.0, f64::max);
    let service = draws.between(0.9, 1.1);
    let energy_price: Vec<f64> = (0..timing.horizon())
        .map(|t| timing.price(t) * service)
        .collect();
    let dearest = energy_price.iter().copied().fold(0.0, f64::max);
    // Half of the owners want all that fits, as the dispatch engine counts it; the others what is cheap.
    let terminal_value = if draws.chance(0.5) {
        dearest / CHARGE_EFFICIENCY + draws.between(0.1, 0.3)
    } else {
        draws.between(0.45, 0.95)
    };
    Resource {
        node: Some(feeder),
        power_min_kw: discharge_max_kw.iter().map(|kw| -kw).collect(),
        power_max_kw: charge_max_kw.clone(),
        energy_min_kwh: energy(Session::least_kwh),
        // Rounding apart, the latest curve lies below the earliest.
        energy_max_kwh: energy(|s, by| s.most_kwh(by).max(s.least_kwh(by))),
        charge_efficiency: CHARGE_EFFICIENCY,
        discharge_efficiency: DISCHARGE_EFFICIENCY,
        initial_power_kw: charge_max_kw[0] * draws.between(0.0, 0.8),
        ramp_kw_per_h: if draws.chance(0.1) {
            greatest * draws.between(1.0, 4.0)
        } else {
            f64::INFINITY
        },
        throughput_max_kwh: if exports && draws.chance(0.3) {
            discharge_max_kw.iter().copied().fold(0.0, f64::max) * draws.between(0.5, 2.0)
        } else {
            f64::INFINITY
        },
        feed_in_price: energy_price.iter().map(|price| 0.8 * price).collect(),
        energy_price,
        wear: draws.between(0.15, 0.45),
        terminal_value,
        regulates,
        charge_max_kw,
        discharge_max_kw,
    }
}

/// What happens at one pile from before the horizon to its end.
fn stay_after_stay(fast: bool, exports: bool, timing: &Timing, draws: &mut Draws) -> Vec<Session> {
    let (charge_kw, stay_h, gap_h) = if fast {
        ([60.0, 120.0][draws.count(0, 1)], (0.4, 1.2), (0.1, 1.5))
    } else {
        (7.0, (3.0, 11.0), (0.3, 5.0))
    };
    let discharge_kw = match (exports, fast) {
        (false, _) => 0.0,
        (true, false) => 7.0,
        (true, true) => 20.0,
    };
    let mut sessions = Vec::new();
    let mut now = timing.start_h() - draws.between(0.0, stay_h.1);
    while now < timing.end_h() {
        let departure_h = now + draws.between(stay_h.0, stay_h.1);
        if departure_h > timing.start_h() {
            // What the horizon sees of it; a stay under way has had its share.
            let arrival_h = now.max(timing.start_h());
            let left = departure_h - arrival_h;
            let chargeable = charge_kw * CHARGE_EFFICIENCY * left;
            let need_kwh = chargeable.min(45.0) * draws.between(0.1, 0.75);
            sessions.push(Session {
                arrival_h,
                departure_h,
                charge_kw,
                discharge_kw,
                need_kwh,
                room_kwh: need_kwh + draws.between(0.0, 12.0),
                spare_kwh: draws.between(4.0, 20.0),
            });
        }
        now = departure_h + draws.between(gap_h.0, gap_h.1);
    }
    sessions
}
