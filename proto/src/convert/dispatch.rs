//! Scopes and events.

use vpp_core::{
    AggregatorId, Commitment, Energy, Event, EventId, EventOutcome, EventRequest, EventState,
    Interval, Invalid, NodeId, Power, Programme, Scope,
};

use super::scalar::{from_timestamp, to_timestamp};
use crate::v1;

impl TryFrom<v1::Scope> for Scope {
    type Error = Invalid;
    fn try_from(wire: v1::Scope) -> Result<Scope, Invalid> {
        Ok(match wire.scope {
            None => Scope::All,
            Some(v1::scope::Scope::AggregatorId(id)) => Scope::Aggregator(AggregatorId::new(id)?),
            Some(v1::scope::Scope::NodeId(id)) => Scope::Node(NodeId::new(id)?),
        })
    }
}

impl From<&Scope> for v1::Scope {
    fn from(scope: &Scope) -> v1::Scope {
        v1::Scope {
            scope: match scope {
                Scope::All => None,
                Scope::Aggregator(id) => Some(v1::scope::Scope::AggregatorId(id.to_string())),
                Scope::Node(id) => Some(v1::scope::Scope::NodeId(id.to_string())),
            },
        }
    }
}

/// What the grid asks for, from the programme and scope of the wire and an interval already made.
///
/// # Errors
/// A programme that is missing; a value that is out of range; a scope that does not fit the programme.
pub fn event_request(
    programme: Option<v1::submit_event_request::Programme>,
    scope: Option<v1::Scope>,
    interval: Interval,
) -> Result<EventRequest, Invalid> {
    use v1::submit_event_request::Programme as Wire;
    let scope = Scope::try_from(scope.unwrap_or_default()).map_err(|e| e.within("scope"))?;
    let programme = match programme {
        None => return Err(Invalid::new("programme", "is missing")),
        Some(Wire::DemandResponse(wire)) => {
            let field = "demand_response.reduction_kw";
            let reduction = Power::from_kilowatts(field, wire.reduction_kw)?;
            if reduction <= Power::ZERO {
                return Err(Invalid::new(field, format!("{reduction} is not positive")));
            }
            Programme::DemandResponse { reduction }
        }
        Some(Wire::ValleyFilling(wire)) => {
            let field = "valley_filling.increase_kw";
            let increase = Power::from_kilowatts(field, wire.increase_kw)?;
            if increase <= Power::ZERO {
                return Err(Invalid::new(field, format!("{increase} is not positive")));
            }
            Programme::ValleyFilling { increase }
        }
        Some(Wire::PeakShaving(wire)) => {
            let field = "peak_shaving.ceiling_kw";
            let ceiling = Power::from_kilowatts(field, wire.ceiling_kw)?;
            if ceiling < Power::ZERO {
                return Err(Invalid::new(field, format!("{ceiling} is negative")));
            }
            let node = NodeId::new(wire.node_id).map_err(|e| e.within("peak_shaving"))?;
            if scope != Scope::All {
                let problem = "must be left out: all stations below the node take part";
                return Err(Invalid::new("scope", problem));
            }
            Programme::PeakShaving { node, ceiling }
        }
    };
    Ok(EventRequest {
        programme,
        interval,
        scope,
    })
}

impl From<&Event> for v1::Event {
    fn from(event: &Event) -> v1::Event {
        let programme = match &event.request.programme {
            Programme::DemandResponse { reduction } => {
                v1::event::Programme::DemandResponse(v1::DemandResponse {
                    reduction_kw: reduction.as_kilowatts(),
                })
            }
            Programme::ValleyFilling { increase } => {
                v1::event::Programme::ValleyFilling(v1::ValleyFilling {
                    increase_kw: increase.as_kilowatts(),
                })
            }
            Programme::PeakShaving { node, ceiling } => {
                v1::event::Programme::PeakShaving(v1::PeakShaving {
                    node_id: node.to_string(),
                    ceiling_kw: ceiling.as_kilowatts(),
                })
            }
        };
        let state = match event.state {
            EventState::Scheduled => v1::EventState::Scheduled,
            EventState::Active => v1::EventState::Active,
            EventState::Ended => v1::EventState::Ended,
            EventState::Cancelled => v1::EventState::Cancelled,
        };
        let (outcome, shortfall_kwh) = match event.outcome {
            None => (v1::EventOutcome::Unspecified, None),
            Some(EventOutcome::Delivered) => (v1::EventOutcome::Delivered, Some(0.0)),
            Some(EventOutcome::PartlyDelivered { shortfall }) => (
                v1::EventOutcome::PartlyDelivered,
                Some(shortfall.as_kilowatt_hours()),
            ),
            Some(EventOutcome::Cancelled) => (v1::EventOutcome::Cancelled, None),
        };
        let commitments = event.commitments.iter().map(|commitment| v1::Commitment {
            aggregator_id: commitment.aggregator.to_string(),
            power_kw: commitment.power.as_kilowatts(),
        });
        v1::Event {
            event_id: event.id.to_string(),
            programme: Some(programme),
            scope: Some((&event.request.scope).into()),
            start_time: Some(from_timestamp(event.request.interval.start())),
            end_time: Some(from_timestamp(event.request.interval.end())),
            create_time: Some(from_timestamp(event.created_at)),
            state: state.into(),
            accepted_kw: event.accepted.as_kilowatts(),
            refused_kw: event.refused.as_kilowatts(),
            refusal_reason: refusal_reason(event),
            commitments: commitments.collect(),
            baseline_kw: event.baseline.map(Power::as_kilowatts),
            measured_kw: event.measured.map(Power::as_kilowatts),
            cleared: event.cleared,
            forecast_shortfall_kw: event.forecast_shortfall.map(Power::as_kilowatts),
            committed_kwh: event.committed_energy.as_kilowatt_hours(),
            delivered_kwh: event.delivered_energy.as_kilowatt_hours(),
            outcome: outcome.into(),
            shortfall_kwh,
        }
    }
}

fn refusal_reason(event: &Event) -> String {
    if event.refused <= Power::ZERO {
        return String::new();
    }
    format!(
        "{} was asked and {} can be kept throughout",
        event.accepted + event.refused,
        event.accepted
    )
}

/// Reads back an event that the engine itself wrote.
impl TryFrom<v1::Event> for Event {
    type Error = Invalid;
    fn try_from(wire: v1::Event) -> Result<Event, Invalid> {
        use v1::{event::Programme as Wire, submit_event_request::Programme as Asked};
        let interval = Interval::new(
            to_timestamp("start_time", wire.start_time.as_ref())?,
            to_timestamp("end_time", wire.end_time.as_ref())?,
        )?;
        let (state, outcome) = (wire.state(), wire.outcome());
        let (programme, scope) = match wire.programme {
            Some(Wire::DemandResponse(wire_programme)) => {
                (Some(Asked::DemandResponse(wire_programme)), wire.scope)
            }
            Some(Wire::ValleyFilling(wire_programme)) => {
                (Some(Asked::ValleyFilling(wire_programme)), wire.scope)
            }
            Some(Wire::PeakShaving(wire_programme)) => {
                (Some(Asked::PeakShaving(wire_programme)), None)
            }
            None => (None, None),
        };
        let kwh = Energy::from_kilowatt_hours;
        let optional = |field, kilowatts: Option<f64>| {
            kilowatts
                .map(|kilowatts| Power::from_kilowatts(field, kilowatts))
                .transpose()
        };
        let commitment = |wire: v1::Commitment| {
            let power = Power::from_kilowatts("commitments.power_kw", wire.power_kw)?;
            Ok(Commitment {
                aggregator: AggregatorId::new(wire.aggregator_id)?,
                power,
            })
        };
        Ok(Event {
            id: EventId::new(wire.event_id)?,
            request: event_request(programme, scope, interval)?,
            accepted: Power::from_kilowatts("accepted_kw", wire.accepted_kw)?,
            refused: Power::from_kilowatts("refused_kw", wire.refused_kw)?,
            commitments: wire
                .commitments
                .into_iter()
                .map(commitment)
                .collect::<Result<_, Invalid>>()?,
            cleared: wire.cleared,
            state: match state {
                v1::EventState::Scheduled => EventState::Scheduled,
                v1::EventState::Active => EventState::Active,
                v1::EventState::Ended => EventState::Ended,
                v1::EventState::Cancelled => EventState::Cancelled,
                v1::EventState::Unspecified => return Err(Invalid::new("state", "is missing")),
            },
            created_at: to_timestamp("create_time", wire.create_time.as_ref())?,
            baseline: optional("baseline_kw", wire.baseline_kw)?,
            measured: optional("measured_kw", wire.measured_kw)?,
            forecast_shortfall: optional("forecast_shortfall_kw", wire.forecast_shortfall_kw)?,
            committed_energy: kwh("committed_kwh", wire.committed_kwh)?,
            delivered_energy: kwh("delivered_kwh", wire.delivered_kwh)?,
            outcome: match outcome {
                v1::EventOutcome::Unspecified => None,
                v1::EventOutcome::Delivered => Some(EventOutcome::Delivered),
                v1::EventOutcome::Cancelled => Some(EventOutcome::Cancelled),
                v1::EventOutcome::PartlyDelivered => Some(EventOutcome::PartlyDelivered {
                    shortfall: kwh("shortfall_kwh", wire.shortfall_kwh.unwrap_or(0.0))?,
                }),
            },
        })
    }
}
