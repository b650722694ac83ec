//! Refuses a problem that has no meaning, naming where it is wrong. Contradictions that have a meaning (a need that
//! cannot be met, a base load above its limit) are not errors: they come back as shortfalls.

use crate::problem::{Node, Penalties, Problem, Requirement, Resource};
use crate::solution::ResourceSchedule;

/// Why a problem was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProblemError {
    /// There are no intervals.
    #[error("the horizon is empty")]
    EmptyHorizon,
    /// A field has not one entry for each interval.
    #[error("{place} {field}: {found} entries for {expected} intervals")]
    Length {
        /// Where.
        place: Place,
        /// Which field.
        field: &'static str,
        /// Its length.
        found: usize,
        /// Number of intervals.
        expected: usize,
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
    /// No net draw satisfies the limits of power, or no energy those of energy.
    #[error("{place} interval {interval}: least {quantity} {min} is above greatest {max}")]
    Contradiction {
        /// Where.
        place: Place,
        /// `power` or `energy`.
        quantity: &'static str,
        /// Interval.
        interval: usize,
        /// Lower bound.
        min: f64,
        /// Upper bound.
        max: f64,
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
    /// A requirement names a resource twice, or two regulation requirements name the same one.
    #[error("requirement {requirement}: resource {resource} is counted twice")]
    CountedTwice {
        /// Index of the requirement.
        requirement: usize,
        /// Index of the resource.
        resource: usize,
    },
    /// A warm start does not fit the problem.
    #[error(
        "warm start: no schedule for resource {resource} with one finite number for each interval"
    )]
    WarmStart {
        /// Index of the first resource that it does not fit.
        resource: usize,
    },
    /// The penalties do not rank safety, departure energy, commitments and regulation in this order.
    #[error("penalty {lower} must be below penalty {higher}")]
    PenaltyOrder {
        /// The one that must be lower.
        lower: &'static str,
        /// The one that must be higher.
        higher: &'static str,
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
    /// A requirement, by index.
    Requirement(usize),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Problem => write!(f, "problem"),
            Self::Resource(index) => write!(f, "resource {index}"),
            Self::Node(index) => write!(f, "node {index}"),
            Self::Requirement(index) => write!(f, "requirement {index}"),
        }
    }
}

/// The ranges that numbers may have.
#[derive(Clone, Copy)]
enum Range {
    Finite,
    NotNegative,
    /// Not negative, or `INFINITY`.
    Limit,
    Positive,
    /// In (0, 1].
    Efficiency,
    /// Finite or `INFINITY`.
    Above,
    /// Finite or `−INFINITY`.
    Below,
}

impl Range {
    fn contains(self, value: f64) -> bool {
        match self {
            Self::Finite => value.is_finite(),
            Self::NotNegative => value.is_finite() && value >= 0.0,
            Self::Limit => value >= 0.0,
            Self::Positive => value.is_finite() && value > 0.0,
            Self::Efficiency => value > 0.0 && value <= 1.0,
            Self::Above => value > f64::NEG_INFINITY,
            Self::Below => value < f64::INFINITY,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Finite => "finite",
            Self::NotNegative => "finite and at least 0",
            Self::Limit => "at least 0",
            Self::Positive => "finite and above 0",
            Self::Efficiency => "above 0 and at most 1",
            Self::Above => "a number or positive infinity",
            Self::Below => "a number or negative infinity",
        }
    }
}

/// Checks values at one place of a problem.
#[derive(Clone, Copy)]
struct Checker {
    place: Place,
    horizon: usize,
}

impl Checker {
    fn value(self, field: &'static str, value: f64, range: Range) -> Result<(), ProblemError> {
        if range.contains(value) {
            return Ok(());
        }
        Err(ProblemError::Value {
            place: self.place,
            field,
            value,
            expected: range.words(),
        })
    }

    fn series(self, field: &'static str, values: &[f64], range: Range) -> Result<(), ProblemError> {
        if values.len() != self.horizon {
            let (found, expected) = (values.len(), self.horizon);
            return Err(ProblemError::Length {
                place: self.place,
                field,
                found,
                expected,
            });
        }
        values
            .iter()
            .try_for_each(|&value| self.value(field, value, range))
    }

    fn order(
        self,
        quantity: &'static str,
        interval: usize,
        min: f64,
        max: f64,
    ) -> Result<(), ProblemError> {
        if min <= max {
            return Ok(());
        }
        Err(ProblemError::Contradiction {
            place: self.place,
            quantity,
            interval,
            min,
            max,
        })
    }

    fn index(self, field: &'static str, index: usize, len: usize) -> Result<(), ProblemError> {
        if index < len {
            return Ok(());
        }
        Err(ProblemError::Index {
            place: self.place,
            field,
            index,
        })
    }
}

/// Checks a problem; [`crate::solve`] and [`crate::rules()`] do it first.
///
/// # Errors
///
/// The first fault found.
pub fn validate(problem: &Problem) -> Result<(), ProblemError> {
    let horizon = problem.horizon();
    if horizon == 0 {
        return Err(ProblemError::EmptyHorizon);
    }
    let at = |place| Checker { place, horizon };
    at(Place::Problem).series("intervals_h", &problem.intervals_h, Range::Positive)?;
    check_penalties(at(Place::Problem), &problem.penalties)?;
    for (index, node) in problem.nodes.iter().enumerate() {
        check_node(at(Place::Node(index)), node, problem.nodes.len())?;
    }
    check_cycles(&problem.nodes)?;
    for (index, resource) in problem.resources.iter().enumerate() {
        check_resource(at(Place::Resource(index)), resource, problem.nodes.len())?;
    }
    let mut regulates_for = vec![false; problem.resources.len()];
    for (index, requirement) in problem.requirements.iter().enumerate() {
        check_requirement(at(Place::Requirement(index)), requirement, problem)?;
        check_members(index, requirement, &mut regulates_for)?;
    }
    Ok(())
}

/// Whether schedules are such as the problem's resources could have.
pub(crate) fn schedules(
    problem: &Problem,
    schedules: &[ResourceSchedule],
) -> Result<(), ProblemError> {
    let fits = |values: &[f64]| {
        values.len() == problem.horizon() && values.iter().all(|value| value.is_finite())
    };
    let wrong = |plan: &ResourceSchedule| {
        let series = [
            &plan.charge_kw,
            &plan.discharge_kw,
            &plan.up_kw,
            &plan.down_kw,
        ];
        !series.into_iter().all(|values| fits(values))
    };
    let (found, expected) = (schedules.len(), problem.resources.len());
    let other_count = (found != expected).then_some(found.min(expected));
    match schedules.iter().position(wrong).or(other_count) {
        Some(resource) => Err(ProblemError::WarmStart { resource }),
        None => Ok(()),
    }
}

fn check_penalties(at: Checker, penalties: &Penalties) -> Result<(), ProblemError> {
    let ranked = [
        ("overload", penalties.overload),
        ("unmet_energy", penalties.unmet_energy),
        ("demand_response", penalties.demand_response),
        ("regulation", penalties.regulation),
    ];
    for (field, value) in ranked {
        at.value(field, value, Range::Positive)?;
    }
    at.value("peak_ceiling", penalties.peak_ceiling, Range::Positive)?;
    for pair in ranked.windows(2) {
        let ((higher, more), (lower, less)) = (pair[0], pair[1]);
        if less >= more {
            return Err(ProblemError::PenaltyOrder { lower, higher });
        }
    }
    if penalties.peak_ceiling >= penalties.unmet_energy {
        return Err(ProblemError::PenaltyOrder {
            lower: "peak_ceiling",
            higher: "unmet_energy",
        });
    }
    if penalties.regulation >= penalties.peak_ceiling {
        return Err(ProblemError::PenaltyOrder {
            lower: "regulation",
            higher: "peak_ceiling",
        });
    }
    Ok(())
}

fn check_node(at: Checker, node: &Node, nodes: usize) -> Result<(), ProblemError> {
    at.series("import_limit_kw", &node.import_limit_kw, Range::Limit)?;
    at.series("export_limit_kw", &node.export_limit_kw, Range::Limit)?;
    at.series("base_kw", &node.base_kw, Range::Finite)?;
    node.parent
        .map_or(Ok(()), |parent| at.index("parent", parent, nodes))
}

/// Walks upwards from each node until a root or a node that is known to lead to one; a walk that meets itself is a
/// cycle.
fn check_cycles(nodes: &[Node]) -> Result<(), ProblemError> {
    // For each node the walk that has been there; 0 for none.
    let mut walk = vec![0; nodes.len()];
    for start in 0..nodes.len() {
        let mut node = Some(start);
        while let Some(n) = node.filter(|&n| walk[n] == 0) {
            walk[n] = start + 1;
            node = nodes[n].parent;
        }
        if let Some(node) = node.filter(|&n| walk[n] == start + 1) {
            return Err(ProblemError::Cycle { node });
        }
    }
    Ok(())
}

fn check_resource(at: Checker, r: &Resource, nodes: usize) -> Result<(), ProblemError> {
    at.series("charge_max_kw", &r.charge_max_kw, Range::NotNegative)?;
    at.series("discharge_max_kw", &r.discharge_max_kw, Range::NotNegative)?;
    at.series("power_min_kw", &r.power_min_kw, Range::Below)?;
    at.series("power_max_kw", &r.power_max_kw, Range::Above)?;
    at.series("energy_min_kwh", &r.energy_min_kwh, Range::Below)?;
    at.series("energy_max_kwh", &r.energy_max_kwh, Range::Above)?;
    at.series("energy_price", &r.energy_price, Range::Finite)?;
    at.series("feed_in_price", &r.feed_in_price, Range::Finite)?;
    at.value("charge_efficiency", r.charge_efficiency, Range::Efficiency)?;
    at.value(
        "discharge_efficiency",
        r.discharge_efficiency,
        Range::Efficiency,
    )?;
    at.value("initial_power_kw", r.initial_power_kw, Range::Finite)?;
    at.value("ramp_kw_per_h", r.ramp_kw_per_h, Range::Limit)?;
    at.value("throughput_max_kwh", r.throughput_max_kwh, Range::Limit)?;
    at.value("wear", r.wear, Range::Finite)?;
    at.value("terminal_value", r.terminal_value, Range::Finite)?;
    for t in 0..at.horizon {
        let least = r.power_min_kw[t].max(-r.discharge_max_kw[t]);
        let greatest = r.power_max_kw[t].min(r.charge_max_kw[t]);
        at.order("power", t, least, greatest)?;
        at.order("energy", t, r.energy_min_kwh[t], r.energy_max_kwh[t])?;
    }
    r.node.map_or(Ok(()), |node| at.index("node", node, nodes))
}

fn check_requirement(
    at: Checker,
    requirement: &Requirement,
    problem: &Problem,
) -> Result<(), ProblemError> {
    let check_members = |members: &[usize]| {
        members
            .iter()
            .try_for_each(|&i| at.index("members", i, problem.resources.len()))
    };
    match requirement {
        Requirement::DemandResponse {
            members,
            baseline_kw,
            commitment_kw,
            ..
        } => {
            check_members(members)?;
            at.series("baseline_kw", baseline_kw, Range::Finite)?;
            at.series("commitment_kw", commitment_kw, Range::NotNegative)
        }
        Requirement::Regulation {
            members,
            up_kw,
            down_kw,
            sustain_h,
            ..
        } => {
            check_members(members)?;
            at.series("up_kw", up_kw, Range::NotNegative)?;
            at.series("down_kw", down_kw, Range::NotNegative)?;
            at.value("sustain_h", *sustain_h, Range::NotNegative)
        }
        Requirement::PeakShaving {
            node,
            ceiling_kw,
            peak_price,
            ..
        } => {
            at.index("node", *node, problem.nodes.len())?;
            at.series("ceiling_kw", ceiling_kw, Range::Above)?;
            at.value("peak_price", *peak_price, Range::NotNegative)
        }
    }
}

/// No resource twice in one requirement, and none in two regulation requirements.
fn check_members(
    index: usize,
    requirement: &Requirement,
    regulates_for: &mut [bool],
) -> Result<(), ProblemError> {
    let twice = |resource| ProblemError::CountedTwice {
        requirement: index,
        resource,
    };
    match requirement {
        Requirement::DemandResponse { members, .. } => {
            let mut sorted = members.clone();
            sorted.sort_unstable();
            let pair = sorted.windows(2).find(|pair| pair[0] == pair[1]);
            pair.map_or(Ok(()), |pair| Err(twice(pair[0])))
        }
        Requirement::Regulation { members, .. } => members.iter().try_for_each(|&resource| {
            if std::mem::replace(&mut regulates_for[resource], true) {
                return Err(twice(resource));
            }
            Ok(())
        }),
        Requirement::PeakShaving { .. } => Ok(()),
    }
}
