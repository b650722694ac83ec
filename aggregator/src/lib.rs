//! The aggregator's side of the plant.

pub mod site;
