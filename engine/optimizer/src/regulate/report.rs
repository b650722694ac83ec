//! What draws mean: flows, shortfalls, cost; and what prices prove: a lower bound on the cost of any draws.

use super::allocation::Allocation;
use super::answer::Answer;
use super::forest::Segment;
use super::market::Market;
use super::problem::Problem;
use super::ramps::vectorized;

/// Less than this beyond a limit is the rounding of a sum, kW.
const ROUNDING_KW: f64 = 1e-9;

/// Fills in everything that follows from the draws alone. `flow` is scratch space, one entry for each node.
pub(super) fn tell(
    market: &Market,
    problem: &Problem,
    allocation: &Allocation,
    flow: &mut Vec<f64>,
    answer: &mut Answer,
) {
    let layout = &market.layout;
    answer.draw_kw.resize(layout.resources(), 0.0);
    answer.shortfall_kw.clear();
    answer.shortfall_kw.resize(layout.groups, 0.0);
    answer.overload_kw.resize(layout.nodes(), 0.0);
    flow.clear();
    flow.resize(layout.nodes(), 0.0);

    let steps = &market.steps;
    let (mut total, mut moved) = (0.0, 0.0);
    let ways = steps.start.chunks_exact(2).zip(steps.kw.chunks_exact(2));
    for ((&draw, &low), (start, kw)) in allocation.draw.iter().zip(&steps.low).zip(ways) {
        total += draw;
        let plan = low + kw[0];
        let above = draw - plan;
        moved += above * if above > 0.0 { start[1] } else { start[0] };
    }
    for (&draw, &i) in allocation.draw.iter().zip(&layout.order) {
        answer.draw_kw[i as usize] = draw;
    }
    if layout.groups > 0 {
        for (&draw, &group) in allocation.draw.iter().zip(&layout.group) {
            if let Some(drawn) = answer.shortfall_kw.get_mut(group as usize) {
                *drawn += draw;
            }
        }
    }
    answer.tracking_error_kw = total - problem.target_kw;
    for (drawn, ceiling) in answer.shortfall_kw.iter_mut().zip(&problem.ceiling_kw) {
        *drawn = (*drawn - ceiling).max(0.0);
    }
    let mut beyond = 0.0;
    for rank in 0..layout.nodes() {
        let own = layout.own[rank]..layout.own[rank + 1];
        flow[rank] += allocation.draw[own].iter().sum::<f64>();
        let node = layout.node[rank] as usize;
        let (passed, all) = (flow[rank], flow[rank] + market.forest.base[rank]);
        let over =
            (all - problem.upper_kw[node]).max(0.0) - (problem.lower_kw[node] - all).max(0.0);
        let over = if over.abs() <= ROUNDING_KW { 0.0 } else { over };
        answer.overload_kw[node] = over;
        beyond += over.abs();
        if let Some(above) = flow.get_mut(layout.parent[rank]) {
            *above += passed;
        }
    }
    let penalties = problem.penalties;
    answer.objective = steps.constant
        + moved
        + penalties.tracking * answer.tracking_error_kw.abs()
        + penalties.commitment * answer.shortfall_kw.iter().sum::<f64>()
        + penalties.overload * beyond;
}

/// Fills in the prices.
pub(super) fn quote(market: &Market, answer: &mut Answer) {
    let root = market.forest.root();
    let units = market.units;
    answer.node_price.clear();
    answer.node_price.resize(market.layout.nodes(), 0.0);
    for k in 0..root {
        let node = &market.forest.nodes[k];
        let price = market.difference(market.price[node.parent], market.price[k]);
        answer.node_price[market.layout.node[node.rank] as usize] = price;
    }
    answer.group_price.clear();
    let paid = market
        .group_price
        .iter()
        .map(|price| price.value(units).max(0.0));
    answer.group_price.extend(paid);
    answer.target_price = market.price[root].value(units);
}

/// No draws cost less than this: the dual function at the prices found, moved onto steps.
///
/// Each resource does what is best for it at the price that it sees, each limit earns its price, each group pays for
/// its ceiling, and the target is bought at the total's price.
pub(super) fn bound(market: &mut Market, problem: &Problem) -> f64 {
    market.snap();
    let units = market.units;
    let root = market.forest.root();
    let mut bound = market.steps.constant
        + market.steps.at_low
        + problem.penalties.overload * market.forest.idle_overload
        + market.snapped[root].value(units) * problem.target_kw;
    for k in 0..=root {
        let node = &market.forest.nodes[k];
        bound -= market.snapped[k].value(units) * node.low;
        if k == root {
            break;
        }
        let price = market.difference(market.snapped[node.parent], market.snapped[k]);
        if price > 0.0 {
            bound -= price * node.upper;
        } else if price < 0.0 {
            bound -= price * node.lower;
        }
    }
    for (price, (ceiling, low)) in market
        .group_price
        .iter()
        .zip(problem.ceiling_kw.iter().zip(&market.group_low))
    {
        let price = price.value(units);
        if price > 0.0 {
            bound -= price * (ceiling - low);
        }
    }
    let ramps = market.ramps();
    let gain = vectorized(|| {
        let gain = |segment: &Segment| {
            let price = market.plain(market.snapped[segment.owner]);
            ramps.gain(2 * segment.start..2 * segment.end, price)
        };
        market.forest.segments.iter().map(gain).sum::<f64>()
    });
    bound + gain
}
