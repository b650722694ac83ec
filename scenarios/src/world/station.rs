//! One station: its piles, its vehicles, and the controller on the spot.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vpp_aggregator::{Lease, PileReading, PileSetpoint, Splitter};
use vpp_core::{Energy, PileKind, Power};

use super::arrivals::{self, Arrivals};
use super::battery::Efficiency;
use super::config::StationModel;
use super::draws::Draws;
use super::given::Given;
use super::recorded::{self, Recorded};
use super::swap::Swapping;
use super::tally::Tally;
use super::vehicle::{PileModel, Vehicle, instant};

/// A vehicle that leaves with this much less than it was promised leaves short, watt-milliseconds (10 Wh).
const SHORT: i64 = 36_000_000;

/// A simulated station.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct StationState {
    #[serde(skip)]
    pub(super) model: Given<StationModel>,
    pub(super) efficiency: Efficiency,
    pub(super) piles: Vec<PileModel>,
    draws: Draws,
    /// Of which model vehicles are.
    models: Draws,
    pub(super) arrivals: Vec<Arrivals>,
    pub(super) swapping: Option<Swapping>,
    /// Vehicles that come as recorded; then no other does.
    pub(super) recorded: Option<Recorded>,
    /// Until when it has lived.
    pub(super) now: i64,
    /// What it may draw beyond its setpoint until the next look, watts: for those who came and cannot wait.
    pub(super) raised: i64,
    /// Whether it lives in long steps.
    pub(super) coarse: bool,
    /// What it drew in the last long step, watts; negative is given.
    pub(super) mean_w: i64,
    /// In the order of their piles; the packs of a swap station are vehicles that stay.
    pub(super) vehicles: Vec<Vehicle>,
    /// Setpoints on their way to the piles, with the instant at which they take effect.
    underway: VecDeque<(i64, Vec<PileSetpoint>)>,
    delay_ms: i64,
    /// What was set from outside; none before the first time.
    pub(super) lease: Option<Lease>,
    /// The controller on the spot, for when nobody else is in charge.
    pub(super) local: Splitter,
    pub(super) refusal: Option<String>,
    /// Since when it is out of reach, milliseconds of the epoch.
    pub(super) unreachable_from: Option<i64>,
    pub(super) readings: Vec<PileReading>,
    pub(super) tally: Tally,
    scratch: Vec<PileSetpoint>,
    /// Room for what each vehicle draws.
    pub(super) goals: Vec<i64>,
}

impl StationState {
    pub(super) fn new(seed: u64, model: StationModel, now: i64) -> StationState {
        let mut draws = Draws::new(seed, model.number);
        let models = Draws::of_models(seed, model.number);
        let behaviour = &model.behaviour;
        let refusal = draws
            .chance(behaviour.refusing_station_share)
            .then(|| "under local control".to_owned());
        let unreachable_from = draws
            .chance(behaviour.unreachable_station_share)
            .then(|| behaviour.unreachable_from.timestamp_millis());
        let [shortest, longest] = behaviour.response_delay_s;
        #[allow(clippy::cast_possible_truncation)] // seconds of a checked scenario
        let delay_ms = (draws.between(shortest, longest) * 1e3).round() as i64;
        let piles = piles(&model, &mut draws);
        let swapping = Swapping::new(&model, now, &mut draws);
        let vehicles = swapping.as_ref().map_or_else(Vec::new, |swapping| {
            let slots = (0_u32..).zip(&piles);
            let pack = |(slot, _): (u32, &PileModel)| swapping.first(slot, now, &mut draws);
            slots.map(pack).collect()
        });
        let kinds = [true, false].into_iter().filter_map(|is_ac| {
            let count = piles.iter().filter(|pile| pile.is_ac == is_ac).count();
            (count > 0).then_some((is_ac, count))
        });
        let arrivals = kinds
            .filter(|_| swapping.is_none() && model.recorded.is_none())
            .map(|(is_ac, count)| Arrivals::new(&model, is_ac, count, now, &mut draws))
            .collect();
        StationState {
            recorded: model.recorded.clone().map(Recorded::new),
            efficiency: Efficiency::new(
                model.station.charge_efficiency,
                model.station.discharge_efficiency,
            ),
            model: Given::new(Arc::new(model)),
            piles,
            draws,
            models,
            arrivals,
            swapping,
            now,
            raised: 0,
            coarse: false,
            mean_w: 0,
            vehicles,
            underway: VecDeque::new(),
            delay_ms,
            lease: None,
            local: Splitter::new(),
            refusal,
            unreachable_from,
            readings: Vec::new(),
            tally: Tally::default(),
            scratch: Vec::new(),
            goals: Vec::new(),
        }
    }

    /// Takes from a station that has just begun what a saved one lacks.
    pub(super) fn put_back(&mut self, fresh: StationState) {
        self.model = fresh.model;
        if let (Some(swapping), Some(fresh)) = (&mut self.swapping, fresh.swapping) {
            swapping.profile = fresh.profile;
        }
        if let (Some(recorded), Some(fresh)) = (&mut self.recorded, fresh.recorded) {
            recorded.stays = fresh.stays;
        }
    }

    /// Lives through `length_ms` from `now`.
    pub(super) fn tick(&mut self, now: i64, length_ms: i64) {
        self.come_and_go(now);
        self.hear(now);
        let alone = self.is_alone(now);
        if alone {
            self.control_itself(now);
        }
        let mut at_grid = 0;
        for vehicle in &mut self.vehicles {
            let pile = &self.piles[vehicle.pile as usize];
            let moved = vehicle.run(pile, now, length_ms, self.efficiency);
            vehicle.gave |= moved.at_grid < 0;
            vehicle.miss(pile, now + length_ms, self.efficiency, alone);
            at_grid += moved.at_grid;
            self.tally.moved(moved);
        }
        self.tally.metered(at_grid);
        self.now = now + length_ms;
    }

    /// Lets leave who leaves by `now`, and come who comes.
    pub(super) fn come_and_go(&mut self, now: i64) {
        self.depart(now);
        self.arrive(now);
        self.come_as_recorded(now);
        if let Some(swapping) = &mut self.swapping {
            swapping.swap(&mut self.vehicles, now, &mut self.draws, &mut self.tally);
        }
    }

    /// Whether nobody outside is in charge.
    pub(super) fn is_alone(&self, now: i64) -> bool {
        let over = |lease: Lease| now >= lease.valid_until.timestamp_millis();
        self.lease.is_none_or(over)
    }

    /// Takes setpoints from outside. They reach the piles after the station's delay.
    pub(super) fn apply(&mut self, now: i64, setpoints: &[PileSetpoint], lease: Lease) {
        self.lease = Some(lease);
        self.raised = 0;
        if self.coarse {
            tell(&mut self.vehicles, setpoints);
            return;
        }
        self.underway
            .push_back((now + self.delay_ms, setpoints.to_vec()));
    }

    pub(super) fn active_power(&self) -> Power {
        if self.coarse {
            return Power::from_watts(self.mean_w);
        }
        Power::from_watts(self.vehicles.iter().map(|vehicle| vehicle.power).sum())
    }

    /// Reads all piles anew, at an instant.
    pub(super) fn read(&mut self, now: i64) {
        let StationState {
            readings,
            vehicles,
            piles,
            coarse,
            ..
        } = self;
        readings.truncate(vehicles.len());
        for (at, vehicle) in vehicles.iter().enumerate() {
            let pile = &piles[vehicle.pile as usize];
            let reading = PileReading {
                pile: vehicle.pile,
                active_power: Power::from_watts(vehicle.power),
                min_charge: Power::from_watts(pile.least),
                says: vehicle.says,
                defies: *coarse && vehicle.defies,
                session: vehicle.session(pile),
                vehicle: None,
                battery: vehicle.reading(pile),
            };
            PileReading::put(readings, at, reading, Some(&vehicle.id));
        }
        if let Some(swapping) = &self.swapping {
            swapping.read(
                readings,
                vehicles,
                piles,
                self.model.station.charge_efficiency,
                instant(now),
            );
        }
    }

    /// What all batteries at the station hold.
    pub(super) fn stored(&self) -> Energy {
        let stored = self
            .vehicles
            .iter()
            .map(|vehicle| vehicle.battery.stored)
            .sum();
        Energy::from_watt_milliseconds(stored)
    }

    #[cfg(test)]
    pub(super) fn vehicles(&self) -> &[Vehicle] {
        &self.vehicles
    }

    #[cfg(test)]
    pub(super) fn piles(&self) -> &[PileModel] {
        &self.piles
    }

    #[cfg(test)]
    pub(super) fn delay_ms(&self) -> i64 {
        self.delay_ms
    }

    /// Lets leave who leaves by `now`.
    pub(super) fn depart(&mut self, now: i64) {
        let tally = &mut self.tally;
        self.vehicles.retain(|vehicle| {
            let stays = now < vehicle.departure;
            if !stays {
                tally.v2g_vehicles += u64::from(vehicle.gave);
                tally.departed(vehicle.battery.stored);
                let short = vehicle.wanted - vehicle.battery.stored;
                if short > SHORT {
                    tally.left_short(short, vehicle.missed.cause());
                }
            }
            stays
        });
    }

    fn arrive(&mut self, now: i64) {
        for at in 0..self.arrivals.len() {
            let is_ac = self.arrivals[at].is_ac;
            while let Some(arrival) = self.arrivals[at].pop(&self.model, now, &mut self.draws) {
                let Some(pile) = self.free_pile(is_ac) else {
                    self.tally.turned_away += 1;
                    continue;
                };
                let (station, draws) = (&self.model, &mut self.draws);
                let kind = arrivals::model(&station.profile, &mut self.models);
                let vehicle = arrivals::vehicle(
                    station,
                    self.efficiency,
                    (pile, &self.piles[pile as usize]),
                    (arrival, kind),
                    draws,
                );
                self.plug_in(vehicle, now);
            }
        }
    }

    fn come_as_recorded(&mut self, now: i64) {
        while let Some(stay) = self.recorded.as_mut().and_then(|all| all.pop(now)) {
            let vehicle = recorded::vehicle(&stay, &self.model.behaviour);
            // What was over before the start has never been here.
            if now < vehicle.departure {
                self.plug_in(vehicle, now);
            }
        }
    }

    fn plug_in(&mut self, mut vehicle: Vehicle, now: i64) {
        vehicle.came = now;
        self.tally.arrived(vehicle.battery.stored);
        let pile = vehicle.pile;
        vehicle.begin(&self.piles[pile as usize], now, self.efficiency);
        let place = self.vehicles.partition_point(|other| other.pile < pile);
        self.vehicles.insert(place, vehicle);
    }

    /// One of the free piles of a kind, each as likely as the others.
    fn free_pile(&mut self, is_ac: bool) -> Option<u32> {
        let mut taken = self.vehicles.iter().map(|vehicle| vehicle.pile).peekable();
        let free = (0_u32..)
            .zip(&self.piles)
            .filter(|(number, pile)| taken.next_if_eq(number).is_none() && pile.is_ac == is_ac);
        let free: Vec<u32> = free.map(|(number, _)| number).collect();
        if free.is_empty() {
            return None;
        }
        Some(free[self.draws.below(free.len())])
    }

    /// Hands setpoints that have arrived by `now` to the piles.
    pub(super) fn hear(&mut self, now: i64) {
        while self.underway.front().is_some_and(|(due, _)| *due <= now) {
            let Some((_, setpoints)) = self.underway.pop_front() else {
                return;
            };
            tell(&mut self.vehicles, &setpoints);
        }
    }

    /// Keeps the ceiling that holds without word from outside.
    pub(super) fn control_itself(&mut self, now: i64) {
        self.underway.clear();
        let default = self.model.station.default_setpoint;
        let ceiling = self.lease.map_or(default, |lease| lease.fallback);
        let piles = &self.piles;
        let most = |vehicle: &Vehicle| piles[vehicle.pile as usize].rated;
        let total: i64 = self.vehicles.iter().map(most).sum();
        if total <= ceiling.as_watts() {
            for vehicle in &mut self.vehicles {
                vehicle.told = piles[vehicle.pile as usize].rated;
            }
            return;
        }
        self.read(now);
        self.local.split(
            &self.model.station,
            ceiling,
            &self.readings,
            instant(now),
            &mut self.scratch,
        );
        tell(&mut self.vehicles, &self.scratch);
    }
}

/// Both are in the order of the piles.
fn tell(vehicles: &mut [Vehicle], setpoints: &[PileSetpoint]) {
    let mut setpoints = setpoints.iter().peekable();
    for vehicle in vehicles {
        while setpoints.next_if(|told| told.pile < vehicle.pile).is_some() {}
        if let Some(told) = setpoints.next_if(|told| told.pile == vehicle.pile) {
            vehicle.told = told.setpoint.as_watts();
        }
    }
}

/// 6 A on each phase of 220 V, by IEC 61851; more than 32 A of one phase are three phases.
fn least_ac(rated: i64) -> i64 {
    const ONE_PHASE: i64 = 220 * 32;
    let phases = if rated <= ONE_PHASE { 1 } else { 3 };
    (6 * 220 * phases).min(rated)
}

/// The piles one by one. Each has its part of the station's ramp.
fn piles(model: &StationModel, draws: &mut Draws) -> Vec<PileModel> {
    let groups = &model.station.piles;
    let rated: i64 = groups
        .iter()
        .map(|group| group.rated_power.as_watts() * i64::from(group.count))
        .sum();
    let ramp = model.station.ramp_per_second;
    let share = model.behaviour.disobeying_pile_share;
    let mut piles = Vec::new();
    for group in groups {
        for _ in 0..group.count {
            let part = ramp.scaled(group.rated_power, Power::from_watts(rated));
            let is_ac = group.kind == PileKind::Ac;
            let rated = group.rated_power.as_watts();
            piles.push(PileModel {
                is_ac,
                rated,
                least: if is_ac { least_ac(rated) } else { 0 },
                discharge: group.discharge_power.as_watts(),
                ramp: part.as_watts().max(1),
                obeys: !draws.chance(share),
            });
        }
    }
    piles
}
