//! The text of a year's file.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::Path;

use vpp_core::Invalid;
use vpp_market_adapters::RulePack;

use super::super::write::{
    DC_DWELL, DC_ENERGY, assumptions, list, node_rows, quoted, regulation, station, warranty,
};
use super::super::{ImportError, Stage, figures, read};
use super::plan::{EXPORTING_SWAP, SWAP, TRANCHES, Tranche};
use super::{AGGREGATORS, DC_KW, DC_SHARES, Growth, SEED};
use crate::Scenario;
use crate::format::{
    AggregatorRow, Assumptions, NodeRow, Regulation, SessionProfile, Source, SwapProfile,
};

/// Events and what else the year holds; written by hand.
const CALLS: &str = include_str!("calls.toml");
const MINUTES: u32 = 365 * 24 * 60;

/// What differs from the usual comments.
const COMMENTS: [(&str, &str); 7] = [
    (
        "dc_shares",
        "assumption: half of each; it carries the energy of rapid charging",
    ),
    (
        "v2g_share_ac",
        "stations say which of their piles export (v2g_ac, v2g_dc)",
    ),
    ("v2g_share_dc", "as above"),
    (
        "v2g_consent_share",
        "assumption: exporting piles stand where vehicles take part; it carries the energy discharged",
    ),
    (
        "v2g_floor",
        "assumption: as the makers' least (see [warranty]); it carries the energy discharged",
    ),
    (
        "connection_factor",
        "every station states its connection; they add up to the plan's capacity, a kVA counted as a kW",
    ),
    (
        "v2g_dc_discharge_kw",
        "sourced: 20 kW per car in a discharge event in Shenzhen (press); a bus in Shanghai gave 106 kW",
    ),
];

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

pub(super) fn text(
    data_dir: &Path,
    tranche: &Tranche,
    aggregators: &[AggregatorRow],
    growth: &Growth,
    progress: &mut dyn FnMut(Stage),
) -> Result<String, ImportError> {
    let refused = |problem: fmt::Error| Invalid::new("scenario", problem.to_string());
    let mut out = String::new();
    if tranche.year > TRANCHES[0].year {
        variant(&mut out, tranche, growth).map_err(refused)?;
        return Ok(out);
    }
    let elaad = data_dir.join("elaad-sessions");
    let habits = figures::sessions_with_weekends(&elaad)?;
    let assumed = assumed(figures::assumptions(&elaad)?);
    progress(Stage::Signal);
    let signal = read::liveliest_signal(&data_dir.join("regd-ev-vpp/regd_signal_2s.csv.gz"))?;
    let by_hand =
        Scenario::parse(include_str!("../../../baiyun-scenes.toml")).map_err(ImportError::Made)?;
    let first = First {
        tranche,
        assumed,
        habits,
        by_hand,
        signal,
    };
    first
        .write(&mut out, aggregators, growth)
        .map_err(refused)?;
    Ok(out)
}

fn assumed(usual: Assumptions) -> Assumptions {
    Assumptions {
        dc_powers_kw: DC_KW.to_vec(),
        dc_shares: DC_SHARES.to_vec(),
        v2g_share_ac: 0.0,
        v2g_share_dc: 0.0,
        v2g_consent_share: 0.8,
        v2g_floor: figures::warranty().soc_floor,
        ..usual
    }
}

/// A later year: what is added to the one before.
fn variant(out: &mut String, tranche: &Tranche, growth: &Growth) -> fmt::Result {
    let (year, before) = (tranche.year, tranche.year - 1);
    top(out, tranche)?;
    writeln!(
        out,
        "# What {year} adds to {before}: stations below feeders of their own. The plan has no number of piles for {year} (assumption: the\n\
         # new stations are as large as the capacity of their connections allows) and none of exporting piles (assumption: they\n\
         # grow as the energy that it asks for).\n"
    )?;
    writeln!(
        out,
        "include = \"guangzhou-{before}.toml\"\n\n[scenario]\nname = \"guangzhou-{year}\""
    )?;
    description(out, tranche)?;
    calendar(out, tranche)?;
    writeln!(
        out,
        "# 15 July, 13:00 to 14:00.\n[[event]]\nid = \"dr-city\"\nstart_offset_s = {}\n",
        city_s(tranche)
    )?;
    nodes(out, &growth.nodes)?;
    stations(out, growth)
}

fn top(out: &mut String, tranche: &Tranche) -> fmt::Result {
    let year = tranche.year;
    writeln!(
        out,
        "#:schema scenario.schema.json\n\
         # Scenario guangzhou-{year}: the city's pilot at the plan's size. Format: scenarios/README.md.\n\
         # Made by `vpp import --city guangzhou-{year}`. Figures of the plan are those of Guangzhou's document 255 of 2025; what is\n\
         # marked as assumption is ours. Power in kW, positive draws from the grid."
    )
}

fn description(out: &mut String, tranche: &Tranche) -> fmt::Result {
    let until = |of: fn(&Tranche) -> f64| -> f64 {
        let years = TRANCHES.iter().filter(|other| other.year <= tranche.year);
        years.map(of).sum()
    };
    #[allow(clippy::cast_precision_loss)] // some hundred
    let (charging, swap) = (
        until(|t| t.stations.iter().sum::<usize>() as f64),
        until(|t| t.swaps as f64),
    );
    let mva = until(|t| t.capacity_mva);
    let year = tranche.year;
    writeln!(
        out,
        "description = \"Guangzhou's pilot of {year} for a year: {charging} charging and {swap} swap stations, {mva} MVA.\"\n\
         start = {}T00:00:00+08:00",
        tranche.start
    )
}

/// When the city's event begins, seconds after the start: 15 July, 13:00.
fn city_s(tranche: &Tranche) -> u32 {
    (tranche.july * 24 + 13) * 3_600
}

fn calendar(out: &mut String, tranche: &Tranche) -> fmt::Result {
    writeln!(
        out,
        "\n# Hot days: assumption (some eight days of 35 °C outside July to September, which are sharp months anyway).\n\
         # {}.\n[calendar]",
        sentence(tranche.calendar_status)
    )?;
    writeln!(out, "hot_days = [{}]", tranche.hot_days.join(", "))?;
    writeln!(out, "holidays = [{}]\n", tranche.holidays.join(", "))
}

fn nodes(out: &mut String, rows: &[NodeRow]) -> fmt::Result {
    node_rows(out, rows)
}

fn stations(out: &mut String, growth: &Growth) -> fmt::Result {
    writeln!(
        out,
        "# Stations, one a line; place is longitude and latitude. `benchmark-` are those of the national benchmark project, `baiyun-`\n\
         # those of Baiyun's multi-scene zone, `v2g-` others with exporting piles, `gz-` the rest. The three have exporting piles alone, behind\n\
         # a gate of their own (assumption; the plan wants V2G metered apart). Sizes spread as Shenzhen's public\n\
         # stations do, around means of each kind of facility (assumption); homes fill up to the plan's number of piles.\n\
         # import_limit_kw: its part of the plan's capacity. default_setpoint_kw: half of it below feeders built short (assumption). A swap\n\
         # station has {} slots of {} kW (assumption). regulates: the {} largest connections (assumption).",
        super::SLOTS,
        super::SLOT_KW,
        figures::REGULATING_STATIONS
    )?;
    writeln!(out, "[fleet]\nprofile = \"public\"\nstations = [")?;
    for row in &growth.stations {
        station(out, row)?;
    }
    writeln!(out, "]")
}

/// The first year: all that the later ones share.
struct First<'a> {
    tranche: &'a Tranche,
    assumed: Assumptions,
    habits: BTreeMap<String, SessionProfile>,
    by_hand: Scenario,
    signal: Vec<f64>,
}

impl First<'_> {
    fn write(
        &self,
        out: &mut String,
        aggregators: &[AggregatorRow],
        growth: &Growth,
    ) -> fmt::Result {
        top(out, self.tranche)?;
        writeln!(
            out,
            "\nformat = 1\n\n[scenario]\nname = \"guangzhou-{}\"",
            self.tranche.year
        )?;
        description(out, self.tranche)?;
        writeln!(
            out,
            "# 365 days: the first year of the V2G feed-in price, in force since May 2025."
        )?;
        writeln!(out, "duration_minutes = {MINUTES}\nseed = {SEED}\n")?;
        for source in self.sources(growth.stations.len()) {
            writeln!(out, "[[source]]\nname = {}", quoted(&source.name))?;
            writeln!(out, "licence = {}", quoted(&source.licence))?;
            writeln!(out, "taken = {}\n", quoted(&source.taken))?;
        }
        let pack = RulePack::guangdong_2025().id().to_string();
        writeln!(out, "[tariff]\nrule_pack = {}", quoted(&pack))?;
        calendar(out, self.tranche)?;
        let (settings, events) = CALLS
            .split_once("# What the grid calls")
            .unwrap_or((CALLS, ""));
        out.push_str(settings);
        assumptions(out, &self.assumed, &COMMENTS)?;
        warranty(out, &figures::warranty())?;
        self.sessions(out)?;
        let feeder = growth
            .nodes
            .iter()
            .find(|row| row.id.as_str() == "feeder-001");
        let ceiling_kw = feeder.map_or(0.0, |row| (row.import_limit_kw * 0.9).floor());
        let events = events
            .replace("{ceiling_kw}", &ceiling_kw.to_string())
            .replace("{city_s}", &city_s(self.tranche).to_string());
        write!(out, "# What the grid calls{events}")?;
        self.regulation(out)?;
        writeln!(
            out,
            "# Who operates stations: dealt without regard to place (assumption); {AGGREGATORS}, the plan wants 5."
        )?;
        for row in aggregators {
            writeln!(
                out,
                "[[aggregator]]\nid = \"{}\"\nname = {}\n",
                row.id,
                quoted(&row.name)
            )?;
        }
        nodes(out, &growth.nodes)?;
        stations(out, growth)
    }

    fn sources(&self, stations: usize) -> Vec<Source> {
        let row = |name: &str, licence: &str, taken: &str| Source {
            name: name.into(),
            licence: licence.into(),
            taken: taken.into(),
        };
        let plan = row(
            "Guangzhou, document 255 of 2025 (12 September 2025): work plan for the pilot city of vehicle-grid interaction, 2025 to 2027",
            "public document",
            "stations, swap stations, piles, capacity, exporting piles, aggregators",
        );
        let spice = row(
            "bus_scenario_D of spice_ev, rl-institut, commit 2d96cf7",
            "MIT",
            "87 stays of 30 buses at two depots in two days, as in baiyun-scenes.toml",
        );
        let mut sources = figures::sources(stations);
        for source in &mut sources {
            source.taken = source
                .taken
                .replace(
                    &format!("{stations} stations, stratified by fast piles and size; numbers of piles; places rounded to 0.001°"),
                    "the spread of the numbers of piles, around assumed means; places rounded to 0.001°",
                )
                .replace("weekday arrivals summed by hour", "arrivals of weekdays and weekends summed by hour; energy of the days of the week");
        }
        sources.insert(0, plan);
        sources.push(spice);
        sources
    }

    fn sessions(&self, out: &mut String) -> fmt::Result {
        writeln!(
            out,
            "# Vehicles that come to a pile in a day are assumptions: some 20 to 30 kWh a day at a slow pile, 150 kWh at a rapid one. They\n\
             # carry the energy drawn. Quantiles in steps of 5 % from 0 % to 100 %, if not said otherwise.\n"
        )?;
        for habit in &HABITS {
            let Some(profile) = self.habits.get(habit.of) else {
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
            let Some(profile) = self.by_hand.sessions.get(by_hand.profile) else {
                continue;
            };
            let profile = SessionProfile {
                weekend_factor: by_hand.weekend_factor,
                holidays: Default::default(),
                ..profile.clone()
            };
            write_profile(out, by_hand.profile, &profile, by_hand.about, &by_hand.said)?;
        }
        let Some(taxis) = self.by_hand.swaps.get("taxis") else {
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

    fn regulation(&self, out: &mut String) -> fmt::Result {
        writeln!(
            out,
            "# An hour every four weeks, 15:00 on the fourteenth day first; {} stations, the plan wants 10.",
            figures::REGULATING_STATIONS
        )?;
        let sampled = Regulation {
            capacity_up_kw: 1_000.0,
            capacity_down_kw: 1_000.0,
            start_offset_s: (13 * 24 + 15) * 3_600,
            duration_s: 3_600,
            every_days: Some(28),
            period_s: 4.0,
            signal: self.signal.clone(),
        };
        regulation(out, Some(&sampled))
    }
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

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}
