//! Resources in batches.

use rayon::prelude::*;

use super::super::chain::Batch;
use super::super::lane::{Lane, WIDTH};
use super::resource::Chain;
use super::seats::Seat;
use super::{all, index};
use crate::frame::Frame;
use crate::stop::Stop;

/// A resource's batch and lane.
type Place = (u32, u32);

/// Sorts resources into batches of one shape, neighbours together. `None` when the caller says stop.
pub(super) fn batches(
    frame: &Frame<'_>,
    chains: &[Chain],
    seats: &[Option<Seat>],
    parallel: bool,
    stop: &Stop<'_>,
) -> Option<(Vec<Batch>, Vec<Place>)> {
    let mut order: Vec<usize> = (0..chains.len()).collect();
    order.sort_by_key(|&i| (chains[i].shape, seats[i], i));
    let mut groups: Vec<&[usize]> = Vec::new();
    for same in order.chunk_by(|&a, &b| chains[a].shape == chains[b].shape) {
        groups.extend(same.chunks(WIDTH));
    }
    let build = |group: &&[usize]| {
        stop.go_on()?;
        let mut batch = Batch::new(chains[group[0]].shape, &frame.problem.intervals_h);
        for &i in *group {
            for (mask, rows) in batch.kinds.iter_mut().zip(&chains[i].rows) {
                *mask |= rows.iter().fold(0, |mask, row| mask | 1 << row.0);
            }
        }
        let rows: u32 = batch.kinds.iter().map(|mask| mask.count_ones()).sum();
        let rows = rows as usize;
        batch.limit = vec![Lane::ZERO; rows];
        batch.present = vec![Lane::ZERO; rows];
        batch.slack = vec![Lane::ONE; rows];
        batch.price = vec![Lane::ZERO; rows];
        batch.aim = vec![Lane::ZERO; rows];
        if batch.shape.controls() > 2 {
            batch.sustain = vec![[Lane::ZERO; 2]; batch.hours.len()];
        }
        for (lane, &i) in group.iter().enumerate() {
            chains[i].write(frame, i, &mut batch, lane);
        }
        Some(batch)
    };
    let mut places = vec![(0, 0); chains.len()];
    for (b, group) in groups.iter().enumerate() {
        for (lane, &i) in group.iter().enumerate() {
            places[i] = (index(b), index(lane));
        }
    }
    let batches: Vec<Option<Batch>> = if parallel {
        groups.par_iter().map(build).collect()
    } else {
        groups.iter().map(build).collect()
    };
    Some((all(batches, parallel)?, places))
}
