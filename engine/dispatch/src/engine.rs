//! The state, and the one function that changes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vpp_core::{
    Event, EventId, Fleet, Invalid, InvitationId, Power, Price, RegulationAward, RequestId,
    SequenceNumber, Timestamp,
};

use crate::config::Config;
use crate::input::{Answer, Fact, Input, Output, Request};
use crate::invitations::{Invited, OWN_REQUESTS};
use crate::issue::Releasing;
use crate::plan::{PendingSolve, Plan};
use crate::promises::Promises;
use crate::regulation::Regulation;
use crate::regulation::steer::Steering;
use crate::requests::Requests;
use crate::state::StationState;
use crate::subsidy::Subsidy;
use crate::visits::Turnover;

/// What each station that is callable can keep up for [`crate::promises::PROMISED_FOR`], and at which instant.
pub(crate) type Sustained = (Timestamp, Vec<Option<(Power, Power)>>);

/// The dispatch engine.
///
/// It can be saved between two inputs ([`Engine::can_be_saved`]): its state, without what it was told at the start or can make
/// anew ([`Engine::resume`]).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Engine {
    #[serde(skip)]
    pub(crate) config: Config,
    pub(crate) epoch: u64,
    #[serde(skip)]
    pub(crate) fleet: Fleet,
    /// One for each station of the fleet, in its order.
    pub(crate) states: Vec<StationState>,
    pub(crate) events: BTreeMap<EventId, Event>,
    /// The request that called each event.
    pub(crate) event_requests: BTreeMap<EventId, RequestId>,
    pub(crate) next_event: u64,
    #[serde(skip)]
    pub(crate) invitations: BTreeMap<InvitationId, Invited>,
    #[serde(skip)]
    pub(crate) requests: Requests,
    pub(crate) subsidy: Option<Subsidy>,
    pub(crate) prices: BTreeMap<Timestamp, (Timestamp, Price, Price)>,
    #[serde(skip)]
    pub(crate) regulation: Option<Regulation>,
    #[serde(skip)]
    pub(crate) regulation_request: Option<RequestId>,
    /// Regulation held by all stations together.
    pub(crate) held: RegulationAward,
    #[serde(skip)]
    pub(crate) steering: Steering,
    /// Room for what every release adds up, kept from one to the next.
    #[serde(skip)]
    pub(crate) releasing: Releasing,
    pub(crate) plan: Option<Plan>,
    #[serde(skip)]
    pub(crate) pending: Option<PendingSolve>,
    pub(crate) promises: Promises,
    pub(crate) turnover: Turnover,
    /// Looked at by more than one. None once anything came that may change it.
    #[serde(skip)]
    pub(crate) sustained: Option<Sustained>,
    pub(crate) cycle: u64,
    pub(crate) cycle_started_at: Option<Timestamp>,
    /// Cycles in a row without an allocation from the optimizer.
    pub(crate) unsolved_cycles: u32,
    /// Solutions that came too late and were ignored.
    pub(crate) late_solutions: u64,
    pub(crate) acknowledgements: usize,
    pub(crate) refusals: usize,
    /// Until when events are accounted for.
    pub(crate) accounted_at: Option<Timestamp>,
}

impl Engine {
    /// An engine that knows nothing yet.
    ///
    /// `epoch` must be larger than that of every engine that commanded the same stations before: it makes the sequence
    /// numbers go on growing over a restart.
    ///
    /// # Errors
    /// When the configuration cannot be.
    pub fn new(config: Config, epoch: u64) -> Result<Engine, Invalid> {
        config.check()?;
        Ok(Engine {
            config,
            epoch,
            fleet: Fleet::default(),
            states: Vec::new(),
            events: BTreeMap::new(),
            event_requests: BTreeMap::new(),
            next_event: 1,
            invitations: BTreeMap::new(),
            requests: Requests::default(),
            subsidy: None,
            prices: BTreeMap::new(),
            regulation: None,
            regulation_request: None,
            held: RegulationAward::default(),
            steering: Steering::default(),
            releasing: Releasing::default(),
            plan: None,
            pending: None,
            promises: Promises::default(),
            turnover: Turnover::default(),
            sustained: None,
            cycle: 0,
            cycle_started_at: None,
            unsolved_cycles: 0,
            late_solutions: 0,
            acknowledgements: 0,
            refusals: 0,
            accounted_at: None,
        })
    }

    /// Whether all that matters is saved now: nothing while a plan is made, a regulation signal is followed, or anybody is
    /// invited.
    #[must_use]
    pub fn can_be_saved(&self) -> bool {
        self.pending.is_none() && self.regulation.is_none() && self.invitations.is_empty()
    }

    /// Goes on where another one was saved, which had the same configuration and fleet. Which requests were answered before is
    /// not known any more: they must not come again.
    pub fn resume(&mut self, saved: Engine) {
        let fresh = std::mem::replace(self, saved);
        (self.config, self.fleet) = (fresh.config, fresh.fleet);
    }

    /// Takes one input at an instant, and tells what it leads to. `now` never goes back from one call to the next.
    pub fn step(&mut self, now: Timestamp, input: Input) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.step_into(now, input, &mut outputs);
        outputs
    }

    /// The same, adding what it leads to. A loop that keeps the room for outputs follows a signal without allocating.
    pub fn step_into(&mut self, now: Timestamp, input: Input, outputs: &mut Vec<Output>) {
        if matches!(input, Input::Request { .. } | Input::Telemetry(_)) {
            self.sustained = None;
        }
        match input {
            Input::Request {
                id,
                validate_only,
                request,
            } => {
                let answer = self.answer(now, id, request, validate_only, outputs);
                outputs.push(Output::Answer(Box::new(answer)));
            }
            Input::Telemetry(telemetry) => {
                if let Err(invalid) = self.ingest_telemetry(now, telemetry) {
                    outputs.push(Output::Rejected(invalid));
                }
            }
            Input::Acknowledgement(acknowledgement) => {
                if let Err(invalid) = self.ingest_acknowledgement(now, &acknowledgement) {
                    outputs.push(Output::Rejected(invalid));
                }
            }
            Input::Prices(points) => {
                for point in points {
                    let value = (point.interval.end(), point.energy, point.feed_in);
                    self.prices.insert(point.interval.start(), value);
                }
            }
            Input::Subsidy(subsidy) => match subsidy.map_or(Ok(()), |subsidy| subsidy.check()) {
                Ok(()) => self.subsidy = subsidy,
                Err(invalid) => outputs.push(Output::Rejected(invalid)),
            },
            Input::CycleStarted => self.start_cycle(now, outputs),
            Input::Interim => self.serve_newcomers(now, outputs),
            Input::Solved(solved) => self.take_solution(now, solved, outputs),
            Input::SolveBudgetSpent { cycle } => self.go_without(now, cycle, outputs),
            Input::Signal(signal) => self.follow(now, signal, outputs),
            Input::RegulationStopped => self.stop_regulation(),
            Input::Restored(fact) => self.restore(now, fact),
        }
    }

    fn answer(
        &mut self,
        now: Timestamp,
        id: RequestId,
        request: Request,
        validate_only: bool,
        outputs: &mut Vec<Output>,
    ) -> Result<Answer, Invalid> {
        if let Request::StartRegulation { award, sustain } = request {
            return self.attach_regulation(now, id, award, sustain, validate_only);
        }
        if let Some(answer) = self.requests.recall(&id, &request)? {
            return Ok(self.as_it_is_now(answer));
        }
        if id.as_str().starts_with(OWN_REQUESTS) {
            let problem = format!("begins with {OWN_REQUESTS:?} as the engine's own do");
            return Err(Invalid::new("request_id", problem));
        }
        let answer = match request.clone() {
            Request::SubmitEvent(event) => {
                Answer::Event(self.submit_event(now, event, validate_only)?)
            }
            Request::StepInvitation { invitation, step } => {
                self.step_invitation(now, &invitation, &step, validate_only, outputs)?
            }
            Request::CancelEvent(event) => {
                if let Some(invitation) = self.invitation_of(&event) {
                    let problem = format!("{event} belongs to {invitation}: cancel that");
                    return Err(Invalid::state("event_id", problem));
                }
                Answer::Event(self.cancel_event(now, &event, validate_only, outputs)?)
            }
            change => self.change_fleet(change, validate_only)?,
        };
        if !validate_only {
            outputs.push(Output::Record(Box::new(match (&request, &answer) {
                (Request::SubmitEvent(_), Answer::Event(event)) => {
                    self.event_requests.insert(event.id.clone(), id.clone());
                    Fact::Event {
                        id: id.clone(),
                        event: event.clone(),
                    }
                }
                (Request::CancelEvent(_), Answer::Event(event)) => Fact::EventCancelled {
                    id: id.clone(),
                    event: event.clone(),
                },
                (Request::StepInvitation { step, .. }, Answer::Invitation(invited)) => {
                    Fact::Invitation {
                        asked: Some((id.clone(), step.clone())),
                        invited: invited.clone(),
                    }
                }
                _ => Fact::FleetChanged {
                    id: id.clone(),
                    request: request.clone(),
                },
            })));
            let remembered = match &answer {
                Answer::Invitation(invited) => Answer::InvitationKnown(invited.id.clone()),
                other => other.clone(),
            };
            self.requests.remember(id, &request, remembered);
        }
        Ok(answer)
    }

    /// A stream that names the request of the regulation that is on takes it over: its predecessor broke.
    fn attach_regulation(
        &mut self,
        now: Timestamp,
        id: RequestId,
        award: RegulationAward,
        sustain: chrono::TimeDelta,
        validate_only: bool,
    ) -> Result<Answer, Invalid> {
        if let Some(regulation) = &self.regulation
            && self.regulation_request.as_ref() == Some(&id)
        {
            let station_count = self.regulating_stations(now).len();
            return Ok(Answer::Regulation {
                award: regulation.award,
                station_count,
            });
        }
        let answer = self.start_regulation(now, award, sustain, validate_only)?;
        if !validate_only {
            self.regulation_request = Some(id);
        }
        Ok(answer)
    }

    fn change_fleet(&mut self, request: Request, validate_only: bool) -> Result<Answer, Invalid> {
        // A copy is changed and kept only when all of it holds: all or none.
        let mut fleet = self.fleet.clone();
        let answer = change(&mut fleet, request)?;
        if validate_only {
            return Ok(answer);
        }
        self.fleet = fleet;
        let first = SequenceNumber {
            epoch: self.epoch,
            number: 0,
        };
        self.states
            .resize_with(self.fleet.stations().len(), || StationState {
                last_sequence: first,
                ..StationState::default()
            });
        Ok(answer)
    }

    /// Takes up what somebody was told before a restart.
    fn restore(&mut self, now: Timestamp, fact: Fact) {
        match fact {
            Fact::FleetChanged { id, request } => {
                let answer = self
                    .change_fleet(request.clone(), false)
                    .unwrap_or_else(|e| panic!("a recorded change no longer holds: {e}"));
                self.requests.remember(id, &request, answer);
                // What the engine before this one told them last is not known.
                let until = now + self.config.command_lifetime;
                for state in &mut self.states {
                    state.unknown_until = Some(until);
                }
            }
            Fact::Baselines(frozen) => {
                for state in &mut self.states {
                    state.baseline = None;
                }
                for (station, baseline) in frozen {
                    if let Some(index) = self.fleet.station_index(&station) {
                        self.states[index].baseline = Some(baseline);
                    }
                }
            }
            Fact::UsualLoads(loads) => {
                for (station, means) in loads {
                    if let Some(index) = self.fleet.station_index(&station) {
                        self.states[index].usual.restore(&means);
                    }
                }
            }
            Fact::Callable { at, callable } => self.restore_callable(at, &callable),
            Fact::Visits { at, visits } => self.restore_visits(at, &visits),
            Fact::Event { id, event } => self.restore_event(now, id, event),
            Fact::Invitation { asked, invited } => self.restore_invitation(asked, *invited),
            Fact::EventCancelled { id, event } => {
                if !id.as_str().starts_with(OWN_REQUESTS) {
                    let request = Request::CancelEvent(event.id.clone());
                    let answer = Answer::Event(event.clone());
                    self.requests.remember(id, &request, answer);
                }
                self.events.insert(event.id.clone(), event);
            }
        }
    }

    /// Everything that is registered.
    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// What is known of each station, in the order of the fleet.
    #[must_use]
    pub fn states(&self) -> &[StationState] {
        &self.states
    }

    /// All events, oldest first.
    #[must_use]
    pub fn events(&self) -> &BTreeMap<EventId, Event> {
        &self.events
    }

    /// The event that a request called.
    #[must_use]
    pub fn event_of(&self, request: &RequestId) -> Option<&Event> {
        let called = self.event_requests.iter().find(|(_, id)| *id == request);
        called.and_then(|(event, _)| self.events.get(event))
    }

    /// The subsidy for what vehicles feed in, and what is left of its budget.
    #[must_use]
    pub fn subsidy(&self) -> Option<Subsidy> {
        self.subsidy
    }

    /// The plan in force, while a programme is on.
    #[must_use]
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// The regulation that is on.
    #[must_use]
    pub fn regulation(&self) -> Option<&Regulation> {
        self.regulation.as_ref()
    }

    /// The knobs.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Number of the current control cycle; 0 before the first.
    #[must_use]
    pub fn cycle(&self) -> u64 {
        self.cycle
    }

    /// Solutions that came too late and were ignored.
    #[must_use]
    pub fn late_solutions(&self) -> u64 {
        self.late_solutions
    }
}

/// Carries out a change of the fleet. One that is refused may be half done.
fn change(fleet: &mut Fleet, request: Request) -> Result<Answer, Invalid> {
    let within = |field: &'static str| move |invalid: Invalid| invalid.within(field);
    let entry = |list: &str, position: usize| format!("{list}[{position}]");
    match request {
        Request::RegisterAggregator(aggregator) => {
            let inserted = fleet.insert_aggregator(aggregator);
            inserted.map_err(within("aggregator"))?;
        }
        Request::RegisterNodes(nodes) => {
            for (position, node) in nodes.into_iter().enumerate() {
                let inserted = fleet.insert_node(node);
                inserted.map_err(|e| e.within(&entry("nodes", position)))?;
            }
        }
        Request::RegisterStations(stations) => {
            for (position, station) in stations.into_iter().enumerate() {
                let inserted = fleet.insert_station(station);
                inserted.map_err(|e| e.within(&entry("stations", position)))?;
            }
        }
        Request::UpdateAggregator(change) => {
            let updated = fleet.update_aggregator(&change).cloned();
            return updated
                .map(Answer::Aggregator)
                .map_err(within("aggregator"));
        }
        Request::UpdateNode(change) => {
            let updated = fleet.update_node(&change).cloned();
            return updated.map(Answer::Node).map_err(within("node"));
        }
        Request::UpdateStation(change) => {
            let updated = fleet.update_station(&change).cloned();
            return updated.map(Answer::Station).map_err(within("station"));
        }
        Request::SubmitEvent(_)
        | Request::CancelEvent(_)
        | Request::StepInvitation { .. }
        | Request::StartRegulation { .. } => {
            unreachable!("answered elsewhere")
        }
    }
    Ok(Answer::Done)
}
