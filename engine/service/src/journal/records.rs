//! Facts as records of the journal, and back.

use vpp_core::{
    Aggregator, AggregatorId, Energy, Event, Invalid, Node, Power, RequestId, Station, StationId,
};
use vpp_dispatch::{Baseline, Callable, Fact, Invited, Request, Visits};
use vpp_proto::convert::{
    asked_from_wire, asked_to_wire, from_timestamp, invitation_from_wire, invitation_to_wire,
    to_timestamp,
};
use vpp_proto::v1;
use vpp_proto::v1::journal_record::Record;

/// A fact as its record.
pub(super) fn from_fact(fact: &Fact) -> Record {
    let event_record = |id: &RequestId, event: &Event| v1::EventRecord {
        request_id: id.to_string(),
        event: Some(event.into()),
    };
    match fact {
        Fact::Event { id, event } => Record::Event(event_record(id, event)),
        Fact::EventCancelled { id, event } => Record::EventCancelled(event_record(id, event)),
        Fact::FleetChanged { id, request } => from_change(id.to_string(), request),
        Fact::Invitation { asked, invited } => {
            let Invited { id, process, event } = &**invited;
            let asked = asked.as_ref();
            Record::Invitation(v1::InvitationRecord {
                invitation: Some(invitation_to_wire(id, process, event.as_ref())),
                asked: asked.map(|(request, step)| asked_to_wire(request.to_string(), id, step)),
            })
        }
        Fact::Callable { at, callable } => {
            let one = |one: &Callable| v1::AggregatorCallable {
                aggregator_id: one.aggregator.to_string(),
                up_kw: one.up.as_kilowatts(),
                down_kw: one.down.as_kilowatts(),
            };
            Record::Callable(v1::CallableRecord {
                time: Some(from_timestamp(*at)),
                aggregators: callable.iter().map(one).collect(),
            })
        }
        Fact::Visits { at, visits } => {
            let one = |(aggregator, visits): &(AggregatorId, Visits)| v1::AggregatorVisits {
                aggregator_id: aggregator.to_string(),
                arrival_count: visits.arrivals,
                departure_count: visits.departures,
                energy_needed_kwh: visits.energy_needed.as_kilowatt_hours(),
            };
            Record::Visits(v1::VisitsRecord {
                start_time: Some(from_timestamp(*at)),
                aggregators: visits.iter().map(one).collect(),
            })
        }
        Fact::Baselines(frozen) => Record::Baselines(v1::BaselinesRecord {
            stations: frozen
                .iter()
                .map(|(station, baseline)| v1::StationBaseline {
                    station_id: station.to_string(),
                    start_time: Some(from_timestamp(baseline.start)),
                    quarters_w: baseline.quarters.iter().map(|p| p.as_watts()).collect(),
                    in_event: baseline.in_event,
                })
                .collect(),
        }),
        Fact::UsualLoads(loads) => Record::UsualLoads(v1::UsualLoadsRecord {
            stations: loads
                .iter()
                .map(|(station, means)| v1::StationUsualLoad {
                    station_id: station.to_string(),
                    quarters_kw: means.clone(),
                })
                .collect(),
        }),
    }
}

fn from_change(request_id: String, request: &Request) -> Record {
    let validate_only = false;
    match request {
        Request::RegisterAggregator(aggregator) => {
            Record::RegisterAggregator(v1::RegisterAggregatorRequest {
                request_id,
                validate_only,
                aggregator: Some(aggregator.into()),
            })
        }
        Request::RegisterNodes(nodes) => Record::RegisterNodes(v1::RegisterNodesRequest {
            request_id,
            validate_only,
            nodes: nodes.iter().map(Into::into).collect(),
        }),
        Request::RegisterStations(stations) => {
            Record::RegisterStations(v1::RegisterStationsRequest {
                request_id,
                validate_only,
                stations: stations.iter().map(Into::into).collect(),
            })
        }
        Request::UpdateAggregator(change) => {
            Record::UpdateAggregator(v1::UpdateAggregatorRequest {
                request_id,
                ..change.into()
            })
        }
        Request::UpdateNode(change) => Record::UpdateNode(v1::UpdateNodeRequest {
            request_id,
            ..change.into()
        }),
        Request::UpdateStation(change) => Record::UpdateStation(v1::UpdateStationRequest {
            request_id,
            ..change.into()
        }),
        Request::SubmitEvent(_)
        | Request::CancelEvent(_)
        | Request::StepInvitation { .. }
        | Request::StartRegulation { .. } => {
            unreachable!("recorded as what they led to")
        }
    }
}

/// A record as the fact that it was; an epoch is none.
pub(super) fn to_fact(record: Record) -> Result<Fact, Invalid> {
    let missing = |field: &str| Invalid::new(field, "is missing");
    let change = |id: String, request| {
        Ok(Fact::FleetChanged {
            id: RequestId::new(id)?,
            request,
        })
    };
    match record {
        Record::Epoch(_) => Err(Invalid::new("epoch", "is no fact")),
        Record::RegisterAggregator(wire) => {
            let aggregator = wire.aggregator.ok_or_else(|| missing("aggregator"))?;
            change(
                wire.request_id,
                Request::RegisterAggregator(Aggregator::try_from(aggregator)?),
            )
        }
        Record::UpdateAggregator(wire) => change(
            wire.request_id.clone(),
            Request::UpdateAggregator(wire.try_into()?),
        ),
        Record::RegisterNodes(wire) => {
            let nodes: Result<_, _> = wire.nodes.into_iter().map(Node::try_from).collect();
            change(wire.request_id, Request::RegisterNodes(nodes?))
        }
        Record::UpdateNode(wire) => change(
            wire.request_id.clone(),
            Request::UpdateNode(wire.try_into()?),
        ),
        Record::RegisterStations(wire) => {
            let stations: Result<_, _> = wire.stations.into_iter().map(Station::try_from).collect();
            change(wire.request_id, Request::RegisterStations(stations?))
        }
        Record::UpdateStation(wire) => change(
            wire.request_id.clone(),
            Request::UpdateStation(wire.try_into()?),
        ),
        Record::Event(wire) => {
            let event = wire.event.ok_or_else(|| missing("event"))?;
            Ok(Fact::Event {
                id: RequestId::new(wire.request_id)?,
                event: event.try_into()?,
            })
        }
        Record::Baselines(wire) => {
            let frozen = |wire: v1::StationBaseline| {
                #[allow(clippy::cast_precision_loss)] // refused where it is lost
                let power = |watts| Power::from_kilowatts("quarters_w", watts as f64 / 1e3);
                let powers = wire.quarters_w.into_iter().map(power);
                let baseline = Baseline {
                    start: to_timestamp("start_time", wire.start_time.as_ref())?,
                    quarters: powers.collect::<Result<_, Invalid>>()?,
                    in_event: wire.in_event,
                };
                if baseline.quarters.is_empty() {
                    return Err(missing("quarters_w"));
                }
                Ok((StationId::new(wire.station_id)?, baseline))
            };
            let stations = wire.stations.into_iter().map(frozen);
            Ok(Fact::Baselines(stations.collect::<Result<_, Invalid>>()?))
        }
        Record::UsualLoads(wire) => {
            let usual = |wire: v1::StationUsualLoad| {
                Ok((StationId::new(wire.station_id)?, wire.quarters_kw))
            };
            let stations = wire.stations.into_iter().map(usual);
            Ok(Fact::UsualLoads(stations.collect::<Result<_, Invalid>>()?))
        }
        Record::Callable(wire) => {
            let one = |wire: v1::AggregatorCallable| {
                Ok(Callable {
                    aggregator: AggregatorId::new(wire.aggregator_id)?,
                    up: Power::from_kilowatts("up_kw", wire.up_kw)?,
                    down: Power::from_kilowatts("down_kw", wire.down_kw)?,
                })
            };
            let aggregators = wire.aggregators.into_iter().map(one);
            Ok(Fact::Callable {
                at: to_timestamp("time", wire.time.as_ref())?,
                callable: aggregators.collect::<Result<_, Invalid>>()?,
            })
        }
        Record::Visits(wire) => {
            let one = |wire: v1::AggregatorVisits| {
                let energy = wire.energy_needed_kwh;
                let visits = Visits {
                    arrivals: wire.arrival_count,
                    departures: wire.departure_count,
                    energy_needed: Energy::from_kilowatt_hours("energy_needed_kwh", energy)?,
                };
                Ok((AggregatorId::new(wire.aggregator_id)?, visits))
            };
            let aggregators = wire.aggregators.into_iter().map(one);
            Ok(Fact::Visits {
                at: to_timestamp("start_time", wire.start_time.as_ref())?,
                visits: aggregators.collect::<Result<_, Invalid>>()?,
            })
        }
        Record::Invitation(wire) => {
            let invitation = wire.invitation.ok_or_else(|| missing("invitation"))?;
            let (id, process, event) = invitation_from_wire(invitation)?;
            let asked = wire.asked.map(asked_from_wire).transpose()?;
            let asked = asked.map(|(request, (_, step))| Ok((RequestId::new(request)?, step)));
            Ok(Fact::Invitation {
                asked: asked.transpose()?,
                invited: Box::new(Invited { id, process, event }),
            })
        }
        Record::EventCancelled(wire) => {
            let event = wire.event.ok_or_else(|| missing("event"))?;
            let id = RequestId::new(wire.request_id)?;
            Ok(Fact::EventCancelled {
                id,
                event: event.try_into()?,
            })
        }
    }
}
