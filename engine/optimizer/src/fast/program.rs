//! The linear program, laid out for the solver: resources in batches, coupling rows in fronts.

mod batches;
mod resource;
mod seats;
mod tree;

use rayon::prelude::*;

use super::chain::Batch;
use super::fronts::Fronts;
use crate::aside::drop_aside;
use crate::frame::Frame;
use crate::solution::ResourceSchedule;
use crate::stop::Stop;
use batches::batches;
use resource::Chain;
use seats::{FrontBuilder, Seat};
use tree::Tree;

/// Whose limit or requirement a coupling row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Import(usize),
    Export(usize),
    /// A commitment, up regulation, or a ceiling.
    Requirement(usize),
    /// Down regulation.
    Down(usize),
    /// `base + Σ x ≤ peak`; the index among the peaks.
    Peak(usize),
}

/// `Σ factor · port − over ≤ room`, and what each kW over costs over the interval. A peak's row has no `over` of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) origin: Origin,
    pub(super) interval: usize,
    pub(super) room: f64,
    pub(super) penalty: f64,
    /// Factors on net draw, up and down.
    factors: [f64; 3],
}

pub(super) struct Program {
    pub(super) batches: Vec<Batch>,
    pub(super) fronts: Fronts,
    pub(super) rows: Vec<Row>,
    /// CNY for each kW of each peak.
    pub(super) peaks: Vec<f64>,
    /// For each resource its batch and lane.
    pub(super) places: Vec<(u32, u32)>,
    /// For each resource its front and map; `None` where no row sees it.
    pub(super) seats: Vec<Option<Seat>>,
}

impl Program {
    /// `None` when the caller says stop.
    pub(super) fn new(
        frame: &Frame<'_>,
        begin: &[ResourceSchedule],
        inwards: f64,
        parallel: bool,
        stop: &Stop<'_>,
    ) -> Option<Self> {
        let count = frame.problem.resources.len();
        let chain = |i: usize| Some((stop.go_on()?, Chain::new(frame, i, &begin[i], inwards)).1);
        let chains: Vec<Option<Chain>> = if parallel {
            (0..count).into_par_iter().map(chain).collect()
        } else {
            (0..count).map(chain).collect()
        };
        let chains: Vec<Chain> = all(chains, parallel)?;
        let program = Self::of_chains(frame, &chains, parallel, stop);
        drop_aside(chains, parallel);
        program
    }

    fn of_chains(
        frame: &Frame<'_>,
        chains: &[Chain],
        parallel: bool,
        stop: &Stop<'_>,
    ) -> Option<Self> {
        let Tree { rows, peaks } = Tree::new(frame, chains, stop)?;
        let mut builder = FrontBuilder::new(frame, &rows);
        let program = Self::of_rows(frame, chains, &rows, &mut builder, parallel, stop);
        drop_aside((rows, builder), parallel);
        Some(Self { peaks, ..program? })
    }

    fn of_rows(
        frame: &Frame<'_>,
        chains: &[Chain],
        rows: &[Vec<Row>],
        builder: &mut FrontBuilder,
        parallel: bool,
        stop: &Stop<'_>,
    ) -> Option<Self> {
        stop.go_on()?;
        let seats = builder.seat(frame, chains, stop)?;
        let (batches, places) = batches(frame, chains, &seats, parallel, stop)?;
        let Some((fronts, rows, seats)) = builder.finish(rows, seats, &places, parallel, stop)
        else {
            drop_aside(batches, parallel);
            return None;
        };
        Some(Self {
            batches,
            fronts,
            rows,
            peaks: Vec::new(),
            places,
            seats,
        })
    }
}

/// Everything, or `None` if something is missing because the caller said stop.
fn all<T: Send + 'static>(parts: Vec<Option<T>>, parallel: bool) -> Option<Vec<T>> {
    if parts.iter().any(Option::is_none) {
        drop_aside(parts, parallel);
        return None;
    }
    Some(parts.into_iter().flatten().collect())
}

impl Row {
    pub(super) fn peak(&self) -> Option<usize> {
        match self.origin {
            Origin::Peak(peak) => Some(peak),
            _ => None,
        }
    }
}

fn index(value: usize) -> u32 {
    u32::try_from(value).expect("fewer than 2³² of anything")
}
