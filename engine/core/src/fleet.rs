//! Who and what there is: aggregators, stations, and the electric tree that feeds them.

use std::collections::BTreeMap;

use crate::{AggregatorId, ElectricTree, Invalid, Node, Power, StationId};

/// Who operates stations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregator {
    /// Its name in topics and commands.
    pub id: AggregatorId,
    /// Its name for people.
    pub display_name: String,
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
    pub node: crate::NodeId,
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

/// Everything that is registered, addressed by dense index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fleet {
    aggregators: Vec<Aggregator>,
    aggregator_index: BTreeMap<AggregatorId, usize>,
    stations: Vec<Station>,
    station_index: BTreeMap<StationId, usize>,
    station_aggregators: Vec<usize>,
    station_nodes: Vec<usize>,
    tree: ElectricTree,
    /// Sum of default setpoints below each node: what the nodes carry of ours when the engine is silent.
    defaults_below: Vec<Power>,
    /// Sum of the peaks of the base loads at and below each node: what the nodes carry besides, at worst.
    base_below: Vec<Power>,
}

impl Fleet {
    /// All aggregators; the position is the index.
    #[must_use]
    pub fn aggregators(&self) -> &[Aggregator] {
        &self.aggregators
    }

    /// All stations; the position is the index.
    #[must_use]
    pub fn stations(&self) -> &[Station] {
        &self.stations
    }

    /// The electric tree.
    #[must_use]
    pub fn tree(&self) -> &ElectricTree {
        &self.tree
    }

    /// Index of a station by name.
    #[must_use]
    pub fn station_index(&self, id: &StationId) -> Option<usize> {
        self.station_index.get(id).copied()
    }

    /// Index of an aggregator by name.
    #[must_use]
    pub fn aggregator_index(&self, id: &AggregatorId) -> Option<usize> {
        self.aggregator_index.get(id).copied()
    }

    /// Index of the aggregator that operates a station.
    #[must_use]
    pub fn aggregator_of(&self, station: usize) -> usize {
        self.station_aggregators[station]
    }

    /// Index of the node that feeds a station.
    #[must_use]
    pub fn node_of(&self, station: usize) -> usize {
        self.station_nodes[station]
    }

    /// Adds an aggregator.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn insert_aggregator(&mut self, aggregator: Aggregator) -> Result<(), Invalid> {
        if self.aggregator_index.contains_key(&aggregator.id) {
            return Err(Invalid::taken("aggregator_id", &aggregator.id));
        }
        self.aggregator_index
            .insert(aggregator.id.clone(), self.aggregators.len());
        self.aggregators.push(aggregator);
        Ok(())
    }

    /// Changes the display name of an aggregator.
    ///
    /// # Errors
    /// An unknown aggregator.
    pub fn update_aggregator(&mut self, aggregator: Aggregator) -> Result<(), Invalid> {
        let index = self.require_aggregator(&aggregator.id)?;
        self.aggregators[index] = aggregator;
        Ok(())
    }

    /// Adds a node of the electric tree.
    ///
    /// # Errors
    /// As [`ElectricTree::insert`].
    pub fn insert_node(&mut self, node: Node) -> Result<(), Invalid> {
        let peak = node.base_load.peak();
        self.tree.insert(node)?;
        self.defaults_below.push(Power::ZERO);
        self.base_below.push(Power::ZERO);
        self.add_base(self.tree.nodes().len() - 1, peak);
        Ok(())
    }

    /// Changes limits and base load of a node.
    ///
    /// # Errors
    /// As [`ElectricTree::update`]; a limit below what base loads and default setpoints underneath add up to.
    pub fn update_node(&mut self, node: Node) -> Result<(), Invalid> {
        let index = self.tree.require(&node.id)?;
        let change = node.base_load.peak() - self.tree.nodes()[index].base_load.peak();
        let silent = self.defaults_below[index] + self.base_below[index] + change;
        if self.defaults_below[index] > Power::ZERO && silent > node.import_limit {
            return Err(Invalid::new(
                "import_limit_kw",
                format!(
                    "{} is below what base loads and default setpoints underneath add up to, {silent}",
                    node.import_limit
                ),
            ));
        }
        self.tree.update(node)?;
        self.add_base(index, change);
        Ok(())
    }

    /// Adds a station.
    ///
    /// # Errors
    /// As [`Station::check`]; a name that is taken; an unknown aggregator or node; default setpoints that would together
    /// exceed the limit of a node above (all stations silent must be safe).
    pub fn insert_station(&mut self, station: Station) -> Result<(), Invalid> {
        station.check()?;
        if self.station_index.contains_key(&station.id) {
            return Err(Invalid::taken("station_id", &station.id));
        }
        let aggregator = self.require_aggregator(&station.aggregator)?;
        let node = self.tree.require(&station.node)?;
        self.check_defaults(node, station.default_setpoint)?;
        self.add_default(node, station.default_setpoint);
        self.station_index
            .insert(station.id.clone(), self.stations.len());
        self.stations.push(station);
        self.station_aggregators.push(aggregator);
        self.station_nodes.push(node);
        Ok(())
    }

    /// Changes a station. Its aggregator and node stay.
    ///
    /// # Errors
    /// As [`Fleet::insert_station`]; an unknown station; another aggregator or node than before.
    pub fn update_station(&mut self, station: Station) -> Result<(), Invalid> {
        station.check()?;
        let index = self
            .station_index(&station.id)
            .ok_or_else(|| Invalid::unknown("station_id", &station.id))?;
        let old = &self.stations[index];
        if old.aggregator != station.aggregator {
            return Err(Invalid::new("aggregator_id", "cannot be changed"));
        }
        if old.node != station.node {
            return Err(Invalid::new("node_id", "cannot be changed"));
        }
        let change = station.default_setpoint - old.default_setpoint;
        self.check_defaults(self.station_nodes[index], change)?;
        self.add_default(self.station_nodes[index], change);
        self.stations[index] = station;
        Ok(())
    }

    fn require_aggregator(&self, id: &AggregatorId) -> Result<usize, Invalid> {
        self.aggregator_index(id)
            .ok_or_else(|| Invalid::unknown("aggregator_id", id))
    }

    fn check_defaults(&self, node: usize, change: Power) -> Result<(), Invalid> {
        if change <= Power::ZERO {
            return Ok(());
        }
        for above in self.tree.path_to_root(node) {
            let sum = self.defaults_below[above] + self.base_below[above] + change;
            let Node {
                id, import_limit, ..
            } = &self.tree.nodes()[above];
            if sum > *import_limit {
                return Err(Invalid::new(
                    "default_setpoint_kw",
                    format!(
                        "base loads and default setpoints below {id} would add up to {sum}, above its import limit {import_limit}"
                    ),
                ));
            }
        }
        Ok(())
    }

    fn add_base(&mut self, node: usize, change: Power) {
        for above in self.tree.path_to_root(node) {
            self.base_below[above] += change;
        }
    }

    fn add_default(&mut self, node: usize, change: Power) {
        for above in self.tree.path_to_root(node) {
            self.defaults_below[above] += change;
        }
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
    use crate::grid::BaseLoad;
    use crate::{InvalidKind, NodeId, NodeKind};

    fn kilowatts(kw: i64) -> Power {
        Power::from_watts(kw * 1_000)
    }

    fn station(id: &str, default_setpoint: Power) -> Station {
        Station {
            id: StationId::new(id).unwrap(),
            aggregator: AggregatorId::new("a").unwrap(),
            node: NodeId::new("f").unwrap(),
            kind: StationKind::Charging,
            piles: vec![Pile {
                kind: PileKind::Ac,
                count: 10,
                rated_power: kilowatts(7),
                discharge_power: kilowatts(5),
            }],
            import_limit: kilowatts(60),
            export_limit: kilowatts(40),
            ramp_per_second: kilowatts(5),
            default_setpoint,
            charge_efficiency: 0.95,
            discharge_efficiency: 0.95,
            regulates: false,
        }
    }

    fn fleet() -> Fleet {
        let mut fleet = Fleet::default();
        let id = AggregatorId::new("a").unwrap();
        fleet
            .insert_aggregator(Aggregator {
                id,
                display_name: String::new(),
            })
            .unwrap();
        let node = Node {
            id: NodeId::new("f").unwrap(),
            kind: NodeKind::Feeder,
            parent: None,
            import_limit: kilowatts(100),
            export_limit: kilowatts(50),
            base_load: BaseLoad::constant(kilowatts(20)),
        };
        fleet.insert_node(node).unwrap();
        fleet
    }

    #[test]
    fn all_stations_silent_must_fit_every_limit() {
        let mut fleet = fleet();
        fleet.insert_station(station("s1", kilowatts(50))).unwrap();
        // 20 base + 50 + 31 is above 100.
        let refusal = fleet
            .insert_station(station("s2", kilowatts(31)))
            .unwrap_err();
        assert_eq!(refusal.field, "default_setpoint_kw");
        fleet.insert_station(station("s2", kilowatts(30))).unwrap();
        let mut node = fleet.tree().nodes()[0].clone();
        node.import_limit = kilowatts(99);
        assert_eq!(
            fleet.update_node(node).unwrap_err().field,
            "import_limit_kw"
        );
        fleet.update_station(station("s2", kilowatts(10))).unwrap();
        fleet.insert_station(station("s3", kilowatts(20))).unwrap();
    }

    #[test]
    fn stations_that_cannot_be_are_refused_with_the_field() {
        let mut fleet = fleet();
        let good = || station("s1", kilowatts(10));
        let refused = [
            (
                Station {
                    import_limit: kilowatts(-1),
                    ..good()
                },
                "import_limit_kw",
            ),
            (
                Station {
                    import_limit: Power::ZERO,
                    ..good()
                },
                "import_limit_kw",
            ),
            (
                Station {
                    export_limit: kilowatts(-1),
                    ..good()
                },
                "export_limit_kw",
            ),
            (
                Station {
                    ramp_per_second: Power::ZERO,
                    ..good()
                },
                "ramp_kw_per_second",
            ),
            (
                Station {
                    default_setpoint: kilowatts(-1),
                    ..good()
                },
                "default_setpoint_kw",
            ),
            (
                Station {
                    default_setpoint: kilowatts(61),
                    ..good()
                },
                "default_setpoint_kw",
            ),
            (
                Station {
                    charge_efficiency: f64::NAN,
                    ..good()
                },
                "charge_efficiency",
            ),
            (
                Station {
                    discharge_efficiency: 1.5,
                    ..good()
                },
                "discharge_efficiency",
            ),
            (
                Station {
                    piles: Vec::new(),
                    ..good()
                },
                "piles",
            ),
        ];
        for (bad, field) in refused {
            assert_eq!(fleet.insert_station(bad).unwrap_err().field, field);
        }
        let stranger = Station {
            aggregator: AggregatorId::new("b").unwrap(),
            ..good()
        };
        assert_eq!(
            fleet.insert_station(stranger).unwrap_err().kind,
            InvalidKind::Unknown
        );
        fleet.insert_station(good()).unwrap();
        assert_eq!(
            fleet.insert_station(good()).unwrap_err().kind,
            InvalidKind::Taken
        );
        assert_eq!(fleet.stations().len(), 1, "nothing that was refused stays");
    }

    #[test]
    fn rated_power_stays_within_the_connection() {
        let station = station("s", kilowatts(10));
        assert_eq!(station.rated_draw(), kilowatts(60));
        assert_eq!(station.rated_export(), kilowatts(40));
        assert_eq!((station.pile_count(), station.v2g_pile_count()), (10, 10));
    }
}
