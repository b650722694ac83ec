//! How a pile is fed, and in what unit it takes its limits.

use vpp_core::{Invalid, Power};

use super::order::{Limit, RateUnit};

/// By IEC 61851-1 a vehicle charges with 6 A or not at all.
pub const LEAST_AMPERES: i64 = 6;
/// Numbers above are refused: no controller has so many piles, and profile numbers are made of them.
pub const MAX_CONNECTOR: u32 = 100_000;
/// No supply of a pile has a higher voltage, V.
const MAX_VOLTS: u16 = 1_000;

/// How many phases charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phases {
    /// One.
    One,
    /// Two.
    Two,
    /// Three.
    Three,
}

impl Phases {
    /// Their number.
    #[must_use]
    pub const fn count(self) -> u8 {
        match self {
            Phases::One => 1,
            Phases::Two => 2,
            Phases::Three => 3,
        }
    }
}

/// Alternating current, between phase and neutral.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ac {
    phases: Phases,
    nominal_volts: u16,
    highest_volts: u16,
}

impl Ac {
    /// From the nominal voltage and the highest that the supply may have, V. A limit in amperes is worked out with the
    /// highest: with less the pile draws less than it was told, never more.
    ///
    /// # Errors
    /// When a voltage is zero or above 1,000 V, or the highest is below the nominal one.
    pub fn new(phases: Phases, nominal_volts: u16, highest_volts: u16) -> Result<Ac, Invalid> {
        if nominal_volts == 0 || highest_volts < nominal_volts || highest_volts > MAX_VOLTS {
            let problem = format!(
                "nominal {nominal_volts} V, highest {highest_volts} V: not in order within 1 V to {MAX_VOLTS} V"
            );
            return Err(Invalid::new("highest_volts", problem));
        }
        Ok(Ac {
            phases,
            nominal_volts,
            highest_volts,
        })
    }

    /// 220 V, at most 236 V: 7 % more, as GB/T 12325 allows (its text was not at hand: unverified).
    #[must_use]
    pub const fn at_220_volts(phases: Phases) -> Ac {
        Ac {
            phases,
            nominal_volts: 220,
            highest_volts: 236,
        }
    }

    /// How many phases charge.
    #[must_use]
    pub const fn phases(self) -> Phases {
        self.phases
    }

    /// Power of a current per phase at the nominal voltage, W.
    #[must_use]
    pub fn nominal_watts(self, amperes: f64, phases: Phases) -> f64 {
        amperes * f64::from(phases.count()) * f64::from(self.nominal_volts)
    }

    /// Watts of one ampere per phase, at the highest voltage.
    fn watts_per_ampere(self) -> i64 {
        i64::from(self.phases.count()) * i64::from(self.highest_volts)
    }
}

/// How a pile is fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// Alternating current: the vehicle rectifies.
    Ac(Ac),
    /// Direct current: the pile rectifies.
    Dc {
        /// The least that it charges with; zero where any power is possible.
        least: Power,
    },
}

/// How a pile, or a whole station, is fed and in what unit it takes its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wiring {
    supply: Supply,
    unit: RateUnit,
}

impl Wiring {
    /// Of a supply and a unit (`ChargingScheduleAllowedChargingRateUnit` of the pile's configuration says which).
    ///
    /// # Errors
    /// Amperes of direct current are those of the battery, whose voltage nobody here knows; a negative least power.
    pub fn new(supply: Supply, unit: RateUnit) -> Result<Wiring, Invalid> {
        if let Supply::Dc { least } = supply {
            if unit == RateUnit::Amperes {
                let problem = "amperes of direct current say nothing of power";
                return Err(Invalid::new("unit", problem));
            }
            if least < Power::ZERO {
                return Err(Invalid::new("least", format!("{least} is negative")));
            }
        }
        Ok(Wiring { supply, unit })
    }

    /// In what it takes its limits.
    #[must_use]
    pub const fn unit(self) -> RateUnit {
        self.unit
    }

    /// How it is fed.
    #[must_use]
    pub const fn supply(self) -> Supply {
        self.supply
    }

    /// The least that it charges with, for [`PileReading::min_charge`](crate::PileReading): 6 A on all of its phases at the
    /// highest voltage, so that whatever is told from there up is at least 6 A at any voltage.
    #[must_use]
    pub fn least(self) -> Power {
        match self.supply {
            Supply::Ac(ac) => Power::from_watts(LEAST_AMPERES * ac.watts_per_ampere()),
            Supply::Dc { least } => least,
        }
    }

    /// `numberPhases` of a schedule; none for direct current, where stations refuse it.
    pub(super) fn number_phases(self) -> Option<u8> {
        match self.supply {
            Supply::Ac(ac) => Some(ac.phases.count()),
            Supply::Dc { .. } => None,
        }
    }

    /// A power as a limit, rounded down to what the unit can say.
    pub(super) fn limit(self, power: Power) -> Limit {
        let tenths_of_watts = power
            .as_watts()
            .checked_mul(10)
            .expect("a power in tenths of a watt overflows");
        match (self.unit, self.supply) {
            (RateUnit::Amperes, Supply::Ac(ac)) => {
                Limit::from_tenths(tenths_of_watts.div_euclid(ac.watts_per_ampere()))
            }
            _ => Limit::from_tenths(tenths_of_watts),
        }
    }

    /// A ceiling as a limit: what is too little to charge with is nothing. Some piles take less than 6 A for 6 A.
    pub(super) fn ceiling(self, ceiling: Power) -> Limit {
        if ceiling < self.least() {
            return Limit::from_tenths(0);
        }
        self.limit(ceiling)
    }
}

/// A pile as its controller knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connector {
    number: u32,
    wiring: Wiring,
    discharges: bool,
}

impl Connector {
    /// A pile that charges only. `number` is `connectorId` of OCPP 1.6 and `evseId` of 2.x, from 1.
    ///
    /// # Errors
    /// When the number is zero, which is the whole station, or above [`MAX_CONNECTOR`].
    pub fn charging(number: u32, wiring: Wiring) -> Result<Connector, Invalid> {
        if number == 0 || number > MAX_CONNECTOR {
            let problem = format!("{number} is outside 1 to {MAX_CONNECTOR}");
            return Err(Invalid::new("number", problem));
        }
        Ok(Connector {
            number,
            wiring,
            discharges: false,
        })
    }

    /// A pile that also discharges the vehicle that is plugged in now.
    ///
    /// # Errors
    /// As [`Connector::charging`]; and in amperes, because OCPP 2.1 leaves open whether a setpoint in amperes is that of one
    /// phase or the sum of all.
    pub fn bidirectional(number: u32, wiring: Wiring) -> Result<Connector, Invalid> {
        if wiring.unit == RateUnit::Amperes {
            let problem = "a setpoint in amperes can be read in two ways; take watts";
            return Err(Invalid::new("unit", problem));
        }
        Ok(Connector {
            discharges: true,
            ..Connector::charging(number, wiring)?
        })
    }

    /// Its number at the controller.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// How it is fed.
    #[must_use]
    pub const fn wiring(&self) -> Wiring {
        self.wiring
    }

    /// Whether it discharges.
    #[must_use]
    pub const fn discharges(&self) -> bool {
        self.discharges
    }
}
