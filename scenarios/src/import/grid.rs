//! The two trees over the sampled stations: the electric one by nearness, the commercial one across it.

use vpp_core::{AggregatorId, Invalid, NodeId, NodeKind, Power, StationId};

use super::figures;
use super::read::{HouseLoad, SourceStation};
use super::sample::{Draws, balanced_groups, plane};
use crate::Scenario;
use crate::build::Dealer;
use crate::format::{AggregatorRow, NodeRow, StationRow};

/// What was numbered before: the first of each kind is the next one.
#[derive(Clone, Copy, Default)]
pub(super) struct Numbered {
    pub(super) substations: usize,
    pub(super) feeders: usize,
    pub(super) transformers: usize,
}

/// Which feeder each station has, and which substation each feeder.
pub(super) struct Grouping {
    before: Numbered,
    feeder_of: Vec<usize>,
    substation_of: Vec<usize>,
    substations: usize,
    /// Stations with a transformer of their own inside their feeder: the largest.
    own_transformer: Vec<usize>,
    /// Feeders built short of what their stations could draw.
    tight: Vec<bool>,
}

pub(super) fn group(stations: &[SourceStation], before: Numbered, draws: &mut Draws) -> Grouping {
    let points: Vec<_> = stations
        .iter()
        .map(|station| plane(station.place))
        .collect();
    let feeders = stations.len().div_ceil(figures::STATIONS_A_FEEDER);
    let (feeder_of, middles) = balanced_groups(&points, feeders, draws);
    let substations = feeders.div_ceil(figures::FEEDERS_A_SUBSTATION);
    let (substation_of, _) = balanced_groups(&middles, substations, draws);
    let mut by_size: Vec<usize> = (0..stations.len()).collect();
    let kilowatts = |i: usize| stations[i].ac * 7 + stations[i].dc * 78;
    by_size.sort_by_key(|&i| (std::cmp::Reverse(kilowatts(i)), i));
    by_size.truncate(figures::TRANSFORMERS);
    let tight = (0..feeders)
        .map(|_| draws.below(figures::ONE_FEEDER_TIGHT_IN) == 0)
        .collect();
    Grouping {
        before,
        feeder_of,
        substation_of,
        substations,
        own_transformer: by_size,
        tight,
    }
}

pub(super) fn aggregators(count: u32) -> Result<Vec<AggregatorRow>, Invalid> {
    ('a'..='z')
        .take(count as usize)
        .map(|letter| {
            Ok(AggregatorRow {
                id: AggregatorId::new(format!("agg-{letter}"))?,
                name: format!("Aggregator {}", letter.to_ascii_uppercase()),
            })
        })
        .collect()
}

/// Who operates each station: shares from large to small, dealt without regard to place, so that every feeder has
/// stations of several aggregators.
pub(super) fn operators(
    stations: usize,
    aggregators: &[AggregatorRow],
    draws: &mut Draws,
) -> Vec<AggregatorId> {
    let count = aggregators.len();
    #[allow(clippy::cast_precision_loss)] // at most 26
    let weights: Vec<f64> = (0..count).map(|i| (count + 3 - i) as f64).collect();
    let total: f64 = weights.iter().sum();
    let shares: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
    let mut dealer = Dealer::new(&shares);
    let mut operators: Vec<AggregatorId> = (0..stations)
        .map(|_| aggregators[dealer.next_class()].id.clone())
        .collect();
    draws.shuffle(&mut operators);
    operators
}

/// The nodes, without limits: those need the stations' ratings.
pub(super) fn nodes(
    grouping: &Grouping,
    houses: &[HouseLoad],
    draws: &mut Draws,
) -> Result<Vec<NodeRow>, Invalid> {
    let row = |id: NodeId, kind, parent, base_load_kw| NodeRow {
        id,
        kind,
        parent,
        import_limit_kw: 0.0,
        agreement: None,
        export_limit_kw: 0.0,
        base_load_kw,
    };
    let mut nodes = Vec::new();
    for substation in 0..grouping.substations {
        let id = grouping.substation(substation)?;
        nodes.push(row(id, NodeKind::Substation, None, vec![0.0]));
    }
    for (feeder, &substation) in grouping.substation_of.iter().enumerate() {
        let parent = Some(grouping.substation(substation)?);
        let load = figures::feeder_load(houses, draws);
        nodes.push(row(
            grouping.feeder(feeder)?,
            NodeKind::Feeder,
            parent,
            load,
        ));
    }
    for (number, &station) in grouping.own_transformer.iter().enumerate() {
        let parent = Some(grouping.feeder(grouping.feeder_of[station])?);
        nodes.push(row(
            grouping.transformer(number)?,
            NodeKind::Transformer,
            parent,
            vec![0.0],
        ));
    }
    Ok(nodes)
}

pub(super) fn rows(
    stations: &[SourceStation],
    grouping: &Grouping,
    operators: &[AggregatorId],
    draws: &mut Draws,
) -> Result<Vec<StationRow>, Invalid> {
    let mut uses = Dealer::new(&figures::AC_STATION_PROFILES.map(|(_, share)| share));
    // Dealt by a shuffled deck: neighbours in the file are neighbours in the city.
    let mut deck: Vec<usize> = (0..stations.len()).map(|_| uses.next_class()).collect();
    draws.shuffle(&mut deck);
    let mut rows = Vec::with_capacity(stations.len());
    for (i, station) in stations.iter().enumerate() {
        let (profile, _) = figures::AC_STATION_PROFILES[deck[i]];
        let other = station.dc == 0 && profile != figures::PUBLIC;
        rows.push(StationRow {
            id: StationId::new(format!("gz-{:04}", i + 1))?,
            aggregator: operators[i].clone(),
            node: grouping.node_of(i)?,
            place: station.place.map(|degrees| (degrees * 1e3).round() / 1e3),
            ac: station.ac,
            dc: station.dc,
            slots: 0,
            profile: other.then(|| profile.to_string()),
            regulates: false,
            v2g_ac: None,
            v2g_dc: None,
            import_limit_kw: None,
            default_setpoint_kw: None,
            exact: None,
        });
    }
    Ok(rows)
}

/// Enrols the stations with most exporting piles in regulation, if there is any.
pub(super) fn enrol(scenario: &mut Scenario) {
    if scenario.regulation.is_none() {
        return;
    }
    let exporting: Vec<u64> = scenario
        .stations()
        .iter()
        .map(vpp_core::Station::v2g_pile_count)
        .collect();
    let mut order: Vec<usize> = (0..exporting.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(exporting[i]), i));
    for i in order.into_iter().take(figures::REGULATING_STATIONS) {
        scenario.fleet.stations[i].regulates = true;
    }
}

/// Sets the limits of all nodes from the connections underneath, and the lower defaults below tight feeders. `nodes` and
/// `stations` are those that were grouped, `imports` the connections of the stations.
pub(super) fn limit(
    nodes: &mut [NodeRow],
    stations: &mut [StationRow],
    imports: &[Power],
    grouping: &Grouping,
) {
    let feeders = grouping.tight.len();
    let mut connections = vec![0.0; feeders];
    for (i, import) in imports.iter().enumerate() {
        let feeder = grouping.feeder_of[i];
        connections[feeder] += import.as_kilowatts();
        if grouping.tight[feeder] {
            let default_kw = import.as_kilowatts() * figures::TIGHT_DEFAULT_SHARE;
            // Down to 100 W: a rounded-up ceiling could break the feeder's limit.
            stations[i].default_setpoint_kw = Some((default_kw * 10.0).floor() / 10.0);
        }
    }
    let mut below_substation = vec![0.0; grouping.substations];
    for feeder in 0..feeders {
        let node = &mut nodes[grouping.substations + feeder];
        let peak = node.base_load_kw.iter().copied().fold(0.0, f64::max);
        let share = match grouping.tight[feeder] {
            true => figures::TIGHT_FEEDER_SHARE,
            false => figures::FEEDER_SHARE,
        };
        set_limits(node, peak + connections[feeder] * share);
        below_substation[grouping.substation_of[feeder]] +=
            peak + connections[feeder] * share.min(figures::SUBSTATION_SHARE);
    }
    for (node, limit_kw) in nodes.iter_mut().zip(below_substation) {
        set_limits(node, limit_kw);
    }
    for (number, &station) in grouping.own_transformer.iter().enumerate() {
        let limit_kw = imports[station].as_kilowatts() * figures::FEEDER_SHARE;
        set_limits(
            &mut nodes[grouping.substations + feeders + number],
            limit_kw,
        );
    }
}

fn set_limits(node: &mut NodeRow, import_kw: f64) {
    // Up to the next 10 kW, so that defaults that fit before rounding still do.
    node.import_limit_kw = (import_kw / 10.0).ceil() * 10.0;
    node.export_limit_kw = (import_kw * figures::EXPORT_SHARE / 10.0).ceil() * 10.0;
}

impl Grouping {
    /// What there is with these.
    pub(super) fn numbered(&self) -> Numbered {
        Numbered {
            substations: self.before.substations + self.substations,
            feeders: self.before.feeders + self.tight.len(),
            transformers: self.before.transformers + self.own_transformer.len(),
        }
    }

    /// What feeds a station: its own transformer, or its feeder.
    pub(super) fn node_of(&self, station: usize) -> Result<NodeId, Invalid> {
        match self.own_transformer.iter().position(|&own| own == station) {
            Some(number) => self.transformer(number),
            None => self.feeder(self.feeder_of[station]),
        }
    }

    fn substation(&self, number: usize) -> Result<NodeId, Invalid> {
        NodeId::new(format!("sub-{}", self.before.substations + number + 1))
    }

    fn feeder(&self, number: usize) -> Result<NodeId, Invalid> {
        NodeId::new(format!("feeder-{:03}", self.before.feeders + number + 1))
    }

    fn transformer(&self, number: usize) -> Result<NodeId, Invalid> {
        NodeId::new(format!(
            "transformer-{}",
            self.before.transformers + number + 1
        ))
    }
}
