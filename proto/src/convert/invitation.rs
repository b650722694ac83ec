//! Invitations, declarations, and the steps of their lives.

use rust_decimal::Decimal;
use vpp_core::{AggregatorId, EventId, Interval, Invalid, InvitationId, Power, Price, Scope};
use vpp_market_adapters::response::clearing::{Bounds, Clearing, Offer, Pricing, Taken};
use vpp_market_adapters::response::invitation::{
    Action, Declaration, Invitation, InvitationStep, Kind, Process, Product, State, Transition,
};
use vpp_market_adapters::response::payment::Direction;

use super::scalar::{from_timestamp, to_timestamp};
use crate::v1;
use crate::v1::invitation_action::Action as WireAction;
use crate::v1::invitation_record::Asked;

/// The longest reason for calling one off, characters.
const LONGEST_REASON: usize = 200;

fn price(field: &str, text: &str) -> Result<Price, Invalid> {
    let price: Decimal = text
        .parse()
        .map_err(|_| Invalid::new(field, format!("{text:?} is no decimal number")))?;
    if price < Decimal::ZERO || price > Decimal::ONE_THOUSAND {
        let problem = format!("{price} CNY/kWh is outside 0 to 1000");
        return Err(Invalid::new(field, problem));
    }
    Ok(Price::from_cny_per_kwh(price))
}

fn optional_price(field: &str, text: &str) -> Result<Option<Price>, Invalid> {
    (!text.is_empty()).then(|| price(field, text)).transpose()
}

fn price_to_wire(price: Price) -> String {
    price.as_cny_per_kwh().to_string()
}

fn stated<T>(field: &str, found: Option<T>) -> Result<T, Invalid> {
    found.ok_or_else(|| Invalid::new(field, "is not stated, or not known here"))
}

impl TryFrom<v1::InvitationTerms> for Invitation {
    type Error = Invalid;
    fn try_from(wire: v1::InvitationTerms) -> Result<Invitation, Invalid> {
        let kind = match wire.kind() {
            v1::InvitationKind::Unspecified => None,
            v1::InvitationKind::DayAhead => Some(Kind::DayAhead),
            v1::InvitationKind::Intraday => Some(Kind::Intraday),
            v1::InvitationKind::RealTime => Some(Kind::RealTime),
        };
        let product = match wire.product() {
            v1::InvitationProduct::Unspecified => None,
            v1::InvitationProduct::Shaving => Some(Product::Active(Direction::Shaving)),
            v1::InvitationProduct::Filling => Some(Product::Active(Direction::Filling)),
            v1::InvitationProduct::Reserve => Some(Product::Reserve),
            v1::InvitationProduct::Reactive => Some(Product::Reactive),
        };
        let pricing = match wire.pricing() {
            v1::InvitationPricing::Unspecified => None,
            v1::InvitationPricing::PayAsBid => Some(Pricing::PayAsBid),
            v1::InvitationPricing::Uniform => Some(Pricing::Uniform),
        };
        let start = to_timestamp("start_time", wire.start_time.as_ref())?;
        let end = to_timestamp("end_time", wire.end_time.as_ref())?;
        let zero = Price::from_cny_per_kwh(Decimal::ZERO);
        let floor = optional_price("floor_cny_per_kwh", &wire.floor_cny_per_kwh)?;
        let bounds = Bounds {
            floor: floor.unwrap_or(zero),
            cap: price("cap_cny_per_kwh", &wire.cap_cny_per_kwh)?,
            least: Power::from_kilowatts("least_kw", wire.least_kw)?,
        };
        if bounds.cap < bounds.floor {
            return Err(Invalid::new("cap_cny_per_kwh", "is below the floor"));
        }
        if bounds.least < Power::ZERO {
            let problem = format!("{} is negative", bounds.least);
            return Err(Invalid::new("least_kw", problem));
        }
        let scope = Scope::try_from(wire.scope.clone().unwrap_or_default());
        Ok(Invitation {
            kind: stated("kind", kind)?,
            product: stated("product", product)?,
            scope: scope.map_err(|e| e.within("scope"))?,
            demand: Power::from_kilowatts("demand_kw", wire.demand_kw)?,
            interval: Interval::new(start, end)?,
            declare_until: to_timestamp("declare_until", wire.declare_until.as_ref())?,
            bounds,
            pricing: stated("pricing", pricing)?,
        })
    }
}

impl From<&Invitation> for v1::InvitationTerms {
    fn from(invitation: &Invitation) -> v1::InvitationTerms {
        let kind = match invitation.kind {
            Kind::DayAhead => v1::InvitationKind::DayAhead,
            Kind::Intraday => v1::InvitationKind::Intraday,
            Kind::RealTime => v1::InvitationKind::RealTime,
        };
        let product = match invitation.product {
            Product::Active(Direction::Shaving) => v1::InvitationProduct::Shaving,
            Product::Active(Direction::Filling) => v1::InvitationProduct::Filling,
            Product::Reserve => v1::InvitationProduct::Reserve,
            Product::Reactive => v1::InvitationProduct::Reactive,
        };
        let pricing = match invitation.pricing {
            Pricing::PayAsBid => v1::InvitationPricing::PayAsBid,
            Pricing::Uniform => v1::InvitationPricing::Uniform,
        };
        v1::InvitationTerms {
            kind: kind.into(),
            product: product.into(),
            scope: Some((&invitation.scope).into()),
            demand_kw: invitation.demand.as_kilowatts(),
            start_time: Some(from_timestamp(invitation.interval.start())),
            end_time: Some(from_timestamp(invitation.interval.end())),
            declare_until: Some(from_timestamp(invitation.declare_until)),
            floor_cny_per_kwh: price_to_wire(invitation.bounds.floor),
            cap_cny_per_kwh: price_to_wire(invitation.bounds.cap),
            least_kw: invitation.bounds.least.as_kilowatts(),
            pricing: pricing.into(),
        }
    }
}

impl TryFrom<v1::Offer> for Offer {
    type Error = Invalid;
    fn try_from(wire: v1::Offer) -> Result<Offer, Invalid> {
        Ok(Offer {
            aggregator: AggregatorId::new(wire.aggregator_id)?,
            power: Power::from_kilowatts("power_kw", wire.power_kw)?,
            price: price("price_cny_per_kwh", &wire.price_cny_per_kwh)?,
            whole: wire.whole,
        })
    }
}

impl From<&Offer> for v1::Offer {
    fn from(offer: &Offer) -> v1::Offer {
        v1::Offer {
            aggregator_id: offer.aggregator.to_string(),
            power_kw: offer.power.as_kilowatts(),
            price_cny_per_kwh: price_to_wire(offer.price),
            whole: offer.whole,
        }
    }
}

impl From<&Clearing> for v1::Clearing {
    fn from(clearing: &Clearing) -> v1::Clearing {
        let taken = |taken: &Taken| v1::Taken {
            aggregator_id: taken.aggregator.to_string(),
            power_kw: taken.power.as_kilowatts(),
            price_cny_per_kwh: price_to_wire(taken.price),
        };
        v1::Clearing {
            taken: clearing.taken.iter().map(taken).collect(),
            missing_kw: clearing.missing.as_kilowatts(),
            price_cny_per_kwh: clearing.price.map_or(String::new(), price_to_wire),
        }
    }
}

impl TryFrom<v1::Clearing> for Clearing {
    type Error = Invalid;
    fn try_from(wire: v1::Clearing) -> Result<Clearing, Invalid> {
        let taken = |wire: v1::Taken| {
            Ok(Taken {
                aggregator: AggregatorId::new(wire.aggregator_id)?,
                power: Power::from_kilowatts("taken.power_kw", wire.power_kw)?,
                price: price("taken.price_cny_per_kwh", &wire.price_cny_per_kwh)?,
            })
        };
        Ok(Clearing {
            taken: wire
                .taken
                .into_iter()
                .map(taken)
                .collect::<Result<_, Invalid>>()?,
            missing: Power::from_kilowatts("missing_kw", wire.missing_kw)?,
            price: optional_price("price_cny_per_kwh", &wire.price_cny_per_kwh)?,
        })
    }
}

fn state_from_wire(field: &str, state: i32) -> Result<State, Invalid> {
    let state = match v1::InvitationState::try_from(state) {
        Ok(v1::InvitationState::Published) => Some(State::Published),
        Ok(v1::InvitationState::Cleared) => Some(State::Cleared),
        Ok(v1::InvitationState::Executing) => Some(State::Executing),
        Ok(v1::InvitationState::Executed) => Some(State::Executed),
        Ok(v1::InvitationState::Evaluated) => Some(State::Evaluated),
        Ok(v1::InvitationState::Paid) => Some(State::Paid),
        Ok(v1::InvitationState::Cancelled) => Some(State::Cancelled),
        Ok(v1::InvitationState::Unspecified) | Err(_) => None,
    };
    stated(field, state)
}

fn state_to_wire(state: State) -> i32 {
    let state = match state {
        State::Published => v1::InvitationState::Published,
        State::Cleared => v1::InvitationState::Cleared,
        State::Executing => v1::InvitationState::Executing,
        State::Executed => v1::InvitationState::Executed,
        State::Evaluated => v1::InvitationState::Evaluated,
        State::Paid => v1::InvitationState::Paid,
        State::Cancelled => v1::InvitationState::Cancelled,
    };
    state.into()
}

impl From<&Action> for v1::InvitationAction {
    fn from(action: &Action) -> v1::InvitationAction {
        let turn = |turn: v1::InvitationTurn| WireAction::Turn(turn.into());
        let action = match action {
            Action::Declare(offer, tested) => WireAction::Declared(v1::Declared {
                offer: Some(offer.into()),
                tested_kw: tested.as_kilowatts(),
            }),
            Action::Withdraw(aggregator) => WireAction::Withdrawn(aggregator.to_string()),
            Action::Cancel(reason) => WireAction::Cancelled(reason.clone()),
            Action::Clear => turn(v1::InvitationTurn::Clear),
            Action::Begin => turn(v1::InvitationTurn::Begin),
            Action::End => turn(v1::InvitationTurn::End),
            Action::Evaluate => turn(v1::InvitationTurn::Evaluate),
            Action::Pay => turn(v1::InvitationTurn::Pay),
        };
        v1::InvitationAction {
            action: Some(action),
        }
    }
}

impl TryFrom<v1::InvitationAction> for Action {
    type Error = Invalid;
    fn try_from(wire: v1::InvitationAction) -> Result<Action, Invalid> {
        Ok(match stated("action", wire.action)? {
            WireAction::Declared(declared) => {
                let offer = stated("offer", declared.offer)?.try_into()?;
                let tested = Power::from_kilowatts("tested_kw", declared.tested_kw)?;
                Action::Declare(offer, tested)
            }
            WireAction::Withdrawn(aggregator) => Action::Withdraw(AggregatorId::new(aggregator)?),
            WireAction::Cancelled(reason) => Action::Cancel(reason),
            WireAction::Turn(turn) => match v1::InvitationTurn::try_from(turn) {
                Ok(v1::InvitationTurn::Clear) => Action::Clear,
                Ok(v1::InvitationTurn::Begin) => Action::Begin,
                Ok(v1::InvitationTurn::End) => Action::End,
                Ok(v1::InvitationTurn::Evaluate) => Action::Evaluate,
                Ok(v1::InvitationTurn::Pay) => Action::Pay,
                Ok(v1::InvitationTurn::Unspecified) | Err(_) => {
                    return stated("turn", None);
                }
            },
        })
    }
}

/// An invitation with its trail, to the wire.
#[must_use]
pub fn invitation_to_wire(
    id: &InvitationId,
    process: &Process,
    event: Option<&EventId>,
) -> v1::Invitation {
    let trail = process.trail().iter().map(|step| v1::InvitationTransition {
        time: Some(from_timestamp(step.at)),
        action: Some((&step.action).into()),
        from: state_to_wire(step.from),
        to: state_to_wire(step.to),
    });
    v1::Invitation {
        invitation_id: id.to_string(),
        terms: Some(process.invitation().into()),
        state: state_to_wire(process.state()),
        offers: process.offers().iter().map(Into::into).collect(),
        clearing: process.clearing().map(Into::into),
        event_id: event.map_or(String::new(), ToString::to_string),
        trail: trail.collect(),
    }
}

/// An invitation with its trail, from the journal.
///
/// # Errors
/// What could not have been written.
pub fn invitation_from_wire(
    wire: v1::Invitation,
) -> Result<(InvitationId, Process, Option<EventId>), Invalid> {
    let state = state_from_wire("state", wire.state)?;
    let step = |step: v1::InvitationTransition| {
        Ok(Transition {
            at: to_timestamp("trail.time", step.time.as_ref())?,
            action: stated("trail.action", step.action)?.try_into()?,
            from: state_from_wire("trail.from", step.from)?,
            to: state_from_wire("trail.to", step.to)?,
        })
    };
    let trail = wire
        .trail
        .into_iter()
        .map(step)
        .collect::<Result<_, Invalid>>()?;
    let offers = wire.offers.into_iter().map(Offer::try_from);
    let process = Process::recorded(
        stated("terms", wire.terms)?.try_into()?,
        state,
        offers.collect::<Result<_, _>>()?,
        wire.clearing.map(Clearing::try_from).transpose()?,
        trail,
    );
    let event = Some(wire.event_id).filter(|id| !id.is_empty());
    let event = event.map(EventId::new).transpose()?;
    Ok((InvitationId::new(wire.invitation_id)?, process, event))
}

/// What a request does with which invitation.
pub type Asking = (InvitationId, InvitationStep);

impl TryFrom<v1::PublishInvitationRequest> for Asking {
    type Error = Invalid;
    fn try_from(wire: v1::PublishInvitationRequest) -> Result<Asking, Invalid> {
        let id = InvitationId::new(wire.invitation_id)?;
        let terms = wire
            .terms
            .ok_or_else(|| Invalid::new("terms", "is missing"))?;
        let invitation = Invitation::try_from(terms).map_err(|e| e.within("terms"))?;
        Ok((id, InvitationStep::Publish(Box::new(invitation))))
    }
}

impl TryFrom<v1::DeclareRequest> for Asking {
    type Error = Invalid;
    fn try_from(wire: v1::DeclareRequest) -> Result<Asking, Invalid> {
        let id = InvitationId::new(wire.invitation_id)?;
        let power = |kw: f64| Power::from_kilowatts("power_kw", kw);
        let declaration = Declaration {
            aggregator: AggregatorId::new(wire.aggregator_id)?,
            power: wire.power_kw.map(power).transpose()?,
            price: optional_price("price_cny_per_kwh", &wire.price_cny_per_kwh)?,
            whole: wire.whole,
        };
        Ok((id, InvitationStep::Declare(declaration)))
    }
}

impl TryFrom<v1::WithdrawDeclarationRequest> for Asking {
    type Error = Invalid;
    fn try_from(wire: v1::WithdrawDeclarationRequest) -> Result<Asking, Invalid> {
        let id = InvitationId::new(wire.invitation_id)?;
        let aggregator = AggregatorId::new(wire.aggregator_id)?;
        Ok((id, InvitationStep::Withdraw(aggregator)))
    }
}

impl TryFrom<v1::CancelInvitationRequest> for Asking {
    type Error = Invalid;
    fn try_from(wire: v1::CancelInvitationRequest) -> Result<Asking, Invalid> {
        let id = InvitationId::new(wire.invitation_id)?;
        if wire.reason.chars().count() > LONGEST_REASON {
            let problem = format!("has more than {LONGEST_REASON} characters");
            return Err(Invalid::new("reason", problem));
        }
        Ok((id, InvitationStep::Cancel(wire.reason)))
    }
}

impl TryFrom<v1::RecordSettlementRequest> for Asking {
    type Error = Invalid;
    fn try_from(wire: v1::RecordSettlementRequest) -> Result<Asking, Invalid> {
        let turn = wire.turn();
        let id = InvitationId::new(wire.invitation_id)?;
        match turn {
            v1::InvitationTurn::Evaluate => Ok((id, InvitationStep::Evaluate)),
            v1::InvitationTurn::Pay => Ok((id, InvitationStep::Pay)),
            other => {
                let problem = format!("{} is not recorded by anybody", other.as_str_name());
                Err(Invalid::new("turn", problem))
            }
        }
    }
}

/// What was asked for, to the journal.
#[must_use]
pub fn asked_to_wire(request_id: String, id: &InvitationId, step: &InvitationStep) -> Asked {
    let (validate_only, invitation_id) = (false, id.to_string());
    let recorded = |turn: v1::InvitationTurn| v1::RecordSettlementRequest {
        request_id: request_id.clone(),
        validate_only,
        invitation_id: id.to_string(),
        turn: turn.into(),
    };
    match step {
        InvitationStep::Publish(invitation) => Asked::Published(v1::PublishInvitationRequest {
            request_id,
            validate_only,
            invitation_id,
            terms: Some((&**invitation).into()),
        }),
        InvitationStep::Declare(declaration) => Asked::Declared(v1::DeclareRequest {
            request_id,
            validate_only,
            invitation_id,
            aggregator_id: declaration.aggregator.to_string(),
            power_kw: declaration.power.map(Power::as_kilowatts),
            price_cny_per_kwh: declaration.price.map_or(String::new(), price_to_wire),
            whole: declaration.whole,
        }),
        InvitationStep::Withdraw(aggregator) => Asked::Withdrawn(v1::WithdrawDeclarationRequest {
            request_id,
            validate_only,
            invitation_id,
            aggregator_id: aggregator.to_string(),
        }),
        InvitationStep::Cancel(reason) => Asked::Cancelled(v1::CancelInvitationRequest {
            request_id,
            validate_only,
            invitation_id,
            reason: reason.clone(),
        }),
        InvitationStep::Evaluate => Asked::Recorded(recorded(v1::InvitationTurn::Evaluate)),
        InvitationStep::Pay => Asked::Recorded(recorded(v1::InvitationTurn::Pay)),
    }
}

/// What was asked for and by which request, from the journal.
///
/// # Errors
/// What could not have been written.
pub fn asked_from_wire(asked: Asked) -> Result<(String, Asking), Invalid> {
    Ok(match asked {
        Asked::Published(wire) => (wire.request_id.clone(), wire.try_into()?),
        Asked::Declared(wire) => (wire.request_id.clone(), wire.try_into()?),
        Asked::Withdrawn(wire) => (wire.request_id.clone(), wire.try_into()?),
        Asked::Cancelled(wire) => (wire.request_id.clone(), wire.try_into()?),
        Asked::Recorded(wire) => (wire.request_id.clone(), wire.try_into()?),
    })
}

#[cfg(test)]
mod tests;
