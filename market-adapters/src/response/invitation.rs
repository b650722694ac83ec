//! The life of an invitation to demand response, as Guangzhou's rules order it: publish, declare, clear, execute, evaluate,
//! pay. Each step is a transition that either happens, and is written into the trail, or is refused with the reason.
//!
//! ```text
//! Published ─ declarations ─► Published ─ clear ─► Cleared ─ begin ─► Executing ─ end ─► Executed ─ evaluate ─► Evaluated ─ pay ─► Paid
//!     │                                              │                  │
//!     └───────────────── cancel ─────────────────────┴──────────────────┘ ─► Cancelled
//! ```

use vpp_core::{AggregatorId, Interval, Invalid, Power, Price, Scope, Timestamp};

use super::clearing::{Bounds, Clearing, Offer, Pricing, check, clear};
use super::payment::Direction;

/// After so many steps nobody may declare any more: what is recorded and remembered of an invitation has a bound.
const MOST_STEPS: usize = 500;

/// How long before its beginning it is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The day before.
    DayAhead,
    /// On the day.
    Intraday,
    /// Minutes before.
    RealTime,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Active power, one way or the other.
    Active(Direction),
    /// Power held ready.
    Reserve,
    /// Reactive power.
    Reactive,
}

/// An invitation as it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Day-ahead, intraday or in real time.
    pub kind: Kind,
    /// Of what.
    pub product: Product,
    /// Where in the electric tree.
    pub scope: Scope,
    /// How much.
    pub demand: Power,
    /// When.
    pub interval: Interval,
    /// Until when it can be declared for.
    pub declare_until: Timestamp,
    /// What may be offered.
    pub bounds: Bounds,
    /// How offers taken are paid.
    pub pricing: Pricing,
}

/// Where it is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Aggregators may declare.
    Published,
    /// It is known who gives how much.
    Cleared,
    /// It is being delivered.
    Executing,
    /// It is over and not judged yet.
    Executed,
    /// It is known what was delivered and what it earns.
    Evaluated,
    /// It is paid.
    Paid,
    /// It was called off.
    Cancelled,
}

/// What moves it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// An aggregator declares, which was tested for so much.
    Declare(Offer, Power),
    /// An aggregator takes its declaration back.
    Withdraw(AggregatorId),
    /// Declarations are closed and cleared.
    Clear,
    /// Delivery begins.
    Begin,
    /// Delivery ends.
    End,
    /// What was delivered is judged.
    Evaluate,
    /// It is paid.
    Pay,
    /// It is called off, with the reason.
    Cancel(String),
}

/// What somebody asks for: a publication, or an [`Action`] with what may still be left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvitationStep {
    /// The grid publishes it.
    Publish(Box<Invitation>),
    /// An aggregator declares.
    Declare(Declaration),
    /// An aggregator takes its declaration back.
    Withdraw(AggregatorId),
    /// The grid calls it off, with the reason.
    Cancel(String),
    /// What was delivered has been judged.
    Evaluate,
    /// It has been paid.
    Pay,
}

/// What an aggregator declares. What it leaves out the engine fills in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// Who.
    pub aggregator: AggregatorId,
    /// How much; none: as much as its stations in the scope can give for so long.
    pub power: Option<Power>,
    /// For each kWh; none: what a kWh of wear costs, or the market's floor where that is higher.
    pub price: Option<Price>,
    /// Whether it may only be taken whole.
    pub whole: bool,
}

/// An entry of the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// When.
    pub at: Timestamp,
    /// By what.
    pub action: Action,
    /// From where.
    pub from: State,
    /// To where.
    pub to: State,
}

/// An invitation under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    invitation: Invitation,
    state: State,
    offers: Vec<Offer>,
    clearing: Option<Clearing>,
    trail: Vec<Transition>,
}

impl Process {
    /// Publishes an invitation.
    ///
    /// # Errors
    /// One for the past, that closes before it is published or after it begins, for nothing, or of a product that is not
    /// handled yet.
    pub fn publish(now: Timestamp, invitation: Invitation) -> Result<Process, Invalid> {
        if let Product::Reserve | Product::Reactive = invitation.product {
            let problem =
                "reserve and reactive power are known and not handled yet: only active power is";
            return Err(Invalid::new("product", problem));
        }
        if invitation.demand <= Power::ZERO {
            let problem = format!("{} is nothing to ask for", invitation.demand);
            return Err(Invalid::new("demand_kw", problem));
        }
        if invitation.interval.start() <= now {
            let problem = format!("{} is not in the future", invitation.interval.start());
            return Err(Invalid::new("start_time", problem));
        }
        let until = invitation.declare_until;
        if until <= now || until > invitation.interval.start() {
            let problem = format!("{until} is not between now and the beginning");
            return Err(Invalid::new("declare_until", problem));
        }
        Ok(Process {
            invitation,
            state: State::Published,
            offers: Vec::new(),
            clearing: None,
            trail: Vec::new(),
        })
    }

    /// One that was recorded, as it was: nothing is checked or cleared again.
    #[must_use]
    pub fn recorded(
        invitation: Invitation,
        state: State,
        offers: Vec<Offer>,
        clearing: Option<Clearing>,
        trail: Vec<Transition>,
    ) -> Process {
        Process {
            invitation,
            state,
            offers,
            clearing,
            trail,
        }
    }

    /// What was published.
    #[must_use]
    pub fn invitation(&self) -> &Invitation {
        &self.invitation
    }

    /// Where it is.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether time may still move it on.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(
            self.state,
            State::Published | State::Cleared | State::Executing
        )
    }

    /// Declarations that stand.
    #[must_use]
    pub fn offers(&self) -> &[Offer] {
        &self.offers
    }

    /// Who gives how much, once that is known.
    #[must_use]
    pub fn clearing(&self) -> Option<&Clearing> {
        self.clearing.as_ref()
    }

    /// All that has happened to it, in order.
    #[must_use]
    pub fn trail(&self) -> &[Transition] {
        &self.trail
    }

    /// Moves it on.
    ///
    /// # Errors
    /// What does not follow from where it is, or comes at the wrong time. Nothing changes then, and nothing is in the trail.
    pub fn apply(&mut self, now: Timestamp, action: Action) -> Result<State, Invalid> {
        if self.trail.last().is_some_and(|last| now < last.at) {
            return Err(Invalid::new(
                "time",
                format!("{now} is before the last step"),
            ));
        }
        if self.trail.len() >= MOST_STEPS && matches!(action, Action::Declare(..)) {
            let problem = format!(
                "has {} steps behind it: no more declarations",
                self.trail.len()
            );
            return Err(Invalid::state("invitation", problem));
        }
        let to = self.next(now, &action)?;
        match &action {
            Action::Declare(offer, _) => self.offers.push(offer.clone()),
            Action::Withdraw(aggregator) => {
                self.offers.retain(|offer| offer.aggregator != *aggregator);
            }
            Action::Clear => {
                let invitation = &self.invitation;
                self.clearing = Some(clear(invitation.demand, &self.offers, invitation.pricing));
            }
            _ => {}
        }
        let from = std::mem::replace(&mut self.state, to);
        self.trail.push(Transition {
            at: now,
            action,
            from,
            to,
        });
        Ok(to)
    }

    /// Where an action leads, if it may happen now.
    fn next(&self, now: Timestamp, action: &Action) -> Result<State, Invalid> {
        let invitation = &self.invitation;
        let (start, end) = (invitation.interval.start(), invitation.interval.end());
        let early = |field: &str, what: &str, at: Timestamp| {
            Err(Invalid::state(
                field,
                format!("{what} at {at} at the earliest"),
            ))
        };
        match (self.state, action) {
            (State::Published, Action::Declare(offer, tested)) => {
                if now >= invitation.declare_until {
                    let problem = format!("declarations closed at {}", invitation.declare_until);
                    return Err(Invalid::state("declaration", problem));
                }
                check(offer, &self.offers, &invitation.bounds, *tested)?;
                Ok(State::Published)
            }
            (State::Published, Action::Withdraw(aggregator)) => {
                if now >= invitation.declare_until {
                    let problem = format!("declarations closed at {}", invitation.declare_until);
                    return Err(Invalid::state("declaration", problem));
                }
                if !self
                    .offers
                    .iter()
                    .any(|offer| offer.aggregator == *aggregator)
                {
                    return Err(Invalid::unknown("aggregator_id", aggregator));
                }
                Ok(State::Published)
            }
            (State::Published, Action::Clear) if now < invitation.declare_until => {
                early("clearing", "declarations close", invitation.declare_until)
            }
            (State::Published, Action::Clear) if now >= start => Err(Invalid::state(
                "clearing",
                format!("the invitation was for {start}: it was not cleared in time"),
            )),
            (State::Published, Action::Clear) => Ok(State::Cleared),
            (State::Cleared, Action::Begin) if now < start => {
                early("execution", "it begins", start)
            }
            (State::Cleared, Action::Begin) => Ok(State::Executing),
            (State::Executing, Action::End) if now < end => early("execution", "it ends", end),
            (State::Executing, Action::End) => Ok(State::Executed),
            (State::Executed, Action::Evaluate) => Ok(State::Evaluated),
            (State::Evaluated, Action::Pay) => Ok(State::Paid),
            (State::Executing, Action::Cancel(_)) if now >= end => {
                let problem = format!("was over at {end}: what was delivered counts");
                Err(Invalid::state("invitation", problem))
            }
            (State::Published | State::Cleared | State::Executing, Action::Cancel(_)) => {
                Ok(State::Cancelled)
            }
            (state, action) => {
                let name = match action {
                    Action::Declare(..) => "declared for",
                    Action::Withdraw(_) => "withdrawn from",
                    Action::Clear => "cleared",
                    Action::Begin => "begun",
                    Action::End => "ended",
                    Action::Evaluate => "evaluated",
                    Action::Pay => "paid",
                    Action::Cancel(_) => "cancelled",
                };
                let problem = format!("is {state:?}: it cannot be {name} now");
                Err(Invalid::state("invitation", problem))
            }
        }
    }
}

#[cfg(test)]
mod tests;
