//! Wire to domain (`TryFrom`: may refuse, naming the field) and domain to wire (`From`: cannot fail).

mod change;
mod dispatch;
mod fleet;
mod invitation;
mod kafka;
mod refusal;
mod reservation;
mod scalar;

pub use dispatch::event_request;
pub use invitation::{
    Asking, asked_from_wire, asked_to_wire, invitation_from_wire, invitation_to_wire,
};
pub use refusal::refused;
pub use scalar::{from_timestamp, optional_timestamp, to_duration, to_timestamp};
