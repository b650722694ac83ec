//! A figure that a message may carry, or why it does not.

use vpp_core::{Invalid, Timestamp};

/// A figure, or the reason for its absence. Nothing is filled in for what was not said.
pub type Figure<T> = Result<T, Absent>;

/// A figure with the instant at which it was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured<T> {
    /// What was measured.
    pub value: T,
    /// When, by the pile's clock.
    pub sampled_at: Timestamp,
}

/// Why a figure is absent. `field` is its path in the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Absent {
    /// The message does not speak of it.
    #[error("{figure} was not reported")]
    NotReported {
        /// The name of the figure.
        figure: &'static str,
    },
    /// No finite number (`NaN`, a comma, nothing).
    #[error("{field}: {text} is not a finite number")]
    NotANumber {
        /// Where.
        field: String,
        /// What is there.
        text: String,
    },
    /// Signed meter data: the number is inside of it.
    #[error("{field}: signed data is not read")]
    Signed {
        /// Where.
        field: String,
    },
    /// A unit that the figure does not have.
    #[error("{field}: unit {unit}, must be {expected}")]
    WrongUnit {
        /// Where.
        field: String,
        /// What is there.
        unit: String,
        /// What may be there.
        expected: &'static str,
    },
    /// No unit, where OCPP has no default for one.
    #[error("{field}: no unit, must be {expected}")]
    NoUnit {
        /// Where.
        field: String,
        /// What may be there.
        expected: &'static str,
    },
    /// Below zero, where the direction is in the name of the figure.
    #[error("{field}: {value} is negative")]
    Negative {
        /// Where.
        field: String,
        /// What is there.
        value: String,
    },
    /// A number that cannot be.
    #[error(transparent)]
    Impossible(#[from] Invalid),
}

/// State of charge of a battery, in hundredths of a percent of its capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StateOfCharge(u16);

impl StateOfCharge {
    /// From percent, to the nearest hundredth.
    ///
    /// # Errors
    /// `field` is refused when it is not within 0 to 100.
    pub fn from_percent(field: &str, percent: f64) -> Result<StateOfCharge, Invalid> {
        if !(0.0..=100.0).contains(&percent) {
            let problem = format!("{percent} % is outside 0 % to 100 %");
            return Err(Invalid::new(field, problem));
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bounded above
        Ok(StateOfCharge((percent * 100.0).round() as u16))
    }

    /// Percent.
    #[must_use]
    pub fn as_percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}
