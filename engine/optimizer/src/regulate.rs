//! Regulation at one instant: where each resource shall be now, so that all together follow the grid's target inside
//! every limit and, where possible, every aggregator's commitment, at least cost against the plan.
//!
//! [`Regulator`] is the solver that a control loop keeps; [`reference()`] is the same linear program through a general
//! solver, the oracle that it is tested against; [`check`] has code of its own. Power is positive when a resource draws
//! from the grid.
//!
//! How the fast solver works: what a resource draws is a step function of the price, so what any part of the forest
//! draws is a sum of steps, cut at its limits. One number, the price of the total, is searched; each node that cuts has
//! a price of its own, searched in its own part. That is exact, since the limits form a forest (merging convex curves
//! up a tree, as in resource allocation under nested constraints). Eight prices are tried in one pass, and what cannot
//! change between the two that hold the goal is left out of the next. Commitments cut across the forest: few rows, whose
//! prices are found from outside by a Newton method on the dual: first in a sample, then among those near enough to its
//! prices to move. A lower bound from the prices of all proves each answer.
//!
//! ```
//! use vpp_optimizer::regulate::{Answer, Fleet, Penalties, Problem, Regulator, Status};
//!
//! // Two chargers at 5 kW behind one feeder. The grid asks for 8 kW less; moving the first costs less, but it can
//! // only go down by 5 kW.
//! let fleet = Fleet {
//!     resource_node: vec![Some(0); 2],
//!     resource_group: vec![None; 2],
//!     node_parent: vec![None],
//!     group_count: 0,
//! };
//! let problem = Problem {
//!     low_kw: vec![0.0; 2],
//!     high_kw: vec![10.0; 2],
//!     plan_kw: vec![5.0; 2],
//!     rise_price: vec![0.1; 2],
//!     fall_price: vec![0.1, 0.3],
//!     upper_kw: vec![20.0],
//!     lower_kw: vec![-20.0],
//!     base_kw: vec![4.0],
//!     ceiling_kw: vec![],
//!     target_kw: 2.0,
//!     penalties: Penalties::default(),
//! };
//! let (mut regulator, mut answer) = (Regulator::new(), Answer::default());
//! regulator.set_fleet(&fleet)?;
//! let status = regulator.solve(&problem, &mut answer, &|| false)?;
//! assert_eq!(status, Status::Optimal);
//! assert!(answer.draw_kw[0].abs() < 1e-9 && (answer.draw_kw[1] - 2.0).abs() < 1e-9);
//! assert!((answer.objective - 1.4).abs() < 1e-9);
//! # Ok::<(), vpp_optimizer::regulate::RegulateError>(())
//! ```

mod allocation;
mod answer;
mod bracket;
pub mod check;
mod commitments;
mod dense;
mod forest;
mod layout;
mod market;
mod part;
mod price;
mod problem;
mod ramps;
mod reduced;
mod reference;
mod regulator;
mod report;
mod search;
mod select;
mod settle;
mod snap;
mod steps;
mod validate;

pub use answer::{Answer, OPTIMAL, Status};
pub use problem::{Fleet, Penalties, Problem};
pub use reference::{Program, Reference, reference};
pub use regulator::Regulator;
pub use validate::{Place, RegulateError};
