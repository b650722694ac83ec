//! Refuses a fleet or a problem that has no meaning, naming where it is wrong.

use super::problem::{Fleet, Problem};
use super::ramps::vectorized;

/// Why a fleet or a problem was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RegulateError {
    /// A field has not one entry for each resource, node or group of the fleet.
    #[error("{field}: {found} entries for {expected}")]
    Length {
        /// Which field.
        field: &'static str,
        /// Its length.
        found: usize,
        /// Number of resources, nodes or groups.
        expected: usize,
    },
    /// An index points at nothing.
    #[error("{place} {field}: there is no {index}")]
    Index {
        /// Where.
        place: Place,
        /// Which field.
        field: &'static str,
        /// The index.
        index: usize,
    },
    /// A node is its own ancestor.
    #[error("node {node} is its own ancestor")]
    Cycle {
        /// One node on the cycle.
        node: usize,
    },
    /// More resources or nodes than can be counted in 32 bits.
    #[error("{field}: {found} entries are too many")]
    Size {
        /// Which field.
        field: &'static str,
        /// Its length.
        found: usize,
    },
    /// A number is NaN, infinite where it may not be, or out of its range.
    #[error("{place} {field}: {value} is not {expected}")]
    Value {
        /// Where.
        place: Place,
        /// Which field.
        field: &'static str,
        /// The number.
        value: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// A lower limit lies above the upper one.
    #[error("{place}: lower limit {lower} kW is above upper limit {upper} kW")]
    Contradiction {
        /// Where.
        place: Place,
        /// The lower limit, kW.
        lower: f64,
        /// The upper limit, kW.
        upper: f64,
    },
    /// Moving a resource off its plan and back would earn money.
    #[error("{place}: rise_price {rise} and fall_price {fall} add up to less than 0")]
    NotConvex {
        /// Where.
        place: Place,
        /// CNY/kWh.
        rise: f64,
        /// CNY/kWh.
        fall: f64,
    },
    /// The penalties do not rank overload, commitments, tracking and prices in this order.
    #[error("{place}: {lower} {less} must be below {higher} {more}")]
    Order {
        /// Where.
        place: Place,
        /// The one that must be lower.
        lower: &'static str,
        /// Its value, CNY/kWh.
        less: f64,
        /// The one that must be higher.
        higher: &'static str,
        /// Its value, CNY/kWh.
        more: f64,
    },
    /// A problem came before any fleet.
    #[error("no fleet has been set")]
    NoFleet,
    /// The reference solver came to no end.
    #[error("the reference found no optimum: {ending}")]
    Unsolved {
        /// The solver's word for how it ended.
        ending: String,
    },
}

/// Where in a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The problem itself.
    Problem,
    /// A resource, by index.
    Resource(usize),
    /// A node, by index.
    Node(usize),
    /// A group, by index.
    Group(usize),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Problem => write!(f, "problem"),
            Self::Resource(index) => write!(f, "resource {index}"),
            Self::Node(index) => write!(f, "node {index}"),
            Self::Group(index) => write!(f, "group {index}"),
        }
    }
}

type Checked = Result<(), RegulateError>;

/// Checks a fleet. That no node is its own ancestor shows when the forest is walked.
pub(super) fn fleet(fleet: &Fleet) -> Checked {
    let (resources, nodes) = (fleet.resource_node.len(), fleet.node_parent.len());
    for (field, found) in [("resource_node", resources), ("node_parent", nodes)] {
        if u32::try_from(found).is_err() {
            return Err(RegulateError::Size { field, found });
        }
    }
    length("resource_group", fleet.resource_group.len(), resources)?;
    indices("node", &fleet.resource_node, nodes, Place::Resource)?;
    indices(
        "group",
        &fleet.resource_group,
        fleet.group_count,
        Place::Resource,
    )?;
    indices("parent", &fleet.node_parent, nodes, Place::Node)
}

fn length(field: &'static str, found: usize, expected: usize) -> Checked {
    if found == expected {
        return Ok(());
    }
    Err(RegulateError::Length {
        field,
        found,
        expected,
    })
}

fn indices(
    field: &'static str,
    values: &[Option<usize>],
    count: usize,
    place: fn(usize) -> Place,
) -> Checked {
    let wrong = |value: &Option<usize>| value.is_some_and(|index| index >= count);
    match values.iter().position(wrong) {
        Some(at) => Err(RegulateError::Index {
            place: place(at),
            field,
            index: values[at].unwrap_or_default(),
        }),
        None => Ok(()),
    }
}

/// Checks a problem of a fleet with so many resources, nodes and groups.
pub(super) fn problem(p: &Problem, resources: usize, nodes: usize, groups: usize) -> Checked {
    for (field, values) in [
        ("low_kw", &p.low_kw),
        ("high_kw", &p.high_kw),
        ("plan_kw", &p.plan_kw),
        ("rise_price", &p.rise_price),
        ("fall_price", &p.fall_price),
    ] {
        length(field, values.len(), resources)?;
        every(field, values, Place::Resource, f64::is_finite, "finite")?;
    }
    length("upper_kw", p.upper_kw.len(), nodes)?;
    length("lower_kw", p.lower_kw.len(), nodes)?;
    length("base_kw", p.base_kw.len(), nodes)?;
    length("ceiling_kw", p.ceiling_kw.len(), groups)?;
    every("base_kw", &p.base_kw, Place::Node, f64::is_finite, "finite")?;
    every(
        "upper_kw",
        &p.upper_kw,
        Place::Node,
        is_upper,
        "a number or positive infinity",
    )?;
    every(
        "lower_kw",
        &p.lower_kw,
        Place::Node,
        is_lower,
        "a number or negative infinity",
    )?;
    every(
        "ceiling_kw",
        &p.ceiling_kw,
        Place::Group,
        is_upper,
        "a number or positive infinity",
    )?;
    value(
        Place::Problem,
        "target_kw",
        p.target_kw,
        f64::is_finite,
        "finite",
    )?;
    ordered(&p.low_kw, &p.high_kw, Place::Resource)?;
    ordered(&p.lower_kw, &p.upper_kw, Place::Node)?;
    penalties(p)?;
    prices(p)
}

fn is_upper(value: f64) -> bool {
    value > f64::NEG_INFINITY
}

fn is_lower(value: f64) -> bool {
    value < f64::INFINITY
}

fn value(
    place: Place,
    field: &'static str,
    value: f64,
    good: impl Fn(f64) -> bool,
    expected: &'static str,
) -> Checked {
    if good(value) {
        return Ok(());
    }
    Err(RegulateError::Value {
        place,
        field,
        value,
        expected,
    })
}

fn every(
    field: &'static str,
    values: &[f64],
    place: fn(usize) -> Place,
    good: impl Fn(f64) -> bool,
    expected: &'static str,
) -> Checked {
    // First whether there is one at all: without a way out of the loop, it runs on vector instructions.
    let any = vectorized(|| values.iter().fold(false, |bad, &value| bad | !good(value)));
    let wrong = any.then(|| values.iter().position(|&value| !good(value)));
    match wrong.flatten() {
        Some(at) => value(place(at), field, values[at], good, expected),
        None => Ok(()),
    }
}

fn ordered(lower: &[f64], upper: &[f64], place: fn(usize) -> Place) -> Checked {
    let pairs = || lower.iter().zip(upper);
    let any = vectorized(|| pairs().fold(false, |bad, (lower, upper)| bad | (lower > upper)));
    let wrong = any.then(|| pairs().position(|(lower, upper)| lower > upper));
    match wrong.flatten() {
        Some(at) => Err(RegulateError::Contradiction {
            place: place(at),
            lower: lower[at],
            upper: upper[at],
        }),
        None => Ok(()),
    }
}

fn penalties(p: &Problem) -> Checked {
    let ranked = [
        ("overload", p.penalties.overload),
        ("commitment", p.penalties.commitment),
        ("tracking", p.penalties.tracking),
    ];
    let positive = |value: f64| value.is_finite() && value > 0.0;
    for (field, penalty) in ranked {
        value(
            Place::Problem,
            field,
            penalty,
            positive,
            "finite and above 0",
        )?;
    }
    for pair in ranked.windows(2) {
        order(Place::Problem, pair[1], pair[0])?;
    }
    Ok(())
}

fn order(place: Place, low: (&'static str, f64), high: (&'static str, f64)) -> Checked {
    let ((lower, less), (higher, more)) = (low, high);
    if less < more {
        return Ok(());
    }
    Err(RegulateError::Order {
        place,
        lower,
        less,
        higher,
        more,
    })
}

fn prices(p: &Problem) -> Checked {
    let top = ("tracking", p.penalties.tracking);
    let pairs = || p.rise_price.iter().zip(&p.fall_price);
    let wrong =
        |rise: f64, fall: f64| (rise.abs() >= top.1) | (fall.abs() >= top.1) | (rise + fall < 0.0);
    if !vectorized(|| pairs().fold(false, |bad, (&rise, &fall)| bad | wrong(rise, fall))) {
        return Ok(());
    }
    for (i, (&rise, &fall)) in p.rise_price.iter().zip(&p.fall_price).enumerate() {
        if rise.abs().max(fall.abs()) >= top.1 {
            order(Place::Resource(i), ("rise_price", rise.abs()), top)?;
            order(Place::Resource(i), ("fall_price", fall.abs()), top)?;
        }
        if rise + fall < 0.0 {
            return Err(RegulateError::NotConvex {
                place: Place::Resource(i),
                rise,
                fall,
            });
        }
    }
    Ok(())
}
