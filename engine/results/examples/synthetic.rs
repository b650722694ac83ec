//! Writes a made-up run and its report, to look at: `synthetic FOLDER [DAYS STATIONS INTERVAL_S SEED]`.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)] // made-up figures

use std::path::Path;

use vpp_results::report;

#[path = "../tests/synthetic/mod.rs"]
mod synthetic;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("a folder is missing")?;
    let mut number = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse());
    let size = synthetic::Size {
        days: number(1)?.try_into()?,
        stations: number(200)?.try_into()?,
        interval_s: number(900)?.try_into()?,
        seed: number(1)?,
    };
    let folder = Path::new(&folder);
    synthetic::write(folder, size)?;
    report::write(folder, report::Language::English)?;
    Ok(())
}
