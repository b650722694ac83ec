//! Events: promised, begun, ended.

use chrono::TimeDelta;
use vpp_core::{
    AggregatorId, Commitment, Energy, Event, EventId, EventOutcome, EventRequest, EventState,
    Interval, Invalid, Power, Programme, RequestId, Timestamp,
};

use crate::capability::{event_members, participants, retain_committed};
use crate::engine::Engine;
use crate::input::{Answer, Fact, Output, Request};
use crate::invitations::OWN_REQUESTS;

/// The longest event.
const LONGEST: TimeDelta = TimeDelta::hours(24);
/// So long before an event stations begin to work for it: ramps take time.
pub(crate) const LEAD: TimeDelta = TimeDelta::seconds(5);
/// How far ahead an event may be called.
const FARTHEST: TimeDelta = TimeDelta::days(8);

impl Engine {
    /// Promises what can be kept of an event.
    pub(crate) fn submit_event(
        &mut self,
        now: Timestamp,
        request: EventRequest,
        validate_only: bool,
    ) -> Result<Event, Invalid> {
        check_programme(&request.programme)?;
        self.check_interval(now, request.interval)?;
        let members = event_members(&self.fleet, &request.programme, &request.scope)?;
        if members.is_empty() {
            return Err(Invalid::state("scope", "has no station"));
        }
        self.check_overlap(&request, &members)?;
        let asked = self.asked(now, &request.programme, &members);
        let real_time = self.is_short_notice(now, request.interval);
        let shares = self.shares(now, &request, &members, real_time);
        let callable: Power = shares.iter().map(|share| share.power).sum();
        let accepted = asked.min(callable);
        if asked > Power::ZERO && accepted <= Power::ZERO {
            return Err(Invalid::state(
                "programme",
                format!("{asked} is asked and nothing is callable in the scope for that long"),
            ));
        }
        let commitments = split(accepted, callable, shares);
        let event = Event {
            accepted,
            refused: asked - accepted,
            ..self.scheduled(now, request, commitments)
        };
        if !validate_only {
            self.next_event += 1;
            self.events.insert(event.id.clone(), event.clone());
        }
        Ok(event)
    }

    /// Calls an event whose promises are agreed already.
    pub(crate) fn call_cleared_event(
        &mut self,
        now: Timestamp,
        request: EventRequest,
        commitments: Vec<Commitment>,
    ) -> Result<Event, Invalid> {
        self.check_interval(now, request.interval)?;
        let mut members = event_members(&self.fleet, &request.programme, &request.scope)?;
        retain_committed(&self.fleet, &mut members, &commitments);
        if members.is_empty() {
            return Err(Invalid::state(
                "scope",
                "has no station of those who were taken",
            ));
        }
        self.check_overlap(&request, &members)?;
        let event = Event {
            cleared: true,
            ..self.scheduled(now, request, commitments)
        };
        self.next_event += 1;
        self.events.insert(event.id.clone(), event.clone());
        Ok(event)
    }

    /// The next event, not called yet, with promises that are all that was asked for.
    fn scheduled(
        &self,
        now: Timestamp,
        request: EventRequest,
        commitments: Vec<Commitment>,
    ) -> Event {
        let id = EventId::new(format!("event-{:06}", self.next_event));
        Event {
            id: id.unwrap_or_else(|invalid| unreachable!("{invalid}")),
            request,
            accepted: commitments.iter().map(|c| c.power).sum(),
            refused: Power::ZERO,
            commitments,
            cleared: false,
            state: EventState::Scheduled,
            created_at: now,
            baseline: None,
            measured: None,
            forecast_shortfall: None,
            committed_energy: Energy::ZERO,
            delivered_energy: Energy::ZERO,
            outcome: None,
        }
    }

    pub(crate) fn check_interval(&self, now: Timestamp, interval: Interval) -> Result<(), Invalid> {
        if interval.end() <= now {
            return Err(Invalid::new(
                "end_time",
                format!("{} is not in the future", interval.end()),
            ));
        }
        if interval.start() < now - self.config.future_tolerance {
            let problem = format!("{} is more than 5 min in the past", interval.start());
            return Err(Invalid::new("start_time", problem));
        }
        if interval.start() > now + FARTHEST {
            let problem = format!("{} is more than 8 days ahead", interval.start());
            return Err(Invalid::new("start_time", problem));
        }
        if interval.length() > LONGEST {
            return Err(Invalid::new(
                "end_time",
                "is more than 24 h after the start",
            ));
        }
        Ok(())
    }

    /// The same kW is never sold twice: demand response, of either direction, does not share a station with demand response,
    /// nor peak shaving with peak shaving, at the same time. Peak shaving beside demand response is added to it in the plan.
    fn check_overlap(&self, request: &EventRequest, members: &[usize]) -> Result<(), Invalid> {
        // Of what asks to draw less, a ceiling beside demand response is added to it in the plan; of what asks to draw more it
        // would take back what was promised.
        let shaves = |programme: &Programme| matches!(programme, Programme::PeakShaving { .. });
        let alike = |event: &&Event| {
            let (theirs, ours) = (&event.request.programme, &request.programme);
            shaves(theirs) == shaves(ours) || theirs.fills() || ours.fills()
        };
        for event in self.open_events().filter(alike) {
            if event
                .request
                .interval
                .intersection(&request.interval)
                .is_none()
            {
                continue;
            }
            let theirs = participants(&self.fleet, event);
            if let Some(shared) = members
                .iter()
                .find(|station| theirs.binary_search(station).is_ok())
            {
                let station = &self.fleet.stations()[*shared].id;
                return Err(Invalid::state(
                    "scope",
                    format!("station {station} is promised to {} in that time", event.id),
                ));
            }
        }
        Ok(())
    }

    /// The reduction, or increase, that a programme asks for, foreseen from the draw of now.
    fn asked(&self, now: Timestamp, programme: &Programme, members: &[usize]) -> Power {
        match programme {
            Programme::DemandResponse { reduction: power }
            | Programme::ValleyFilling { increase: power } => *power,
            Programme::PeakShaving { node, ceiling } => {
                let draw: Power = members.iter().map(|s| self.states[*s].active_power).sum();
                let base = self.base_below(now, node);
                (base + draw - *ceiling).max(Power::ZERO)
            }
        }
    }

    /// Base load at a node and below it.
    pub(crate) fn base_below(&self, now: Timestamp, node: &vpp_core::NodeId) -> Power {
        let tree = self.fleet.tree();
        let mut base: Vec<Power> = tree.nodes().iter().map(|n| n.base_load.at(now)).collect();
        tree.sum_upwards(&mut base);
        tree.index_of(node).map_or(Power::ZERO, |index| base[index])
    }

    /// What each aggregator could promise: callable over the event's length, less a share for vehicles that come and go,
    /// less what is promised already to events in that time.
    pub(crate) fn shares(
        &self,
        now: Timestamp,
        request: &EventRequest,
        members: &[usize],
        real_time: bool,
    ) -> Vec<Commitment> {
        let (programme, interval) = (&request.programme, request.interval);
        let callable = self.givable_by_aggregator(now, programme, members, interval, real_time);
        let overlapping = self.open_events().filter(|event| {
            event.state == EventState::Scheduled
                && event
                    .request
                    .interval
                    .intersection(&request.interval)
                    .is_some()
        });
        let mut promised = vec![Power::ZERO; callable.len()];
        for commitment in overlapping.flat_map(|event| &event.commitments) {
            if let Some(index) = self.fleet.aggregator_index(&commitment.aggregator) {
                promised[index] += commitment.power;
            }
        }
        let aggregators = self.fleet.aggregators().iter().zip(callable).zip(promised);
        aggregators
            .map(|((aggregator, callable), promised)| Commitment {
                aggregator: aggregator.id.clone(),
                power: (callable - promised).max(Power::ZERO),
            })
            .collect()
    }

    /// Calls an event off.
    pub(crate) fn cancel_event(
        &mut self,
        now: Timestamp,
        id: &EventId,
        validate_only: bool,
        outputs: &mut Vec<Output>,
    ) -> Result<Event, Invalid> {
        let known = self.events.get(id);
        let event = known.ok_or_else(|| Invalid::unknown("event_id", id))?;
        if event.outcome.is_some() {
            return Err(Invalid::state("event_id", format!("{id} is over already")));
        }
        if !validate_only {
            // First, so that what came until now is in the copy that is answered and kept.
            self.account_until(now);
        }
        let mut event = self.events[id].clone();
        event.state = EventState::Cancelled;
        event.outcome = Some(EventOutcome::Cancelled);
        event.measured = None;
        event.forecast_shortfall = None;
        if !validate_only {
            self.events.insert(id.clone(), event.clone());
            outputs.push(Output::EventChanged(Box::new(event.clone())));
        }
        Ok(event)
    }

    /// Events that are not over.
    pub(crate) fn open_events(&self) -> impl Iterator<Item = &Event> {
        self.events.values().filter(|event| event.outcome.is_none())
    }

    /// Events that the stations work for now: those that are on, and those that begin before the next cycle would, or so soon
    /// that stations need the time to get there.
    pub(crate) fn working_events(&self, now: Timestamp) -> impl Iterator<Item = &Event> {
        let soon = now + self.config.cycle.max(LEAD);
        self.open_events().filter(move |event| {
            event.request.interval.start() < soon && event.request.interval.end() > now
        })
    }

    /// Begins and ends events whose time has come.
    pub(crate) fn turn_events(&mut self, now: Timestamp, outputs: &mut Vec<Output>) {
        let open: Vec<EventId> = self.open_events().map(|event| event.id.clone()).collect();
        for id in open {
            let Some(event) = self.events.get_mut(&id) else {
                continue;
            };
            let before = event.clone();
            if event.request.interval.end() <= now {
                event.state = EventState::Ended;
                event.outcome = Some(outcome(event, self.config.delivered_share));
                event.measured = None;
                event.forecast_shortfall = None;
            } else if event.request.interval.start() <= now {
                event.state = EventState::Active;
            }
            if event.state == EventState::Active || *event != before {
                let event = event.clone();
                if let Some(request) = self.event_requests.get(&id) {
                    let fact = Fact::Event {
                        id: request.clone(),
                        event: event.clone(),
                    };
                    outputs.push(Output::Record(Box::new(fact)));
                }
                outputs.push(Output::EventChanged(Box::new(event)));
            }
        }
    }

    pub(crate) fn restore_event(&mut self, now: Timestamp, id: RequestId, event: Event) {
        let request = Request::SubmitEvent(event.request.clone());
        let number = event
            .id
            .as_str()
            .rsplit('-')
            .next()
            .and_then(|n| n.parse::<u64>().ok());
        self.next_event = self.next_event.max(number.unwrap_or(0) + 1);
        self.event_requests.insert(event.id.clone(), id.clone());
        if !id.as_str().starts_with(OWN_REQUESTS) {
            let answer = Answer::Event(event.clone());
            self.requests.remember(id, &request, answer);
        }
        // What was delivered while nobody looked is not known, and is not claimed.
        self.accounted_at = Some(self.accounted_at.map_or(now, |at| at.max(now)));
        self.events.insert(event.id.clone(), event);
    }
}

fn check_programme(programme: &Programme) -> Result<(), Invalid> {
    match programme {
        Programme::DemandResponse { reduction } if *reduction <= Power::ZERO => Err(Invalid::new(
            "demand_response.reduction_kw",
            format!("{reduction} is not positive"),
        )),
        Programme::ValleyFilling { increase } if *increase <= Power::ZERO => Err(Invalid::new(
            "valley_filling.increase_kw",
            format!("{increase} is not positive"),
        )),
        Programme::PeakShaving { ceiling, .. } if *ceiling < Power::ZERO => Err(Invalid::new(
            "peak_shaving.ceiling_kw",
            format!("{ceiling} is negative"),
        )),
        _ => Ok(()),
    }
}

fn outcome(event: &Event, delivered_share: f64) -> EventOutcome {
    let committed = event.committed_energy.as_kilowatt_hours();
    if event.delivered_energy.as_kilowatt_hours() >= committed * delivered_share {
        return EventOutcome::Delivered;
    }
    EventOutcome::PartlyDelivered {
        shortfall: event.committed_energy - event.delivered_energy,
    }
}

/// Shares `accepted` in proportion to what each could promise. Adds up to the watt: the last ones carry the remainder.
fn split(accepted: Power, callable: Power, shares: Vec<Commitment>) -> Vec<Commitment> {
    let mut left = accepted;
    let mut commitments: Vec<(Commitment, Power)> = shares
        .into_iter()
        .map(|share| {
            let power = accepted.scaled(share.power, callable);
            left -= power;
            (
                Commitment {
                    aggregator: share.aggregator,
                    power,
                },
                share.power,
            )
        })
        .collect();
    for (commitment, most) in &mut commitments {
        let more = left.min(*most - commitment.power);
        commitment.power += more;
        left -= more;
    }
    let used = |(commitment, _): (Commitment, Power)| {
        Some(commitment).filter(|commitment| commitment.power > Power::ZERO)
    };
    commitments.into_iter().filter_map(used).collect()
}

/// What one aggregator promised to an event.
pub(crate) fn promised(event: &Event, aggregator: &AggregatorId) -> Power {
    let theirs = event
        .commitments
        .iter()
        .find(|commitment| commitment.aggregator == *aggregator);
    theirs.map_or(Power::ZERO, |commitment| commitment.power)
}
