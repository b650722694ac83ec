//! `FleetService`.

use std::pin::Pin;
use std::sync::Arc;

use tokio_stream::{Stream, StreamExt as _, wrappers::BroadcastStream};
use tonic::{Request, Response, Status};
use vpp_core::{Aggregator, AggregatorId, Invalid, Node, Scope, Station, StationId, Timestamp};
use vpp_dispatch::capability::members;
use vpp_dispatch::{Answer as Changed, Engine, Request as Change};
use vpp_proto::convert::from_timestamp;
use vpp_proto::{topics, v1};

use super::page::Page;
use super::status::{refused, required, unexpected};
use crate::kafka::topics::Topics;
use crate::sequencer::Handle;

const MOST_AT_ONCE: usize = 10_000;

pub(crate) struct Fleet {
    pub(crate) handle: Handle,
    pub(crate) topics: Arc<Topics>,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl v1::fleet_service_server::FleetService for Fleet {
    async fn register_aggregator(
        &self,
        request: Request<v1::RegisterAggregatorRequest>,
    ) -> Answer<v1::RegisterAggregatorResponse> {
        let request = request.into_inner();
        let wire = required("aggregator", request.aggregator)?;
        let aggregator = Aggregator::try_from(wire).map_err(|e| refused(e.within("aggregator")))?;
        let answer = v1::RegisterAggregatorResponse {
            aggregator: Some((&aggregator).into()),
            command_topic: topics::commands(&aggregator.id),
        };
        let id = aggregator.id.clone();
        let change = Change::RegisterAggregator(aggregator);
        self.handle
            .change(request.request_id, request.validate_only, change)
            .await?;
        if !request.validate_only {
            // Sent again after a failure, the request is answered from memory and the topic is tried anew.
            let made = self.topics.ensure_commands(&id).await;
            made.map_err(|e| Status::unavailable(format!("registered, but {e}; send it again")))?;
        }
        Ok(Response::new(answer))
    }

    async fn update_aggregator(
        &self,
        request: Request<v1::UpdateAggregatorRequest>,
    ) -> Answer<v1::UpdateAggregatorResponse> {
        let request = request.into_inner();
        let (id, validate_only) = (request.request_id.clone(), request.validate_only);
        let change = Change::UpdateAggregator(request.try_into().map_err(refused)?);
        match self.handle.change(id, validate_only, change).await? {
            Changed::Aggregator(aggregator) => Ok(Response::new(v1::UpdateAggregatorResponse {
                aggregator: Some((&aggregator).into()),
            })),
            other => Err(unexpected(&other)),
        }
    }

    async fn list_aggregators(
        &self,
        request: Request<v1::ListAggregatorsRequest>,
    ) -> Answer<v1::ListAggregatorsResponse> {
        let request = request.into_inner();
        let page = Page::parse(request.page_size, &request.page_token)?;
        let (aggregators, next_page_token) = self
            .handle
            .ask(move |engine, _| page.of(engine.fleet().aggregators().iter().map(Into::into)))
            .await?;
        Ok(Response::new(v1::ListAggregatorsResponse {
            aggregators,
            next_page_token,
        }))
    }

    async fn register_nodes(
        &self,
        request: Request<v1::RegisterNodesRequest>,
    ) -> Answer<v1::RegisterNodesResponse> {
        let request = request.into_inner();
        let nodes: Vec<Node> = all_of("nodes", request.nodes)?;
        let node_count = i32::try_from(nodes.len()).unwrap_or(i32::MAX);
        let change = Change::RegisterNodes(nodes);
        self.handle
            .change(request.request_id, request.validate_only, change)
            .await?;
        Ok(Response::new(v1::RegisterNodesResponse { node_count }))
    }

    async fn update_node(
        &self,
        request: Request<v1::UpdateNodeRequest>,
    ) -> Answer<v1::UpdateNodeResponse> {
        let request = request.into_inner();
        let (id, validate_only) = (request.request_id.clone(), request.validate_only);
        let change = Change::UpdateNode(request.try_into().map_err(refused)?);
        match self.handle.change(id, validate_only, change).await? {
            Changed::Node(node) => Ok(Response::new(v1::UpdateNodeResponse {
                node: Some((&node).into()),
            })),
            other => Err(unexpected(&other)),
        }
    }

    async fn list_nodes(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Answer<v1::ListNodesResponse> {
        let request = request.into_inner();
        let page = Page::parse(request.page_size, &request.page_token)?;
        let (nodes, next_page_token) = self
            .handle
            .ask(move |engine, _| page.of(engine.fleet().tree().nodes().iter().map(Into::into)))
            .await?;
        Ok(Response::new(v1::ListNodesResponse {
            nodes,
            next_page_token,
        }))
    }

    async fn register_stations(
        &self,
        request: Request<v1::RegisterStationsRequest>,
    ) -> Answer<v1::RegisterStationsResponse> {
        let request = request.into_inner();
        let stations: Vec<Station> = all_of("stations", request.stations)?;
        let station_count = i32::try_from(stations.len()).unwrap_or(i32::MAX);
        let change = Change::RegisterStations(stations);
        self.handle
            .change(request.request_id, request.validate_only, change)
            .await?;
        Ok(Response::new(v1::RegisterStationsResponse {
            station_count,
        }))
    }

    async fn update_station(
        &self,
        request: Request<v1::UpdateStationRequest>,
    ) -> Answer<v1::UpdateStationResponse> {
        let request = request.into_inner();
        let (id, validate_only) = (request.request_id.clone(), request.validate_only);
        let change = Change::UpdateStation(request.try_into().map_err(refused)?);
        match self.handle.change(id, validate_only, change).await? {
            Changed::Station(station) => Ok(Response::new(v1::UpdateStationResponse {
                station: Some((&station).into()),
            })),
            other => Err(unexpected(&other)),
        }
    }

    async fn get_station(
        &self,
        request: Request<v1::GetStationRequest>,
    ) -> Answer<v1::GetStationResponse> {
        let station = self.station(request.into_inner().station_id).await?;
        Ok(Response::new(v1::GetStationResponse {
            station: Some(station),
        }))
    }

    async fn list_stations(
        &self,
        request: Request<v1::ListStationsRequest>,
    ) -> Answer<v1::ListStationsResponse> {
        let request = request.into_inner();
        let page = Page::parse(request.page_size, &request.page_token)?;
        let scope = match request.aggregator_id.as_str() {
            "" => Scope::All,
            id => Scope::Aggregator(AggregatorId::new(id).map_err(refused)?),
        };
        let (stations, next_page_token) = self
            .handle
            .try_ask(move |engine, _| {
                let fleet = engine.fleet();
                let members = members(fleet, &scope)?;
                Ok(page.of(members.into_iter().map(|i| (&fleet.stations()[i]).into())))
            })
            .await?;
        Ok(Response::new(v1::ListStationsResponse {
            stations,
            next_page_token,
        }))
    }

    async fn get_fleet_state(
        &self,
        request: Request<v1::GetFleetStateRequest>,
    ) -> Answer<v1::GetFleetStateResponse> {
        let request = request.into_inner();
        let page = Page::parse(request.page_size, &request.page_token)?;
        let scope = parse_scope(request.scope)?;
        let answer = self
            .handle
            .try_ask(move |engine, now| {
                let members = members(engine.fleet(), &scope)?;
                let fresh = members
                    .iter()
                    .filter(|i| engine.states()[**i].is_fresh(now, engine.config()));
                let power = members.iter().map(|i| engine.states()[*i].active_power);
                let (fresh_count, power) = (fresh.count(), power.sum::<vpp_core::Power>());
                let station_count = members.len();
                let (stations, next_page_token) =
                    page.of(members.into_iter().map(|i| state_of(engine, now, i)));
                Ok(v1::GetFleetStateResponse {
                    stations,
                    next_page_token,
                    station_count: count(station_count),
                    fresh_station_count: count(fresh_count),
                    active_power_kw: power.as_kilowatts(),
                })
            })
            .await?;
        Ok(Response::new(answer))
    }

    type WatchFleetStateStream =
        Pin<Box<dyn Stream<Item = Result<v1::WatchFleetStateResponse, Status>> + Send>>;

    async fn watch_fleet_state(
        &self,
        request: Request<v1::WatchFleetStateRequest>,
    ) -> Answer<Self::WatchFleetStateStream> {
        let scope = parse_scope(request.into_inner().scope)?;
        let cycles = BroadcastStream::new(self.handle.feeds.cycles.subscribe());
        let first = changed(&self.handle, scope.clone(), None).await?;
        let since = first.1;
        let handle = self.handle.clone();
        // Each turn asks for what came since the turn before; a listener that lags misses turns, not states.
        let later = async_stream(handle, scope, since, cycles);
        let stream = tokio_stream::once(Ok(first.0)).chain(later);
        Ok(Response::new(Box::pin(stream)))
    }
}

fn async_stream(
    handle: Handle,
    scope: Scope,
    since: Timestamp,
    mut cycles: BroadcastStream<Arc<vpp_dispatch::CycleReport>>,
) -> impl Stream<Item = Result<v1::WatchFleetStateResponse, Status>> + Send {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    tokio::spawn(async move {
        let mut since = since;
        while cycles.next().await.is_some() {
            let answer = changed(&handle, scope.clone(), Some(since)).await;
            let failed = answer.is_err();
            if let Ok((_, now)) = &answer {
                since = *now;
            }
            if sender
                .send(answer.map(|(response, _)| response))
                .await
                .is_err()
                || failed
            {
                return;
            }
        }
    });
    tokio_stream::wrappers::ReceiverStream::new(receiver)
}

/// The states that have come since an instant; all without one.
async fn changed(
    handle: &Handle,
    scope: Scope,
    since: Option<Timestamp>,
) -> Result<(v1::WatchFleetStateResponse, Timestamp), Status> {
    handle
        .try_ask(move |engine, now| {
            let reported = |i: &usize| {
                since.is_none_or(|since| {
                    engine.states()[*i].received_at.is_some_and(|at| at > since)
                })
            };
            let members = members(engine.fleet(), &scope)?;
            let stations = members
                .into_iter()
                .filter(reported)
                .map(|i| state_of(engine, now, i))
                .collect();
            Ok((
                v1::WatchFleetStateResponse {
                    cycle: engine.cycle(),
                    stations,
                },
                now,
            ))
        })
        .await
}

impl Fleet {
    async fn station(&self, id: String) -> Result<v1::Station, Status> {
        let id = StationId::new(id).map_err(refused)?;
        self.handle
            .try_ask(move |engine, _| {
                let index = engine.fleet().station_index(&id);
                let station = index.map(|i| (&engine.fleet().stations()[i]).into());
                station.ok_or_else(|| Invalid::unknown("station_id", id))
            })
            .await
    }
}

fn state_of(engine: &Engine, now: Timestamp, index: usize) -> v1::StationState {
    let station = &engine.fleet().stations()[index];
    let state = &engine.states()[index];
    let exposure = state.exposure(&station.into());
    v1::StationState {
        station_id: station.id.to_string(),
        sample_time: state.sampled_at.map(from_timestamp),
        fresh: state.is_fresh(now, engine.config()),
        active_power_kw: state.active_power.as_kilowatts(),
        session_count: count(state.sessions.len()),
        setpoint_kw: state.acknowledged().map(vpp_core::Power::as_kilowatts),
        exposure_min_kw: exposure.low.as_kilowatts(),
        exposure_max_kw: exposure.high.as_kilowatts(),
    }
}

pub(super) fn parse_scope(wire: Option<v1::Scope>) -> Result<Scope, Status> {
    Scope::try_from(wire.unwrap_or_default()).map_err(|e| refused(e.within("scope")))
}

pub(super) fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Converts all entries of a list, or refuses naming the first that cannot be.
fn all_of<W, T: TryFrom<W, Error = Invalid>>(field: &str, wire: Vec<W>) -> Result<Vec<T>, Status> {
    if wire.is_empty() || wire.len() > MOST_AT_ONCE {
        let problem = format!(
            "has {} entries; 1 to {MOST_AT_ONCE} are possible",
            wire.len()
        );
        return Err(refused(Invalid::new(field, problem)));
    }
    let convert = |(position, entry)| {
        T::try_from(entry).map_err(|e: Invalid| refused(e.within(&format!("{field}[{position}]"))))
    };
    wire.into_iter().enumerate().map(convert).collect()
}
