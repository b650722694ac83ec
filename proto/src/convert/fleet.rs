//! Aggregators, nodes, stations.

use vpp_core::grid::BaseLoad;
use vpp_core::{
    Aggregator, AggregatorId, Agreement, Interval, Invalid, Node, NodeId, NodeKind, Pile, PileKind,
    Power, Station, StationId, StationKind,
};

use super::scalar::{from_timestamp, to_timestamp};
use crate::v1;

impl TryFrom<v1::Aggregator> for Aggregator {
    type Error = Invalid;
    fn try_from(wire: v1::Aggregator) -> Result<Aggregator, Invalid> {
        Ok(Aggregator {
            id: AggregatorId::new(wire.aggregator_id)?,
            display_name: display_name(wire.display_name)?,
            tested_share: wire.tested_share,
        })
    }
}

pub(super) fn display_name(wire: String) -> Result<String, Invalid> {
    if wire.len() > 256 {
        let problem = format!("has {} bytes, at most 256", wire.len());
        return Err(Invalid::new("display_name", problem));
    }
    Ok(wire)
}

impl From<&Aggregator> for v1::Aggregator {
    fn from(aggregator: &Aggregator) -> v1::Aggregator {
        v1::Aggregator {
            aggregator_id: aggregator.id.to_string(),
            display_name: aggregator.display_name.clone(),
            tested_share: aggregator.tested_share,
        }
    }
}

impl TryFrom<v1::Node> for Node {
    type Error = Invalid;
    fn try_from(wire: v1::Node) -> Result<Node, Invalid> {
        let kind = match wire.kind() {
            v1::NodeKind::District => NodeKind::District,
            v1::NodeKind::Substation => NodeKind::Substation,
            v1::NodeKind::Feeder => NodeKind::Feeder,
            v1::NodeKind::Transformer => NodeKind::Transformer,
            v1::NodeKind::Unspecified => {
                return Err(Invalid::new(
                    "kind",
                    format!("{} is not a kind of node", wire.kind),
                ));
            }
        };
        let parent = match wire.parent_node_id {
            parent if parent.is_empty() => None,
            parent => Some(NodeId::new(parent).map_err(|invalid| Invalid {
                field: "parent_node_id".into(),
                ..invalid
            })?),
        };
        Ok(Node {
            id: NodeId::new(wire.node_id)?,
            kind,
            parent,
            import_limit: Power::from_kilowatts("import_limit_kw", wire.import_limit_kw)?,
            agreement: agreement(wire.agreement)?,
            export_limit: Power::from_kilowatts("export_limit_kw", wire.export_limit_kw)?,
            base_load: base_load(&wire.base_load_kw)?,
        })
    }
}

pub(super) fn agreement(wire: Option<v1::CapacityAgreement>) -> Result<Option<Agreement>, Invalid> {
    let Some(wire) = wire else { return Ok(None) };
    let convert = || {
        let start = to_timestamp("start_time", wire.start_time.as_ref())?;
        let end = to_timestamp("end_time", wire.end_time.as_ref())?;
        Ok(Agreement {
            import_limit: Power::from_kilowatts("import_limit_kw", wire.import_limit_kw)?,
            interval: Interval::new(start, end)?,
        })
    };
    convert()
        .map(Some)
        .map_err(|invalid: Invalid| invalid.within("agreement"))
}

pub(super) fn agreement_to_wire(agreement: &Agreement) -> v1::CapacityAgreement {
    v1::CapacityAgreement {
        import_limit_kw: agreement.import_limit.as_kilowatts(),
        start_time: Some(from_timestamp(agreement.interval.start())),
        end_time: Some(from_timestamp(agreement.interval.end())),
    }
}

pub(super) fn base_load(wire: &[f64]) -> Result<BaseLoad, Invalid> {
    let mut powers = [Power::ZERO; 24];
    match wire {
        [] => {}
        [constant] => powers = [Power::from_kilowatts("base_load_kw", *constant)?; 24],
        hours if hours.len() == 24 => {
            for (hour, (power, kilowatts)) in powers.iter_mut().zip(hours).enumerate() {
                *power = Power::from_kilowatts(&format!("base_load_kw[{hour}]"), *kilowatts)?;
            }
        }
        other => {
            let problem = format!("has {} values; 0, 1 or 24 are possible", other.len());
            return Err(Invalid::new("base_load_kw", problem));
        }
    }
    Ok(BaseLoad::hourly(powers))
}

impl From<&Node> for v1::Node {
    fn from(node: &Node) -> v1::Node {
        let kind = match node.kind {
            NodeKind::District => v1::NodeKind::District,
            NodeKind::Substation => v1::NodeKind::Substation,
            NodeKind::Feeder => v1::NodeKind::Feeder,
            NodeKind::Transformer => v1::NodeKind::Transformer,
        };
        v1::Node {
            node_id: node.id.to_string(),
            kind: kind.into(),
            parent_node_id: node
                .parent
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            import_limit_kw: node.import_limit.as_kilowatts(),
            agreement: node.agreement.as_ref().map(agreement_to_wire),
            export_limit_kw: node.export_limit.as_kilowatts(),
            base_load_kw: base_load_to_wire(&node.base_load),
        }
    }
}

pub(super) fn base_load_to_wire(load: &BaseLoad) -> Vec<f64> {
    load.hours().map(Power::as_kilowatts).to_vec()
}

impl TryFrom<v1::Pile> for Pile {
    type Error = Invalid;
    fn try_from(wire: v1::Pile) -> Result<Pile, Invalid> {
        let kind = match wire.kind() {
            v1::PileKind::Ac => PileKind::Ac,
            v1::PileKind::Dc => PileKind::Dc,
            v1::PileKind::Unspecified => {
                return Err(Invalid::new(
                    "kind",
                    format!("{} is not a kind of pile", wire.kind),
                ));
            }
        };
        Ok(Pile {
            kind,
            count: wire.count,
            rated_power: Power::from_kilowatts("rated_power_kw", wire.rated_power_kw)?,
            discharge_power: Power::from_kilowatts("discharge_power_kw", wire.discharge_power_kw)?,
        })
    }
}

impl TryFrom<v1::Station> for Station {
    type Error = Invalid;
    fn try_from(wire: v1::Station) -> Result<Station, Invalid> {
        let station = Station {
            id: StationId::new(wire.station_id)?,
            aggregator: AggregatorId::new(wire.aggregator_id)?,
            node: NodeId::new(wire.node_id)?,
            kind: station_kind(wire.kind)?,
            piles: piles(wire.piles)?,
            import_limit: Power::from_kilowatts("import_limit_kw", wire.import_limit_kw)?,
            export_limit: Power::from_kilowatts("export_limit_kw", wire.export_limit_kw)?,
            ramp_per_second: Power::from_kilowatts("ramp_kw_per_second", wire.ramp_kw_per_second)?,
            default_setpoint: Power::from_kilowatts(
                "default_setpoint_kw",
                wire.default_setpoint_kw,
            )?,
            charge_efficiency: wire.charge_efficiency,
            discharge_efficiency: wire.discharge_efficiency,
            regulates: wire.regulates,
        };
        station.check()?;
        Ok(station)
    }
}

pub(super) fn station_kind(wire: i32) -> Result<StationKind, Invalid> {
    match v1::StationKind::try_from(wire) {
        Ok(v1::StationKind::Charging) => Ok(StationKind::Charging),
        Ok(v1::StationKind::Swap) => Ok(StationKind::Swap),
        Ok(v1::StationKind::Unspecified) | Err(_) => {
            let problem = format!("{wire} is not a kind of station");
            Err(Invalid::new("kind", problem))
        }
    }
}

pub(super) fn station_kind_to_wire(kind: StationKind) -> i32 {
    match kind {
        StationKind::Charging => v1::StationKind::Charging.into(),
        StationKind::Swap => v1::StationKind::Swap.into(),
    }
}

pub(super) fn piles(wire: Vec<v1::Pile>) -> Result<Vec<Pile>, Invalid> {
    if wire.len() > 1_000 {
        let problem = format!("has {} groups, at most 1000", wire.len());
        return Err(Invalid::new("piles", problem));
    }
    let convert = |(position, pile)| {
        Pile::try_from(pile).map_err(|e: Invalid| e.within(&format!("piles[{position}]")))
    };
    wire.into_iter().enumerate().map(convert).collect()
}

impl From<&Station> for v1::Station {
    fn from(station: &Station) -> v1::Station {
        v1::Station {
            station_id: station.id.to_string(),
            aggregator_id: station.aggregator.to_string(),
            node_id: station.node.to_string(),
            kind: station_kind_to_wire(station.kind),
            piles: station.piles.iter().map(v1::Pile::from).collect(),
            import_limit_kw: station.import_limit.as_kilowatts(),
            export_limit_kw: station.export_limit.as_kilowatts(),
            ramp_kw_per_second: station.ramp_per_second.as_kilowatts(),
            default_setpoint_kw: station.default_setpoint.as_kilowatts(),
            charge_efficiency: station.charge_efficiency,
            discharge_efficiency: station.discharge_efficiency,
            regulates: station.regulates,
        }
    }
}

impl From<&Pile> for v1::Pile {
    fn from(pile: &Pile) -> v1::Pile {
        let kind = match pile.kind {
            PileKind::Ac => v1::PileKind::Ac,
            PileKind::Dc => v1::PileKind::Dc,
        };
        v1::Pile {
            kind: kind.into(),
            count: pile.count,
            rated_power_kw: pile.rated_power.as_kilowatts(),
            discharge_power_kw: pile.discharge_power.as_kilowatts(),
        }
    }
}
