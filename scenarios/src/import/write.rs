//! The text of a scenario file, with what each figure is and how sure it is in comments. Stations come last.

use std::fmt::{self, Write};

use vpp_aggregator::Warranty;

use super::figures;
use crate::Scenario;
use crate::format::{
    Assumptions, EventKind, EventRow, NodeRow, Regulation, SessionProfile, StationRow,
};

/// The assumptions' comments: key, status and reason.
const ASSUMED: [(&str, &str); 19] = [
    (
        "ac_power_kw",
        "assumption: usual single-phase pile; the source of the stations has no ratings",
    ),
    ("dc_powers_kw", "assumption: as above; ascending"),
    (
        "dc_shares",
        "assumption: share of the DC piles of each rating",
    ),
    (
        "v2g_share_ac",
        "assumption: gives more than 1,000 exporting piles in all, the city's target for 2025",
    ),
    (
        "v2g_share_dc",
        "assumption: as above; the weakest DC piles of a station export",
    ),
    ("v2g_ac_discharge_kw", "assumption: as the rating"),
    (
        "v2g_dc_discharge_kw",
        "sourced: 20 kW per car in a discharge event in Shenzhen (press)",
    ),
    (
        "v2g_consent_share",
        "assumption: share of sessions at exporting piles",
    ),
    (
        "v2g_floor",
        "assumption: state of charge kept for the owner",
    ),
    ("charge_efficiency", "assumption: 0.92 to 0.95 is usual"),
    ("discharge_efficiency", "assumption: as above"),
    (
        "battery_capacity_kwh",
        "sourced: V2G-capable models by registrations (ElaadNL); quantiles 0 %, 10 %, ... 100 %",
    ),
    (
        "connection_factor",
        "assumption: connection limit over the sum of the ratings",
    ),
    (
        "default_setpoint_share",
        "assumption: ceiling over the connection limit while no command is in force",
    ),
    (
        "ramp_share_per_second",
        "assumption: full range in five seconds",
    ),
    (
        "disobeying_pile_share",
        "assumption: piles that follow no setpoint",
    ),
    (
        "refusing_station_share",
        "assumption: stations that refuse commands",
    ),
    (
        "unreachable_station_share",
        "assumption: stations that hear no command",
    ),
    (
        "response_delay_s",
        "assumption: shortest and longest delay of a station; the city's target for regulation is below 5 s",
    ),
];

/// What is said of the sessions at rapid piles.
pub(super) const DC_ENERGY: &str = "assumption: a rapid session fills an eighth to two thirds of a battery; smallest and largest, even in between";
pub(super) const DC_DWELL: &str = "assumption: stay at a DC pile beyond the charging time";

pub(super) fn text(scenario: &Scenario) -> Result<String, String> {
    let mut out = String::new();
    write(&mut out, scenario).map_err(|error| error.to_string())?;
    Ok(out)
}

fn write(out: &mut String, scenario: &Scenario) -> fmt::Result {
    writeln!(out, "#:schema scenario.schema.json")?;
    writeln!(
        out,
        "# Scenario {}. Format: scenarios/README.md.",
        scenario.header.name
    )?;
    writeln!(
        out,
        "# Made by `vpp import` from the data sets under [[source]]; places, sizes, shapes and quantiles are theirs,"
    )?;
    writeln!(
        out,
        "# what is marked as assumption is ours. Power in kW, positive draws from the grid.\n"
    )?;
    header(out, scenario)?;
    assumptions(out, &scenario.assumptions, &[])?;
    if let Some(limits) = &scenario.warranty {
        warranty(out, limits)?;
    }
    writeln!(
        out,
        "# Quantiles in steps of 5 % from 0 % to 100 %, if not said otherwise."
    )?;
    for (name, profile) in &scenario.sessions {
        sessions(out, name, profile)?;
    }
    for event in &scenario.events {
        write_event(out, event)?;
    }
    regulation(out, scenario.regulation.as_ref())?;
    writeln!(
        out,
        "# Who operates stations: dealt without regard to place (assumption), so that aggregators and feeders cut across each other."
    )?;
    for row in &scenario.aggregators {
        writeln!(
            out,
            "[[aggregator]]\nid = \"{}\"\nname = {}\n",
            row.id,
            quoted(&row.name)
        )?;
    }
    node_rows(out, &scenario.nodes)?;
    writeln!(
        out,
        "# Stations, one a line; place is longitude and latitude. What a row leaves out follows from [assumptions].\n\
         # default_setpoint_kw: half of the connection below feeders built short (assumption)."
    )?;
    writeln!(
        out,
        "[fleet]\nprofile = {}\nstations = [",
        quoted(&scenario.fleet.profile)
    )?;
    for row in &scenario.fleet.stations {
        station(out, row)?;
    }
    writeln!(out, "]")
}

fn header(out: &mut String, scenario: &Scenario) -> fmt::Result {
    let header = &scenario.header;
    writeln!(out, "format = {}\n\n[scenario]", scenario.format)?;
    writeln!(
        out,
        "name = {}\ndescription = {}",
        quoted(&header.name),
        quoted(&header.description)
    )?;
    writeln!(out, "start = {}", header.start.to_rfc3339())?;
    writeln!(out, "duration_minutes = {}", header.duration_minutes)?;
    writeln!(out, "seed = {}\n", header.seed)?;
    for source in &scenario.sources {
        writeln!(out, "[[source]]\nname = {}", quoted(&source.name))?;
        writeln!(out, "licence = {}", quoted(&source.licence))?;
        writeln!(out, "taken = {}\n", quoted(&source.taken))?;
    }
    writeln!(
        out,
        "[tariff]\nrule_pack = {}",
        quoted(&scenario.tariff.rule_pack)
    )?;
    writeln!(
        out,
        "# July is a sharp month anyway; set this for hot days (35 °C) in others."
    )?;
    writeln!(out, "sharp_day = {}\n", scenario.tariff.sharp_day)
}

/// `other` are comments of this scenario in place of the usual ones.
pub(super) fn assumptions(
    out: &mut String,
    all: &Assumptions,
    other: &[(&str, &str)],
) -> fmt::Result {
    let value = |key: &str| match key {
        "ac_power_kw" => all.ac_power_kw.to_string(),
        "dc_powers_kw" => list(&all.dc_powers_kw),
        "dc_shares" => list(&all.dc_shares),
        "v2g_share_ac" => all.v2g_share_ac.to_string(),
        "v2g_share_dc" => all.v2g_share_dc.to_string(),
        "v2g_ac_discharge_kw" => all.v2g_ac_discharge_kw.to_string(),
        "v2g_dc_discharge_kw" => all.v2g_dc_discharge_kw.to_string(),
        "v2g_consent_share" => all.v2g_consent_share.to_string(),
        "v2g_floor" => all.v2g_floor.to_string(),
        "charge_efficiency" => all.charge_efficiency.to_string(),
        "discharge_efficiency" => all.discharge_efficiency.to_string(),
        "battery_capacity_kwh" => list(all.battery_capacity_kwh.values()),
        "connection_factor" => all.connection_factor.to_string(),
        "default_setpoint_share" => all.default_setpoint_share.to_string(),
        "ramp_share_per_second" => all.ramp_share_per_second.to_string(),
        "disobeying_pile_share" => all.disobeying_pile_share.to_string(),
        "refusing_station_share" => all.refusing_station_share.to_string(),
        "unreachable_station_share" => all.unreachable_station_share.to_string(),
        _ => list(&all.response_delay_s),
    };
    writeln!(out, "[assumptions]")?;
    for (key, usual) in ASSUMED {
        let comment = (other.iter())
            .find(|(other, _)| *other == key)
            .map_or(usual, |(_, comment)| comment);
        writeln!(out, "# {comment}\n{key} = {}", value(key))?;
    }
    writeln!(out)
}

pub(super) fn warranty(out: &mut String, warranty: &Warranty) -> fmt::Result {
    writeln!(
        out,
        "# assumption: limits of the makers of the vehicles on discharge; of the battery's state of charge"
    )?;
    writeln!(
        out,
        "[warranty]\nsoc_floor = {}\nsoc_ceiling = {}",
        warranty.soc_floor, warranty.soc_ceiling
    )?;
    writeln!(out, "# assumption: at the battery")?;
    writeln!(
        out,
        "discharge_kwh_per_day = {}",
        warranty.discharge_kwh_per_day
    )?;
    if let Some([low, high]) = warranty.temperature_c {
        writeln!(
            out,
            "# assumption: of the cells\ntemperature_c = [{low}, {high}]"
        )?;
    }
    writeln!(out)
}

fn sessions(out: &mut String, name: &str, profile: &SessionProfile) -> fmt::Result {
    writeln!(out, "[sessions.{name}]")?;
    writeln!(
        out,
        "# assumption: vehicles that come to a pile in a day; those that find all taken drive on"
    )?;
    writeln!(
        out,
        "arrivals_per_ac_pile_day = {}",
        profile.arrivals_per_ac_pile_day
    )?;
    writeln!(
        out,
        "arrivals_per_dc_pile_day = {}",
        profile.arrivals_per_dc_pile_day
    )?;
    writeln!(
        out,
        "# sourced (ElaadNL, weekday): share of the arrivals in each local hour from 00:00"
    )?;
    writeln!(out, "arrival_shape = {}", list(&profile.arrival_shape))?;
    writeln!(out, "# sourced (ElaadNL): hours plugged in at AC piles")?;
    writeln!(out, "stay_h = {}", list(profile.stay_h.values()))?;
    writeln!(
        out,
        "# sourced (ElaadNL), cut by assumption: sessions below 10 kWh are mostly of plug-in hybrids, which Guangzhou has few of"
    )?;
    writeln!(out, "energy_kwh = {}", list(profile.energy_kwh.values()))?;
    writeln!(
        out,
        "# {DC_ENERGY}\ndc_energy_kwh = {}",
        list(profile.dc_energy_kwh.values())
    )?;
    writeln!(
        out,
        "# {DC_DWELL}\ndc_dwell_minutes = {}\n",
        profile.dc_dwell_minutes
    )
}

fn write_event(out: &mut String, event: &EventRow) -> fmt::Result {
    let kind = match event.kind {
        EventKind::DemandResponse => "demand_response",
        EventKind::ValleyFilling => "valley_filling",
        EventKind::PeakShaving => "peak_shaving",
    };
    writeln!(
        out,
        "# The pilot's acceptance figure is a response of 20 MW. Without `aggregator` or `node`, all stations take part."
    )?;
    writeln!(out, "[[event]]\nid = \"{}\"\nkind = \"{kind}\"", event.id)?;
    writeln!(
        out,
        "start_offset_s = {}\nduration_s = {}",
        event.start_offset_s, event.duration_s
    )?;
    for (key, kilowatts) in [
        ("reduction_kw", event.reduction_kw),
        ("increase_kw", event.increase_kw),
        ("ceiling_kw", event.ceiling_kw),
    ] {
        if let Some(kilowatts) = kilowatts {
            writeln!(out, "{key} = {kilowatts}")?;
        }
    }
    writeln!(out)
}

pub(super) fn regulation(out: &mut String, regulation: Option<&Regulation>) -> fmt::Result {
    let Some(regulation) = regulation else {
        return Ok(());
    };
    writeln!(out, "[regulation]\n# assumption: what is awarded, and when")?;
    writeln!(out, "capacity_up_kw = {}", regulation.capacity_up_kw)?;
    writeln!(out, "capacity_down_kw = {}", regulation.capacity_down_kw)?;
    writeln!(out, "start_offset_s = {}", regulation.start_offset_s)?;
    writeln!(out, "duration_s = {}", regulation.duration_s)?;
    if let Some(days) = regulation.every_days {
        writeln!(out, "every_days = {days}")?;
    }
    writeln!(out, "period_s = {}", regulation.period_s)?;
    writeln!(
        out,
        "# sourced (PJM RegD): per unit of the capacity, positive = draw less"
    )?;
    writeln!(out, "signal = {}\n", list(&regulation.signal))
}

pub(super) fn node_rows(out: &mut String, nodes: &[NodeRow]) -> fmt::Result {
    let percent = |share: f64| (share * 100.0).round();
    writeln!(
        out,
        "# The electric tree, all of it assumption: stations near each other share a feeder, feeders a substation. import_limit_kw: the\n\
         # peak of the base loads and {} % (feeder, transformer), {} % (substation) of the connections underneath; {} % below feeders\n\
         # built short. So all default setpoints fit, and all connections together do not. export_limit_kw: {} % of the same.\n\
         # base_load_kw, sourced (residential loads): kW in each UTC hour from 00:00; {} houses a feeder are assumption.",
        percent(figures::FEEDER_SHARE),
        percent(figures::SUBSTATION_SHARE),
        percent(figures::TIGHT_FEEDER_SHARE),
        percent(figures::EXPORT_SHARE),
        figures::HOUSES_A_FEEDER,
    )?;
    for row in nodes {
        writeln!(
            out,
            "[[node]]\nid = \"{}\"\nkind = \"{}\"",
            row.id, row.kind
        )?;
        if let Some(parent) = &row.parent {
            writeln!(out, "parent = \"{parent}\"")?;
        }
        writeln!(out, "import_limit_kw = {}", row.import_limit_kw)?;
        writeln!(out, "export_limit_kw = {}", row.export_limit_kw)?;
        match row.base_load_kw.as_slice() {
            [load] => writeln!(out, "base_load_kw = {load}\n")?,
            loads => writeln!(out, "base_load_kw = {}\n", list(loads))?,
        }
    }
    Ok(())
}

pub(super) fn station(out: &mut String, row: &StationRow) -> fmt::Result {
    let [longitude, latitude] = row.place;
    write!(
        out,
        "  {{ id = \"{}\", aggregator = \"{}\"",
        row.id, row.aggregator
    )?;
    write!(
        out,
        ", node = \"{}\", place = [{longitude}, {latitude}]",
        row.node
    )?;
    let exporting = [("v2g_ac", row.v2g_ac), ("v2g_dc", row.v2g_dc)];
    let piles = [("ac", row.ac), ("dc", row.dc), ("slots", row.slots)];
    let piles = piles.into_iter().map(|(key, count)| (key, Some(count)));
    for (key, count) in piles.chain(exporting) {
        if let Some(count) = count.filter(|count| *count > 0) {
            write!(out, ", {key} = {count}")?;
        }
    }
    if let Some(profile) = &row.profile {
        write!(out, ", profile = {}", quoted(profile))?;
    }
    if row.regulates {
        write!(out, ", regulates = true")?;
    }
    if let Some(limit_kw) = row.import_limit_kw {
        write!(out, ", import_limit_kw = {limit_kw}")?;
    }
    if let Some(default_kw) = row.default_setpoint_kw {
        write!(out, ", default_setpoint_kw = {default_kw}")?;
    }
    writeln!(out, " }},")
}

pub(crate) fn list(values: &[f64]) -> String {
    let values: Vec<String> = values.iter().map(f64::to_string).collect();
    format!("[{}]", values.join(", "))
}

pub(crate) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
