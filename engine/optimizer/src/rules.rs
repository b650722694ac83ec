//! A schedule by plain rules, without a linear program: what goes out when the solver is late.
//!
//! Each resource charges what it needs as early as it can. An active commitment, a promised ceiling and a node's limit
//! push that back, shared in proportion to what each resource can give up without endangering its departures. Then the
//! schedule is repaired like any other, and regulation is held with the headroom that is left.

use crate::finish::scored;
use crate::frame::Frame;
use crate::limits::{net_for_stored_kw, stored_kwh};
use crate::problem::{Direction, Problem, Requirement};
use crate::repair::{Draft, FlowBounds, hold, regulation_room, settle};
use crate::solution::Solution;
use crate::stop::Stop;
use crate::validate::{ProblemError, validate};

/// Schedules a problem by rules. Takes time in proportion to resources × depth of the forest × intervals.
///
/// # Errors
///
/// [`ProblemError`] if the problem has no meaning. There is always a schedule otherwise.
pub fn rules(problem: &Problem) -> Result<Solution, ProblemError> {
    validate(problem)?;
    Ok(solve_frame(&Frame::new(problem)))
}

/// There is always a schedule by rules, so nobody can stop this.
pub(crate) fn solve_frame(frame: &Frame<'_>) -> Solution {
    whole(frame, &Stop::never()).expect("nobody says stop")
}

fn whole(frame: &Frame<'_>, stop: &Stop<'_>) -> Option<Solution> {
    let mut net_kw = plan_power(frame);
    settle(frame, &FlowBounds::new(frame), &mut net_kw, stop)?;
    let (up_kw, down_kw) = plan_regulation(frame, &net_kw);
    let draft = Draft {
        net_kw,
        up_kw,
        down_kw,
    };
    scored(frame, hold(frame, draft, stop)?, stop)
}

/// What a resource has before it as the intervals are walked through.
struct Walk {
    /// Energy at the end of each interval without which a later need cannot be met.
    must_kwh: Vec<f64>,
    /// Energy at the end of each interval with which later limits can still be kept.
    cap_kwh: Vec<f64>,
    /// All that is needed over the horizon.
    goal_kwh: f64,
    energy_kwh: f64,
    before_kw: f64,
    /// Net draw of the current interval, and how low and how high it may be pushed.
    net_kw: f64,
    floor_kw: f64,
    top_kw: f64,
}

impl Walk {
    fn new(frame: &Frame<'_>, i: usize) -> Self {
        let (resource, limits) = (&frame.problem.resources[i], &frame.limits[i]);
        let dt = &frame.problem.intervals_h;
        let mut must_kwh = resource.energy_min_kwh.clone();
        let mut cap_kwh = limits.energy_max_kwh.clone();
        for t in (1..dt.len()).rev() {
            let rises = stored_kwh(resource, limits.reach_high_kw[t], dt[t]);
            let falls = stored_kwh(resource, limits.reach_low_kw[t], dt[t]);
            must_kwh[t - 1] = must_kwh[t - 1].max(must_kwh[t] - rises);
            cap_kwh[t - 1] = cap_kwh[t - 1].min(cap_kwh[t] - falls);
        }
        Self {
            goal_kwh: must_kwh.iter().copied().fold(0.0, f64::max),
            must_kwh,
            cap_kwh,
            energy_kwh: 0.0,
            before_kw: resource.initial_power_kw,
            net_kw: 0.0,
            floor_kw: 0.0,
            top_kw: 0.0,
        }
    }

    fn enter(&mut self, frame: &Frame<'_>, i: usize, t: usize) {
        let (resource, limits) = (&frame.problem.resources[i], &frame.limits[i]);
        let for_energy = |target: f64| {
            net_for_stored_kw(
                resource,
                target - self.energy_kwh,
                frame.problem.intervals_h[t],
            )
        };
        let low = limits.reach_low_kw[t].max(self.before_kw - limits.step_kw[t]);
        let high = limits.reach_high_kw[t].min(self.before_kw + limits.step_kw[t]);
        let high = high.min(for_energy(self.cap_kwh[t])).max(low);
        self.floor_kw = for_energy(self.must_kwh[t]).max(low).min(high);
        self.top_kw = high;
        let wish = for_energy(self.goal_kwh).max(0.0).max(low).min(high);
        self.net_kw = wish.max(self.floor_kw);
    }

    fn leave(&mut self, frame: &Frame<'_>, i: usize, t: usize) {
        let dt = frame.problem.intervals_h[t];
        self.energy_kwh += stored_kwh(&frame.problem.resources[i], self.net_kw, dt);
        self.before_kw = self.net_kw;
    }
}

fn plan_power(frame: &Frame<'_>) -> Vec<Vec<f64>> {
    let problem = frame.problem;
    let mut walks: Vec<Walk> = (0..problem.resources.len())
        .map(|i| Walk::new(frame, i))
        .collect();
    let mut net_kw = vec![Vec::with_capacity(problem.horizon()); walks.len()];
    for t in 0..problem.horizon() {
        for (i, walk) in walks.iter_mut().enumerate() {
            walk.enter(frame, i, t);
        }
        for requirement in &problem.requirements {
            match requirement {
                Requirement::DemandResponse {
                    direction,
                    members,
                    baseline_kw,
                    commitment_kw,
                    ..
                } if commitment_kw[t] > 0.0 => match direction {
                    Direction::Shaving => {
                        push_below(&mut walks, members, baseline_kw[t] - commitment_kw[t]);
                    }
                    Direction::Filling => {
                        lift_to(&mut walks, members, baseline_kw[t] + commitment_kw[t]);
                    }
                },
                Requirement::PeakShaving {
                    node, ceiling_kw, ..
                } => {
                    let room = ceiling_kw[t] - frame.forest.base_kw[*node][t];
                    push_below(&mut walks, &frame.forest.resources[*node], room);
                }
                Requirement::DemandResponse { .. } | Requirement::Regulation { .. } => {}
            }
        }
        for &node in &frame.forest.upwards {
            let room = problem.nodes[node].import_limit_kw[t] - frame.forest.base_kw[node][t];
            push_below(&mut walks, &frame.forest.resources[node], room);
        }
        for (i, walk) in walks.iter_mut().enumerate() {
            net_kw[i].push(walk.net_kw);
            walk.leave(frame, i, t);
        }
    }
    net_kw
}

/// Lowers the draw of some resources to a total, as far as none goes below its floor.
fn push_below(walks: &mut [Walk], resources: &[usize], total_kw: f64) {
    let drawn: f64 = resources.iter().map(|&i| walks[i].net_kw).sum();
    if drawn <= total_kw {
        return;
    }
    let given: f64 = resources
        .iter()
        .map(|&i| walks[i].net_kw - walks[i].floor_kw)
        .sum();
    if given > 0.0 {
        let share = ((drawn - total_kw) / given).min(1.0);
        for &i in resources {
            let walk = &mut walks[i];
            walk.net_kw -= share * (walk.net_kw - walk.floor_kw);
        }
    }
}

/// Lifts the sum of some resources to a total, as far as they can, in proportion to their room.
fn lift_to(walks: &mut [Walk], resources: &[usize], total_kw: f64) {
    let room = |walk: &Walk| (walk.top_kw - walk.net_kw).max(0.0);
    let drawn: f64 = resources.iter().map(|&i| walks[i].net_kw).sum();
    let all: f64 = resources.iter().map(|&i| room(&walks[i])).sum();
    if drawn < total_kw && all > 0.0 {
        let share = ((total_kw - drawn) / all).min(1.0);
        for &i in resources {
            let walk = &mut walks[i];
            walk.net_kw += share * room(walk);
        }
    }
}

/// Regulation up and down, shared in proportion to each resource's room.
fn plan_regulation(frame: &Frame<'_>, net_kw: &[Vec<f64>]) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let horizon = frame.problem.horizon();
    let room: Vec<Vec<(f64, f64)>> = net_kw
        .iter()
        .enumerate()
        .map(|(i, net)| regulation_room(frame, i, net))
        .collect();
    let mut up = vec![vec![0.0; horizon]; net_kw.len()];
    let mut down = up.clone();
    for requirement in &frame.problem.requirements {
        let Requirement::Regulation {
            members,
            up_kw,
            down_kw,
            ..
        } = requirement
        else {
            continue;
        };
        for t in 0..horizon {
            let all_up: f64 = members.iter().map(|&i| room[i][t].0).sum();
            let all_down: f64 = members.iter().map(|&i| room[i][t].1).sum();
            let share = |asked: f64, all: f64| if all > asked { asked / all } else { 1.0 };
            for &i in members {
                up[i][t] = room[i][t].0 * share(up_kw[t], all_up);
                down[i][t] = room[i][t].1 * share(down_kw[t], all_down);
            }
        }
    }
    (up, down)
}
