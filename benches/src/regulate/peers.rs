//! What general solvers make of a signal: HiGHS where it is built in.

use std::time::{Duration, Instant};

use vpp_optimizer::Backend;
#[cfg(feature = "highs")]
use vpp_optimizer::HighsMethod;
use vpp_optimizer::regulate::{Fleet, Problem, Program};

#[cfg(feature = "highs")]
const PEERS: &[(&str, Backend)] = &[
    ("highs-simplex", Backend::Highs(HighsMethod::Simplex)),
    ("highs-ipm", Backend::Highs(HighsMethod::InteriorPoint)),
];
#[cfg(not(feature = "highs"))]
const PEERS: &[(&str, Backend)] = &[("clarabel", Backend::Clarabel)];

/// A general solver's answer.
pub(super) struct Found {
    pub(super) name: &'static str,
    pub(super) draw_kw: Vec<f64>,
    /// Its own time, without building the model.
    pub(super) seconds: f64,
}

/// What the fastest of them finds within a limit in seconds; none of them if that is 0.
pub(super) fn fastest(limit: u64, fleet: &Fleet, problem: &Problem) -> Option<Found> {
    let limit = (limit > 0).then(|| Duration::from_secs(limit))?;
    let run = |&(name, backend): &(&'static str, Backend)| -> anyhow::Result<Found> {
        let program = Program::new(fleet, problem, backend)?;
        let started = Instant::now();
        let found = program.run(Some(limit))?;
        let seconds = found.took.unwrap_or(started.elapsed()).as_secs_f64();
        Ok(Found {
            name,
            draw_kw: found.draw_kw,
            seconds,
        })
    };
    PEERS
        .iter()
        .filter_map(|peer| {
            run(peer)
                .inspect_err(|error| eprintln!("{}: {error:#}", peer.0))
                .ok()
        })
        .min_by(|one, other| one.seconds.total_cmp(&other.seconds))
}
