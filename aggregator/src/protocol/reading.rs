//! All that is known of a pile, put together.

use vpp_core::{Energy, Invalid, Pile, Power, Session};

use super::figure::{Absent, Figure, Measured};
use super::needs::Needs;
use super::wiring::Connector;
use crate::site::PileReading;

/// The reading of a pile with a vehicle, as [`Sites::readings`](crate::Sites::readings) gives it. `pile` is its number within
/// the station, from 0; `registered` says what it can do.
///
/// Which vehicle it is and what its battery holds do not come with its needs: whoever knows them says so.
///
/// A pile that cannot discharge has nothing to give, whatever the vehicle says. The vehicle's least is that of the pile where
/// it does not say its own.
///
/// # Errors
/// Everything that is missing, with its reason. Nothing is made up: what the messages do not say, the operator says itself
/// ([`Needs::or`]), or the pile is not read.
pub fn pile_reading(
    pile: u32,
    connector: &Connector,
    registered: &Pile,
    active_power: &Figure<Measured<Power>>,
    needs: &Needs,
) -> Result<PileReading, Vec<Absent>> {
    let one_way = Needs {
        energy_available: Ok(Energy::ZERO),
        max_discharge: Ok(Power::ZERO),
        ..needs.clone()
    };
    let needs = if connector.discharges() {
        needs
    } else {
        &one_way
    };
    let (
        Ok(power),
        Ok(departure),
        Ok(energy_needed),
        Ok(energy_room),
        Ok(energy_available),
        Ok(max_charge),
        Ok(max_discharge),
    ) = (
        active_power,
        &needs.departure,
        &needs.energy_needed,
        &needs.energy_room,
        &needs.energy_available,
        &needs.max_charge,
        &needs.max_discharge,
    )
    else {
        let missing = [
            active_power.as_ref().err(),
            needs.departure.as_ref().err(),
            needs.energy_needed.as_ref().err(),
            needs.energy_room.as_ref().err(),
            needs.energy_available.as_ref().err(),
            needs.max_charge.as_ref().err(),
            needs.max_discharge.as_ref().err(),
        ];
        return Err(missing.into_iter().flatten().cloned().collect());
    };
    if energy_needed > energy_room {
        let problem = format!("{energy_needed} is above the room of {energy_room}");
        return Err(vec![Invalid::new("energy_needed", problem).into()]);
    }
    let least = connector.wiring().least();
    Ok(PileReading {
        pile,
        active_power: power.value,
        min_charge: needs
            .min_charge
            .as_ref()
            .map_or(least, |own| least.max(*own)),
        session: Session {
            departure: *departure,
            energy_needed: *energy_needed,
            energy_room: *energy_room,
            energy_available: *energy_available,
            max_charge: registered.rated_power.min(*max_charge),
            max_discharge: registered.discharge_power.min(*max_discharge),
        },
        vehicle: None,
        battery: None,
    })
}
