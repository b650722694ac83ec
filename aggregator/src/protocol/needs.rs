//! `NotifyEVChargingNeeds` of OCPP 2.0.1 and 2.1: what the vehicle says of itself. OCPP 1.6 has no such message.
//!
//! Where several parameters speak of the same, those of vehicle-to-grid (2.1) go first, then those of direct and of
//! alternating current. Signs of 2.1: all powers are magnitudes; an energy request is what is missing up to a state of
//! charge, so that a negative one to the least state for vehicle-to-grid is what can be taken out.

use serde_json::Value;
use vpp_core::{Energy, Invalid, Power, Timestamp};

use super::figure::{Absent, Figure};
use super::vehicle::{Message, Transfer, V2x};
use super::wire::read;
use super::wiring::Connector;

/// What a vehicle needs and can do, for a [`Session`](vpp_core::Session).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// `evseId`.
    pub connector: u32,
    /// When it leaves.
    pub departure: Figure<Timestamp>,
    /// What it must still receive; not negative.
    pub energy_needed: Figure<Energy>,
    /// What it can still take; not negative.
    pub energy_room: Figure<Energy>,
    /// What may be taken out; not negative, zero for a transfer in one direction.
    pub energy_available: Figure<Energy>,
    /// The least that it charges with.
    pub min_charge: Figure<Power>,
    /// The most that it draws.
    pub max_charge: Figure<Power>,
    /// The most that it gives, as a magnitude; zero for a transfer in one direction.
    pub max_discharge: Figure<Power>,
}

impl Needs {
    /// Nothing known: for OCPP 1.6, to be filled from the operator's records.
    #[must_use]
    pub fn unknown(connector: u32) -> Needs {
        Needs {
            connector,
            departure: missing("departureTime"),
            energy_needed: missing("energyAmount"),
            energy_room: missing("evMaxEnergyRequest"),
            energy_available: missing("evMinV2XEnergyRequest"),
            min_charge: missing("minChargePower"),
            max_charge: missing("maxChargePower"),
            max_discharge: missing("maxDischargePower"),
        }
    }

    /// These figures, and where one is absent that of `other`: what the operator knows from a reservation, say.
    #[must_use]
    pub fn or(self, other: &Needs) -> Needs {
        Needs {
            connector: self.connector,
            departure: self.departure.or_else(|_| other.departure.clone()),
            energy_needed: self.energy_needed.or_else(|_| other.energy_needed.clone()),
            energy_room: self.energy_room.or_else(|_| other.energy_room.clone()),
            energy_available: self
                .energy_available
                .or_else(|_| other.energy_available.clone()),
            min_charge: self.min_charge.or_else(|_| other.min_charge.clone()),
            max_charge: self.max_charge.or_else(|_| other.max_charge.clone()),
            max_discharge: self.max_discharge.or_else(|_| other.max_discharge.clone()),
        }
    }

    /// The same after the battery has received `charged` (negative: given). Vehicles say their needs once; the pile's registers
    /// say how far they have come.
    #[must_use]
    pub fn after(mut self, charged: Energy) -> Needs {
        for energy in [&mut self.energy_needed, &mut self.energy_room]
            .into_iter()
            .flatten()
        {
            *energy = (*energy - charged).max(Energy::ZERO);
        }
        if let Ok(energy) = &mut self.energy_available
            && self.max_discharge != Ok(Power::ZERO)
        {
            *energy = (*energy + charged).max(Energy::ZERO);
        }
        self
    }
}

/// `NotifyEVChargingNeedsRequest` of OCPP 2.0.1 and 2.1, of a vehicle at `connector`.
///
/// # Errors
/// When the payload has not the form of the message, speaks of another EVSE, or the kind of transfer is none of the
/// version's.
pub fn v2(payload: &Value, connector: &Connector) -> Result<Needs, Invalid> {
    let message: Message = read(payload)?;
    if message.evse_id != connector.number() {
        let problem = format!("{}, not {}", message.evse_id, connector.number());
        return Err(Invalid::new("evseId", problem));
    }
    let said = message.charging_needs;
    let transfer = Transfer::named(&said.requested_energy_transfer)?;
    let (v2x, dc, ac) = (
        said.v2x_charging_parameters.as_ref(),
        said.dc_charging_parameters.as_ref(),
        said.ac_charging_parameters.as_ref(),
    );
    let wiring = connector.wiring();
    let unknown = Needs::unknown(connector.number());
    let one_way = Needs {
        connector: connector.number(),
        departure: said.departure_time.map_or(unknown.departure, Ok),
        energy_needed: None
            .or_else(|| v2x?.energy_needed())
            .or_else(|| dc?.energy_needed())
            .or_else(|| Some(ac?.energy_needed()))
            .unwrap_or(unknown.energy_needed),
        energy_room: None
            .or_else(|| v2x?.energy_room())
            .or_else(|| dc?.energy_room())
            .unwrap_or(unknown.energy_room),
        energy_available: Ok(Energy::ZERO),
        min_charge: None
            .or_else(|| v2x?.min_charge())
            .or_else(|| ac?.min_charge(wiring, transfer))
            .unwrap_or(unknown.min_charge),
        max_charge: None
            .or_else(|| v2x?.max_charge())
            .or_else(|| Some(dc?.max_charge()))
            .or_else(|| ac?.max_charge(wiring, transfer))
            .unwrap_or(unknown.max_charge),
        max_discharge: Ok(Power::ZERO),
    };
    if !transfer.both_ways {
        return Ok(one_way);
    }
    let available = v2x.and_then(V2x::energy_available);
    let max_discharge = v2x.and_then(V2x::max_discharge);
    Ok(Needs {
        energy_available: available.unwrap_or(unknown.energy_available),
        max_discharge: max_discharge.unwrap_or(unknown.max_discharge),
        ..one_way
    })
}

fn missing<T>(figure: &'static str) -> Figure<T> {
    Err(Absent::NotReported { figure })
}
