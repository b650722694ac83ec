//! Random problems of every shape.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use vpp_optimizer::regulate::{Fleet, Penalties, Problem};

/// A fleet and one instant of it.
pub(crate) type Case = (Fleet, Problem);

/// One resource: bounds, plan, prices, and where it hangs (as shares that are made indices later).
#[derive(Debug, Clone)]
struct Member {
    low: f64,
    room: f64,
    plan: f64,
    prices: (f64, f64),
    node: Option<usize>,
    group: Option<usize>,
}

#[derive(Debug, Clone)]
struct Place {
    parent: Option<usize>,
    base: f64,
    lower: Option<f64>,
    upper: Option<f64>,
}

/// A few round values, so that much is equal, or any value.
fn kw(most: f64) -> impl Strategy<Value = f64> {
    prop_oneof![select(vec![0.0, 7.0, 7.0, 60.0]), 0.0..most]
}

fn price(same: bool) -> BoxedStrategy<(f64, f64)> {
    if same {
        return Just((0.3, 0.3)).boxed();
    }
    let value = prop_oneof![select(vec![0.0, 0.1, 0.5]), 0.0..2.0];
    // Not convex below −rise: the lower of the two is raised.
    (value.clone(), value, 0.0..1.0_f64)
        .prop_map(|(rise, fall, share)| {
            if share < 0.2 {
                (rise, -share * rise)
            } else {
                (rise, fall)
            }
        })
        .boxed()
}

fn member(same_price: bool) -> impl Strategy<Value = Member> {
    (
        prop_oneof![Just(0.0), -40.0..20.0, Just(-7.0)],
        prop_oneof![4 => kw(80.0), 1 => Just(0.0)],
        prop_oneof![select(vec![0.0, 0.5, 1.0]), -0.3..1.3],
        price(same_price),
        proptest::option::weighted(0.85, any::<usize>()),
        proptest::option::weighted(0.7, any::<usize>()),
    )
        .prop_map(|(low, room, plan, prices, node, group)| Member {
            low,
            room,
            plan,
            prices,
            node,
            group,
        })
}

fn place() -> impl Strategy<Value = Place> {
    (
        proptest::option::weighted(0.6, any::<usize>()),
        prop_oneof![Just(0.0), -30.0..90.0],
        proptest::option::weighted(0.4, -0.4..0.7),
        proptest::option::weighted(0.8, prop_oneof![Just(1.0), Just(0.0), -0.1..1.1]),
    )
        .prop_map(|(parent, base, lower, upper)| Place {
            parent,
            base,
            lower,
            upper,
        })
}

fn penalties() -> impl Strategy<Value = Penalties> {
    let of = |overload, commitment, tracking| Penalties {
        overload,
        commitment,
        tracking,
    };
    prop_oneof![
        4 => Just(Penalties::default()),
        1 => Just(of(2.2, 2.1, 2.01)),
        1 => Just(of(30.0, 20.0, 8.0)),
        1 => Just(of(1e7, 1e5, 1e3)),
    ]
}

/// Up to 30 resources and 9 nodes nested up to 4 deep, with or without groups, in any order of indices.
pub(crate) fn case() -> impl Strategy<Value = Case> {
    (
        0..31_usize,
        0..10_usize,
        0..5_usize,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_flat_map(|(resources, nodes, groups, same_price, backwards)| {
            (
                vec(member(same_price), resources),
                vec(place(), nodes),
                vec(proptest::option::weighted(0.8, -0.2..1.1), groups),
                -0.3..1.3,
                penalties(),
                Just(backwards),
            )
                .prop_map(
                    |(members, places, ceilings, target, penalties, backwards)| {
                        build(&members, &places, &ceilings, target, penalties, backwards)
                    },
                )
        })
}

/// The same without groups that bind.
pub(crate) fn tree_case() -> impl Strategy<Value = Case> {
    case().prop_map(|(fleet, mut problem)| {
        problem.ceiling_kw.fill(f64::INFINITY);
        (fleet, problem)
    })
}

fn build(
    members: &[Member],
    places: &[Place],
    ceilings: &[Option<f64>],
    target: f64,
    penalties: Penalties,
    backwards: bool,
) -> Case {
    let count = places.len();
    // Parents come before children, or after them.
    let index = |n: usize| if backwards { count - 1 - n } else { n };
    let mut parent: Vec<Option<usize>> = vec![None; count];
    let mut depth = vec![0; count];
    for (n, place) in places.iter().enumerate() {
        let above = place.parent.filter(|_| n > 0).map(|p| p % n);
        if let Some(above) = above.filter(|&above| depth[index(above)] < 3) {
            parent[index(n)] = Some(index(above));
            depth[index(n)] = depth[index(above)] + 1;
        }
    }
    let at =
        |slot: Option<usize>, count: usize| slot.filter(|_| count > 0).map(|slot| slot % count);
    let fleet = Fleet {
        resource_node: members.iter().map(|m| at(m.node, count)).collect(),
        resource_group: members
            .iter()
            .map(|m| at(m.group, ceilings.len()))
            .collect(),
        node_parent: parent,
        group_count: ceilings.len(),
    };
    let mut problem = Problem {
        low_kw: members.iter().map(|m| m.low).collect(),
        high_kw: members.iter().map(|m| m.low + m.room).collect(),
        plan_kw: members
            .iter()
            .map(|m| m.low + m.plan * m.room.max(1.0))
            .collect(),
        rise_price: members.iter().map(|m| m.prices.0).collect(),
        fall_price: members.iter().map(|m| m.prices.1).collect(),
        upper_kw: vec![f64::INFINITY; count],
        lower_kw: vec![f64::NEG_INFINITY; count],
        base_kw: vec![0.0; count],
        ceiling_kw: vec![f64::INFINITY; ceilings.len()],
        target_kw: 0.0,
        penalties,
    };
    for (n, place) in places.iter().enumerate() {
        problem.base_kw[index(n)] = place.base;
    }
    let all: Vec<usize> = (0..members.len()).collect();
    problem.target_kw = between(&problem, &all, target);
    for (n, place) in places.iter().enumerate() {
        let n = index(n);
        let up = |from: Option<usize>| std::iter::successors(from, |&n| fleet.node_parent[n]);
        let below: Vec<usize> = all
            .iter()
            .copied()
            .filter(|&i| up(fleet.resource_node[i]).any(|above| above == n))
            .collect();
        let bases = (0..count).filter(|&m| up(Some(m)).any(|above| above == n));
        let base: f64 = bases.map(|m| problem.base_kw[m]).sum();
        problem.upper_kw[n] = place.upper.map_or(f64::INFINITY, |share| {
            base + between(&problem, &below, share)
        });
        problem.lower_kw[n] = place
            .lower
            .map_or(f64::NEG_INFINITY, |share| {
                base + between(&problem, &below, share)
            })
            .min(problem.upper_kw[n]);
    }
    for (g, share) in ceilings.iter().enumerate() {
        let inside: Vec<usize> = all
            .iter()
            .copied()
            .filter(|&i| fleet.resource_group[i] == Some(g))
            .collect();
        if let Some(share) = share {
            problem.ceiling_kw[g] = between(&problem, &inside, *share);
        }
    }
    (fleet, problem)
}

/// A share of the way from the least to the most that some resources draw; beyond both ends by what one would draw.
fn between(problem: &Problem, members: &[usize], share: f64) -> f64 {
    let low: f64 = members.iter().map(|&i| problem.low_kw[i]).sum();
    let high: f64 = members.iter().map(|&i| problem.high_kw[i]).sum();
    low + share * (high - low).max(1.0)
}
