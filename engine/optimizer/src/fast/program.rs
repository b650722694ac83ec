//! The linear program, laid out for the solver: resources in batches, coupling rows in fronts.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::chain::{Batch, Shape, pinned};
use super::fronts::{Entry, Front, Fronts, Member, NO_PORT};
use super::lane::{Lane, WIDTH};
use super::rows::kind;
use crate::frame::Frame;
use crate::limits::{net_for_stored_kw, stored_kwh};
use crate::problem::Requirement;
use crate::reach::{EnergyReach, IMPLIED};
use crate::repair::SustainLoss;
use crate::solution::ResourceSchedule;

/// Ranges narrower than this are a constant: there is no interior to walk in.
const NARROW: f64 = 1e-9;
/// When a schedule to begin from is moved inwards: the regulation held there as a share of the range of power, and where
/// between empty and full that is. Measured: fewest iterations.
const HELD: f64 = 0.1;
const FULLNESS: f64 = 0.3;
/// Resources that one front gathers alone; more are split among helpers that stand below it.
const CROWD: usize = 256;
const HELPERS: usize = 32;

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
    pub(super) seats: Vec<Option<(u32, u32)>>,
}

impl Program {
    /// `None` when the caller says stop.
    pub(super) fn new(
        frame: &Frame<'_>,
        begin: &[ResourceSchedule],
        inwards: f64,
        parallel: bool,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Option<Self> {
        let count = frame.problem.resources.len();
        let chain = |i: usize| (!stop()).then(|| Chain::new(frame, i, &begin[i], inwards));
        let chains: Option<Vec<Chain>> = if parallel {
            (0..count).into_par_iter().map(chain).collect()
        } else {
            (0..count).map(chain).collect()
        };
        let chains = chains?;
        let mut tree = Tree::new(frame, &chains);
        let rows = tree.take_rows();
        let mut builder = FrontBuilder::new(frame, &rows);
        let seats = builder.seat(frame, &chains);
        let (batches, places) = batches(frame, &chains, &seats, parallel);
        let (fronts, rows, seats) = builder.finish(rows, seats, &places, parallel);
        Some(Self {
            batches,
            fronts,
            rows,
            peaks: tree.peaks,
            places,
            seats,
        })
    }
}

/// One resource's variables and rows.
struct Chain {
    shape: Shape,
    charge: Vec<(f64, f64)>,
    discharge: Vec<(f64, f64)>,
    /// For each interval its rows: kind and limit.
    rows: Vec<Vec<(u32, f64)>>,
    sustain: Vec<[f64; 2]>,
    unmet: bool,
    high_kw: Vec<f64>,
    /// Where to begin: net draw, up and down; how far inside of bounds.
    begin: Vec<[f64; 3]>,
    inwards: f64,
}

impl Chain {
    fn new(frame: &Frame<'_>, i: usize, begin: &ResourceSchedule, inwards: f64) -> Self {
        let (resource, limits) = (&frame.problem.resources[i], &frame.limits[i]);
        let dt = &frame.problem.intervals_h;
        let horizon = dt.len();
        let reach = EnergyReach::new(resource, limits, dt);
        let range = |low: f64, high: f64| (low.max(0.0), high.max(0.0));
        let ends = limits.reach_low_kw.iter().zip(&reach.high_kw);
        let charge: Vec<(f64, f64)> = ends.clone().map(|(&low, &high)| range(low, high)).collect();
        let discharge: Vec<(f64, f64)> = ends.map(|(&low, &high)| range(-high, -low)).collect();
        let mut chain = Self {
            shape: Shape::Charges,
            rows: vec![Vec::new(); horizon],
            sustain: Vec::new(),
            unmet: false,
            high_kw: reach.high_kw.clone(),
            begin: begin_inside(frame, i, &reach, begin, inwards),
            inwards,
            charge,
            discharge,
        };
        if chain.discharge.iter().any(|range| range.1 > 0.0) {
            chain.shape = Shape::Exports;
        }
        for t in 0..horizon {
            chain.bounds(t);
        }
        chain.regulation(frame, i, &reach);
        for (t, needed) in reach.rows.iter().enumerate() {
            let rows = &mut chain.rows[t];
            let has = |rows: &[(u32, f64)], of| rows.iter().any(|row| row.0 == of);
            if needed.lower && !has(rows, kind::SUSTAIN_UP) {
                rows.push((kind::NEED, -resource.energy_min_kwh[t]));
            }
            if needed.upper {
                rows.push((kind::CAP, limits.energy_max_kwh[t]));
            }
            chain.unmet |= has(rows, kind::NEED) || has(rows, kind::SUSTAIN_UP);
        }
        if chain.unmet {
            chain.rows[0].push((kind::UNMET, 0.0));
        }
        chain.ramps(frame, i);
        for rows in &mut chain.rows {
            rows.sort_by_key(|row| row.0);
        }
        chain
    }

    fn bounds(&mut self, t: usize) {
        let (least, most) = self.charge[t];
        if most - least > NARROW {
            self.rows[t].push((kind::CHARGE_LEAST, -least));
            self.rows[t].push((kind::CHARGE_MOST, most));
        }
        let (least, most) = self.discharge[t];
        if most - least > NARROW {
            self.rows[t].push((kind::DISCHARGE_LEAST, -least));
            self.rows[t].push((kind::DISCHARGE_MOST, most));
        }
    }

    /// See `reference::model` for the rows.
    fn regulation(&mut self, frame: &Frame<'_>, i: usize, reach: &EnergyReach) {
        let Some(holding) = frame.regulation[i] else {
            return;
        };
        let (resource, limits) = (&frame.problem.resources[i], &frame.limits[i]);
        for (t, &dt) in frame.problem.intervals_h.iter().enumerate() {
            let (up_asked, down_asked) = frame.regulation_asked_kw(i, t);
            let (low, high) = (limits.low_kw[t], limits.high_kw[t]);
            let loss = SustainLoss::new(resource, limits, holding.sustain_h, dt, t);
            self.sustain.push([loss.up, loss.down]);
            if high - low <= IMPLIED {
                continue;
            }
            let rows = &mut self.rows[t];
            if up_asked > 0.0 {
                rows.push((kind::UP, 0.0));
                rows.push((kind::HEADROOM_UP, -low));
                if resource.energy_min_kwh[t].is_finite() && loss.up > 0.0 {
                    rows.push((kind::SUSTAIN_UP, -resource.energy_min_kwh[t]));
                }
                self.shape = Shape::Regulates;
            }
            if down_asked > 0.0 {
                rows.push((kind::DOWN, 0.0));
                rows.push((kind::HEADROOM_DOWN, high));
                let most = reach.highest_kwh[t] + loss.down * (high - low);
                if most > limits.energy_max_kwh[t] + IMPLIED {
                    rows.push((kind::SUSTAIN_DOWN, limits.energy_max_kwh[t]));
                }
                self.shape = Shape::Regulates;
            }
        }
    }

    /// Ramps and throughput.
    fn ramps(&mut self, frame: &Frame<'_>, i: usize) {
        let limits = &frame.limits[i];
        let (low, high) = (&limits.reach_low_kw, &self.high_kw);
        for t in 1..self.rows.len() {
            let step = limits.step_kw[t];
            if high[t] - low[t - 1] > step + IMPLIED {
                self.rows[t].push((kind::RISE, step));
                self.shape = Shape::Ramped;
            }
            if high[t - 1] - low[t] > step + IMPLIED {
                self.rows[t].push((kind::FALL, step));
                self.shape = Shape::Ramped;
            }
        }
        let exports = self.discharge.iter().zip(&frame.problem.intervals_h);
        let most: f64 = exports.map(|(range, dt)| range.1 * dt).sum();
        if most > limits.throughput_kwh + IMPLIED {
            let last = self.rows.len() - 1;
            self.rows[last].push((kind::THROUGHPUT, limits.throughput_kwh));
            self.shape = Shape::Ramped;
        }
    }

    /// Writes the resource into a lane of a batch of its shape. Rows must have been laid out.
    fn write(&self, frame: &Frame<'_>, i: usize, batch: &mut Batch, lane: usize) {
        let resource = &frame.problem.resources[i];
        let limits = &frame.limits[i];
        let controls = self.shape.controls();
        batch.resources[lane] = Some(i);
        batch.charge_efficiency.0[lane] = resource.charge_efficiency;
        batch.discharge_loss.0[lane] = 1.0 / resource.discharge_efficiency;
        let kept = resource.terminal_value * resource.charge_efficiency;
        let spent = resource.terminal_value / resource.discharge_efficiency;
        let ranges = self.charge.iter().chain(&self.discharge);
        let size = ranges.fold(0.0_f64, |size, range| size.max(range.1 - range.0));
        batch.size.0[lane] = size.max(1.0);
        let mut row = 0;
        let mut energy: f64 = 0.0;
        let (mut lack, mut held) = (0.0_f64, 0.0_f64);
        for (t, &dt) in frame.problem.intervals_h.iter().enumerate() {
            batch.cost[t][0].0[lane] = (resource.energy_price[t] - kept) * dt;
            batch.cost[t][1].0[lane] = (resource.wear - resource.feed_in_price[t] + spent) * dt;
            if let Some(sustain) = self.sustain.get(t).filter(|_| controls > 2) {
                batch.sustain[t][0].0[lane] = sustain[0];
                batch.sustain[t][1].0[lane] = sustain[1];
            }
            let mut set = |j: usize, value: f64, free: bool| {
                batch.controls[t * controls + j].0[lane] = value;
                batch.pinned[t * controls + j].0[lane] = pinned(!free);
            };
            let ranges = [self.charge[t], self.discharge[t]];
            let [net, up, down] = self.begin[t];
            let starts = [net.max(0.0), (-net).max(0.0)];
            for (j, (least, most)) in ranges.into_iter().enumerate().take(controls) {
                let margin = 0.5 * self.inwards * (most - least);
                let value = starts[j].max(least + margin).min(most - margin);
                let free = most - least > NARROW;
                set(j, if free { value } else { least }, free);
            }
            if controls > 2 {
                let has = |of| self.rows[t].iter().any(|row| row.0 == of);
                for (j, of, held) in [(2, kind::UP, up), (3, kind::DOWN, down)] {
                    set(j, if has(of) { held } else { 0.0 }, has(of));
                }
            }
            let mut own = self.rows[t].iter().peekable();
            for of in super::rows::kinds(batch.kinds[t]) {
                if let Some((_, limit)) = own.next_if(|own| own.0 == of) {
                    batch.limit[row].0[lane] = *limit;
                    batch.present[row].0[lane] = 1.0;
                }
                row += 1;
            }
            if let Some([up, _]) = self.sustain.get(t) {
                held = held.max(up * (limits.high_kw[t] - limits.low_kw[t]));
            }
            energy += stored_kwh(resource, limits.reach_low_kw[t], dt);
            lack = lack.max(resource.energy_min_kwh[t] - energy);
        }
        if self.unmet {
            batch.unmet_cost.0[lane] = frame.problem.penalties.unmet_energy;
            // Regulation that is held can leave more unmet than the lowest schedule would.
            batch.unmet_most.0[lane] = lack + held;
            batch.unmet_pinned.0[lane] = 0.0;
        }
    }
}

/// A schedule, moved inwards: towards a path that is far from all limits of energy, and a little regulation everywhere.
fn begin_inside(
    frame: &Frame<'_>,
    i: usize,
    reach: &EnergyReach,
    begin: &ResourceSchedule,
    inwards: f64,
) -> Vec<[f64; 3]> {
    let limits = &frame.limits[i];
    let moved = |t: usize, net: f64| {
        let held = inwards * HELD * (limits.high_kw[t] - limits.low_kw[t]);
        [
            inwards * net + (1.0 - inwards) * begin.net_kw(t),
            held + (1.0 - inwards) * begin.up_kw[t],
            held + (1.0 - inwards) * begin.down_kw[t],
        ]
    };
    let path = middle(frame, i, reach).into_iter().enumerate();
    path.map(|(t, net)| moved(t, net)).collect()
}

/// Between the fullest and the emptiest that the battery can be.
fn middle(frame: &Frame<'_>, i: usize, reach: &EnergyReach) -> Vec<f64> {
    let (resource, limits) = (&frame.problem.resources[i], &frame.limits[i]);
    let dt = &frame.problem.intervals_h;
    let horizon = dt.len();
    let gains: Vec<(f64, f64)> = (0..horizon)
        .map(|t| {
            let gain = |net| stored_kwh(resource, net, dt[t]);
            (gain(limits.reach_low_kw[t]), gain(reach.high_kw[t]))
        })
        .collect();
    let mut full = limits.energy_max_kwh.clone();
    let mut needed = resource.energy_min_kwh.clone();
    for t in (1..horizon).rev() {
        full[t - 1] = full[t - 1].min(full[t] - gains[t].0);
        needed[t - 1] = needed[t - 1].max(needed[t] - gains[t].1);
    }
    let (mut high, mut low, mut before) = (0.0_f64, 0.0_f64, 0.0);
    (0..horizon)
        .map(|t| {
            let (falls, rises) = gains[t];
            high = (high + rises).min(full[t]).max(high + falls);
            low = (low + falls).max(needed[t].min(low + rises));
            let stored = FULLNESS * high + (1.0 - FULLNESS) * low;
            let net = net_for_stored_kw(resource, stored - before, dt[t]);
            before = stored;
            net
        })
        .collect()
}

/// Sorts resources into batches of one shape, neighbours together.
fn batches(
    frame: &Frame<'_>,
    chains: &[Chain],
    seats: &[Option<(u32, u32)>],
    parallel: bool,
) -> (Vec<Batch>, Vec<(u32, u32)>) {
    let mut order: Vec<usize> = (0..chains.len()).collect();
    order.sort_by_key(|&i| (chains[i].shape, seats[i], i));
    let mut groups: Vec<&[usize]> = Vec::new();
    for same in order.chunk_by(|&a, &b| chains[a].shape == chains[b].shape) {
        groups.extend(same.chunks(WIDTH));
    }
    let build = |group: &&[usize]| {
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
        batch
    };
    let mut places = vec![(0, 0); chains.len()];
    for (b, group) in groups.iter().enumerate() {
        for (lane, &i) in group.iter().enumerate() {
            places[i] = (index(b), index(lane));
        }
    }
    let batches = if parallel {
        groups.par_iter().map(build).collect()
    } else {
        groups.iter().map(build).collect()
    };
    (batches, places)
}

fn index(value: usize) -> u32 {
    u32::try_from(value).expect("fewer than 2³² of anything")
}

/// The coupling rows, before they are put into fronts.
struct Tree {
    /// Rows of each node; those of requirements across the tree come last.
    rows: Vec<Vec<Row>>,
    peaks: Vec<f64>,
}

impl Tree {
    fn new(frame: &Frame<'_>, chains: &[Chain]) -> Self {
        let problem = frame.problem;
        let (horizon, nodes) = (problem.horizon(), problem.nodes.len());
        // Highest and lowest flows below each node: at a moment, and of schedules.
        let mut sums = vec![[0.0; 3]; nodes * horizon];
        for (i, resource) in problem.resources.iter().enumerate() {
            let Some(node) = resource.node else { continue };
            for t in 0..horizon {
                let sum = &mut sums[node * horizon + t];
                sum[0] += frame.limits[i].high_kw[t];
                sum[1] += frame.limits[i].low_kw[t];
                sum[2] += chains[i].high_kw[t];
            }
        }
        for &node in &frame.forest.upwards {
            let Some(parent) = problem.nodes[node].parent else {
                continue;
            };
            for t in 0..horizon {
                let below = sums[node * horizon + t];
                let sum = &mut sums[parent * horizon + t];
                sum.iter_mut().zip(below).for_each(|(sum, kw)| *sum += kw);
            }
        }
        let mut tree = Self {
            rows: vec![Vec::new(); nodes + 1],
            peaks: Vec::new(),
        };
        for node in 0..nodes {
            tree.limits(frame, node, &sums[node * horizon..(node + 1) * horizon]);
        }
        for requirement in 0..problem.requirements.len() {
            tree.requirement(frame, chains, requirement, &sums);
        }
        tree
    }

    fn take_rows(&mut self) -> Vec<Vec<Row>> {
        std::mem::take(&mut self.rows)
    }

    fn limits(&mut self, frame: &Frame<'_>, node: usize, sums: &[[f64; 3]]) {
        let limits = &frame.problem.nodes[node];
        for (t, [high, low, _]) in sums.iter().enumerate() {
            let base = frame.forest.base_kw[node][t];
            let penalty = frame.problem.penalties.overload * frame.problem.intervals_h[t];
            let mut push = |origin, room, factors| {
                self.rows[node].push(Row {
                    origin,
                    interval: t,
                    room,
                    penalty,
                    factors,
                });
            };
            let room = limits.import_limit_kw[t] - base;
            if *high > room {
                push(Origin::Import(node), room, [1.0, 0.0, 1.0]);
            }
            let room = limits.export_limit_kw[t] + base;
            if -low > room {
                push(Origin::Export(node), room, [-1.0, 1.0, 0.0]);
            }
        }
    }

    fn requirement(
        &mut self,
        frame: &Frame<'_>,
        chains: &[Chain],
        index: usize,
        sums: &[[f64; 3]],
    ) {
        let problem = frame.problem;
        let horizon = problem.horizon();
        let top = problem.nodes.len();
        let hours = &problem.intervals_h;
        let penalties = &problem.penalties;
        let mut push = |place: usize, origin, interval: usize, room, penalty: f64, factors| {
            self.rows[place].push(Row {
                origin,
                interval,
                room,
                penalty: penalty * hours[interval],
                factors,
            });
        };
        let origin = Origin::Requirement(index);
        match &problem.requirements[index] {
            Requirement::DemandResponse {
                members,
                baseline_kw,
                commitment_kw,
                ..
            } => {
                for t in 0..horizon {
                    let room = baseline_kw[t] - commitment_kw[t];
                    let highest = || -> f64 { members.iter().map(|&i| chains[i].high_kw[t]).sum() };
                    if commitment_kw[t] > 0.0 && highest() > room {
                        let penalty = penalties.demand_response;
                        push(top, origin, t, room, penalty, [1.0, 0.0, 0.0]);
                    }
                }
            }
            Requirement::Regulation { up_kw, down_kw, .. } => {
                for t in 0..horizon {
                    let penalty = penalties.regulation;
                    if up_kw[t] > 0.0 {
                        push(top, origin, t, -up_kw[t], penalty, [0.0, -1.0, 0.0]);
                    }
                    if down_kw[t] > 0.0 {
                        let origin = Origin::Down(index);
                        push(top, origin, t, -down_kw[t], penalty, [0.0, 0.0, -1.0]);
                    }
                }
            }
            Requirement::PeakShaving {
                node,
                ceiling_kw,
                peak_price,
                ..
            } => {
                let peak = Origin::Peak(self.peaks.len());
                for t in 0..horizon {
                    let base = frame.forest.base_kw[*node][t];
                    let highest = sums[node * horizon + t][2];
                    if *peak_price > 0.0 && base + highest > 0.0 {
                        push(*node, peak, t, -base, 0.0, [1.0, 0.0, 0.0]);
                    }
                    if highest > ceiling_kw[t] - base {
                        let penalty = penalties.peak_ceiling;
                        let room = ceiling_kw[t] - base;
                        push(*node, origin, t, room, penalty, [1.0, 0.0, 0.0]);
                    }
                }
                if *peak_price > 0.0 {
                    self.peaks.push(*peak_price);
                }
            }
        }
    }
}

/// A front and one of its maps.
type Seat = (u32, u32);

/// What a port is: interval, quantity, and which requirements count it (an index into the sets of that interval).
type Port = (u32, u32, u32);

/// Puts rows and resources into fronts.
struct FrontBuilder {
    /// For each node (and the top, last) the front where its rows, or else those next above, stand; `None` without any.
    front_of: Vec<Option<usize>>,
    /// Node of each front (or the top's index).
    nodes: Vec<usize>,
    fronts: Vec<Front>,
    /// For each front, interval and quantity: whether a row here or above counts it for everybody.
    counted: Vec<Vec<[bool; 3]>>,
    /// Requirements with a row in each interval, for net draw; whether up or down is asked for by any.
    asked: Vec<BTreeMap<usize, usize>>,
    /// Sets of requirements that count a resource's net draw, by interval.
    sets: Vec<BTreeMap<Vec<usize>, u32>>,
    /// Ports of each front.
    ports: Vec<Vec<Port>>,
    /// Distinct maps of each front: for each (class, regulation) its ports.
    maps: Vec<BTreeMap<(usize, u32), u32>>,
}

impl FrontBuilder {
    fn new(frame: &Frame<'_>, rows: &[Vec<Row>]) -> Self {
        let problem = frame.problem;
        let (horizon, top) = (problem.horizon(), problem.nodes.len());
        let mut nodes: Vec<usize> = frame
            .forest
            .upwards
            .iter()
            .copied()
            .filter(|&node| !rows[node].is_empty())
            .collect();
        if !rows[top].is_empty() {
            nodes.push(top);
        }
        let mut front_at = vec![None; top + 1];
        for (front, &node) in nodes.iter().enumerate() {
            front_at[node] = Some(front);
        }
        let above = |start: Option<usize>| {
            std::iter::successors(start, |&n| problem.nodes[n].parent)
                .find_map(|node| front_at[node])
                .or(front_at[top])
        };
        let mut front_of: Vec<Option<usize>> = (0..top).map(|node| above(Some(node))).collect();
        front_of.push(front_at[top]);
        let mut fronts: Vec<Front> = (0..nodes.len()).map(|_| Front::default()).collect();
        for (front, &node) in nodes.iter().enumerate() {
            if node < top {
                fronts[front].parent = above(problem.nodes[node].parent).filter(|&p| p != front);
            }
        }
        let mut counted = vec![vec![[false; 3]; horizon]; fronts.len()];
        for front in (0..fronts.len()).rev() {
            if let Some(parent) = fronts[front].parent {
                counted[front] = counted[parent].clone();
            }
            // What requirements count at the top depends on who is a member.
            if nodes[front] < top {
                for row in &rows[nodes[front]] {
                    let here = &mut counted[front][row.interval];
                    for (counted, factor) in here.iter_mut().zip(row.factors) {
                        *counted |= factor.abs() > 0.0;
                    }
                }
            }
        }
        let mut asked = vec![BTreeMap::new(); horizon];
        for row in &rows[top] {
            match row.origin {
                Origin::Requirement(r) => _ = asked[row.interval].insert(2 * r, r),
                Origin::Down(r) => _ = asked[row.interval].insert(2 * r + 1, r),
                _ => {}
            }
        }
        let front_count = fronts.len();
        Self {
            front_of,
            nodes,
            fronts,
            counted,
            asked,
            sets: vec![BTreeMap::from([(Vec::new(), 0)]); horizon],
            ports: vec![Vec::new(); front_count],
            maps: vec![BTreeMap::new(); front_count],
        }
    }

    /// For each resource the front where it hangs and the map it uses there.
    fn seat(&mut self, frame: &Frame<'_>, chains: &[Chain]) -> Vec<Option<(u32, u32)>> {
        let problem = frame.problem;
        let mut counts: Vec<Vec<usize>> = vec![Vec::new(); problem.resources.len()];
        for (r, requirement) in problem.requirements.iter().enumerate() {
            if let Requirement::DemandResponse { members, .. } = requirement {
                for &member in members {
                    counts[member].push(r);
                }
            }
        }
        let mut classes: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        let mut kinds: Vec<Vec<usize>> = Vec::new();
        // For each class and interval the set of requirements that count it.
        let mut class_sets: Vec<Vec<u32>> = Vec::new();
        let mut seats = Vec::with_capacity(counts.len());
        for (i, counted_by) in counts.into_iter().enumerate() {
            let class = match classes.get(&counted_by) {
                Some(&class) => class,
                None => {
                    let sets = self.sets_of(&counted_by);
                    class_sets.push(sets);
                    kinds.push(counted_by.clone());
                    classes.insert(counted_by, kinds.len() - 1);
                    kinds.len() - 1
                }
            };
            let front = match problem.resources[i].node {
                Some(node) => self.front_of[node],
                None => self.front_of[problem.nodes.len()],
            };
            let holding = frame.regulation[i].filter(|_| chains[i].shape.controls() > 2);
            let regulation = holding.map_or(0, |holding| index(holding.requirement) + 1);
            seats.push(front.map(|front| {
                let map = self.map(front, class, regulation, &class_sets[class]);
                (index(front), map)
            }));
        }
        seats
    }

    fn sets_of(&mut self, counted_by: &[usize]) -> Vec<u32> {
        let asked = self.asked.iter().zip(&mut self.sets);
        asked
            .map(|(asked, sets)| {
                let own: Vec<usize> = counted_by
                    .iter()
                    .copied()
                    .filter(|r| asked.contains_key(&(2 * r)))
                    .collect();
                let fresh = index(sets.len());
                *sets.entry(own).or_insert(fresh)
            })
            .collect()
    }

    /// The map of a class at a front: which ports its members have. Ports are numbered once all are known.
    fn map(&mut self, front: usize, class: usize, regulation: u32, sets: &[u32]) -> u32 {
        if let Some(&map) = self.maps[front].get(&(class, regulation)) {
            return map;
        }
        let mut entries = Vec::new();
        for (t, set) in sets.iter().enumerate() {
            let counted = self.counted[front][t];
            let asked = |down: usize| {
                regulation > 0
                    && self.asked[t].contains_key(&(2 * (regulation as usize - 1) + down))
            };
            if counted[0] || *set > 0 {
                entries.push((index(t), 0, *set));
            }
            for (quantity, down) in [(1, 0), (2, 1)] {
                if regulation > 0 && (counted[quantity as usize] || asked(down)) {
                    let owner = if asked(down) { regulation } else { 0 };
                    entries.push((index(t), quantity, owner));
                }
            }
        }
        let map = index(self.maps[front].len());
        self.maps[front].insert((class, regulation), map);
        self.ports[front].extend(&entries);
        let entries = entries.into_iter();
        self.fronts[front].maps.push(
            entries
                .map(|(interval, quantity, set)| Entry {
                    interval,
                    quantity,
                    // Its set for now.
                    port: set,
                })
                .collect(),
        );
        map
    }

    fn finish(
        mut self,
        rows: Vec<Vec<Row>>,
        seats: Vec<Option<Seat>>,
        places: &[(u32, u32)],
        parallel: bool,
    ) -> (Fronts, Vec<Row>, Vec<Option<Seat>>) {
        let mut ordered = Vec::new();
        for child in 0..self.fronts.len() {
            if let Some(parent) = self.fronts[child].parent {
                self.fronts[parent].children.push(child);
            }
        }
        for front in 0..self.fronts.len() {
            self.number_ports(front);
            self.place_rows(front, &rows[self.nodes[front]], &mut ordered);
        }
        for (seat, &(batch, lane)) in seats.iter().zip(places) {
            if let Some((front, map)) = *seat {
                let front = &mut self.fronts[front as usize];
                if !front.maps[map as usize].is_empty() {
                    front.members.push(Member { batch, lane, map });
                }
            }
        }
        self.split_crowds();
        let (fronts, moved) = arrange(self.fronts, parallel);
        let seats = seats
            .into_iter()
            .map(|seat| seat.map(|(front, map)| (index(moved[front as usize]), map)))
            .collect();
        (fronts, ordered, seats)
    }

    /// Numbers the ports of a front, which has all those of its children that count further up.
    fn number_ports(&mut self, front: usize) {
        let mut ports = std::mem::take(&mut self.ports[front]);
        ports.sort_unstable();
        ports.dedup();
        let number = |port: &Port| ports.binary_search(port).map_or(NO_PORT, index);
        for map in &mut self.fronts[front].maps {
            for entry in map {
                entry.port = number(&(entry.interval, entry.quantity, entry.port));
            }
        }
        self.fronts[front].ports = ports.len();
        for child in self.fronts[front].children.clone() {
            self.fronts[child].up = self.ports[child].iter().map(number).collect();
        }
        if let Some(parent) = self.fronts[front].parent {
            let goes_on = ports.iter().filter(|(t, quantity, set)| {
                *set > 0 || self.counted[parent][*t as usize][*quantity as usize]
            });
            let goes_on: Vec<Port> = goes_on.copied().collect();
            self.ports[parent].extend(goes_on);
        }
        self.ports[front] = ports;
    }

    fn place_rows(&mut self, front: usize, rows: &[Row], ordered: &mut Vec<Row>) {
        let top = self.nodes[front] + 1 == self.front_of.len();
        let ports = &self.ports[front];
        let mut terms = Vec::new();
        let begin = ordered.len();
        for row in rows {
            let t = index(row.interval);
            let first = ports.partition_point(|port| port.0 < t);
            let mut own = Vec::new();
            for (k, (_, quantity, set)) in ports[first..]
                .iter()
                .take_while(|port| port.0 == t)
                .enumerate()
            {
                let factor = row.factors[*quantity as usize];
                let counts = !top
                    || match (row.origin, quantity) {
                        (Origin::Requirement(r) | Origin::Down(r), 1 | 2) => *set as usize == r + 1,
                        (Origin::Requirement(r), _) => self.sets[row.interval]
                            .iter()
                            .any(|(set_of, id)| id == set && set_of.contains(&r)),
                        _ => false,
                    };
                if counts && factor.abs() > 0.0 {
                    own.push((index(first + k), factor));
                }
            }
            terms.push(own);
            ordered.push(*row);
        }
        self.fronts[front].rows = begin..ordered.len();
        self.fronts[front].terms = terms;
    }

    /// Helpers below a front that gathers many resources itself, so that several threads can.
    fn split_crowds(&mut self) {
        for front in 0..self.fronts.len() {
            let members = std::mem::take(&mut self.fronts[front].members);
            if members.len() <= CROWD {
                self.fronts[front].members = members;
                continue;
            }
            let share = members.len().div_ceil(HELPERS).max(CROWD / 2);
            for members in members.chunks(share) {
                let mut helper = Front::default();
                helper.ports = self.fronts[front].ports;
                helper.parent = Some(front);
                helper.up = (0..index(self.fronts[front].ports)).collect();
                helper.maps = self.fronts[front].maps.clone();
                helper.members = members.to_vec();
                let number = self.fronts.len();
                self.fronts[front].children.push(number);
                self.fronts.push(helper);
            }
        }
    }
}

/// Orders fronts by depth, deepest first, and makes room in them. Also tells where each went.
fn arrange(fronts: Vec<Front>, parallel: bool) -> (Fronts, Vec<usize>) {
    let depth =
        |start: usize| std::iter::successors(Some(start), |&front| fronts[front].parent).count();
    let depths: Vec<usize> = (0..fronts.len()).map(depth).collect();
    let mut order: Vec<usize> = (0..fronts.len()).collect();
    order.sort_by_key(|&front| (std::cmp::Reverse(depths[front]), front));
    let mut moved = vec![0; order.len()];
    for (to, &from) in order.iter().enumerate() {
        moved[from] = to;
    }
    let mut levels = Vec::new();
    let mut begin = 0;
    for level in order.chunk_by(|&a, &b| depths[a] == depths[b]) {
        levels.push(begin..begin + level.len());
        begin += level.len();
    }
    let mut slots: Vec<Option<Front>> = fronts.into_iter().map(Some).collect();
    let fronts = order
        .iter()
        .filter_map(|&from| slots[from].take())
        .map(|mut front| {
            front.parent = front.parent.map(|parent| moved[parent]);
            front
                .children
                .iter_mut()
                .for_each(|child| *child = moved[*child]);
            front.make_room();
            front
        })
        .collect();
    let fronts = Fronts::new(fronts, levels, parallel);
    (fronts, moved)
}

impl Row {
    pub(super) fn peak(&self) -> Option<usize> {
        match self.origin {
            Origin::Peak(peak) => Some(peak),
            _ => None,
        }
    }
}
