//! How well a regulation signal was followed, and what that earns: scores by rule pack.
//!
//! Two families: a composite index over single commands, as Chinese grids use it ([`composite`]), and PJM's performance
//! score over an hour ([`performance`]). Both take what was asked for and what the meter showed, as a [`Record`].

pub mod composite;
pub mod droop;
pub mod performance;

use vpp_core::Invalid;

/// What was asked for and what the meter showed, at one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Seconds since some instant; grows from sample to sample.
    pub at_s: f64,
    /// Regulation asked for, kW. Positive: draw less.
    pub asked_kw: f64,
    /// Regulation measured, kW: baseline less draw.
    pub got_kw: f64,
}

/// Samples of one plant, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    rated_kw: f64,
    samples: Vec<Sample>,
}

impl Record {
    /// A record of a plant that may be asked for `rated_kw` up or down.
    ///
    /// # Errors
    /// A rated power that is not positive; fewer than two samples; a number that is not finite; time that does not grow.
    pub fn new(rated_kw: f64, samples: Vec<Sample>) -> Result<Record, Invalid> {
        if !(rated_kw.is_finite() && rated_kw > 0.0) {
            let problem = format!("{rated_kw} is no positive power");
            return Err(Invalid::new("rated_kw", problem));
        }
        if samples.len() < 2 {
            let problem = format!("{} are too few: at least 2 are needed", samples.len());
            return Err(Invalid::new("samples", problem));
        }
        for (position, sample) in samples.iter().enumerate() {
            for (field, value) in [
                ("at_s", sample.at_s),
                ("asked_kw", sample.asked_kw),
                ("got_kw", sample.got_kw),
            ] {
                if !value.is_finite() {
                    let problem = format!("{value} is not a finite number");
                    return Err(Invalid::new(
                        format!("samples[{position}].{field}"),
                        problem,
                    ));
                }
            }
            if position > 0 && sample.at_s <= samples[position - 1].at_s {
                let problem = format!("{} s does not come after the sample before", sample.at_s);
                return Err(Invalid::new(format!("samples[{position}].at_s"), problem));
            }
        }
        Ok(Record { rated_kw, samples })
    }

    /// The most that may be asked for, up or down, kW.
    #[must_use]
    pub fn rated_kw(&self) -> f64 {
        self.rated_kw
    }

    /// The samples, in the order of time.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// `Σ |asked − asked before|`, kW: how far the signal travelled.
    #[must_use]
    pub fn asked_mileage_kw(&self) -> f64 {
        let pairs = self.samples.windows(2);
        pairs
            .map(|pair| (pair[1].asked_kw - pair[0].asked_kw).abs())
            .sum()
    }
}

#[cfg(test)]
mod tests;
