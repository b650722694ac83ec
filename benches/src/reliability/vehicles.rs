//! What vehicles with real habits let be called: ElaadNL's arrivals, stays and energies, as the pilot holds them.

use chrono::TimeDelta;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use vpp_core::{Energy, Flexibility, Power, Session, Station, Timestamp};
use vpp_scenarios::format::SessionProfile;

use super::{QUARTERS_A_DAY, at};
use crate::support;

/// Stations, half of homes and half of work places, and piles of each.
const STATIONS: usize = 10;
const PILES: usize = 40;
const PILE_KW: f64 = 7.0;
const HOUR: TimeDelta = TimeDelta::hours(1);
/// Vehicles that come to a work place on a day of the weekend, of those on another day; to a home.
const WEEKEND: [f64; 2] = [0.15, 0.7];

struct Vehicle {
    departure: Timestamp,
    needed_kwh: f64,
}

/// By how much all stations together could draw less than they do and keep it for an hour, kW, each quarter of so many weeks.
pub(super) fn callable(weeks: usize) -> anyhow::Result<Vec<f64>> {
    let scenario = support::pilot()?;
    let mut station = scenario.fleet()?.stations()[0].clone();
    (station.import_limit, station.export_limit) = (Power::round_kilowatts(1e4), Power::ZERO);
    let quarters = weeks * 7 * QUARTERS_A_DAY;
    let mut sums = vec![0.0; quarters];
    for number in 0..STATIONS {
        let name = if number % 2 == 0 {
            "private"
        } else {
            "workplace"
        };
        let mut draws = ChaCha8Rng::seed_from_u64(number as u64);
        let weekend = WEEKEND[usize::from(name == "private")];
        live(
            &station,
            &scenario.sessions[name],
            weekend,
            &mut draws,
            &mut sums,
        );
    }
    Ok(sums)
}

fn live(
    station: &Station,
    profile: &SessionProfile,
    weekend: f64,
    draws: &mut ChaCha8Rng,
    sums: &mut [f64],
) {
    #[allow(clippy::cast_precision_loss)] // 53 bits
    let mut uniform = move || (draws.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let stored_kw = PILE_KW * station.charge_efficiency;
    let per_day = profile.arrivals_per_ac_pile_day * PILES as f64;
    let end = at(sums.len());
    let mut next = profile.next_arrival(per_day, at(0), end, &mut uniform);
    let mut vehicles: Vec<Vehicle> = Vec::new();
    for (quarter, sum) in sums.iter_mut().enumerate() {
        let now = at(quarter);
        vehicles.retain(|vehicle| now < vehicle.departure);
        while let Some(arrival) = next.filter(|arrival| *arrival <= now) {
            next = profile.next_arrival(per_day, arrival, end, &mut uniform);
            let visit = profile.ac_visit(PILE_KW, station.charge_efficiency, uniform(), uniform());
            let weekday = (quarter / QUARTERS_A_DAY) % 7 < 5;
            if vehicles.len() < PILES && (weekday || uniform() < weekend) {
                vehicles.push(Vehicle {
                    departure: arrival + visit.stay,
                    needed_kwh: visit.energy_kwh,
                });
            }
        }
        let session = |vehicle: &Vehicle| Session {
            departure: vehicle.departure,
            energy_needed: Energy::floor_kilowatt_hours(vehicle.needed_kwh),
            energy_room: Energy::floor_kilowatt_hours(vehicle.needed_kwh),
            energy_available: Energy::ZERO,
            max_charge: Power::round_kilowatts(if vehicle.needed_kwh > 0.01 {
                PILE_KW
            } else {
                0.0
            }),
            max_discharge: Power::ZERO,
        };
        let sessions: Vec<Session> = vehicles.iter().map(session).collect();
        let draw: Power = sessions.iter().map(|session| session.max_charge).sum();
        let (lowest, _) = Flexibility::sustained(station, &sessions, now, HOUR);
        *sum += (draw - lowest).max(Power::ZERO).as_kilowatts();
        for vehicle in &mut vehicles {
            vehicle.needed_kwh = (vehicle.needed_kwh - stored_kw / 4.0).max(0.0);
        }
    }
}
