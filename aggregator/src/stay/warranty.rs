//! What a maker's warranty lets be done with a vehicle's battery, and how much of it is used up.
//!
//! Hard: the limits come off what a session offers before anything is shared out, and what a pile is told is cut to
//! them again. They hold also when nobody is heard any more: a discharge is never stronger than what may still be taken out until the
//! station's lease ends.

use std::collections::{BTreeMap, HashMap};

use chrono::{NaiveDate, TimeDelta};
use foldhash::quality::RandomState;
use serde::{Deserialize, Serialize};
use vpp_core::time::{as_hours, since};
use vpp_core::{Energy, Invalid, Power, Session, Station, Timestamp, VehicleId};

use super::watch::LONGEST_LOOK;
use crate::site::PileReading;

/// Energy is recorded in such portions before it may be used, kWh: what was used survives whatever happens.
const PORTION_KWH: f64 = 1.0;
/// A vehicle that has not been seen for so long is forgotten, if nothing but days are counted.
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::days(2);

/// Limits of one warranty.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Warranty {
    /// Not discharged below this state of charge, 0 to 1.
    pub soc_floor: f64,
    /// Not charged above this one by a programme or otherwise, 0 to 1.
    pub soc_ceiling: f64,
    /// The most that is discharged in a day (UTC), at the battery.
    pub discharge_kwh_per_day: f64,
    /// The most that is discharged in all, in full cycles of the battery: energy over capacity.
    #[serde(default)]
    pub cycles: Option<f64>,
    /// The strongest discharge, at the plug.
    #[serde(default)]
    pub discharge_kw: Option<f64>,
    /// Not discharged while the cells are colder or warmer, °C; none: at any temperature.
    #[serde(default)]
    pub temperature_c: Option<[f64; 2]>,
}

impl Warranty {
    /// Checks that the limits can be.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<(), Invalid> {
        let share = |field: &str, value: f64| match (0.0..=1.0).contains(&value) {
            true => Ok(()),
            false => Err(Invalid::new(field, format!("{value} is outside 0 to 1"))),
        };
        share("soc_floor", self.soc_floor)?;
        share("soc_ceiling", self.soc_ceiling)?;
        if self.soc_floor > self.soc_ceiling {
            let problem = format!(
                "{} is above the ceiling {}",
                self.soc_floor, self.soc_ceiling
            );
            return Err(Invalid::new("soc_floor", problem));
        }
        let amounts = [
            ("discharge_kwh_per_day", Some(self.discharge_kwh_per_day)),
            ("cycles", self.cycles),
            ("discharge_kw", self.discharge_kw),
        ];
        for (field, amount) in amounts {
            if let Some(amount) = amount.filter(|amount| !(0.0..=1e6).contains(amount)) {
                return Err(Invalid::new(
                    field,
                    format!("{amount} is outside 0 to 1000000"),
                ));
            }
        }
        match self.temperature_c {
            Some([low, high]) if !(low < high && low > -100.0 && high < 200.0) => {
                let problem = format!("{low} to {high} °C is no range");
                Err(Invalid::new("temperature_c", problem))
            }
            _ => Ok(()),
        }
    }
}

/// Whose warranty is which.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Warranties {
    /// Of vehicles that are neither named nor of a model; none: those have none.
    pub usual: Option<Warranty>,
    /// Of vehicles whose name begins so; of several beginnings the longest counts. A VIN, which a fast pile reads (GB/T 27930,
    /// message BRM), begins with its maker's and its model's signs (ISO 3779).
    pub models: BTreeMap<String, Warranty>,
    /// Of single vehicles.
    pub vehicles: BTreeMap<VehicleId, Warranty>,
}

impl Warranties {
    fn of(&self, vehicle: Option<&VehicleId>) -> Option<&Warranty> {
        // Mostly one holds for all: asked for each pile at every look.
        if self.vehicles.is_empty() && self.models.is_empty() {
            return self.usual.as_ref();
        }
        let own = vehicle.and_then(|vehicle| self.vehicles.get(vehicle));
        own.or_else(|| self.of_model(vehicle?))
            .or(self.usual.as_ref())
    }

    fn of_model(&self, vehicle: &VehicleId) -> Option<&Warranty> {
        let name = vehicle.as_str();
        let fits = (self.models.iter()).filter(|(begins, _)| name.starts_with(begins.as_str()));
        let longest = fits.max_by_key(|(begins, _)| begins.len());
        longest.map(|(_, warranty)| warranty)
    }

    fn all(&self) -> impl Iterator<Item = &Warranty> {
        let models = self.models.values();
        self.vehicles.values().chain(models).chain(&self.usual)
    }
}

/// What was discharged out of a vehicle's battery, kWh at the battery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Used {
    /// In all.
    pub total_kwh: f64,
    /// On `day`.
    pub day_kwh: f64,
    /// UTC; none before the first discharge.
    pub day: Option<NaiveDate>,
}

impl Used {
    fn on(mut self, day: NaiveDate) -> Used {
        if self.day != Some(day) {
            (self.day, self.day_kwh) = (Some(day), 0.0);
        }
        self
    }

    fn add(&mut self, kwh: f64, day: NaiveDate) {
        *self = self.on(day);
        self.total_kwh += kwh;
        self.day_kwh += kwh;
    }
}

/// The limits of one vehicle at an instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limits {
    /// What may be taken out, kWh at the battery.
    pub(super) discharge_kwh: f64,
    /// What of it may be taken out before more is on record.
    pub(super) recorded_kwh: f64,
    /// What may be put in, kWh at the battery.
    pub(super) charge_kwh: f64,
    /// The strongest discharge, kW at the plug.
    pub(super) discharge_kw: f64,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Vehicle {
    used: Used,
    /// Up to here is on record, kWh in all, and for which day.
    recorded_kwh: f64,
    recorded_day: Option<NaiveDate>,
    /// Whether it could be discharged at the last look.
    could: bool,
    power: Power,
    /// What its battery held, where it was read.
    stored: Option<Energy>,
    seen_at: Timestamp,
}

/// Keeps warranties.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Guard {
    warranties: Warranties,
    /// Looked up for each pile at each look; nothing depends on their order.
    vehicles: HashMap<VehicleId, Vehicle, RandomState>,
    /// Whether what is used must be on record before.
    records: bool,
    swept_at: Option<Timestamp>,
}

impl Guard {
    /// A guard of `warranties`. With `known` what was discharged before; then nothing is discharged before it is on record
    /// ([`Guard::wanted`], [`Guard::record`]).
    #[must_use]
    pub fn new(warranties: Warranties, known: Option<BTreeMap<VehicleId, Used>>) -> Guard {
        let records = known.is_some();
        let vehicle = |(id, used): (VehicleId, Used)| {
            let vehicle = Vehicle {
                used,
                recorded_kwh: used.total_kwh,
                recorded_day: used.day,
                could: false,
                power: Power::ZERO,
                stored: None,
                seen_at: Timestamp::MIN_UTC,
            };
            (id, vehicle)
        };
        Guard {
            warranties,
            vehicles: known.unwrap_or_default().into_iter().map(vehicle).collect(),
            records,
            swept_at: None,
        }
    }

    /// Takes note of what a pile reads: what was discharged since the last look. What is told holds for `lease`: looks are no
    /// further apart where all is well. Whoever cannot be discharged and is not need not be looked at, but once after it could or
    /// was.
    pub(super) fn observe(
        &mut self,
        reading: &PileReading,
        station: &Station,
        lease: TimeDelta,
        now: Timestamp,
    ) {
        let Some(id) = &reading.vehicle else { return };
        if self.warranties.of(Some(id)).is_none() {
            return;
        }
        let records = self.records;
        let fresh = || Vehicle {
            used: Used::default(),
            recorded_kwh: if records { 0.0 } else { f64::INFINITY },
            recorded_day: None,
            could: false,
            power: Power::ZERO,
            stored: None,
            seen_at: now,
        };
        // Who cannot be discharged need not be known: most vehicles.
        let gives =
            reading.session.max_discharge > Power::ZERO || reading.active_power < Power::ZERO;
        let vehicle = match self.vehicles.get_mut(id) {
            Some(vehicle) => vehicle,
            None if gives => self.vehicles.entry(id.clone()).or_insert_with(fresh),
            None => return,
        };
        let length = since(vehicle.seen_at, now).max(TimeDelta::zero());
        // The stronger of both ends: never less than it was.
        let strongest = reading.active_power.min(vehicle.power).min(Power::ZERO);
        let taken_over = |length: TimeDelta| {
            -strongest.as_kilowatts() * as_hours(length) / station.discharge_efficiency
        };
        let stored = reading.battery.map(|battery| battery.stored);
        let missing = vehicle.stored.zip(stored).map(|(before, now)| before - now);
        let taken = match missing.map(|missing| missing.max(Energy::ZERO).as_kilowatt_hours()) {
            _ if length <= LONGEST_LOOK => taken_over(length),
            // In so long nobody was told anything new: what is missing was discharged, and nothing was charged before it.
            Some(missing) if length <= lease => missing,
            None if length <= lease => taken_over(length),
            // It was out of sight, and may have been driven.
            _ => taken_over(LONGEST_LOOK),
        };
        // Also begins a new day.
        vehicle.used.add(taken, now.date_naive());
        (vehicle.power, vehicle.stored, vehicle.seen_at) = (reading.active_power, stored, now);
        vehicle.could = reading.session.max_discharge > Power::ZERO;
    }

    /// What a vehicle's warranty leaves at `now`; none without one.
    pub(super) fn limits(&self, reading: &PileReading, now: Timestamp) -> Option<Limits> {
        let warranty = self.warranties.of(reading.vehicle.as_ref())?;
        // A ceiling cannot be kept where the battery is not read.
        let nothing = Limits {
            discharge_kwh: 0.0,
            recorded_kwh: 0.0,
            charge_kwh: f64::INFINITY,
            discharge_kw: 0.0,
        };
        // What is not known is not discharged.
        let (Some(battery), Some(id)) = (reading.battery, &reading.vehicle) else {
            return Some(nothing);
        };
        let (capacity, stored) = (
            battery.capacity.as_kilowatt_hours(),
            battery.stored.as_kilowatt_hours(),
        );
        let charge_kwh = (warranty.soc_ceiling * capacity - stored).max(0.0);
        let unfit = warranty.temperature_c.is_some_and(|[low, high]| {
            !battery
                .temperature_c
                .is_some_and(|cells| (low..=high).contains(&cells))
        });
        // Of who is not discharged anyhow nothing more is asked.
        let gives =
            reading.session.max_discharge > Power::ZERO || reading.active_power < Power::ZERO;
        let vehicle = (gives && !unfit).then(|| self.vehicles.get(id)).flatten();
        let Some(vehicle) = vehicle else {
            return Some(Limits {
                charge_kwh,
                ..nothing
            });
        };
        let today = now.date_naive();
        let used = vehicle.used.on(today);
        let left = [
            stored - warranty.soc_floor * capacity,
            warranty.discharge_kwh_per_day - used.day_kwh,
            warranty
                .cycles
                .map_or(f64::INFINITY, |cycles| cycles * capacity - used.total_kwh),
        ];
        let discharge_kwh = left.into_iter().fold(f64::INFINITY, f64::min).max(0.0);
        // A portion that was recorded for another day counts for that day.
        let recorded = match !self.records || vehicle.recorded_day == Some(today) {
            true => vehicle.recorded_kwh - used.total_kwh,
            false => 0.0,
        };
        Some(Limits {
            discharge_kwh,
            recorded_kwh: recorded.clamp(0.0, discharge_kwh),
            charge_kwh,
            discharge_kw: warranty.discharge_kw.unwrap_or(f64::INFINITY),
        })
    }

    /// Vehicles whose next portion should be put on record: what is to be written for each.
    pub fn wanted(&self) -> Vec<(VehicleId, Used)> {
        let low = |(_, vehicle): &(&VehicleId, &Vehicle)| {
            let short = vehicle.recorded_kwh - vehicle.used.total_kwh < 0.5 * PORTION_KWH;
            vehicle.could && (short || vehicle.recorded_day != vehicle.used.day)
        };
        let ahead = |(id, vehicle): (&VehicleId, &Vehicle)| {
            let mut used = vehicle.used;
            used.total_kwh += PORTION_KWH;
            used.day_kwh += PORTION_KWH;
            (id.clone(), used)
        };
        let all = self.vehicles.iter().filter(|_| self.records);
        let mut wanted: Vec<(VehicleId, Used)> = all.filter(low).map(ahead).collect();
        wanted.sort_by(|(one, _), (other, _)| one.cmp(other));
        wanted
    }

    /// It is on record.
    pub fn record(&mut self, written: &[(VehicleId, Used)]) {
        for (id, used) in written {
            if let Some(vehicle) = self.vehicles.get_mut(id) {
                vehicle.recorded_kwh = vehicle.recorded_kwh.max(used.total_kwh);
                vehicle.recorded_day = used.day;
            }
        }
    }

    /// Whether nothing is counted beyond a day: what was discharged before need not be kept.
    #[must_use]
    pub fn counts_days_only(&self) -> bool {
        let mut all = self.warranties.all();
        all.all(|warranty| warranty.cycles.is_none())
    }

    /// Forgets who has not been seen for long, once an hour.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        if self
            .swept_at
            .is_some_and(|at| now - at < TimeDelta::hours(1))
        {
            return;
        }
        self.swept_at = Some(now);
        let warranties = &self.warranties;
        self.vehicles.retain(|id, vehicle| {
            let counted = warranties
                .of(Some(id))
                .is_some_and(|of| of.cycles.is_some());
            counted || now - vehicle.seen_at.max(now - TimeDelta::days(30)) < FORGOTTEN_AFTER
        });
    }
}

/// What a session may still offer.
pub(super) fn limited(
    session: &Session,
    limits: &Limits,
    station: &Station,
    lease: TimeDelta,
) -> Session {
    let mut limited = session.clone();
    let energy = |kwh: f64| {
        Energy::floor_kilowatt_hours(kwh.clamp(0.0, vpp_core::units::MAX_KILOWATT_HOURS))
    };
    if limited.max_discharge > Power::ZERO {
        let strongest = strongest_discharge(limits, station, lease);
        limited.max_discharge = limited.max_discharge.min(strongest);
        limited.energy_available = limited.energy_available.min(energy(limits.discharge_kwh));
    }
    if limited.max_discharge <= Power::ZERO || limited.energy_available <= Energy::ZERO {
        (limited.energy_available, limited.max_discharge) = (Energy::ZERO, Power::ZERO);
    }
    limited.energy_room = limited.energy_room.min(energy(limits.charge_kwh));
    // One that is full is told nothing; if it gives, it can take that back, as fast as it charges.
    if limited.energy_room >= Session::NEGLIGIBLE || limited.max_discharge <= Power::ZERO {
        let strongest = strongest_charge(limits, station, lease);
        limited.max_charge = limited.max_charge.min(strongest);
    }
    limited.energy_needed = (limited.energy_needed)
        .min(limited.energy_room)
        .max(-limited.energy_available);
    limited
}

/// The strongest discharge that takes out no more than may be until the lease ends, at the plug.
pub(super) fn strongest_discharge(limits: &Limits, station: &Station, lease: TimeDelta) -> Power {
    let hours = as_hours(lease.max(TimeDelta::seconds(1)));
    let lasting = limits.recorded_kwh * station.discharge_efficiency / hours;
    let most = lasting
        .min(limits.discharge_kw)
        .clamp(0.0, vpp_core::units::MAX_KILOWATTS);
    Power::floor_kilowatts(most)
}

/// The strongest charge that does not go beyond the ceiling until the lease ends, at the plug.
pub(super) fn strongest_charge(limits: &Limits, station: &Station, lease: TimeDelta) -> Power {
    let hours = as_hours(lease.max(TimeDelta::seconds(1)));
    let lasting = limits.charge_kwh / station.charge_efficiency / hours;
    Power::floor_kilowatts(lasting.clamp(0.0, vpp_core::units::MAX_KILOWATTS))
}

#[cfg(test)]
mod tests;
