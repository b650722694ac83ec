//! Where the enrolled stations shall be so that all together are where the grid's signal wants them.
//!
//! What counts is what the meters show when the next value comes, not what was ordered. So the loop is closed: it
//! starts from the measured draw of each station, knows how each answers ([`super::response`]), and shares out, with
//! [`Regulator`], the draw that each shall have reached by then; the setpoint that brings it there goes further where
//! the station lags. What is still missing from the total is added up and made good slowly.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vpp_core::{Power, Timestamp};
use vpp_optimizer::regulate::{Answer, Fleet, Penalties, Problem, Regulator};

use super::Regulation;
use super::response::milliseconds;
use crate::engine::Engine;
use crate::state::StationState;

/// What moving a station off its schedule costs, CNY/kWh: the same for all, so that they share in proportion to their
/// room.
const MOVING: f64 = 0.01;
/// Share of the error of the last value that is added to what is made good.
const INTEGRAL: f64 = 0.2;
/// The most that is made good, as a share of the capacity promised.
const INTEGRAL_LIMIT: f64 = 0.25;
/// A target missed by less counts as within reach.
const WITHIN_REACH_KW: f64 = 0.5;
/// Samples older than this say where a station was, not where it is.
const LONGEST_FORECAST: TimeDelta = TimeDelta::seconds(10);

/// Where a station is sent for the signal in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Steered {
    /// The setpoint.
    pub(crate) setpoint: Power,
    /// What it will have moved off its schedule when the next value comes; positive: draws more.
    pub(crate) offset: Power,
}

/// The solver and its buffers, for the stations that it was made for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steering {
    regulator: Regulator,
    stations: Vec<usize>,
    /// The stations of the value that is being shared out.
    members: Vec<usize>,
    nodes: usize,
    problem: Problem,
    /// For each station: where it will be when a setpoint sent now begins to show, kW, and how long that then has, s.
    soon: Vec<(f64, f64)>,
    answer: Answer,
    /// Stations, and where each is sent.
    setpoints: Vec<(usize, Power)>,
    /// What is followed: the signal, at the instant that what leaves now is for; positive: draw less.
    followed: Power,
    /// What is made good of the errors so far; positive: draw more, kW.
    made_good_kw: f64,
    /// For a value that came at the first instant, what all shall draw at the second, kW: once its setpoints have had
    /// their time. Oldest first.
    aims: VecDeque<(Timestamp, Timestamp, f64)>,
}

/// What the enrolled stations come to, all together.
#[derive(Clone, Copy, Debug, Default)]
struct Enrolled {
    /// How far beyond the next value their setpoints show, periods.
    late: f64,
    /// What they would draw at the next value without the signal, kW.
    course_kw: f64,
    /// What they draw, kW.
    measured_kw: f64,
}

impl Steering {
    /// What is made good of the errors so far; positive: draw more.
    pub(crate) fn made_good(&self) -> Power {
        Power::round_kilowatts(self.made_good_kw)
    }

    /// Stations, and where each is sent for the signal in force.
    pub(crate) fn setpoints(&self) -> &[(usize, Power)] {
        &self.setpoints
    }

    /// What is followed by what left last; positive: draw less.
    pub(crate) fn followed(&self) -> Power {
        self.followed
    }

    pub(crate) fn forget(&mut self) {
        self.made_good_kw = 0.0;
        self.aims.clear();
    }

    /// Solves the problem. A solver that fails, even by a panic, costs no more than optimality: then all go the same
    /// share of their room.
    fn share_out(&mut self) {
        let attempt = AssertUnwindSafe(|| {
            self.regulator
                .solve(&self.problem, &mut self.answer, &|| false)
        });
        match std::panic::catch_unwind(attempt) {
            Ok(Ok(_)) => return,
            Ok(Err(_)) => {}
            Err(_) => {
                // It may be in any state: made anew for the next value.
                self.regulator = Regulator::new();
                self.nodes = usize::MAX;
            }
        }
        self.answer = Answer::default();
        share_evenly(&self.problem, &mut self.answer);
    }
}

/// Draws that meet the target as far as bounds allow, all the same share of the way; limits are left to the guard.
fn share_evenly(problem: &Problem, answer: &mut Answer) {
    let missing = problem.target_kw - problem.plan_kw.iter().sum::<f64>();
    let ends = if missing > 0.0 {
        &problem.high_kw
    } else {
        &problem.low_kw
    };
    let ways = || {
        ends.iter()
            .zip(&problem.plan_kw)
            .map(|(end, plan)| end - plan)
    };
    let room: f64 = ways().sum();
    let share = if room.abs() > 0.0 {
        (missing / room).clamp(0.0, 1.0)
    } else {
        0.0
    };
    let draws = problem.plan_kw.iter().zip(ways());
    answer.draw_kw.clear();
    answer
        .draw_kw
        .extend(draws.map(|(plan, way)| plan + share * way));
    answer.tracking_error_kw = share * room - missing;
}

impl Engine {
    /// Shares the signal in force out over the enrolled stations. `due`: a new value came, so the last one has had its
    /// time.
    pub(crate) fn steer(&mut self, now: Timestamp, due: bool) {
        let Some(regulation) = &self.regulation else {
            for state in &mut self.states {
                state.steered = None;
            }
            return;
        };
        let award = regulation
            .award
            .up
            .max(regulation.award.down)
            .as_kilowatts();
        let (period, signal_at) = (regulation.period, regulation.signal_at);
        let seconds = period.as_seconds_f64();
        let mut steering = std::mem::take(&mut self.steering);
        let enrolled = self.pose(&mut steering, now, seconds);
        self.fit(&mut steering);
        #[allow(clippy::cast_precision_loss)]
        let mean_late = enrolled.late / steering.stations.len().max(1) as f64;
        if due {
            // The aim for now, or the one nearest to it.
            let nearest = now + period / 2;
            let ripe = steering
                .aims
                .partition_point(|(_, when, _)| *when <= nearest);
            // What was out of reach is not among the aims: it is no error to make good.
            if let Some((.., aimed)) = steering.aims.drain(..ripe).next_back() {
                let limit = INTEGRAL_LIMIT * award;
                // What is added now shows only after the dead time: until then the error is seen, and added, again.
                let gain = INTEGRAL / (1.0 + 2.0 * mean_late);
                let made_good = steering.made_good_kw + gain * (aimed - enrolled.measured_kw);
                steering.made_good_kw = made_good.clamp(-limit, limit);
            }
        } else {
            // The schedule may have changed since the value came: it is aimed anew.
            steering.aims.retain(|(since, ..)| *since != signal_at);
        }
        let delay = self.config.regulation_delay;
        let followed = |regulation: &Regulation| regulation.followed(now, mean_late, delay);
        steering.followed = self.regulation.as_ref().map_or(Power::ZERO, followed);
        let target = enrolled.course_kw - steering.followed.as_kilowatts();
        steering.problem.target_kw = target + steering.made_good_kw;
        steering.share_out();
        if steering.answer.tracking_error_kw.abs() < WITHIN_REACH_KW {
            let time = TimeDelta::milliseconds(milliseconds(seconds * (1.0 + mean_late)));
            steering
                .aims
                .push_back((signal_at, signal_at + time, target));
        }
        steering.setpoints.clear();
        for (r, &station) in steering.stations.iter().enumerate() {
            let state = &mut self.states[station];
            let (draw, plan) = (steering.answer.draw_kw[r], steering.problem.plan_kw[r]);
            state.steered = state.sent_to(steering.soon[r], draw, plan);
            let setpoint = state.steered.map(|steered| (station, steered.setpoint));
            steering.setpoints.extend(setpoint);
        }
        self.steering = steering;
    }

    /// Finds the enrolled stations and states their problem, but for the target: the only pass over all stations before
    /// the solver, for at a hundred thousand it is memory that takes the time.
    fn pose(&mut self, steering: &mut Steering, now: Timestamp, seconds: f64) -> Enrolled {
        let Steering {
            problem,
            members,
            soon,
            ..
        } = steering;
        members.clear();
        soon.clear();
        problem.low_kw.clear();
        problem.high_kw.clear();
        problem.plan_kw.clear();
        let nodes = self.fleet.tree().nodes();
        let until = now + self.config.command_lifetime;
        problem.base_kw.clear();
        let base = nodes
            .iter()
            .map(|node| node.base_load.over(now, until).1.as_kilowatts());
        problem.base_kw.extend(base);
        let mut enrolled = Enrolled::default();
        for (station, state) in self.states.iter_mut().enumerate() {
            state.steered = None;
            let draw = state.active_power.as_kilowatts();
            let regulates = self.fleet.station_limits()[station].regulates;
            let schedule = match state.schedule {
                Some(schedule) if regulates && state.is_callable(now, &self.config) => schedule,
                _ => {
                    problem.base_kw[self.fleet.node_of(station)] += draw;
                    continue;
                }
            };
            members.push(station);
            state.keep_course(now);
            let to_go = state.seconds_to_go(seconds);
            let shows = state.response.dead_time_s() + to_go;
            enrolled.late += (shows - seconds).max(0.0) / seconds;
            enrolled.course_kw += state.course_after(seconds);
            enrolled.measured_kw += draw;
            let at = state.soon_at(now);
            soon.push((at, to_go));
            let reach = state.response.reach(at, to_go);
            let low = reach.at(state.room_kw.0);
            let high = reach.at(state.room_kw.1).max(low);
            problem.low_kw.push(low);
            problem.high_kw.push(high);
            let plan = reach.at(schedule.as_kilowatts());
            problem.plan_kw.push(plan.clamp(low, high));
        }
        for price in [&mut problem.rise_price, &mut problem.fall_price] {
            price.clear();
            price.resize(members.len(), MOVING);
        }
        problem.upper_kw.clear();
        problem.lower_kw.clear();
        for node in nodes {
            let most = node.import_limit_over(now, until);
            problem.upper_kw.push(most.as_kilowatts());
            problem.lower_kw.push(-node.export_limit.as_kilowatts());
        }
        problem.ceiling_kw.clear();
        problem.penalties = Penalties::default();
        enrolled
    }

    /// Takes other stations on, where they changed.
    fn fit(&self, steering: &mut Steering) {
        let tree = self.fleet.tree();
        let others = steering.stations != steering.members;
        if others {
            steering.forget();
        }
        if !others && steering.nodes == tree.nodes().len() {
            return;
        }
        let stations = &steering.members;
        let fleet = Fleet {
            resource_node: stations
                .iter()
                .map(|&station| Some(self.fleet.node_of(station)))
                .collect(),
            resource_group: vec![None; stations.len()],
            node_parent: (0..tree.nodes().len()).map(|n| tree.parent(n)).collect(),
            group_count: 0,
        };
        let fits = steering.regulator.set_fleet(&fleet);
        fits.expect("a registered tree is a tree");
        steering.nodes = tree.nodes().len();
        steering.stations.clone_from(&steering.members);
    }
}

impl StationState {
    /// Moves on to where the station would be now without the signal. It begins where it is.
    pub(crate) fn keep_course(&mut self, now: Timestamp) {
        let (since, from) = self
            .course
            .unwrap_or((now, self.active_power.as_kilowatts()));
        self.course = Some((now, from));
        let at = self.course_after((now - since).as_seconds_f64());
        self.course = Some((now, at));
    }

    /// Where it would be after so many seconds without the signal, kW.
    fn course_after(&self, seconds: f64) -> f64 {
        match (self.course, self.schedule) {
            (Some((_, from)), Some(schedule)) => {
                let goal = self.response.settled(schedule);
                self.response.after(from, goal.as_kilowatts(), seconds)
            }
            _ => self.active_power.as_kilowatts(),
        }
    }

    /// Where the station will be when a setpoint sent now begins to show, by its last sample and what it was told, kW.
    fn soon_at(&self, now: Timestamp) -> f64 {
        let sampled = self.active_power.as_kilowatts();
        let oldest = now - LONGEST_FORECAST;
        match self.sampled_at {
            Some(at) => self.response.ahead((at.max(oldest), sampled), now),
            None => sampled,
        }
    }

    /// How long a setpoint sent now shows before the next value comes; where that is hardly at all, its own time counts.
    fn seconds_to_go(&self, period: f64) -> f64 {
        (period - self.response.dead_time_s()).max(0.5 * period)
    }

    fn sent_to(&self, (at, seconds): (f64, f64), draw: f64, plan: f64) -> Option<Steered> {
        const NEAR_KW: f64 = 0.05;
        let schedule = self.schedule?;
        let setpoint = if (draw - plan).abs() < NEAR_KW {
            schedule
        } else {
            let wanted = self.response.setpoint(at, draw, seconds);
            Power::round_kilowatts(wanted.clamp(self.room_kw.0, self.room_kw.1))
        };
        Some(Steered {
            setpoint,
            offset: Power::round_kilowatts(draw - plan),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(target_kw: f64) -> Problem {
        Problem {
            low_kw: vec![0.0, -10.0],
            high_kw: vec![40.0, 10.0],
            plan_kw: vec![20.0, 0.0],
            target_kw,
            ..Problem::default()
        }
    }

    #[test]
    fn an_even_share_meets_the_target_within_bounds() {
        for (target, draws, missed) in [
            (35.0, [30.0, 5.0], 0.0),
            (5.0, [10.0, -5.0], 0.0),
            (90.0, [40.0, 10.0], -40.0),
            (20.0, [20.0, 0.0], 0.0),
        ] {
            let mut answer = Answer::default();
            share_evenly(&problem(target), &mut answer);
            let near = |(found, expected): (&f64, &f64)| (found - expected).abs() < 1e-9;
            assert!(answer.draw_kw.iter().zip(&draws).all(near), "{answer:?}");
            assert!((answer.tracking_error_kw - missed).abs() < 1e-9);
        }
    }

    #[test]
    fn without_an_answer_of_the_solver_all_move_all_the_same() {
        // No fleet was set: the solver refuses.
        let mut steering = Steering {
            problem: problem(35.0),
            ..Steering::default()
        };
        steering.share_out();
        assert!((steering.answer.draw_kw.iter().sum::<f64>() - 35.0).abs() < 1e-9);
    }
}
