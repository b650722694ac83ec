//! Scenario files, their import from public data, and the simulated world behind the aggregators.
//!
//! A scenario is one TOML file: who and what there is, how vehicles come and go, what the grid asks. [`mod@format`] holds
//! the types, [`Scenario::parse`] reads and checks a file, [`import`] distils one from public data sets, [`draw`] turns
//! its tables into draws, [`estimate`] foresees its load. Nothing here decides how stations are dispatched.

pub mod draw;
pub mod estimate;
pub mod format;
pub mod import;
pub mod price;
pub mod problem;
pub mod record;
pub mod schema;
pub mod stays;
pub mod sweep;
pub mod template;
pub mod world;

mod build;
mod calls;
mod check;
mod fault;
mod generate;
mod merge;
mod parse;
mod sources;

pub use format::Scenario;
pub use parse::{LoadError, MAX_FILE_BYTES};
pub use problem::Problem;
pub use sources::{MAX_FILES, MAX_INCLUDE_DEPTH};
