//! Small problems of every awkward kind: trees and none, zero-width and contradictory limits, needs that cannot be met,
//! base load above its limit, negative prices, subsidies for discharging. Numbers are multiples of a half, so that
//! limits often meet exactly.

use proptest::collection::vec;
use proptest::prelude::*;
use vpp_optimizer::{Direction, Node, Penalties, Problem, Requirement, Resource};

/// Multiples of a half.
fn halves(low: i32, high: i32) -> BoxedStrategy<f64> {
    (2 * low..=2 * high)
        .prop_map(|n| f64::from(n) / 2.0)
        .boxed()
}

/// Mostly `usual`, sometimes `other`.
fn rarely(usual: f64, other: BoxedStrategy<f64>) -> BoxedStrategy<f64> {
    prop_oneof![2 => Just(usual), 1 => other].boxed()
}

fn series(values: BoxedStrategy<f64>, horizon: usize) -> BoxedStrategy<Vec<f64>> {
    // Half of all series are constant: intervals that differ hide what equal ones share.
    prop_oneof![
        values.clone().prop_map(move |v| vec![v; horizon]),
        vec(values, horizon)
    ]
    .boxed()
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    ChargesOnly,
    Exports,
    Idle,
    Forced,
}

fn power(horizon: usize) -> BoxedStrategy<[Vec<f64>; 4]> {
    let kind = prop_oneof![
        4 => Just(Kind::ChargesOnly), 4 => Just(Kind::Exports), 1 => Just(Kind::Idle), 1 => Just(Kind::Forced)
    ];
    let charge = series(halves(0, 20), horizon);
    let discharge = series(halves(0, 15), horizon);
    let min = series(rarely(f64::NEG_INFINITY, halves(-10, 0)), horizon);
    let max = series(rarely(f64::INFINITY, halves(0, 15)), horizon);
    let forced = series(halves(-5, 10), horizon);
    (kind, charge, discharge, min, max, forced)
        .prop_map(
            move |(kind, charge, discharge, min, max, forced)| match kind {
                Kind::ChargesOnly => [charge, vec![0.0; horizon], min, max],
                Kind::Exports => [charge, discharge, min, max],
                Kind::Idle => [vec![0.0; horizon], vec![0.0; horizon], min, max],
                Kind::Forced => {
                    let fixed: Vec<f64> = (0..horizon)
                        .map(|t| forced[t].clamp(-discharge[t], charge[t]))
                        .collect();
                    [charge, discharge, fixed.clone(), fixed]
                }
            },
        )
        .boxed()
}

fn energy(horizon: usize) -> BoxedStrategy<[Vec<f64>; 2]> {
    let cap = rarely(f64::INFINITY, halves(-2, 12));
    let need = prop_oneof![
        1 => Just(f64::NEG_INFINITY), 2 => halves(-8, 0), 2 => halves(0, 4), 1 => halves(4, 40)
    ]
    .boxed();
    (series(cap, horizon), series(need, horizon))
        .prop_map(|(cap, need)| {
            let need = need
                .iter()
                .zip(&cap)
                .map(|(need, cap)| need.min(*cap))
                .collect();
            [need, cap]
        })
        .boxed()
}

fn resource(horizon: usize, nodes: usize) -> BoxedStrategy<Resource> {
    let efficiency = prop_oneof![Just(1.0), 0.8..1.0];
    let ramp = prop_oneof![3 => Just(f64::INFINITY), 1 => halves(0, 60)];
    let throughput = prop_oneof![3 => Just(f64::INFINITY), 1 => halves(0, 8)];
    let wear = prop_oneof![3 => 0.0..0.3, 1 => Just(-5.0)];
    // Vehicles that are all but full: what is left to them is far below what others move.
    let all_but_full = prop_oneof![8 => Just(1.0), 1 => Just(2e-3)];
    (
        (power(horizon), energy(horizon), all_but_full, any::<bool>()),
        (
            efficiency.clone(),
            efficiency,
            halves(-4, 10),
            ramp,
            throughput,
        ),
        (
            series((-0.5..1.5).boxed(), horizon),
            series((-0.2..1.0).boxed(), horizon),
        ),
        (wear, prop_oneof![Just(0.0), 0.0..1.0], any::<bool>()),
        proptest::option::weighted(0.9, 0..nodes.max(1)),
    )
        .prop_map(
            move |(limits, own, prices, (wear, terminal_value, regulates), node)| {
                let ([charge, discharge, min, max], [need, cap], left, draws_less) = limits;
                let scaled = |series: Vec<f64>, by: f64| -> Vec<f64> {
                    series.into_iter().map(|value| value * by).collect()
                };
                let [need, cap] = [need, cap].map(|energy| scaled(energy, left));
                let power = if draws_less { left } else { 1.0 };
                let [charge, discharge, min, max] =
                    [charge, discharge, min, max].map(|series| scaled(series, power));
                Resource {
                    node: node.filter(|_| nodes > 0),
                    charge_max_kw: charge,
                    discharge_max_kw: discharge,
                    power_min_kw: min,
                    power_max_kw: max,
                    energy_min_kwh: need,
                    energy_max_kwh: cap,
                    charge_efficiency: own.0,
                    discharge_efficiency: own.1,
                    initial_power_kw: own.2,
                    ramp_kw_per_h: own.3,
                    throughput_max_kwh: own.4,
                    energy_price: prices.0,
                    feed_in_price: prices.1,
                    wear,
                    terminal_value,
                    regulates,
                }
            },
        )
        .boxed()
}

/// A forest: each node hangs under one before it or is a root, at most three deep.
fn nodes(horizon: usize, count: usize) -> BoxedStrategy<Vec<Node>> {
    let node = (
        any::<prop::sample::Index>(),
        series(rarely(f64::INFINITY, halves(0, 30)), horizon),
        series(rarely(f64::INFINITY, halves(0, 15)), horizon),
        series(
            prop_oneof![2 => Just(0.0), 2 => halves(0, 10), 1 => halves(-20, 40)].boxed(),
            horizon,
        ),
    );
    vec(node, count)
        .prop_map(|drawn| {
            let mut nodes: Vec<Node> = Vec::new();
            for (index, (above, import, export, base_kw)) in drawn.into_iter().enumerate() {
                let candidate = above.index(index + 1);
                let depth =
                    |n: usize| std::iter::successors(Some(n), |&n: &usize| nodes[n].parent).count();
                let parent = (candidate < index && depth(candidate) < 3).then_some(candidate);
                let (import_limit_kw, export_limit_kw) = (import, export);
                nodes.push(Node {
                    parent,
                    import_limit_kw,
                    export_limit_kw,
                    base_kw,
                });
            }
            nodes
        })
        .boxed()
}

fn demand_response(horizon: usize, resources: usize) -> BoxedStrategy<Requirement> {
    let members = proptest::sample::subsequence((0..resources).collect::<Vec<_>>(), 0..=resources);
    let commitment = prop_oneof![1 => Just(0.0), 2 => halves(0, 30)].boxed();
    (
        members,
        series(halves(0, 40), horizon),
        series(commitment, horizon),
        prop_oneof![3 => Just(Direction::Shaving), 1 => Just(Direction::Filling)],
    )
        .prop_map(
            |(members, baseline_kw, commitment_kw, direction)| Requirement::DemandResponse {
                name: "event".into(),
                direction,
                members,
                baseline_kw,
                commitment_kw,
            },
        )
        .boxed()
}

fn regulation(horizon: usize, resources: usize) -> BoxedStrategy<Requirement> {
    let members = proptest::sample::subsequence((0..resources).collect::<Vec<_>>(), 0..=resources);
    let asked = series(halves(0, 20), horizon);
    let sustain = prop_oneof![Just(0.0), Just(0.5), Just(1.0)];
    (members, asked.clone(), asked, sustain)
        .prop_map(
            |(members, up_kw, down_kw, sustain_h)| Requirement::Regulation {
                name: "regulation".into(),
                members,
                up_kw,
                down_kw,
                sustain_h,
            },
        )
        .boxed()
}

fn peak(horizon: usize, nodes: usize) -> BoxedStrategy<Requirement> {
    let ceiling = series(rarely(f64::INFINITY, halves(-5, 30)), horizon);
    (0..nodes, ceiling, rarely(0.0, halves(0, 40)))
        .prop_map(|(node, ceiling_kw, peak_price)| Requirement::PeakShaving {
            name: "peak".into(),
            node,
            ceiling_kw,
            peak_price,
        })
        .boxed()
}

/// A random problem: up to 6 resources, 4 intervals, 5 nodes.
pub(crate) fn problem() -> BoxedStrategy<Problem> {
    (1..=4_usize, 0..=6_usize, 0..=5_usize)
        .prop_flat_map(|(horizon, resources, node_count)| {
            let length = prop_oneof![Just(0.25), Just(0.5)].boxed();
            let events = vec(demand_response(horizon, resources), 0..=2);
            let products = vec(regulation(horizon, resources), 0..=1);
            let peaks = if node_count > 0 {
                vec(peak(horizon, node_count), 0..=1).boxed()
            } else {
                Just(Vec::new()).boxed()
            };
            (
                series(length, horizon),
                vec(resource(horizon, node_count), resources),
                nodes(horizon, node_count),
                (events, products, peaks),
            )
        })
        .prop_map(
            |(intervals_h, resources, nodes, (events, products, peaks))| Problem {
                intervals_h,
                resources,
                nodes,
                requirements: events.into_iter().chain(products).chain(peaks).collect(),
                penalties: Penalties::default(),
            },
        )
        .boxed()
}
