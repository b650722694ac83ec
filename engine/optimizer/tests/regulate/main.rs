//! The fast solver of one instant, against the same program through a general solver, by hand, and against itself.

mod large;
mod properties;
mod random;
mod refusals;
mod tables;
