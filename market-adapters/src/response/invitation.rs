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
mod tests {
    use chrono::TimeDelta;
    use rust_decimal::Decimal;

    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    fn price(cny: i64) -> Price {
        Price::from_cny_per_kwh(Decimal::from(cny))
    }

    /// From minute 120 to 180, declarations until minute 60.
    fn invitation() -> Invitation {
        Invitation {
            kind: Kind::Intraday,
            product: Product::Active(Direction::Shaving),
            scope: Scope::All,
            demand: Power::from_watts(50_000),
            interval: Interval::new(at(120), at(180)).expect("in order"),
            declare_until: at(60),
            bounds: Bounds {
                floor: price(0),
                cap: price(5),
                least: Power::from_watts(1_000),
            },
            pricing: Pricing::PayAsBid,
        }
    }

    fn offer(name: &str, kw: i64, cny: i64) -> Action {
        let offer = Offer {
            aggregator: AggregatorId::new(name).expect("an id"),
            power: Power::from_watts(1_000 * kw),
            price: price(cny),
            whole: false,
        };
        Action::Declare(offer, Power::from_watts(100_000))
    }

    #[test]
    fn from_invitation_to_payment_with_every_step_in_the_trail() {
        let mut process = Process::publish(at(0), invitation()).expect("sound");
        let withdrawn = AggregatorId::new("c").expect("an id");
        let steps = [
            (1, offer("a", 30, 3), State::Published),
            (2, offer("c", 30, 1), State::Published),
            (3, Action::Withdraw(withdrawn), State::Published),
            (59, offer("b", 40, 2), State::Published),
            (60, Action::Clear, State::Cleared),
            (120, Action::Begin, State::Executing),
            (180, Action::End, State::Executed),
            (200, Action::Evaluate, State::Evaluated),
            (300, Action::Pay, State::Paid),
        ];
        for (minute, action, state) in &steps {
            assert_eq!(process.apply(at(*minute), action.clone()), Ok(*state));
        }
        let clearing = process.clearing().expect("cleared");
        let watts: Vec<i64> = clearing
            .taken
            .iter()
            .map(|taken| taken.power.as_watts())
            .collect();
        assert_eq!(watts, [10_000, 40_000]);
        assert_eq!(process.trail().len(), steps.len());
        for (entry, (minute, action, state)) in process.trail().iter().zip(&steps) {
            assert_eq!(
                (entry.at, &entry.action, entry.to),
                (at(*minute), action, *state)
            );
        }
        assert!(process.apply(at(301), Action::Pay).is_err());
    }

    #[test]
    fn a_step_at_the_wrong_time_or_out_of_order_changes_nothing() {
        let mut process = Process::publish(at(0), invitation()).expect("sound");
        process.apply(at(10), offer("a", 30, 3)).expect("declared");
        let before = process.clone();
        let table = [
            (5, offer("b", 30, 3), "time"),
            (11, offer("a", 20, 2), "aggregator_id"),
            (11, offer("b", 20, 6), "price"),
            (11, offer("b", 200, 2), "power_kw"),
            (60, offer("b", 20, 2), "declaration"),
            (
                11,
                Action::Withdraw(AggregatorId::new("z").expect("an id")),
                "aggregator_id",
            ),
            (59, Action::Clear, "clearing"),
            (120, Action::Clear, "clearing"),
            (120, Action::Begin, "invitation"),
            (120, Action::Pay, "invitation"),
        ];
        for (minute, action, field) in table {
            let refused = process
                .apply(at(minute), action.clone())
                .expect_err("refused");
            assert_eq!(refused.field, field, "{action:?}");
            assert_eq!(process, before, "{action:?}");
        }
        process.apply(at(61), Action::Clear).expect("cleared");
        for (minute, action, field) in [
            (119, Action::Begin, "execution"),
            (70, Action::End, "invitation"),
        ] {
            assert_eq!(
                process
                    .apply(at(minute), action)
                    .expect_err("refused")
                    .field,
                field
            );
        }
        process.apply(at(120), Action::Begin).expect("begun");
        assert_eq!(
            process
                .apply(at(179), Action::End)
                .expect_err("early")
                .field,
            "execution"
        );
        let storm = Action::Cancel("the grid needs it no longer".into());
        assert_eq!(process.apply(at(150), storm), Ok(State::Cancelled));
        assert!(process.apply(at(180), Action::End).is_err());
    }

    #[test]
    fn declarations_have_an_end_and_what_is_over_is_not_called_off() {
        let mut process = Process::publish(at(0), invitation()).expect("sound");
        let name = AggregatorId::new("a").expect("an id");
        while process.trail().len() < MOST_STEPS {
            process.apply(at(1), offer("a", 30, 3)).expect("declared");
            let withdrawn = process.apply(at(1), Action::Withdraw(name.clone()));
            withdrawn.expect("withdrawn");
        }
        let refused = process
            .apply(at(1), offer("a", 30, 3))
            .expect_err("refused");
        assert!(
            refused.problem.contains("no more declarations"),
            "{refused}"
        );

        let mut process = Process::publish(at(0), invitation()).expect("sound");
        for (minute, action) in [
            (1, offer("a", 30, 3)),
            (60, Action::Clear),
            (120, Action::Begin),
        ] {
            process.apply(at(minute), action).expect("in order");
        }
        let late = process.apply(at(180), Action::Cancel("late".into()));
        assert!(late.expect_err("over").problem.contains("was over"));
        assert_eq!(process.apply(at(180), Action::End), Ok(State::Executed));
    }

    #[test]
    fn what_cannot_be_invited_to_is_refused_by_field() {
        type Spoil = fn(&mut Invitation);
        let table: [(&str, Spoil); 6] = [
            ("product", |i| i.product = Product::Reactive),
            ("product", |i| i.product = Product::Reserve),
            ("demand_kw", |i| i.demand = Power::ZERO),
            ("declare_until", |i| i.declare_until = at(121)),
            ("declare_until", |i| i.declare_until = at(0)),
            ("start_time", |i| {
                i.interval = Interval::new(at(-10), at(10)).expect("in order");
            }),
        ];
        for (field, spoil) in table {
            let mut invitation = invitation();
            spoil(&mut invitation);
            let refused = Process::publish(at(0), invitation).expect_err("refused");
            assert_eq!(refused.field, field);
        }
    }
}
