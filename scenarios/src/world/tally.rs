//! What has happened at a station, for analysts and for checks.

use serde::{Deserialize, Serialize};
use vpp_core::{Cause, Energy, Promise, Unkept, Violation};

use super::vehicle::Moved;

/// Counts and energies since the start (the warm-up is not counted).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Tally {
    /// Vehicles that plugged in.
    pub arrivals: u64,
    /// Vehicles that found no free pile and drove on.
    pub turned_away: u64,
    /// Vehicles that left.
    pub departures: u64,
    /// Vehicles that left with less than they were promised.
    pub short_departures: u64,
    /// What those lacked.
    pub energy_short: Energy,
    /// Why they did: each is counted once, for what explains most of it.
    pub unkept: Unkept,
    /// Drawn from the grid.
    pub energy_drawn: Energy,
    /// Given to the grid, as a magnitude.
    pub energy_exported: Energy,
    /// Drawn from the grid as the meter at the connection sees it, without what vehicles give each other.
    pub metered_import: Energy,
    /// Given to the grid as that meter sees it, as a magnitude.
    pub metered_export: Energy,
    /// Vehicles that were discharged at all during their stay, counted when they leave.
    pub v2g_vehicles: u64,
    /// Put into batteries.
    pub energy_charged: Energy,
    /// Taken out of batteries, as a magnitude.
    pub energy_discharged: Energy,
    /// Energy that batteries held when they came.
    pub energy_arrived: Energy,
    /// Energy that batteries held when they left.
    pub energy_departed: Energy,
}

impl Tally {
    pub(super) fn moved(&mut self, moved: Moved) {
        let energy = Energy::from_watt_milliseconds;
        if moved.at_grid >= 0 {
            self.energy_drawn += energy(moved.at_grid);
            self.energy_charged += energy(moved.stored);
        } else {
            self.energy_exported += energy(-moved.at_grid);
            self.energy_discharged += energy(-moved.stored);
        }
    }

    /// What all vehicles together moved at the connection in a time that the meter cannot tell apart.
    pub(super) fn metered(&mut self, at_grid: i64) {
        self.metered_import += Energy::from_watt_milliseconds(at_grid.max(0));
        self.metered_export += Energy::from_watt_milliseconds((-at_grid).max(0));
    }

    pub(super) fn arrived(&mut self, stored: i64) {
        self.arrivals += 1;
        self.energy_arrived += Energy::from_watt_milliseconds(stored);
    }

    pub(super) fn departed(&mut self, stored: i64) {
        self.departures += 1;
        self.energy_departed += Energy::from_watt_milliseconds(stored);
    }

    /// One that left lacked so much.
    pub(super) fn left_short(&mut self, short: i64, cause: Cause) {
        let energy = Energy::from_watt_milliseconds(short);
        self.short_departures += 1;
        self.energy_short += energy;
        self.unkept.add(Violation {
            promise: Promise::Departure,
            energy,
            cause,
        });
    }

    /// Adds another station's.
    pub fn add(&mut self, other: &Tally) {
        self.arrivals += other.arrivals;
        self.turned_away += other.turned_away;
        self.departures += other.departures;
        self.short_departures += other.short_departures;
        self.energy_short += other.energy_short;
        self.unkept.merge(&other.unkept);
        self.energy_drawn += other.energy_drawn;
        self.energy_exported += other.energy_exported;
        self.metered_import += other.metered_import;
        self.metered_export += other.metered_export;
        self.v2g_vehicles += other.v2g_vehicles;
        self.energy_charged += other.energy_charged;
        self.energy_discharged += other.energy_discharged;
        self.energy_arrived += other.energy_arrived;
        self.energy_departed += other.energy_departed;
    }
}
