//! Invitations to demand response: aggregators declare, the engine clears, and what is cleared becomes an event with a promise
//! of each aggregator. The steps that time brings, clearing, beginning and end, happen in the first control cycle after
//! their time.

use vpp_core::{
    AggregatorId, Commitment, EventId, EventRequest, Invalid, InvitationId, Power, Price,
    Programme, RequestId, Timestamp,
};
use vpp_market_adapters::response::clearing::Offer;
use vpp_market_adapters::response::invitation::{
    Action, Declaration, Invitation, InvitationStep, Process, Product, State,
};
use vpp_market_adapters::response::payment::Direction;

use crate::capability::{members, scaled};
use crate::engine::Engine;
use crate::input::{Answer, Fact, Output, Request};

/// Longest name of an invitation: that of the request that calls its event is made of it.
const LONGEST_NAME: usize = 48;

/// An invitation, where it is in its life, and what it led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invited {
    /// Its name.
    pub id: InvitationId,
    /// Its life, with the trail of all that happened to it.
    pub process: Process,
    /// The event by which it is delivered, once it is cleared.
    pub event: Option<EventId>,
}

impl Engine {
    /// All invitations, by name.
    #[must_use]
    pub fn invitations(&self) -> &std::collections::BTreeMap<InvitationId, Invited> {
        &self.invitations
    }

    /// Takes a step that somebody asks for.
    pub(crate) fn step_invitation(
        &mut self,
        now: Timestamp,
        id: &InvitationId,
        step: &InvitationStep,
        validate_only: bool,
        outputs: &mut Vec<Output>,
    ) -> Result<Answer, Invalid> {
        let invited = if let InvitationStep::Publish(invitation) = step {
            self.publish(now, id, invitation)?
        } else {
            let known = self.invitations.get(id);
            let known = known.ok_or_else(|| Invalid::unknown("invitation_id", id))?;
            let mut invited = known.clone();
            invited.process.apply(now, self.action(now, known, step)?)?;
            invited
        };
        if validate_only {
            return Ok(Answer::Invitation(Box::new(invited)));
        }
        if let (InvitationStep::Cancel(_), Some(event)) = (step, &invited.event) {
            let over = |event: &vpp_core::Event| event.outcome.is_some();
            if !self.events.get(event).is_none_or(over) {
                let event = self.cancel_event(now, event, false, outputs)?;
                let id = event_request_id(id)?;
                outputs.push(Output::Record(Box::new(Fact::EventCancelled { id, event })));
            }
        }
        let answer = Answer::Invitation(Box::new(invited.clone()));
        self.invitations.insert(id.clone(), invited);
        Ok(answer)
    }

    fn publish(
        &self,
        now: Timestamp,
        id: &InvitationId,
        invitation: &Invitation,
    ) -> Result<Invited, Invalid> {
        if self.invitations.contains_key(id) {
            return Err(Invalid {
                kind: vpp_core::InvalidKind::Taken,
                field: "invitation_id".into(),
                problem: format!("{id} was published already"),
            });
        }
        if id.as_str().len() > LONGEST_NAME {
            let problem = format!("has more than {LONGEST_NAME} characters");
            return Err(Invalid::new("invitation_id", problem));
        }
        let process = Process::publish(now, invitation.clone())?;
        if members(&self.fleet, &invitation.scope)?.is_empty() {
            return Err(Invalid::state("scope", "has no station"));
        }
        self.check_interval(now, invitation.interval)?;
        // Declarations are cleared in a control cycle, and the event begins in a later one.
        let latest = invitation.interval.start() - self.config.cycle * 2;
        if invitation.declare_until > latest {
            let problem = format!(
                "{} is less than two control cycles before the beginning: {latest} at the latest",
                invitation.declare_until
            );
            return Err(Invalid::new("declare_until", problem));
        }
        Ok(Invited {
            id: id.clone(),
            process,
            event: None,
        })
    }

    fn action(
        &self,
        now: Timestamp,
        invited: &Invited,
        step: &InvitationStep,
    ) -> Result<Action, Invalid> {
        Ok(match step {
            InvitationStep::Publish(_) => unreachable!("published elsewhere"),
            InvitationStep::Declare(declaration) => self.declare(now, invited, declaration)?,
            InvitationStep::Withdraw(aggregator) => Action::Withdraw(aggregator.clone()),
            InvitationStep::Cancel(reason) => Action::Cancel(reason.clone()),
            InvitationStep::Evaluate => Action::Evaluate,
            InvitationStep::Pay => Action::Pay,
        })
    }

    /// The declaration with what was left out, and what the aggregator was tested for.
    fn declare(
        &self,
        now: Timestamp,
        invited: &Invited,
        declaration: &Declaration,
    ) -> Result<Action, Invalid> {
        let aggregator = &declaration.aggregator;
        let known = self.fleet.aggregator_index(aggregator);
        let index = known.ok_or_else(|| Invalid::unknown("aggregator_id", aggregator))?;
        let invitation = invited.process.invitation();
        let mut tested = Power::ZERO;
        for station in members(&self.fleet, &invitation.scope)? {
            if self.fleet.aggregator_of(station) == index {
                let registered = &self.fleet.stations()[station];
                let declared = registered.rated_draw() + registered.rated_export();
                tested += scaled(declared, self.tested_share(station));
            }
        }
        let power = match declaration.power {
            Some(power) => power,
            None => self.offerable(now, invitation, aggregator)?,
        };
        let wear = Price::round_cny_per_kwh(self.config.wear_cny_per_kwh);
        let price = declaration
            .price
            .unwrap_or_else(|| invitation.bounds.floor.max(wear));
        let offer = Offer {
            aggregator: aggregator.clone(),
            power,
            price,
            whole: declaration.whole,
        };
        Ok(Action::Declare(offer, tested))
    }

    /// What an aggregator's stations in the scope can give for so long, less what is promised already in that time.
    fn offerable(
        &self,
        now: Timestamp,
        invitation: &Invitation,
        aggregator: &AggregatorId,
    ) -> Result<Power, Invalid> {
        let request = event_request(invitation, invitation.demand);
        let members = members(&self.fleet, &invitation.scope)?;
        let shares = self.shares(now, &request, &members, false);
        let mine = shares.iter().find(|share| share.aggregator == *aggregator);
        let power = mine.map_or(Power::ZERO, |share| share.power);
        if power < invitation.bounds.least || power <= Power::ZERO {
            let problem = format!("{power} is callable for that long: too little to declare");
            return Err(Invalid::state("power_kw", problem));
        }
        Ok(power.min(invitation.demand))
    }

    /// Clears, begins and ends invitations whose time has come.
    pub(crate) fn turn_invitations(&mut self, now: Timestamp, outputs: &mut Vec<Output>) {
        let waiting: Vec<InvitationId> = (self.invitations.values())
            .filter(|invited| invited.process.is_open())
            .map(|invited| invited.id.clone())
            .collect();
        for id in waiting {
            // Clearing and beginning may fall into one cycle.
            while let Some(invited) = self.invitations[&id].turned(now) {
                self.invitations.insert(id.clone(), invited);
                self.deliver_cleared(now, &id, outputs);
                outputs.push(Output::Record(Box::new(Fact::Invitation {
                    asked: None,
                    invited: Box::new(self.invitations[&id].clone()),
                })));
            }
            // Cleared before a restart, and the event was not recorded any more.
            if self.lacks_event(&id) {
                self.deliver_cleared(now, &id, outputs);
                outputs.push(Output::Record(Box::new(Fact::Invitation {
                    asked: None,
                    invited: Box::new(self.invitations[&id].clone()),
                })));
            }
        }
    }

    /// Whether it is cleared, or on, and there is no event by which it is delivered.
    fn lacks_event(&self, id: &InvitationId) -> bool {
        let invited = &self.invitations[id];
        let state = invited.process.state();
        let called = |event: &EventId| self.events.contains_key(event);
        matches!(state, State::Cleared | State::Executing)
            && !invited.event.as_ref().is_some_and(called)
    }

    /// Calls the event of a cleared invitation; one that cannot be delivered is cancelled.
    fn deliver_cleared(&mut self, now: Timestamp, id: &InvitationId, outputs: &mut Vec<Output>) {
        if !self.lacks_event(id) {
            return;
        }
        let called = self.call(now, id, outputs);
        let Some(invited) = self.invitations.get_mut(id) else {
            return;
        };
        match called {
            Ok(event) => invited.event = Some(event),
            Err(refused) => {
                let reason = format!("it cannot be delivered: {refused}");
                let cancelled = invited.process.apply(now, Action::Cancel(reason));
                debug_assert!(cancelled.is_ok(), "{cancelled:?}");
            }
        }
    }

    /// Calls the event of a cleared invitation, with the promises as they were cleared.
    fn call(
        &mut self,
        now: Timestamp,
        id: &InvitationId,
        outputs: &mut Vec<Output>,
    ) -> Result<EventId, Invalid> {
        let process = &self.invitations[id].process;
        let taken = process
            .clearing()
            .map_or(&[][..], |clearing| &clearing.taken);
        let commitments: Vec<Commitment> = taken
            .iter()
            .filter(|taken| taken.power > Power::ZERO)
            .map(|taken| Commitment {
                aggregator: taken.aggregator.clone(),
                power: taken.power,
            })
            .collect();
        if commitments.is_empty() {
            return Err(Invalid::state("declarations", "no offer could be taken"));
        }
        let total: Power = commitments.iter().map(|commitment| commitment.power).sum();
        let request = event_request(process.invitation(), total);
        let request_id = event_request_id(id)?;
        let event = self.call_cleared_event(now, request, commitments)?;
        self.event_requests
            .insert(event.id.clone(), request_id.clone());
        outputs.push(Output::Record(Box::new(Fact::Event {
            id: request_id,
            event: event.clone(),
        })));
        let called = event.id.clone();
        outputs.push(Output::EventChanged(Box::new(event)));
        Ok(called)
    }

    /// The invitation that an event was called for.
    pub(crate) fn invitation_of(&self, event: &EventId) -> Option<&InvitationId> {
        let called = |invited: &&Invited| invited.event.as_ref() == Some(event);
        self.invitations
            .values()
            .find(called)
            .map(|invited| &invited.id)
    }

    /// Takes an invitation up again as it was recorded.
    pub(crate) fn restore_invitation(
        &mut self,
        asked: Option<(RequestId, InvitationStep)>,
        invited: Invited,
    ) {
        let id = invited.id.clone();
        self.invitations.insert(id.clone(), invited);
        if let Some((request_id, step)) = asked {
            let request = Request::StepInvitation {
                invitation: id.clone(),
                step,
            };
            let answer = Answer::InvitationKnown(id);
            self.requests.remember(request_id, &request, answer);
        }
    }

    /// An answer that was remembered, with an invitation as it is now.
    pub(crate) fn as_it_is_now(&self, answer: Answer) -> Answer {
        match &answer {
            Answer::InvitationKnown(id) => match self.invitations.get(id) {
                Some(invited) => Answer::Invitation(Box::new(invited.clone())),
                None => answer,
            },
            _ => answer,
        }
    }
}

impl Invited {
    /// As it is after the step that time brings, if any.
    fn turned(&self, now: Timestamp) -> Option<Invited> {
        let action = self.due(now)?;
        let mut turned = self.clone();
        if let Err(refused) = turned.process.apply(now, action) {
            // It was not cleared in time: nobody was there to do so.
            let cancelled = turned
                .process
                .apply(now, Action::Cancel(refused.to_string()));
            cancelled.ok()?;
        }
        Some(turned)
    }

    /// The step that time brings now, if any.
    fn due(&self, now: Timestamp) -> Option<Action> {
        let invitation = self.process.invitation();
        match self.process.state() {
            State::Published if now >= invitation.declare_until => Some(Action::Clear),
            State::Cleared if now >= invitation.interval.start() => Some(Action::Begin),
            State::Executing if now >= invitation.interval.end() => Some(Action::End),
            _ => None,
        }
    }
}

fn event_request(invitation: &Invitation, power: Power) -> EventRequest {
    EventRequest {
        programme: match invitation.product {
            Product::Active(Direction::Filling) => Programme::ValleyFilling { increase: power },
            // Others are not published.
            _ => Programme::DemandResponse { reduction: power },
        },
        interval: invitation.interval,
        scope: invitation.scope.clone(),
    }
}

/// How names of requests begin that the engine makes itself; no caller's may.
pub(crate) const OWN_REQUESTS: &str = "invitation.";

/// The name of the request that calls an invitation's event.
fn event_request_id(id: &InvitationId) -> Result<RequestId, Invalid> {
    RequestId::new(format!("{OWN_REQUESTS}{id}"))
}
