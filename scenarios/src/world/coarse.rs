//! A station in long steps.
//!
//! A long step is cut at the whole seconds at which somebody comes or leaves, a lease ends, or, while vehicles are discharged,
//! one of the station is empty or full; in between nothing changes but what batteries hold, and that is exact. Six rules stand
//! for what happens in seconds:
//!
//! - Delays and ramps are left out.
//! - Who leaves, leaves at its own instant; who is full or empty stops then.
//! - When somebody comes or leaves, what is left of the station's setpoint is shared out, to each the same as far as it can take
//!   it; nothing while the station exports. The next look shares out anew, by needs.
//! - Who comes and would leave short if it waited for the next look charges at once, also beyond the setpoint, up to the
//!   station's default ceiling: live, engine and aggregator answer within seconds, and every limit above has room for all
//!   default ceilings at all times.
//! - What a station reports is its mean over the step, as a meter does: at its end vehicles are full or gone whose draw the step
//!   has seen.
//! - Where a station is off its setpoint at a cut, because piles obey nobody or somebody left or is full or empty, its
//!   controller takes what is too much, drawn or given, off those that obey, as the aggregator's feedback does within seconds; and
//!   it tells which piles do not.

use chrono::TimeDelta;
use vpp_aggregator::{Lease, Splitter};
use vpp_core::Power;

use super::arrivals::Arrivals;
use super::recorded::Recorded;
use super::station::StationState;
use super::swap::Swapping;
use super::tally::Tally;
use super::vehicle::Vehicle;

/// The grid on which vehicles come.
const SECOND_MS: i64 = 1_000;
/// No cut comes sooner because a battery is full or empty.
const SHORTEST_MS: i64 = 30_000;
/// Who can wait for so long beyond the next look is not urgent.
const WAITED_MS: i64 = 60_000;

impl StationState {
    /// Lives in long steps from now on, or in short ones where there is none. Its own controller looks as often.
    pub(super) fn set_coarse(&mut self, step_ms: Option<i64>) {
        match step_ms.map(TimeDelta::milliseconds) {
            Some(step) if self.coarse => self.local.trust(step),
            Some(step) => {
                self.hear(i64::MAX);
                self.local = Splitter::trusting(step);
                // Until a long step is over, the mean is what is drawn now.
                self.mean_w = self.active_power().as_watts();
            }
            None if self.coarse => {
                self.raised = 0;
                self.local = Splitter::new();
            }
            None => {}
        }
        self.coarse = step_ms.is_some();
    }

    /// Lives until `until` in steps of `step_ms`.
    pub(super) fn live(&mut self, until: i64, step_ms: i64) {
        while self.now < until {
            let (start, end) = (self.now, until.min(self.now + step_ms));
            let mut at_grid = 0;
            while self.now < end {
                at_grid += self.live_part(end);
            }
            self.tally.metered(at_grid);
            self.mean_w = at_grid / (end - start);
        }
        // Who stood there and drew nothing left without a cut.
        self.depart(self.now - SECOND_MS);
    }

    /// Lives up to the next cut; what was moved at the connection.
    fn live_part(&mut self, end: i64) -> i64 {
        let now = self.now;
        let seen = |tally: &Tally| (tally.arrivals, tally.departures);
        let before = seen(&self.tally);
        self.come_and_go(now);
        let alone = self.is_alone(now);
        if alone {
            self.control_itself(now);
        } else if seen(&self.tally) != before {
            self.share_left(now, end);
        }
        let mut goals = std::mem::take(&mut self.goals);
        self.look_at_goals(&mut goals);
        if self.trim(now, goals.iter().sum()) {
            self.look_at_goals(&mut goals);
        }
        let until = self.next_cut(now, end, &goals);
        let mut at_grid = 0;
        for (vehicle, goal) in self.vehicles.iter_mut().zip(&goals) {
            let pile = &self.piles[vehicle.pile as usize];
            let moved = vehicle.run_long(pile, *goal, now, until - now, self.efficiency);
            vehicle.gave |= moved.at_grid < 0;
            vehicle.defies |= !pile.obeys && *goal > vehicle.told;
            vehicle.miss(pile, until, self.efficiency, alone);
            at_grid += moved.at_grid;
            self.tally.moved(moved);
        }
        self.goals = goals;
        self.now = until;
        at_grid
    }

    /// What each vehicle draws from now on.
    fn look_at_goals(&self, goals: &mut Vec<i64>) {
        let goal = |vehicle: &Vehicle| vehicle.goal(&self.piles[vehicle.pile as usize]);
        goals.clear();
        goals.extend(self.vehicles.iter().map(goal));
    }

    /// Up to when nothing changes.
    fn next_cut(&self, now: i64, end: i64, goals: &[i64]) -> i64 {
        let arrivals = self.arrivals.iter().filter_map(Arrivals::next);
        let swaps = self.swapping.iter().filter_map(Swapping::next);
        let recorded = self.recorded.iter().filter_map(Recorded::next);
        let lease = self
            .lease
            .iter()
            .filter(|lease| lease.setpoint != lease.fallback);
        let lease = lease.map(|lease| lease.valid_until.timestamp_millis());
        let mut cut = arrivals
            .chain(swaps)
            .chain(recorded)
            .chain(lease.filter(|at| *at > now))
            .fold(end, i64::min);
        let gives = goals.iter().any(|goal| *goal < 0);
        let pairs = self.vehicles.iter().zip(goals);
        for (vehicle, &goal) in pairs.filter(|(_, goal)| **goal != 0) {
            cut = cut.min(vehicle.departure);
            if gives {
                let lasts = vehicle.battery.lasts_ms(goal, self.efficiency);
                cut = cut.min(now + lasts.max(SHORTEST_MS));
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
        self.lease.map_or(default, told).as_watts() + self.raised
    }

    /// Shares out what is left of the setpoint when somebody came or left: the same to each, as far as it can take it and its
    /// maker allows.
    fn share_left(&mut self, now: i64, end: i64) {
        for vehicle in &mut self.vehicles {
            if vehicle.came == now {
                vehicle.told = 0;
            }
        }
        self.serve_urgent(now, end);
        let mut left = self.ceiling(now) - self.draw();
        if left <= 0 {
            return;
        }
        let (piles, efficiency) = (&self.piles, self.efficiency);
        let takers = self.vehicles.iter_mut().filter_map(|vehicle| {
            let pile = &piles[vehicle.pile as usize];
            let goal = vehicle.goal(pile);
            let most = vehicle.may_charge(end - now, efficiency);
            let room = vehicle.max_charge(pile).min(most) - goal;
            (pile.obeys && goal >= 0 && room > 0).then_some((room, goal, pile.least, vehicle))
        });
        let mut takers: Vec<(i64, i64, i64, &mut Vehicle)> = takers.collect();
        takers.sort_by_key(|(room, _, _, vehicle)| (*room, vehicle.pile));
        let mut sharers = i64::try_from(takers.len()).unwrap_or(i64::MAX);
        for (room, goal, least, vehicle) in takers {
            let part = room.min(left / sharers);
            sharers -= 1;
            if goal + part >= least {
                vehicle.told = goal + part;
                left -= part;
            }
        }
    }

    /// Lets who has just come and cannot wait for the next look charge, as far as the default ceiling allows.
    fn serve_urgent(&mut self, now: i64, end: i64) {
        let ceiling = self.ceiling(now);
        let default = self.model.station.default_setpoint.as_watts();
        let mut left = (ceiling - self.draw()).max(0);
        let mut beyond = (default - ceiling).max(0);
        for vehicle in self
            .vehicles
            .iter_mut()
            .filter(|vehicle| vehicle.came == now)
        {
            let pile = &self.piles[vehicle.pile as usize];
            let most = vehicle.max_charge(pile);
            let left_ms = vehicle.departure - end - WAITED_MS;
            if (vehicle.battery).surely_takes(vehicle.lacks(0), most, left_ms, self.efficiency) {
                continue;
            }
            let most = most.min(vehicle.may_charge(end - now, self.efficiency));
            let told = most.min(left + beyond);
            if told < pile.least {
                continue;
            }
            vehicle.told = told;
            let more = (told - left).max(0);
            left = (left - told).max(0);
            beyond -= more;
            self.raised += more;
        }
    }

    /// What all vehicles draw together.
    fn draw(&self) -> i64 {
        let draw = |vehicle: &Vehicle| vehicle.goal(&self.piles[vehicle.pile as usize]);
        self.vehicles.iter().map(draw).sum()
    }

    /// Takes what the station draws above its ceiling off those that obey, in equal shares of their draw; what it gives beyond
    /// its setpoint as well. Whether there was any.
    fn trim(&mut self, now: i64, draw: i64) -> bool {
        let ceiling = self.ceiling(now);
        let (over, sign) = match (draw - ceiling.max(0), ceiling.min(0) - draw) {
            (over, _) if over > 0 => (over, 1),
            (_, under) if under > 0 => (under, -1),
            _ => return false,
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
        true
    }
}
