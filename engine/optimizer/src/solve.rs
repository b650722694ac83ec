//! The solver to use: a schedule at any moment, the best one given time.

use crate::apart::find_apart;
use crate::aside::drop_aside;
use crate::fast::{Begin, End, Found, is_large};
use crate::finish::{Way, choose_directions, hold_directions, lost_much, repaired};
use crate::frame::Frame;
use crate::problem::Problem;
use crate::rules::solve_frame;
use crate::solution::{ResourceSchedule, Solution, Status};
use crate::stop::Stop;
use crate::validate::{ProblemError, schedules, validate};

/// Solves a problem by the interior-point method that knows its structure.
///
/// `warm_start` is a schedule for the same resources and intervals, such as the last plan: it need keep no limit. `stop`
/// is asked all the time, from several threads for large problems; once it says true the best solution so far comes
/// back. There always is one: the rules' schedule is made first, whatever `stop` says.
///
/// A plan that charges and discharges at once (a subsidy or a negative price can make that pay, and burning energy can
/// make room under a limit) cannot be carried out. It is netted; where that costs anything, the program is solved once
/// more with each such resource held, in each interval, to the direction that is cheapest for it at the prices found (where
/// ramps, a warranty or regulation tie its intervals together: twice more, with all of them held one way), and the best counts.
///
/// [`Solution::status`] tells how it ended. After [`Status::Stalled`], a try of [`crate::reference::solve`] may be worth
/// its time.
///
/// # Errors
///
/// [`ProblemError`] if the problem has no meaning, or the warm start does not fit it.
pub fn solve(
    problem: &Problem,
    warm_start: Option<&[ResourceSchedule]>,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Solution, ProblemError> {
    validate(problem)?;
    if let Some(warm_start) = warm_start {
        schedules(problem, warm_start)?;
    }
    let stop = Stop::new(stop);
    let large = is_large(problem);
    let frame = Frame::new(problem);
    let best = improve(&frame, warm_start, &stop);
    let Frame { limits, forest, .. } = frame;
    drop_aside((limits, forest), large);
    Ok(best)
}

fn improve(
    frame: &Frame<'_>,
    warm_start: Option<&[ResourceSchedule]>,
    stop: &Stop<'_>,
) -> Solution {
    let mut best = solve_frame(frame);
    if let Some(warm_start) = warm_start {
        offer(&mut best, frame, warm_start, stop);
    }
    let begin = if best.status == Status::Rules {
        Begin::Far
    } else {
        Begin::Near
    };
    let Some(first) = search(frame, frame, begin, &mut best, stop) else {
        return best;
    };
    if first.end == End::Optimal && lost_much(best.objective, first.bound) {
        match choose_directions(frame, &first.schedule, &first.prices, stop) {
            Some(chosen) => {
                search(&chosen, frame, Begin::Near, &mut best, stop);
            }
            None => {
                for way in Way::ALL {
                    if stop.now() {
                        break;
                    }
                    if let Some(one_way) = hold_directions(frame, &first.schedule, way) {
                        search(&one_way, frame, Begin::Near, &mut best, stop);
                    }
                }
            }
        }
    }
    best.gap = (best.objective - first.bound).max(0.0);
    match first.end {
        End::Optimal => {
            best.status = Status::Optimal;
            best.repair_cost = best.objective - first.bound;
        }
        End::Stuck => best.status = Status::Stalled,
        End::Stopped => {}
    }
    best.prices = Some(first.prices);
    drop_aside(first.schedule, is_large(frame.problem));
    best
}

/// Searches in `frame`; of all that is seen keeps what is best for `asked`.
fn search(
    frame: &Frame<'_>,
    asked: &Frame<'_>,
    begin: Begin,
    best: &mut Solution,
    stop: &Stop<'_>,
) -> Option<Found> {
    let large = is_large(frame.problem);
    let schedule = best.schedule.clone();
    let mut look = |seen: Vec<ResourceSchedule>| {
        offer(best, asked, &seen, stop);
        drop_aside(seen, large);
    };
    let mut found = find_apart(frame, &schedule, begin, stop, &mut look);
    if begin == Begin::Near && found.as_ref().is_some_and(|found| found.end == End::Stuck) {
        // It was not as near as it seemed.
        found = find_apart(frame, &schedule, Begin::Far, stop, &mut look);
    }
    drop_aside(schedule, large);
    let mut found = found?;
    // After a stop, what has been seen on the way must do: a repair takes time.
    if found.end != End::Stopped && !offer(best, asked, &found.schedule, stop) {
        found.end = End::Stopped;
    }
    Some(found)
}

/// Takes a schedule, repaired, if it is better than the best so far. False when the caller said stop before that was known.
fn offer(
    best: &mut Solution,
    frame: &Frame<'_>,
    schedule: &[ResourceSchedule],
    stop: &Stop<'_>,
) -> bool {
    let Some(other) = repaired(frame, schedule, stop) else {
        return false;
    };
    let worse = if other.objective < best.objective {
        let other = Solution {
            status: Status::Feasible,
            ..other
        };
        std::mem::replace(best, other)
    } else {
        other
    };
    drop_aside(worse, is_large(frame.problem));
    true
}
