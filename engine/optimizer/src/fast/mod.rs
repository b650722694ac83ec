//! The fast solver: an interior-point method that knows the structure.

// Small matrices by index read as their formulas do.
#![allow(clippy::needless_range_loop)]

mod chain;
mod fronts;
mod interior;
mod lane;
mod program;
mod rows;

use crate::aside::drop_aside;
use crate::frame::Frame;
use crate::problem::Problem;
use crate::solution::{NodePrices, Prices, RequirementPrices, ResourceSchedule};
use crate::stop::Stop;
pub(crate) use interior::End;
use interior::Interior;
use program::{Origin, Program};

/// How the method ended.
pub(crate) struct Found {
    /// Nothing is repaired. Empty after a stop, when there is no time to read it.
    pub(crate) schedule: Vec<ResourceSchedule>,
    /// Those that prove the bound.
    pub(crate) prices: Prices,
    /// CNY: no schedule is cheaper.
    pub(crate) bound: f64,
    pub(crate) end: End,
}

/// What is known of the schedule that a search begins from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// Nothing: it is far from the optimum.
    Far,
    /// It was best for a problem like this one.
    Near,
}

impl Begin {
    /// By which share the schedule is moved inwards, away from its limits, and the complementarity that each row begins
    /// with, CNY. Measured: with less, a search from far away gets stuck at once; with more, one from nearby is lost.
    fn settings(self) -> (f64, f64) {
        match self {
            Self::Far => (0.1, 1e3),
            Self::Near => (0.01, 100.0),
        }
    }
}

/// Below this many resources × intervals one core is faster than several.
const PARALLEL: usize = 4_000;

/// Whether several cores are of use.
pub(crate) fn is_large(problem: &Problem) -> bool {
    problem.resources.len() * problem.horizon() >= PARALLEL
}

/// Relative gap at which the optimum is found.
pub(crate) fn tolerance(problem: &Problem) -> f64 {
    interior::tolerance(is_large(problem))
}

/// Searches for the optimum from a schedule that keeps all limits. Shows `look` some of the points on the way, in case
/// the search does not come to its end. `None` when the caller says stop before it has begun.
pub(crate) fn find(
    frame: &Frame<'_>,
    schedule: &[ResourceSchedule],
    begin: Begin,
    stop: &Stop<'_>,
    look: impl FnMut(Vec<ResourceSchedule>) + Send,
) -> Option<Found> {
    let problem = frame.problem;
    if !is_large(problem) {
        return search(frame, schedule, begin, stop, look, false);
    }
    // On a thread of the pool from the start: handing it each step would cost more than many a step does.
    rayon::scope(|_| search(frame, schedule, begin, stop, look, true))
}

fn search(
    frame: &Frame<'_>,
    schedule: &[ResourceSchedule],
    begin: Begin,
    stop: &Stop<'_>,
    mut look: impl FnMut(Vec<ResourceSchedule>),
    parallel: bool,
) -> Option<Found> {
    let (inwards, target) = begin.settings();
    let program = Program::new(frame, schedule, inwards, parallel, stop)?;
    let mut interior = Interior::new(program, parallel, stop);
    let end = interior.run(target, |interior| {
        if let Some(seen) = read(frame, &interior.program, stop) {
            look(seen);
        }
    });
    let schedule = if end == End::Stopped {
        None
    } else {
        read(frame, &interior.program, stop)
    };
    let end = if schedule.is_some() {
        end
    } else {
        End::Stopped
    };
    if end == End::Stopped && interior.iterations == 0 {
        drop_aside(interior.program, parallel);
        return None;
    }
    let found = Found {
        schedule: schedule.unwrap_or_default(),
        prices: prices(frame, &interior),
        bound: interior.bound,
        end,
    };
    drop_aside(interior.program, parallel);
    Some(found)
}

/// `None` when the caller says stop.
fn read(frame: &Frame<'_>, program: &Program, stop: &Stop<'_>) -> Option<Vec<ResourceSchedule>> {
    let horizon = frame.problem.horizon();
    let one = |&(batch, lane): &(u32, u32)| {
        let batch = &program.batches[batch as usize];
        let controls = batch.shape.controls();
        let series = |j: usize| -> Vec<f64> {
            if j >= controls {
                return vec![0.0; horizon];
            }
            (0..horizon)
                .map(|t| batch.controls[t * controls + j].0[lane as usize])
                .collect()
        };
        ResourceSchedule {
            charge_kw: series(0),
            discharge_kw: series(1),
            up_kw: series(2),
            down_kw: series(3),
            unmet_kwh: vec![0.0; horizon],
        }
    };
    let mut schedule = Vec::with_capacity(program.places.len());
    for place in &program.places {
        if stop.now() {
            drop_aside(schedule, is_large(frame.problem));
            return None;
        }
        schedule.push(one(place));
    }
    Some(schedule)
}

fn prices(frame: &Frame<'_>, interior: &Interior<'_>) -> Prices {
    let problem = frame.problem;
    let zero = vec![0.0; problem.horizon()];
    let mut prices = Prices {
        nodes: vec![
            NodePrices {
                import: zero.clone(),
                export: zero.clone(),
            };
            problem.nodes.len()
        ],
        requirements: problem
            .requirements
            .iter()
            .map(|requirement| RequirementPrices {
                price: zero.clone(),
                down: match requirement {
                    crate::Requirement::Regulation { .. } => zero.clone(),
                    _ => Vec::new(),
                },
            })
            .collect(),
    };
    for (r, row) in interior.program.rows.iter().enumerate() {
        let t = row.interval;
        let price = interior.row_price(r) / problem.intervals_h[t];
        match row.origin {
            Origin::Import(node) => prices.nodes[node].import[t] = price,
            Origin::Export(node) => prices.nodes[node].export[t] = price,
            Origin::Requirement(index) => prices.requirements[index].price[t] = price,
            Origin::Down(index) => prices.requirements[index].down[t] = price,
            Origin::Peak(_) => {}
        }
    }
    prices
}
