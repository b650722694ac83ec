//! A station, its piles, and who operates it.

use crate::{AggregatorId, Invalid, NodeId, Power, StationId};

/// Who operates stations.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregator {
    /// Its name in topics and commands.
    pub id: AggregatorId,
    /// Its name for people.
    pub display_name: String,
    /// How much of what its stations seemed able to do they kept in a capability test, 0 to 1; none: never tested.
    pub tested_share: Option<f64>,
}

impl Aggregator {
    /// Checks that the values can be.
    ///
    /// # Errors
    /// A share outside 0 to 1.
    pub fn check(&self) -> Result<(), Invalid> {
        match self.tested_share {
            Some(share) if !(0.0..=1.0).contains(&share) => Err(Invalid::new(
                "tested_share",
                format!("{share} is outside 0 to 1"),
            )),
            _ => Ok(()),
        }
    }
}

/// What a station does for vehicles.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum StationKind {
    /// Vehicles plug in.
    Charging,
    /// Batteries are exchanged and charged in racks.
    Swap,
}

/// How a pile charges.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum PileKind {
    /// Alternating current, slow.
    Ac,
    /// Direct current, fast.
    Dc,
}

/// A group of like piles of a station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pile {
    /// Alternating or direct current.
    pub kind: PileKind,
    /// How many.
    pub count: u32,
    /// The most that one draws; positive.
    pub rated_power: Power,
    /// The most that one can export, as a magnitude; zero where it cannot.
    pub discharge_power: Power,
}

/// A station: the unit that receives commands.
#[derive(Clone, Debug, PartialEq)]
pub struct Station {
    /// Its name.
    pub id: StationId,
    /// Who operates it.
    pub aggregator: AggregatorId,
    /// The node of the electric tree that feeds it.
    pub node: NodeId,
    /// Charging or swap.
    pub kind: StationKind,
    /// Its piles, in groups.
    pub piles: Vec<Pile>,
    /// The most that the connection may draw; positive.
    pub import_limit: Power,
    /// The most that the connection may export, as a magnitude; not negative.
    pub export_limit: Power,
    /// How fast its power can change, per second; positive.
    pub ramp_per_second: Power,
    /// The ceiling on its draw while no command is in force: what it does when it hears nothing. Not negative (nobody
    /// exports unasked), within the import limit.
    pub default_setpoint: Power,
    /// Share of the energy drawn that reaches the batteries, in (0, 1].
    pub charge_efficiency: f64,
    /// Share of the energy taken from the batteries that reaches the grid, in (0, 1].
    pub discharge_efficiency: f64,
    /// Whether it is enrolled in frequency regulation.
    pub regulates: bool,
}

impl Station {
    /// Number of piles.
    #[must_use]
    pub fn pile_count(&self) -> u64 {
        self.piles.iter().map(|pile| u64::from(pile.count)).sum()
    }

    /// Number of piles that can export.
    #[must_use]
    pub fn v2g_pile_count(&self) -> u64 {
        let exporting = self
            .piles
            .iter()
            .filter(|pile| pile.discharge_power > Power::ZERO);
        exporting.map(|pile| u64::from(pile.count)).sum()
    }

    /// The most that it can draw: rated power of all piles, within the connection.
    #[must_use]
    pub fn rated_draw(&self) -> Power {
        let piles: Power = self
            .piles
            .iter()
            .map(|pile| times(pile.rated_power, pile.count))
            .sum();
        piles.min(self.import_limit)
    }

    /// The most that it can export, as a magnitude.
    #[must_use]
    pub fn rated_export(&self) -> Power {
        let piles: Power = self
            .piles
            .iter()
            .map(|pile| times(pile.discharge_power, pile.count))
            .sum();
        piles.min(self.export_limit)
    }

    /// Checks the station by itself.
    ///
    /// # Errors
    /// The first field that breaks a rule.
    pub fn check(&self) -> Result<(), Invalid> {
        positive("import_limit_kw", self.import_limit)?;
        not_negative("export_limit_kw", self.export_limit)?;
        positive("ramp_kw_per_second", self.ramp_per_second)?;
        not_negative("default_setpoint_kw", self.default_setpoint)?;
        if self.default_setpoint > self.import_limit {
            return Err(Invalid::new(
                "default_setpoint_kw",
                format!(
                    "{} is above the import limit {}",
                    self.default_setpoint, self.import_limit
                ),
            ));
        }
        for (field, efficiency) in [
            ("charge_efficiency", self.charge_efficiency),
            ("discharge_efficiency", self.discharge_efficiency),
        ] {
            if !(efficiency > 0.0 && efficiency <= 1.0) {
                return Err(Invalid::new(
                    field,
                    format!("{efficiency} is outside (0, 1]"),
                ));
            }
        }
        if self.piles.is_empty() {
            return Err(Invalid::new("piles", "is empty"));
        }
        for (position, pile) in self.piles.iter().enumerate() {
            let within = |invalid: Invalid| invalid.within(&format!("piles[{position}]"));
            if pile.count == 0 || pile.count > 100_000 {
                let problem = format!("{} is outside 1..=100000", pile.count);
                return Err(within(Invalid::new("count", problem)));
            }
            positive("rated_power_kw", pile.rated_power).map_err(within)?;
            not_negative("discharge_power_kw", pile.discharge_power).map_err(within)?;
        }
        Ok(())
    }
}

fn times(power: Power, count: u32) -> Power {
    Power::from_watts(power.as_watts() * i64::from(count))
}

fn positive(field: &str, power: Power) -> Result<(), Invalid> {
    if power > Power::ZERO {
        return Ok(());
    }
    Err(Invalid::new(field, format!("{power} is not positive")))
}

fn not_negative(field: &str, power: Power) -> Result<(), Invalid> {
    if power >= Power::ZERO {
        return Ok(());
    }
    Err(Invalid::new(field, format!("{power} is negative")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rated_power_stays_within_the_connection() {
        let piles = Pile {
            kind: PileKind::Ac,
            count: 10,
            rated_power: Power::from_watts(7_000),
            discharge_power: Power::from_watts(5_000),
        };
        let station = Station {
            id: StationId::new("s").unwrap(),
            aggregator: AggregatorId::new("a").unwrap(),
            node: NodeId::new("f").unwrap(),
            kind: StationKind::Charging,
            piles: vec![piles],
            import_limit: Power::from_watts(60_000),
            export_limit: Power::from_watts(40_000),
            ramp_per_second: Power::from_watts(5_000),
            default_setpoint: Power::ZERO,
            charge_efficiency: 0.95,
            discharge_efficiency: 0.95,
            regulates: false,
        };
        assert_eq!(station.rated_draw(), station.import_limit);
        assert_eq!(station.rated_export(), station.export_limit);
        assert_eq!((station.pile_count(), station.v2g_pile_count()), (10, 10));
    }
}
