//! From the rows of faults to whom they befall.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use vpp_core::{Fault, FaultKind as Kind, Invalid, NodeId, StationId};

use crate::Scenario;
use crate::draw::{Stream, whole};
use crate::format::{FaultKind, FaultRow};

impl Scenario {
    /// What goes wrong, in the order of the file. Stations of a `share` are drawn with the seed and the fault's name: another
    /// fault befalls others, and one more station in the fleet changes little.
    ///
    /// # Errors
    /// A length of zero, or a figure that the kind needs and the row lacks; a scenario from [`Scenario::parse`] has none
    /// such.
    pub fn faults(&self) -> Result<Vec<Fault>, Invalid> {
        self.faults.iter().map(|row| self.fault(row)).collect()
    }

    fn fault(&self, row: &FaultRow) -> Result<Fault, Invalid> {
        let need = |field: &str, value: Option<f64>| {
            value.ok_or_else(|| Invalid::new(field, "is missing"))
        };
        let kind = match row.kind {
            FaultKind::StationSilent => Kind::StationSilent,
            FaultKind::StationRefuses => Kind::StationRefuses,
            FaultKind::TelemetryLate => Kind::TelemetryLate(seconds(need("delay_s", row.delay_s)?)),
            FaultKind::BrokerAway => Kind::BrokerAway,
            FaultKind::ClockSkew => Kind::ClockSkew(seconds(need("skew_s", row.skew_s)?)),
            FaultKind::WrongForecast => Kind::WrongForecast(need("factor", row.factor)?),
        };
        let mut intervals = self.occurrences(row.start_offset_s, row.duration_s, None);
        let interval = intervals
            .next()
            .ok_or_else(|| Invalid::new("fault", "never begins"))??;
        let of_aggregators = row.kind.is_of_aggregators();
        let whose = |id: &&_| row.aggregator.as_ref().is_none_or(|whose| whose == *id);
        Ok(Fault {
            id: row.id.clone(),
            kind,
            interval,
            stations: match of_aggregators {
                true => Vec::new(),
                false => self.befallen(row),
            },
            aggregators: match of_aggregators {
                true => {
                    let ids = self.aggregators.iter().map(|aggregator| &aggregator.id);
                    ids.filter(whose).cloned().collect()
                }
                false => Vec::new(),
            },
        })
    }

    /// The stations of a fault, in the order of the fleet.
    fn befallen(&self, row: &FaultRow) -> Vec<StationId> {
        let below = row.node.as_ref().map(|node| self.nodes_below(node));
        let stations: Vec<&StationId> = self
            .fleet
            .stations
            .iter()
            .filter(|station| {
                let whose = row.aggregator.as_ref();
                whose.is_none_or(|whose| station.aggregator == *whose)
                    && (below.as_ref()).is_none_or(|below| below.contains(&station.node))
            })
            .map(|station| &station.id)
            .collect();
        let Some(share) = row.share else {
            return stations.into_iter().cloned().collect();
        };
        let mut stream = Stream::named(self.header.seed, &row.id);
        let mut drawn: Vec<(f64, usize)> = (0..stations.len())
            .map(|at| (stream.uniform(), at))
            .collect();
        drawn.sort_by(|a, b| a.0.total_cmp(&b.0));
        #[allow(clippy::cast_precision_loss)] // a count of stations
        drawn.truncate(whole(share * stations.len() as f64) as usize);
        let mut chosen: Vec<usize> = drawn.into_iter().map(|(_, at)| at).collect();
        chosen.sort_unstable();
        chosen.into_iter().map(|at| stations[at].clone()).collect()
    }

    /// A node with all below it.
    pub(crate) fn nodes_below<'a>(&'a self, node: &'a NodeId) -> BTreeSet<&'a NodeId> {
        let mut children: BTreeMap<&NodeId, Vec<&NodeId>> = BTreeMap::new();
        for row in &self.nodes {
            if let Some(parent) = &row.parent {
                children.entry(parent).or_default().push(&row.id);
            }
        }
        let (mut below, mut next) = (BTreeSet::new(), vec![node]);
        while let Some(node) = next.pop() {
            if below.insert(node) {
                next.extend(children.get(node).into_iter().flatten());
            }
        }
        below
    }
}

/// Milliseconds are fine enough for a delay.
fn seconds(seconds: f64) -> TimeDelta {
    #[allow(clippy::cast_possible_truncation)] // checked: within a day
    TimeDelta::milliseconds((seconds * 1e3).round() as i64)
}
