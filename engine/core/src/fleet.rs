//! Everything that is registered, and how it may change.

use std::collections::BTreeMap;

use crate::{
    Aggregator, AggregatorChange, AggregatorId, ElectricTree, Invalid, Node, NodeChange, Power,
    Station, StationChange, StationId,
};

/// Everything that is registered, addressed by dense index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fleet {
    aggregators: Vec<Aggregator>,
    aggregator_index: BTreeMap<AggregatorId, usize>,
    stations: Vec<Station>,
    station_index: BTreeMap<StationId, usize>,
    station_aggregators: Vec<usize>,
    station_nodes: Vec<usize>,
    station_limits: Vec<StationLimits>,
    tree: ElectricTree,
    /// Sum of default setpoints below each node: what the nodes carry of ours when the engine is silent.
    defaults_below: Vec<Power>,
    /// Sum of the peaks of the base loads at and below each node: what the nodes carry besides, at worst.
    base_below: Vec<Power>,
}

/// What bounds a station's setpoints. Every value of a regulation signal looks at that of all stations, so it lies close
/// together in memory: the whole of a [`Station`] takes several times as long to fetch as to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StationLimits {
    /// [`Station::rated_draw`].
    pub rated_draw: Power,
    /// [`Station::rated_export`], as a magnitude.
    pub rated_export: Power,
    /// [`Station::default_setpoint`].
    pub default_setpoint: Power,
    /// [`Station::regulates`].
    pub regulates: bool,
}

impl From<&Station> for StationLimits {
    fn from(station: &Station) -> StationLimits {
        StationLimits {
            rated_draw: station.rated_draw(),
            rated_export: station.rated_export(),
            default_setpoint: station.default_setpoint,
            regulates: station.regulates,
        }
    }
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

    /// What bounds the setpoints of each station; the position is the index.
    #[must_use]
    pub fn station_limits(&self) -> &[StationLimits] {
        &self.station_limits
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
        aggregator.check()?;
        self.aggregator_index
            .insert(aggregator.id.clone(), self.aggregators.len());
        self.aggregators.push(aggregator);
        Ok(())
    }

    /// Changes an aggregator.
    ///
    /// # Errors
    /// An unknown aggregator, or a value that cannot be.
    pub fn update_aggregator(&mut self, change: &AggregatorChange) -> Result<&Aggregator, Invalid> {
        let index = self.require_aggregator(&change.id)?;
        let changed = change.applied_to(&self.aggregators[index]);
        changed.check()?;
        self.aggregators[index] = changed;
        Ok(&self.aggregators[index])
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
    /// An unknown node; a negative limit; a limit below what base loads and default setpoints underneath add up to.
    pub fn update_node(&mut self, change: &NodeChange) -> Result<&Node, Invalid> {
        let index = self.tree.require(&change.id)?;
        let old = &self.tree.nodes()[index];
        let node = change.applied_to(old);
        let rise = node.base_load.peak() - old.base_load.peak();
        let silent = self.defaults_below[index] + self.base_below[index] + rise;
        if self.defaults_below[index] > Power::ZERO && silent > node.import_limit {
            return Err(Invalid::new(
                "import_limit_kw",
                format!(
                    "{} is below what base loads and default setpoints underneath add up to, {silent}",
                    node.import_limit
                ),
            ));
        }
        self.tree.replace(index, node)?;
        self.add_base(index, rise);
        Ok(&self.tree.nodes()[index])
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
        self.station_limits.push(StationLimits::from(&station));
        self.stations.push(station);
        self.station_aggregators.push(aggregator);
        self.station_nodes.push(node);
        Ok(())
    }

    /// Changes a station. Its aggregator and node stay.
    ///
    /// # Errors
    /// As [`Fleet::insert_station`]; an unknown station.
    pub fn update_station(&mut self, change: &StationChange) -> Result<&Station, Invalid> {
        let index = self
            .station_index(&change.id)
            .ok_or_else(|| Invalid::unknown("station_id", &change.id))?;
        let old = &self.stations[index];
        let station = change.applied_to(old);
        station.check()?;
        let rise = station.default_setpoint - old.default_setpoint;
        self.check_defaults(self.station_nodes[index], rise)?;
        self.add_default(self.station_nodes[index], rise);
        self.station_limits[index] = StationLimits::from(&station);
        self.stations[index] = station;
        Ok(&self.stations[index])
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

#[cfg(test)]
mod tests;
