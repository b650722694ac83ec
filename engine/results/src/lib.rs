//! What a replayed scenario leaves behind: a folder with tables (Parquet), a summary (JSON) and a report (HTML).
//!
//! The folder alone is enough to make the report anew, to compare two runs, and to answer an analyst's own questions in
//! any tool that reads Parquet. `docs/results.md` names every table and column.
//!
//! Every instant is UTC, every power in kW and positive when it is drawn from the grid, every column names its unit. No
//! file holds a time of day, a host name or a path: two runs of one scenario give the same bytes.
//!
//! ```no_run
//! use vpp_results::{Header, Summary, Tables};
//! # fn main() -> Result<(), vpp_results::Error> {
//! # let (folder, header, row) = (std::path::Path::new("out"), Header::default(), vpp_results::rows::System::default());
//! let mut tables = Tables::create(folder)?;
//! tables.system.push(row)?;
//! tables.finish()?;
//! let summary = Summary::derive(folder, header)?;
//! summary.write(folder)?;
//! # Ok(())
//! # }
//! ```

mod error;
pub mod files;

pub mod schema;
pub mod sheet;

pub mod rows;

mod reader;
mod writer;

mod summary;
pub mod sweep;

pub mod compare;
pub mod report;

pub use error::Error;
pub use reader::{Reader, open, read};
pub use schema::{Date, Text, Timestamp};
pub use summary::{
    Energy, Events, Header, Limits, Messages, Money, Periods, Regulation, Reliability, RulePack,
    SUMMARY_FILE, ShortCauses, Summary, Vehicles,
};
pub use writer::{GROUP_ROWS, PausedTables, Tables, Writer};

/// The version of tables and summary together. It grows when a column changes its meaning or goes.
pub const FORMAT: u32 = 1;
