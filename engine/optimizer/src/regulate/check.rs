//! Whether an answer keeps every limit and adds up: code of its own, shared with no solver.

use super::answer::Answer;
use super::problem::{Fleet, Problem};

/// What is wrong with an answer, in words, each entry beyond `tolerance_kw`. Empty when nothing is.
///
/// Sums are compensated (Neumaier), so that what is found is the answer's fault and not the sum's.
#[must_use]
pub fn violations(
    fleet: &Fleet,
    problem: &Problem,
    answer: &Answer,
    tolerance_kw: f64,
) -> Vec<String> {
    let mut found = Vec::new();
    let draw = &answer.draw_kw;
    if draw.len() != problem.low_kw.len() {
        return vec![format!(
            "{} draws for {} resources",
            draw.len(),
            problem.low_kw.len()
        )];
    }
    for (i, &x) in draw.iter().enumerate() {
        let inside =
            x >= problem.low_kw[i] - tolerance_kw && x <= problem.high_kw[i] + tolerance_kw;
        if !inside {
            found.push(format!(
                "resource {i}: {x} outside {}..{}",
                problem.low_kw[i], problem.high_kw[i]
            ));
        }
    }
    for (n, &flow) in flows(fleet, problem, draw).iter().enumerate() {
        let over = (flow - problem.upper_kw[n]).max(0.0) - (problem.lower_kw[n] - flow).max(0.0);
        let told = answer.overload_kw[n];
        if (over - told).abs() > tolerance_kw {
            found.push(format!(
                "node {n}: beyond its limit by {over}, reported {told}"
            ));
        }
    }
    let mut total = Sum::default();
    let mut groups = vec![Sum::default(); fleet.group_count];
    for (i, &x) in draw.iter().enumerate() {
        total.add(x);
        if let Some(g) = fleet.resource_group[i] {
            groups[g].add(x);
        }
    }
    for (g, sum) in groups.iter().enumerate() {
        let short = (sum.value() - problem.ceiling_kw[g]).max(0.0);
        if (short - answer.shortfall_kw[g]).abs() > tolerance_kw {
            found.push(format!(
                "group {g}: {short} over its ceiling, reported {}",
                answer.shortfall_kw[g]
            ));
        }
    }
    let error = total.value() - problem.target_kw;
    if (error - answer.tracking_error_kw).abs() > tolerance_kw {
        found.push(format!(
            "total off target by {error}, reported {}",
            answer.tracking_error_kw
        ));
    }
    found
}

/// The largest distance of any node from its limits, kW.
#[must_use]
pub fn worst_overload_kw(fleet: &Fleet, problem: &Problem, draw_kw: &[f64]) -> f64 {
    let beyond =
        |(n, flow): (usize, &f64)| (flow - problem.upper_kw[n]).max(problem.lower_kw[n] - flow);
    flows(fleet, problem, draw_kw)
        .iter()
        .enumerate()
        .map(beyond)
        .fold(0.0, f64::max)
}

/// What allocation `draw_kw` costs, CNY for each hour, straight from the formula.
#[must_use]
pub fn cost(fleet: &Fleet, problem: &Problem, draw_kw: &[f64]) -> f64 {
    let mut sum = Sum::default();
    let mut total = Sum::default();
    let mut groups = vec![Sum::default(); fleet.group_count];
    for (i, &x) in draw_kw.iter().enumerate() {
        let moved = x - problem.plan_kw[i];
        sum.add(problem.rise_price[i] * moved.max(0.0) + problem.fall_price[i] * (-moved).max(0.0));
        total.add(x);
        if let Some(g) = fleet.resource_group[i] {
            groups[g].add(x);
        }
    }
    sum.add(problem.penalties.tracking * (total.value() - problem.target_kw).abs());
    for (group, ceiling) in groups.iter().zip(&problem.ceiling_kw) {
        sum.add(problem.penalties.commitment * (group.value() - ceiling).max(0.0));
    }
    for (n, flow) in flows(fleet, problem, draw_kw).iter().enumerate() {
        let over = (flow - problem.upper_kw[n])
            .max(problem.lower_kw[n] - flow)
            .max(0.0);
        sum.add(problem.penalties.overload * over);
    }
    sum.value()
}

/// Flow into each node, kW: every resource and base is carried up to its root.
fn flows(fleet: &Fleet, problem: &Problem, draw_kw: &[f64]) -> Vec<f64> {
    let mut own = vec![Sum::default(); fleet.node_parent.len()];
    for (n, &base) in problem.base_kw.iter().enumerate() {
        own[n].add(base);
    }
    for (i, &x) in draw_kw.iter().enumerate() {
        if let Some(n) = fleet.resource_node[i] {
            own[n].add(x);
        }
    }
    let mut flow = vec![Sum::default(); own.len()];
    for (n, sum) in own.iter().enumerate() {
        for above in std::iter::successors(Some(n), |&n| fleet.node_parent[n]) {
            flow[above].add(sum.high);
            flow[above].add(sum.low);
        }
    }
    flow.iter().map(Sum::value).collect()
}

/// A sum with its rounding errors kept apart.
#[derive(Clone, Copy, Default)]
struct Sum {
    high: f64,
    low: f64,
}

impl Sum {
    fn add(&mut self, value: f64) {
        let sum = self.high + value;
        self.low += if self.high.abs() >= value.abs() {
            (self.high - sum) + value
        } else {
            (value - sum) + self.high
        };
        self.high = sum;
    }

    fn value(&self) -> f64 {
        self.high + self.low
    }
}
