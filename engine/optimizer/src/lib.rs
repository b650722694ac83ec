//! Shares the flexibility of many batteries between limits and programmes: [`Problem`] in, [`Solution`] out.
//!
//! A problem has *resources* (batteries behind one connection each), a forest of *nodes* with limits on what flows
//! through them, and *requirements*: demand response, regulation, peak shaving. It knows nothing of stations, clocks or
//! wires. Power is positive when a resource draws from the grid; "up" regulation means drawing less.
//!
//! - [`solve`]: the best schedule, by a solver made for this problem; stopped early, the best so far.
//! - [`reference::solve`]: the same linear program by a general solver, slower. Late or stuck, it is an error.
//! - [`bid::bid()`]: what to offer on a market of energy and regulation.
//! - [`rules()`]: a fair schedule at once, by plain rules.
//! - [`check::violations`]: whether a solution keeps every hard limit, by code of its own.
//!
//! Hard limits (power, ramps, stored energy, warranty, nodes) hold in every solution. What cannot be kept is reported
//! and priced, in this order of importance: overload of a node, departure energy, demand response and peak ceilings,
//! regulation, economics. So every valid problem has a solution that says what it could not keep.
//!
//! ```
//! use vpp_optimizer::{Node, Penalties, Problem, Resource, solve};
//!
//! // One battery that must gain 5 kWh within two hours; the second is cheaper. Its feeder has 6 kW to spare.
//! let battery = Resource {
//!     node: Some(0),
//!     charge_max_kw: vec![10.0; 2],
//!     discharge_max_kw: vec![0.0; 2],
//!     power_min_kw: vec![f64::NEG_INFINITY; 2],
//!     power_max_kw: vec![f64::INFINITY; 2],
//!     energy_min_kwh: vec![0.0, 5.0],
//!     energy_max_kwh: vec![20.0; 2],
//!     charge_efficiency: 1.0,
//!     discharge_efficiency: 1.0,
//!     initial_power_kw: 0.0,
//!     ramp_kw_per_h: f64::INFINITY,
//!     throughput_max_kwh: f64::INFINITY,
//!     energy_price: vec![0.9, 0.3],
//!     feed_in_price: vec![0.0; 2],
//!     wear: 0.0,
//!     terminal_value: 0.0,
//!     regulates: false,
//! };
//! let feeder = Node {
//!     parent: None,
//!     import_limit_kw: vec![10.0; 2],
//!     export_limit_kw: vec![10.0; 2],
//!     base_kw: vec![4.0; 2],
//! };
//! let problem = Problem {
//!     intervals_h: vec![1.0; 2],
//!     resources: vec![battery],
//!     nodes: vec![feeder],
//!     requirements: vec![],
//!     penalties: Penalties::default(),
//! };
//! let solution = solve(&problem, None, &|| false)?;
//! assert!((solution.schedule[0].net_kw(1) - 5.0).abs() < 1e-6);
//! assert!((solution.objective - 1.5).abs() < 1e-6);
//! # Ok::<(), vpp_optimizer::ProblemError>(())
//! ```

// The tests of private parts share their random problems with those of the public ones.
#[cfg(test)]
extern crate self as vpp_optimizer;
#[cfg(test)]
#[path = "../tests/random/mod.rs"]
mod random;

mod alone;
mod apart;
mod aside;
mod extended;
mod fast;
mod finish;
mod frame;
mod limits;
mod reach;
mod repair;
mod score;
mod stop;

pub mod bid;
pub mod check;
pub mod problem;
pub mod reference;
pub mod regulate;
pub mod rules;
pub mod solution;
mod solve;
pub mod validate;

pub use problem::{Direction, Node, Penalties, Problem, Requirement, Resource};
#[cfg(feature = "highs")]
pub use reference::HighsMethod;
pub use reference::{Backend, Options, SolveError};
pub use rules::rules;
pub use solution::{
    NodePrices, Overload, Prices, Relaxation, RelaxedLimit, RequirementPrices, ResourceSchedule,
    Shortfall, Solution, Status,
};
pub use solve::solve;
pub use validate::{Place, ProblemError, validate};
