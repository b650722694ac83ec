//! A swap station: packs in slots, and vehicles that take the fullest and leave an empty one.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vpp_aggregator::{Bank, Pack, PileReading};
use vpp_core::{Energy, Power, Timestamp};

use super::arrivals::name;
use super::battery::Battery;
use super::config::StationModel;
use super::draws::Draws;
use super::given::Given;
use super::missed::Missed;
use super::tally::Tally;
use super::vehicle::{PileModel, Vehicle, instant};
use crate::draw::next_arrival;
use crate::format::SwapProfile;

/// Nobody looks further ahead than this for the next swap.
const LOOK_AHEAD: TimeDelta = TimeDelta::days(400);
const WATT_MS_PER_KWH: f64 = 3.6e9;
/// A pack stays until it is swapped: the year 2198, milliseconds of the epoch.
const FOR_EVER: i64 = 7_200_000_000_000;

/// Swaps of a station.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Swapping {
    #[serde(skip)]
    pub(super) profile: Given<SwapProfile>,
    bank: Bank,
    station: String,
    soc_ceiling: f64,
    per_day: f64,
    /// The next one, milliseconds of the epoch; none within the look-ahead.
    next: Option<i64>,
}

impl Swapping {
    /// The swaps of a station from `now` on; none where vehicles plug in.
    pub(super) fn new(model: &StationModel, now: i64, draws: &mut Draws) -> Option<Swapping> {
        let profile = Given::new(model.swaps.clone()?);
        let slots = u32::try_from(model.station.pile_count()).unwrap_or(u32::MAX);
        let mut swapping = Swapping {
            bank: profile.bank(slots),
            soc_ceiling: (model.behaviour).soc_ceiling_of(profile.model.as_deref()),
            per_day: profile.swaps_per_slot_day * f64::from(slots),
            profile,
            station: model.station.id.to_string(),
            next: None,
        };
        swapping.next = swapping.after(now, draws);
        Some(swapping)
    }

    /// The pack that a slot begins with: full or empty, as it comes.
    pub(super) fn first(&self, slot: u32, now: i64, draws: &mut Draws) -> Vehicle {
        let least = self.profile.arriving_soc.at(draws.uniform());
        let soc = draws.between(least, 1.0);
        self.pack(slot, soc, now)
    }

    /// Lets come who comes up to `now`.
    pub(super) fn swap(
        &mut self,
        packs: &mut [Vehicle],
        now: i64,
        draws: &mut Draws,
        tally: &mut Tally,
    ) {
        while let Some(at) = self.next.filter(|next| *next <= now) {
            self.next = self.after(at, draws);
            let soc = self.profile.arriving_soc.at(draws.uniform());
            let fullest = packs
                .iter_mut()
                .max_by_key(|pack| (pack.battery.stored, std::cmp::Reverse(pack.pile)));
            let charged = |pack: &&mut Vehicle| pack.battery.stored >= pack.wanted;
            let Some(pack) = fullest.filter(charged) else {
                tally.turned_away += 1;
                continue;
            };
            tally.departed(pack.battery.stored);
            tally.v2g_vehicles += u64::from(pack.gave);
            *pack = self.pack(pack.pile, soc, at);
            pack.came = now;
            tally.arrived(pack.battery.stored);
        }
    }

    /// Puts the sessions that the packs are into readings.
    pub(super) fn read(
        &self,
        readings: &mut [PileReading],
        packs: &[Vehicle],
        slots: &[PileModel],
        charge_efficiency: f64,
        now: Timestamp,
    ) {
        let energy = Energy::from_watt_milliseconds;
        let pack = |pack: &Vehicle| {
            let slot = &slots[pack.pile as usize];
            Pack {
                slot: pack.pile,
                capacity: energy(pack.battery.capacity),
                stored: energy(pack.battery.stored),
                max_charge: Power::from_watts(pack.takes_back(slot)),
                max_discharge: Power::from_watts(pack.max_discharge(slot)),
            }
        };
        let packs: Vec<Pack> = packs.iter().map(pack).collect();
        let sessions = self.bank.sessions(&packs, charge_efficiency, now);
        for (reading, session) in readings.iter_mut().zip(sessions) {
            reading.session = session;
        }
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // energies far below 2^53
    fn pack(&self, slot: u32, soc: f64, now: i64) -> Vehicle {
        let profile = &self.profile;
        let capacity = (profile.pack_kwh * WATT_MS_PER_KWH) as i64;
        let share = |soc: f64| (soc * capacity as f64) as i64;
        Vehicle {
            id: name(profile.model.as_deref(), &self.station, slot, now),
            pile: slot,
            departure: FOR_EVER,
            soc_ceiling: self.soc_ceiling,
            wanted: share(profile.charged_soc),
            battery: Battery {
                capacity,
                stored: share(soc.clamp(0.0, 1.0)),
                limit: capacity,
                floor: share(profile.floor_soc),
                power: (2.0 * profile.pack_kwh * 1e3) as i64,
            },
            says: true,
            defies: false,
            consents: true,
            told: 0,
            power: 0,
            came: now,
            gave: false,
            missed: Missed::default(),
        }
    }

    /// When the next one comes, milliseconds of the epoch.
    pub(super) fn next(&self) -> Option<i64> {
        self.next
    }

    fn after(&self, at: i64, draws: &mut Draws) -> Option<i64> {
        let (shape, at) = (&self.profile.swap_shape, instant(at));
        let next = next_arrival(shape, self.per_day, at, at + LOOK_AHEAD, || draws.uniform());
        next.map(|next| next.timestamp_millis())
    }
}
