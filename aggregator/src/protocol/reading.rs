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
/// Where nobody says when the vehicle leaves or what it needs, the reading says so, and the station's habits tell
/// ([`PileReading::says`]).
///
/// # Errors
/// Everything else that is missing, with its reason. Nothing is made up: what the messages do not say, the operator says itself
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
    let said = said(&needs.departure).and_then(|departure| {
        let energy = said(&needs.energy_needed)?;
        Ok(departure.zip(energy))
    });
    let (
        Ok(power),
        Ok(said),
        Ok(energy_room),
        Ok(energy_available),
        Ok(max_charge),
        Ok(max_discharge),
    ) = (
        active_power,
        &said,
        &needs.energy_room,
        &needs.energy_available,
        &needs.max_charge,
        &needs.max_discharge,
    )
    else {
        let missing = [
            active_power.as_ref().err(),
            said.as_ref().err(),
            needs.energy_room.as_ref().err(),
            needs.energy_available.as_ref().err(),
            needs.max_charge.as_ref().err(),
            needs.max_discharge.as_ref().err(),
        ];
        return Err(missing.into_iter().flatten().cloned().collect());
    };
    let (departure, energy_needed) = said.unwrap_or((power.sampled_at, *energy_room));
    if energy_needed > *energy_room {
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
            departure,
            energy_needed,
            energy_room: *energy_room,
            energy_available: *energy_available,
            max_charge: registered.rated_power.min(*max_charge),
            max_discharge: registered.discharge_power.min(*max_discharge),
        },
        says: said.is_some(),
        defies: false,
        vehicle: None,
        battery: None,
    })
}

/// A figure that somebody has to say; none where nobody did. One that was said wrongly is an error.
fn said<T: Clone>(figure: &Figure<T>) -> Result<Option<T>, Absent> {
    match figure {
        Ok(figure) => Ok(Some(figure.clone())),
        Err(Absent::NotReported { .. }) => Ok(None),
        Err(absent) => Err(absent.clone()),
    }
}
