//! `DispatchService`.

use std::pin::Pin;
use std::sync::Arc;

use chrono::TimeDelta;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};
use vpp_core::{Decision, Event, EventId, Interval, Invalid, Power, StationId, Timestamp};
use vpp_dispatch::promises::PROMISED_FOR;
use vpp_dispatch::visits;
use vpp_dispatch::{
    Answer as Answered, Capability, CycleReport, ExpectedVisits, Plan, Reliable, ReliableDirection,
    Request as Change,
};
use vpp_proto::convert::{
    event_request, from_timestamp, optional_timestamp, to_duration, to_timestamp,
};
use vpp_proto::v1;

use super::fleet::{count, parse_scope};
use super::page::Page;
use super::regulate;
use super::status::{refused, request_id, unexpected};
use crate::sequencer::Handle;
use crate::statistics::Statistics;

/// How likely a later capability is to hold unless the caller says.
const DEFAULT_CONFIDENCE: f64 = 0.95;

pub(crate) struct Dispatch {
    handle: Handle,
    sender: regulate::Sender,
}

type Answer<T> = Result<Response<T>, Status>;
type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Dispatch {
    pub(crate) fn new(handle: Handle, statistics: Arc<Statistics>) -> Dispatch {
        Dispatch {
            handle,
            sender: regulate::Sender::new(statistics),
        }
    }

    async fn change_event(
        &self,
        id: String,
        validate_only: bool,
        change: Change,
    ) -> Result<v1::Event, Status> {
        match self.handle.change(id, validate_only, change).await? {
            Answered::Event(event) => Ok((&event).into()),
            other => Err(unexpected(&other)),
        }
    }
}

#[tonic::async_trait]
impl v1::dispatch_service_server::DispatchService for Dispatch {
    async fn get_capability(
        &self,
        request: Request<v1::GetCapabilityRequest>,
    ) -> Answer<v1::GetCapabilityResponse> {
        let request = request.into_inner();
        let scope = parse_scope(request.scope)?;
        let duration = to_duration("duration", request.duration.as_ref()).map_err(refused)?;
        let duration = duration.unwrap_or(TimeDelta::minutes(15));
        let start = optional_timestamp("start_time", request.start_time.as_ref());
        let start = start.map_err(refused)?;
        if start.is_none() && request.confidence.is_some() {
            let problem = "is of no use without start_time";
            return Err(refused(Invalid::new("confidence", problem)));
        }
        let confidence = request.confidence.unwrap_or(DEFAULT_CONFIDENCE);
        let (capability, reliable) = self
            .handle
            .try_ask(move |engine, now| {
                let capability = engine.capability(now, &scope, duration)?;
                let reliable = start.map(|start| engine.reliable(now, &scope, start, confidence));
                Ok((capability, reliable.transpose()?))
            })
            .await?;
        Ok(Response::new(v1::GetCapabilityResponse {
            capability: Some(capability_to_wire(&capability, duration)),
            reliable: reliable.as_ref().map(reliable_to_wire),
        }))
    }

    async fn get_expected_visits(
        &self,
        request: Request<v1::GetExpectedVisitsRequest>,
    ) -> Answer<v1::GetExpectedVisitsResponse> {
        let request = request.into_inner();
        let scope = parse_scope(request.scope)?;
        let start = optional_timestamp("start_time", request.start_time.as_ref());
        let start = start.map_err(refused)?;
        let length = to_duration("duration", request.duration.as_ref()).map_err(refused)?;
        let length = length.unwrap_or(TimeDelta::hours(24));
        let expected = self
            .handle
            .try_ask(move |engine, now| {
                let start = start.unwrap_or_else(|| visits::next_quarter(now));
                engine.expected_visits(now, &scope, start, length)
            })
            .await?;
        let quarters = expected.iter().map(expected_to_wire).collect();
        Ok(Response::new(v1::GetExpectedVisitsResponse { quarters }))
    }

    async fn submit_event(
        &self,
        request: Request<v1::SubmitEventRequest>,
    ) -> Answer<v1::SubmitEventResponse> {
        let request = request.into_inner();
        let start = optional_timestamp("start_time", request.start_time.as_ref());
        let end = to_timestamp("end_time", request.end_time.as_ref()).map_err(refused)?;
        let start = match start.map_err(refused)? {
            Some(start) => start,
            None => {
                // Sent again, a request that begins "now" means the same now as the first time.
                let id = request_id(request.request_id.clone())?;
                let question = move |engine: &vpp_dispatch::Engine, now| {
                    engine
                        .event_of(&id)
                        .map_or(now, |event| event.request.interval.start())
                };
                self.handle.ask(question).await?
            }
        };
        let interval = Interval::new(start, end).map_err(refused)?;
        let asked = event_request(request.programme, request.scope, interval).map_err(refused)?;
        let change = Change::SubmitEvent(asked);
        let event = self
            .change_event(request.request_id, request.validate_only, change)
            .await?;
        Ok(Response::new(v1::SubmitEventResponse {
            event: Some(event),
        }))
    }

    async fn cancel_event(
        &self,
        request: Request<v1::CancelEventRequest>,
    ) -> Answer<v1::CancelEventResponse> {
        let request = request.into_inner();
        let change = Change::CancelEvent(EventId::new(request.event_id).map_err(refused)?);
        let event = self
            .change_event(request.request_id, request.validate_only, change)
            .await?;
        Ok(Response::new(v1::CancelEventResponse {
            event: Some(event),
        }))
    }

    async fn get_event(
        &self,
        request: Request<v1::GetEventRequest>,
    ) -> Answer<v1::GetEventResponse> {
        let id = EventId::new(request.into_inner().event_id).map_err(refused)?;
        let event = self
            .handle
            .try_ask(move |engine, _| {
                let event = engine.events().get(&id).map(v1::Event::from);
                event.ok_or_else(|| Invalid::unknown("event_id", id))
            })
            .await?;
        Ok(Response::new(v1::GetEventResponse { event: Some(event) }))
    }

    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Answer<v1::ListEventsResponse> {
        let request = request.into_inner();
        let page = Page::parse(request.page_size, &request.page_token)?;
        let (events, next_page_token) = self
            .handle
            .ask(move |engine, _| page.of(engine.events().values().rev().map(Into::into)))
            .await?;
        Ok(Response::new(v1::ListEventsResponse {
            events,
            next_page_token,
        }))
    }

    type WatchEventsStream = Streamed<v1::WatchEventsResponse>;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Answer<Self::WatchEventsStream> {
        let wanted = request.into_inner().event_id;
        if !wanted.is_empty() {
            EventId::new(wanted.clone()).map_err(refused)?;
        }
        // Subscribed before the first look, so that nothing falls between.
        let changes = BroadcastStream::new(self.handle.feeds.events.subscribe());
        let open: Vec<Event> = self
            .handle
            .ask(|engine, _| {
                engine
                    .events()
                    .values()
                    .filter(|e| e.outcome.is_none())
                    .cloned()
                    .collect()
            })
            .await?;
        // A listener that lags loses changes in between; each message is the whole event, so the next one heals it.
        let stream = tokio_stream::iter(open)
            .chain(changes.filter_map(Result::ok))
            .filter(move |event| wanted.is_empty() || event.id.as_str() == wanted)
            .map(|event| {
                Ok(v1::WatchEventsResponse {
                    event: Some((&event).into()),
                })
            });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn get_plan(&self, request: Request<v1::GetPlanRequest>) -> Answer<v1::GetPlanResponse> {
        let station = match request.into_inner().station_id {
            id if id.is_empty() => None,
            id => Some(StationId::new(id).map_err(refused)?),
        };
        let answer = self
            .handle
            .try_ask(move |engine, _| {
                if let Some(id) = &station
                    && engine.fleet().station_index(id).is_none()
                {
                    return Err(Invalid::unknown("station_id", id));
                }
                let plan = engine
                    .plan()
                    .map(|plan| plan_to_wire(plan, station.as_ref()));
                Ok(plan.unwrap_or_default())
            })
            .await?;
        Ok(Response::new(answer))
    }

    type WatchDispatchStream = Streamed<v1::WatchDispatchResponse>;

    async fn watch_dispatch(
        &self,
        _request: Request<v1::WatchDispatchRequest>,
    ) -> Answer<Self::WatchDispatchStream> {
        let cycles = BroadcastStream::new(self.handle.feeds.cycles.subscribe());
        let stream = cycles
            .filter_map(Result::ok)
            .map(|report| Ok(report_to_wire(&report)));
        Ok(Response::new(Box::pin(stream)))
    }

    type RegulateStream = Streamed<v1::RegulateResponse>;

    async fn regulate(
        &self,
        request: Request<Streaming<v1::RegulateRequest>>,
    ) -> Answer<Self::RegulateStream> {
        regulate::open(
            self.handle.clone(),
            self.sender.clone(),
            request.into_inner(),
        )
        .await
        .map(Response::new)
    }
}

fn capability_to_wire(capability: &Capability, duration: TimeDelta) -> v1::Capability {
    let direction = |d: &vpp_dispatch::CapabilityDirection| v1::CapabilityDirection {
        connected_kw: d.connected.as_kilowatts(),
        declared_kw: d.declared.as_kilowatts(),
        callable_kw: d.callable.as_kilowatts(),
    };
    v1::Capability {
        up: Some(direction(&capability.up)),
        down: Some(direction(&capability.down)),
        station_count: count(capability.station_count),
        callable_station_count: count(capability.callable_station_count),
        active_power_kw: capability.active_power.as_kilowatts(),
        duration: Some(duration_to_wire(duration)),
    }
}

fn duration_to_wire(duration: TimeDelta) -> prost_types::Duration {
    prost_types::Duration {
        seconds: duration.num_seconds(),
        nanos: duration.subsec_nanos(),
    }
}

fn reliable_to_wire(reliable: &Reliable) -> v1::ReliableCapability {
    let direction = |d: &ReliableDirection| v1::ReliableDirection {
        callable_kw: d.callable.map(Power::as_kilowatts),
        due_count: d.due,
        kept_count: d.kept,
    };
    v1::ReliableCapability {
        start_time: Some(from_timestamp(reliable.start)),
        duration: Some(duration_to_wire(PROMISED_FOR)),
        confidence: reliable.confidence,
        up: Some(direction(&reliable.up)),
        down: Some(direction(&reliable.down)),
    }
}

fn expected_to_wire((start, expected): &(Timestamp, ExpectedVisits)) -> v1::ExpectedVisits {
    let quantiles = |[p10, p50, p90]: [f64; 3]| Some(v1::Quantiles { p10, p50, p90 });
    v1::ExpectedVisits {
        start_time: Some(from_timestamp(*start)),
        arrivals: quantiles(expected.arrivals),
        departures: quantiles(expected.departures),
        energy_needed_kwh: quantiles(expected.energy_kwh),
    }
}

fn decision(decision: Option<Decision>) -> i32 {
    decision
        .map_or(v1::Decision::Unspecified, v1::Decision::from)
        .into()
}

fn plan_to_wire(plan: &Plan, station: Option<&StationId>) -> v1::GetPlanResponse {
    let wanted = plan
        .stations
        .iter()
        .filter(|(id, _)| station.is_none_or(|wanted| wanted == id));
    v1::GetPlanResponse {
        cycle: plan.cycle,
        decision: decision(Some(plan.decision)),
        intervals: plan
            .intervals
            .iter()
            .map(|interval| v1::PlanInterval {
                start_time: Some(from_timestamp(interval.start())),
                end_time: Some(from_timestamp(interval.end())),
            })
            .collect(),
        stations: wanted
            .map(|(id, intervals)| v1::StationPlan {
                station_id: id.to_string(),
                intervals: intervals
                    .iter()
                    .map(|planned| v1::PlannedPower {
                        power_kw: planned.power.as_kilowatts(),
                        regulation_up_kw: planned.held.up.as_kilowatts(),
                        regulation_down_kw: planned.held.down.as_kilowatts(),
                    })
                    .collect(),
            })
            .collect(),
        objective_cny: plan.objective,
        prices: plan
            .prices
            .iter()
            .map(|(name, prices)| v1::MarginalPrice {
                name: name.clone(),
                price_cny_per_kwh: prices.clone(),
            })
            .collect(),
    }
}

#[allow(clippy::cast_precision_loss)] // a few seconds in microseconds
pub(super) fn milliseconds(length: TimeDelta) -> f64 {
    length.num_microseconds().unwrap_or(i64::MAX) as f64 / 1e3
}

fn report_to_wire(report: &CycleReport) -> v1::WatchDispatchResponse {
    let kw = Power::as_kilowatts;
    v1::WatchDispatchResponse {
        cycle: report.cycle,
        cycle_time: Some(from_timestamp(report.started_at)),
        decision: decision(report.decision),
        cycle_ms: milliseconds(report.cycle_time),
        solve_ms: milliseconds(report.solve_time),
        deadline_missed: report.deadline_missed,
        command_count: count(report.command_count),
        acknowledgement_count: count(report.acknowledgement_count),
        refusal_count: count(report.refusal_count),
        fresh_station_count: count(report.fresh_station_count),
        limit_violation_count: count(report.limit_violation_count),
        committed_kw: kw(report.committed),
        ordered_kw: kw(report.ordered),
        acknowledged_kw: kw(report.acknowledged),
        delivered_kw: kw(report.delivered),
        aggregators: report
            .aggregators
            .iter()
            .map(|totals| v1::AggregatorDispatch {
                aggregator_id: totals.aggregator.to_string(),
                ordered_kw: kw(totals.ordered),
                acknowledged_kw: kw(totals.acknowledged),
                measured_kw: kw(totals.measured),
                committed_kw: kw(totals.committed),
                delivered_kw: kw(totals.delivered),
            })
            .collect(),
        guarded_count: count(report.guarded_count),
    }
}
