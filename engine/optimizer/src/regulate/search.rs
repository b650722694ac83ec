//! The price at which a part of the forest draws a given power.
//!
//! What is drawn grows with the price, in steps at the resources' own prices. Eight of those left in the range are tried
//! at once; between the two that hold the goal, what cannot change any more is settled (see [`super::part`]), and the
//! rest is searched again. Last comes the place on the ramp of the step that is found.

use super::bracket::{Bracket, Goal};
use super::market::{Market, Stopped};
use super::part::{Part, View};
use super::price::{Flow, Price};
use super::ramps::{LANES, Lanes, vectorized};

/// Guesses by slope before anything else.
const SLOPE_GUESSES: usize = 6;
/// From how many steps on guesses by proportion pay.
const MANY_STEPS: usize = 512;
/// Guesses on a ramp. Limits that start to cut within it add kinks; halving alone needs about 50.
const RAMP_GUESSES: usize = 80;
/// Starts of ramps to choose from when some are to be tried.
const SAMPLE: usize = 63;
/// So few steps without a node between are compared each with each.
const FEW: usize = 64;
/// Ramps narrower than this are steps, at first sight, CNY/kWh.
const STEEP: f64 = 1e-3;

/// Buffers of one search.
#[derive(Debug, Clone, Default)]
pub(super) struct Desk {
    parts: [Part; 2],
    /// What is drawn below each node of the part at the ends of the range.
    ends: Vec<(f64, f64)>,
    /// The same at each of the prices last tried.
    lanes: Vec<Lanes>,
    flows: Vec<Flow>,
    sample: Vec<f64>,
    /// Positions added up since the last question whether to stop.
    pub(super) asked_at: usize,
}

impl Desk {
    pub(super) fn reserve(&mut self, nodes: usize, segments: usize, steps: usize) {
        for part in &mut self.parts {
            part.reserve(nodes, segments, steps);
        }
        self.ends.reserve(nodes);
        self.lanes.reserve(nodes);
        self.flows.reserve(nodes);
        self.sample.reserve(SAMPLE + 1);
    }
}

impl Market {
    /// The price at which `kw` is drawn below watched node `k`, between two prices at which less and more is drawn.
    /// Leaves the flows below it at the price it returns, where there are nodes below it.
    pub(super) fn search(
        &mut self,
        k: usize,
        kw: f64,
        low: (Price, f64),
        high: (Price, f64),
        stop: &dyn Fn() -> bool,
    ) -> Result<Price, Stopped> {
        let units = self.units;
        let mut bracket = Bracket { low, high, units };
        let goal = Goal::new(k, &self.forest.nodes[k], kw);
        if let Some(price) = self.find_step(goal) {
            return Ok(price);
        }
        // Without groups there is no earlier price to start from.
        if self.grouped
            && let Some(price) = self.follow_slope(goal, &mut bracket, stop)?
        {
            return Ok(price);
        }
        if self.forest.levels > 0 {
            if self.steps_below(k) > MANY_STEPS
                && let Some(price) = self.halve(goal, &mut bracket, stop)?
            {
                return Ok(price);
            }
            if let Some(price) = self.select(goal, &mut bracket, stop)? {
                return Ok(price);
            }
            return climb(goal, &bracket, |price| self.flow(k, price, stop));
        }
        let mut desk = std::mem::take(&mut self.desk);
        let found = self.divide(goal, bracket, &mut desk, stop);
        self.desk = desk;
        let found = found?;
        if self.forest.nodes[k].first < k || k == self.forest.root() {
            self.flow(k, found, stop)?;
        }
        Ok(found)
    }

    /// The part below a watched node as it is.
    pub(super) fn view(&self, k: usize) -> View<'_> {
        let node = &self.forest.nodes[k];
        View {
            nodes: &self.forest.nodes[node.first..=k],
            first: node.first,
            segments: &self.forest.segments[node.segment..node.segment_end],
            ramps: self.ramps(),
            each: 2,
        }
    }

    /// Looks for the step that meets the goal among all: for a few steps with no node between. Nothing if that is not
    /// exact, since ramps overlap.
    fn find_step(&self, goal: Goal) -> Option<Price> {
        let node = &self.forest.nodes[goal.k];
        let few = node.first == goal.k && node.segment + 1 == node.segment_end;
        let segment = self.forest.segments.get(node.segment).filter(|_| few)?;
        let range = 2 * segment.start..2 * segment.end;
        if range.len() > FEW || self.units.epsilon > STEEP || self.forest.levels > 0 {
            return None;
        }
        let ramps = self.ramps();
        vectorized(|| {
            let price = ramps.step_at(range.clone(), goal.kw - node.low)?;
            let risen = ramps.risen(range, price).kw;
            goal.is_met(node.low + risen).then_some(price)
        })
    }

    fn follow_slope(
        &mut self,
        goal: Goal,
        bracket: &mut Bracket,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Price>, Stopped> {
        let mut guess = self.price[goal.k];
        for _ in 0..SLOPE_GUESSES {
            if !bracket.contains(guess) {
                break;
            }
            let flow = self.flow(goal.k, guess, stop)?;
            if goal.is_met(flow.kw) {
                return Ok(Some(guess));
            }
            bracket.narrow(guess, flow.kw, goal.kw);
            if flow.slope <= 0.0 {
                break;
            }
            guess.frac += (goal.kw - flow.kw) / flow.slope;
        }
        Ok(None)
    }

    /// Narrows the range until no ramp starts inside it, and climbs those that have begun.
    fn divide(
        &mut self,
        goal: Goal,
        mut bracket: Bracket,
        desk: &mut Desk,
        stop: &dyn Fn() -> bool,
    ) -> Result<Price, Stopped> {
        let units = self.units;
        let [one, other] = &mut desk.parts;
        let (mut now, mut next) = (one, other);
        let mut view = self.view(goal.k);
        desk.ends.clear();
        let ends = view.nodes.iter().map(|node| (node.least, node.most));
        desk.ends.extend(ends);
        let mut first = true;
        loop {
            let trials = choose(&mut desk.sample, view.starts(), bracket.ends());
            if let Some(prices) = trials {
                ask_all(view, &prices, &mut desk.lanes, &mut desk.asked_at, stop)?;
                if let Some(price) =
                    narrow(&mut bracket, goal, &prices, &desk.lanes, &mut desk.ends)
                {
                    return Ok(price);
                }
            } else if !first {
                break;
            }
            first = false;
            let (low, high) = bracket.ends();
            next.contract(view, &mut desk.ends, low, high);
            std::mem::swap(&mut now, &mut next);
            view = now.view(units);
        }
        climb(goal, &bracket, |price| {
            Ok(ask(view, price, &mut desk.flows))
        })
    }
}

/// Prices to try, in rising order: starts of ramps inside a range that leave about as many between them.
fn choose(sample: &mut Vec<f64>, starts: &[f64], (low, high): (f64, f64)) -> Option<Lanes> {
    sample.clear();
    let inside = |start: &f64| *start > low && *start < high;
    if starts.len() <= 4 * SAMPLE {
        sample.extend(starts.iter().copied().filter(inside).take(SAMPLE));
    } else {
        let every = starts.len().div_ceil(SAMPLE);
        sample.extend(starts.iter().step_by(every).copied().filter(inside));
    }
    if sample.is_empty() {
        return None;
    }
    sample.sort_unstable_by(f64::total_cmp);
    sample.dedup();
    let count = sample.len();
    let place = |lane: usize| ((2 * lane + 1) * count / (2 * LANES)).min(count - 1);
    Some(std::array::from_fn(|lane| sample[place(lane)]))
}

/// Flows below each node of a part at several prices.
fn ask_all(
    view: View<'_>,
    prices: &Lanes,
    lanes: &mut Vec<Lanes>,
    asked_at: &mut usize,
    stop: &dyn Fn() -> bool,
) -> Result<(), Stopped> {
    lanes.clear();
    lanes.extend(view.nodes.iter().map(|node| [node.low; LANES]));
    for block in super::market::blocks(view.segments, asked_at) {
        vectorized(|| view.add_at_all(prices, block.segments, lanes));
        if block.ask && stop() {
            return Err(Stopped);
        }
    }
    vectorized(|| view.pass_up(lanes));
    Ok(())
}

/// Takes the two prices that hold the goal as the new range; or the one that meets it.
fn narrow(
    bracket: &mut Bracket,
    goal: Goal,
    prices: &Lanes,
    lanes: &[Lanes],
    ends: &mut [(f64, f64)],
) -> Option<Price> {
    let drawn = lanes[lanes.len() - 1];
    let high = drawn.iter().position(|&kw| kw > goal.kw).unwrap_or(LANES);
    if high < LANES {
        bracket.high = (Price::at(prices[high]), drawn[high]);
        for (end, flow) in ends.iter_mut().zip(lanes) {
            end.1 = flow[high];
        }
    }
    if let Some(low) = high.checked_sub(1) {
        bracket.low = (Price::at(prices[low]), drawn[low]);
        for (end, flow) in ends.iter_mut().zip(lanes) {
            end.0 = flow[low];
        }
        return goal.is_met(drawn[low]).then_some(bracket.low.0);
    }
    None
}

/// Flow below the last node of a part at one price.
fn ask(view: View<'_>, price: Price, flows: &mut Vec<Flow>) -> Flow {
    flows.clear();
    flows.extend(view.nodes.iter().map(|node| Flow {
        kw: node.low,
        slope: 0.0,
    }));
    let alone = price.less(Price::default(), view.ramps.units);
    vectorized(|| view.add_at(alone, view.segments, flows));
    let last = view.nodes.len() - 1;
    for (k, node) in view.nodes[..last].iter().enumerate() {
        let below = flows[k];
        let kw = node.pass(below.kw);
        let cut = (kw - below.kw).abs() > 0.0;
        flows[node.parent - view.first] += Flow {
            kw,
            slope: if cut { 0.0 } else { below.slope },
        };
    }
    flows[last]
}

/// The place on the ramps that start at or shortly before the lower end of a range in which none starts.
fn climb(
    goal: Goal,
    bracket: &Bracket,
    mut flow_at: impl FnMut(Price) -> Result<Flow, Stopped>,
) -> Result<Price, Stopped> {
    let start = bracket.low.0;
    let on = |frac: f64| Price {
        frac: start.frac + frac,
        ..start
    };
    let units = bracket.units;
    let room = bracket.high.0.less(start, units).value(units) / units.epsilon;
    // A little further than the ramps: rounding may have put the start of one just after.
    let mut high = room.min(1.0) + 1e-3;
    let mut low = 0.0;
    let mut frac = high * bracket.share(goal.kw).clamp(0.0, 1.0);
    for turn in 0..RAMP_GUESSES {
        let flow = flow_at(on(frac))?;
        if goal.is_met(flow.kw) || high - low <= f64::EPSILON {
            break;
        }
        if flow.kw > goal.kw {
            high = frac;
        } else {
            low = frac;
        }
        let by_slope = frac + (goal.kw - flow.kw) / flow.slope;
        let inside = flow.slope > 0.0 && by_slope > low && by_slope < high;
        frac = if turn % 4 < 3 && inside {
            by_slope
        } else {
            0.5 * (low + high)
        };
    }
    Ok(on(frac))
}
