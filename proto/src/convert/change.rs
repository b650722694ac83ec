//! Updates: which fields change, and to what.

use prost_types::FieldMask;
use vpp_core::{
    AggregatorChange, AggregatorId, Invalid, NodeChange, NodeId, Pile, Power, StationChange,
    StationId,
};

use super::fleet::{
    agreement, agreement_to_wire, base_load, base_load_to_wire, display_name, piles, station_kind,
    station_kind_to_wire,
};
use crate::v1;

/// The fields that a mask names; all that can change when it is empty.
struct Named(Vec<String>);

impl Named {
    fn of(mask: Option<FieldMask>, changeable: &[&str]) -> Result<Named, Invalid> {
        let paths = mask.unwrap_or_default().paths;
        if paths.is_empty() {
            return Ok(Named(changeable.iter().map(ToString::to_string).collect()));
        }
        match paths
            .iter()
            .find(|path| !changeable.contains(&path.as_str()))
        {
            None => Ok(Named(paths)),
            Some(other) => {
                let problem = format!("{other} is not a field that can be changed");
                Err(Invalid::new("update_mask", problem))
            }
        }
    }

    /// The new value of a field, if it is named.
    fn value<W, T>(
        &self,
        field: &str,
        wire: W,
        convert: impl FnOnce(W) -> Result<T, Invalid>,
    ) -> Result<Option<T>, Invalid> {
        let named = self.0.iter().any(|path| path == field);
        named.then(|| convert(wire)).transpose()
    }

    fn power(&self, field: &str, kilowatts: f64) -> Result<Option<Power>, Invalid> {
        self.value(field, kilowatts, |kw| Power::from_kilowatts(field, kw))
    }
}

fn required<T>(field: &str, wire: Option<T>) -> Result<T, Invalid> {
    wire.ok_or_else(|| Invalid::new(field, "is missing"))
}

/// Writes the values that are there, and their names into a mask.
macro_rules! masked {
    ($wire:ident { $($field:ident: $value:expr),* $(,)? }) => {{
        let mut paths = Vec::new();
        $(if let Some(value) = $value {
            $wire.$field = value;
            paths.push(stringify!($field).to_owned());
        })*
        Some(FieldMask { paths })
    }};
}

impl TryFrom<v1::UpdateAggregatorRequest> for AggregatorChange {
    type Error = Invalid;
    fn try_from(request: v1::UpdateAggregatorRequest) -> Result<AggregatorChange, Invalid> {
        let named = Named::of(request.update_mask, &["display_name", "tested_share"])?;
        let wire = required("aggregator", request.aggregator)?;
        let convert = || {
            Ok(AggregatorChange {
                id: AggregatorId::new(wire.aggregator_id)?,
                display_name: named.value("display_name", wire.display_name, display_name)?,
                tested_share: named.value("tested_share", wire.tested_share, Ok)?,
            })
        };
        convert().map_err(|e: Invalid| e.within("aggregator"))
    }
}

impl From<&AggregatorChange> for v1::UpdateAggregatorRequest {
    fn from(change: &AggregatorChange) -> v1::UpdateAggregatorRequest {
        let mut wire = v1::Aggregator {
            aggregator_id: change.id.to_string(),
            ..Default::default()
        };
        let update_mask = masked!(wire {
            display_name: change.display_name.clone(),
            tested_share: change.tested_share,
        });
        v1::UpdateAggregatorRequest {
            aggregator: Some(wire),
            update_mask,
            ..Default::default()
        }
    }
}

impl TryFrom<v1::UpdateNodeRequest> for NodeChange {
    type Error = Invalid;
    fn try_from(request: v1::UpdateNodeRequest) -> Result<NodeChange, Invalid> {
        let changeable = [
            "import_limit_kw",
            "agreement",
            "export_limit_kw",
            "base_load_kw",
        ];
        let named = Named::of(request.update_mask, &changeable)?;
        let wire = required("node", request.node)?;
        let convert = || {
            Ok(NodeChange {
                id: NodeId::new(wire.node_id)?,
                import_limit: named.power("import_limit_kw", wire.import_limit_kw)?,
                agreement: named.value("agreement", wire.agreement, agreement)?,
                export_limit: named.power("export_limit_kw", wire.export_limit_kw)?,
                base_load: named.value("base_load_kw", &wire.base_load_kw[..], base_load)?,
            })
        };
        convert().map_err(|e: Invalid| e.within("node"))
    }
}

impl From<&NodeChange> for v1::UpdateNodeRequest {
    fn from(change: &NodeChange) -> v1::UpdateNodeRequest {
        let mut wire = v1::Node {
            node_id: change.id.to_string(),
            ..Default::default()
        };
        let update_mask = masked!(wire {
            import_limit_kw: change.import_limit.map(Power::as_kilowatts),
            agreement: change
                .agreement
                .as_ref()
                .map(|agreed| agreed.as_ref().map(agreement_to_wire)),
            export_limit_kw: change.export_limit.map(Power::as_kilowatts),
            base_load_kw: change.base_load.as_ref().map(base_load_to_wire),
        });
        v1::UpdateNodeRequest {
            node: Some(wire),
            update_mask,
            ..Default::default()
        }
    }
}

impl TryFrom<v1::UpdateStationRequest> for StationChange {
    type Error = Invalid;
    fn try_from(request: v1::UpdateStationRequest) -> Result<StationChange, Invalid> {
        let changeable = [
            "kind",
            "piles",
            "import_limit_kw",
            "export_limit_kw",
            "ramp_kw_per_second",
            "default_setpoint_kw",
            "charge_efficiency",
            "discharge_efficiency",
            "regulates",
        ];
        let named = Named::of(request.update_mask, &changeable)?;
        let wire = required("station", request.station)?;
        let convert = || {
            let power = |field, kw| named.power(field, kw);
            Ok(StationChange {
                id: StationId::new(wire.station_id)?,
                kind: named.value("kind", wire.kind, station_kind)?,
                piles: named.value("piles", wire.piles, piles)?,
                import_limit: power("import_limit_kw", wire.import_limit_kw)?,
                export_limit: power("export_limit_kw", wire.export_limit_kw)?,
                ramp_per_second: power("ramp_kw_per_second", wire.ramp_kw_per_second)?,
                default_setpoint: power("default_setpoint_kw", wire.default_setpoint_kw)?,
                charge_efficiency: named.value("charge_efficiency", wire.charge_efficiency, Ok)?,
                discharge_efficiency: named.value(
                    "discharge_efficiency",
                    wire.discharge_efficiency,
                    Ok,
                )?,
                regulates: named.value("regulates", wire.regulates, Ok)?,
            })
        };
        convert().map_err(|e: Invalid| e.within("station"))
    }
}

impl From<&StationChange> for v1::UpdateStationRequest {
    fn from(change: &StationChange) -> v1::UpdateStationRequest {
        let mut wire = v1::Station {
            station_id: change.id.to_string(),
            ..Default::default()
        };
        let piles_to_wire = |piles: &Vec<Pile>| piles.iter().map(Into::into).collect();
        let update_mask = masked!(wire {
            kind: change.kind.map(station_kind_to_wire),
            piles: change.piles.as_ref().map(piles_to_wire),
            import_limit_kw: change.import_limit.map(Power::as_kilowatts),
            export_limit_kw: change.export_limit.map(Power::as_kilowatts),
            ramp_kw_per_second: change.ramp_per_second.map(Power::as_kilowatts),
            default_setpoint_kw: change.default_setpoint.map(Power::as_kilowatts),
            charge_efficiency: change.charge_efficiency,
            discharge_efficiency: change.discharge_efficiency,
            regulates: change.regulates,
        });
        v1::UpdateStationRequest {
            station: Some(wire),
            update_mask,
            ..Default::default()
        }
    }
}
