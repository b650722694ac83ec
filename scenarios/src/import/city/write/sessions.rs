//! Who comes to which kind of facility, in the text of a year's file.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::super::super::write::{DC_DWELL, DC_ENERGY, list};
use super::super::plan::{EXPORTING_SWAP, SWAP};
use crate::Scenario;
use crate::format::{SessionProfile, SwapProfile};

/// A kind of facility: its session profile, whose habits it has, and what is assumed of it.
struct Habit {
    profile: &'static str,
    of: &'static str,
    ac_a_day: f64,
    dc_a_day: f64,
    about: &'static str,
}

const fn habit(
    profile: &'static str,
    of: &'static str,
    ac_a_day: f64,
    dc_a_day: f64,
    about: &'static str,
) -> Habit {
    Habit {
        profile,
        of,
        ac_a_day,
        dc_a_day,
        about,
    }
}

/// Those that ElaadNL's data tell of.
const HABITS: [Habit; 6] = [
    habit("public", "public", 1.5, 6.0, "Public stations: rapid piles"),
    habit(
        "residential",
        "private",
        0.8,
        4.0,
        "Homes: slow piles, all night",
    ),
    habit(
        "industrial-park",
        "workplace",
        1.0,
        4.0,
        "Works: the habits of work places",
    ),
    habit(
        "office-park",
        "workplace",
        1.0,
        4.0,
        "Offices: the habits of work places",
    ),
    habit(
        "government",
        "workplace",
        0.8,
        4.0,
        "Government offices: the habits of work places, fewer visitors",
    ),
    habit(
        "park",
        "public",
        1.5,
        4.0,
        "Public parks: the habits of public piles",
    ),
];

/// Those whose figures stand in `baiyun-scenes.toml`, with what they are there.
struct ByHand {
    profile: &'static str,
    about: &'static str,
    /// How many come on a day of the weekend, over those of another (assumption).
    weekend_factor: f64,
    said: Said<'static>,
}

const BY_HAND: [ByHand; 2] = [
    ByHand {
        profile: "bus-depot",
        about: "Buses come home for the night and leave in the morning; nobody comes to a slow pile",
        weekend_factor: 1.0,
        said: Said {
            arrivals: "assumption: each pile has its bus",
            shapes: "sourced (spice_ev, 87 arrivals), as in baiyun-scenes.toml",
            weekend: "assumption",
            dc_energy: "sourced (spice_ev): quantiles in steps of 10 %",
            dc_dwell: "sourced (spice_ev): median stay of 8 h",
            capacity: "sourced (spice_ev): two kinds of buses",
        },
    },
    ByHand {
        profile: "logistics",
        about: "Vans of a logistics park: no series is free, all assumed; nobody comes to a slow pile",
        weekend_factor: 0.6,
        said: Said {
            arrivals: "assumption: each pile has its van",
            shapes: "assumption: back from the afternoon round, as in baiyun-scenes.toml",
            weekend: "assumption",
            dc_energy: "assumption: quantiles in even steps",
            dc_dwell: "assumption: until the morning round",
            capacity: "assumption",
        },
    },
];

/// What the figures of a session profile are, each with how sure it is.
struct Said<'a> {
    arrivals: &'a str,
    shapes: &'a str,
    weekend: &'a str,
    dc_energy: &'a str,
    dc_dwell: &'a str,
    capacity: &'a str,
}

/// What is known from data, then what is made by hand, then swap stations.
pub(super) fn write(
    out: &mut String,
    habits: &BTreeMap<String, SessionProfile>,
    by_hand_file: &Scenario,
) -> fmt::Result {
    writeln!(
        out,
        "# Vehicles that come to a pile in a day are assumptions: some 20 to 30 kWh a day at a slow pile, 150 kWh at a rapid one. They\n\
         # carry the energy drawn. Quantiles in steps of 5 % from 0 % to 100 %, if not said otherwise.\n"
    )?;
    for habit in &HABITS {
        let Some(profile) = habits.get(habit.of) else {
            continue;
        };
        let mut profile = profile.clone();
        profile.arrivals_per_ac_pile_day = habit.ac_a_day;
        profile.arrivals_per_dc_pile_day = habit.dc_a_day;
        let from = format!(
            "sourced (ElaadNL, {}): shares of the local hours, hours plugged in, energies of 10 kWh and more",
            habit.of
        );
        let said = Said {
            arrivals: "assumption",
            shapes: &from,
            weekend: match profile.weekend_arrival_shape {
                Some(_) => {
                    "sourced (ElaadNL, medians): energy of Saturday and Sunday over other days"
                }
                None => "assumption: few come then",
            },
            dc_energy: DC_ENERGY,
            dc_dwell: DC_DWELL,
            capacity: "",
        };
        write_profile(out, habit.profile, &profile, habit.about, &said)?;
    }
    for by_hand in &BY_HAND {
        let Some(profile) = by_hand_file.sessions.get(by_hand.profile) else {
            continue;
        };
        let profile = SessionProfile {
            weekend_factor: by_hand.weekend_factor,
            holidays: Default::default(),
            ..profile.clone()
        };
        write_profile(out, by_hand.profile, &profile, by_hand.about, &by_hand.said)?;
    }
    let Some(taxis) = by_hand_file.swaps.get("taxis") else {
        return Ok(());
    };
    let mut still = taxis.clone();
    still.slot_discharge_kw = 0.0;
    write_swaps(
        out,
        SWAP,
        &still,
        "Swap stations for taxis, as in baiyun-scenes.toml: all assumed. They give nothing back: the plan counts piles.",
    )?;
    write_swaps(
        out,
        EXPORTING_SWAP,
        taxis,
        "The one of Baiyun's zone gives back; all assumed as well.",
    )
}

fn write_profile(
    out: &mut String,
    name: &str,
    profile: &SessionProfile,
    about: &str,
    said: &Said<'_>,
) -> fmt::Result {
    writeln!(
        out,
        "# {about}.\n[sessions.{name}]\n# {}\narrivals_per_ac_pile_day = {}\narrivals_per_dc_pile_day = {}",
        said.arrivals, profile.arrivals_per_ac_pile_day, profile.arrivals_per_dc_pile_day
    )?;
    writeln!(
        out,
        "# {}\narrival_shape = {}",
        said.shapes,
        list(&profile.arrival_shape)
    )?;
    if let Some(shape) = &profile.weekend_arrival_shape {
        writeln!(out, "weekend_arrival_shape = {}", list(shape))?;
    }
    for (key, quantiles) in [
        ("stay_h", &profile.stay_h),
        ("energy_kwh", &profile.energy_kwh),
    ] {
        writeln!(out, "{key} = {}", list(quantiles.values()))?;
    }
    writeln!(
        out,
        "# {}\nweekend_factor = {}",
        said.weekend, profile.weekend_factor
    )?;
    writeln!(
        out,
        "# {}\ndc_energy_kwh = {}",
        said.dc_energy,
        list(profile.dc_energy_kwh.values())
    )?;
    writeln!(
        out,
        "# {}\ndc_dwell_minutes = {}",
        said.dc_dwell, profile.dc_dwell_minutes
    )?;
    if let Some(capacities) = &profile.battery_capacity_kwh {
        let values = list(capacities.values());
        writeln!(out, "# {}\nbattery_capacity_kwh = {values}", said.capacity)?;
    }
    writeln!(out)
}

fn write_swaps(out: &mut String, name: &str, swaps: &SwapProfile, about: &str) -> fmt::Result {
    writeln!(out, "# {about}\n[swaps.{name}]")?;
    writeln!(out, "swaps_per_slot_day = {}", swaps.swaps_per_slot_day)?;
    writeln!(out, "swap_shape = {}", list(&swaps.swap_shape))?;
    writeln!(out, "pack_kwh = {}", swaps.pack_kwh)?;
    writeln!(out, "arriving_soc = {}", list(swaps.arriving_soc.values()))?;
    for (key, value) in [
        ("slot_power_kw", swaps.slot_power_kw),
        ("slot_discharge_kw", swaps.slot_discharge_kw),
        ("charged_soc", swaps.charged_soc),
        ("floor_soc", swaps.floor_soc),
        ("deviations", swaps.deviations),
        ("reserve_share", swaps.reserve_share),
    ] {
        writeln!(out, "{key} = {value}")?;
    }
    writeln!(out)
}
