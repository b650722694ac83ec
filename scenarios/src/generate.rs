//! Fleets from distributions: a row of `[fleet] generate` becomes feeders and stations, the same for the same seed, whatever
//! else stands in the file. Nothing here is checked; see `check/generate.rs`.

use std::ops::Range;

use vpp_core::{AggregatorId, NodeId, NodeKind, StationId};

use crate::Scenario;
use crate::build::Dealer;
use crate::draw::{Quantiles, Stream, whole};
use crate::format::{GenerateRow, NodeRow, StationRow};

/// How far the stations of a feeder are from its middle, degrees: about a kilometre.
const FEEDER_REACH: f64 = 0.01;
/// Limits are rounded up to this, kW.
const LIMIT_STEP_KW: f64 = 10.0;

/// What a row became: positions among the scenario's nodes and stations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Generated {
    pub(crate) nodes: Range<usize>,
    pub(crate) stations: Range<usize>,
}

impl Scenario {
    /// Puts the generated nodes and stations behind those of the file. For each row, what it became.
    pub(crate) fn generate(&mut self) -> Vec<Generated> {
        let rows = self.fleet.generate.clone();
        let mut generated = Vec::with_capacity(rows.len());
        for row in &rows {
            let (nodes, stations) = (self.nodes.len(), self.fleet.stations.len());
            let feeders = self.add_nodes(row);
            self.add_stations(row, &feeders);
            generated.push(Generated {
                nodes: nodes..self.nodes.len(),
                stations: stations..self.fleet.stations.len(),
            });
        }
        if !rows.is_empty() {
            self.set_limits(&rows, &generated);
        }
        generated
    }

    /// Adds substations and feeders without limits; the feeders' names.
    fn add_nodes(&mut self, row: &GenerateRow) -> Vec<NodeId> {
        let grid = &row.grid;
        let mut node = |id: NodeId, kind, parent: Option<NodeId>, base_load_kw: Vec<f64>| {
            self.nodes.push(NodeRow {
                id,
                kind,
                parent,
                import_limit_kw: 0.0,
                agreement: None,
                export_limit_kw: 0.0,
                base_load_kw,
            });
        };
        let feeders = row.stations.div_ceil(grid.stations_per_feeder.max(1));
        let mut above = Vec::new();
        if let Some(each) = grid.feeders_per_substation {
            for number in 1..=feeders.div_ceil(each.max(1)) {
                let Ok(id) = NodeId::new(row.substation_name(number)) else {
                    continue;
                };
                above.push(id.clone());
                node(id, NodeKind::Substation, grid.parent.clone(), vec![0.0]);
            }
        }
        let each = grid.feeders_per_substation.unwrap_or(1).max(1);
        let mut names = Vec::new();
        for number in 1..=feeders {
            let Ok(id) = NodeId::new(row.feeder_name(number)) else {
                continue;
            };
            let parent = above.get(((number - 1) / each) as usize);
            let parent = parent.or(grid.parent.as_ref()).cloned();
            names.push(id.clone());
            node(id, NodeKind::Feeder, parent, grid.base_load_kw.clone());
        }
        names
    }

    fn add_stations(&mut self, row: &GenerateRow, feeders: &[NodeId]) {
        let mut stream = Stream::named(self.header.seed, &row.id);
        let operators: Vec<&AggregatorId> = row.aggregators.keys().collect();
        let mut deal = Deals::new(row);
        let mut middle = [0.0, 0.0];
        for number in 1..=row.stations {
            let feeder = ((number - 1) / row.grid.stations_per_feeder.max(1)) as usize;
            if (number - 1).is_multiple_of(row.grid.stations_per_feeder.max(1)) {
                middle = row.anywhere(&mut stream);
            }
            // Every station draws as often as any other, so that one more changes none.
            let place = row.near(middle, &mut stream);
            let (first, second) = (stream.uniform(), stream.uniform());
            let count = |quantiles: &Option<Quantiles>, p: f64| -> u32 {
                quantiles.as_ref().map_or(0, |all| whole(all.at(p)))
            };
            let (mut ac, mut dc) = (count(&row.ac, first), count(&row.dc, second));
            let slots = count(&row.slots, first);
            // A station without a pile is none.
            if ac + dc + slots == 0 {
                *(if row.ac.is_some() { &mut ac } else { &mut dc }) = 1;
            }
            let slots = if row.slots.is_some() { slots.max(1) } else { 0 };
            if row.slots.is_some() {
                (ac, dc) = (0, 0);
            }
            let (Ok(id), Some(node), Some(&aggregator)) = (
                StationId::new(row.station_name(number)),
                feeders.get(feeder),
                operators.get(deal.aggregators.next_class()),
            ) else {
                continue;
            };
            self.fleet.stations.push(StationRow {
                id,
                aggregator: aggregator.clone(),
                node: node.clone(),
                place,
                ac,
                dc,
                slots,
                profile: row.profile.clone(),
                regulates: deal.regulation.next_class() == 0,
                v2g_ac: deal.v2g_ac.as_mut().map(|dealer| dealer.deal(ac)[0]),
                v2g_dc: deal.v2g_dc.as_mut().map(|dealer| dealer.deal(dc)[0]),
                import_limit_kw: None,
                default_setpoint_kw: None,
                exact: None,
            });
        }
    }

    /// Gives the generated nodes their limits, by the connections underneath.
    fn set_limits(&mut self, rows: &[GenerateRow], generated: &[Generated]) {
        let connections: Vec<f64> = self
            .stations()
            .iter()
            .map(|station| station.import_limit.as_kilowatts())
            .collect();
        for (row, at) in rows.iter().zip(generated) {
            let grid = &row.grid;
            let peak = grid.base_load_kw.iter().copied().fold(f64::MIN, f64::max);
            let substations = (self.nodes[at.nodes.clone()].iter())
                .filter(|node| node.kind == NodeKind::Substation)
                .count();
            let each = grid.feeders_per_substation.unwrap_or(1).max(1) as usize;
            // Of each substation: the loads of its feeders and the connections underneath.
            let mut sums = vec![(0.0, 0.0); substations];
            let feeders = at.nodes.start + substations..at.nodes.end;
            let mut stations = at.stations.clone();
            for (number, node) in feeders.enumerate() {
                let below = stations.by_ref().take(grid.stations_per_feeder as usize);
                let connected: f64 = below.map(|station| connections[station]).sum();
                self.limit(
                    node,
                    peak + connected * grid.feeder_share,
                    grid.export_share,
                );
                if let Some(sum) = sums.get_mut(number / each) {
                    *sum = (sum.0 + peak, sum.1 + connected);
                }
            }
            let share = grid.substation_share.unwrap_or(grid.feeder_share);
            for (number, (peaks, connected)) in sums.into_iter().enumerate() {
                let node = at.nodes.start + number;
                self.limit(node, peaks + connected * share, grid.export_share);
            }
            if let Some(share) = row.default_setpoint_share {
                for station in at.stations.clone() {
                    let kilowatts = (connections[station] * share * 1e3).floor() / 1e3;
                    self.fleet.stations[station].default_setpoint_kw = Some(kilowatts);
                }
            }
        }
    }

    fn limit(&mut self, node: usize, import_kw: f64, export_share: f64) {
        let up = |kilowatts: f64| (kilowatts / LIMIT_STEP_KW).ceil() * LIMIT_STEP_KW;
        let node = &mut self.nodes[node];
        node.import_limit_kw = up(import_kw);
        node.export_limit_kw = up(node.import_limit_kw * export_share);
    }
}

/// Who gets what, so that the part as a whole keeps the shares.
struct Deals {
    aggregators: Dealer,
    regulation: Dealer,
    v2g_ac: Option<Dealer>,
    v2g_dc: Option<Dealer>,
}

impl Deals {
    fn new(row: &GenerateRow) -> Deals {
        let of = |share: f64| Dealer::new(&[share, 1.0 - share]);
        let shares: Vec<f64> = row.aggregators.values().copied().collect();
        Deals {
            aggregators: Dealer::new(&shares),
            regulation: of(row.regulates_share),
            v2g_ac: row.v2g_share_ac.map(of),
            v2g_dc: row.v2g_share_dc.map(of),
        }
    }
}

impl GenerateRow {
    pub(crate) fn station_name(&self, number: u32) -> String {
        format!("{}-{number:04}", self.id)
    }

    pub(crate) fn feeder_name(&self, number: u32) -> String {
        format!("{}-f{number:03}", self.id)
    }

    pub(crate) fn substation_name(&self, number: u32) -> String {
        format!("{}-s{number:02}", self.id)
    }

    fn anywhere(&self, stream: &mut Stream) -> [f64; 2] {
        let [[west, south], [east, north]] = self.place;
        [stream.between(west, east), stream.between(south, north)]
    }

    fn near(&self, [east, north]: [f64; 2], stream: &mut Stream) -> [f64; 2] {
        let [low, high] = self.place;
        let mut along = |middle: f64, low: f64, high: f64| {
            let drawn = stream.between(middle - FEEDER_REACH, middle + FEEDER_REACH);
            // As coarse as other places in a scenario, and within the box.
            ((drawn * 1e3).round() / 1e3).clamp(low, high)
        };
        [along(east, low[0], high[0]), along(north, low[1], high[1])]
    }
}
