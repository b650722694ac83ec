//! What a fleet draws when nobody controls it, foreseen from the tables alone: arrivals, stays and energies in a steady
//! daily rhythm, with the vehicles that find all piles taken driving on (Erlang's loss formula, station by station).
//!
//! An estimate for planning a scenario, within a few percent of the simulated world; nothing is settled by it.

use std::collections::BTreeMap;

use chrono::{TimeDelta, Timelike as _};
use vpp_core::{Invalid, Pile, PileKind, Timestamp};

use crate::Scenario;
use crate::format::SessionProfile;

/// What the fleet does at an instant, in the mean.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Draw of all AC piles.
    pub ac_kw: f64,
    /// Draw of all DC piles, and of swap stations, which charge what the hour's swaps bring back.
    pub dc_kw: f64,
    /// Vehicles plugged in.
    pub plugged: f64,
    /// Vehicles plugged in at piles that can export.
    pub plugged_v2g: f64,
}

impl Estimate {
    /// Draw of all piles.
    #[must_use]
    pub fn draw_kw(&self) -> f64 {
        self.ac_kw + self.dc_kw
    }
}

/// Step of the sums over past arrivals.
const STEP: TimeDelta = TimeDelta::minutes(5);
const STEP_HOURS: f64 = 5.0 / 60.0;
/// No stay that matters is longer than three days.
const STEPS_BACK: i32 = 3 * 288;

/// Mean numbers at one pile before any vehicle finds it taken.
#[derive(Clone, Copy)]
struct Offered {
    plugged: f64,
    charging: f64,
}

impl Scenario {
    /// The fleet's mean draw and occupancy at `at` without any control.
    ///
    /// # Errors
    /// As [`Scenario::fleet`].
    pub fn estimate(&self, at: Timestamp) -> Result<Estimate, Invalid> {
        let fleet = self.fleet()?;
        let mut known = BTreeMap::new();
        let mut total = Estimate::default();
        for (position, station) in fleet.stations().iter().enumerate() {
            let row = &self.fleet.stations[position];
            if let Some(swaps) = self.swaps_of(position) {
                let per_hour = swaps.bank(row.slots).swaps_per_hour[at.hour() as usize];
                let kwh = (1.0 - swaps.arriving_soc.mean()) * swaps.pack_kwh;
                total.dc_kw += per_hour * kwh / station.charge_efficiency;
                continue;
            }
            let name = row.profile.as_ref().unwrap_or(&self.fleet.profile);
            let profile = self.profile_of(position);
            for kind in [PileKind::Ac, PileKind::Dc] {
                let groups: Vec<(&Pile, Offered)> = station
                    .piles
                    .iter()
                    .filter(|pile| pile.kind == kind)
                    .map(|pile| {
                        let key = (name, kind, pile.rated_power);
                        let kw = pile.rated_power.as_kilowatts() * station.charge_efficiency;
                        let offered = known
                            .entry(key)
                            .or_insert_with(|| Offered::at(profile, kind, kw, at));
                        (pile, *offered)
                    })
                    .collect();
                let count: u32 = groups.iter().map(|(pile, _)| pile.count).sum();
                let load: f64 = groups
                    .iter()
                    .map(|(pile, offered)| offered.plugged * f64::from(pile.count))
                    .sum();
                let served = 1.0 - loss(load, count);
                for (pile, offered) in groups {
                    let plugged = offered.plugged * f64::from(pile.count) * served;
                    let charging = offered.charging * f64::from(pile.count) * served;
                    let draw_kw = charging * pile.rated_power.as_kilowatts();
                    total.plugged += plugged;
                    if pile.discharge_power.as_watts() > 0 {
                        total.plugged_v2g += plugged;
                    }
                    match kind {
                        PileKind::Ac => total.ac_kw += draw_kw,
                        PileKind::Dc => total.dc_kw += draw_kw,
                    }
                }
            }
        }
        Ok(total)
    }
}

impl Offered {
    /// Sums past arrivals that are still there, and those that still charge. `battery_kw` arrives at the battery.
    fn at(profile: &SessionProfile, kind: PileKind, battery_kw: f64, at: Timestamp) -> Offered {
        let mut offered = Offered {
            plugged: 0.0,
            charging: 0.0,
        };
        for back in 0..STEPS_BACK {
            let then = at - STEP * back - STEP / 2;
            let hours = (f64::from(back) + 0.5) * STEP_HOURS;
            let (arrivals, there, charging) = match kind {
                PileKind::Ac => {
                    let there = profile.stay_h.share_above(hours);
                    let still = profile.energy_kwh.share_above(hours * battery_kw);
                    (profile.ac_arrivals_per_hour(then), there, still * there)
                }
                PileKind::Dc => {
                    let energy = |hours: f64| profile.dc_energy_kwh.share_above(hours * battery_kw);
                    let dwell = profile.dc_dwell_minutes / 60.0;
                    let there = if hours < dwell {
                        1.0
                    } else {
                        energy(hours - dwell)
                    };
                    (profile.dc_arrivals_per_hour(then), there, energy(hours))
                }
            };
            offered.plugged += arrivals * STEP_HOURS * there;
            offered.charging += arrivals * STEP_HOURS * charging;
        }
        offered
    }
}

/// Erlang's loss formula: the share of vehicles that find all of `piles` taken when `load` would be plugged in.
fn loss(load: f64, piles: u32) -> f64 {
    (1..=piles).fold(1.0, |lost, pile| {
        load * lost / (f64::from(pile) + load * lost)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 24 slots of four swaps a day, with packs of 60 kWh.
    #[test]
    fn a_swap_station_draws_what_its_swaps_bring_back() {
        let mut scenario = Scenario::parse(include_str!("../baiyun-scenes.toml")).unwrap();
        let at = scenario.start();
        let with = scenario.estimate(at).unwrap();
        scenario.fleet.stations.retain(|row| row.slots == 0);
        let without = scenario.estimate(at).unwrap();
        let profile = &scenario.swaps["taxis"];
        let expected =
            96.0 * profile.swap_shape[18] * 60.0 * (1.0 - profile.arriving_soc.mean()) / 0.94;
        let drawn = with.dc_kw - without.dc_kw;
        assert!((drawn - expected).abs() < 1e-6, "{drawn} and {expected} kW");
        assert!((200.0..320.0).contains(&drawn), "{drawn} kW");
        assert!((with.plugged - without.plugged).abs() < 1e-9);
    }

    #[test]
    fn losses_follow_the_tables_of_erlang() {
        for (load, piles, expected) in [(1.0, 1, 0.5), (5.0, 10, 0.0184), (20.0, 20, 0.1589)] {
            let found = loss(load, piles);
            assert!(
                (found - expected).abs() < 5e-5,
                "{load} on {piles}: {found}"
            );
        }
    }
}
