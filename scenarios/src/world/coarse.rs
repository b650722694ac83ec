//! A station in long steps.
//!
//! A long step is cut at the whole seconds at which somebody comes, a lease ends, or, while vehicles are discharged, one of the
//! station is empty, full or gone; in between nothing changes but what batteries hold, and that is exact. Four rules stand
//! for what happens in seconds:
//!
//! - Delays and ramps are left out.
//! - Who leaves, leaves at its own instant; who is full or empty stops then. What they leave free, others get at the next look.
//! - Who comes gets what all others leave of the station's setpoint, if that is enough to switch the pile on, and no more than
//!   its maker allows; nothing while the station exports. The next look shares out anew, by needs.
//! - Where a station is off its setpoint at a cut, because piles obey nobody or somebody left or is full or empty, its
//!   controller takes what is too much, drawn or given, off those that obey, as the aggregator's feedback does within seconds.

use vpp_aggregator::Lease;
use vpp_core::Power;

use super::station::StationState;
use super::vehicle::Vehicle;

/// The grid on which vehicles come.
const SECOND_MS: i64 = 1_000;
/// No cut comes sooner because a battery is full or empty.
const SHORTEST_MS: i64 = 30_000;

impl StationState {
    /// Lives in long steps from now on, or in short ones.
    pub(super) fn set_coarse(&mut self, coarse: bool) {
        if coarse && !self.coarse {
            self.hear(i64::MAX);
        }
        self.coarse = coarse;
    }

    /// Lives until `until` in steps of `step_ms`.
    pub(super) fn live(&mut self, until: i64, step_ms: i64) {
        while self.now < until {
            let end = until.min(self.now + step_ms);
            let mut at_grid = 0;
            while self.now < end {
                at_grid += self.live_part(end);
            }
            self.tally.metered(at_grid);
        }
    }

    /// Lives up to the next cut; what was moved at the connection.
    fn live_part(&mut self, end: i64) -> i64 {
        let now = self.now;
        let known = self.tally.arrivals;
        self.come_and_go(now);
        if self.is_alone(now) {
            self.control_itself(now);
        } else if self.tally.arrivals > known {
            self.receive(now, end);
        }
        self.trim(now);
        let until = self.next_cut(now, end);
        let mut at_grid = 0;
        for vehicle in &mut self.vehicles {
            let pile = &self.piles[vehicle.pile as usize];
            let moved = vehicle.run_long(pile, now, until - now, self.efficiency);
            vehicle.gave |= moved.at_grid < 0;
            at_grid += moved.at_grid;
            self.tally.moved(moved);
        }
        self.now = until;
        at_grid
    }

    /// Up to when nothing changes.
    fn next_cut(&self, now: i64, end: i64) -> i64 {
        let arrivals = self.arrivals.iter().filter_map(|stream| stream.next());
        let swaps = self.swapping.iter().filter_map(|swaps| swaps.next());
        let lease = self
            .lease
            .iter()
            .filter(|lease| lease.setpoint != lease.fallback);
        let lease = lease.map(|lease| lease.valid_until.timestamp_millis());
        let mut cut = arrivals
            .chain(swaps)
            .chain(lease.filter(|at| *at > now))
            .fold(end, i64::min);
        let goals = self.vehicles.iter().map(|vehicle| {
            let goal = vehicle.goal(&self.piles[vehicle.pile as usize]);
            (vehicle, goal)
        });
        if goals.clone().any(|(_, goal)| goal < 0) {
            for (vehicle, goal) in goals.filter(|(_, goal)| *goal != 0) {
                let lasts = vehicle
                    .battery
                    .lasts_ms(goal, self.efficiency)
                    .max(SHORTEST_MS);
                cut = cut.min(now + lasts).min(vehicle.departure);
            }
        }
        // On the grid, and never standing still.
        let seconds = (cut - now + SECOND_MS - 1).div_euclid(SECOND_MS).max(1);
        end.min(now + seconds * SECOND_MS)
    }

    /// What the station may draw; negative: what it shall export.
    fn ceiling(&self, now: i64) -> i64 {
        let default = self.model.station.default_setpoint;
        let told = |lease: Lease| match self.is_alone(now) {
            true => lease.fallback,
            false => lease.setpoint,
        };
        self.lease.map_or(default, told).as_watts()
    }

    /// Lets who has just come charge with what the others leave of the setpoint.
    fn receive(&mut self, now: i64, end: i64) {
        let came = self
            .vehicles
            .iter_mut()
            .filter(|vehicle| vehicle.came == now);
        for vehicle in came {
            vehicle.told = 0;
        }
        let mut left = self.ceiling(now) - self.draw();
        let soc = self.model.behaviour.soc_ceiling;
        for vehicle in self
            .vehicles
            .iter_mut()
            .filter(|vehicle| vehicle.came == now)
        {
            let pile = &self.piles[vehicle.pile as usize];
            let most = vehicle.may_charge(soc, end - now, self.efficiency);
            let told = left.min(most).clamp(0, pile.rated);
            vehicle.told = if told < pile.least { 0 } else { told };
            left -= if pile.obeys { vehicle.goal(pile) } else { 0 };
        }
    }

    /// What all vehicles draw together.
    fn draw(&self) -> i64 {
        let draw = |vehicle: &Vehicle| vehicle.goal(&self.piles[vehicle.pile as usize]);
        self.vehicles.iter().map(draw).sum()
    }

    /// Takes what the station draws above its ceiling off those that obey, in equal shares of their draw; what it gives beyond
    /// its setpoint as well.
    fn trim(&mut self, now: i64) {
        let ceiling = self.ceiling(now);
        let draw = self.draw();
        let (over, sign) = match (draw - ceiling.max(0), ceiling.min(0) - draw) {
            (over, _) if over > 0 => (over, 1),
            (_, under) if under > 0 => (under, -1),
            _ => return,
        };
        let piles = &self.piles;
        let obeying = self.vehicles.iter_mut().filter_map(|vehicle| {
            let pile = &piles[vehicle.pile as usize];
            let goal = vehicle.goal(pile);
            (pile.obeys && goal * sign > 0).then_some((vehicle, goal))
        });
        let obeying: Vec<(&mut Vehicle, i64)> = obeying.collect();
        let moved: i64 = obeying.iter().map(|(_, goal)| goal.abs()).sum();
        let kept = Power::from_watts((moved - over).max(0));
        for (vehicle, goal) in obeying {
            let goal = Power::from_watts(goal);
            vehicle.told = goal.scaled(kept, Power::from_watts(moved)).as_watts();
        }
    }
}
